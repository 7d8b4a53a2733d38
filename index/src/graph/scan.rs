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

use super::search::{COMPLETED_MORE, Near, SIGNS_MORE, SIGNS_PER_HIT, WALKS};
use super::walk::Walk;
use super::{Graph, Tiers};
use crate::codes::{Bits, Both, Nav, Nibbles, Prepared, Reader};
use crate::kernels::{Kernel, Task, run};

/// Rows of a batch.
const BATCH: usize = 8;

/// A thread keeps room for so many candidates from one scan to the next.
const CANDIDATES_KEPT: usize = 1 << 14;

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
            run(self.isa, ScanCodes { graph: self, tiers, query, walk, rows, k });
            // Of those that are left none is read behind the first that is too far.
            walk.candidates.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            let near = self.exact(tiers, query, walk, k);
            walk.candidates.clear();
            walk.candidates.shrink_to(CANDIDATES_KEPT);
            near
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
    k: usize,
}

impl<I: Iterator<Item = u32>> Task for ScanCodes<'_, '_, I> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let Self { graph, tiers, query, walk, rows, k } = self;
        walk.query.set(kernel, &graph.codec, query);
        let tier = graph.tier(tiers);
        match graph.codec.nav {
            Nav::Nibbles => {
                sift(kernel, Nibbles(tier), (&mut *walk, k), rows, |query, row| query.margins(tier, row));
                let sifted = std::mem::take(&mut walk.candidates).into_iter().map(|(row, _)| row);
                sift(kernel, Both(tier), (walk, k), sifted, |query, row| query.margins_of_codes(tier, row));
            }
            Nav::Bits => {
                walk.beam.clear(k * SIGNS_PER_HIT + SIGNS_MORE);
                estimate(kernel, Bits(tier), walk, rows);
                walk.choose(usize::MAX, graph.doubt(tier));
            }
            Nav::Vectors => {
                walk.beam.clear(k + COMPLETED_MORE + k / 2);
                estimate(kernel, graph.vectors(tiers), walk, rows);
                walk.choose(usize::MAX, graph.doubt(tier));
            }
        }
    }
}

/// Leaves as candidates the rows that may be among the `k` nearest, if estimates are wrong by what `margins` says.
#[inline(always)]
fn sift<K: Kernel, R: Reader>(
    kernel: K,
    reader: R,
    (walk, k): (&mut Walk, usize),
    rows: impl Iterator<Item = u32>,
    margins: impl Fn(&Prepared, u32) -> (f32, f32),
) {
    walk.candidates.clear();
    walk.beam.clear(k);
    let mut batches = Batches::new(kernel, reader, rows);
    loop {
        let (rows, count) = batches.take(kernel, reader);
        if count == 0 {
            break;
        }
        walk.sift_all(kernel, reader, &rows[..count], &margins);
    }
    // By the nearest of all, not of those before.
    let Walk { candidates, beam, .. } = walk;
    candidates.retain(|(_, least)| beam.takes(*least));
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
