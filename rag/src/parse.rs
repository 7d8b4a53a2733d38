//! The bytes of a file into a source: its text, kind and title, or the reason why it is passed over.
//!
//! Read as Markdown: `.md`, `.markdown`. Read as text: `.txt`, `.rst`, `.adoc`, and files without an extension whose
//! name is one that projects give to text (README, LICENSE, ...). The text is the file's own, byte for byte, except
//! that a byte order mark at its start is left out: offsets of chunks count in [`Source::text`].
//!
//! When not to use: files of other encodings than UTF-8 and documents with markup to be removed (HTML, PDF).

use std::fmt;

use crate::markdown;

/// A document, ready to be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it came from, relative to the folder that was ingested, parts separated by `/`.
    pub path: String,
    /// Its first heading, or else its file name. At most [`TITLE_CHARS_MAX`] characters.
    pub title: String,
    /// The whole text.
    pub text: String,
    /// How it is cut.
    pub kind: Kind,
}

/// How a text is marked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Markdown: cut along its structure, chunks know their headings.
    Markdown,
    /// Anything else: cut along paragraphs, sentences and words.
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
    if bytes.contains(&0) {
        return Err(Skip::Binary);
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|error| Skip::NotUtf8 { offset: error.utf8_error().valid_up_to() })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    let title = match kind {
        Kind::Markdown => markdown::headings(&text).into_iter().next().map(|heading| heading.text),
        Kind::Text => text_title(&text),
    };
    let title = title.unwrap_or_else(|| file_name(path).to_owned());
    let title = title.chars().take(TITLE_CHARS_MAX).collect();
    Ok(Source { path: path.to_owned(), title, text, kind })
}

/// How a file is read, by its name; `None` for files that are not.
pub fn kind(path: &str) -> Option<Kind> {
    let name = file_name(path).to_ascii_lowercase();
    match name.rsplit_once('.') {
        Some((_, "md" | "markdown")) => Some(Kind::Markdown),
        Some((_, "txt" | "rst" | "adoc")) => Some(Kind::Text),
        Some(_) => None,
        // LICENSE-MIT and LICENSE_APACHE are as common as LICENSE.
        None => TEXT_NAMES
            .iter()
            .any(|known| {
                name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
            })
            .then_some(Kind::Text),
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
            Self::Kind => f.write_str("not a text or Markdown file"),
            Self::TooLarge { bytes, bytes_max } => write!(f, "has {bytes} bytes, the limit is {bytes_max}"),
            Self::Binary => f.write_str("binary: it has a zero byte"),
            Self::NotUtf8 { offset } => write!(f, "not UTF-8 from byte {offset} on"),
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
            ("main.rs", None),
            ("", None),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn titles_come_from_the_first_heading_or_the_name() {
        let title = |path: &str, text: &str| parse(path, text.into()).expect(path).title;
        assert_eq!(title("a/b.md", "intro\n\n## The *first*\n\n# Second\n"), "The first");
        assert_eq!(title("a/b.md", "no heading"), "b.md");
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
        let source = parse("a.txt", "\u{FEFF}\u{FEFF}a\r\n".into()).expect("text");
        assert_eq!(source.text, "\u{FEFF}a\r\n");
    }
}
