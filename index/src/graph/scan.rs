//! Scanning by codes: rows of a filter, one after the other.
//!
//! Rows come in batches. Memory is asked for the codes of one while those of the batch before are estimated, so that
//! the scan does not wait for what it has just asked for.
//!
//! Upper nibbles come first. A row that they put farther than the last of the nearest so far, by more than they may be
//! wrong, cannot be a hit; whole codes are read of the others alone, and vectors of those that by these may be hits in
//! turn. Where many rows are about equally far, or far from the query beside what lies between them, these are many:
//! that costs time, not hits.
//!
//! Invariant: every row is looked at; every hit has its exact distance.
//! Cost: that of reading the upper nibbles, 3 cache lines for a row of 384 elements. Rows come from an iterator whose
//! type is known here: a call for each would take as long as its distance.

use types::Result;

use super::search::{Near, SIGNS_MORE, SIGNS_PER_HIT, WALKS};
use super::walk::Walk;
use super::{Graph, Tiers};
use crate::codes::{Bits, Both, Nav, Nibbles, Prepared, Reader};
use crate::kernels::{Kernel, Task, run};
use crate::sieve::Sieve;

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
            let mut candidates = run(self.isa, ScanCodes { graph: self, tiers, query, walk, rows, k });
            // The nearest first: where they are known, no other is read that is too far.
            candidates.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            self.exact(tiers, query, &candidates, &mut walk.vector, k)
        })
    }
}

/// Estimates of all given rows: which may be hits, and the least that their distances may be.
struct ScanCodes<'w, 'a, I> {
    graph: &'w Graph,
    tiers: &'w Tiers<'a>,
    query: &'w [f32],
    walk: &'w mut Walk,
    rows: I,
    k: usize,
}

impl<I: Iterator<Item = u32>> Task for ScanCodes<'_, '_, I> {
    type Output = Vec<(u32, f32)>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<(u32, f32)> {
        let Self { graph, tiers, query, walk, rows, k } = self;
        walk.query.set(kernel, &graph.codec, query);
        let tier = graph.tier(tiers);
        let doubt = graph.doubt(tier);
        let query = &walk.query;
        match graph.codec.nav {
            Nav::Nibbles => {
                let margins = |row: u32, _: f32| query.margins(tier, row);
                let sifted = sift(kernel, Nibbles(tier), query, rows, (k, margins));
                let margins = |row: u32, _: f32| query.margins_of_codes(tier, row);
                sift(kernel, Both(tier), query, sifted.into_iter().map(|(row, _)| row), (k, margins))
            }
            Nav::Vectors => {
                let margins = |row: u32, estimate: f32| {
                    let doubt = doubt(query, row, estimate);
                    (doubt, doubt)
                };
                sift(kernel, graph.vectors(tiers), query, rows, (k, margins))
            }
            Nav::Bits => {
                walk.beam.clear(k * SIGNS_PER_HIT + SIGNS_MORE);
                estimate(kernel, Bits(tier), walk, rows);
                walk.choose(usize::MAX, doubt);
                std::mem::take(&mut walk.candidates)
            }
        }
    }
}

/// The rows that may be among the `k` nearest, if estimates are wrong by what `margins` says.
#[inline(always)]
fn sift<K: Kernel, R: Reader>(
    kernel: K,
    reader: R,
    query: &Prepared,
    rows: impl Iterator<Item = u32>,
    (k, margins): (usize, impl Fn(u32, f32) -> (f32, f32)),
) -> Vec<(u32, f32)> {
    let (mut sieve, mut batches) = (Sieve::new(k), Batches::new(kernel, reader, rows));
    loop {
        let (rows, count) = batches.take(kernel, reader);
        if count == 0 {
            return sieve.left();
        }
        let (fours, rest) = rows[..count].as_chunks::<4>();
        for rows in fours {
            let estimates = reader.four(kernel, query, *rows);
            for (row, estimate) in rows.iter().zip(estimates) {
                sieve.offer(*row, estimate, margins(*row, estimate));
            }
        }
        for row in rest {
            let estimate = reader.one(kernel, query, *row);
            sieve.offer(*row, estimate, margins(*row, estimate));
        }
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
