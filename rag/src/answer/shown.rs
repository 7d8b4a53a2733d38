//! What a chat would load by itself, shown as text.
//!
//! Interfaces of chats show answers as Markdown, and load the pictures that stand in it. A document may order a model
//! to write one whose address holds what was asked, or what other documents say: to show it is to send that away. So
//! a picture is shown as its marks, and so is an element of HTML with attributes. A link stays one: nobody follows it
//! but who reads it.
//!
//! Invariant: what is made of each piece of a text, put together, holds nothing that loads either, if no piece begins
//! within `![` or within the name of an element: sentences don't. It is not asked whether a mark is one where it
//! stands: in code, or without its end, it is broken up all the same.

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

/// Whether a text behind `<` is an element with attributes, as far as it goes.
fn is_element(text: &str) -> bool {
    let name = text.len() - text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-').len();
    let rest = &text[name..];
    let is_named = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let goes_on = rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || c == '/');
    let is_bare = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/').starts_with('>');
    is_named && goes_on && !is_bare
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

    #[test]
    fn what_loads_nothing_stays_as_it_is() {
        for text in [
            "[a link](https://x.example), <https://x.example>, <a@x.example>, wow! [1]",
            "a < b, Map<String, Vec<u8>>, x<y, a[1], **b**, <b>bold</b>, <br>, <br />, </p >",
            "Größe < 3 und <ä b>",
            "",
        ] {
            assert_eq!(inert(text), text);
        }
    }
}
