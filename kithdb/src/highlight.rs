//! What was found in the texts of hits: fragments, with the words of the question marked.
//!
//! Words are found by the analysis of the keyword index: stems, phrases, beginnings and spellings are marked where the
//! query found them. Only payloads of the final hits are read, and analysed anew.

use std::collections::BTreeMap;
use std::ops::Range;

use index::Marker;
use query::{Query, Request, View};
use types::{Error, FieldPath, KeywordQuery, Payload, Result};

use crate::derived::texts;

/// Which texts of hits are shown, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Highlight {
    /// The fields; all of the keyword index where there are none.
    pub fields: Vec<FieldPath>,
    /// Fragments of a field, at most; those with the most words that were found.
    pub fragments: usize,
    /// Characters of a fragment, about: it ends where words do.
    pub fragment_chars: usize,
    /// Stands before each word that was found.
    pub pre_tag: String,
    /// Stands behind it.
    pub post_tag: String,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which string of the field it is of, from 0.
    pub value: usize,
    /// Where it begins there, in bytes.
    pub start: usize,
    /// The part, with tags.
    pub text: String,
    /// The words that were found, in bytes of the string.
    pub spans: Vec<Range<usize>>,
}

/// Fragments by field; fields without any are left out.
pub type Fragments = BTreeMap<FieldPath, Vec<Fragment>>;

const FRAGMENTS_MAX: usize = 1_000;

/// Characters of a tag: it stands beside every word that was found.
const TAG_CHARS_MAX: usize = 256;

impl Default for Highlight {
    fn default() -> Self {
        let (pre_tag, post_tag) = ("<em>".to_owned(), "</em>".to_owned());
        Self { fields: Vec::new(), fragments: 3, fragment_chars: 160, pre_tag, post_tag }
    }
}

/// What marks the texts of one question.
pub(crate) struct Highlighter<'a> {
    highlight: &'a Highlight,
    /// With the fields that they were asked in.
    markers: Vec<(Vec<FieldPath>, Marker)>,
}

impl<'a> Highlighter<'a> {
    /// What marks the words of a request, which was checked.
    ///
    /// # Errors
    /// `InvalidArgument` where it asks for no words, or for fields without; when the keyword index cannot be read.
    pub(crate) fn of(highlight: &'a Highlight, request: &Request, view: &View) -> Result<Self> {
        let mut queries = Vec::new();
        gather(request, &mut queries);
        let (Some(index), Some(keyword), false) =
            (&view.entry.schema.keyword, &view.keyword, queries.is_empty())
        else {
            let message = "is asked for, but no part of the query asks for words; add a `keyword` query";
            return Err(Error::invalid("highlight", message));
        };
        for (at, path) in highlight.fields.iter().enumerate() {
            if !index.paths.contains(path) {
                let known: Vec<String> = index.paths.iter().map(|path| format!("`{path}`")).collect();
                let message = format!("`{path}` is not in the keyword index, which has {}", known.join(", "));
                return Err(Error::invalid(format!("highlight.fields[{at}]"), message));
            }
        }
        if highlight.fragments == 0 || highlight.fragments > FRAGMENTS_MAX {
            return Err(Error::invalid("highlight.fragments", format!("must be 1 to {FRAGMENTS_MAX}")));
        }
        if highlight.fragment_chars == 0 {
            return Err(Error::invalid("highlight.fragment_chars", "is 0; a fragment has characters"));
        }
        for (field, tag) in [("pre_tag", &highlight.pre_tag), ("post_tag", &highlight.post_tag)] {
            let chars = tag.chars().count();
            if chars > TAG_CHARS_MAX {
                let (field, what) = (format!("highlight.{field}"), "the number of characters");
                return Err(Error::limit(field, what, chars, TAG_CHARS_MAX));
            }
        }
        let mut markers = Vec::with_capacity(queries.len());
        for query in queries {
            let fields = query.fields.iter().map(|(path, _)| path.clone()).collect();
            markers.push((fields, keyword.marker(query)?));
        }
        Ok(Self { highlight, markers })
    }

    /// The fragments of a payload.
    pub(crate) fn fragments(&self, view: &View, payload: &Payload) -> Fragments {
        let Some(index) = &view.entry.schema.keyword else { return Fragments::new() };
        let is_shown =
            |path: &FieldPath| self.highlight.fields.is_empty() || self.highlight.fields.contains(path);
        let paths = index.paths.iter().zip(texts(index, payload)).filter(|(path, _)| is_shown(path));
        let of_path = |(path, texts): (&FieldPath, Vec<&str>)| {
            let fragments = self.of_texts(path, &texts);
            (!fragments.is_empty()).then(|| (path.clone(), fragments))
        };
        paths.filter_map(of_path).collect()
    }

    fn of_texts(&self, path: &FieldPath, texts: &[&str]) -> Vec<Fragment> {
        let asked = self.markers.iter().filter(|(fields, _)| fields.is_empty() || fields.contains(path));
        let markers: Vec<&Marker> = asked.map(|(_, marker)| marker).collect();
        let mut windows = Vec::new();
        for (value, text) in texts.iter().enumerate() {
            let mut spans: Vec<Range<usize>> = markers.iter().flat_map(|marker| marker.spans(text)).collect();
            spans.sort_by_key(|span| span.start);
            spans.dedup();
            for window in windows_of(text, &spans, self.highlight.fragment_chars) {
                let within = |span: &&Range<usize>| window.start <= span.start && span.end <= window.end;
                let spans: Vec<Range<usize>> = spans.iter().filter(within).cloned().collect();
                windows.push((value, window, spans));
            }
        }
        // The best, and then in the order of the text.
        windows.sort_by_key(|window| std::cmp::Reverse(window.2.len()));
        windows.truncate(self.highlight.fragments);
        windows.sort_by_key(|(value, window, _)| (*value, window.start));
        let fragment = |(value, window, spans): (usize, Range<usize>, Vec<Range<usize>>)| {
            let (start, text) = (window.start, self.tagged(texts[value], window, &spans));
            Fragment { value, start, text, spans }
        };
        windows.into_iter().map(fragment).collect()
    }

    fn tagged(&self, text: &str, window: Range<usize>, spans: &[Range<usize>]) -> String {
        let mut tagged = String::new();
        let mut at = window.start;
        for span in spans {
            tagged.push_str(&text[at..span.start]);
            tagged.push_str(&self.highlight.pre_tag);
            tagged.push_str(&text[span.clone()]);
            tagged.push_str(&self.highlight.post_tag);
            at = span.end;
        }
        tagged.push_str(&text[at..window.end]);
        tagged
    }
}

fn gather<'a>(request: &'a Request, queries: &mut Vec<&'a KeywordQuery>) {
    if let Query::Keyword(query) = &request.query {
        queries.push(query);
    }
    request.prefetch.iter().for_each(|leg| gather(leg, queries));
}

/// Windows of about so many characters around words, disjoint, in the order of the text: each begins a little before
/// the first word that the one before it does not have.
fn windows_of(text: &str, spans: &[Range<usize>], chars: usize) -> Vec<Range<usize>> {
    let mut windows: Vec<Range<usize>> = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        let before = windows.last().map_or(0, |window| window.end);
        if span.start < before {
            continue;
        }
        let reach = forward(text, span.start, chars);
        let group = spans[at..].iter().take_while(|span| span.end <= reach);
        let last = group.last().map_or(span.end, |span| span.end);
        // What the words leave is shared by both sides.
        let room = chars.saturating_sub(text[span.start..last].chars().count());
        let start = backward(text, span.start, room / 2).max(before);
        let rest = room - text[start..span.start].chars().count().min(room);
        let end = forward(text, last, rest);
        let next = spans.iter().find(|span| span.start >= last).map_or(text.len(), |span| span.start);
        windows.push(at_words(text, start..end.min(next), span.start..last, before));
    }
    windows
}

/// So many characters further on.
fn forward(text: &str, from: usize, chars: usize) -> usize {
    text[from..].char_indices().nth(chars).map_or(text.len(), |(at, _)| from + at)
}

/// So many characters back.
fn backward(text: &str, from: usize, chars: usize) -> usize {
    if chars == 0 {
        return from;
    }
    text[..from].char_indices().rev().nth(chars - 1).map_or(0, |(at, _)| at)
}

/// A window that cuts no word at its ends, where it can be cut shorter; it keeps `inner`.
fn at_words(text: &str, window: Range<usize>, inner: Range<usize>, before: usize) -> Range<usize> {
    let is_within = |at: usize| {
        let (left, right) = (text[..at].chars().next_back(), text[at..].chars().next());
        left.is_some_and(char::is_alphanumeric) && right.is_some_and(char::is_alphanumeric)
    };
    let mut start = window.start;
    if start > before && is_within(start) {
        let cut = text[start..inner.start].find(|c: char| !c.is_alphanumeric());
        start = cut.map_or(inner.start, |cut| start + cut);
    }
    let mut end = window.end;
    if is_within(end) {
        end = text[inner.end..end]
            .rfind(|c: char| !c.is_alphanumeric())
            .map_or(inner.end, |cut| inner.end + cut);
    }
    let start = start + (text[start..inner.start].len() - text[start..inner.start].trim_start().len());
    start..inner.end + text[inner.end..end].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_keep_whole_words_and_all_spans() {
        let text = "Ein Über-Fuchs jagt im Wald, und ein zweiter Fuchs schläft. Der dritte Fuchs fehlt.";
        let spans: Vec<Range<usize>> = text.match_indices("Fuchs").map(|(at, _)| at..at + 5).collect();
        for chars in 1..100 {
            let windows = windows_of(text, &spans, chars);
            let mut end = 0;
            for window in &windows {
                assert!(window.start >= end && text.is_char_boundary(window.start), "{chars} {windows:?}");
                end = window.end;
            }
            let has = |span: &Range<usize>| {
                windows.iter().any(|window| window.start <= span.start && span.end <= window.end)
            };
            assert!(spans.iter().all(has), "{chars} {windows:?}");
        }
        let shown = |chars| -> Vec<&str> {
            windows_of(text, &spans, chars).into_iter().map(|window| &text[window]).collect()
        };
        assert_eq!(shown(1), ["Fuchs", "Fuchs", "Fuchs"]);
        assert_eq!(shown(1_000), [text]);
        assert_eq!(shown(16), ["Über-Fuchs jagt", "Fuchs", "Fuchs fehlt"]);
        assert!(windows_of(text, &[], 9).is_empty());
    }
}
