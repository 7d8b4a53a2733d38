//! Which slots are visible: a persistent bitset.
//!
//! Invariant: a clone never changes when the original does. Bits lie in chunks of 65,536 slots behind an `Arc`, so a
//! clone costs one pointer per chunk, and the first change of a chunk after a clone copies its 8 KiB.

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;
use types::Slot;

use crate::bitmap::serialised;

const CHUNK_WORDS: usize = 1024;
const CHUNK_SLOTS: usize = CHUNK_WORDS * 64;

type Chunk = Arc<[u64; CHUNK_WORDS]>;

/// The set of visible slots, cheap to clone and to change.
#[derive(Clone, Default)]
pub struct Alive {
    chunks: Vec<Chunk>,
    count: usize,
}

impl Alive {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a slot visible.
    pub fn insert(&mut self, slot: Slot) {
        let (chunk, word, bit) = locate(slot);
        while self.chunks.len() <= chunk {
            self.chunks.push(Arc::new([0; CHUNK_WORDS]));
        }
        let word = &mut Arc::make_mut(&mut self.chunks[chunk])[word];
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    /// Makes a slot invisible; whether it was visible.
    pub fn remove(&mut self, slot: Slot) -> bool {
        if !self.contains(slot) {
            return false;
        }
        let (chunk, word, bit) = locate(slot);
        Arc::make_mut(&mut self.chunks[chunk])[word] &= !bit;
        self.count -= 1;
        true
    }

    /// Whether a slot is visible.
    pub fn contains(&self, slot: Slot) -> bool {
        let (chunk, word, bit) = locate(slot);
        self.chunks.get(chunk).is_some_and(|words| words[word] & bit != 0)
    }

    /// How many slots are visible. O(1).
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no slot is visible.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The slots below `rows`, all visible.
    pub fn full(rows: u32) -> Self {
        let mut alive = Self::new();
        for first in (0..rows).step_by(CHUNK_SLOTS) {
            let mut chunk = [0; CHUNK_WORDS];
            let in_chunk = (rows - first).min(CHUNK_SLOTS as u32) as usize;
            chunk[..in_chunk / 64].fill(u64::MAX);
            if in_chunk % 64 > 0 {
                chunk[in_chunk / 64] = (1 << (in_chunk % 64)) - 1;
            }
            alive.chunks.push(Arc::new(chunk));
        }
        alive.count = rows as usize;
        alive
    }

    /// The slots of a part as rows, from 0. Shares the chunks: the range begins at a multiple of 65,536 and ends where
    /// the next part may begin.
    pub fn part(&self, slots: Range<u32>) -> Self {
        debug_assert!(slots.start.is_multiple_of(CHUNK_SLOTS as u32), "{slots:?} is no range of a part");
        let end = (slots.end as usize).div_ceil(CHUNK_SLOTS).min(self.chunks.len());
        let start = (slots.start as usize / CHUNK_SLOTS).min(end);
        let chunks = self.chunks[start..end].to_vec();
        let count = chunks.iter().map(count).sum();
        Self { chunks, count }
    }

    /// How many slots of such a range are visible.
    pub fn count_in(&self, slots: Range<u32>) -> usize {
        let end = (slots.end as usize).div_ceil(CHUNK_SLOTS).min(self.chunks.len());
        let start = (slots.start as usize / CHUNK_SLOTS).min(end);
        self.chunks[start..end].iter().map(count).sum()
    }

    /// The visible rows of a part as words, for so many rows.
    pub(crate) fn words(&self, slots: Range<u32>, rows: u32) -> Vec<u64> {
        let mut words: Vec<u64> =
            self.part(slots).chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
        words.resize(rows.div_ceil(64) as usize, 0);
        words
    }

    /// Takes the rows of a part in, above every slot that is here; `base` is a multiple of 65,536.
    pub fn place(&mut self, base: u32, rows: &Self) {
        let first = base as usize / CHUNK_SLOTS;
        debug_assert!(base.is_multiple_of(CHUNK_SLOTS as u32) && first >= self.chunks.len(), "{base}");
        self.chunks.resize_with(first, || Arc::new([0; CHUNK_WORDS]));
        self.chunks.extend(rows.chunks.iter().cloned());
        self.count += rows.count;
    }

    /// The rows below `rows` that are not visible, as the bytes of a portable bitmap.
    pub fn dead_bytes(&self, rows: u32) -> Vec<u8> {
        let mut dead = RoaringBitmap::new();
        dead.insert_range(0..rows);
        dead -= self.to_bitmap();
        serialised(&dead)
    }

    /// The rows below `rows` but for those in the bytes of a portable bitmap; nothing if they are none.
    pub fn without(rows: u32, dead_bytes: &[u8]) -> Option<Self> {
        let dead = RoaringBitmap::deserialize_from(dead_bytes).ok()?;
        let mut alive = Self::full(rows);
        dead.iter().all(|row| alive.remove(Slot(row))).then_some(alive)
    }

    /// The visible slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        let words = self.chunks.iter().flat_map(|chunk| chunk.iter());
        words
            .enumerate()
            .flat_map(|(position, &word)| ones(word).map(move |bit| Slot(position as u32 * 64 + bit)))
    }

    /// The same set as a bitmap. O(chunks).
    pub fn to_bitmap(&self) -> RoaringBitmap {
        let mut bitmap = RoaringBitmap::new();
        let mut bytes = Vec::with_capacity(CHUNK_WORDS * 8);
        for (position, chunk) in self.chunks.iter().enumerate() {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|word| word.to_le_bytes()));
            bitmap |= RoaringBitmap::from_lsb0_bytes((position * CHUNK_SLOTS) as u32, &bytes);
        }
        bitmap
    }
}

fn count(chunk: &Chunk) -> usize {
    chunk.iter().map(|word| word.count_ones() as usize).sum()
}

/// The chunk, the word in it, and the bit in that.
fn locate(slot: Slot) -> (usize, usize, u64) {
    let index = slot.index();
    (index / CHUNK_SLOTS, index % CHUNK_SLOTS / 64, 1 << (index % 64))
}

/// The positions of the set bits of a word, ascending.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set_and_clones_do_not_change(
            changes in prop::collection::vec(
                (any::<bool>(), prop_oneof![0_u32..200, 65_500_u32..65_600, 0_u32..300_000]),
                0..200,
            ),
            split in 0_usize..200,
        ) {
            let (mut alive, mut model) = (Alive::new(), BTreeSet::new());
            let mut earlier = (alive.clone(), model.clone());
            for (position, &(adds, slot)) in changes.iter().enumerate() {
                if position == split {
                    earlier = (alive.clone(), model.clone());
                }
                if adds {
                    alive.insert(Slot(slot));
                    model.insert(slot);
                } else {
                    prop_assert_eq!(alive.remove(Slot(slot)), model.remove(&slot));
                }
                prop_assert_eq!(alive.contains(Slot(slot)), adds);
            }
            for (alive, model) in [(&alive, &model), (&earlier.0, &earlier.1)] {
                prop_assert_eq!((alive.len(), alive.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(alive.iter().map(|slot| slot.0).eq(model.iter().copied()));
                prop_assert!(alive.to_bitmap().iter().eq(model.iter().copied()));
            }
        }
    }

    proptest! {
        #[test]
        fn parts_are_placed_and_taken_out(parts in prop::collection::vec(
            (1_u32..4, prop::collection::btree_set(0_u32..65_536, 0..30)), 1..5,
        )) {
            let (mut alive, mut base, mut places) = (Alive::new(), 0, Vec::new());
            for (chunks, rows) in &parts {
                let mut part = Alive::new();
                rows.iter().for_each(|row| part.insert(Slot(*row)));
                alive.place(base, &part);
                places.push((base..base + chunks * 65_536, rows));
                base += chunks * 65_536;
            }
            let all: Vec<u32> =
                places.iter().flat_map(|(slots, rows)| rows.iter().map(|row| slots.start + row)).collect();
            prop_assert!(alive.iter().map(|slot| slot.0).eq(all.iter().copied()));
            prop_assert_eq!(alive.len(), all.len());
            for (slots, rows) in places {
                let part = alive.part(slots.clone());
                prop_assert!(part.iter().map(|row| row.0).eq(rows.iter().copied()));
                prop_assert_eq!((part.len(), alive.count_in(slots)), (rows.len(), rows.len()));
            }
        }

        #[test]
        fn the_full_set_lacks_nothing_but_the_dead(
            rows in 0_u32..200_000,
            dead in prop::collection::btree_set(0_u32..200_000, 0..20),
        ) {
            let mut alive = Alive::full(rows);
            prop_assert_eq!(alive.len(), rows as usize);
            prop_assert!(!alive.contains(Slot(rows)));
            for row in &dead {
                alive.remove(Slot(*row));
            }
            let again = Alive::without(rows, &alive.dead_bytes(rows)).expect("its own bytes");
            prop_assert!(again.iter().eq(alive.iter()));
            let is_refused = Alive::without(rows / 2, &alive.dead_bytes(rows)).is_none();
            prop_assert_eq!(is_refused, dead.range(rows / 2..rows).next().is_some());
        }
    }

    #[test]
    fn slots_far_out_are_simply_not_there() {
        let mut alive = Alive::new();
        assert!(!alive.contains(Slot(u32::MAX)) && !alive.remove(Slot(u32::MAX)));
    }
}
