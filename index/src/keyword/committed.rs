//! One committed state of the index on disk, opened for reading: tantivy's searcher, and for each of its segments the
//! column of versions and what the alive documents count for in statistics.
//!
//! Documents are known by their versions alone. Where a version stands is looked up in the view's rows, and only for
//! documents that score high enough to matter.
//!
//! Cost: a segment that was not there before, or whose deletions changed, has its lengths read and summed up once, and
//! holds them in memory: 4 bytes a document and column, since a score needs one at once. In a segment with deletions a
//! term's frequency is counted when it is first asked for, and then remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tantivy::columnar::Column as Values;
use tantivy::index::SegmentId;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, IndexReader, Searcher, SegmentReader};
use types::{Result, Version};

use super::failure::{failure, unread};
use super::layout::{Column, Layout, VERSION_FIELD};

/// Frequencies that a segment remembers.
const FREQUENCIES_MAX: usize = 1 << 16;

pub(super) struct Committed {
    pub(super) searcher: Searcher,
    /// In the order of the searcher's.
    pub(super) segments: Vec<Arc<Segment>>,
    generation: u64,
}

/// A segment of tantivy's.
pub(super) struct Segment {
    id: SegmentId,
    deleted: u32,
    /// The version of each document.
    pub(super) versions: Values<u64>,
    /// Terms of the alive documents, by column.
    pub(super) tokens: Vec<u64>,
    /// The exact length of each document, by column.
    lengths: Vec<Box<[u32]>>,
    /// Alive documents that have a term.
    frequencies: Mutex<HashMap<(Column, Box<str>), u64>>,
}

impl Committed {
    /// The newest commit. What `before` knows of segments that are still the same is taken over.
    pub(super) fn load(reader: &IndexReader, layout: &Layout, before: Option<&Self>) -> Result<Self> {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        reader.reload().map_err(failure)?;
        let searcher = reader.searcher();
        let segment = |reader: &SegmentReader| -> Result<Arc<Segment>> {
            let mut known = before.iter().flat_map(|before| &before.segments);
            match known.find(|segment| segment.is_of(reader)) {
                Some(segment) => Ok(Arc::clone(segment)),
                None => Segment::load(reader, layout).map(Arc::new).map_err(failure),
            }
        };
        let segments = searcher.segment_readers().iter().map(segment).collect::<Result<_>>()?;
        Ok(Self { searcher, segments, generation: GENERATION.fetch_add(1, Ordering::Relaxed) })
    }

    /// A number that no other commit has while the process runs.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The versions of all documents that are not deleted.
    pub(super) fn alive_versions(&self) -> Vec<Version> {
        let segments = self.searcher.segment_readers().iter().zip(&self.segments);
        segments
            .flat_map(|(reader, segment)| {
                reader.doc_ids_alive().filter_map(|doc| segment.versions.first(doc)).map(Version)
            })
            .collect()
    }
}

impl Segment {
    fn load(reader: &SegmentReader, layout: &Layout) -> tantivy::Result<Self> {
        let fast = reader.fast_fields();
        let read = |name: &str| -> tantivy::Result<Box<[u32]>> {
            let column = fast.u64(name)?;
            Ok((0..reader.max_doc()).map(|doc| column.first(doc).unwrap_or(0) as u32).collect())
        };
        let lengths: Vec<Box<[u32]>> =
            layout.lengths.iter().map(|(_, name)| read(name)).collect::<tantivy::Result<_>>()?;
        let sum = |lengths: &[u32]| -> u64 {
            reader.doc_ids_alive().map(|doc| u64::from(lengths[doc as usize])).sum()
        };
        Ok(Self {
            id: reader.segment_id(),
            deleted: reader.num_deleted_docs(),
            versions: fast.u64(VERSION_FIELD)?,
            tokens: lengths.iter().map(|lengths| sum(lengths)).collect(),
            lengths,
            frequencies: Mutex::default(),
        })
    }

    /// A segment's documents never change, and its deletions only become more.
    fn is_of(&self, reader: &SegmentReader) -> bool {
        self.id == reader.segment_id() && self.deleted == reader.num_deleted_docs()
    }

    /// Whether a version lies between the first and the last one here.
    pub(super) fn may_have(&self, version: Version) -> bool {
        (self.versions.min_value()..=self.versions.max_value()).contains(&version.0)
    }

    /// The exact number of terms of each document.
    pub(super) fn lengths(&self, column: Column) -> &[u32] {
        &self.lengths[column]
    }

    /// In how many documents that are not deleted a term stands.
    pub(super) fn frequency(
        &self,
        reader: &SegmentReader,
        layout: &Layout,
        column: Column,
        term: &str,
    ) -> Result<u64> {
        let terms = reader.inverted_index(layout.texts[column]).map_err(failure)?;
        let key = layout.term(column, term);
        let Some(alive) = reader.alive_bitset() else {
            return terms.doc_freq(&key).map(u64::from).map_err(unread);
        };
        let remembered = (column, Box::from(term));
        if let Some(frequency) = self.frequencies.lock().get(&remembered) {
            return Ok(*frequency);
        }
        let postings = terms.read_postings(&key, IndexRecordOption::Basic).map_err(unread)?;
        let frequency = postings.map_or(0, |postings| u64::from(postings.doc_freq_given_deletes(alive)));
        let mut frequencies = self.frequencies.lock();
        if frequencies.len() >= FREQUENCIES_MAX {
            frequencies.clear();
        }
        frequencies.insert(remembered, frequency);
        Ok(frequency)
    }
}

/// How many of some documents, ascending, have a term.
pub(super) fn count_among(
    reader: &SegmentReader,
    layout: &Layout,
    column: Column,
    term: &str,
    documents: &[DocId],
) -> Result<u64> {
    let terms = reader.inverted_index(layout.texts[column]).map_err(failure)?;
    let postings = terms.read_postings(&layout.term(column, term), IndexRecordOption::Basic);
    let Some(mut postings) = postings.map_err(unread)? else { return Ok(0) };
    let mut has = |document: &DocId| {
        let at = if postings.doc() < *document { postings.seek(*document) } else { postings.doc() };
        at == *document
    };
    Ok(documents.iter().filter(|document| has(document)).count() as u64)
}
