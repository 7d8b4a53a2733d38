//! Versions that were removed since the last commit, which still has them: they do not count in statistics.
//!
//! Kept as the tail is: immutable blocks, merged like a binary counter. Where the documents of a block stand in a
//! commit is looked up once, by the first query that wants to know: about a microsecond a version.

use std::sync::{Arc, OnceLock};

use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, TERMINATED};
use types::{Result, Version};

use super::committed::Committed;
use super::failure::{failure, unread};
use super::layout::Layout;

/// Removed versions. Never changes once it is shared.
pub(super) struct Removed {
    versions: Vec<Version>,
    /// In which commit, and for each of its segments the documents, in any order.
    found: OnceLock<(u64, Vec<Vec<DocId>>)>,
}

impl Removed {
    pub(super) fn of(versions: Vec<Version>) -> Self {
        Self { versions, found: OnceLock::new() }
    }

    pub(super) fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// Adds to each segment of a commit the documents that are removed there.
    pub(super) fn find(
        &self,
        committed: &Committed,
        layout: &Layout,
        documents: &mut [Vec<DocId>],
    ) -> Result<()> {
        let mut add = |found: &[Vec<DocId>]| {
            documents.iter_mut().zip(found).for_each(|(documents, found)| documents.extend(found));
        };
        match self.found.get() {
            Some((generation, found)) if *generation == committed.generation() => add(found),
            _ => {
                let found = look_up(&self.versions, committed, layout)?;
                add(&found);
                // Another thread may have been faster, with the same.
                let _ = self.found.set((committed.generation(), found));
            }
        }
        Ok(())
    }
}

fn look_up(versions: &[Version], committed: &Committed, layout: &Layout) -> Result<Vec<Vec<DocId>>> {
    let mut found = Vec::with_capacity(committed.segments.len());
    for (segment, reader) in committed.segments.iter().zip(committed.searcher.segment_readers()) {
        let mut documents = Vec::new();
        let terms = reader.inverted_index(layout.version).map_err(failure)?;
        for version in versions.iter().filter(|version| segment.may_have(**version)) {
            let postings = terms.read_postings(&layout.identity(*version), IndexRecordOption::Basic);
            let document = postings.map_err(unread)?.map_or(TERMINATED, |postings| postings.doc());
            let is_alive = |alive: &tantivy::fastfield::AliveBitSet| alive.is_alive(document);
            if document != TERMINATED && reader.alive_bitset().is_none_or(is_alive) {
                documents.push(document);
            }
        }
        found.push(documents);
    }
    Ok(found)
}

/// Appends a block, merging it with those before it that are no larger.
pub(super) fn carry(blocks: &mut Vec<Arc<Removed>>, mut versions: Vec<Version>) {
    while let Some(last) = blocks.last()
        && last.versions.len() <= versions.len()
    {
        versions.extend(&last.versions);
        blocks.pop();
    }
    blocks.push(Arc::new(Removed::of(versions)));
}
