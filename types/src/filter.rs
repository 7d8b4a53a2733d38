//! Filters: a boolean tree over payload fields and ids, and its meaning.
//!
//! [`Filter::matches`] *is* the meaning: indexes may answer faster, never differently (property-tested against it).
//! The semantics are Qdrant's: a condition on a field holds if *any* value that its path reaches satisfies it,
//! and an array at the end of a path counts as its elements.

use crate::payload::{Payload, Value};
use crate::{Error, FieldPath, Limits, PointId, Result};

/// All of `must`, none of `must_not`, one of `should` (if any), `min_should.count` of its conditions.
/// The empty filter matches every point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Every one of these holds.
    pub must: Vec<Condition>,
    /// If not empty, at least one of these holds.
    pub should: Vec<Condition>,
    /// None of these holds.
    pub must_not: Vec<Condition>,
    /// At least so many of these hold.
    pub min_should: Option<MinShould>,
}

/// At least `count` of `conditions` hold.
#[derive(Clone, Debug, PartialEq)]
pub struct MinShould {
    /// The conditions that are counted.
    pub conditions: Vec<Condition>,
    /// How many must hold.
    pub count: usize,
}

/// One leaf, or a nested filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Some value at the path satisfies the predicate.
    Field(FieldPath, Predicate),
    /// The path reaches nothing but nulls and empty arrays.
    IsEmpty(FieldPath),
    /// The path reaches a null.
    IsNull(FieldPath),
    /// The point has one of these ids.
    HasId(Vec<PointId>),
    /// A filter as a condition.
    Filter(Box<Filter>),
}

/// A test of one payload value.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Equal to one of these.
    Any(Vec<Scalar>),
    /// Present, and equal to none of these.
    Except(Vec<Scalar>),
    /// A number within bounds.
    Range(Range),
}

/// A value that fields are matched with. Types never mix: `1` matches neither `"1"` nor `1.0` nor `true`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// A string, compared byte by byte.
    Str(String),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
}

/// Bounds on a number; absent bounds do not bind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// Less than.
    pub lt: Option<f64>,
    /// Less than or equal.
    pub lte: Option<f64>,
    /// Greater than.
    pub gt: Option<f64>,
    /// Greater than or equal.
    pub gte: Option<f64>,
}

impl Filter {
    /// A filter with one condition that must hold.
    pub fn must(condition: Condition) -> Self {
        Self { must: vec![condition], ..Self::default() }
    }

    /// Adds a condition that must hold.
    #[must_use]
    pub fn and(mut self, condition: Condition) -> Self {
        self.must.push(condition);
        self
    }

    /// Whether it has no condition at all, and so matches everything.
    pub fn is_empty(&self) -> bool {
        self.must.is_empty()
            && self.should.is_empty()
            && self.must_not.is_empty()
            && self.min_should.is_none()
    }

    /// The meaning of a filter: whether it holds for the point.
    pub fn matches(&self, id: PointId, payload: &Payload) -> bool {
        let holds = |condition: &Condition| condition.matches(id, payload);
        self.must.iter().all(holds)
            && !self.must_not.iter().any(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && self.min_should.as_ref().is_none_or(|least| {
                least.conditions.iter().filter(|condition| holds(condition)).take(least.count).count()
                    == least.count
            })
    }

    /// Every condition of this level.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let counted = self.min_should.iter().flat_map(|least| &least.conditions);
        self.must.iter().chain(&self.should).chain(&self.must_not).chain(counted)
    }

    /// Checks depth and size.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) naming `filter`.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let (depth, count) = self.measure();
        if depth > limits.filter_depth_max {
            return Err(Error::limit("filter", "the filter's depth", depth, limits.filter_depth_max));
        }
        if count > limits.filter_conditions_max {
            let what = "the filter's number of conditions";
            return Err(Error::limit("filter", what, count, limits.filter_conditions_max));
        }
        Ok(())
    }

    fn measure(&self) -> (usize, usize) {
        self.conditions().fold((1, 0), |(depth, count), condition| match condition {
            Condition::Filter(inner) => {
                let (inner_depth, inner_count) = inner.measure();
                (depth.max(1 + inner_depth), count + 1 + inner_count)
            }
            _ => (depth, count + 1),
        })
    }
}

impl Condition {
    /// A field equal to a value.
    ///
    /// # Errors
    /// When `path` does not parse.
    pub fn equals(path: &str, value: impl Into<Scalar>) -> Result<Self> {
        Ok(Self::Field(path.parse()?, Predicate::Any(vec![value.into()])))
    }

    /// A number within bounds.
    ///
    /// # Errors
    /// When `path` does not parse.
    pub fn range(path: &str, range: Range) -> Result<Self> {
        Ok(Self::Field(path.parse()?, Predicate::Range(range)))
    }

    fn matches(&self, id: PointId, payload: &Payload) -> bool {
        match self {
            Self::Field(path, predicate) => {
                path.values(payload).into_iter().any(|value| predicate.holds(value))
            }
            Self::IsEmpty(path) => path.values(payload).into_iter().all(is_empty),
            Self::IsNull(path) => path.values(payload).into_iter().any(Value::is_null),
            Self::HasId(ids) => ids.contains(&id),
            Self::Filter(filter) => filter.matches(id, payload),
        }
    }
}

/// Whether a value counts as nothing for [`Condition::IsEmpty`].
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

impl Predicate {
    /// Whether the value, or any of its elements if it is an array, satisfies the predicate.
    pub fn holds(&self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.holds_for(item)),
            other => self.holds_for(other),
        }
    }

    fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Any(list) => Scalar::of(value).is_some_and(|scalar| list.contains(&scalar)),
            Self::Except(list) => match Scalar::of(value) {
                Some(scalar) => !list.contains(&scalar),
                None => !value.is_null(),
            },
            Self::Range(range) => value.as_f64().is_some_and(|number| range.contains(number)),
        }
    }
}

impl Scalar {
    /// The scalar that a JSON value is, if it is one: floats, nulls and containers are none.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Str(text.clone())),
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Number(number) => number.as_i64().map(Self::Int),
            _ => None,
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Scalar {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl Range {
    /// Whether the number lies within all bounds.
    pub fn contains(&self, number: f64) -> bool {
        self.lt.is_none_or(|bound| number < bound)
            && self.lte.is_none_or(|bound| number <= bound)
            && self.gt.is_none_or(|bound| number > bound)
            && self.gte.is_none_or(|bound| number >= bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(path: &str, predicate: Predicate) -> Condition {
        Condition::Field(path.parse().expect("a path"), predicate)
    }

    fn holds(condition: Condition, payload: &Value) -> bool {
        Filter::must(condition).matches(PointId::Num(1), payload.as_object().expect("an object"))
    }

    #[test]
    fn any_value_of_an_array_may_match() {
        let payload = json!({"tags": ["a", 7, 2.5, null, true], "n": {"m": [{"k": 1}, {"k": 9}]}});
        let any = |scalar: Scalar| field("tags", Predicate::Any(vec![scalar]));
        assert!(holds(any("a".into()), &payload) && holds(any(7.into()), &payload));
        assert!(holds(any(true.into()), &payload) && !holds(any(2.into()), &payload));
        let above = Range { gt: Some(8.0), ..Range::default() };
        assert!(holds(field("n.m[].k", Predicate::Range(above)), &payload));
        assert!(!holds(field("tags", Predicate::Range(above)), &payload));
    }

    #[test]
    fn except_wants_a_value_that_is_there() {
        let except = || field("x", Predicate::Except(vec!["a".into()]));
        for (payload, expected) in [
            (json!({"x": "a"}), false),
            (json!({"x": "b"}), true),
            (json!({"x": ["a", "b"]}), true),
            (json!({"x": 1.5}), true),
            (json!({"x": null}), false),
            (json!({"x": []}), false),
            (json!({}), false),
        ] {
            assert_eq!(holds(except(), &payload), expected, "{payload}");
        }
    }

    #[test]
    fn empty_and_null_differ() {
        for (payload, empty, null) in [
            (json!({}), true, false),
            (json!({"x": null}), true, true),
            (json!({"x": []}), true, false),
            (json!({"x": [null]}), false, false),
            (json!({"x": 0}), false, false),
        ] {
            let path: FieldPath = "x".parse().expect("a path");
            assert_eq!(holds(Condition::IsEmpty(path.clone()), &payload), empty, "{payload}");
            assert_eq!(holds(Condition::IsNull(path), &payload), null, "{payload}");
        }
    }

    #[test]
    fn clauses_combine() {
        let is = |k: &str, v: i64| Condition::equals(k, v).expect("a path");
        let payload = json!({"a": 1, "b": 2, "c": 3});
        let object = payload.as_object().expect("an object");
        let least = |count| Filter {
            min_should: Some(MinShould { conditions: vec![is("a", 1), is("b", 2), is("c", 9)], count }),
            ..Filter::default()
        };
        assert!(Filter::default().matches(PointId::Num(1), object));
        assert!(least(2).matches(PointId::Num(1), object) && !least(3).matches(PointId::Num(1), object));
        let none = Filter { must_not: vec![is("a", 1)], ..Filter::default() };
        let either = Filter { should: vec![is("a", 9), is("b", 2)], ..Filter::default() };
        assert!(!none.matches(PointId::Num(1), object) && either.matches(PointId::Num(1), object));
        assert!(holds(Condition::HasId(vec![PointId::Num(1)]), &payload));
    }

    #[test]
    fn deep_filters_are_refused_by_name() {
        let deep =
            (0..40).fold(Filter::default(), |inner, _| Filter::must(Condition::Filter(Box::new(inner))));
        assert_eq!(deep.check(&Limits::default()).expect_err("too deep").field(), Some("filter"));
    }
}
