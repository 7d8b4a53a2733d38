//! Filters: `must`, `should`, `must_not`, `min_should` over conditions.
//!
//! A condition says what it is by its keys: `key` with one test, `is_empty`, `is_null`, `has_id`, or a filter again.

use std::fmt;

use kithdb::{Condition, Error, FieldPath, Filter, MinShould, Predicate, Range, Result, Scalar};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::id::Id;
use super::shape::{OneOrMany, Refused};

/// A filter in a body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterIn {
    must: Option<OneOrMany<ConditionIn>>,
    should: Option<OneOrMany<ConditionIn>>,
    must_not: Option<OneOrMany<ConditionIn>>,
    min_should: Option<MinShouldIn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinShouldIn {
    conditions: Vec<ConditionIn>,
    min_count: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "kinds of conditions that are refused are listed so that `null` is no error")]
struct ConditionIn {
    key: Option<String>,
    r#match: Option<MatchIn>,
    range: Option<RangeIn>,
    is_empty: Option<Target>,
    is_null: Option<Target>,
    has_id: Option<Vec<Id>>,
    filter: Option<FilterIn>,
    must: Option<OneOrMany<ConditionIn>>,
    should: Option<OneOrMany<ConditionIn>>,
    must_not: Option<OneOrMany<ConditionIn>>,
    min_should: Option<MinShouldIn>,
    has_vector: Option<Refused>,
    nested: Option<Refused>,
    slice: Option<Refused>,
    geo_bounding_box: Option<Refused>,
    geo_radius: Option<Refused>,
    geo_polygon: Option<Refused>,
    values_count: Option<Refused>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchIn {
    value: Option<ScalarIn>,
    any: Option<Vec<ScalarIn>>,
    except: Option<Vec<ScalarIn>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeIn {
    lt: Option<Bound>,
    lte: Option<Bound>,
    gt: Option<Bound>,
    gte: Option<Bound>,
}

/// What `is_empty` and `is_null` are about: the condition's own key, or the key inside.
#[derive(Debug)]
enum Target {
    Own(bool),
    Key(String),
}

#[derive(Debug)]
struct ScalarIn(Scalar);

#[derive(Debug)]
struct Bound(f64);

impl FilterIn {
    /// The engine's filter.
    ///
    /// # Errors
    /// `InvalidArgument` naming the condition at fault.
    pub(crate) fn into_filter(self) -> Result<Filter> {
        let Self { must, should, must_not, min_should } = self;
        Ok(Filter {
            must: conditions(must, "must")?,
            should: conditions(should, "should")?,
            must_not: conditions(must_not, "must_not")?,
            min_should: min_should.map(MinShouldIn::into_min_should).transpose()?,
        })
    }
}

/// The filter of a body, or the one that matches everything.
///
/// # Errors
/// `InvalidArgument` naming `filter` and the condition at fault.
pub(crate) fn or_everything(filter: Option<FilterIn>) -> Result<Filter> {
    filter.unwrap_or_default().into_filter().map_err(|error| error.within("filter"))
}

fn conditions(given: Option<OneOrMany<ConditionIn>>, field: &str) -> Result<Vec<Condition>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    given
        .places(field)
        .map(|(place, condition)| condition.into_condition().map_err(|error| error.within(&place)))
        .collect()
}

impl MinShouldIn {
    fn into_min_should(self) -> Result<MinShould> {
        let given = OneOrMany { items: self.conditions, is_list: true };
        Ok(MinShould { conditions: conditions(Some(given), "min_should.conditions")?, count: self.min_count })
    }
}

impl ConditionIn {
    fn into_condition(self) -> Result<Condition> {
        let Self { key, r#match, range, is_empty, is_null, has_id, filter, .. } = self;
        let Self { must, should, must_not, min_should, .. } = self;
        let has_clauses = must.is_some() || should.is_some() || must_not.is_some() || min_should.is_some();
        let tests = usize::from(r#match.is_some())
            + usize::from(range.is_some())
            + usize::from(is_empty.is_some())
            + usize::from(is_null.is_some());
        let kinds = usize::from(has_id.is_some()) + usize::from(filter.is_some()) + usize::from(has_clauses);
        if tests + kinds > 1 {
            let message = "is several conditions at once; write them as a list";
            return Err(Error::new(kithdb::ErrorKind::InvalidArgument, message));
        }
        if let Some(ids) = has_id {
            return no_key(key.as_ref()).map(|()| Condition::HasId(Id::unwrap_all(ids)));
        }
        if tests == 0 {
            no_key(key.as_ref())?;
            let inner = filter.unwrap_or(FilterIn { must, should, must_not, min_should });
            return inner.into_filter().map(|filter| Condition::Filter(Box::new(filter)));
        }
        field_condition(key, r#match, range, is_empty, is_null)
    }
}

fn field_condition(
    key: Option<String>,
    r#match: Option<MatchIn>,
    range: Option<RangeIn>,
    is_empty: Option<Target>,
    is_null: Option<Target>,
) -> Result<Condition> {
    match (r#match, range, is_empty, is_null) {
        (Some(test), ..) => Ok(Condition::Field(path(key)?, test.into_predicate()?)),
        (_, Some(range), ..) => Ok(Condition::Field(path(key)?, Predicate::Range(range.into_range()))),
        (_, _, Some(target), _) => about(key, target, "is_empty", Condition::IsEmpty),
        (_, _, _, Some(target)) => about(key, target, "is_null", Condition::IsNull),
        _ => Err(Error::invalid("key", "has no test beside it; give match, range, is_empty or is_null")),
    }
}

/// A condition on a key without a test would silently match everything.
fn no_key(key: Option<&String>) -> Result<()> {
    match key {
        None => Ok(()),
        Some(_) => {
            Err(Error::invalid("key", "has no test beside it; give match, range, is_empty or is_null"))
        }
    }
}

fn path(key: Option<String>) -> Result<FieldPath> {
    key.ok_or_else(|| Error::invalid("key", "is missing; it says which payload field is tested"))?.parse()
}

fn about(
    key: Option<String>,
    target: Target,
    field: &str,
    make: fn(FieldPath) -> Condition,
) -> Result<Condition> {
    match (target, key) {
        (Target::Own(true), key) => path(key).map(make),
        (Target::Own(false), key) => {
            let filter = Filter { must_not: vec![make(path(key)?)], ..Filter::default() };
            Ok(Condition::Filter(Box::new(filter)))
        }
        (Target::Key(key), None) => path(Some(key)).map(make).map_err(|error| error.within(field)),
        (Target::Key(_), Some(_)) => {
            Err(Error::invalid(field, "is an object; beside `key` it is true or false"))
        }
    }
}

impl MatchIn {
    fn into_predicate(self) -> Result<Predicate> {
        let scalars = |list: Vec<ScalarIn>| list.into_iter().map(|ScalarIn(scalar)| scalar).collect();
        match self {
            Self { value: Some(ScalarIn(value)), any: None, except: None } => Ok(Predicate::Any(vec![value])),
            Self { value: None, any: Some(list), except: None } => Ok(Predicate::Any(scalars(list))),
            Self { value: None, any: None, except: Some(list) } => Ok(Predicate::Except(scalars(list))),
            _ => Err(Error::invalid("match", "give one of `value`, `any`, `except`")),
        }
    }
}

impl RangeIn {
    fn into_range(self) -> Range {
        let number = |bound: Option<Bound>| bound.map(|Bound(number)| number);
        Range { lt: number(self.lt), lte: number(self.lte), gt: number(self.gt), gte: number(self.gte) }
    }
}

impl<'de> Deserialize<'de> for ScalarIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = ScalarIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an integer or a boolean (use `range` for other numbers)")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<ScalarIn, E> {
        Ok(ScalarIn(Scalar::Str(text.to_owned())))
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<ScalarIn, E> {
        Ok(ScalarIn(Scalar::Bool(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<ScalarIn, E> {
        Ok(ScalarIn(Scalar::Int(number)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<ScalarIn, E> {
        i64::try_from(number).map(|number| ScalarIn(Scalar::Int(number))).map_err(|_| {
            E::custom(format!("{number} is above {}, the largest integer that is matched", i64::MAX))
        })
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(BoundVisitor)
    }
}

struct BoundVisitor;

impl Visitor<'_> for BoundVisitor {
    type Value = Bound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number (ranges of dates are not supported)")
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Bound, E> {
        Ok(Bound(number))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Bound, E> {
        Ok(Bound(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Bound, E> {
        Ok(Bound(number as f64))
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyIn {
    key: String,
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `key`, or a boolean beside `key`")
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Target, E> {
        Ok(Target::Own(flag))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Target, A::Error> {
        KeyIn::deserialize(MapAccessDeserializer::new(map)).map(|KeyIn { key }| Target::Key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Result<Filter> {
        serde_json::from_str::<FilterIn>(json).expect(json).into_filter()
    }

    fn only(json: &str) -> Condition {
        let filter = filter(&format!(r#"{{"must": [{json}]}}"#)).expect(json);
        filter.must.into_iter().next().expect("one")
    }

    #[test]
    fn every_condition_is_understood() {
        let path = |text: &str| text.parse::<FieldPath>().expect(text);
        let field = |predicate| Condition::Field(path("a.b"), predicate);
        let range = Range { gte: Some(1.0), lt: Some(2.5), ..Range::default() };
        let nested = Filter { should: vec![Condition::IsNull(path("c"))], ..Filter::default() };
        let not = Filter { must_not: vec![Condition::IsEmpty(path("a"))], ..Filter::default() };
        let cases = [
            (r#"{"key": "a.b", "match": {"value": "x"}}"#, field(Predicate::Any(vec!["x".into()]))),
            (r#"{"key": "a.b", "match": {"value": true}}"#, field(Predicate::Any(vec![true.into()]))),
            (
                r#"{"key": "a.b", "match": {"any": [1, "x"]}}"#,
                field(Predicate::Any(vec![1.into(), "x".into()])),
            ),
            (r#"{"key": "a.b", "match": {"except": [-1]}}"#, field(Predicate::Except(vec![(-1).into()]))),
            (r#"{"key": "a.b", "range": {"gte": 1, "lt": 2.5, "gt": null}}"#, field(Predicate::Range(range))),
            (r#"{"is_empty": {"key": "a"}}"#, Condition::IsEmpty(path("a"))),
            (r#"{"key": "a", "is_empty": true, "match": null}"#, Condition::IsEmpty(path("a"))),
            (r#"{"key": "a", "is_empty": false}"#, Condition::Filter(Box::new(not))),
            (r#"{"has_id": [3]}"#, Condition::HasId(vec![3.into()])),
            (r#"{"should": {"is_null": {"key": "c"}}}"#, Condition::Filter(Box::new(nested.clone()))),
            (r#"{"filter": {"should": [{"is_null": {"key": "c"}}]}}"#, Condition::Filter(Box::new(nested))),
        ];
        for (json, expected) in cases {
            assert_eq!(only(json), expected, "{json}");
        }
    }

    #[test]
    fn what_means_nothing_names_the_condition() {
        let cases = [
            (r#"{"must": [{"key": "a"}]}"#, "must[0].key"),
            (r#"{"must": [{"match": {"value": 1}}]}"#, "must[0].key"),
            (r#"{"must": [{"key": "a[", "match": {"value": 1}}]}"#, "must[0].key"),
            (r#"{"must_not": {"key": "a", "match": {}}}"#, "must_not.match"),
            (r#"{"should": [{"key": "a", "match": {"value": 1}, "range": {}}]}"#, "should[0]"),
            (r#"{"must": [{"has_id": [1], "must": []}]}"#, "must[0]"),
            (r#"{"must": [{"key": "a", "has_id": [1]}]}"#, "must[0].key"),
            (
                r#"{"min_should": {"conditions": [{"key": "a"}], "min_count": 1}}"#,
                "min_should.conditions[0].key",
            ),
            (r#"{"must": [{"filter": {"must": [{"key": ""}]}}]}"#, "must[0].must[0].key"),
        ];
        for (json, field) in cases {
            assert_eq!(filter(json).expect_err(json).field(), Some(field), "{json}");
        }
    }

    #[test]
    fn an_empty_filter_matches_everything() {
        assert!(filter("{}").expect("empty").is_empty());
        assert!(or_everything(None).expect("absent").is_empty());
    }
}
