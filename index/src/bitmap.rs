//! Sets of rows as sets of slots: moved up by the base of their part, as whole containers.
//!
//! A bitmap has no such operation, but its serialised form has the upper halves of its numbers in one place: adding to
//! them moves everything. Source: the format of Roaring bitmaps (github.com/RoaringBitmap/RoaringFormatSpec).
//! Cost: two copies of the bitmap's bytes, whatever it holds.

use roaring::RoaringBitmap;

/// Bases are multiples of this, so that containers stay whole.
pub(crate) const BASE_UNIT: u32 = 1 << 16;

/// The cookie of bitmaps with runs; the number of containers, less one, stands above it.
const COOKIE_RUNS: u16 = 12_347;

/// The same set, moved up. `base` is a multiple of [`BASE_UNIT`], and no row leaves the range of slots.
pub(crate) fn raised(rows: RoaringBitmap, base: u32) -> RoaringBitmap {
    debug_assert!(base.is_multiple_of(BASE_UNIT), "{base} is no base");
    if base == 0 || rows.is_empty() {
        return rows;
    }
    let mut bytes = serialised(&rows);
    let word = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let (containers, first) = match word(&bytes, 0) {
        COOKIE_RUNS => {
            let containers = usize::from(word(&bytes, 2)) + 1;
            (containers, 4 + containers.div_ceil(8))
        }
        _ => (usize::from(word(&bytes, 4)) + (usize::from(word(&bytes, 6)) << 16), 8),
    };
    let lift = (base / BASE_UNIT) as u16;
    for container in 0..containers {
        let at = first + container * 4;
        let key = word(&bytes, at) + lift;
        bytes[at..at + 2].copy_from_slice(&key.to_le_bytes());
    }
    RoaringBitmap::deserialize_unchecked_from(&bytes[..])
        .expect("the bytes of a bitmap with other keys are one")
}

/// The slots of a range as rows: counted from its start.
pub(crate) fn lowered(slots: &RoaringBitmap, range: std::ops::Range<u32>) -> RoaringBitmap {
    let rows = slots.range(range.clone()).map(|slot| slot - range.start);
    RoaringBitmap::from_sorted_iter(rows).expect("a bitmap is sorted")
}

/// The portable bytes of a bitmap.
pub(crate) fn serialised(rows: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.serialized_size());
    rows.serialize_into(&mut bytes).expect("writing to memory does not fail");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_set_is_moved_whole(
            sparse in prop::collection::btree_set(0_u32..1_000_000, 0..300),
            runs in prop::collection::vec((0_u32..900_000, 1_u32..70_000), 0..4),
            lift in 0_u32..60_000,
            is_optimised in any::<bool>(),
        ) {
            let mut rows: RoaringBitmap = sparse.into_iter().collect();
            for (start, len) in runs {
                rows.insert_range(start..start + len);
            }
            if is_optimised {
                rows.optimize();
            }
            let base = lift * BASE_UNIT;
            let slots = raised(rows.clone(), base);
            prop_assert!(slots.iter().eq(rows.iter().map(|row| row + base)));
            prop_assert_eq!(slots.len(), rows.len());
            prop_assert_eq!(lowered(&slots, base..base + 1_000_000), rows);
        }
    }
}
