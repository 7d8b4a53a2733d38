//! Where the words of a question stand in a text: by the same analysis as that of the index, so that what is marked is
//! what was found.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use tantivy::tokenizer::TokenStream;

use super::asked::Kind;
use super::phrase::Phrase;
use super::words::Analysis;

/// Finds the words of one question.
pub struct Marker {
    terms: HashSet<Arc<str>>,
    phrases: Vec<Phrase>,
    analysis: Analysis,
}

impl Marker {
    pub(super) fn new(kinds: Vec<Kind>, analysis: Analysis) -> Self {
        let (mut terms, mut phrases) = (HashSet::new(), Vec::new());
        for kind in kinds {
            match kind {
                Kind::Terms(own) => terms.extend(own.into_iter().map(|(term, _)| term)),
                Kind::Phrase(phrase) => phrases.push(phrase),
            }
        }
        Self { terms, phrases, analysis }
    }

    /// The bytes of each word in one value that the question asks for, ascending; those of a phrase only where all of
    /// it stands. Of a word and its parts, the word.
    pub fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        let mut places: HashMap<String, Vec<u32>> = HashMap::new();
        let mut bytes: HashMap<u32, Range<usize>> = HashMap::new();
        let of_phrases: HashSet<&Arc<str>> = self.phrases.iter().flat_map(|phrase| &phrase.terms).collect();
        self.analysis.terms.clone().token_stream(text).process(&mut |token| {
            let span = token.offset_from..token.offset_to;
            if self.terms.contains(token.text.as_str()) {
                spans.push(span.clone());
            }
            if of_phrases.iter().any(|term| ***term == *token.text) {
                places.entry(token.text.clone()).or_default().push(token.position as u32);
                bytes.insert(token.position as u32, span);
            }
        });
        for phrase in &self.phrases {
            let positions = phrase.terms.iter().map(|term| places.get(&**term).cloned().unwrap_or_default());
            let positions: Vec<Vec<u32>> = positions.collect();
            phrase.each(&positions, &mut |chain| {
                spans.extend(chain.iter().filter_map(|place| bytes.get(place).cloned()));
            });
        }
        spans.sort_by_key(|span| (span.start, Reverse(span.end)));
        let mut end = 0;
        spans.retain(|span| {
            let is_new = span.start >= end;
            end = end.max(span.end);
            is_new
        });
        spans
    }
}
