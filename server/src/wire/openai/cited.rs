//! Citations as clients show them: with an address that opens the place, and the bytes and the hash that prove it.

use std::ops::Range;

use rag::answer::inert;
use rag::{Citation, Passage};
use serde_json::{Value, json};

use crate::address::encoded;

/// Where places in documents of a collection are opened.
pub(crate) struct Places<'a> {
    /// The server, as the client reaches it.
    pub(crate) base: &'a str,
    pub(crate) collection: &'a str,
}

impl Places<'_> {
    /// The address of a place: the document's own, or that of its bytes here.
    pub(crate) fn url(&self, passage: &Passage, span: &Range<usize>) -> String {
        let Self { base, collection } = self;
        passage.about.url.clone().unwrap_or_else(|| {
            format!(
                "{base}/api/v1/collections/{}/sources/{}?start={}&end={}&hash={}",
                encoded(collection),
                passage.source,
                span.start,
                span.end,
                passage.hash
            )
        })
    }

    /// `url_citation`, what chats show.
    pub(crate) fn url_citation(&self, documents: &[Passage], citation: &Citation) -> Value {
        let passage = &documents[citation.passage];
        json!({
            "type": "url_citation",
            "url_citation": {
                "url": self.url(passage, &citation.span), "title": passage.title(),
                "start_index": citation.at.start, "end_index": citation.at.end,
            },
        })
    }

    /// Everything that proves a citation.
    pub(crate) fn proof(&self, documents: &[Passage], citation: &Citation) -> Value {
        let passage = &documents[citation.passage];
        let from = citation.span.start.saturating_sub(passage.span.start);
        let quote = passage.text.get(from..from + citation.span.len()).unwrap_or_default();
        json!({
            "number": citation.passage + 1, "start_index": citation.at.start, "end_index": citation.at.end,
            "claim": {"start_index": citation.claim.start, "end_index": citation.claim.end},
            "source": citation.source.to_string(), "path": passage.about.path, "hash": citation.hash,
            "start": citation.span.start, "end": citation.span.end, "quote": quote,
        })
    }
}

/// The list of what is cited, behind an answer: for clients that show no annotations.
pub(crate) fn list(cited: &[(usize, &Passage)]) -> String {
    if cited.is_empty() {
        return String::new();
    }
    // A title with lines of its own would list what is not cited, and one with a picture would load it.
    let plain = |text: &str| inert(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let line =
        |(number, passage): &(usize, &Passage)| match (plain(&passage.about.path), plain(passage.title())) {
            (path, title) if path.is_empty() || path == title => format!("\n[{number}] {title}"),
            (path, title) => format!("\n[{number}] {title} ({path})"),
        };
    format!("\n\nSources:{}", cited.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use rag::answer::About;

    use super::*;

    #[test]
    fn a_title_is_one_line_of_the_list() {
        let passage = |path: &str, title: &str| Passage {
            source: 1.into(),
            about: About { path: path.into(), title: title.into(), ..About::default() },
            hash: String::new(),
            span: 0..0,
            text: String::new(),
            score: 1.0,
            similarity: None,
        };
        let (a, b) = (passage("a.md", "A\n[2]  false"), passage("b.md", ""));
        assert_eq!(list(&[(1, &a), (3, &b)]), "\n\nSources:\n[1] A [2] false (a.md)\n[3] b.md");
        let picture = passage("c.md", "![x](https://x.example)");
        assert_eq!(list(&[(1, &picture)]), "\n\nSources:\n[1] !\\[x](https://x.example) (c.md)");
        assert_eq!(list(&[]), "");
    }
}
