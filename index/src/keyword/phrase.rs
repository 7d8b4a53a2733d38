//! Words that stand one after the other.

use std::sync::Arc;

/// A phrase: its terms in order, and how far apart they stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phrase {
    pub(super) terms: Vec<Arc<str>>,
    /// From each term to the next: 1, and 1 more for each stop word between them.
    pub(super) steps: Vec<u32>,
    /// Other words between the terms, at most.
    pub(super) slop: u32,
}

impl Phrase {
    /// Visits each occurrence that begins at another place: the positions of its terms. `positions` are those of each
    /// term in a document, ascending.
    pub(super) fn each(&self, positions: &[Vec<u32>], visit: &mut dyn FnMut(&[u32])) {
        let mut chain = Vec::with_capacity(positions.len());
        for first in positions.first().into_iter().flatten() {
            chain.clear();
            chain.push(*first);
            let (mut at, mut slack) = (*first, self.slop);
            // The earliest place for each term leaves the most room for those behind it.
            for (step, places) in self.steps.iter().zip(&positions[1..]) {
                let due = at + step;
                let Some(next) = places.get(places.partition_point(|place| *place < due)) else { return };
                if next - due > slack {
                    break;
                }
                slack -= next - due;
                at = *next;
                chain.push(at);
            }
            if chain.len() == positions.len() {
                visit(&chain);
            }
        }
    }

    /// How often it occurs.
    pub(super) fn count(&self, positions: &[Vec<u32>]) -> u32 {
        let mut count = 0;
        self.each(positions, &mut |_| count += 1);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_stands_in_its_order_and_within_its_slop() {
        let phrase = |steps: &[u32], slop| Phrase {
            terms: vec!["x".into(); steps.len() + 1],
            steps: steps.to_vec(),
            slop,
        };
        let count = |steps: &[u32], slop, positions: &[&[u32]]| {
            let positions: Vec<Vec<u32>> = positions.iter().map(|places| places.to_vec()).collect();
            phrase(steps, slop).count(&positions)
        };
        assert_eq!(count(&[1], 0, &[&[1, 5, 9], &[2, 7, 10]]), 2);
        assert_eq!(count(&[1], 1, &[&[1, 5, 9], &[2, 7, 10]]), 3);
        assert_eq!(count(&[1], 5, &[&[8], &[2, 7]]), 0);
        assert_eq!(count(&[2], 0, &[&[1, 4], &[2, 3]]), 1);
        assert_eq!(count(&[1, 1], 1, &[&[1], &[3], &[4]]), 1);
        assert_eq!(count(&[1, 1], 1, &[&[1], &[3], &[5]]), 0);
        assert_eq!(count(&[], 0, &[&[1, 2]]), 2);
    }
}
