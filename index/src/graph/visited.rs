//! Which rows a walk has met: a table that forgets.
//!
//! A row has one place in the table, and whoever comes later takes it. So a row may be met twice; it is then estimated
//! once more, and the beam knows it. In return a place is one read, sixteen links are looked up at once, and the
//! table stays in the nearest caches. A bitset over all rows would have to be cleared for each query: at a million
//! rows 125 KB.
//! Source: the lossy visited filter of SVS (Aguerrebere et al. 2023).

use crate::kernels::{Kernel, place};

/// About the set of rows that were met.
#[derive(Default)]
pub(crate) struct Visited {
    table: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

/// The smallest and the largest table: 4 KiB and 256 KiB.
const PLACES_MIN: usize = 1 << 10;
const PLACES_MAX: usize = 1 << 16;

impl Visited {
    /// Empties it, with room for about `expected` rows.
    #[inline(always)]
    pub(crate) fn clear(&mut self, expected: usize) {
        let places = (expected * 4).next_power_of_two().clamp(PLACES_MIN, PLACES_MAX);
        self.table.clear();
        self.table.resize(places, EMPTY);
    }

    /// Adds a row; whether it was not known to be in it.
    #[inline(always)]
    pub(crate) fn insert(&mut self, row: u32) -> bool {
        let at = place(row, self.table.len());
        let held = std::mem::replace(&mut self.table[at], row);
        held != row
    }

    /// Adds links below `rows`, and appends those that were not known to be in it.
    #[inline(always)]
    pub(crate) fn insert_all<K: Kernel>(
        &mut self,
        kernel: K,
        links: &[u32],
        rows: u32,
        unmet: &mut Vec<u32>,
    ) {
        kernel.unmet(&mut self.table, links, rows, unmet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_little_and_never_takes_a_new_row_for_a_known_one() {
        let mut visited = Visited::default();
        for turn in 0..3_u32 {
            visited.clear(1_000);
            let rows: Vec<u32> = (0..1_000_u32).map(|n| n.wrapping_mul(7_919) + turn).collect();
            assert!(rows.iter().all(|row| visited.insert(*row)), "a new row was taken for a known one");
            let forgotten = rows.iter().filter(|row| visited.insert(**row)).count();
            assert!(forgotten < 200, "{forgotten} of 1000 were forgotten");
        }
    }
}
