//! The headings of a Markdown text and the path of headings above a place in it.
//!
//! A parser finds them (pulldown-cmark), because `#` in a code block and `---` under a front matter are no headings.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Between the headings of a path.
pub(crate) const SEPARATOR: &str = " > ";

/// A heading, or the first line of a definition in source code, and where what it heads starts and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Byte offset of its first character, marks included.
    pub(crate) start: usize,
    /// Byte offset behind what it heads; the next heading of its level or above ends that too.
    pub(crate) end: usize,
    /// 1 for the highest.
    pub(crate) level: usize,
    /// Its text without marks, on one line. Never empty.
    pub(crate) text: String,
}

/// Characters of a heading that are kept: each chunk below it carries them.
const HEADING_CHARS_MAX: usize = 200;

impl Heading {
    /// With no more of its text than is kept.
    pub(crate) fn cut(mut self) -> Self {
        if let Some((end, _)) = self.text.char_indices().nth(HEADING_CHARS_MAX) {
            self.text.truncate(self.text[..end].trim_end().len());
        }
        self
    }
}

/// All headings that have a text, in order.
pub(crate) fn headings(markdown: &str) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut open: Option<Heading> = None;
    let mut options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_HEADING_ATTRIBUTES;
    // Further behind these marks are text.
    options.set(Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS, markdown.starts_with("+++"));
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::Heading { level, .. }), _) => {
                let (start, level) = (range.start, level as usize);
                open = Some(Heading { start, end: usize::MAX, level, text: String::new() });
            }
            (Event::End(TagEnd::Heading(_)), _) => {
                found.extend(open.take().and_then(tidy));
            }
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.text.push_str(&text),
            (Event::SoftBreak | Event::HardBreak, Some(heading)) => heading.text.push(' '),
            _ => {}
        }
    }
    found
}

/// The headings that the character at `at` lies under, outermost first: of every level the last one that starts there
/// or before, unless a higher one followed it, or it has ended.
pub(crate) fn path(headings: &[Heading], at: usize) -> Vec<&str> {
    let before = headings.partition_point(|heading| heading.start <= at);
    let mut level = usize::MAX;
    let mut path = Vec::new();
    for heading in headings[..before].iter().rev() {
        if heading.level < level {
            level = heading.level;
            path.extend((at < heading.end).then_some(heading.text.as_str()));
        }
        if level == 1 {
            break;
        }
    }
    path.reverse();
    path
}

fn tidy(mut heading: Heading) -> Option<Heading> {
    heading.text = heading.text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!heading.text.is_empty()).then(|| heading.cut())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_levels_and_ignore_code_and_front_matter() {
        let text = "---\ntitle: x\n---\n\n# A *b*\n\n```\n# no\n```\n\n## B\n\ntext\n\nSetext `c`\n---\n\n#\n\n# D\n### E\n";
        let found = headings(text);
        let names: Vec<(usize, &str)> =
            found.iter().map(|found| (found.level, found.text.as_str())).collect();
        assert_eq!(names, [(1, "A b"), (2, "B"), (2, "Setext c"), (1, "D"), (3, "E")]);
        let at = |needle: &str| path(&found, text.find(needle).expect(needle));
        assert!(at("title").is_empty());
        assert_eq!(at("# no"), ["A b"]);
        assert_eq!(at("text"), ["A b", "B"]);
        assert_eq!(at("Setext"), ["A b", "Setext c"]);
        assert_eq!(path(&found, text.len()), ["D", "E"]);
    }

    #[test]
    fn comments_of_toml_are_no_headings() {
        let found = headings("+++\n# no\ntitle = 'x'\n+++\n# A\n");
        assert_eq!(found.iter().map(|found| found.text.as_str()).collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn a_heading_of_megabytes_is_not_repeated_in_each_chunk_below_it() {
        let found = headings(&format!("# {}\n\ntext\n", "long ".repeat(100_000)));
        assert_eq!(found[0].text, "long ".repeat(40).trim_end());
    }
}
