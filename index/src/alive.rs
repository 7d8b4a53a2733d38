//! Which slots are visible: a persistent bitset.
//!
//! Invariant: a clone never changes when the original does. Bits lie in chunks of 65,536 slots behind an `Arc`, so a
//! clone costs one pointer per chunk, and the first change of a chunk after a clone copies its 8 KiB.

use std::sync::Arc;

use roaring::RoaringBitmap;
use types::Slot;

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

    #[test]
    fn slots_far_out_are_simply_not_there() {
        let mut alive = Alive::new();
        assert!(!alive.contains(Slot(u32::MAX)) && !alive.remove(Slot(u32::MAX)));
    }
}
