//! The column of identities: slot -> (version, id).
//!
//! Invariants: append-only; versions ascend with slots, so that a version is found by binary search. One writer,
//! any number of readers, none of whom takes a lock. About 40 bytes a row.

use types::{PointId, Slot, Version};

/// Which version of which point stands in each slot.
pub struct Rows {
    rows: boxcar::Vec<(Version, PointId)>,
}

impl Rows {
    /// No rows.
    pub fn new() -> Self {
        Self { rows: boxcar::Vec::new() }
    }

    /// Appends a row and returns its slot. Only the writer calls this, with a version larger than every one
    /// before; a smaller one is a defect of the caller (checked in debug builds) and would not be found again.
    pub fn append(&self, version: Version, id: PointId) -> Slot {
        debug_assert!(self.last().is_none_or(|last| last < version), "{version:?} does not ascend");
        Slot(self.rows.push((version, id)) as u32)
    }

    /// How many rows there are.
    pub fn len(&self) -> u32 {
        self.rows.count() as u32
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The version in a slot.
    pub fn version(&self, slot: Slot) -> Option<Version> {
        self.rows.get(slot.index()).map(|row| row.0)
    }

    /// The id of the point in a slot.
    pub fn id(&self, slot: Slot) -> Option<PointId> {
        self.rows.get(slot.index()).map(|row| row.1)
    }

    /// The slot that holds a version. O(log n).
    pub fn slot_of(&self, version: Version) -> Option<Slot> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.version(Slot(middle))? < version { low = middle + 1 } else { high = middle }
        }
        (self.version(Slot(low)) == Some(version)).then_some(Slot(low))
    }

    /// The version in the last row.
    pub(crate) fn last(&self) -> Option<Version> {
        self.version(Slot(self.len().checked_sub(1)?))
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_version_and_no_other() {
        let rows = Rows::new();
        assert_eq!((rows.slot_of(Version(0)), rows.last()), (None, None));
        for row in 0..1000_u64 {
            assert_eq!(rows.append(Version(row * 3 + 1), PointId::Num(row)), Slot(row as u32));
        }
        assert_eq!(rows.len(), 1000);
        for version in 0..3_010_u64 {
            let expected = (version % 3 == 1 && version < 3000).then_some(Slot((version / 3) as u32));
            assert_eq!(rows.slot_of(Version(version)), expected, "{version}");
        }
        assert_eq!((rows.id(Slot(7)), rows.version(Slot(7))), (Some(PointId::Num(7)), Some(Version(22))));
        assert_eq!((rows.id(Slot(1000)), rows.version(Slot(u32::MAX))), (None, None));
    }

    #[test]
    fn readers_see_a_prefix_while_the_writer_appends() {
        let rows = Rows::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for row in 0..20_000 {
                    rows.append(Version(row), PointId::Num(row));
                }
            });
            let mut seen = 0;
            while seen < 20_000 {
                seen = rows.len();
                for slot in (0..seen).rev().take(50) {
                    assert_eq!(rows.version(Slot(slot)), Some(Version(u64::from(slot))));
                    assert_eq!(rows.slot_of(Version(u64::from(slot))), Some(Slot(slot)));
                }
            }
        });
    }
}
