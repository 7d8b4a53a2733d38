//! The statistics that scores are made of: those of exactly the documents that the view shows, wherever they stand.
//!
//! What tantivy counts is that of its commit, deleted documents included. Here deleted ones are left out, so are those
//! that were removed since the commit, and the tail is added. So a document has the same score whichever segment has
//! it, and whatever was there before.
//!
//! How rare a term is, is counted over all texts of a document, also where single fields are asked.

use std::collections::HashSet;

use roaring::RoaringBitmap;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, TERMINATED};
use types::{Result, Version};

use super::committed::count_among;
use super::failure::{failure, unread};
use super::layout::Column;
use super::view::Snapshot;

/// Counts of a view.
pub(super) struct Statistics {
    /// Documents with texts.
    pub(super) documents: u64,
    /// Their terms by column.
    tokens: Vec<u64>,
    /// Removed since the commit, by segment, ascending.
    dead: Vec<Vec<DocId>>,
    /// Removed since the commit.
    gone: HashSet<Version>,
}

impl Statistics {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        let Snapshot { committed, tail, removed, layout, .. } = snapshot;
        let readers = committed.searcher.segment_readers();
        let mut dead = vec![Vec::new(); readers.len()];
        for removed in removed {
            removed.find(committed, layout, &mut dead)?;
        }
        let gone: HashSet<Version> = removed.iter().flat_map(|block| block.versions()).copied().collect();
        let columns = layout.texts.len();
        let (mut documents, mut tokens) = (0_u64, vec![0_u64; columns]);
        for ((segment, reader), dead) in committed.segments.iter().zip(readers).zip(&mut dead) {
            dead.sort_unstable();
            dead.dedup();
            documents += u64::from(reader.num_docs()) - dead.len() as u64;
            for (column, tokens) in tokens.iter_mut().enumerate() {
                let lengths = segment.lengths(column);
                let gone: u64 = dead.iter().map(|document| u64::from(lengths[*document as usize])).sum();
                *tokens += segment.tokens[column] - gone;
            }
        }
        for block in tail {
            let shown =
                (0..block.documents() as u32).filter(|document| !gone.contains(&block.version(*document)));
            for document in shown {
                documents += 1;
                for (column, tokens) in tokens.iter_mut().enumerate() {
                    *tokens += u64::from(block.length(document, column));
                }
            }
        }
        Ok(Self { documents, tokens, dead, gone })
    }

    /// The mean number of terms in a column.
    pub(super) fn mean(&self, column: Column) -> f32 {
        self.tokens[column] as f32 / self.documents as f32
    }

    /// Terms in a column.
    pub(super) fn tokens(&self, column: Column) -> u64 {
        self.tokens[column]
    }

    /// Whether a version was removed since the commit.
    pub(super) fn is_gone(&self, version: Version) -> bool {
        !self.gone.is_empty() && self.gone.contains(&version)
    }

    /// In how many documents some of the terms stand.
    pub(super) fn frequency(&self, snapshot: &Snapshot, terms: &[&str]) -> Result<u64> {
        match terms {
            [] => Ok(0),
            [only] => self.frequency_of_one(snapshot, only),
            _ => self.frequency_of_any(snapshot, terms),
        }
    }

    fn frequency_of_one(&self, snapshot: &Snapshot, term: &str) -> Result<u64> {
        let Snapshot { committed, tail, layout, .. } = snapshot;
        let mut frequency = 0;
        for block in tail {
            let postings = block.postings(0, term).iter();
            let shown = postings.filter(|posting| !self.is_gone(block.version(posting.document)));
            frequency += shown.count() as u64;
        }
        let segments = committed.segments.iter().zip(committed.searcher.segment_readers());
        for ((segment, reader), dead) in segments.zip(&self.dead) {
            frequency += segment.frequency(reader, layout, 0, term)?;
            if !dead.is_empty() {
                frequency -= count_among(reader, layout, 0, term, dead)?;
            }
        }
        Ok(frequency)
    }

    /// By a pass over the postings of all of them.
    fn frequency_of_any(&self, snapshot: &Snapshot, terms: &[&str]) -> Result<u64> {
        let Snapshot { committed, tail, layout, .. } = snapshot;
        let mut frequency = 0;
        for block in tail {
            let postings = terms.iter().flat_map(|term| block.postings(0, term));
            let documents: RoaringBitmap = postings.map(|posting| posting.document).collect();
            let shown = documents.iter().filter(|document| !self.is_gone(block.version(*document)));
            frequency += shown.count() as u64;
        }
        for (reader, dead) in committed.searcher.segment_readers().iter().zip(&self.dead) {
            let inverted = reader.inverted_index(layout.texts[0]).map_err(failure)?;
            let mut documents = RoaringBitmap::new();
            for term in terms {
                let postings = inverted.read_postings(&layout.term(0, term), IndexRecordOption::Basic);
                let Some(mut postings) = postings.map_err(unread)? else { continue };
                let ascending = std::iter::from_fn(|| {
                    let document = Some(postings.doc()).filter(|document| *document != TERMINATED)?;
                    postings.advance();
                    Some(document)
                });
                documents.extend(ascending);
            }
            let is_alive = |document: &DocId| {
                reader.alive_bitset().is_none_or(|alive| alive.is_alive(*document))
                    && dead.binary_search(document).is_err()
            };
            frequency += documents.iter().filter(is_alive).count() as u64;
        }
        Ok(frequency)
    }
}
