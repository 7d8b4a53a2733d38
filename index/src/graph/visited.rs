//! Which rows a walk has met: an open hash table that stays in the nearest cache.
//!
//! A bitset over all rows would have to be cleared, or kept, for each query: at a million rows 125 KB. A walk meets some
//! hundred to some thousand rows; their table is 16 KB, and clearing that takes less time than one cache miss for each row.

/// A set of rows.
#[derive(Default)]
pub(crate) struct Visited {
    table: Vec<u32>,
    count: usize,
    shift: u32,
}

const EMPTY: u32 = u32::MAX;

impl Visited {
    /// Empties it, with room for about `expected` rows.
    #[inline(always)]
    pub(crate) fn clear(&mut self, expected: usize) {
        let size = (expected * 2).next_power_of_two().max(1024);
        self.table.clear();
        self.table.resize(size, EMPTY);
        self.shift = 32 - size.ilog2();
        self.count = 0;
    }

    /// Adds a row; whether it was not in it.
    #[inline(always)]
    pub(crate) fn insert(&mut self, row: u32) -> bool {
        let mask = self.table.len() - 1;
        // Fibonacci hashing: the upper bits of the product are well mixed.
        let mut at = (row.wrapping_mul(0x9e37_79b1) >> self.shift) as usize & mask;
        loop {
            match self.table[at] {
                EMPTY => break,
                held if held == row => return false,
                _ => at = (at + 1) & mask,
            }
        }
        self.table[at] = row;
        self.count += 1;
        if self.count * 2 > self.table.len() {
            self.grow();
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let rows: Vec<u32> = self.table.iter().copied().filter(|row| *row != EMPTY).collect();
        self.clear(self.table.len());
        for row in rows {
            self.insert(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn is_a_set_also_when_it_grows_and_is_used_again() {
        let mut visited = Visited::default();
        for turn in 0..3_u32 {
            visited.clear(10);
            let mut model = HashSet::new();
            for number in 0..5_000_u32 {
                let row = number.wrapping_mul(2_654_435_761 + turn) % 3_000;
                assert_eq!(visited.insert(row), model.insert(row));
            }
        }
    }
}
