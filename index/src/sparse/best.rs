//! The best rows so far: a heap whose top is the worst of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The best `k` of rows that are offered in ascending order.
pub(super) struct Best {
    k: usize,
    /// On top the least score, of equals the largest row.
    heap: BinaryHeap<Reverse<(u32, Reverse<u32>)>>,
    least: f32,
}

impl Best {
    pub(super) fn new(k: usize) -> Self {
        let least = if k == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        Self { k, heap: BinaryHeap::new(), least }
    }

    /// What a score must exceed to be among the best.
    pub(super) fn least(&self) -> f32 {
        self.least
    }

    /// Takes a row in if it is among the best. A score of 0 is none.
    pub(super) fn offer(&mut self, row: u32, score: f32) {
        if score == 0.0 || score.is_nan() || score <= self.least {
            return;
        }
        if self.heap.len() == self.k {
            self.heap.pop();
        }
        self.heap.push(Reverse((ordered(score), Reverse(row))));
        if self.heap.len() == self.k
            && let Some(Reverse((least, _))) = self.heap.peek()
        {
            self.least = number(*least);
        }
    }

    /// Best first, of equals the smaller row.
    pub(super) fn into_rows(self) -> Vec<(u32, f32)> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|Reverse((score, Reverse(row)))| (row, number(score))).collect()
    }
}

/// A number whose order is that of the floats.
fn ordered(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn number(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}
