//! One committed state of the index on disk, opened for reading: tantivy's searcher, and for each of its segments the
//! column of versions.
//!
//! Documents are known by their versions alone. Where a version stands is looked up in the view's rows, and only for
//! documents that score high enough to matter.

use tantivy::columnar::Column;
use tantivy::{IndexReader, Searcher};
use types::{Result, Version};

use super::failure::failure;
use super::layout::VERSION_FIELD;

pub(super) struct Committed {
    pub(super) searcher: Searcher,
    /// The version of each document, in the order of the searcher's segments.
    pub(super) versions: Vec<Column<u64>>,
}

impl Committed {
    /// The newest commit.
    pub(super) fn load(reader: &IndexReader) -> Result<Self> {
        reader.reload().map_err(failure)?;
        let searcher = reader.searcher();
        let columns =
            searcher.segment_readers().iter().map(|segment| segment.fast_fields().u64(VERSION_FIELD));
        let versions = columns.collect::<tantivy::Result<_>>().map_err(failure)?;
        Ok(Self { searcher, versions })
    }

    /// The versions of all documents that are not deleted.
    pub(super) fn alive_versions(&self) -> Vec<Version> {
        let segments = self.searcher.segment_readers().iter().zip(&self.versions);
        segments
            .flat_map(|(segment, versions)| {
                segment.doc_ids_alive().filter_map(|doc| versions.first(doc)).map(Version)
            })
            .collect()
    }
}
