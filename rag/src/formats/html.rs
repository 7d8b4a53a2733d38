//! HTML into text with Markdown's marks for headings, lists and code, so that it is cut along its structure.
//!
//! A tokenizer that follows the standard (html5gum) finds tags, text and entities; no tree is built, so that neither
//! nesting nor missing end tags cost more than their bytes. What a reader does not see (scripts, styles, templates) and
//! what repeats on every page (navigation) is left out.
//!
//! When not to use: where a table's or a page's layout carries meaning.

use encoding_rs::{Encoding, UTF_8};
use html5gum::{DefaultEmitter, EndTag, StartTag, Token, Tokenizer};
use kithdb::{Payload, Value};

use super::TEXT_BYTES_MAX;
use crate::markdown::Heading;
use crate::{Metadata, Skip, Source};

/// Elements whose content is not for readers.
const UNSEEN: [&str; 11] = [
    "script", "style", "template", "svg", "math", "iframe", "object", "nav", "select", "noscript", "textarea",
];

/// Elements that stand on lines of their own, with an empty line around them.
const BLOCKS: [&str; 25] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "title",
    "ul",
];

/// Where a word may be divided at the end of a line: it is not part of the word.
const SOFT_HYPHEN: char = '\u{AD}';

/// Bytes in which a page says its encoding.
const CHARSET_BYTES: usize = 1024;

/// The page's text and what it says of itself.
pub(crate) fn read(bytes: &[u8]) -> Result<Source, Skip> {
    let html = decode(bytes)?;
    let mut emitter = DefaultEmitter::<()>::default();
    // Scripts and styles are not looked into for tags.
    emitter.naively_switch_states(true);
    let mut writer = Writer::default();
    for token in Tokenizer::new_with_emitter(&*html, emitter) {
        match token {
            Ok(Token::StartTag(tag)) => writer.open(&tag),
            Ok(Token::EndTag(tag)) => writer.close(&tag),
            Ok(Token::String(text)) => writer.text(&String::from_utf8_lossy(&text)),
            Ok(_) => {}
            Err(never) => match never {},
        }
        if writer.text.len() > TEXT_BYTES_MAX {
            return Err(Skip::TooLarge { bytes: writer.text.len() as u64, bytes_max: TEXT_BYTES_MAX as u64 });
        }
    }
    Ok(writer.finish())
}

/// The text in the encoding that the page says, or in UTF-8.
fn decode(bytes: &[u8]) -> Result<String, Skip> {
    let (encoding, is_sure) = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => (encoding, true),
        None => said_charset(bytes).map_or((UTF_8, false), |encoding| (encoding, false)),
    };
    let (text, _, has_errors) = encoding.decode(bytes);
    if has_errors && encoding == UTF_8 && !is_sure {
        let offset = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
        return Err(Skip::NotUtf8 { offset });
    }
    Ok(text.into_owned())
}

fn said_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(CHARSET_BYTES)]).to_ascii_lowercase();
    let said = &head[head.find("charset=")? + "charset=".len()..];
    let label = said.trim_start_matches(['"', '\'']).split(['"', '\'', ';', '>', ' ', '/']).next()?;
    Encoding::for_label(label.as_bytes())
}

/// What stands between two pieces of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Block,
}

#[derive(Default)]
struct Writer {
    text: String,
    outline: Vec<Heading>,
    said: Payload,
    gap: Gap,
    /// What comes before the next text: the mark of a heading or an item.
    mark: String,
    /// The element that is passed over, and how many of its name are open.
    unseen: Option<(Vec<u8>, usize)>,
    heading: Option<Heading>,
    is_title: bool,
    title: String,
    is_code: bool,
}

impl Writer {
    fn open(&mut self, tag: &StartTag<()>) {
        if let Some((name, depth)) = &mut self.unseen {
            *depth += usize::from(**tag.name == **name && !tag.self_closing);
            return;
        }
        let name = String::from_utf8_lossy(&tag.name);
        let attribute = |key: &str| {
            let value = tag.attributes.get(key.as_bytes())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        match &*name {
            "meta" => self.meta(attribute("name").or_else(|| attribute("property")), attribute("content")),
            "title" => self.is_title = true,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.end_heading();
                let level = usize::from(name.as_bytes()[1] - b'0');
                self.put_gap(Gap::Block);
                self.mark = format!("{} ", "#".repeat(level));
                self.heading = Some(Heading { start: 0, end: usize::MAX, level, text: String::new() });
            }
            "li" => {
                self.put_gap(Gap::Line);
                self.mark = "- ".to_owned();
            }
            "tr" | "br" | "option" => self.put_gap(Gap::Line),
            "td" | "th" => self.mark = if self.gap >= Gap::Line { String::new() } else { " | ".to_owned() },
            "img" => self.text(&attribute("alt").unwrap_or_default()),
            "pre" => {
                self.put_gap(Gap::Block);
                self.mark = "```\n".to_owned();
                self.is_code = true;
            }
            name if UNSEEN.contains(&name) && !tag.self_closing => {
                self.unseen = Some((tag.name.to_vec(), 1));
                self.put_gap(Gap::Space);
            }
            name if BLOCKS.contains(&name) => self.put_gap(Gap::Block),
            _ => {}
        }
    }

    fn close(&mut self, tag: &EndTag<()>) {
        if let Some((name, depth)) = &mut self.unseen {
            *depth -= usize::from(**tag.name == **name);
            if *depth == 0 {
                self.unseen = None;
            }
            return;
        }
        match &*String::from_utf8_lossy(&tag.name) {
            "title" => self.is_title = false,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.end_heading();
                self.put_gap(Gap::Block);
            }
            "li" | "tr" => self.put_gap(Gap::Line),
            "pre" if self.is_code => {
                self.is_code = false;
                if self.mark.is_empty() {
                    self.text.push_str("\n```");
                }
                self.mark.clear();
                self.put_gap(Gap::Block);
            }
            name if BLOCKS.contains(&name) => self.put_gap(Gap::Block),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.unseen.is_some() {
            return;
        }
        if text.contains(SOFT_HYPHEN) {
            self.text(&text.replace(SOFT_HYPHEN, ""));
            return;
        }
        if self.is_title {
            self.title.push_str(text);
            return;
        }
        if self.is_code {
            self.begin();
            self.text.push_str(text);
            return;
        }
        for (nth, word) in text.split(char::is_whitespace).enumerate() {
            if nth > 0 {
                self.put_gap(Gap::Space);
            }
            if !word.is_empty() {
                self.begin();
                self.text.push_str(word);
                if let Some(heading) = &mut self.heading {
                    heading.text.push_str(word);
                }
            }
        }
    }

    /// Writes what stands before the text that follows.
    fn begin(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if !self.text.is_empty() {
            self.text.push_str(match gap {
                Gap::None => "",
                Gap::Space if self.mark.starts_with(' ') => "",
                Gap::Space => " ",
                Gap::Line => "\n",
                Gap::Block => "\n\n",
            });
        }
        let start = self.text.len();
        self.text.push_str(&std::mem::take(&mut self.mark));
        if let Some(heading) = &mut self.heading {
            if heading.text.is_empty() {
                heading.start = start;
            } else if gap != Gap::None {
                heading.text.push(' ');
            }
        }
    }

    fn put_gap(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn end_heading(&mut self) {
        match self.heading.take() {
            Some(heading) if heading.text.is_empty() => self.mark.clear(),
            heading => self.outline.extend(heading.map(Heading::cut)),
        }
    }

    fn meta(&mut self, name: Option<String>, content: Option<String>) {
        let (Some(name), Some(content)) = (name, content) else { return };
        let name = name.to_ascii_lowercase();
        let key = match name.as_str() {
            "author" | "article:author" | "dc.creator" => "author",
            "date" | "article:published_time" | "article:modified_time" | "dc.date" | "last-modified" => {
                "date"
            }
            "labels" | "access" | "access-labels" => "labels",
            "og:title" | "dc.title" => "title",
            "description" | "keywords" => &name,
            _ => return,
        };
        let value = match key {
            "labels" | "keywords" => content.split(',').map(|word| Value::from(word.trim())).collect(),
            _ => Value::from(content),
        };
        self.said.entry(key.to_owned()).or_insert(value);
    }

    fn finish(mut self) -> Source {
        self.end_heading();
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        if !title.is_empty() {
            self.said.insert("title".to_owned(), title.into());
        }
        let metadata = Metadata::read(self.said);
        Source { text: self.text, outline: self.outline, metadata, ..Source::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_its_text_with_headings_and_what_it_says_of_itself() {
        let html = "<!doctype html><html><head><title>A &amp; B\n guide</title><meta name=author content='C D'>\
            <meta property='article:published_time' content='2024-01-31T10:00:00Z'>\
            <meta name=labels content='staff, board'><style>p { x: y }</style></head><body>\
            <nav><a href=/>Home</a><nav>x</nav></nav><h1>First <em>part</em></h1><p>One&nbsp;<b>two</b>three\n four<br>five\
            <script>if (a < b) { document.write('<h1>no</h1>') }</script>\
            <ul><li>a<li>b</ul><h2></h2><h2>Second</h2><pre>x\n  y</pre>\
            <table><tr><th>k<th>v<tr><td>1</td><td>2</td></table><img alt='a picture'></body>";
        let source = read(html.as_bytes()).expect("a page");
        let text = "# First part\n\nOne twothree four\nfive\n\n- a\n- b\n\n## Second\n\n```\nx\n  y\n```\n\n\
                    k | v\n1 | 2\n\na picture";
        assert_eq!(source.text, text);
        let outline: Vec<(usize, usize, &str)> = source
            .outline
            .iter()
            .map(|heading| (heading.start, heading.level, heading.text.as_str()))
            .collect();
        assert_eq!(outline, [(0, 1, "First part"), (text.find("## S").expect("there"), 2, "Second")]);
        let metadata = source.metadata;
        assert_eq!(metadata.title.as_deref(), Some("A & B guide"));
        assert_eq!((metadata.author.as_deref(), metadata.labels.len()), (Some("C D"), 2));
        assert_eq!(metadata.time.as_deref(), Some("2024-01-31T10:00:00Z"));
    }

    #[test]
    fn words_are_whole_wherever_they_may_be_divided() {
        let html = "<title>Infor&shy;mation</title><p>retrie&shy;val&shy; of <b>docu&#173;</b>ments";
        let page = read(html.as_bytes()).expect("a page");
        assert_eq!(page.text, "retrieval of documents");
        assert_eq!(page.metadata.title.as_deref(), Some("Information"));
    }

    #[test]
    fn encodings_are_those_that_pages_say() {
        let latin = b"<meta charset=\"iso-8859-1\"><p>caf\xe9";
        assert_eq!(read(latin).expect("a page").text, "caf\u{e9}");
        assert_eq!(read(b"<p>caf\xe9").expect_err("no page"), Skip::NotUtf8 { offset: 6 });
        assert_eq!(read(b"\xff\xfe<\0p\0>\0x\0").expect("UTF-16").text, "x");
    }

    #[test]
    fn nesting_and_missing_ends_cost_no_more_than_their_bytes() {
        let deep = "<div><b a=1><table>".repeat(100_000);
        let began = std::time::Instant::now();
        assert_eq!(read(format!("{deep}end").as_bytes()).expect("a page").text, "end");
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        let long = read(format!("<h1>{}</h1>text", "long ".repeat(100_000)).as_bytes()).expect("a page");
        assert_eq!(long.outline[0].text.chars().count(), 199, "each chunk carries its headings");
        for cut in ["<", "<a", "<a b='", "<!--", "<script>x", "&#x110000;", "&#0;", "<svg><![CDATA["] {
            read(cut.as_bytes()).expect(cut);
        }
    }
}
