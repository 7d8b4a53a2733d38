//! The rows of a collection as one view numbers them: slot -> (version, id), over all its parts.
//!
//! Invariants: parts lie in the order of their versions, each in a range of slots of its own that begins at a multiple
//! of [`BASE_UNIT`]; segments first, then heads, and only the last head still grows. So a version is found by a search
//! over the parts and one in a part, and slots are in the order of versions. A value never changes but for what the
//! last head gains; a clone costs a counter.

use std::sync::Arc;

use types::{PointId, Result, Slot, Version};

use crate::bitmap::BASE_UNIT;
use crate::part::{Body, Part};

/// The parts of a collection, and where each lies among the slots.
#[derive(Clone)]
pub struct Rows {
    parts: Arc<[Part]>,
}

impl Rows {
    /// Gives each part its range of slots, in this order: that of their versions. A head with another part behind it
    /// takes no further rows.
    ///
    /// # Panics
    /// Never below 4 billion rows, room for dead ones and for what the last head may gain included.
    pub fn over(bodies: impl IntoIterator<Item = Body>) -> Self {
        let mut next = 0_u32;
        let mut bodies = bodies.into_iter().peekable();
        let parts = std::iter::from_fn(|| {
            let body = bodies.next()?;
            Some((bodies.peek().is_none(), body))
        });
        let parts = parts.map(|(is_last, body)| {
            let base = next;
            let rows = if is_last { body.capacity() } else { body.rows() };
            let capacity = rows.max(1).checked_next_multiple_of(BASE_UNIT);
            next = capacity
                .and_then(|capacity| base.checked_add(capacity))
                .expect("a collection has fewer than 2^32 rows");
            Part { base, end: next, body }
        });
        Self { parts: parts.collect() }
    }

    /// The parts, in the order of versions.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The version in a slot.
    pub fn version(&self, slot: Slot) -> Option<Version> {
        let part = self.part(slot)?;
        part.body.version(slot.0 - part.base)
    }

    /// The id of the point in a slot.
    pub fn id(&self, slot: Slot) -> Option<PointId> {
        let part = self.part(slot)?;
        part.body.id(slot.0 - part.base)
    }

    /// The slot that holds a version. O(log n).
    pub fn slot_of(&self, version: Version) -> Option<Slot> {
        let begins = |part: &Part| part.body.first_version().is_some_and(|first| first <= version);
        let part = self.parts[..self.parts.partition_point(begins)].last()?;
        part.body.row_of(version).map(|row| Slot(part.base + row))
    }

    /// One vector of the point in a slot, if it has one.
    ///
    /// # Errors
    /// `Io`, `Corrupted`: a segment cannot be read.
    pub fn vector(&self, slot: Slot, space: &str) -> Result<Option<Vec<f32>>> {
        self.part(slot).map_or(Ok(None), |part| part.body.vector(slot.0 - part.base, space))
    }

    /// Whether the point in a slot has a vector of this name.
    pub fn has_vector(&self, slot: Slot, space: &str) -> bool {
        self.part(slot).is_some_and(|part| part.body.has_vector(slot.0 - part.base, space))
    }

    /// The part in whose range a slot lies.
    pub fn part(&self, slot: Slot) -> Option<&Part> {
        self.parts[..self.parts.partition_point(|part| part.base <= slot.0)].last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Head;
    use types::Schema;

    fn head(versions: impl Iterator<Item = u64>) -> Body {
        let head = Head::new(&Schema::new(), 100);
        for version in versions {
            head.append(Version(version), PointId::Num(version), |_| None);
        }
        Body::Head(Arc::new(head))
    }

    #[test]
    fn every_version_is_found_in_its_part_and_no_other() {
        let parts = [(0..60).step_by(2), (60..100).step_by(3), (150..151).step_by(1)];
        let rows = Rows::over(parts.clone().into_iter().map(head).chain([head(0..0)]));
        for (part, versions) in (0_u32..).zip(parts) {
            for (row, version) in (0..).zip(versions) {
                let slot = Slot(part * BASE_UNIT + row);
                assert_eq!(rows.slot_of(Version(version)), Some(slot));
                assert_eq!(rows.version(slot), Some(Version(version)));
                assert_eq!(rows.id(slot), Some(PointId::Num(version)));
            }
        }
        for version in [1, 59, 61, 101, 149, 151, u64::MAX] {
            assert_eq!(rows.slot_of(Version(version)), None, "{version}");
        }
        for slot in [30, BASE_UNIT - 1, BASE_UNIT + 14, 3 * BASE_UNIT, u32::MAX] {
            assert_eq!((rows.version(Slot(slot)), rows.id(Slot(slot))), (None, None), "{slot}");
        }
        assert_eq!(Rows::over([]).slot_of(Version(0)), None);
    }

    #[test]
    fn heads_that_take_no_more_rows_have_slots_for_those_they_have() {
        let heads = (0..300).map(|version| {
            let head = Head::new(&Schema::new(), 1 << 24);
            head.append(Version(version), PointId::Num(version), |_| None);
            Body::Head(Arc::new(head))
        });
        let rows = Rows::over(heads);
        assert_eq!(rows.slot_of(Version(299)), Some(Slot(299 * BASE_UNIT)));
        assert_eq!(rows.parts().last().map(|part| part.end - part.base), Some(1 << 24));
    }
}
