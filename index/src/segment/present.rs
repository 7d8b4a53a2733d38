//! Which rows of a segment have a vector in one space, for a space that some rows lack.
//!
//! Vectors stand in order of rows, without gaps: a vector's place is the number of rows before its own that have one.
//! Row to place is one read of `ranks` and a count of bits; place to row is one read of `rows`. A filter over rows
//! becomes one over places 64 rows at a time, with some 80 instructions where a row lacks the vector, few where none
//! does.
//!
//! Damaged sections give wrong answers, never a panic; [`Present::check`] finds what does not agree.

use crate::file::Array;
use crate::graph::Bits;

/// Rows to places and back.
pub(super) struct Present {
    rows: Array<u32>,
    /// Pairs: a bit for each of 64 rows; places before them.
    ranks: Array<u64>,
}

impl Present {
    /// Takes the two sections if their lengths fit; `rows` is how many the segment has, `count` how many of them have
    /// the vector.
    pub(super) fn new(rows: Array<u32>, ranks: Array<u64>, row_count: u32, count: u32) -> Option<Self> {
        let is_fit = rows.len() == count as usize && ranks.len() == row_count.div_ceil(64) as usize * 2;
        is_fit.then_some(Self { rows, ranks })
    }

    /// Where the vector of a row stands.
    pub(super) fn place(&self, row: u32) -> Option<u32> {
        let [bits, before] = *self.ranks.as_chunks().0.get(row as usize / 64)?;
        let bit = 1_u64 << (row % 64);
        let below = (bits & (bit - 1)).count_ones();
        (bits & bit != 0).then(|| (before as u32).wrapping_add(below))
    }

    /// The row of the vector at a place.
    pub(super) fn row(&self, place: u32) -> Option<u32> {
        self.rows.get(place as usize).copied()
    }

    /// The places of those of these rows that have the vector.
    pub(super) fn places(&self, shown: &Bits) -> Bits {
        let mut words = vec![0; self.rows.len().div_ceil(64)];
        for (&word, &[bits, before]) in shown.words().iter().zip(self.ranks.as_chunks().0) {
            let packed = compress(word, bits);
            let (at, shift) = (before as usize / 64, before % 64);
            if let Some(low) = words.get_mut(at) {
                *low |= packed << shift;
            }
            if shift > 0
                && let Some(high) = words.get_mut(at + 1)
            {
                *high |= packed >> (64 - shift);
            }
        }
        if let Some(last) = words.last_mut().filter(|_| !self.rows.len().is_multiple_of(64)) {
            // Only a damaged section has more.
            *last &= (1 << (self.rows.len() % 64)) - 1;
        }
        Bits::from_words(words)
    }

    /// Whether both sections say the same.
    pub(super) fn check(&self, row_count: u32) -> bool {
        let mut place = 0;
        for (block, &[bits, before]) in self.ranks.as_chunks().0.iter().enumerate() {
            if before != place as u64 {
                return false;
            }
            let mut rest = bits;
            while rest != 0 {
                let row = block as u64 * 64 + u64::from(rest.trailing_zeros());
                let agrees = self.rows.get(place).is_some_and(|known| u64::from(*known) == row);
                if !agrees || row >= u64::from(row_count) {
                    return false;
                }
                place += 1;
                rest &= rest - 1;
            }
        }
        place == self.rows.len()
    }
}

/// The two sections for the rows whose bits are set.
pub(super) fn encode(bits: &[u64]) -> (Vec<u32>, Vec<u64>) {
    let (mut rows, mut ranks) = (Vec::new(), Vec::with_capacity(bits.len() * 2));
    for (block, &word) in (0_u32..).zip(bits) {
        ranks.extend([word, rows.len() as u64]);
        let mut rest = word;
        while rest != 0 {
            rows.push(block * 64 + rest.trailing_zeros());
            rest &= rest - 1;
        }
    }
    (rows, ranks)
}

/// The bits of `word` where `mask` has one, moved together to the right. Warren, Hacker's Delight, 7-4.
fn compress(word: u64, mask: u64) -> u64 {
    if mask == u64::MAX {
        return word;
    }
    let (mut word, mut mask) = (word & mask, mask);
    let mut zeros = !mask << 1;
    for step in 0..6 {
        // Bits with an odd number of zeros to their right.
        let mut odd = zeros;
        for shift in [1, 2, 4, 8, 16, 32] {
            odd ^= odd << shift;
        }
        let moves = odd & mask;
        mask = (mask ^ moves) | (moves >> (1 << step));
        let moved = word & moves;
        word = (word ^ moved) | (moved >> (1 << step));
        zeros &= !odd;
    }
    word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words as spaces have them: of all rows, of none, of some.
    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), (0_u32..64).prop_map(|bit| !(1 << bit))]
    }

    proptest! {
        #[test]
        fn bits_are_moved_together(word in word(), mask in word()) {
            let (mut expected, mut place) = (0, 0);
            for bit in (0..64).filter(|bit| mask >> bit & 1 == 1) {
                expected |= (word >> bit & 1) << place;
                place += 1;
            }
            prop_assert_eq!(compress(word, mask), expected);
        }

        #[test]
        fn the_sections_count_rows(words in prop::collection::vec(word(), 0..6)) {
            let (rows, ranks) = encode(&words);
            let expected: Vec<u32> = (0..words.len() as u32 * 64)
                .filter(|row| words[*row as usize / 64] >> (row % 64) & 1 == 1)
                .collect();
            prop_assert_eq!(&rows, &expected);
            for (block, pair) in ranks.as_chunks::<2>().0.iter().enumerate() {
                let before = rows.iter().filter(|row| **row < block as u32 * 64).count() as u64;
                prop_assert_eq!(*pair, [words[block], before]);
            }
        }
    }
}
