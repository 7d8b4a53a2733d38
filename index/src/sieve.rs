//! Which rows may be among the nearest, where distances are known up to a margin.
//!
//! A row stays unless as many as are wanted are nearer than it can be. Those count by the most that their distances may
//! be: where each row has a margin of its own, wide ones say nothing of narrow ones.
//!
//! Invariant: a row of whose distance nothing is known stays, and none goes for it.
//! Cost: two comparisons for a row that goes, O(log k) for one of the nearest so far, 8 bytes for one that stays; they
//! are many where margins are wide beside what lies between the rows.

use crate::best::{Best, Nearest};

/// Rows that may be among the `k` nearest of those that were offered.
pub(crate) struct Sieve {
    /// By the most that their distances may be.
    nearest: Best<Nearest>,
    /// That of the farthest of these, once there are as many as are wanted.
    last: f32,
    /// With the least that their distances may be.
    left: Vec<(u32, f32)>,
}

impl Sieve {
    pub(crate) fn new(k: usize) -> Self {
        let last = if k == 0 { f32::NEG_INFINITY } else { f32::INFINITY };
        Self { nearest: Best::new(k), last, left: Vec::new() }
    }

    /// Offers a row, about how far it is, and how much farther and nearer it may be.
    #[inline(always)]
    pub(crate) fn offer(&mut self, row: u32, estimate: f32, (farther, nearer): (f32, f32)) {
        if !estimate.is_finite() {
            return self.offer_unknown(row);
        }
        let (least, most) = (estimate - nearer, estimate + farther);
        if least > self.last {
            return;
        }
        self.left.push((row, least));
        if most < self.last {
            self.nearest.offer(Nearest(most, row));
            if let Some(Nearest(last, _)) = self.nearest.worst() {
                self.last = *last;
            }
        }
    }

    /// Offers a row that may be anywhere.
    pub(crate) fn offer_unknown(&mut self, row: u32) {
        self.left.push((row, f32::NEG_INFINITY));
    }

    /// The rows that may be among the nearest, and the least that their distances may be.
    pub(crate) fn left(self) -> Vec<(u32, f32)> {
        let Self { last, mut left, .. } = self;
        // By the nearest of all, not of those before.
        left.retain(|(_, least)| *least <= last);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_are_farther_whatever_they_are_wrong_by_go() {
        let left = |k: usize, offers: &[(f32, f32, f32)]| -> Vec<u32> {
            let mut sieve = Sieve::new(k);
            for (row, (estimate, farther, nearer)) in (0..).zip(offers) {
                sieve.offer(row, *estimate, (*farther, *nearer));
            }
            sieve.left().into_iter().map(|(row, _)| row).collect()
        };
        let offers = [(5.0, 1.0, 1.0), (1.0, 1.0, 1.0), (2.0, 0.0, 0.5), (4.0, 0.5, 0.5), (2.5, 9.0, 0.5)];
        assert_eq!(left(1, &offers), [1, 2, 4]);
        assert_eq!(left(2, &offers), [1, 2, 4]);
        assert_eq!(left(3, &offers), [0, 1, 2, 3, 4]);
        assert_eq!(left(9, &offers), [0, 1, 2, 3, 4]);
        let lucky = [(0.0, 8.0, 8.0), (3.0, 0.0, 0.0), (7.0, 0.0, 0.0)];
        assert_eq!(left(1, &lucky), [0, 1], "the first may be farther than the second");
        let unknown = [(f32::NAN, 1.0, 1.0), (f32::NEG_INFINITY, 1.0, 1.0), (1.0, 1.0, 1.0), (9.0, 1.0, 1.0)];
        assert_eq!(left(1, &unknown), [0, 1, 2]);
        assert!(left(0, &offers).is_empty() && left(1, &[]).is_empty());
    }
}
