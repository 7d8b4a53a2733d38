//! How candidates are ranked: every kind of question.
//!
//! The words and the scores are Qdrant's. *Similarity* below is what is larger for what is nearer: the score under
//! cosine and dot product, the negated squared distance under Euclid, the negated distance under Manhattan.

use std::cmp::Ordering;

use types::{FieldPath, KeywordQuery, MultiVector, PointId, SparseVector, Vector};

use crate::formula::Formula;
use crate::fuse::Fusion;

/// How candidates are ranked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Query {
    /// By id. All scores are 1.
    #[default]
    ById,
    /// By nearness to a vector.
    Nearest {
        /// The vector.
        vector: Input,
        /// The vector space.
        using: String,
    },
    /// By nearness to a vector, but different from each other: maximal marginal relevance (Carbonell and Goldstein
    /// 1998). Scores are those of nearness.
    Diverse {
        /// The vector.
        vector: Input,
        /// The vector space.
        using: String,
        /// From 0, nearness alone, to 1, difference alone.
        diversity: f32,
        /// How many of the nearest are looked at; as many as hits are wanted where it is absent.
        candidates: Option<usize>,
    },
    /// By likeness to examples, and unlikeness to others.
    Recommend {
        /// The examples.
        examples: Examples,
        /// What is made of them.
        strategy: Recommend,
        /// The vector space.
        using: String,
    },
    /// By nearness to a target, among what lies on the right side of pairs: the pairs won less the pairs lost, and a
    /// fraction for the nearness.
    Discover {
        /// The vector to be near to.
        target: Input,
        /// The pairs.
        context: Vec<Pair>,
        /// The vector space.
        using: String,
    },
    /// By how far on the wrong side of pairs; 0 for what is on the right side of all.
    Context {
        /// The pairs.
        pairs: Vec<Pair>,
        /// The vector space.
        using: String,
    },
    /// By nearness to a vector, corrected by how good some hits were found to be: nearer to the better of every two
    /// than to the worse one.
    Feedback {
        /// The vector that was asked with.
        target: Input,
        /// Examples, and how good each of them is.
        scored: Vec<(Input, f32)>,
        /// How much it counts.
        weights: Feedback,
        /// The vector space.
        using: String,
    },
    /// By BM25 of words.
    Keyword(KeywordQuery),
    /// By what the legs found.
    Fuse(Fusion),
    /// By the values of a field, numbers and times; a point with several comes once for each. All scores are 1.
    Order(Order),
    /// At random. All scores are 1.
    Sample {
        /// Equal seeds choose alike; a different choice each time where it is absent.
        seed: Option<u64>,
    },
    /// By a formula over the scores of the legs and the payload.
    Formula(Formula),
}

/// A vector that is asked with.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The vector itself.
    Vector(Vector),
    /// The stored vector of a point, which is then no hit.
    Point(PointId),
}

/// Points or vectors that are examples, good ones and bad ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examples {
    /// Hits are to be like these.
    pub positive: Vec<Input>,
    /// And not like these.
    pub negative: Vec<Input>,
}

/// What is made of examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recommend {
    /// Nearness to the mean of the positive ones, moved away from the mean of the negative ones.
    #[default]
    AverageVector,
    /// The greatest similarity to a positive one, unless that to a negative one is greater, which then counts against.
    BestScore,
    /// The similarities to the positive ones less those to the negative ones.
    SumScores,
}

/// Two examples: hits are to be nearer to the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The nearer one.
    pub positive: Input,
    /// The farther one.
    pub negative: Input,
}

/// How much feedback counts: the score is `target * s(target)` and the sum over pairs of
/// `pair * d^confidence * (s(better) - s(worse))`, with similarities `s`, and `d` by how much the one is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// The factor of the similarity to the vector that was asked with.
    pub target: f32,
    /// The exponent of a difference, at least 0.
    pub confidence: f32,
    /// The factor of all pairs.
    pub pair: f32,
}

/// An order by a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The field.
    pub path: FieldPath,
    /// Whether large values come first.
    pub is_descending: bool,
    /// The value at which to begin.
    pub from: Option<OrderValue>,
}

/// A value that points are ordered by. Integers and floats compare as numbers do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OrderValue {
    /// An integer, or microseconds since 1970.
    Integer(i64),
    /// A float.
    Float(f64),
}

impl OrderValue {
    /// The order of numbers, exact between all of them: none is rounded to be compared.
    pub fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => unsigned_zero(a).total_cmp(&unsigned_zero(b)),
            (Self::Integer(a), Self::Float(b)) => mixed(a, b),
            (Self::Float(a), Self::Integer(b)) => mixed(b, a).reverse(),
        }
    }
}

/// An integer beside a float. Rounding keeps the order, so only what it makes equal is looked at again; that is a whole
/// number.
fn mixed(integer: i64, float: f64) -> Ordering {
    let rounded = (integer as f64).total_cmp(&unsigned_zero(float));
    rounded.then_with(|| i128::from(integer).cmp(&(float as i128)))
}

/// 0.0 and -0.0 are equal.
fn unsigned_zero(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

impl Query {
    /// The vector space that it asks, if it asks one.
    pub fn space(&self) -> Option<&str> {
        match self {
            Self::Nearest { using, .. }
            | Self::Diverse { using, .. }
            | Self::Recommend { using, .. }
            | Self::Discover { using, .. }
            | Self::Context { using, .. }
            | Self::Feedback { using, .. } => Some(using),
            _ => None,
        }
    }

    /// How many vectors it asks with.
    pub(crate) fn asked(&self) -> usize {
        match self {
            Self::Nearest { .. } | Self::Diverse { .. } => 1,
            Self::Recommend { examples, .. } => examples.positive.len() + examples.negative.len(),
            Self::Discover { context, .. } => 1 + 2 * context.len(),
            Self::Context { pairs, .. } => 2 * pairs.len(),
            Self::Feedback { scored, .. } => 1 + scored.len(),
            _ => 0,
        }
    }

    /// Every vector that it asks with, and where it stands.
    pub(crate) fn inputs(&mut self) -> Vec<(String, &mut Input)> {
        match self {
            Self::Nearest { vector, .. } => vec![("query".to_owned(), vector)],
            Self::Diverse { vector, .. } => vec![("query.nearest".to_owned(), vector)],
            Self::Recommend { examples, .. } => {
                let positive = numbered(&mut examples.positive, "query.recommend.positive");
                positive.chain(numbered(&mut examples.negative, "query.recommend.negative")).collect()
            }
            Self::Discover { target, context, .. } => {
                let target = std::iter::once(("query.discover.target".to_owned(), target));
                target.chain(paired(context, "query.discover.context")).collect()
            }
            Self::Context { pairs, .. } => paired(pairs, "query.context").collect(),
            Self::Feedback { target, scored, .. } => {
                let target = std::iter::once(("query.relevance_feedback.target".to_owned(), target));
                let place = |at| format!("query.relevance_feedback.feedback[{at}].example");
                target
                    .chain(scored.iter_mut().enumerate().map(|(at, (input, _))| (place(at), input)))
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

fn numbered<'a>(
    inputs: &'a mut [Input],
    place: &'static str,
) -> impl Iterator<Item = (String, &'a mut Input)> {
    inputs.iter_mut().enumerate().map(move |(at, input)| (format!("{place}[{at}]"), input))
}

fn paired<'a>(pairs: &'a mut [Pair], place: &'static str) -> impl Iterator<Item = (String, &'a mut Input)> {
    pairs.iter_mut().enumerate().flat_map(move |(at, Pair { positive, negative })| {
        [(format!("{place}[{at}].positive"), positive), (format!("{place}[{at}].negative"), negative)]
    })
}

impl Input {
    /// The elements of a dense vector; none of a point that was not looked up yet.
    pub(crate) fn elements(&self) -> &[f32] {
        match self {
            Self::Vector(vector) => vector.dense().unwrap_or_default(),
            Self::Point(_) => &[],
        }
    }

    /// The vector; nothing of a point that was not looked up yet.
    pub(crate) fn vector(&self) -> Option<&Vector> {
        match self {
            Self::Vector(vector) => Some(vector),
            Self::Point(_) => None,
        }
    }

    /// The rows of a multivector.
    pub(crate) fn multi(&self) -> Option<&MultiVector> {
        self.vector()?.multi()
    }

    /// The weights of a sparse vector.
    pub(crate) fn sparse(&self) -> Option<&SparseVector> {
        self.vector()?.sparse()
    }
}

impl<V: Into<Vector>> From<V> for Input {
    fn from(vector: V) -> Self {
        Self::Vector(vector.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They were in none: two integers beside a float that each of them rounds to.
    #[test]
    fn integers_and_floats_are_in_one_order() {
        let ascending = [
            OrderValue::Float(-1e300),
            OrderValue::Integer(i64::MIN),
            OrderValue::Integer(-1),
            OrderValue::Float(-0.5),
            OrderValue::Integer(0),
            OrderValue::Integer((1 << 53) - 1),
            OrderValue::Float(9_007_199_254_740_992.0),
            OrderValue::Integer((1 << 53) + 1),
            OrderValue::Integer((1 << 53) + 2),
            OrderValue::Integer(i64::MAX),
            OrderValue::Float(9_223_372_036_854_775_808.0),
        ];
        for (at, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(a.compare(*b), at.cmp(&other), "{a:?} {b:?}");
            }
        }
        for zero in [OrderValue::Float(0.0), OrderValue::Float(-0.0)] {
            assert!(zero.compare(OrderValue::Integer(0)).is_eq());
            assert!(zero.compare(OrderValue::Float(-0.0)).is_eq());
        }
    }
}
