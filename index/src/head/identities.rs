//! The column of identities of a head: row -> (version, id).
//!
//! Invariants: append-only; versions ascend with rows, so that a version is found by binary search. One writer,
//! any number of readers, none of whom takes a lock. About 40 bytes a row.

use types::{PointId, Version};

/// Bytes of a row: version, id, and the flag of the append-only vector.
const ROW_BYTES: usize = 40;

/// Which version of which point stands in each row.
#[derive(Default)]
pub struct Identities {
    rows: boxcar::Vec<(Version, PointId)>,
}

impl Identities {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a row and returns its number. Only the writer calls this, with a version larger than every one
    /// before; a smaller one is a defect of the caller (checked in debug builds) and would not be found again.
    pub fn append(&self, version: Version, id: PointId) -> u32 {
        debug_assert!(self.last().is_none_or(|last| last < version), "{version:?} does not ascend");
        self.rows.push((version, id)) as u32
    }

    /// How many rows there are.
    pub fn len(&self) -> u32 {
        self.rows.count() as u32
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The version in a row.
    pub fn version(&self, row: u32) -> Option<Version> {
        self.rows.get(row as usize).map(|row| row.0)
    }

    /// The id of the point in a row.
    pub fn id(&self, row: u32) -> Option<PointId> {
        self.rows.get(row as usize).map(|row| row.1)
    }

    /// The row that holds a version. O(log n).
    pub fn row_of(&self, version: Version) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.version(middle)? < version { low = middle + 1 } else { high = middle }
        }
        (self.version(low) == Some(version)).then_some(low)
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        self.len() as usize * ROW_BYTES
    }

    fn last(&self) -> Option<Version> {
        self.version(self.len().checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_version_and_no_other() {
        let rows = Identities::new();
        assert_eq!((rows.row_of(Version(0)), rows.last()), (None, None));
        for row in 0..1000_u64 {
            assert_eq!(rows.append(Version(row * 3 + 1), PointId::Num(row)), row as u32);
        }
        assert_eq!(rows.len(), 1000);
        for version in 0..3_010_u64 {
            let expected = (version % 3 == 1 && version < 3000).then_some((version / 3) as u32);
            assert_eq!(rows.row_of(Version(version)), expected, "{version}");
        }
        assert_eq!((rows.id(7), rows.version(7)), (Some(PointId::Num(7)), Some(Version(22))));
        assert_eq!((rows.id(1000), rows.version(u32::MAX)), (None, None));
    }

    #[test]
    fn readers_see_a_prefix_while_the_writer_appends() {
        let rows = Identities::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for row in 0..20_000 {
                    rows.append(Version(row), PointId::Num(row));
                }
            });
            let mut seen = 0;
            while seen < 20_000 {
                seen = rows.len();
                for row in (0..seen).rev().take(50) {
                    assert_eq!(rows.version(row), Some(Version(u64::from(row))));
                    assert_eq!(rows.row_of(Version(u64::from(row))), Some(row));
                }
            }
        });
    }
}
