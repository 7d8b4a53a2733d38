//! The k best so far.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use types::Slot;

/// `k` comes from the user; room for more than this is made only when it is needed.
const ROOM_MAX: usize = 1024;

/// A slot and its score: BM25, or the dot product of sparse vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Where the document's point stands.
    pub slot: Slot,
    /// Larger is better, never 0.
    pub score: f32,
}

/// A bounded heap with the worst on top.
#[derive(Clone)]
pub(super) struct Best {
    k: usize,
    heap: BinaryHeap<Reverse<Ranked>>,
}

#[derive(Clone, Copy)]
struct Ranked(Scored);

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(ROOM_MAX)) }
    }

    pub(super) fn offer(&mut self, scored: Scored) {
        let offered = Reverse(Ranked(scored));
        if self.heap.len() < self.k {
            self.heap.push(offered);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && offered < *worst
        {
            *worst = offered;
        }
    }

    /// Offers what is found, if its score may be among the best: most documents are never looked up.
    pub(super) fn offer_found(&mut self, score: f32, find: impl FnOnce() -> Option<Slot>) {
        if score > self.threshold()
            && let Some(slot) = find()
        {
            self.offer(Scored { slot, score });
        }
    }

    /// Scores up to this one need not be offered. Just below the worst kept, whose equals may have a smaller slot.
    pub(super) fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(Reverse(Ranked(worst))) if self.heap.len() >= self.k => worst.score.next_down(),
            _ => f32::MIN,
        }
    }

    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.0).collect()
    }
}

/// The better is the greater.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.score.total_cmp(&other.0.score).then(other.0.slot.cmp(&self.0.slot))
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
