//! Filters: `must`, `should`, `must_not`, `min_should` over conditions.
//!
//! A condition says what it is by its keys: `key` with one test, `is_empty`, `is_null`, `has_id`, `slice`,
//! `has_vector`, `nested`, or a filter again. A filter may also be a string: the form that people write.

use std::fmt;
use std::num::NonZeroU32;

use kithdb::{
    Condition, CountRange, Error, FieldPath, Filter, MinShould, NumberBound, Predicate, Result, Scalar,
    TimeRange, datetime,
};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use utoipa::ToSchema;

use crate::error::invalid;
use crate::wire::geo::{BoxIn, CircleIn, PolygonIn};
use crate::wire::id::Id;
use crate::wire::schema::{any_of, declare, flag, integer, named, number, one_or_many, text};
use crate::wire::shape::OneOrMany;

/// A filter in a body.
#[derive(Debug)]
pub(crate) enum FilterIn {
    /// Ours: as people write it.
    Text(String),
    /// As in the dialect.
    Clauses(Clauses),
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = FilterClauses)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clauses {
    #[schema(schema_with = one_or_many::<ConditionIn>)]
    must: Option<OneOrMany<ConditionIn>>,
    #[schema(schema_with = one_or_many::<ConditionIn>)]
    should: Option<OneOrMany<ConditionIn>>,
    #[schema(schema_with = one_or_many::<ConditionIn>)]
    must_not: Option<OneOrMany<ConditionIn>>,
    min_should: Option<MinShouldIn>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MinShould)]
#[serde(deny_unknown_fields)]
struct MinShouldIn {
    #[schema(no_recursion)]
    conditions: Vec<ConditionIn>,
    min_count: usize,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Condition)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionIn {
    key: Option<String>,
    r#match: Option<MatchIn>,
    range: Option<RangeIn>,
    is_empty: Option<Target>,
    is_null: Option<Target>,
    has_id: Option<Vec<Id>>,
    #[schema(no_recursion)]
    filter: Option<FilterIn>,
    #[schema(schema_with = one_or_many::<ConditionIn>)]
    must: Option<OneOrMany<ConditionIn>>,
    #[schema(schema_with = one_or_many::<ConditionIn>)]
    should: Option<OneOrMany<ConditionIn>>,
    #[schema(schema_with = one_or_many::<ConditionIn>)]
    must_not: Option<OneOrMany<ConditionIn>>,
    min_should: Option<MinShouldIn>,
    slice: Option<SliceIn>,
    has_vector: Option<String>,
    nested: Option<NestedIn>,
    geo_bounding_box: Option<BoxIn>,
    geo_radius: Option<CircleIn>,
    geo_polygon: Option<PolygonIn>,
    values_count: Option<CountIn>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Nested)]
#[serde(deny_unknown_fields)]
struct NestedIn {
    key: String,
    #[schema(no_recursion)]
    filter: FilterIn,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ValuesCount)]
#[serde(deny_unknown_fields)]
struct CountIn {
    lt: Option<usize>,
    lte: Option<usize>,
    gt: Option<usize>,
    gte: Option<usize>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Match)]
#[serde(deny_unknown_fields)]
struct MatchIn {
    value: Option<ScalarIn>,
    any: Option<Vec<ScalarIn>>,
    except: Option<Vec<ScalarIn>>,
    text: Option<String>,
    text_any: Option<String>,
    phrase: Option<String>,
    prefix: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Range)]
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
enum Bound {
    Number(NumberBound),
    Time(String),
}

declare!(FilterIn as "Filter": any_of([named::<Clauses>(), text()]), Clauses, ConditionIn);
declare!(ScalarIn as "MatchValue": any_of([text(), flag(), integer()]));
declare!(Bound as "Bound": any_of([number(), text()]));
declare!(Target as "FieldTarget": any_of([flag(), named::<KeyIn>()]), KeyIn);

impl FilterIn {
    /// The engine's filter.
    ///
    /// # Errors
    /// `InvalidArgument` naming the condition at fault.
    pub(crate) fn into_filter(self) -> Result<Filter> {
        match self {
            // The place is that of the string.
            Self::Text(text) => {
                text.parse().map_err(|error: Error| Error::new(error.kind(), error.message()))
            }
            Self::Clauses(clauses) => clauses.into_filter(),
        }
    }
}

impl Clauses {
    fn into_filter(self) -> Result<Filter> {
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
    filter.map_or_else(
        || Ok(Filter::default()),
        |filter| filter.into_filter().map_err(|error| error.within("filter")),
    )
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
        let mut kinds: Vec<Condition> = Vec::new();
        let key = self.key;
        let field = |predicate: Predicate| path(key.clone()).map(|path| Condition::Field(path, predicate));
        if let Some(test) = self.r#match {
            kinds.push(field(test.into_predicate()?)?);
        }
        if let Some(range) = self.range {
            kinds.push(field(range.into_predicate()?)?);
        }
        let areas = self.geo_bounding_box.map(BoxIn::into_area).into_iter();
        let areas = areas.chain(self.geo_radius.map(CircleIn::into_area));
        for area in areas.chain(self.geo_polygon.map(PolygonIn::into_area)) {
            kinds.push(field(Predicate::Geo(area))?);
        }
        if let Some(CountIn { lt, lte, gt, gte }) = self.values_count {
            kinds.push(Condition::Count(path(key.clone())?, CountRange { lt, lte, gt, gte }));
        }
        if let Some(target) = self.is_empty {
            kinds.push(about(key.clone(), target, "is_empty", Condition::IsEmpty)?);
        }
        if let Some(target) = self.is_null {
            kinds.push(about(key.clone(), target, "is_null", Condition::IsNull)?);
        }
        if kinds.is_empty() {
            no_key(key.as_ref())?;
        }
        kinds.extend(self.has_id.map(|ids| Condition::HasId(Id::unwrap_all(ids))));
        kinds.extend(self.slice.map(SliceIn::into_condition).transpose()?);
        kinds.extend(self.has_vector.map(Condition::HasVector));
        if let Some(NestedIn { key, filter }) = self.nested {
            let path = path(Some(key)).map_err(|error| error.within("nested"))?;
            let filter = filter.into_filter().map_err(|error| error.within("nested.filter"))?;
            kinds.push(Condition::Nested(path, Box::new(filter)));
        }
        let clauses = Clauses {
            must: self.must,
            should: self.should,
            must_not: self.must_not,
            min_should: self.min_should,
        };
        if self.filter.is_some() || clauses.has_clauses() || kinds.is_empty() {
            let inner = match self.filter {
                Some(inner) if !clauses.has_clauses() => inner.into_filter()?,
                Some(_) => return Err(several()),
                None => clauses.into_filter()?,
            };
            kinds.push(Condition::Filter(Box::new(inner)));
        }
        match (kinds.pop(), kinds.len()) {
            (Some(condition), 0) => Ok(condition),
            _ => Err(several()),
        }
    }
}

/// One of `total` parts of a collection, for reading it by several clients at once.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Slice)]
#[serde(deny_unknown_fields)]
struct SliceIn {
    #[schema(value_type = u32, minimum = 1)]
    total: NonZeroU32,
    index: u32,
}

impl SliceIn {
    fn into_condition(self) -> Result<Condition> {
        let Self { index, total } = self;
        match index < total.get() {
            true => Ok(Condition::Slice { index, total: total.get() }),
            false => Err(invalid("slice.index", &format!("value {index} invalid, must be below total"))),
        }
    }
}

impl Clauses {
    fn has_clauses(&self) -> bool {
        self.must.is_some() || self.should.is_some() || self.must_not.is_some() || self.min_should.is_some()
    }
}

fn several() -> Error {
    Error::new(kithdb::ErrorKind::InvalidArgument, "is several conditions at once; write them as a list")
}

/// A condition on a key without a test would silently match everything.
fn no_key(key: Option<&String>) -> Result<()> {
    match key {
        None => Ok(()),
        Some(_) => {
            let tests =
                "match, range, geo_bounding_box, geo_radius, geo_polygon, values_count, is_empty or is_null";
            let why = format!("At least one field condition must be specified: one of {tests}");
            Err(invalid("key", &why))
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
        let mut kinds: Vec<Predicate> = Vec::new();
        kinds.extend(self.value.map(|ScalarIn(value)| Predicate::Any(vec![value])));
        kinds.extend(self.any.map(|list| Predicate::Any(scalars(list))));
        kinds.extend(self.except.map(|list| Predicate::Except(scalars(list))));
        let words = [
            self.text.map(Predicate::Text),
            self.text_any.map(Predicate::TextAny),
            self.phrase.map(Predicate::Phrase),
        ];
        // The dialect's rule: without an index of texts they are parts of a string.
        let by_rule = |words: Predicate| Predicate::PartUnlessIndexed(Box::new(words));
        kinds.extend(words.into_iter().flatten().map(by_rule));
        kinds.extend(self.prefix.map(Predicate::Prefix));
        match (kinds.pop(), kinds.len()) {
            (Some(predicate), 0) => Ok(predicate),
            _ => {
                let known = "`value`, `any`, `except`, `text`, `text_any`, `phrase`, `prefix`";
                Err(Error::invalid("match", format!("give one of {known}")))
            }
        }
    }
}

impl RangeIn {
    /// Of numbers, or of times.
    fn into_predicate(self) -> Result<Predicate> {
        let bounds = [("lt", &self.lt), ("lte", &self.lte), ("gt", &self.gt), ("gte", &self.gte)];
        let is_of_times = bounds.iter().any(|(_, bound)| matches!(bound, Some(Bound::Time(_))));
        if !is_of_times {
            let number = |bound: Option<Bound>| match bound {
                Some(Bound::Number(number)) => Some(number),
                _ => None,
            };
            return Ok(Predicate::within([self.lt, self.lte, self.gt, self.gte].map(number)));
        }
        let mut times = [None; 4];
        for (time, (name, bound)) in times.iter_mut().zip(bounds) {
            let field = format!("range.{name}");
            *time = match bound {
                Some(Bound::Time(text)) => Some(datetime::parse(text, &field)?),
                Some(Bound::Number(_)) => {
                    return Err(Error::invalid(field, "is a number, and another bound is a time"));
                }
                None => None,
            };
        }
        let [lt, lte, gt, gte] = times;
        Ok(Predicate::Times(TimeRange { lt, lte, gt, gte }))
    }
}

impl<'de> Deserialize<'de> for FilterIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = FilterIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter: an object with must, should, must_not or min_should, or a text")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<FilterIn, E> {
        Ok(FilterIn::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<FilterIn, A::Error> {
        Clauses::deserialize(MapAccessDeserializer::new(map)).map(FilterIn::Clauses)
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
        f.write_str("a number, or a time such as \"2024-01-31T12:00:00Z\"")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Bound, E> {
        Ok(Bound::Time(text.to_owned()))
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Bound, E> {
        Ok(Bound::Number(NumberBound::Float(number)))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Bound, E> {
        Ok(Bound::Number(NumberBound::Whole(number)))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Bound, E> {
        let whole = i64::try_from(number).map(NumberBound::Whole);
        Ok(Bound::Number(whole.unwrap_or(NumberBound::Float(number as f64))))
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PayloadKey)]
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
mod tests;
