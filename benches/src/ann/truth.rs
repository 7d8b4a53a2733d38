//! The true nearest, by computing every distance.
//!
//! Rows are taken in blocks that stay in the cache while all queries of a thread are held against them: a million rows
//! and a thousand queries are arithmetic then, not memory.

use std::thread;

use index::kernels;
use kithdb::Metric;

use super::dataset::{HITS, NONE};

/// Rows of a block.
const BLOCK_ROWS: usize = 256;

/// Vectors and queries, row after row.
#[derive(Clone, Copy)]
pub(super) struct Exact<'a> {
    pub(super) metric: Metric,
    pub(super) dim: usize,
    pub(super) base: &'a [f32],
    pub(super) queries: &'a [f32],
}

/// Whether a row (the second number) counts for a query (the first).
pub(super) type Accepts<'a> = &'a (dyn Fn(usize, usize) -> bool + Sync);

/// The nearest rows of a query so far, nearest first.
type Best = Vec<(f32, u32)>;

impl Exact<'_> {
    /// For each query the [`HITS`] nearest rows of those that count; [`NONE`] where there are fewer.
    pub(super) fn nearest(&self, accepts: Accepts<'_>, threads: usize) -> Vec<u32> {
        let queries = self.queries.len() / self.dim;
        let part = queries.div_ceil(threads.max(1)).max(1);
        let mut hits = vec![NONE; queries * HITS];
        thread::scope(|scope| {
            for (number, own) in hits.chunks_mut(part * HITS).enumerate() {
                scope.spawn(move || self.find(accepts, number * part, own));
            }
        });
        hits
    }

    /// Fills in the hits of some queries, from this one on.
    fn find(&self, accepts: Accepts<'_>, first_query: usize, hits: &mut [u32]) {
        let mut all: Vec<Best> = vec![Best::with_capacity(HITS + 1); hits.len() / HITS];
        for (block, vectors) in self.base.chunks(BLOCK_ROWS * self.dim).enumerate() {
            for (number, best) in all.iter_mut().enumerate() {
                let query = first_query + number;
                let elements = &self.queries[query * self.dim..][..self.dim];
                for (at, vector) in vectors.chunks_exact(self.dim).enumerate() {
                    let row = block * BLOCK_ROWS + at;
                    if accepts(query, row) {
                        offer(best, kernels::distance(self.metric, elements, vector), row as u32);
                    }
                }
            }
        }
        for (hits, best) in hits.chunks_mut(HITS).zip(all) {
            hits.iter_mut().zip(best).for_each(|(hit, (_, row))| *hit = row);
        }
    }
}

/// Rows come in ascending order, so of equal distances the first stays before the others.
fn offer(best: &mut Best, distance: f32, row: u32) {
    if best.len() == HITS && best.last().is_some_and(|worst| worst.0 <= distance) {
        return;
    }
    best.insert(best.partition_point(|near| near.0 <= distance), (distance, row));
    best.truncate(HITS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ann::dataset::Dataset;

    #[test]
    fn blocks_and_threads_change_nothing() {
        let set = Dataset::synthetic("700x8".parse().expect("a shape"), 1);
        let accepts = |query: usize, row: usize| (query + row).is_multiple_of(3);
        let found = set.exact().nearest(&accepts, 3);
        for (number, (query, hits)) in set.queries.chunks(set.dim).zip(found.chunks(HITS)).enumerate() {
            let distance = |row: usize| kernels::distance(set.metric, query, set.vector(row));
            let rows = (0..set.rows()).filter(|row| accepts(number, *row));
            let mut all: Best = rows.map(|row| (distance(row), row as u32)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            assert!(all.iter().map(|near| near.1).take(HITS).eq(hits.iter().copied()), "query {number}");
        }
    }
}
