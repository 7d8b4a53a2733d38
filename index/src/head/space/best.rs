//! The k nearest so far: a bounded heap with the farthest on top.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Near;

/// `k` comes from the user; room for more than this is made only when it is needed.
const ROOM_MAX: usize = 1024;

pub(super) struct Best {
    k: usize,
    heap: BinaryHeap<Ranked>,
}

struct Ranked(Near);

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(ROOM_MAX)) }
    }

    /// How many are kept.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    pub(super) fn offer(&mut self, near: Near) {
        let offered = Ranked(near);
        if self.heap.len() < self.k {
            self.heap.push(offered);
        } else if let Some(mut farthest) = self.heap.peek_mut()
            && offered < *farthest
        {
            *farthest = offered;
        }
    }

    /// Sorted by (distance, slot).
    pub(super) fn into_sorted(self) -> Vec<Near> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.0).collect()
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.distance.total_cmp(&other.0.distance).then(self.0.slot.cmp(&other.0.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
