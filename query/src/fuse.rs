//! Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009): the score of a point is the sum over the legs of
//! 1 / (k + its position in the leg), positions from 0.
//!
//! It looks at ranks only: a leg whose best hit is far ahead of its second says no more than one where they are even.

use std::collections::HashMap;

use types::Slot;

use crate::Ranked;

/// Fuses ranked legs, best first; ties go to the older slot.
pub(crate) fn rrf(legs: &[Vec<Ranked>], k: f32) -> Vec<Ranked> {
    let mut scores: HashMap<Slot, f32> = HashMap::new();
    for leg in legs {
        for (position, ranked) in leg.iter().enumerate() {
            *scores.entry(ranked.slot).or_default() += 1.0 / (k + position as f32);
        }
    }
    let mut fused: Vec<Ranked> = scores.into_iter().map(|(slot, score)| Ranked::new(slot, score)).collect();
    fused.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(slots: &[u32]) -> Vec<Ranked> {
        slots.iter().map(|slot| Ranked::new(Slot(*slot), 0.0)).collect()
    }

    #[test]
    fn a_point_in_both_legs_beats_the_winner_of_one() {
        let fused = rrf(&[leg(&[1, 2]), leg(&[3, 2])], 2.0);
        let slots: Vec<u32> = fused.iter().map(|ranked| ranked.slot.0).collect();
        assert_eq!(slots, [2, 1, 3]);
        assert_eq!(fused[0].score, 2.0 / 3.0);
        assert_eq!(fused[1].score, 0.5);
    }

    #[test]
    fn no_leg_gives_no_hit() {
        assert!(rrf(&[], 2.0).is_empty() && rrf(&[vec![], vec![]], 2.0).is_empty());
    }
}
