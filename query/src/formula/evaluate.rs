//! Computing a formula for one point.
//!
//! Invariant: what comes out is finite, or an error that names the point. Factors are computed from left to right up to
//! the first 0, so that a condition may stand before a field that only some points have.
//! Cost: each field is looked up where it stands, as often as it stands there.

use types::{Error, FieldPath, GeoPoint, Result, Subject, Value, datetime};

use super::{Decay, DecayKind, Expression, Formula, Unary};

/// A point that a formula is computed for, and what each leg gave it, if it found it.
pub(super) struct Row<'a> {
    subject: &'a Subject<'a>,
    scores: &'a [Option<f32>],
}

impl Formula {
    /// The score of a point.
    ///
    /// # Errors
    /// `InvalidArgument` naming `query.formula` and the point: it lacks a number, or the result is none.
    pub(crate) fn score(&self, subject: &Subject<'_>, scores: &[Option<f32>]) -> Result<f32> {
        let row = Row { subject, scores };
        let score = self.value(&self.expression, &row)? as f32;
        if score.is_finite() { Ok(score) } else { Err(endless(&row, "as a whole")) }
    }

    fn value(&self, expression: &Expression, row: &Row<'_>) -> Result<f64> {
        let value = |expression: &Expression| self.value(expression, row);
        let fold = |of: &[Expression], first: f64, with: fn(f64, f64) -> f64| {
            of.iter().try_fold(first, |sum, part| Ok(with(sum, value(part)?)))
        };
        match expression {
            Expression::Constant(number) => Ok(*number),
            Expression::Score(leg) => {
                let found = row.scores.get(*leg).copied().flatten().map(f64::from);
                Ok(found.unwrap_or_else(|| self.scores.get(leg).copied().unwrap_or(0.0)))
            }
            Expression::Field(path) => self.number(path, row),
            Expression::Condition(condition) => Ok(f64::from(u8::from(condition.holds(row.subject)))),
            Expression::TimeField(path) => {
                let time = self.single(path, row)?.as_str().and_then(datetime::micros);
                let seconds = time.map(|micros| micros as f64 / 1e6);
                seconds.ok_or_else(|| unfit(row, path, "a time"))
            }
            Expression::GeoDistance { origin, to } => {
                let place = GeoPoint::of(self.single(to, row)?);
                Ok(origin.distance_m(place.ok_or_else(|| unfit(row, to, "a place"))?))
            }
            Expression::Sum(of) => fold(of, 0.0, |a, b| a + b),
            Expression::Mult(of) => self.product(of, row),
            Expression::Max(of) => fold(of, f64::NEG_INFINITY, f64::max),
            Expression::Min(of) => fold(of, f64::INFINITY, f64::min),
            Expression::Unary(unary, of) => finite(unary.of(value(of)?), row, unary.name()),
            Expression::Div { left, right, by_zero } => match value(left)? {
                0.0 => Ok(0.0),
                left => match (value(right)?, by_zero) {
                    (0.0, Some(by_zero)) => Ok(*by_zero),
                    (0.0, None) => Err(endless(row, "div by 0 without by_zero_default")),
                    (right, _) => finite(left / right, row, "div"),
                },
            },
            Expression::Pow { base, exponent } => finite(value(base)?.powf(value(exponent)?), row, "pow"),
            Expression::Decay(decay) => {
                let target = decay.target.as_ref().map_or(Ok(0.0), value)?;
                Ok(decay.at(value(&decay.x)? - target))
            }
        }
    }

    /// A factor of 0 decides: those behind it are not computed, so that a condition can stand before what only some
    /// points have. So it is with the left side of a quotient.
    fn product(&self, of: &[Expression], row: &Row<'_>) -> Result<f64> {
        let mut product = 1.0;
        for part in of {
            match self.value(part, row)? {
                0.0 => return Ok(0.0),
                factor => product *= factor,
            }
        }
        Ok(product)
    }

    /// The one number that a field holds.
    fn number(&self, path: &FieldPath, row: &Row<'_>) -> Result<f64> {
        let found = self.single(path, row)?;
        found.as_f64().ok_or_else(|| unfit(row, path, "a number"))
    }

    /// The one value of a field, or what stands for it where there is none.
    fn single<'a>(&'a self, path: &FieldPath, row: &Row<'a>) -> Result<&'a Value> {
        let mut values = path.values(row.subject.payload);
        if let [Value::Array(items)] = values[..] {
            values = items.iter().collect();
        }
        match values[..] {
            [] | [Value::Null] => self.fields.get(path).ok_or_else(|| {
                wrong(row, &format!("no field `{path}` {PLACES}; name a value for such points in `defaults`"))
            }),
            [value] => Ok(value),
            _ => Err(wrong(row, &format!("its field `{path}` has several values; a formula takes one"))),
        }
    }
}

impl Unary {
    fn of(self, number: f64) -> f64 {
        match self {
            Self::Neg => -number,
            Self::Abs => number.abs(),
            Self::Sqrt => number.sqrt(),
            Self::Exp => number.exp(),
            Self::Ln => number.ln(),
            Self::Log10 => number.log10(),
            Self::Acosh => number.acosh(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sqrt => "sqrt",
            Self::Exp => "exp",
            Self::Ln => "ln",
            Self::Log10 => "log10",
            Self::Acosh => "acosh",
        }
    }
}

impl Decay {
    fn at(&self, distance: f64) -> f64 {
        let (midpoint, scale) = (self.midpoint.unwrap_or(0.5), self.scale.unwrap_or(1.0));
        let share = distance.abs() / scale;
        match self.kind {
            DecayKind::Linear => (1.0 - (1.0 - midpoint) * share).max(0.0),
            DecayKind::Gauss => (midpoint.ln() * share * share).exp(),
            DecayKind::Exponential => (midpoint.ln() * share).exp(),
        }
    }
}

fn finite(number: f64, row: &Row<'_>, what: &str) -> Result<f64> {
    if number.is_finite() { Ok(number) } else { Err(endless(row, what)) }
}

/// In the words of the dialect, by which clients know why.
fn endless(row: &Row<'_>, what: &str) -> Error {
    wrong(row, &format!("the expression {what} produced a non-finite number"))
}

/// In the words of the dialect, too.
fn unfit(row: &Row<'_>, path: &FieldPath, wanted: &str) -> Error {
    wrong(row, &format!("`{path}` is not {wanted} {PLACES}"))
}

/// Where values of fields are looked for.
const PLACES: &str = "in the payload and/or in the formula defaults";

fn wrong(row: &Row<'_>, why: &str) -> Error {
    Error::invalid("query.formula", format!("has no score for point {}: {why}", row.subject.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::PointId;

    fn field(path: &str) -> Expression {
        Expression::Field(path.parse().expect("a path"))
    }

    fn decay(kind: DecayKind, target: Option<f64>, midpoint: Option<f64>, scale: Option<f64>) -> Expression {
        let target = target.map(Expression::Constant);
        Expression::Decay(Box::new(Decay { kind, x: Expression::Score(0), target, midpoint, scale }))
    }

    fn score(formula: &Formula, payload: &Value, scores: &[Option<f32>]) -> Result<f32> {
        let payload = payload.as_object().expect("an object");
        formula.score(&Subject { id: PointId::Num(1), payload, has_vector: &|_| false }, scores)
    }

    /// As Qdrant's engine answers (qdrant-edge 0.9.0).
    #[test]
    fn values_are_those_of_the_dialect() {
        use DecayKind::{Exponential, Gauss, Linear};
        let constant = |number| Box::new(Expression::Constant(number));
        let (one, zero) = (|| constant(1.0), || constant(0.0));
        let by = |by_zero| Expression::Div { left: one(), right: zero(), by_zero };
        let cases = [
            (Expression::Score(0), 0.35, 0.35),
            (Expression::Score(1), 0.35, 0.0),
            (by(Some(5.0)), 0.0, 5.0),
            (Expression::Sum(vec![]), 0.0, 0.0),
            (Expression::Mult(vec![]), 0.0, 1.0),
            (Expression::Div { left: zero(), right: Box::new(field("gone")), by_zero: Some(5.0) }, 0.0, 0.0),
            (Expression::Mult(vec![*zero(), field("gone")]), 0.0, 0.0),
            (decay(Linear, None, Some(0.0), None), 0.35, 0.65),
            (Expression::Pow { base: constant(2.0), exponent: constant(3.0) }, 0.0, 8.0),
            (Expression::Unary(Unary::Acosh, constant(2.0)), 0.0, 1.316_958),
            (Expression::Max(vec![Expression::Score(0), *constant(0.5)]), 0.35, 0.5),
            (decay(Linear, None, None, None), 0.35, 0.825),
            (decay(Gauss, None, None, None), 0.35, 0.918_594),
            (decay(Exponential, None, None, None), 0.35, 0.784_584),
            (decay(Linear, Some(1.0), Some(0.3), Some(2.0)), 0.35, 0.7725),
            (decay(Gauss, Some(1.0), Some(0.3), Some(2.0)), -0.85, 0.356_954),
            (decay(Exponential, Some(1.0), Some(0.3), Some(2.0)), 0.35, 0.676_183),
        ];
        for (expression, given, expected) in cases {
            let formula = Formula::new(expression);
            let found = score(&formula, &json!({}), &[Some(given)]).expect("a score");
            assert!((found - expected).abs() < 1e-5, "{formula:?}: {found}");
        }
    }

    #[test]
    fn a_field_is_one_number_or_what_stands_for_it() {
        let fields = [("a".parse().expect("a path"), json!(2.5))].into();
        let formula = Formula { fields, ..Formula::new(field("a")) };
        for (payload, expected) in [
            (json!({"a": 7}), Ok(7.0)),
            (json!({"a": [7]}), Ok(7.0)),
            (json!({"a": null}), Ok(2.5)),
            (json!({"a": []}), Ok(2.5)),
            (json!({}), Ok(2.5)),
            (json!({"a": [1, 2]}), Err("several")),
            (json!({"a": "7"}), Err("not a number in the payload and/or in the formula defaults")),
        ] {
            match (score(&formula, &payload, &[]), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{payload}"),
                (Err(error), Err(says)) => assert!(error.message().contains(says), "{error}"),
                (found, _) => panic!("{payload}: {found:?}"),
            }
        }
        let bare = Formula::new(field("a"));
        let error = score(&bare, &json!({}), &[]).expect_err("lacking");
        assert!(error.message().contains("in the payload and/or in the formula defaults"), "{error}");
        assert_eq!(error.field(), Some("query.formula"));
    }

    #[test]
    fn no_score_is_an_error_and_not_a_place() {
        let constant = |number| Box::new(Expression::Constant(number));
        let cases = [
            Expression::Div { left: constant(1.0), right: constant(0.0), by_zero: None },
            Expression::Unary(Unary::Sqrt, constant(-1.0)),
            Expression::Unary(Unary::Ln, constant(0.0)),
            Expression::Mult(vec![*constant(1e300), *constant(1e300)]),
            Expression::Mult(vec![field("gone"), *constant(0.0)]),
        ];
        for expression in cases {
            let error = score(&Formula::new(expression.clone()), &json!({}), &[]).expect_err("none");
            assert_eq!(error.field(), Some("query.formula"), "{expression:?}");
            let lacks = matches!(&expression, Expression::Mult(of) if matches!(of[0], Expression::Field(_)));
            assert_ne!(error.message().contains("produced a non-finite number"), lacks, "{error}");
        }
    }
}
