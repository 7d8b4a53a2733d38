//! Counts in how many sets each slot is, for all slots at once: binary counters, one bitmap for each digit.
//! Adding a set to n costs O(log n) bitmap operations.

use roaring::RoaringBitmap;

#[derive(Default)]
pub(super) struct Counter {
    /// The slots whose count has this digit set, from the lowest.
    digits: Vec<RoaringBitmap>,
}

impl Counter {
    pub(super) fn add(&mut self, slots: &RoaringBitmap) {
        let mut carry = slots.clone();
        for digit in &mut self.digits {
            let next = &*digit & &carry;
            *digit ^= carry;
            carry = next;
        }
        if !carry.is_empty() {
            self.digits.push(carry);
        }
    }

    /// The slots of `universe` that are in at least `count` of the sets.
    pub(super) fn at_least(&self, count: usize, universe: &RoaringBitmap) -> RoaringBitmap {
        if count.checked_shr(self.digits.len() as u32).is_some_and(|rest| rest > 0) {
            return RoaringBitmap::new();
        }
        let mut equal = universe.clone();
        let mut greater = RoaringBitmap::new();
        for (position, digit) in self.digits.iter().enumerate().rev() {
            if count >> position & 1 == 1 {
                equal &= digit;
            } else {
                greater |= &equal & digit;
                equal -= digit;
            }
        }
        greater | equal
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts(sets in prop::collection::vec(prop::collection::btree_set(0_u32..20, 0..20), 0..20)) {
            let universe: RoaringBitmap = (0..20).collect();
            let mut counter = Counter::default();
            sets.iter().for_each(|set| counter.add(&set.iter().copied().collect()));
            for count in (0..=21).chain([usize::MAX]) {
                let expected = (0..20).filter(|slot| sets.iter().filter(|set| set.contains(slot)).count() >= count);
                prop_assert_eq!(counter.at_least(count, &universe), expected.collect::<RoaringBitmap>());
            }
        }
    }
}
