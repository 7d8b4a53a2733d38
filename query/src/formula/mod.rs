//! Formulas: scores computed from the scores of legs and from payloads. Words and meaning are Qdrant's.
//!
//! ```text
//! score + 0.5 * (lang = 'en') + decay of the distance to Berlin
//! ```
//!
//! Invariant: a score that comes out is finite; a formula that has none for some point is an error that names the
//! point, never a hit in a wrong place.

mod evaluate;

use std::collections::BTreeMap;

use types::{Condition, Error, FieldPath, GeoPoint, Limits, Result, Value};

/// A formula, and the values of what a point lacks.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// What is computed.
    pub expression: Expression,
    /// The score of a leg, by its position, for points that it did not find; 0 where it is absent.
    pub scores: BTreeMap<usize, f64>,
    /// The value of a field for points that lack it; where it is absent, such points are an error.
    pub fields: BTreeMap<FieldPath, Value>,
}

/// One part of a formula.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A number.
    Constant(f64),
    /// The score that a leg gave, by its position.
    Score(usize),
    /// A number of the payload.
    Field(FieldPath),
    /// A time of the payload, in seconds since 1970.
    TimeField(FieldPath),
    /// Metres from a place to one of the payload.
    GeoDistance {
        /// From where.
        origin: GeoPoint,
        /// The field with the other place.
        to: FieldPath,
    },
    /// 1 where a condition holds, else 0.
    Condition(Box<Condition>),
    /// The sum; 0 of nothing.
    Sum(Vec<Expression>),
    /// The product; 1 of nothing. Behind a factor of 0 nothing is computed.
    Mult(Vec<Expression>),
    /// The greatest.
    Max(Vec<Expression>),
    /// The least.
    Min(Vec<Expression>),
    /// One number of another.
    Unary(Unary, Box<Expression>),
    /// A quotient. If what is divided is 0, it is 0, and the other side is not computed.
    Div {
        /// What is divided.
        left: Box<Expression>,
        /// By what.
        right: Box<Expression>,
        /// The result when that is 0.
        by_zero: Option<f64>,
    },
    /// A power.
    Pow {
        /// What is raised.
        base: Box<Expression>,
        /// How high.
        exponent: Box<Expression>,
    },
    /// A number between 0 and 1 that falls with the distance from a target.
    Decay(Box<Decay>),
}

/// One number of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// The negated number.
    Neg,
    /// Its absolute value.
    Abs,
    /// Its square root.
    Sqrt,
    /// e to it.
    Exp,
    /// Its natural logarithm.
    Ln,
    /// Its decimal logarithm.
    Log10,
    /// Its inverse hyperbolic cosine.
    Acosh,
}

/// A decay.
#[derive(Clone, Debug, PartialEq)]
pub struct Decay {
    /// Its shape.
    pub kind: DecayKind,
    /// What decays.
    pub x: Expression,
    /// Where it is 1; 0 if absent.
    pub target: Option<Expression>,
    /// What it is at `scale` from the target; 0.5 if absent.
    pub midpoint: Option<f64>,
    /// Where it is `midpoint`; 1 if absent.
    pub scale: Option<f64>,
}

/// The shape of a decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecayKind {
    /// A straight line, down to 0.
    Linear,
    /// A bell.
    Gauss,
    /// An exponential.
    Exponential,
}

/// Nesting of formulas, so that no request can exhaust the stack.
const DEPTH_MAX: usize = 64;

/// Parts of a formula: all of them are computed for each candidate.
const PARTS_MAX: usize = 4_096;

/// Where formulas stand in requests.
const FIELD: &str = "query.formula";

impl Formula {
    /// A formula in which nothing is lacking.
    pub fn new(expression: Expression) -> Self {
        Self { expression, scores: BTreeMap::new(), fields: BTreeMap::new() }
    }

    /// Checks its size, its depth, its constants and its conditions.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming `query.formula`.
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        let numbers = self.scores.values().copied();
        if !numbers.chain(self.fields.values().filter_map(Value::as_f64)).all(f64::is_finite) {
            return Err(Error::invalid("query.defaults", "must be finite numbers"));
        }
        // It is no deeper than that now.
        self.expression.check(limits, 1)?;
        match self.expression.count() {
            parts if parts > PARTS_MAX => {
                Err(Error::limit(FIELD, "the formula's number of parts", parts, PARTS_MAX))
            }
            _ => Ok(()),
        }
    }
}

impl Expression {
    fn check(&self, limits: &Limits, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Error::limit(FIELD, "the formula's depth", depth, DEPTH_MAX));
        }
        let refuse = |what: &str| Err(Error::invalid(FIELD, what));
        match self {
            Self::Constant(number) if !number.is_finite() => refuse("has a constant that is not finite")?,
            Self::Div { by_zero: Some(number), .. } if !number.is_finite() => {
                refuse("has a by_zero_default that is not finite")?;
            }
            Self::Max(of) | Self::Min(of) if of.is_empty() => refuse("has a max or min of nothing")?,
            Self::GeoDistance { origin, .. } => {
                origin.check().map_err(|error| error.within("query.formula.geo_distance.origin"))?;
            }
            Self::Condition(condition) => {
                let filter = types::Filter::must((**condition).clone());
                filter.check(limits).map_err(|error| error.with_field(FIELD))?;
            }
            Self::Decay(decay) => {
                let is_apt = |midpoint: f64| match decay.kind {
                    DecayKind::Linear => (0.0..=1.0).contains(&midpoint),
                    DecayKind::Gauss | DecayKind::Exponential => midpoint > 0.0 && midpoint < 1.0,
                };
                if !decay.midpoint.is_none_or(is_apt) {
                    refuse(
                        "has a decay whose midpoint is not between 0 and 1, which lin_decay alone may reach",
                    )?;
                }
                if decay.scale.is_some_and(|scale| !(scale > 0.0 && scale.is_finite())) {
                    refuse("has a decay whose scale is not above 0")?;
                }
            }
            _ => {}
        }
        self.parts().into_iter().try_for_each(|part| part.check(limits, depth + 1))
    }

    /// Itself and all its parts, at every depth.
    fn count(&self) -> usize {
        1 + self.parts().into_iter().map(Self::count).sum::<usize>()
    }

    /// The parts that it is made of.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Constant(_)
            | Self::Score(_)
            | Self::Field(_)
            | Self::TimeField(_)
            | Self::GeoDistance { .. }
            | Self::Condition(_) => Vec::new(),
            Self::Sum(of) | Self::Mult(of) | Self::Max(of) | Self::Min(of) => of.iter().collect(),
            Self::Unary(_, of) => vec![of],
            Self::Div { left, right, .. } => vec![left, right],
            Self::Pow { base, exponent } => vec![base, exponent],
            Self::Decay(decay) => std::iter::once(&decay.x).chain(&decay.target).collect(),
        }
    }

    /// Whether it reads payloads.
    pub(crate) fn reads_payload(&self) -> bool {
        match self {
            Self::Field(_) | Self::TimeField(_) | Self::GeoDistance { .. } | Self::Condition(_) => true,
            other => other.parts().into_iter().any(Self::reads_payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_of_too_many_parts_is_refused_by_name() {
        let sum = |terms: usize| Expression::Sum(vec![Expression::Constant(1.0); terms]);
        let halves = |terms: usize| Formula::new(Expression::Mult(vec![sum(terms), sum(terms)]));
        let check = |terms: usize| halves(terms).check(&Limits::default());
        check(2_000).expect("4 003 parts");
        let error = check(2_100).expect_err("4 203 parts");
        assert_eq!((error.kind(), error.field()), (types::ErrorKind::LimitExceeded, Some(FIELD)), "{error}");
    }
}
