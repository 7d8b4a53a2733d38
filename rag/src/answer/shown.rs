//! What a chat would load by itself, shown as text.
//!
//! Interfaces of chats show answers as Markdown, and load the pictures that stand in it. A document may order a model
//! to write one whose address holds what was asked, or what other documents say: to show it is to send that away. So
//! a picture is shown as its marks, and so is an element of HTML with attributes, or one that loads by what stands in
//! it. A link stays one: nobody follows it but who reads it.
//!
//! Invariant: what is made of each piece of a text, put together, holds nothing that loads either, if no piece begins
//! within `![` or within the name of an element: sentences don't. It is not asked whether a mark is one where it
//! stands: without its end it is broken up all the same. In code nothing loads; but only where every reader of Markdown
//! takes it for code ([`Fences`]) may it stay as it is.

/// A text in which nothing loads by itself.
pub fn inert(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(['[', '<']) {
        let (before, found) = rest.split_at(at);
        let (mark, after) = found.split_at(1);
        out.push_str(before);
        out.push_str(match mark {
            "[" if before.ends_with('!') => "\\[",
            "<" if is_element(after) => "< ",
            mark => mark,
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where the first thing begins in a text that a chat would load by itself. The text is whole: a picture without an
/// address is none, such as the brackets of a macro.
pub(super) fn loading(text: &str) -> Option<usize> {
    let has_address = |text: &str| ["](", "][", "]:"].iter().any(|mark| text.contains(mark));
    let picture = text.match_indices("![").find(|(at, _)| has_address(&text[*at..]));
    let element = text.match_indices('<').find(|(at, _)| is_element(&text[at + 1..]));
    picture.into_iter().chain(element).map(|(at, _)| at).min()
}

/// Which pieces of a text are code between fences.
///
/// Readers of Markdown differ in what they take for a fence that is indented, in a quote or a list, made of `~`, or
/// near HTML, mathematics and odd ends of lines. Once one of these has come, nothing counts as code.
#[derive(Default)]
pub(super) struct Fences {
    /// The line as far as it has come.
    line: String,
    /// How many signs opened the fence, where one is open.
    open: Option<usize>,
    is_unsure: bool,
}

impl Fences {
    /// Whether a piece that would come next, of one line, is code.
    pub(super) fn are_around(&self, piece: &str) -> bool {
        self.open.is_some() && !has_fence(without_end(&format!("{}{piece}", self.line)))
    }

    /// Goes on behind a piece.
    pub(super) fn pass(&mut self, piece: &str) {
        for part in piece.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.end(without_end(&line));
            }
        }
    }

    fn end(&mut self, line: &str) {
        let line = line.trim_end_matches([' ', '\t']);
        let signs = line.len() - line.trim_start_matches('`').len();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '_' | '.' | ' ');
        match self.open {
            _ if self.is_unsure => {}
            Some(count) if has_fence(line) => {
                self.open = None;
                self.is_unsure = signs < count || signs < line.len();
            }
            Some(_) => {}
            None if signs >= 3 && line[signs..].chars().all(is_word) => self.open = Some(signs),
            None => self.is_unsure = may_hide_fence(line),
        }
    }
}

/// A line without its end.
fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// Whether some reader may see a fence in a line, or several lines, one of which has it.
fn has_fence(line: &str) -> bool {
    let is_end = |c: char| c != '\t' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    line.contains("```") || line.contains("~~~") || line.contains(is_end)
}

/// Whether what follows a line that opens no fence may be no code between fences, though it looks so.
fn may_hide_fence(line: &str) -> bool {
    let is_within =
        |c: char| c.is_whitespace() || c.is_ascii_digit() || matches!(c, '>' | '-' | '*' | '+' | '.' | ')');
    let is_of_html = line.trim_start_matches(is_within).starts_with('<') || line.contains("<!");
    has_fence(line) || is_of_html || line.contains('\\') || line.contains("$$")
}

/// Elements that load without an attribute.
const LOADING: [&str; 2] = ["style", "script"];

/// Whether a text behind `<` is an element with attributes, or one of [`LOADING`], as far as it goes.
fn is_element(text: &str) -> bool {
    let name = text.len() - text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-').len();
    let rest = &text[name..];
    let is_named = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on = rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '/');
    let is_bare = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/').starts_with('>');
    let loads = LOADING.iter().any(|known| text[..name].eq_ignore_ascii_case(known));
    is_named && if is_bare { loads } else { goes_on }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_loads_by_itself() {
        for (text, expected) in [
            ("See ![a](https://x.example/?q=b) there.", "See !\\[a](https://x.example/?q=b) there."),
            ("![`]`](u) x![b][c] ![d]", "!\\[`]`](u) x!\\[b][c] !\\[d]"),
            ("![a.", "!\\[a."),
            ("<img src=x> <IMG/src=x> <img\nsrc=x>", "< img src=x> < IMG/src=x> < img\nsrc=x>"),
            ("<div style='background:url(x)'>", "< div style='background:url(x)'>"),
            ("<style>@import url(x)</style> <SCRIPT >", "< style>@import url(x)</style> < SCRIPT >"),
            ("<x-y z", "< x-y z"),
            ("<img", "< img"),
        ] {
            assert_eq!(inert(text), expected);
            assert_eq!(inert(expected), expected, "once is enough");
        }
    }

    #[test]
    fn what_would_load_is_found_where_it_begins() {
        for (text, expected) in [
            ("a ![b](c) <img d>", Some(2)),
            ("a <img d> ![b](c)", Some(2)),
            ("vec![1, 2] and ![b][c]", Some(3)),
            ("vec![1, 2], [a](b), <b>", Some(3)),
            ("vec![1, 2], a[1], <b>", None),
        ] {
            assert_eq!(loading(text), expected, "{text}");
        }
    }

    fn code(text: &str) -> Vec<&str> {
        let mut fences = Fences::default();
        let is_code = |line: &&str| {
            let is_code = fences.are_around(line);
            fences.pass(line);
            is_code
        };
        text.split_inclusive('\n').filter(is_code).collect()
    }

    #[test]
    fn code_stands_between_fences() {
        assert_eq!(code("a\n```rust\nb\n\nc [1]\n``` \nd\n```\ne"), ["b\n", "\n", "c [1]\n", "e"]);
        assert_eq!(code("````c++\r\na\r\n````\r\nb\n"), ["a\r\n"]);
        let mut fences = Fences::default();
        ["```", "js\n", "a. "].iter().for_each(|piece| fences.pass(piece));
        assert!(fences.are_around("b") && !fences.are_around("```"));
    }

    /// In each of them some reader sees the picture.
    #[test]
    fn what_some_reader_takes_for_no_code_is_none() {
        for before in [
            "~~~\n```\n~~~\n",
            "- ```\n```\n",
            "    ```\n```\n",
            "1. a\n\n   ```\n",
            "````\n```\n",
            "```\n```a\n",
            "``` `a\n```\n",
            "<div>\n```\n\n",
            "> <pre>\n```\n",
            "a <!--\n```\n-->\n",
            "$$\n```\n$$\n",
            "\\[\n```\n\\]\n",
            "```\na\r```\rb\n",
            "```\na\u{2028}",
        ] {
            let text = format!("{before}![x](u)\n");
            assert!(code(&text).iter().all(|line| !line.contains("![")), "{text}");
        }
    }

    #[test]
    fn what_loads_nothing_stays_as_it_is() {
        for text in [
            "[a link](https://x.example), <https://x.example>, <a@x.example>, wow! [1]",
            "a < b, Map<String, Vec<u8>>, x<y, a[1], **b**, <b>bold</b>, <br>, <br />, </p >, <styled>",
            "Größe < 3 und <ä b>",
            "",
        ] {
            assert_eq!(inert(text), text);
        }
    }
}
