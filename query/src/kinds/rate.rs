//! Rating a vector by several others: recommending by examples, discovering, context.
//!
//! Similarities are larger for what is nearer (request/query.rs). `squash` maps them into (0, 1), keeping their order.
//! Cost: one distance for each example.
//!
//! Where the best lie near a few vectors ([`Probes`]), not all have to be rated: what is not among the nearest of
//! these is rated no better than a bound, and the search ends when enough are. This is the threshold algorithm of
//! Fagin, Lotem and Naor (2003). As exact as the nearest are.
//!
//! Source of the formulas: Qdrant's documentation of these kinds; their values are pinned by its engine's own answers
//! (tests below).

use std::borrow::Cow;

use index::kernels;
use types::Metric;

use crate::request::{Feedback, Input, Pair, Query, Recommend};

/// What vectors are rated by; examples are slices of elements, or vectors of any kind.
pub(crate) enum Rating<'a, V: ?Sized> {
    /// The best of the similarities.
    Best { positive: Vec<&'a V>, negative: Vec<&'a V> },
    /// The sum of the similarities.
    Sum { positive: Vec<&'a V>, negative: Vec<&'a V> },
    /// Pairs won and lost, and a fraction for the nearness to a target.
    Discover { target: &'a V, pairs: Vec<(&'a V, &'a V)> },
    /// How far on the wrong side of pairs.
    Context { pairs: Vec<(&'a V, &'a V)> },
    /// The similarity to a target times a factor, and for each pair how much nearer to its first than to its second,
    /// times its weight.
    Feedback { target: &'a V, times: f32, pairs: Vec<(&'a V, &'a V, f32)> },
}

impl<'a, V: ?Sized> Rating<'a, V> {
    /// The rating that a query asks for, if it asks for one; `pick` takes the example out of an input.
    pub(crate) fn of(query: &'a Query, pick: impl Fn(&'a Input) -> Option<&'a V>) -> Option<Self> {
        let all = |inputs: &'a [Input]| inputs.iter().map(&pick).collect::<Option<Vec<_>>>();
        let both = |pairs: &'a [Pair]| {
            let both = |pair: &'a Pair| Some((pick(&pair.positive)?, pick(&pair.negative)?));
            pairs.iter().map(both).collect::<Option<Vec<_>>>()
        };
        match query {
            Query::Recommend { examples, strategy, .. } => {
                let (positive, negative) = (all(&examples.positive)?, all(&examples.negative)?);
                match strategy {
                    Recommend::BestScore => Some(Self::Best { positive, negative }),
                    Recommend::SumScores => Some(Self::Sum { positive, negative }),
                    Recommend::AverageVector => None,
                }
            }
            Query::Discover { target, context, .. } => {
                Some(Self::Discover { target: pick(target)?, pairs: both(context)? })
            }
            Query::Context { pairs, .. } => Some(Self::Context { pairs: both(pairs)? }),
            Query::Feedback { target, scored, weights, .. } => {
                let inputs = scored.iter().map(|(input, score)| Some((pick(input)?, *score)));
                let pairs = feedback(&inputs.collect::<Option<Vec<_>>>()?, *weights);
                Some(Self::Feedback { target: pick(target)?, times: weights.target, pairs })
            }
            _ => None,
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Best { .. } => "best score of examples",
            Self::Sum { .. } => "sum of scores of examples",
            Self::Discover { .. } => "discovery",
            Self::Context { .. } => "context",
            Self::Feedback { .. } => "feedback",
        }
    }

    /// Similarities for each vector.
    pub(crate) fn examples(&self) -> usize {
        match self {
            Self::Best { positive, negative } | Self::Sum { positive, negative } => {
                positive.len() + negative.len()
            }
            Self::Discover { pairs, .. } => 1 + 2 * pairs.len(),
            Self::Context { pairs } => 2 * pairs.len(),
            Self::Feedback { pairs, .. } => 1 + 2 * pairs.len(),
        }
    }

    /// The rating of a vector, given its similarity to each example.
    pub(crate) fn rate(&self, near: impl Fn(&V) -> f32) -> f32 {
        let best =
            |examples: &[&V]| examples.iter().map(|example| near(example)).fold(f32::NEG_INFINITY, f32::max);
        let sum = |examples: &[&V]| examples.iter().map(|example| near(example)).sum::<f32>();
        match self {
            Self::Best { positive, negative } => {
                let (positive, negative) = (best(positive), best(negative));
                if positive > negative { squash(positive) } else { -squash(negative) }
            }
            Self::Sum { positive, negative } => sum(positive) - sum(negative),
            Self::Discover { target, pairs } => {
                let won = |(positive, negative): &(&V, &V)| match near(positive) - near(negative) {
                    difference if difference > 0.0 => 1.0,
                    difference if difference < 0.0 => -1.0,
                    _ => 0.0,
                };
                pairs.iter().map(won).sum::<f32>() + squash(near(target))
            }
            Self::Context { pairs } => {
                let loss = |(positive, negative): &(&V, &V)| {
                    let lost = (near(positive) - near(negative) - f32::EPSILON).min(0.0);
                    lost / (1.0 + lost.abs())
                };
                // A sum of nothing is -0, and this is told.
                0.0 + pairs.iter().map(loss).sum::<f32>()
            }
            Self::Feedback { target, times, pairs } => {
                let gain =
                    |(positive, negative, weight): &(&V, &V, f32)| weight * (near(positive) - near(negative));
                times * near(target) + pairs.iter().map(gain).sum::<f32>()
            }
        }
    }
}

/// Of every two scored examples the better one and the worse one, with the weight that they have.
fn feedback<'a, V: ?Sized>(scored: &[(&'a V, f32)], weights: Feedback) -> Vec<(&'a V, &'a V, f32)> {
    let weight = |confidence: f32| confidence.powf(weights.confidence) * weights.pair;
    let worse = |(better, score): &(&'a V, f32)| {
        let (better, score) = (*better, *score);
        let pair = move |(other, below): &(&'a V, f32)| {
            (score > *below).then(|| (better, *other, weight(score - below)))
        };
        scored.iter().filter_map(pair).collect::<Vec<_>>()
    };
    scored.iter().flat_map(worse).collect()
}

/// Vectors near which the best are rated highest.
pub(crate) struct Probes<'a> {
    pub(crate) vectors: Vec<Cow<'a, [f32]>>,
    bound: Bound,
}

/// What a vector is rated at most that is no nearer to each probe than so.
enum Bound {
    /// The best similarity counts.
    Best,
    /// All similarities are added, each so many times.
    Sum(f32),
    /// All of so many pairs are won.
    Won(f32),
}

impl Probes<'_> {
    /// The best rating of what is no more alike to each probe than this.
    pub(crate) fn bound(&self, similarities: &[f32]) -> f32 {
        let best = similarities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        match self.bound {
            Bound::Best => squash(best),
            Bound::Sum(times) => similarities.iter().sum::<f32>() * times,
            Bound::Won(pairs) => pairs + squash(best),
        }
    }
}

impl<'a> Rating<'a, [f32]> {
    /// Those of a query of dense vectors.
    pub(crate) fn of_dense(query: &'a Query) -> Option<Self> {
        Self::of(query, |input| Some(input.elements()))
    }

    /// The rating of a dense vector.
    pub(crate) fn rate_dense(&self, metric: Metric, vector: &[f32]) -> f32 {
        self.rate(|example| similarity(metric, example, vector))
    }

    /// The probes of a rating, if it has any.
    pub(crate) fn probes(&self, metric: Metric) -> Option<Probes<'a>> {
        let borrowed = |vectors: &[&'a [f32]]| vectors.iter().map(|vector| Cow::Borrowed(*vector)).collect();
        let (vectors, bound): (Vec<Cow<'a, [f32]>>, Bound) = match self {
            Self::Best { positive, .. } => (borrowed(positive), Bound::Best),
            Self::Sum { positive, negative } if metric.larger_is_better() => {
                let positive = positive.iter().map(|vector| (*vector, 1.0));
                let all = positive.chain(negative.iter().map(|vector| (*vector, -1.0)));
                let (vector, length) = total(metric, all)?;
                (vec![Cow::Owned(vector)], Bound::Sum(length))
            }
            Self::Feedback { target, times, pairs } if metric.larger_is_better() => {
                let pairs =
                    pairs.iter().flat_map(|(better, worse, weight)| [(*better, *weight), (*worse, -weight)]);
                let (vector, length) = total(metric, std::iter::once((*target, *times)).chain(pairs))?;
                (vec![Cow::Owned(vector)], Bound::Sum(length))
            }
            Self::Sum { positive, negative } if negative.is_empty() => (borrowed(positive), Bound::Sum(1.0)),
            Self::Sum { .. } | Self::Context { .. } | Self::Feedback { .. } => return None,
            Self::Discover { target, pairs } => {
                (vec![Cow::Borrowed(*target)], Bound::Won(pairs.len() as f32))
            }
        };
        (!vectors.is_empty()).then_some(Probes { vectors, bound })
    }
}

/// The vector whose product with another is the sum of the similarities, and by how much it was divided to be one of
/// the space.
fn total<'a>(metric: Metric, weighted: impl Iterator<Item = (&'a [f32], f32)>) -> Option<(Vec<f32>, f32)> {
    let mut sum: Vec<f32> = Vec::new();
    for (vector, weight) in weighted {
        sum.resize(vector.len(), 0.0);
        sum.iter_mut().zip(vector).for_each(|(sum, element)| *sum += weight * element);
    }
    if sum.is_empty() {
        return None;
    }
    if metric == Metric::Dot {
        return Some((sum, 1.0));
    }
    let length = sum.iter().map(|element| element * element).sum::<f32>().sqrt();
    sum.iter_mut().for_each(|element| *element /= length);
    (length > f32::EPSILON).then_some((sum, length))
}

/// How alike two vectors are: larger for nearer ones.
pub(crate) fn similarity(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    metric.similarity(kernels::distance(metric, a, b))
}

/// Into (0, 1), keeping the order.
fn squash(similarity: f32) -> f32 {
    0.5 * (similarity / (1.0 + similarity.abs()) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Examples;

    const POINTS: [[f32; 2]; 5] = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.5], [0.5, -0.5]];

    fn query(kind: &str) -> Query {
        let input = |vector: [f32; 2]| Input::from(vector);
        let using = String::new();
        let pair = Pair { positive: input([1.0, 0.1]), negative: input([0.0, 1.0]) };
        let positive = vec![input([1.0, 0.2]), input([0.1, 1.0])];
        let examples = Examples { positive, negative: vec![input([-1.0, 0.4])] };
        match kind {
            "best" => Query::Recommend { examples, strategy: Recommend::BestScore, using },
            "sum" => Query::Recommend { examples, strategy: Recommend::SumScores, using },
            "discover" => Query::Discover { target: input([1.0, 0.3]), context: vec![pair], using },
            _ => Query::Context { pairs: vec![pair], using },
        }
    }

    #[test]
    fn without_pairs_nothing_is_lost() {
        let query = Query::Context { pairs: Vec::new(), using: String::new() };
        let score = Rating::of_dense(&query).expect("a rating").rate_dense(Metric::Dot, &POINTS[1]);
        assert_eq!(score.to_bits(), 0.0_f32.to_bits(), "{score}");
    }

    /// As Qdrant's engine answers (qdrant-edge 0.9.0).
    #[test]
    fn ratings_are_those_of_the_dialect() {
        let cases: [(&str, Metric, [f32; 5]); 8] = [
            ("best", Metric::Dot, [0.75, 0.731_183, 0.75, -0.772_727, 0.642_857]),
            ("best", Metric::Euclid, [0.480_769, 0.387_597, 0.495_05, -0.495_05, 0.287_356]),
            ("best", Metric::Manhattan, [0.416_667, 0.294_118, 0.454_545, -0.454_545, 0.227_273]),
            ("sum", Metric::Dot, [2.1, 1.9, 0.8, -1.7, 0.65]),
            ("sum", Metric::Euclid, [2.31, 1.91, -0.29, -5.54, -0.09]),
            ("discover", Metric::Dot, [1.75, -0.271_739, -0.384_615, -0.729_73, 1.629_63]),
            ("discover", Metric::Euclid, [1.458_716, -0.645_39, -0.799_197, -0.900_794, 1.264_55]),
            ("context", Metric::Dot, [0.0, -0.107_143, -0.473_684, -0.591_837, 0.0]),
        ];
        for (kind, metric, expected) in cases {
            let query = query(kind);
            let rating = Rating::of_dense(&query).expect("a rating");
            for (point, expected) in POINTS.iter().zip(expected) {
                let score = rating.rate_dense(metric, point);
                assert!((score - expected).abs() < 1e-5, "{kind} {metric} {point:?}: {score} {expected}");
            }
        }
    }
}
