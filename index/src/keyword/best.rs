//! The best documents so far, and what a score must exceed to be among them.

use std::cmp::{Ordering, Reverse};

use types::Slot;

use crate::best;

/// A slot and its score: BM25, or the dot product of sparse vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Where the document's point stands.
    pub slot: Slot,
    /// Larger is better, never 0.
    pub score: f32,
}

#[derive(Clone)]
pub(super) struct Best(best::Best<Reverse<Ranked>>);

#[derive(Clone, Copy)]
struct Ranked(Scored);

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self(best::Best::new(k))
    }

    pub(super) fn offer(&mut self, scored: Scored) {
        self.0.offer(Reverse(Ranked(scored)));
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
        match self.0.worst() {
            Some(Reverse(Ranked(worst))) => worst.score.next_down(),
            None => f32::MIN,
        }
    }

    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.0.into_sorted().into_iter().map(|Reverse(ranked)| ranked.0).collect()
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
