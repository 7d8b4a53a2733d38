//! Fusion: one ranking out of several. The score of a point is the sum of its shares of the legs that found it.
//!
//! | fusion | share of a point in a leg |
//! |---|---|
//! | reciprocal rank (Cormack, Clarke and Buettcher 2009) | 1 / (k + position), positions from 0 |
//! | distribution-based | where its score lies between the leg's mean less 3 deviations, and plus 3 |
//! | relative score | where its score lies between the leg's worst and best, times the leg's weight |
//! | adaptive | as relative score; what a leg of words weighs follows from how well words cover the query |
//!
//! The first two are Qdrant's, to the digit; but where smaller scores are better, the nearest counts most here
//! (docs/differences.md). Reciprocal rank looks at ranks only: a leg whose best hit is far ahead says no more than one
//! where all are even, which ruins queries for identifiers (docs/decisions/0008).

mod shares;

use std::collections::HashMap;

use types::{Error, HybridWeights, Result, Slot};

use crate::Ranked;

/// How many times the score of a document of mean length that has each word of a query once the attainable one is: 1 +
/// k1 of BM25, as `index::keyword` has it.
const ATTAINABLE_TO_MEAN: f32 = 2.2;

/// The first hits of a leg, which are what it says of a query: a page of them. Little changes with 3 or 20.
const CONFIRMING_HITS: usize = 10;

/// How legs are fused.
#[derive(Clone, Debug, PartialEq)]
pub enum Fusion {
    /// By reciprocal rank.
    Rrf {
        /// Damps the first positions.
        k: f32,
        /// What each leg weighs, 1 if there are none. A weight divides the positions.
        weights: Vec<f32>,
    },
    /// By the distributions of the legs' scores.
    Dbsf,
    /// By scores between the legs' worst and best.
    RelativeScore {
        /// What each leg weighs; all the same if there are none.
        weights: Vec<f32>,
    },
    /// As [`RelativeScore`](Self::RelativeScore), with weights that follow from the query.
    Adaptive {
        /// What words weigh; the collection's if there are none.
        weights: Option<HybridWeights>,
    },
}

/// One leg of a fusion.
pub(crate) struct Leg<'a> {
    /// Best first.
    pub(crate) hits: &'a [Ranked],
    /// Whether a larger score is the better one.
    pub(crate) larger_is_better: bool,
    /// Of a leg of words: the score that no document can exceed.
    pub(crate) attainable: Option<f32>,
}

impl Fusion {
    /// By reciprocal rank, all legs alike.
    pub fn rrf(k: f32) -> Self {
        Self::Rrf { k, weights: Vec::new() }
    }

    /// With weights that follow from the query, by those that the collection has.
    pub fn adaptive() -> Self {
        Self::Adaptive { weights: None }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rrf { .. } => "reciprocal rank",
            Self::Dbsf => "distribution of scores",
            Self::RelativeScore { .. } => "relative score",
            Self::Adaptive { .. } => "relative score, weights by the query",
        }
    }

    /// What words weigh, if that was said.
    pub(crate) fn of_words(&self) -> Option<HybridWeights> {
        match self {
            Self::Adaptive { weights } => *weights,
            _ => None,
        }
    }

    /// Checks it for so many legs.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn check(&self, legs: usize) -> Result<()> {
        let (name, weights) = match self {
            Self::Rrf { k, .. } if !(k.is_finite() && *k > 0.0) => {
                return Err(Error::invalid("query.rrf.k", "must be a finite number above 0"));
            }
            Self::Rrf { weights, .. } => ("rrf", weights),
            Self::RelativeScore { weights } => ("relative_score", weights),
            Self::Adaptive { weights } => {
                let checked = weights.map_or(Ok(()), HybridWeights::check);
                return checked.map_err(|error| error.within("query.adaptive"));
            }
            Self::Dbsf => return Ok(()),
        };
        let field = format!("query.{name}.weights");
        if !weights.is_empty() && weights.len() != legs {
            let message = format!("has {} weights for {legs} legs; each leg needs one", weights.len());
            return Err(Error::invalid(field, message));
        }
        if !weights.iter().all(|weight| *weight >= 0.0) || !weights.iter().sum::<f32>().is_finite() {
            return Err(Error::invalid(field, "must be numbers that are not negative, and finite together"));
        }
        self.check_first(legs)
    }

    /// Whether a point that stands first in all legs has a score: by reciprocal rank a weight above 1 takes from `k`.
    fn check_first(&self, legs: usize) -> Result<()> {
        let Self::Rrf { k, weights } = self else { return Ok(()) };
        let weights = if weights.is_empty() { vec![1.0; legs] } else { weights.clone() };
        let first: Vec<f32> =
            weights.into_iter().flat_map(|weight| shares::reciprocal(1, *k, weight)).collect();
        if first.iter().all(|share| *share >= 0.0) && first.iter().sum::<f32>().is_finite() {
            return Ok(());
        }
        let message = "is too small: what stands first has no finite score; 1 and above go with all weights";
        Err(Error::invalid("query.rrf.k", message))
    }

    /// What each leg weighs.
    pub(crate) fn weights(&self, legs: &[Leg<'_>]) -> Vec<f32> {
        match self {
            Self::Rrf { weights, .. } | Self::RelativeScore { weights } if !weights.is_empty() => {
                weights.clone()
            }
            Self::Rrf { .. } | Self::Dbsf => vec![1.0; legs.len()],
            Self::RelativeScore { .. } => vec![1.0 / legs.len().max(1) as f32; legs.len()],
            Self::Adaptive { weights } => adapted(legs, weights.unwrap_or_default()),
        }
    }

    /// The shares of a leg's hits, in their order.
    pub(crate) fn shares(&self, leg: &Leg<'_>, weight: f32) -> Vec<f32> {
        match self {
            Self::Rrf { k, .. } => shares::reciprocal(leg.hits.len(), *k, weight),
            Self::Dbsf => shares::distribution(&oriented(leg)),
            Self::RelativeScore { .. } | Self::Adaptive { .. } => {
                shares::relative(&oriented(leg)).into_iter().map(|share| share * weight).collect()
            }
        }
    }
}

/// Fuses legs, best first; ties go to the older slot.
pub(crate) fn fuse(legs: &[Leg<'_>], fusion: &Fusion) -> Vec<Ranked> {
    let weights = fusion.weights(legs);
    let mut scores: HashMap<Slot, f32> = HashMap::new();
    for (leg, weight) in legs.iter().zip(weights) {
        for (ranked, share) in leg.hits.iter().zip(fusion.shares(leg, weight)) {
            *scores.entry(ranked.slot).or_default() += share;
        }
    }
    let mut fused: Vec<Ranked> = scores.into_iter().map(|(slot, score)| Ranked::new(slot, score)).collect();
    fused.sort_unstable_by(Ranked::best_first);
    fused
}

/// What legs weigh by the query: legs of words by how well their best hit covers it, the others the rest, all
/// together 1.
fn adapted(legs: &[Leg<'_>], weights: HybridWeights) -> Vec<f32> {
    let coverages: Vec<Option<f32>> = legs.iter().map(|leg| coverage(leg, legs)).collect();
    let words = coverages.iter().flatten().count();
    let others = legs.len() - words;
    if words == 0 || others == 0 {
        return vec![1.0 / legs.len().max(1) as f32; legs.len()];
    }
    let trust = |coverage: f32| weights.of_words(coverage) / words as f32;
    let trusted: f32 = coverages.iter().flatten().map(|coverage| trust(*coverage)).sum();
    coverages.into_iter().map(|coverage| coverage.map_or((1.0 - trusted) / others as f32, trust)).collect()
}

/// How well a leg of words covers the query, from 0 to 1: what its best hit attains of what is attainable, so far as
/// other legs confirm it; so far as they do not, its score beside that of a document of mean length that has each word
/// once.
///
/// A long document that has an identifier once attains a third or less, though it has all that was asked for. Where
/// another leg found such documents too, that takes nothing from them; where none did, it would hand the query to legs
/// that know nothing of the identifier (docs/decisions/0008).
fn coverage(leg: &Leg<'_>, legs: &[Leg<'_>]) -> Option<f32> {
    let attainable = leg.attainable?;
    let best = leg.hits.first().map_or(0.0, |best| best.score);
    if !(attainable > 0.0 && best > 0.0) {
        return Some(0.0);
    }
    let attained = (best / attainable).min(1.0);
    let of_mean = (attained * ATTAINABLE_TO_MEAN).min(1.0);
    let confirmed = (confirmed(leg, legs) / best).clamp(0.0, 1.0);
    Some(confirmed * attained + (1.0 - confirmed) * of_mean)
}

/// The best score by words among the first hits of the legs that are not of words; 0 where words found none of them.
fn confirmed(words: &Leg<'_>, legs: &[Leg<'_>]) -> f32 {
    let others = legs.iter().filter(|leg| leg.attainable.is_none());
    let firsts: Vec<Slot> =
        others.flat_map(|leg| leg.hits.iter().take(CONFIRMING_HITS)).map(|hit| hit.slot).collect();
    // Best first, so that the first one is the best one.
    words.hits.iter().find(|hit| firsts.contains(&hit.slot)).map_or(0.0, |hit| hit.score)
}

/// The scores of a leg, larger for better hits.
fn oriented(leg: &Leg<'_>) -> Vec<f32> {
    let sign = if leg.larger_is_better { 1.0 } else { -1.0 };
    leg.hits.iter().map(|hit| sign * hit.score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(hits: &[(u32, f32)]) -> Vec<Ranked> {
        hits.iter().map(|(slot, score)| Ranked::new(Slot(*slot), *score)).collect()
    }

    fn leg(hits: &[Ranked]) -> Leg<'_> {
        Leg { hits, larger_is_better: true, attainable: None }
    }

    fn slots(fused: &[Ranked]) -> Vec<u32> {
        fused.iter().map(|ranked| ranked.slot.0).collect()
    }

    #[test]
    fn a_point_in_both_legs_beats_the_winner_of_one() {
        let (a, b) = (ranked(&[(1, 0.0), (2, 0.0)]), ranked(&[(3, 0.0), (2, 0.0)]));
        let fused = fuse(&[leg(&a), leg(&b)], &Fusion::rrf(2.0));
        assert_eq!(slots(&fused), [2, 1, 3]);
        assert_eq!((fused[0].score, fused[1].score), (2.0 / 3.0, 0.5));
    }

    #[test]
    fn no_leg_gives_no_hit() {
        for fusion in [Fusion::rrf(2.0), Fusion::Dbsf, Fusion::adaptive()] {
            assert!(fuse(&[], &fusion).is_empty() && fuse(&[leg(&[]), leg(&[])], &fusion).is_empty());
        }
    }

    #[test]
    fn words_that_cover_the_query_decide_and_words_that_do_not_give_way() {
        let near = ranked(&[(1, 0.9), (2, 0.5), (3, 0.1)]);
        let words = ranked(&[(3, 8.0), (2, 4.0), (1, 1.0)]);
        let fused = |attainable: f32| {
            let words = Leg { attainable: Some(attainable), ..leg(&words) };
            slots(&fuse(&[leg(&near), words], &Fusion::adaptive()))
        };
        assert_eq!(fused(8.0)[0], 3, "all that is attainable");
        assert_eq!(fused(80.0)[0], 1, "a tenth of it");
        let assert_weights = |legs: &[Leg<'_>], expected: &[f32]| {
            let found = Fusion::adaptive().weights(legs);
            let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            assert!(found.len() == expected.len() && found.iter().zip(expected).all(is_close), "{found:?}");
        };
        assert_weights(&[leg(&near), leg(&near)], &[0.5, 0.5]);
        let words = || Leg { attainable: Some(16.0), ..leg(&words) };
        assert_weights(&[leg(&near), words()], &[0.35, 0.65]);
        assert_weights(&[words(), leg(&near), words()], &[0.325, 0.35, 0.325]);
        let given = Fusion::Adaptive { weights: Some(HybridWeights { words_least: 0.0, words_most: 0.5 }) };
        assert_eq!(given.weights(&[leg(&near), words()]), [0.75, 0.25]);
    }

    /// As of a query for an identifier that stands once in a long document, whose vector says nothing of it: it was
    /// lost behind the nearest vectors, none of which has the identifier.
    #[test]
    fn words_that_no_other_leg_confirms_count_by_a_document_of_mean_length() {
        let found = ranked(&[(9, 4.0), (8, 3.0), (1, 2.0), (7, 1.0)]);
        let words = |attainable: f32| Leg { attainable: Some(attainable), ..leg(&found) };
        let near = ranked(&[(5, 0.9), (4, 0.5), (6, 0.1)]);
        let first = |attainable: f32| slots(&fuse(&[leg(&near), words(attainable)], &Fusion::adaptive()))[0];
        assert_eq!(first(16.0), 9, "a quarter of what is attainable");
        assert_eq!(first(80.0), 5, "a twentieth: words are missing");
        let assert_weight = |others: &[&[Ranked]], attainable: f32, coverage: f32| {
            let mut legs: Vec<Leg<'_>> = others.iter().map(|hits| leg(hits)).collect();
            legs.push(words(attainable));
            let weight = *Fusion::adaptive().weights(&legs).last().expect("a weight");
            assert!((weight - 0.3 - 0.7 * coverage).abs() < 1e-6, "{others:?} {attainable}: {weight}");
        };
        assert_weight(&[&near], 16.0, 0.55);
        assert_weight(&[&near], 8.0, 1.0);
        assert_weight(&[&near], 0.0, 0.0);
        assert_weight(&[&[]], 16.0, 0.55);
        let with = |slot: u32| ranked(&[(5, 0.9), (slot, 0.5)]);
        for (slot, coverage) in [(9, 0.25), (8, 0.325), (1, 0.4), (7, 0.475)] {
            assert_weight(&[&with(slot)], 16.0, coverage);
            assert_weight(&[&near, &with(slot)], 16.0, coverage);
        }
        let late: Vec<(u32, f32)> = (20..30).map(|slot| (slot, 0.5)).chain([(9, 0.1)]).collect();
        assert_weight(&[&ranked(&late)], 16.0, 0.55);
        assert_weight(&[&ranked(&late[1..])], 16.0, 0.25);
    }

    #[test]
    fn distances_count_the_other_way_round() {
        let near = ranked(&[(1, 0.5), (2, 3.0)]);
        let near = Leg { larger_is_better: false, ..leg(&near) };
        assert_eq!(slots(&fuse(&[near], &Fusion::RelativeScore { weights: vec![] })), [1, 2]);
    }

    #[test]
    fn weights_must_fit_the_legs() {
        let weights = |weights: &[f32]| Fusion::Rrf { k: 2.0, weights: weights.to_vec() }.check(2);
        weights(&[1.0, 0.5]).expect("two");
        for bad in [&[1.0][..], &[1.0, f32::NAN], &[1.0, -1.0], &[f32::MAX, f32::MAX]] {
            assert_eq!(weights(bad).expect_err("bad").field(), Some("query.rrf.weights"));
        }
    }

    /// A weight of 2 at 0.5 gave the first hit an infinite score, a larger one a negative score.
    #[test]
    fn what_stands_first_has_a_score_or_the_fusion_is_refused() {
        let check = |k: f32, weight: f32| Fusion::Rrf { k, weights: vec![1.0, weight] }.check(2);
        for (k, weight) in [(0.5, 1.0), (0.5, 1.9), (0.5, 0.0), (1e-9, 1.0), (1.0, 1e30)] {
            check(k, weight).expect("a score");
            let hits = ranked(&[(1, 0.0), (2, 0.0)]);
            let fusion = Fusion::Rrf { k, weights: vec![1.0, weight] };
            let fused = fuse(&[leg(&hits), leg(&hits)], &fusion);
            assert_eq!(slots(&fused), [1, 2], "{k} {weight}");
            assert!(fused[0].score.is_finite() && fused[1].score > 0.0, "{k} {weight}: {fused:?}");
        }
        for (k, weight) in [(0.5, 2.0), (0.5, 4.0), (1e-40, 1.0)] {
            assert_eq!(check(k, weight).expect_err("no score").field(), Some("query.rrf.k"), "{k} {weight}");
        }
        assert_eq!(Fusion::rrf(1e-40).check(1).expect_err("no score").field(), Some("query.rrf.k"));
    }
}
