//! A random choice: those with the smallest hash of their slot and a seed. The same seed chooses alike from one view.
//!
//! Cost: one hash a slot.

use std::hash::{BuildHasher, RandomState};

use types::Slot;
use types::random::Random;

/// Slots in a random order, `count` of them; a seed that was not given is made up.
pub(crate) fn shuffled(slots: impl Iterator<Item = Slot>, seed: Option<u64>, count: usize) -> Vec<Slot> {
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let key = |slot: Slot| Random(seed ^ u64::from(slot.0)).draw();
    let mut keyed: Vec<(u64, Slot)> = slots.map(|slot| (key(slot), slot)).collect();
    if count < keyed.len() {
        keyed.select_nth_unstable(count);
        keyed.truncate(count);
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, slot)| slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_alike_and_every_slot_is_as_likely() {
        let choose = |seed| shuffled((0..100).map(Slot), Some(seed), 10);
        assert_eq!(choose(7), choose(7));
        assert_ne!(choose(7), choose(8));
        let mut times = [0_u32; 100];
        for seed in 0..2000 {
            choose(seed).iter().for_each(|slot| times[slot.0 as usize] += 1);
        }
        // 200 expected, a standard deviation of 13.
        assert!(times.iter().all(|times| (130..270).contains(times)), "{times:?}");
        assert_eq!(shuffled((0..3).map(Slot), None, 9).len(), 3);
    }
}
