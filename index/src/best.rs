//! The best so far: a bounded heap with the worst of them on top.
//!
//! Which of two is better says the order of the entries: the least is the best. Whoever ranks by scores, of which the
//! greater is better, reverses it.
//! Cost: a comparison for an entry that is not among the best, O(log k) for one that is.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// `k` comes from the user; room for more than this is made only when it is needed.
const ROOM_MAX: usize = 1024;

/// The `k` least of the entries that are offered.
#[derive(Clone)]
pub(crate) struct Best<T> {
    k: usize,
    heap: BinaryHeap<T>,
}

impl<T: Ord> Best<T> {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(ROOM_MAX)) }
    }

    /// How many are kept.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    #[inline]
    pub(crate) fn offer(&mut self, entry: T) {
        if self.heap.len() < self.k {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    /// The worst that is kept, if there are as many as are wanted: what is no better need not be offered.
    #[inline]
    pub(crate) fn worst(&self) -> Option<&T> {
        if self.heap.len() < self.k { None } else { self.heap.peek() }
    }

    /// Best first.
    pub(crate) fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec()
    }
}

/// A distance and the row or slot that has it, in this order.
#[derive(Clone, Copy)]
pub(crate) struct Nearest(pub(crate) f32, pub(crate) u32);

impl Ord for Nearest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Nearest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Nearest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Nearest {}
