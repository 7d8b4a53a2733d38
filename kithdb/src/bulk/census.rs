//! What the values of a key of payloads have in common: the type of its column in an export.
//!
//! Invariant: a column gives back every value as it was: what has no type in common, or could not be told from a value
//! that is missing (a `null`, an object without keys), is JSON.

use std::collections::{BTreeMap, BTreeSet};

use types::{Payload, Value};

/// The type of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Nothing is known: of the elements of lists that are empty, or are null.
    Unknown,
    Bool,
    Int,
    /// With integers that 64 bits with a sign do not hold.
    UInt,
    Float,
    Text,
    List(Box<Kind>),
    Struct(BTreeMap<String, Kind>),
    Json,
}

/// Keys of an object that becomes a struct, at most: objects with more are maps.
const KEYS_MAX: usize = 64;

/// Nesting of a column that is not JSON.
const DEPTH_MAX: usize = 8;

/// Columns of payload; keys that come later share one.
const COLUMNS_MAX: usize = 1_000;

/// The types of keys, seen so far.
#[derive(Default)]
pub(super) struct Census {
    kinds: BTreeMap<String, Kind>,
    /// What is no column: names that others have, or too many.
    rest: BTreeSet<String>,
    has_rest: bool,
}

impl Census {
    /// No key of these names will be a column.
    pub(super) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { rest: taken.into_iter().collect(), ..Self::default() }
    }

    /// Looks at a payload.
    pub(super) fn see(&mut self, payload: &Payload) {
        for (key, value) in payload {
            let is_rest = key.is_empty()
                || self.rest.contains(key)
                || self.kinds.len() >= COLUMNS_MAX && !self.kinds.contains_key(key);
            if is_rest {
                self.has_rest = true;
                continue;
            }
            match self.kinds.get_mut(key) {
                Some(kind) => kind.join(of(value)),
                None => drop(self.kinds.insert(key.clone(), of(value))),
            }
        }
    }

    /// The columns in the order of their names, and whether there are keys that have none.
    pub(super) fn columns(self) -> (BTreeMap<String, Kind>, bool) {
        let settled = |(key, kind): (String, Kind)| {
            let kind = if kind.is_settled(0) { kind } else { Kind::Json };
            (key, kind)
        };
        (self.kinds.into_iter().map(settled).collect(), self.has_rest)
    }
}

impl Kind {
    /// Becomes a kind that has the values of both.
    fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (mine, other) if *mine == other => {}
            (_, Self::Unknown) | (Self::Json, _) => {}
            (Self::Unknown, other) => *self = other,
            (Self::List(mine), Self::List(other)) => mine.join(*other),
            (Self::Struct(mine), Self::Struct(other)) => {
                for (key, kind) in other {
                    match mine.get_mut(&key) {
                        Some(known) => known.join(kind),
                        None => drop(mine.insert(key, kind)),
                    }
                }
                if mine.len() > KEYS_MAX {
                    *self = Self::Json;
                }
            }
            _ => *self = Self::Json,
        }
    }

    /// Whether every part of it is known, and none is JSON.
    fn is_settled(&self, depth: usize) -> bool {
        depth <= DEPTH_MAX
            && match self {
                Self::Unknown | Self::Json => false,
                Self::List(element) => element.is_settled(depth + 1),
                Self::Struct(fields) => {
                    !fields.is_empty() && fields.values().all(|field| field.is_settled(depth + 1))
                }
                _ => true,
            }
    }
}

/// The kind of one value, which is no element of a list.
fn of(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Json,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_i64() => Kind::Int,
        Value::Number(number) if number.is_u64() => Kind::UInt,
        Value::Number(_) => Kind::Float,
        Value::String(_) => Kind::Text,
        Value::Array(items) => {
            let mut kind = Kind::Unknown;
            for item in items {
                kind.join(if item.is_null() { Kind::Unknown } else { of(item) });
            }
            Kind::List(Box::new(kind))
        }
        Value::Object(fields) if fields.is_empty() || fields.len() > KEYS_MAX => Kind::Json,
        Value::Object(fields) => {
            Kind::Struct(fields.iter().map(|(key, value)| (key.clone(), of(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(values: &[Value]) -> Kind {
        let mut census = Census::new([]);
        for value in values {
            census.see(&Payload::from_iter([("a".to_owned(), value.clone())]));
        }
        census.columns().0.remove("a").expect("it was seen")
    }

    #[test]
    fn a_column_has_the_type_of_all_its_values() {
        let list = |kind| Kind::List(Box::new(kind));
        let cases = [
            (vec![json!(1), json!(-2)], Kind::Int),
            (vec![json!(1), json!(u64::MAX)], Kind::Json),
            (vec![json!(u64::MAX)], Kind::UInt),
            (vec![json!(1), json!(1.0)], Kind::Json),
            (vec![json!([]), json!([1, null])], list(Kind::Int)),
            (vec![json!([])], Kind::Json),
            (vec![json!([1, "a"])], Kind::Json),
            (vec![json!({})], Kind::Json),
            (vec![json!({"b": null})], Kind::Json),
            (vec![json!("x"), json!(null)], Kind::Json),
            (
                vec![json!({"b": 1}), json!({"c": [true]})],
                Kind::Struct([("b".into(), Kind::Int), ("c".into(), list(Kind::Bool))].into()),
            ),
        ];
        for (values, expected) in cases {
            assert_eq!(kind(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn names_that_are_taken_are_no_columns() {
        let mut census = Census::new(["id".to_owned()]);
        census.see(&Payload::from_iter([("id".to_owned(), json!(1)), ("a".to_owned(), json!(2))]));
        assert_eq!(census.columns(), ([("a".to_owned(), Kind::Int)].into(), true));
    }
}
