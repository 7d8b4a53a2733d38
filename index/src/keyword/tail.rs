//! Documents that no commit covers yet, in memory: immutable inverted blocks, merged like a binary counter, so
//! that publishing one more document is cheap and a query visits O(log n) blocks.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::tokenizer::TokenStream;
use types::Version;

use super::layout::Column;
use super::words::{Analysis, GAP};

/// Documents and their terms. Never changes once it is shared.
#[derive(Clone, Default)]
pub(super) struct TailBlock {
    /// Ascending.
    versions: Vec<Version>,
    /// Terms of each document by column, document after document.
    lengths: Vec<u32>,
    /// By column.
    terms: Vec<HashMap<Arc<str>, Vec<Posting>>>,
    /// Of all postings.
    positions: Vec<u32>,
    /// The words as they stand, where the terms are stems, and in how many documents.
    words: HashMap<Arc<str>, u32>,
}

/// A term in a document.
#[derive(Clone, Copy)]
pub(super) struct Posting {
    /// The document's place in the block.
    pub(super) document: u32,
    pub(super) count: u32,
    start: u32,
}

impl TailBlock {
    pub(super) fn new(columns: usize) -> Self {
        Self { terms: vec![HashMap::new(); columns], ..Self::default() }
    }

    /// Adds a document: one text for each path.
    pub(super) fn add(&mut self, version: Version, texts: &[Box<str>], analysis: &mut Analysis) {
        let document = self.versions.len() as u32;
        let mut found: Vec<HashMap<Arc<str>, Vec<u32>>> = vec![HashMap::new(); self.terms.len()];
        let mut base = 0;
        for (path, text) in texts.iter().enumerate() {
            let mut end = 0;
            analysis.terms.token_stream(text).process(&mut |token| {
                let at = token.position as u32;
                end = at + 1;
                let term: Arc<str> = match found[0].get_key_value(token.text.as_str()) {
                    Some((term, _)) => Arc::clone(term),
                    None => token.text.as_str().into(),
                };
                if let Some(of_path) = found.get_mut(1 + path) {
                    of_path.entry(Arc::clone(&term)).or_default().push(at);
                }
                found[0].entry(term).or_default().push(base + at);
            });
            base += end + GAP as u32;
        }
        for (column, found) in found.into_iter().enumerate() {
            self.lengths.push(found.values().map(|places| places.len() as u32).sum());
            for (term, places) in found {
                let start = self.positions.len() as u32;
                let posting = Posting { document, count: places.len() as u32, start };
                self.positions.extend(places);
                self.terms[column].entry(term).or_default().push(posting);
            }
        }
        self.add_words(texts, analysis);
        self.versions.push(version);
    }

    fn add_words(&mut self, texts: &[Box<str>], analysis: &mut Analysis) {
        let Some(analyzer) = &mut analysis.words else { return };
        let mut words = std::collections::HashSet::new();
        for text in texts {
            analyzer.token_stream(text).process(&mut |token| {
                if !words.contains(token.text.as_str()) {
                    words.insert(Arc::<str>::from(token.text.as_str()));
                }
            });
        }
        for word in words {
            *self.words.entry(word).or_default() += 1;
        }
    }

    fn merge(&self, next: &Self) -> Self {
        let mut merged = self.clone();
        let (documents, start) = (self.versions.len() as u32, self.positions.len() as u32);
        let moved = |posting: &Posting| Posting {
            document: posting.document + documents,
            start: posting.start + start,
            ..*posting
        };
        for (terms, next) in merged.terms.iter_mut().zip(&next.terms) {
            for (term, more) in next {
                terms.entry(Arc::clone(term)).or_default().extend(more.iter().map(moved));
            }
        }
        for (word, count) in &next.words {
            *merged.words.entry(Arc::clone(word)).or_default() += count;
        }
        merged.versions.extend(&next.versions);
        merged.lengths.extend(&next.lengths);
        merged.positions.extend(&next.positions);
        merged
    }

    /// How many documents it has.
    pub(super) fn documents(&self) -> usize {
        self.versions.len()
    }

    pub(super) fn version(&self, document: u32) -> Version {
        self.versions[document as usize]
    }

    /// Terms of a document in a column.
    pub(super) fn length(&self, document: u32, column: Column) -> u32 {
        self.lengths[document as usize * self.terms.len() + column]
    }

    pub(super) fn postings(&self, column: Column, term: &str) -> &[Posting] {
        self.terms[column].get(term).map_or(&[], Vec::as_slice)
    }

    pub(super) fn positions(&self, posting: &Posting) -> &[u32] {
        &self.positions[posting.start as usize..][..posting.count as usize]
    }

    /// Words as they stand, and about how many documents have each.
    pub(super) fn each_word(&self, has_stems: bool, visit: &mut dyn FnMut(&str, u64)) {
        if has_stems {
            self.words.iter().for_each(|(word, count)| visit(word, u64::from(*count)));
        } else {
            self.terms[0].iter().for_each(|(term, postings)| visit(term, postings.len() as u64));
        }
    }
}

/// Appends a block, merging it with those before it that are no larger.
pub(super) fn carry(blocks: &mut Vec<Arc<TailBlock>>, mut block: TailBlock) {
    while let Some(last) = blocks.last()
        && last.documents() <= block.documents()
    {
        block = last.merge(&block);
        blocks.pop();
    }
    blocks.push(Arc::new(block));
}
