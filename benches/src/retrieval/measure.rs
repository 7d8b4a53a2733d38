//! nDCG@10 and recall@100 as trec_eval has them, and so pytrec_eval.
//!
//! Gain is the judged relevance as it stands, discount the binary logarithm of rank + 1, the ideal ranking is that of
//! all judged documents. Documents of equal score are ordered by id, the greatest first.

use std::collections::HashMap;
use std::ops::{AddAssign, Div};

const NDCG_RANKS: usize = 10;
const RECALL_RANKS: usize = 100;

/// How well rankings were, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Quality {
    pub(super) ndcg: f64,
    pub(super) recall: f64,
}

impl Quality {
    /// The quality of one ranking, given as score and document in any order. `judged` holds the relevance of each
    /// judged document, at least one above 0.
    pub(super) fn of(ranked: &mut [(f32, &str)], judged: &HashMap<String, u32>) -> Self {
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(a.1)));
        let relevance: Vec<u32> =
            ranked.iter().map(|(_, id)| judged.get(*id).copied().unwrap_or(0)).collect();
        let mut ideal: Vec<u32> = judged.values().copied().collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let found = relevance.iter().take(RECALL_RANKS).filter(|relevance| **relevance > 0).count();
        let relevant = ideal.iter().filter(|relevance| **relevance > 0).count();
        Self { ndcg: gain(&relevance) / gain(&ideal), recall: found as f64 / relevant as f64 }
    }
}

/// The discounted cumulative gain of the first [`NDCG_RANKS`].
fn gain(relevance: &[u32]) -> f64 {
    let ranks = relevance.iter().take(NDCG_RANKS).enumerate();
    ranks.map(|(position, relevance)| f64::from(*relevance) / (position as f64 + 2.0).log2()).sum()
}

impl AddAssign for Quality {
    fn add_assign(&mut self, other: Self) {
        self.ndcg += other.ndcg;
        self.recall += other.recall;
    }
}

/// The mean of a sum over so many rankings; 0 of none.
impl Div<usize> for Quality {
    type Output = Self;

    fn div(self, count: usize) -> Self {
        let count = count.max(1) as f64;
        Self { ndcg: self.ndcg / count, recall: self.recall / count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(relevance: &[(&str, u32)]) -> HashMap<String, u32> {
        relevance.iter().map(|(id, relevance)| ((*id).to_owned(), *relevance)).collect()
    }

    #[test]
    fn gains_are_linear_and_the_ideal_is_that_of_all_judged() {
        let judged = judged(&[("a", 2), ("b", 1), ("c", 0)]);
        let quality = Quality::of(&mut [(3.0, "b"), (2.0, "x"), (1.0, "a")], &judged);
        // Gains: 1 / log2(2) + 2 / log2(4), of at best 2 / log2(2) + 1 / log2(3).
        assert!((quality.ndcg - 2.0 / (2.0 + 1.0 / 3f64.log2())).abs() < 1e-12, "{quality:?}");
        assert_eq!(quality.recall, 1.0);
    }

    #[test]
    fn of_equal_scores_the_greatest_id_comes_first() {
        let judged = judged(&[("a", 1)]);
        let second = Quality::of(&mut [(1.0, "a"), (1.0, "b")], &judged);
        assert!((second.ndcg - 1.0 / 3f64.log2()).abs() < 1e-12, "{second:?}");
    }

    #[test]
    fn what_comes_too_late_counts_for_nothing() {
        let ids: Vec<String> = (0..101).map(|at| at.to_string()).collect();
        let mut ranked: Vec<(f32, &str)> =
            ids.iter().enumerate().map(|(at, id)| (-(at as f32), id.as_str())).collect();
        let quality = Quality::of(&mut ranked, &judged(&[("10", 1), ("100", 1)]));
        assert_eq!(quality, Quality { ndcg: 0.0, recall: 0.5 });
    }
}
