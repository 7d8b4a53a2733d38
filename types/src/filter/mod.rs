//! Filters: a boolean tree over payload fields and ids, and its meaning.
//!
//! [`Filter::matches`] *is* the meaning: indexes may answer faster, never differently (property-tested against it).
//! The semantics are Qdrant's: a condition on a field holds if *any* value that its path reaches satisfies it,
//! and an array at the end of a path counts as its elements.
//!
//! People write filters as text: `lang = 'en' AND NOT (year < 2020)`. `Filter` parses from it and prints as it; the
//! grammar stands in docs/filters.md.

#[cfg(test)]
mod drafts;
mod normal;
mod predicate;
mod text;
mod whole;
pub mod words;

use crate::payload::{Payload, Value};
use crate::{Error, FieldPath, Limits, Point, PointId, Result};

pub use predicate::{CountRange, Predicate, Range, Scalar, TimeRange};
pub use whole::{NumberBound, WholeRange};
pub use words::{TextAnalysis, TextTest};

/// All of `must`, none of `must_not`, one of `should` (if any), `min_should.count` of its conditions.
/// The empty filter matches every point.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd)]
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
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct MinShould {
    /// The conditions that are counted.
    pub conditions: Vec<Condition>,
    /// How many must hold.
    pub count: usize,
}

/// One leaf, or a nested filter.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Condition {
    /// Some value at the path satisfies the predicate.
    Field(FieldPath, Predicate),
    /// The path reaches nothing but nulls and empty arrays.
    IsEmpty(FieldPath),
    /// The path reaches a null, or an array with a null among its elements.
    IsNull(FieldPath),
    /// The path reaches a value with so many elements: those of an array, none of null, else one. Where it reaches
    /// nothing there are none.
    Count(FieldPath, CountRange),
    /// The point has one of these ids.
    HasId(Vec<PointId>),
    /// The point is in one of `total` slices, chosen by its id alone: each point is in exactly one, always the same.
    Slice {
        /// Which of them, from 0.
        index: u32,
        /// How many there are, at least 1.
        total: u32,
    },
    /// The point has a vector of this name.
    HasVector(String),
    /// One object of an array at the path satisfies the whole filter by itself.
    Nested(FieldPath, Box<Filter>),
    /// A filter as a condition.
    Filter(Box<Filter>),
}

/// What filters are asked of.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The point's id.
    pub id: PointId,
    /// Its payload.
    pub payload: &'a Payload,
    /// Whether it has a vector of a name.
    pub has_vector: &'a dyn Fn(&str) -> bool,
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
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.meets(subject, Lists::AsTheyCome)
    }

    /// As [`matches`](Self::matches), of a filter in [normal form](Self::normalised): what a long list has is searched
    /// for, not looked through.
    pub fn matches_normal(&self, subject: &Subject<'_>) -> bool {
        self.meets(subject, Lists::Ascending)
    }

    fn meets(&self, subject: &Subject<'_>, lists: Lists) -> bool {
        let holds = |condition: &Condition| condition.meets(subject, lists);
        self.must.iter().all(holds)
            && !self.must_not.iter().any(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && self.min_should.as_ref().is_none_or(|least| {
                least.conditions.iter().filter(|condition| holds(condition)).take(least.count).count()
                    == least.count
            })
    }

    /// Whether it holds for a whole point.
    pub fn matches_point(&self, point: &Point) -> bool {
        let has_vector = |name: &str| point.vectors.iter().any(|(own, _)| own == name);
        self.matches(&Subject { id: point.id, payload: &point.payload, has_vector: &has_vector })
    }

    /// As [`matches_point`](Self::matches_point), of a filter in [normal form](Self::normalised).
    pub fn matches_point_normal(&self, point: &Point) -> bool {
        let has_vector = |name: &str| point.vectors.iter().any(|(own, _)| own == name);
        self.matches_normal(&Subject { id: point.id, payload: &point.payload, has_vector: &has_vector })
    }

    /// Every condition of this level.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let counted = self.min_should.iter().flat_map(|least| &least.conditions);
        self.must.iter().chain(&self.should).chain(&self.must_not).chain(counted)
    }

    /// Whether payloads decide; else ids and vectors do.
    pub fn reads_payload(&self) -> bool {
        self.conditions().any(|condition| match condition {
            Condition::HasId(_) | Condition::Slice { .. } | Condition::HasVector(_) => false,
            Condition::Filter(inner) => inner.reads_payload(),
            Condition::Field(..)
            | Condition::IsEmpty(_)
            | Condition::IsNull(_)
            | Condition::Count(..)
            | Condition::Nested(..) => true,
        })
    }

    /// Checks depth, size, texts and areas.
    ///
    /// # Errors
    /// `LimitExceeded` naming `filter`, `InvalidArgument` naming the part of an area and where it stands
    /// (`filter.must[0].geo_radius.center.lat`).
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let (depth, count) = self.measure();
        if depth > limits.filter_depth_max {
            return Err(Error::limit("filter", "the filter's depth", depth, limits.filter_depth_max));
        }
        if count > limits.filter_conditions_max {
            let what = "the filter's number of conditions";
            return Err(Error::limit("filter", what, count, limits.filter_conditions_max));
        }
        self.check_conditions(limits)?;
        self.check_areas().map_err(|error| error.within("filter"))
    }

    fn check_areas(&self) -> Result<()> {
        let counted = self.min_should.as_ref().map_or(&[][..], |least| least.conditions.as_slice());
        let lists = [
            ("must", self.must.as_slice()),
            ("should", self.should.as_slice()),
            ("must_not", self.must_not.as_slice()),
            ("min_should.conditions", counted),
        ];
        for (list, conditions) in lists {
            for (position, condition) in conditions.iter().enumerate() {
                let checked = match condition {
                    Condition::Field(_, Predicate::Geo(area)) => {
                        area.check().map_err(|error| error.within(area.name()))
                    }
                    Condition::Filter(inner) => inner.check_areas(),
                    Condition::Nested(_, inner) => {
                        inner.check_areas().map_err(|error| error.within("nested.filter"))
                    }
                    _ => Ok(()),
                };
                checked.map_err(|error| error.within(&format!("{list}[{position}]")))?;
            }
        }
        Ok(())
    }

    fn check_conditions(&self, limits: &Limits) -> Result<()> {
        self.conditions().try_for_each(|condition| match condition {
            Condition::Field(path, predicate) => {
                let chars = predicate.text().map_or(0, |text| text.chars().count());
                if chars <= limits.query_chars_max {
                    return Ok(());
                }
                let what = format!("the number of characters that `{path}` is to match");
                Err(Error::limit("filter", &what, chars, limits.query_chars_max))
            }
            Condition::Filter(inner) | Condition::Nested(_, inner) => inner.check_conditions(limits),
            Condition::Slice { index, total } if index >= total => {
                Err(Error::invalid("filter", format!("has slice {index} of {total}; slices count from 0")))
            }
            _ => Ok(()),
        })
    }

    fn measure(&self) -> (usize, usize) {
        self.conditions().fold((1, 0), |(depth, count), condition| match condition {
            Condition::Filter(inner) | Condition::Nested(_, inner) => {
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

    /// Whether it holds for a point.
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        self.meets(subject, Lists::AsTheyCome)
    }

    fn meets(&self, subject: &Subject<'_>, lists: Lists) -> bool {
        let payload = subject.payload;
        match self {
            Self::Field(path, predicate) => {
                path.values(payload).into_iter().any(|value| predicate.meets(value, lists))
            }
            Self::IsEmpty(path) => path.values(payload).into_iter().all(is_empty),
            Self::IsNull(path) => path.values(payload).into_iter().any(is_null),
            Self::Count(path, range) => {
                let values = path.values(payload);
                if values.is_empty() {
                    range.contains(0)
                } else {
                    values.into_iter().any(|value| range.contains(count(value)))
                }
            }
            Self::HasId(ids) => lists.have(ids, &subject.id),
            Self::Slice { index, total } => subject.id.hash() % u64::from(*total).max(1) == u64::from(*index),
            Self::HasVector(name) => (subject.has_vector)(name),
            Self::Nested(path, filter) => {
                let objects = path.objects(payload);
                objects.into_iter().any(|payload| filter.meets(&Subject { payload, ..*subject }, lists))
            }
            Self::Filter(filter) => filter.meets(subject, lists),
        }
    }
}

/// How the lists of a filter are ordered.
#[derive(Clone, Copy)]
enum Lists {
    AsTheyCome,
    Ascending,
}

impl Lists {
    fn have<T: Ord>(self, list: &[T], value: &T) -> bool {
        match self {
            Self::AsTheyCome => list.contains(value),
            Self::Ascending => list.binary_search(value).is_ok(),
        }
    }
}

/// How many values a value is.
fn count(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Array(items) => items.len(),
        _ => 1,
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

/// Whether a value counts as null for [`Condition::IsNull`].
pub fn is_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(Value::is_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime;
    use crate::geo::{GeoArea, GeoPoint};
    use serde_json::json;

    fn field(path: &str, predicate: Predicate) -> Condition {
        Condition::Field(path.parse().expect("a path"), predicate)
    }

    fn holds(condition: Condition, payload: &Value) -> bool {
        let payload = payload.as_object().expect("an object");
        Filter::must(condition).matches(&subject(payload))
    }

    fn subject(payload: &Payload) -> Subject<'_> {
        Subject { id: PointId::Num(1), payload, has_vector: &|name| name == "v" }
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
            (json!({"x": [1, null]}), false, true),
            (json!({"x": [[null]]}), false, false),
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
        assert!(Filter::default().matches(&subject(object)));
        assert!(least(2).matches(&subject(object)) && !least(3).matches(&subject(object)));
        let none = Filter { must_not: vec![is("a", 1)], ..Filter::default() };
        let either = Filter { should: vec![is("a", 9), is("b", 2)], ..Filter::default() };
        assert!(!none.matches(&subject(object)) && either.matches(&subject(object)));
        assert!(holds(Condition::HasId(vec![PointId::Num(1)]), &payload));
    }

    /// As Qdrant's engine answers without an index (qdrant-edge 0.9.0).
    #[test]
    fn conditions_hold_as_in_the_dialect() {
        let payload = json!({
            "s": "The quick Brown fox", "two": ["red", "fox jumps"], "d": "2024-06-01", "g": [{"lon": 13.4, "lat": 52.5}],
            "a": [{"x": 1, "y": 2}, {"x": 3, "y": 4}], "o": {"x": 1, "y": 2}, "l": [1, 2, 3], "e": [], "z": null,
        });
        let count = |path: &str, least: usize, most: usize| {
            let range = CountRange { gte: Some(least), lte: Some(most), ..CountRange::default() };
            Condition::Count(path.parse().expect("a path"), range)
        };
        let noon = datetime::micros("2024-06-01T12:00:00Z").expect("a time");
        let before = TimeRange { lt: Some(noon), ..TimeRange::default() };
        let after = TimeRange { gte: Some(noon), ..TimeRange::default() };
        let circle = |radius_m| GeoArea::Circle { center: GeoPoint { lon: 13.41, lat: 52.51 }, radius_m };
        let is = |path: &str, value: i64| Condition::equals(path, value).expect("a path");
        let nested = |path: &str, x, y| {
            let both = Filter::must(is("x", x)).and(is("y", y));
            Condition::Nested(path.parse().expect("a path"), Box::new(both))
        };
        let cases = [
            (field("s", Predicate::Text("fox QUICK".into())), true),
            (field("s", Predicate::Text("brown quic".into())), false),
            (field("s", Predicate::Text(" ".into())), false),
            (field("two", Predicate::Text("red fox".into())), false),
            (field("two", Predicate::TextAny("green fox".into())), true),
            (field("s", Predicate::Phrase("quick brown".into())), true),
            (field("s", Predicate::Phrase("fox quick".into())), false),
            (field("s", Predicate::Prefix("The q".into())), true),
            (field("s", Predicate::Prefix("the q".into())), false),
            (field("d", Predicate::Times(before)), true),
            (field("d", Predicate::Times(after)), false),
            (field("s", Predicate::Times(before)), false),
            (field("g", Predicate::Geo(circle(5000.0))), true),
            (field("g", Predicate::Geo(circle(50.0))), false),
            (count("l", 3, 3), true),
            (count("s", 1, 1), true),
            (count("e", 0, 0), true),
            (count("z", 0, 0), true),
            (count("gone", 0, 0), true),
            (count("a[].x", 2, 2), false),
            (count("a[].x", 1, 1), true),
            (nested("a", 1, 2), true),
            (nested("a[]", 3, 4), true),
            (nested("a", 1, 4), false),
            (nested("o", 1, 2), false),
            (Condition::Nested("l".parse().expect("a path"), Box::default()), false),
            (Condition::HasVector("v".into()), true),
            (Condition::HasVector("w".into()), false),
        ];
        for (condition, expected) in cases {
            assert_eq!(holds(condition.clone(), &payload), expected, "{condition:?}");
        }
    }

    #[test]
    fn deep_filters_are_refused_by_name() {
        let deep =
            (0..40).fold(Filter::default(), |inner, _| Filter::must(Condition::Filter(Box::new(inner))));
        assert_eq!(deep.check(&Limits::default()).expect_err("too deep").field(), Some("filter"));
    }

    #[test]
    fn what_asks_for_ids_and_vectors_alone_reads_no_payload() {
        let slice = || Condition::Slice { index: 0, total: 2 };
        let inner = Filter::must(slice()).and(Condition::HasVector("v".into()));
        let free = Filter { should: vec![Condition::Filter(Box::new(inner)), slice()], ..Filter::default() };
        assert!(!free.reads_payload() && !Filter::default().reads_payload());
        let empty = Condition::IsEmpty("a".parse().expect("a path"));
        let least = MinShould { conditions: vec![slice(), empty], count: 1 };
        assert!(Filter { min_should: Some(least), ..free }.reads_payload());
    }

    #[test]
    fn long_texts_are_refused_by_name() {
        let limits = Limits { query_chars_max: 5, ..Limits::default() };
        let asks = |text: &str| {
            let test = Predicate::PartUnlessIndexed(Box::new(Predicate::Text(text.into())));
            let condition = Condition::Field("place".parse().expect("a path"), test);
            Filter::must(Condition::Filter(Box::new(Filter::must(condition)))).check(&limits)
        };
        asks("a b c").expect("short enough");
        let error = asks("a b cd").expect_err("too long");
        assert_eq!((error.kind(), error.field()), (crate::ErrorKind::LimitExceeded, Some("filter")));
        assert!(error.message().contains("`place` is to match is 6, the limit is 5"), "{error}");
    }
}
