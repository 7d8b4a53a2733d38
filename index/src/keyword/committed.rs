//! One committed state of the index on disk, opened for reading: tantivy's searcher, and for each of its segments the
//! slot of every document.

use std::sync::Arc;

use tantivy::index::{SegmentId, SegmentReader};
use tantivy::{IndexReader, Searcher};
use types::{Result, Slot, Version};

use super::failure::failure;
use super::layout::VERSION_FIELD;
use crate::Rows;

/// The slot of a document whose version has no row.
pub(super) const NO_SLOT: u32 = u32::MAX;

pub(super) struct Committed {
    pub(super) searcher: Searcher,
    /// In the order of the searcher's segments.
    pub(super) segments: Vec<Arc<SegmentSlots>>,
}

/// The slots of a segment's documents. Documents never move within a segment, so this is made once.
pub(super) struct SegmentSlots {
    segment: SegmentId,
    pub(super) slots: Vec<u32>,
    /// Whether there were versions that a later row might still bear.
    is_provisional: bool,
}

impl Committed {
    /// The newest commit; takes over what `earlier` knows of segments that are still there.
    pub(super) fn load(reader: &IndexReader, rows: &Rows, earlier: Option<&Self>) -> Result<Self> {
        reader.reload().map_err(failure)?;
        Self::map(reader.searcher(), rows, earlier)
    }

    /// The same commit over rows that have been appended since, if that changes anything.
    pub(super) fn refreshed(&self, rows: &Rows) -> Option<Result<Self>> {
        let is_stale = self.segments.iter().any(|segment| segment.is_provisional);
        is_stale.then(|| Self::map(self.searcher.clone(), rows, Some(self)))
    }

    fn map(searcher: Searcher, rows: &Rows, earlier: Option<&Self>) -> Result<Self> {
        let known = |reader: &SegmentReader| {
            let segments = &earlier?.segments;
            let known = segments.iter().find(|known| known.segment == reader.segment_id())?;
            (!known.is_provisional).then(|| Arc::clone(known))
        };
        let segments = searcher.segment_readers().iter().map(|reader| match known(reader) {
            Some(known) => Ok(known),
            None => SegmentSlots::build(reader, rows).map(Arc::new),
        });
        let segments = segments.collect::<Result<_>>()?;
        Ok(Self { searcher, segments })
    }

    /// The versions of all documents that are not deleted.
    pub(super) fn versions(&self) -> Result<Vec<Version>> {
        let mut versions = Vec::new();
        for reader in self.searcher.segment_readers() {
            let column = reader.fast_fields().u64(VERSION_FIELD).map_err(failure)?;
            versions.extend(reader.doc_ids_alive().filter_map(|doc| column.first(doc)).map(Version));
        }
        Ok(versions)
    }
}

impl SegmentSlots {
    fn build(reader: &SegmentReader, rows: &Rows) -> Result<Self> {
        let column = reader.fast_fields().u64(VERSION_FIELD).map_err(failure)?;
        let mut is_provisional = false;
        // Documents mostly stand in the order of their versions: the next slot is the likely one.
        let mut likely = Slot(0);
        let slots = (0..reader.max_doc()).map(|doc| {
            let Some(version) = column.first(doc).map(Version) else { return NO_SLOT };
            let hit = (rows.version(likely) == Some(version)).then_some(likely);
            match hit.or_else(|| rows.slot_of(version)) {
                Some(slot) => {
                    likely = Slot(slot.0 + 1);
                    slot.0
                }
                None => {
                    is_provisional |= rows.last().is_none_or(|last| last < version);
                    NO_SLOT
                }
            }
        });
        Ok(Self { segment: reader.segment_id(), slots: slots.collect(), is_provisional })
    }
}
