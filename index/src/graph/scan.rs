//! Scanning by codes: rows of a filter, one after the other.
//!
//! Rows come in batches. Memory is asked for the codes of one while those of the batch before are estimated, so that the
//! scan does not wait for what it has just asked for.
//!
//! Invariant: every row is looked at; every hit has its exact distance.
//! Cost: that of reading the codes, 6 cache lines for a row of 384 elements. Rows come from an iterator whose type is
//! known here: a call for each would take as long as its distance.

use types::Result;

use super::search::{COMPLETED_MORE, Near, SIGNS_MORE, SIGNS_PER_HIT, WALKS};
use super::walk::Walk;
use super::{Graph, Tiers};
use crate::codes::{Bits, Both, Nav, Reader};
use crate::kernels::{Kernel, Task, run};

/// Rows of a batch.
const BATCH: usize = 8;

impl Graph {
    /// The `k` nearest of the given rows by their codes, then exactly: every row is looked at.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn scan_codes(
        &self,
        tiers: &Tiers<'_>,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        k: usize,
    ) -> Result<Vec<Near>> {
        WALKS.with_borrow_mut(|walks| {
            let [walk, ..] = walks;
            walk.beam.clear(match self.codec.nav {
                Nav::Bits => k * SIGNS_PER_HIT + SIGNS_MORE,
                Nav::Nibbles | Nav::Vectors => k + COMPLETED_MORE + k / 2,
            });
            run(self.isa, ScanCodes { graph: self, tiers, query, walk, rows });
            self.exact(tiers, query, walk, k)
        })
    }
}

/// Estimates of all given rows.
struct ScanCodes<'w, 'a, I> {
    graph: &'w Graph,
    tiers: &'w Tiers<'a>,
    query: &'w [f32],
    walk: &'w mut Walk,
    rows: I,
}

impl<I: Iterator<Item = u32>> Task for ScanCodes<'_, '_, I> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let Self { graph, tiers, query, walk, rows } = self;
        walk.query.set(kernel, &graph.codec, query);
        let tier = graph.tier(tiers);
        match graph.codec.nav {
            Nav::Nibbles => estimate(kernel, Both(tier), walk, rows),
            Nav::Bits => estimate(kernel, Bits(tier), walk, rows),
            Nav::Vectors => estimate(kernel, graph.vectors(tiers), walk, rows),
        }
        walk.choose(usize::MAX, graph.doubt(tier));
    }
}

/// Offers all rows to the beam.
#[inline(always)]
fn estimate<K: Kernel, R: Reader>(kernel: K, reader: R, walk: &mut Walk, rows: impl Iterator<Item = u32>) {
    let mut batches = Batches::new(kernel, reader, rows);
    loop {
        let (rows, count) = batches.take(kernel, reader);
        if count == 0 {
            return;
        }
        walk.offer_all(kernel, reader, &rows[..count], |_| ());
    }
}

/// Rows in batches, of which one is always under way.
struct Batches<I> {
    rows: I,
    ahead: [u32; BATCH],
    count: usize,
}

impl<I: Iterator<Item = u32>> Batches<I> {
    #[inline(always)]
    fn new<K: Kernel, R: Reader>(kernel: K, reader: R, rows: I) -> Self {
        let mut batches = Self { rows, ahead: [0; BATCH], count: 0 };
        batches.take(kernel, reader);
        batches
    }

    /// The batch that was asked for, and how many rows it has: none at the end. Asks for the next.
    #[inline(always)]
    fn take<K: Kernel, R: Reader>(&mut self, kernel: K, reader: R) -> ([u32; BATCH], usize) {
        let batch = (self.ahead, self.count);
        self.count = 0;
        while self.count < BATCH
            && let Some(row) = self.rows.next()
        {
            reader.prefetch(kernel, row);
            self.ahead[self.count] = row;
            self.count += 1;
        }
        batch
    }
}
