//! Formulas on the wire: a number, a variable, a condition, or an object with the one name of an operation.

use std::collections::BTreeMap;

use kithdb::formula::{Decay, DecayKind, Expression, Formula, Unary};
use kithdb::{Condition, Error, Payload, Result, Value, datetime};
use serde::Deserialize;

use crate::error::invalid;
use crate::wire::filter::{ConditionIn, FilterIn};
use crate::wire::geo::PlaceIn;
use crate::wire::parse_part;
use crate::wire::schema::{Shown, any_of, declare, many, named, number, object, text};

const FIELD: &str = "query.formula";

/// The names of the operations; an object with another member is a condition.
const OPERATIONS: [&str; 19] = [
    "sum",
    "mult",
    "max",
    "min",
    "neg",
    "abs",
    "sqrt",
    "exp",
    "ln",
    "log10",
    "acosh",
    "div",
    "pow",
    "datetime",
    "datetime_key",
    "geo_distance",
    "lin_decay",
    "gauss_decay",
    "exp_decay",
];

/// A formula and its defaults.
///
/// # Errors
/// `InvalidArgument` naming the place.
pub(crate) fn expression(formula: Value, defaults: BTreeMap<String, Value>) -> Result<Formula> {
    let mut made = Formula::new(part(formula, FIELD)?);
    for (name, value) in defaults {
        let field = format!("query.defaults.{name}");
        match variable(&name, &field).map_err(|error| invalid(&field, error.message()))? {
            Expression::Score(leg) => {
                let number = value.as_f64();
                let number = number.ok_or_else(|| invalid(&field, "Score default must be a number"))?;
                made.scores.insert(leg, number);
            }
            Expression::Field(path) => drop(made.fields.insert(path, value)),
            _ => {}
        }
    }
    Ok(made)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DivIn {
    left: Value,
    right: Value,
    by_zero_default: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowIn {
    base: Value,
    exponent: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeoDistanceIn {
    origin: PlaceIn,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecayIn {
    x: Value,
    target: Option<Value>,
    scale: Option<f64>,
    midpoint: Option<f64>,
}

/// A formula, or a part of one.
pub(super) enum Part {}

declare!(Part as "Expression": any_of([number(), text(), named::<ConditionIn>(), operations()]), ConditionIn);

/// The schema of a formula.
pub(super) fn shown() -> Shown {
    named::<Part>()
}

/// One operation by its name.
fn operations() -> Shown {
    let part = named::<Part>;
    let decay = || {
        object([("x", part())]).may("target", part()).may("scale", number()).may("midpoint", number()).shown()
    };
    let lists = ["sum", "mult", "max", "min"].map(|name| (name, many(part())));
    let unary = ["neg", "abs", "sqrt", "exp", "ln", "log10", "acosh"].map(|name| (name, part()));
    let decays = ["lin_decay", "gauss_decay", "exp_decay"].map(|name| (name, decay()));
    let div = object([("left", part()), ("right", part())]).may("by_zero_default", number()).shown();
    let others = [
        ("div", div),
        ("pow", object([("base", part()), ("exponent", part())]).shown()),
        ("datetime", text()),
        ("datetime_key", text()),
        ("geo_distance", object([("origin", named::<PlaceIn>()), ("to", text())]).shown()),
    ];
    let all = lists.into_iter().chain(unary).chain(decays).chain(others);
    all.fold(object([]), |object, (name, kind)| object.may(name, kind)).shown()
}

fn part(value: Value, field: &str) -> Result<Expression> {
    match value {
        Value::Number(number) => number
            .as_f64()
            .map(Expression::Constant)
            .ok_or_else(|| Error::invalid(field, "is a number out of range")),
        Value::String(name) => variable(&name, field),
        Value::Object(object) if object.len() == 1 => {
            // Of the one member: what stands below it may be large, and is copied nowhere.
            let (name, inner) = object.into_iter().next().unwrap_or_default();
            match OPERATIONS.contains(&name.as_str()) {
                true => operation(&name, inner, &format!("{field}.{name}")),
                false => condition(Value::Object(Payload::from_iter([(name, inner)])), field),
            }
        }
        Value::Object(object) => condition(Value::Object(object), field),
        _ => {
            Err(Error::invalid(field, "is no expression: a number, a variable, an operation or a condition"))
        }
    }
}

/// The operation of a name.
fn operation(name: &str, inner: Value, field: &str) -> Result<Expression> {
    let one = |inner: Value| part(inner, field).map(Box::new);
    let unary = |unary: Unary, inner: Value| Ok(Expression::Unary(unary, one(inner)?));
    match name {
        "sum" => Ok(Expression::Sum(list(inner, field)?)),
        "mult" => Ok(Expression::Mult(list(inner, field)?)),
        "max" => Ok(Expression::Max(list(inner, field)?)),
        "min" => Ok(Expression::Min(list(inner, field)?)),
        "neg" => unary(Unary::Neg, inner),
        "abs" => unary(Unary::Abs, inner),
        "sqrt" => unary(Unary::Sqrt, inner),
        "exp" => unary(Unary::Exp, inner),
        "ln" => unary(Unary::Ln, inner),
        "log10" => unary(Unary::Log10, inner),
        "acosh" => unary(Unary::Acosh, inner),
        "div" => {
            let DivIn { left, right, by_zero_default: by_zero } = parse_part(inner, field)?;
            let (left, right) =
                (part(left, &format!("{field}.left"))?, part(right, &format!("{field}.right"))?);
            Ok(Expression::Div { left: Box::new(left), right: Box::new(right), by_zero })
        }
        "pow" => {
            let PowIn { base, exponent } = parse_part(inner, field)?;
            let base = Box::new(part(base, &format!("{field}.base"))?);
            let exponent = Box::new(part(exponent, &format!("{field}.exponent"))?);
            Ok(Expression::Pow { base, exponent })
        }
        "datetime" => {
            let text: String = parse_part(inner, field)?;
            let micros = datetime::parse(&text, field)?;
            Ok(Expression::Constant(micros as f64 / 1e6))
        }
        "datetime_key" => {
            let path: String = parse_part(inner, field)?;
            let path = path.parse().map_err(|error: Error| error.with_field(field))?;
            Ok(Expression::TimeField(path))
        }
        "geo_distance" => {
            let GeoDistanceIn { origin, to } = parse_part(inner, field)?;
            let to = to.parse().map_err(|error: Error| error.with_field(format!("{field}.to")))?;
            Ok(Expression::GeoDistance { origin: origin.into(), to })
        }
        "lin_decay" => decay(DecayKind::Linear, inner, field),
        "gauss_decay" => decay(DecayKind::Gauss, inner, field),
        "exp_decay" => decay(DecayKind::Exponential, inner, field),
        other => Err(Error::invalid(field, format!("`{other}` is no operation"))),
    }
}

fn decay(kind: DecayKind, inner: Value, field: &str) -> Result<Expression> {
    let DecayIn { x, target, scale, midpoint } = parse_part(inner, field)?;
    let x = part(x, &format!("{field}.x"))?;
    let target = target.map(|target| part(target, &format!("{field}.target"))).transpose()?;
    Ok(Expression::Decay(Box::new(Decay { kind, x, target, midpoint, scale })))
}

fn list(inner: Value, field: &str) -> Result<Vec<Expression>> {
    let parts: Vec<Value> = parse_part(inner, field)?;
    parts.into_iter().enumerate().map(|(at, inner)| part(inner, &format!("{field}[{at}]"))).collect()
}

/// `$score`, `$score[i]`, or the path of a field.
fn variable(name: &str, field: &str) -> Result<Expression> {
    let Some(rest) = name.strip_prefix("$score") else {
        let path = name.parse().map_err(|error: Error| error.with_field(field))?;
        return Ok(Expression::Field(path));
    };
    let leg = match rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        _ if rest.is_empty() => Some(0),
        Some(leg) => leg.parse().ok(),
        None => None,
    };
    let wrong = || Error::invalid(field, format!("`{name}` is no variable; `$score` or `$score[0]` is"));
    leg.map(Expression::Score).ok_or_else(wrong)
}

fn condition(object: Value, field: &str) -> Result<Expression> {
    let filter: FilterIn = parse_part(Payload::from_iter([("must".to_owned(), object)]).into(), field)?;
    let mut filter = filter.into_filter().map_err(|error| error.within(field))?;
    let condition = filter.must.pop();
    Ok(Expression::Condition(Box::new(condition.unwrap_or_else(|| Condition::Filter(Box::default())))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(formula: Value) -> Result<Expression> {
        expression(formula, BTreeMap::new()).map(|formula| formula.expression)
    }

    #[test]
    fn every_operation_is_understood() {
        let score = || Expression::Score(0);
        let field = |path: &str| Expression::Field(path.parse().expect("a path"));
        let condition = Condition::equals("a", 1).expect("a path");
        let cases = [
            (json!(2), Expression::Constant(2.0)),
            (json!("$score"), score()),
            (json!("$score[3]"), Expression::Score(3)),
            (json!("a.b[]"), field("a.b[]")),
            (json!({"sum": [1.5, "$score"]}), Expression::Sum(vec![Expression::Constant(1.5), score()])),
            (json!({"neg": "$score"}), Expression::Unary(Unary::Neg, Box::new(score()))),
            (
                json!({"div": {"left": "$score", "right": "a", "by_zero_default": 0.5}}),
                Expression::Div { left: Box::new(score()), right: Box::new(field("a")), by_zero: Some(0.5) },
            ),
            (
                json!({"exp_decay": {"x": "a", "scale": 5}}),
                Expression::Decay(Box::new(Decay {
                    kind: DecayKind::Exponential,
                    x: field("a"),
                    target: None,
                    midpoint: None,
                    scale: Some(5.0),
                })),
            ),
            (json!({"key": "a", "match": {"value": 1}}), Expression::Condition(Box::new(condition))),
        ];
        for (json, expected) in cases {
            assert_eq!(parse(json.clone()).expect("a formula"), expected, "{json}");
        }
    }

    #[test]
    fn every_name_of_an_operation_is_one() {
        for name in OPERATIONS {
            let error = operation(name, Value::Bool(true), "x").expect_err(name);
            assert!(!error.message().contains("is no operation"), "{name}: {error}");
        }
        assert!(operation("other", Value::Bool(true), "x").is_err());
    }

    /// Each level was copied before it was read, and the copies were held: 60 of them here.
    #[test]
    fn a_deep_formula_over_much_is_read_without_copies() {
        let much = Payload::from_iter([("sum".to_owned(), json!(vec![1; 100_000]))]);
        let deep = (0..60)
            .fold(Value::from(much), |inner, _| Payload::from_iter([("neg".to_owned(), inner)]).into());
        parse(deep).expect("a formula");
    }

    #[test]
    fn what_is_none_names_its_place() {
        let cases = [
            (json!([]), "query.formula"),
            (json!({"sum": [1, null]}), "query.formula.sum[1]"),
            (json!({"sum": 1}), "query.formula.sum"),
            (json!({"div": {"left": 1}}), "query.formula.div"),
            (json!({"pow": {"base": 1, "exponent": {"key": "a"}}}), "query.formula.pow.exponent.must.key"),
            (json!("$score[x]"), "query.formula"),
            (json!("$scores"), "query.formula"),
        ];
        for (json, field) in cases {
            assert_eq!(parse(json.clone()).expect_err("none").field(), Some(field), "{json}");
        }
        let defaults = [("$score".to_owned(), json!("x"))].into();
        let error = expression(json!(1), defaults).expect_err("no number");
        assert_eq!(error.field(), Some("query.defaults.$score"));
    }
}
