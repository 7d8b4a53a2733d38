//! Maximal marginal relevance (Carbonell and Goldstein 1998): of near ones, those that differ.
//!
//! The next hit is the one with the greatest `(1 - diversity) * similarity to the query - diversity * greatest
//! similarity to a hit`. Cost: candidates times hits distances.

use types::Vector;

use super::alike::Alike;
use crate::Ranked;

/// Chooses up to `count` of the candidates, in the order in which they are chosen, as long as there is time.
pub(crate) fn choose(
    alike: Alike,
    query: &Vector,
    candidates: &[(Ranked, Vector)],
    diversity: f32,
    count: usize,
    has_time: &dyn Fn() -> bool,
) -> Vec<Ranked> {
    let near = |(_, vector): &(Ranked, Vector)| (1.0 - diversity) * alike.between(query, vector);
    let relevance: Vec<f32> = candidates.iter().map(near).collect();
    let mut likeness = vec![f32::NEG_INFINITY; candidates.len()];
    let mut rest: Vec<usize> = (0..candidates.len()).collect();
    let mut chosen = Vec::with_capacity(count.min(candidates.len()));
    while chosen.len() < count && !rest.is_empty() && has_time() {
        let value = |at: usize| match likeness[at] {
            f32::NEG_INFINITY => relevance[at],
            likeness => relevance[at] - diversity * likeness,
        };
        // Of equals the nearer one, which comes first.
        let best = (0..rest.len()).rev().max_by(|a, b| value(rest[*a]).total_cmp(&value(rest[*b])));
        let Some(best) = best else { break };
        let at = rest.remove(best);
        let (ranked, vector) = &candidates[at];
        chosen.push(*ranked);
        for other in &rest {
            let like = alike.between(&candidates[*other].1, vector);
            likeness[*other] = likeness[*other].max(like);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use types::{Metric, Slot};

    use super::*;
    use crate::kinds::rate::similarity;

    /// As Qdrant's engine answers (qdrant-edge 0.9.0).
    #[test]
    fn hits_are_those_of_the_dialect() {
        let points = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.5], [0.5, -0.5_f32]];
        let query = [1.0, 0.3_f32];
        let cases = [
            (Metric::Dot, 0.5, 5, [1, 3, 2, 5, 4].as_slice()),
            (Metric::Dot, 0.9, 5, &[1, 4, 5, 3, 2]),
            (Metric::Euclid, 0.5, 4, &[1, 3, 2, 5]),
            (Metric::Manhattan, 0.5, 5, &[1, 2, 5, 4, 3]),
        ];
        for (metric, diversity, count, expected) in cases {
            let mut candidates: Vec<(Ranked, Vector)> = (1..)
                .zip(points)
                .map(|(slot, point)| {
                    let score = similarity(metric, &query, &point);
                    (Ranked::new(Slot(slot), score), Vector::from(point))
                })
                .collect();
            candidates.sort_by(|a, b| b.0.score.total_cmp(&a.0.score));
            let query = Vector::from(query);
            let alike = Alike::Dense(metric);
            let chosen = choose(alike, &query, &candidates, diversity, count, &|| true);
            let slots: Vec<u32> = chosen.iter().map(|ranked| ranked.slot.0).collect();
            assert_eq!(slots, expected, "{metric} {diversity}");
            assert!(choose(alike, &query, &candidates, diversity, count, &|| false).is_empty());
        }
    }
}
