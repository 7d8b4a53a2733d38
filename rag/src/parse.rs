//! The bytes of a file into a source: its text, kind, outline and what it says of itself, or the reason why it is
//! passed over.
//!
//! The name decides the kind: Markdown, HTML, PDF, source code, tables (CSV, TSV), lines of JSON, plain text (`.txt`,
//! `.rst`, `.adoc`, and names without an extension that projects give to text: README, LICENSE, ...). The text of
//! Markdown, plain text and source code is the file's own, byte for byte, except that a byte order mark at its start is
//! left out; that of the others is what [`formats`] makes of them. Offsets of chunks count in
//! [`Source::text`].
//!
//! Invariant: bytes that a stranger chose give a source or a reason, never a panic.

use std::fmt;

use crate::Metadata;
use crate::formats::code::{self, Syntax};
use crate::formats::records::{self, Record};
use crate::formats::{self, TEXT_BYTES_MAX, front_matter, html, pdf};
use crate::markdown::{self, Heading};

/// A document, ready to be cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Where it came from, relative to the folder that was ingested, parts separated by `/`.
    pub path: String,
    /// What it is called: as it says, or its first heading, or its file name. At most [`TITLE_CHARS_MAX`] characters.
    pub title: String,
    /// The whole text.
    pub text: String,
    /// How it is cut.
    pub kind: Kind,
    /// Byte offset of the text behind the front matter, which is cut into no chunk.
    pub body: usize,
    /// Its headings or definitions, in order.
    pub outline: Vec<Heading>,
    /// Byte offset of the beginning of each page, for what has pages.
    pub pages: Vec<usize>,
    /// Its records, for what has them: a chunk never holds two.
    pub records: Vec<Record>,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// How a text is marked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Markdown: cut along its structure, chunks know their headings.
    Markdown,
    /// A page of the web: as Markdown.
    Html,
    /// Cut along paragraphs, chunks know their page.
    Pdf,
    /// Source code: cut along its definitions, chunks know which they lie in.
    Code(Syntax),
    /// Rows under a line of names: a record each.
    Table,
    /// A JSON value a line: a record each.
    JsonLines,
    /// Anything else: cut along paragraphs, sentences and words.
    #[default]
    Text,
}

/// Why a file or folder is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// Its name starts with a dot.
    Hidden,
    /// A folder of built or downloaded files.
    Generated,
    /// A symbolic link: its target is read where it lies.
    Symlink,
    /// Neither a file nor a folder.
    Special,
    /// Not a kind of file that is read.
    Kind,
    /// Longer than the limit, both in bytes.
    TooLarge {
        /// Of this file.
        bytes: u64,
        /// The most that is read.
        bytes_max: u64,
    },
    /// It has a zero byte, which text does not have.
    Binary,
    /// Not UTF-8, from this byte on.
    NotUtf8 {
        /// Byte offset of the first wrong sequence.
        offset: usize,
    },
    /// It is not what its name says, or more than is read of its kind; why.
    Malformed(String),
    /// It has no text that can be read: pages of pictures, glyphs whose font says no letters, or nothing at all.
    NoText,
    /// The operating system refused; what it said.
    Unreadable(String),
}

/// Characters of a title; the rest is cut.
pub const TITLE_CHARS_MAX: usize = 200;

const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// Names without extension that are read as text, in lower case.
const TEXT_NAMES: [&str; 14] = [
    "authors",
    "changelog",
    "changes",
    "code_of_conduct",
    "contributing",
    "contributors",
    "copying",
    "history",
    "install",
    "license",
    "news",
    "notice",
    "readme",
    "security",
];

/// Reads a file's bytes. `path` decides the kind and is kept in the source.
///
/// # Errors
/// The reason why the file is passed over.
pub fn parse(path: &str, bytes: Vec<u8>) -> Result<Source, Skip> {
    let kind = kind(path).ok_or(Skip::Kind)?;
    let mut source = formats::fenced(|| read(kind, path, bytes))?;
    if source.text.len() > TEXT_BYTES_MAX {
        return Err(Skip::TooLarge { bytes: source.text.len() as u64, bytes_max: TEXT_BYTES_MAX as u64 });
    }
    let first = source.outline.first().filter(|_| !matches!(kind, Kind::Code(_)));
    let title = source.metadata.title.clone().or_else(|| first.map(|heading| heading.text.clone()));
    let title = title.or_else(|| text_title(&source.text).filter(|_| kind == Kind::Text));
    let title = title.unwrap_or_else(|| file_name(path).to_owned());
    source.title = title.chars().take(TITLE_CHARS_MAX).collect();
    path.clone_into(&mut source.path);
    source.kind = kind;
    Ok(source)
}

fn read(kind: Kind, path: &str, bytes: Vec<u8>) -> Result<Source, Skip> {
    match kind {
        Kind::Html => html::read(&bytes),
        Kind::Pdf => pdf::read(bytes),
        Kind::Table => records::read_table(&text(bytes)?, path),
        Kind::JsonLines => records::read_lines(&text(bytes)?),
        Kind::Markdown => {
            let text = text(bytes)?;
            let (body, metadata) = front_matter::read(&text).unwrap_or_default();
            Ok(Source { outline: markdown::headings(&text), text, body, metadata, ..Source::default() })
        }
        Kind::Code(syntax) => {
            let text = text(bytes)?;
            Ok(Source { outline: code::outline(syntax, &text), text, ..Source::default() })
        }
        Kind::Text => Ok(Source { text: text(bytes)?, ..Source::default() }),
    }
}

/// The text of bytes that are UTF-8, or UTF-16 with a byte order mark.
fn text(bytes: Vec<u8>) -> Result<String, Skip> {
    if let Some((encoding, _)) = encoding_rs::Encoding::for_bom(&bytes).filter(|(_, marks)| *marks == 2) {
        return Ok(encoding.decode(&bytes).0.into_owned());
    }
    if bytes.contains(&0) {
        return Err(Skip::Binary);
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|error| Skip::NotUtf8 { offset: error.utf8_error().valid_up_to() })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

/// How a file is read, by its name; `None` for files that are not.
pub fn kind(path: &str) -> Option<Kind> {
    let name = file_name(path).to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, "md" | "markdown")) => Some(Kind::Markdown),
        Some((_, "html" | "htm" | "xhtml")) => Some(Kind::Html),
        Some((_, "pdf")) => Some(Kind::Pdf),
        Some((_, "csv" | "tsv")) => Some(Kind::Table),
        Some((_, "jsonl" | "ndjson")) => Some(Kind::JsonLines),
        Some((_, "txt" | "rst" | "adoc")) => Some(Kind::Text),
        Some((_, extension)) => Syntax::of_extension(extension).map(Kind::Code),
        // LICENSE-MIT and LICENSE_APACHE are as common as LICENSE.
        None => TEXT_NAMES
            .iter()
            .any(|known| {
                name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
            })
            .then_some(Kind::Text),
    }
}

impl Kind {
    /// Its name, as payloads have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Code(_) => "code",
            Self::Table => "table",
            Self::JsonLines => "json_lines",
            Self::Text => "text",
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A title as AsciiDoc (`= Title`) and reStructuredText (a line of marks below it) write it, if the text starts so.
fn text_title(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| line.is_empty() || is_rule(line));
    let first = lines.next()?;
    let title = match first.strip_prefix("= ") {
        Some(title) => title.trim(),
        None if lines
            .next()
            .is_some_and(|below| is_rule(below) && below.len() >= first.trim().chars().count()) =>
        {
            first.trim()
        }
        None => return None,
    };
    (!title.is_empty()).then(|| title.to_owned())
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && ["=", "-", "~", "*", "#"].iter().any(|mark| line.replace(mark, "").is_empty())
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden => f.write_str("hidden"),
            Self::Generated => f.write_str("a folder of built or downloaded files"),
            Self::Symlink => f.write_str("a symbolic link"),
            Self::Special => f.write_str("neither a file nor a folder"),
            Self::Kind => f.write_str("not a kind of file that is read"),
            Self::TooLarge { bytes, bytes_max } => write!(f, "has {bytes} bytes, the limit is {bytes_max}"),
            Self::Binary => f.write_str("binary: it has a zero byte"),
            Self::NotUtf8 { offset } => write!(f, "not UTF-8 from byte {offset} on"),
            Self::Malformed(why) => f.write_str(why),
            Self::NoText => f.write_str("it has no readable text; pictures are not recognised"),
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_the_kind() {
        for (path, expected) in [
            ("a/b.MD", Some(Kind::Markdown)),
            ("b.markdown", Some(Kind::Markdown)),
            ("c.tar.txt", Some(Kind::Text)),
            ("README", Some(Kind::Text)),
            ("x.md/LICENSE-APACHE", Some(Kind::Text)),
            ("Licenses", None),
            ("x.md/main", None),
            ("main.rs", Some(Kind::Code(Syntax::Rust))),
            ("a/page.HTM", Some(Kind::Html)),
            ("a.png", None),
            ("", None),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn titles_come_from_the_first_heading_or_the_name() {
        let title = |path: &str, text: &str| parse(path, text.into()).expect(path).title;
        assert_eq!(title("a/b.md", "intro\n\n## The *first*\n\n# Second\n"), "The first");
        assert_eq!(title("a/b.md", "---\ntitle: Said\n---\n# First\n"), "Said");
        assert_eq!(title("a/b.md", "no heading"), "b.md");
        assert_eq!(title("a/b.rs", "fn f() {}"), "b.rs");
        assert_eq!(title("a.html", "<h1>A</h1>"), "A");
        assert_eq!(title("b.adoc", "\n= Guide\n\ntext"), "Guide");
        assert_eq!(title("b.rst", "=====\nGuide\n=====\n\ntext"), "Guide");
        assert_eq!(title("b.rst", "Caf\u{E9}\n----\n"), "Caf\u{E9}");
        assert_eq!(title("b.txt", "A first line.\nAnd a second.\n---\n"), "b.txt");
        assert_eq!(title("README", ""), "README");
        assert_eq!(title("b.md", &format!("# {}", "\u{E9}".repeat(500))).chars().count(), TITLE_CHARS_MAX);
    }

    #[test]
    fn what_is_no_text_is_passed_over_with_the_reason() {
        assert_eq!(parse("a.png", vec![1]), Err(Skip::Kind));
        assert_eq!(parse("a.txt", vec![b'a', 0]), Err(Skip::Binary));
        assert_eq!(parse("a.txt", vec![b'a', b'b', 0xff]), Err(Skip::NotUtf8 { offset: 2 }));
        assert_eq!(
            parse("a.jsonl", b"{".to_vec()).expect_err("no JSON").to_string().split(':').next(),
            Some("line 1 is no JSON")
        );
        assert_eq!(parse("a.txt", b"\xff\xfea\0b\0".to_vec()).expect("UTF-16").text, "ab");
        let source = parse("a.txt", "\u{FEFF}\u{FEFF}a\r\n".into()).expect("text");
        assert_eq!(source.text, "\u{FEFF}a\r\n");
    }
}
