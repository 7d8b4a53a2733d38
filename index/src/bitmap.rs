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

/// With runs, so many containers have offsets; without, all have.
const OFFSETS_MIN: usize = 4;

/// Containers with more members than this have a bit for every number.
const ARRAY_MAX: usize = 4096;

const CONTAINER_WORDS: usize = 1024;

/// The same set, moved up. `base` is a multiple of [`BASE_UNIT`], and no row leaves the range of slots.
pub(crate) fn raised(rows: RoaringBitmap, base: u32) -> RoaringBitmap {
    debug_assert!(base.is_multiple_of(BASE_UNIT), "{base} is no base");
    if base == 0 || rows.is_empty() {
        return rows;
    }
    let mut bytes = serialised(&rows);
    let Header { containers, first, .. } = Header::read(&bytes);
    let lift = (base / BASE_UNIT) as u16;
    for container in 0..containers {
        let at = first + container * 4;
        let key = word(&bytes, at) + lift;
        bytes[at..at + 2].copy_from_slice(&key.to_le_bytes());
    }
    RoaringBitmap::deserialize_unchecked_from(&bytes[..])
        .expect("the bytes of a bitmap with other keys are one")
}

/// A bit for each of so many slots from `base` on, a multiple of [`BASE_UNIT`]: whether it is in the set.
pub(crate) fn words(slots: &RoaringBitmap, base: u32, rows: u32) -> Vec<u64> {
    let mut words = vec![0; (rows as usize).div_ceil(64)];
    if slots.is_empty() {
        return words;
    }
    let bytes = serialised(slots);
    let header = Header::read(&bytes);
    let mut at = header.first + header.containers * 4;
    if !header.has_runs || header.containers >= OFFSETS_MIN {
        at += header.containers * 4;
    }
    for container in 0..header.containers {
        let entry = header.first + container * 4;
        let (key, members) = (u32::from(word(&bytes, entry)), usize::from(word(&bytes, entry + 2)) + 1);
        let is_run = header.has_runs && bytes[4 + container / 8] >> (container % 8) & 1 == 1;
        // An array that is full is as long as a container of bits: its length does not tell them apart.
        let (kind, len) = match () {
            () if is_run => (Container::Runs, 2 + usize::from(word(&bytes, at)) * 4),
            () if members > ARRAY_MAX => (Container::Bits, CONTAINER_WORDS * 8),
            () => (Container::Array, members * 2),
        };
        if let Some(first) = key.checked_sub(base / BASE_UNIT).map(|key| key as usize * CONTAINER_WORDS)
            && first < words.len()
        {
            let end = words.len().min(first + CONTAINER_WORDS);
            put(&mut words[first..end], &bytes[at..at + len], kind);
        }
        at += len;
    }
    if let Some(last) = words.last_mut().filter(|_| !rows.is_multiple_of(64)) {
        *last &= (1 << (rows % 64)) - 1;
    }
    words
}

/// How a container is written.
#[derive(Clone, Copy)]
enum Container {
    Runs,
    Bits,
    Array,
}

/// One container as words; members past their end are left out.
fn put(words: &mut [u64], container: &[u8], kind: Container) {
    let mut insert = |member: usize| {
        if let Some(word) = words.get_mut(member / 64) {
            *word |= 1 << (member % 64);
        }
    };
    let numbers = || container.as_chunks::<2>().0.iter().map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
    match kind {
        Container::Runs => {
            let runs: Vec<usize> = numbers().skip(1).collect();
            for run in runs.as_chunks::<2>().0 {
                (run[0]..=run[0] + run[1]).for_each(&mut insert);
            }
        }
        Container::Array => numbers().for_each(insert),
        Container::Bits => {
            let all = container.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            words.iter_mut().zip(all).for_each(|(word, bits)| *word = bits);
        }
    }
}

/// Where things are in the bytes of a bitmap.
struct Header {
    containers: usize,
    /// Where the keys and counts of containers begin.
    first: usize,
    has_runs: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Self {
        if word(bytes, 0) == COOKIE_RUNS {
            let containers = usize::from(word(bytes, 2)) + 1;
            return Self { containers, first: 4 + containers.div_ceil(8), has_runs: true };
        }
        let containers = usize::from(word(bytes, 4)) + (usize::from(word(bytes, 6)) << 16);
        Self { containers, first: 8, has_runs: false }
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
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

    /// Its array is as long as a container of bits, and was taken for one.
    #[test]
    fn a_full_array_is_no_container_of_bits() {
        for members in [ARRAY_MAX as u32 - 1, ARRAY_MAX as u32, ARRAY_MAX as u32 + 1] {
            let rows: RoaringBitmap = (0..members).map(|row| row * 3).collect();
            let words = words(&rows, 0, BASE_UNIT);
            let has = |row: u32| words[row as usize / 64] >> (row % 64) & 1 == 1;
            assert!((0..BASE_UNIT).all(|row| has(row) == rows.contains(row)), "{members} members");
        }
    }

    proptest! {
        #[test]
        fn every_set_is_moved_whole(
            sparse in prop::collection::btree_set(0_u32..1_000_000, 0..300),
            runs in prop::collection::vec((0_u32..900_000, 1_u32..70_000), 0..4),
            lift in 0_u32..60_000,
            is_optimised in any::<bool>(),
            dense in 0_u32..3,
        ) {
            let mut rows: RoaringBitmap = sparse.into_iter().collect();
            for (start, len) in runs {
                rows.insert_range(start..start + len);
            }
            rows.extend((0..dense * 30_000).map(|row| row * 2));
            if is_optimised {
                rows.optimize();
            }
            let base = lift * BASE_UNIT;
            let slots = raised(rows.clone(), base);
            prop_assert!(slots.iter().eq(rows.iter().map(|row| row + base)));
            prop_assert_eq!(slots.len(), rows.len());
            prop_assert_eq!(lowered(&slots, base..base + 1_000_000), rows.clone());
            for count in [1, 64, 70_001, 1_000_000] {
                let members = words(&slots, base, count).into_iter().enumerate().flat_map(|(at, word)| {
                    (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
                });
                prop_assert!(members.eq(rows.range(..count)), "{}", count);
            }
            prop_assert!(words(&slots, base + BASE_UNIT * 20, 100).iter().all(|word| *word == 0));
        }
    }
}
