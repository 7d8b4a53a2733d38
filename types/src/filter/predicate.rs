//! Tests of one payload value.

use super::Lists;
use super::whole::WholeRange;
use super::words::{self, TextTest};
use crate::FieldKind;
use crate::datetime;
use crate::geo::{GeoArea, GeoPoint};
use crate::payload::Value;

/// A test of one payload value.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Predicate {
    /// Equal to one of these.
    Any(Vec<Scalar>),
    /// Present, and equal to none of these.
    Except(Vec<Scalar>),
    /// A number within bounds.
    Range(Range),
    /// A number within bounds that are large integers. [`within`](Self::within) chooses.
    Whole(WholeRange),
    /// A time within bounds (see [`datetime`](crate::datetime)).
    Times(TimeRange),
    /// A place within an area.
    Geo(GeoArea),
    /// A string with all of the words of this text.
    Text(String),
    /// A string with some of the words of this text.
    TextAny(String),
    /// A string with the words of this text one after the other.
    Phrase(String),
    /// [`Text`](Self::Text), [`TextAny`](Self::TextAny) or [`Phrase`](Self::Phrase) where the field has an index of
    /// texts; where it has none, a string that has the text in it as it stands, within words too (of `TextAny`: one of
    /// its parts between spaces). It is what these tests mean in the dialect of Qdrant; who knows the schema decides.
    PartUnlessIndexed(Box<Predicate>),
    /// A string that begins so.
    Prefix(String),
    /// [`Text`](Self::Text), [`TextAny`](Self::TextAny) or [`Phrase`](Self::Phrase), of words that are made in another
    /// way.
    Analysed(TextTest),
}

/// Bounds on a time, in microseconds since 1970; absent bounds do not bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeRange {
    /// Before.
    pub lt: Option<i64>,
    /// Not after.
    pub lte: Option<i64>,
    /// After.
    pub gt: Option<i64>,
    /// Not before.
    pub gte: Option<i64>,
}

/// Bounds on a number of values; absent bounds do not bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountRange {
    /// Less than.
    pub lt: Option<usize>,
    /// Less than or equal.
    pub lte: Option<usize>,
    /// Greater than.
    pub gt: Option<usize>,
    /// Greater than or equal.
    pub gte: Option<usize>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
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

impl Predicate {
    /// The kind of index that knows what satisfies it.
    pub fn index_kind(&self) -> FieldKind {
        match self {
            Self::Any(list) | Self::Except(list) => match list.first() {
                Some(Scalar::Int(_)) => FieldKind::Integer,
                Some(Scalar::Bool(_)) => FieldKind::Bool,
                Some(Scalar::Str(_)) | None => FieldKind::Keyword,
            },
            Self::Range(_) => FieldKind::Float,
            Self::Whole(_) => FieldKind::Integer,
            Self::Times(_) => FieldKind::Datetime,
            Self::Geo(_) => FieldKind::Geo,
            Self::Text(_) | Self::TextAny(_) | Self::Phrase(_) | Self::Analysed(_) => FieldKind::Text,
            Self::PartUnlessIndexed(_) => FieldKind::Text,
            Self::Prefix(_) => FieldKind::Keyword,
        }
    }

    /// The text whose words it asks for.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::TextAny(text) | Self::Phrase(text) => Some(text),
            Self::PartUnlessIndexed(test) => test.text(),
            _ => None,
        }
    }

    /// Whether the value, or any of its elements if it is an array, satisfies the predicate.
    pub fn holds(&self, value: &Value) -> bool {
        self.meets(value, Lists::AsTheyCome)
    }

    pub(super) fn meets(&self, value: &Value, lists: Lists) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.meets_one(item, lists)),
            other => self.meets_one(other, lists),
        }
    }

    fn meets_one(&self, value: &Value, lists: Lists) -> bool {
        match self {
            Self::Any(list) => Scalar::of(value).is_some_and(|scalar| lists.have(list, &scalar)),
            Self::Except(list) => match Scalar::of(value) {
                Some(scalar) => !lists.have(list, &scalar),
                None => !value.is_null(),
            },
            Self::Range(range) => value.as_f64().is_some_and(|number| range.contains(number)),
            Self::Whole(range) => range.holds(value),
            Self::Times(range) => {
                value.as_str().and_then(datetime::micros).is_some_and(|time| range.contains(time))
            }
            Self::Geo(area) => GeoPoint::of(value).is_some_and(|place| area.contains(place)),
            Self::Text(wanted) => value.as_str().is_some_and(|text| words::has_all(text, wanted)),
            Self::TextAny(wanted) => value.as_str().is_some_and(|text| words::has_any(text, wanted)),
            Self::Phrase(wanted) => value.as_str().is_some_and(|text| words::has_phrase(text, wanted)),
            Self::PartUnlessIndexed(test) => value.as_str().is_some_and(|text| test.holds_for_part(text)),
            Self::Analysed(test) => value.as_str().is_some_and(|text| test.holds(text)),
            Self::Prefix(start) => value.as_str().is_some_and(|text| text.starts_with(start.as_str())),
        }
    }

    /// Whether a string has in it what a test of words asks for, as it stands.
    fn holds_for_part(&self, text: &str) -> bool {
        match self {
            Self::Text(part) | Self::Phrase(part) => text.contains(part.as_str()),
            Self::TextAny(parts) => parts.split_whitespace().any(|part| text.contains(part)),
            _ => false,
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

impl TimeRange {
    /// Whether the time lies within all bounds.
    pub fn contains(&self, micros: i64) -> bool {
        self.lt.is_none_or(|bound| micros < bound)
            && self.lte.is_none_or(|bound| micros <= bound)
            && self.gt.is_none_or(|bound| micros > bound)
            && self.gte.is_none_or(|bound| micros >= bound)
    }
}

impl CountRange {
    /// Whether the number lies within all bounds.
    pub fn contains(&self, count: usize) -> bool {
        self.lt.is_none_or(|bound| count < bound)
            && self.lte.is_none_or(|bound| count <= bound)
            && self.gt.is_none_or(|bound| count > bound)
            && self.gte.is_none_or(|bound| count >= bound)
    }
}
