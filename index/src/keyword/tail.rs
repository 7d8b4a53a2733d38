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
    /// The terms, each with its number.
    terms: HashMap<Arc<str>, usize>,
    /// By column, then by the number of the term.
    postings: Vec<Vec<Vec<Posting>>>,
    /// Of all postings.
    positions: Vec<u32>,
    /// The words as they stand, where the terms are stems.
    words: HashMap<Arc<str>, Word>,
}

/// A word as it stands.
#[derive(Clone, Copy)]
struct Word {
    /// How many documents have it.
    documents: u32,
    /// The last of them.
    last: u32,
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
        Self { postings: vec![Vec::new(); columns], ..Self::default() }
    }

    /// Adds a document: one text for each path. Its terms by column.
    pub(super) fn add(&mut self, version: Version, texts: &[Box<str>], analysis: &mut Analysis) -> &[u32] {
        // (number, position) of every term, by column.
        let mut found: Vec<Vec<(usize, u32)>> = vec![Vec::new(); self.postings.len()];
        let mut base = 0;
        for (path, text) in texts.iter().enumerate() {
            let mut end = 0;
            analysis.terms.token_stream(text).process(&mut |token| {
                let at = token.position as u32;
                end = at + 1;
                let number = numbered(&mut self.terms, &token.text);
                if let Some(of_path) = found.get_mut(1 + path) {
                    of_path.push((number, at));
                }
                found[0].push((number, base + at));
            });
            base += end + GAP as u32;
        }
        let document = self.versions.len() as u32;
        let lengths = self.lengths.len();
        for (column, mut found) in found.into_iter().enumerate() {
            self.lengths.push(found.len() as u32);
            found.sort_unstable();
            let postings = &mut self.postings[column];
            postings.resize_with(self.terms.len(), Vec::new);
            for places in found.chunk_by(|a, b| a.0 == b.0) {
                let start = self.positions.len() as u32;
                self.positions.extend(places.iter().map(|(_, at)| *at));
                postings[places[0].0].push(Posting { document, count: places.len() as u32, start });
            }
        }
        self.add_words(document, texts, analysis);
        self.versions.push(version);
        &self.lengths[lengths..]
    }

    fn add_words(&mut self, document: u32, texts: &[Box<str>], analysis: &mut Analysis) {
        let Some(analyzer) = &mut analysis.words else { return };
        for text in texts {
            analyzer.token_stream(text).process(&mut |token| match self.words.get_mut(token.text.as_str()) {
                Some(word) if word.last == document => {}
                Some(word) => *word = Word { documents: word.documents + 1, last: document },
                None => {
                    self.words.insert(token.text.as_str().into(), Word { documents: 1, last: document });
                }
            });
        }
    }

    /// Gives its documents their versions, ascending.
    pub(super) fn set_versions(&mut self, versions: Vec<Version>) {
        debug_assert_eq!(versions.len(), self.versions.len());
        self.versions = versions;
    }

    fn merge(&self, next: &Self) -> Self {
        let mut merged = self.clone();
        merged.absorb(next);
        merged
    }

    /// Appends the documents of a block, whose versions are higher.
    pub(super) fn absorb(&mut self, next: &Self) {
        let (documents, start) = (self.versions.len() as u32, self.positions.len() as u32);
        let moved = |posting: &Posting| Posting {
            document: posting.document + documents,
            start: posting.start + start,
            ..*posting
        };
        for (term, number) in &next.terms {
            let last = self.terms.len();
            let own = *self.terms.entry(Arc::clone(term)).or_insert(last);
            for (postings, next) in self.postings.iter_mut().zip(&next.postings) {
                postings.resize_with(postings.len().max(own + 1), Vec::new);
                postings[own].extend(next.get(*number).into_iter().flatten().map(moved));
            }
        }
        for (word, next) in &next.words {
            let last = next.last + documents;
            let own = self.words.entry(Arc::clone(word)).or_insert(Word { documents: 0, last });
            *own = Word { documents: own.documents + next.documents, last };
        }
        self.versions.extend(&next.versions);
        self.lengths.extend(&next.lengths);
        self.positions.extend(&next.positions);
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
        self.lengths[document as usize * self.postings.len() + column]
    }

    pub(super) fn postings(&self, column: Column, term: &str) -> &[Posting] {
        let number = self.terms.get(term);
        number.and_then(|number| self.postings[column].get(*number)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn positions(&self, posting: &Posting) -> &[u32] {
        &self.positions[posting.start as usize..][..posting.count as usize]
    }

    /// Words as they stand, and about how many documents have each.
    pub(super) fn each_word(&self, has_stems: bool, visit: &mut dyn FnMut(&str, u64)) {
        if has_stems {
            self.words.iter().for_each(|(word, found)| visit(word, u64::from(found.documents)));
        } else {
            self.terms.iter().for_each(|(term, number)| visit(term, self.postings[0][*number].len() as u64));
        }
    }
}

/// The number of a term; the next one if it has none.
fn numbered(terms: &mut HashMap<Arc<str>, usize>, term: &str) -> usize {
    if let Some(number) = terms.get(term) {
        return *number;
    }
    terms.insert(term.into(), terms.len());
    terms.len() - 1
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
