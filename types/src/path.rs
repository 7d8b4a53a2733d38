//! Field paths: `country.cities[].name`, `tags`, `a[0].b`, `"a.b".c`.
//!
//! A path addresses zero or more values of a payload. A key that holds an array is seen through at the *end* of a
//! path: `tags` on `{"tags": ["a", "b"]}` yields the array, and predicates look at its elements; in the middle of
//! a path an array is crossed only by `[]` (every element) or `[i]`.

use std::fmt;
use std::str::FromStr;

use crate::payload::{Payload, Value};
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    Key(String),
    Each,
    Nth(usize),
}

/// A parsed path to values inside a payload. Its text form is canonical: equal paths print equally.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    steps: Vec<Step>,
}

impl FieldPath {
    /// Every value the path reaches, in document order.
    pub fn values<'a>(&self, payload: &'a Payload) -> Vec<&'a Value> {
        let Some((Step::Key(first), rest)) = self.steps.split_first() else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(value) = payload.get(first) {
            walk(value, rest, &mut found);
        }
        found
    }

    /// Every object that stands in an array at the path, or that the path reaches through its own last `[]`.
    pub fn objects<'a>(&self, payload: &'a Payload) -> Vec<&'a Payload> {
        let is_element = self.steps.last() == Some(&Step::Each);
        let values = self.values(payload).into_iter();
        let objects = values.flat_map(|value| match value {
            Value::Array(items) if !is_element => items.iter().collect(),
            Value::Object(_) if is_element => vec![value],
            _ => Vec::new(),
        });
        objects.filter_map(Value::as_object).collect()
    }

    /// The path, from the payload on, to what `inner` reaches in the objects at this path.
    #[must_use]
    pub fn in_objects(&self, inner: &Self) -> Self {
        let each = (self.steps.last() != Some(&Step::Each)).then_some(Step::Each);
        Self { steps: self.steps.iter().cloned().chain(each).chain(inner.steps.iter().cloned()).collect() }
    }

    /// How deep what it reaches lies: 1 for a member of the payload.
    pub fn depth(&self) -> usize {
        self.steps.len()
    }

    /// Hands every object at the path to `change`. What the path needs and does not find is made, in place of a value
    /// of another kind too: objects for keys, arrays for `[]` and `[i]`, but no elements of arrays.
    pub fn make_objects(&self, payload: &mut Payload, change: &mut dyn FnMut(&mut Payload)) {
        if let Some((Step::Key(first), rest)) = self.steps.split_first() {
            build(payload.entry(first.as_str()).or_insert(Value::Null), rest, change);
        }
    }

    /// How many objects [`make_objects`](Self::make_objects) would hand over.
    pub fn objects_made(&self, payload: &Payload) -> usize {
        match self.steps.split_first() {
            Some((Step::Key(first), rest)) => count_made(payload.get(first), rest),
            _ => 0,
        }
    }

    /// Removes every value the path reaches. Elements of arrays are removed only when the path ends in `[]` or `[i]`.
    pub fn remove(&self, payload: &mut Payload) {
        if let Some((Step::Key(first), rest)) = self.steps.split_first() {
            if rest.is_empty() {
                payload.shift_remove(first);
            } else if let Some(value) = payload.get_mut(first) {
                prune(value, rest);
            }
        }
    }
}

/// The part of a payload that the paths reach, each value at the place where it stands. Arrays that a path crosses
/// keep the elements it reaches into, in order.
pub fn only(payload: &Payload, paths: &[FieldPath]) -> Payload {
    let mut kept = Payload::new();
    for (key, value) in payload {
        let rests: Vec<&[Step]> = paths
            .iter()
            .filter_map(|path| match path.steps.split_first() {
                Some((Step::Key(first), rest)) if first == key => Some(rest),
                _ => None,
            })
            .collect();
        if let Some(value) = keep(value, &rests) {
            kept.insert(key.clone(), value);
        }
    }
    kept
}

fn keep(value: &Value, paths: &[&[Step]]) -> Option<Value> {
    if paths.iter().any(|steps| steps.is_empty()) {
        return Some(value.clone());
    }
    let below = |wanted: &dyn Fn(&Step) -> bool| -> Vec<&[Step]> {
        let steps = paths.iter().filter_map(|steps| steps.split_first());
        steps.filter(|(step, _)| wanted(step)).map(|(_, rest)| rest).collect()
    };
    match value {
        Value::Object(fields) => {
            let kept: Payload = fields
                .iter()
                .filter_map(|(key, inner)| {
                    let rests = below(&|step| matches!(step, Step::Key(wanted) if wanted == key));
                    keep(inner, &rests).map(|inner| (key.clone(), inner))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let element = |(position, item): (usize, &Value)| {
                keep(item, &below(&|step| *step == Step::Each || *step == Step::Nth(position)))
            };
            let kept: Vec<Value> = items.iter().enumerate().filter_map(element).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn build(value: &mut Value, steps: &[Step], change: &mut dyn FnMut(&mut Payload)) {
    match steps.split_first() {
        None => change(as_object(value)),
        Some((Step::Key(key), rest)) => {
            build(as_object(value).entry(key.as_str()).or_insert(Value::Null), rest, change);
        }
        Some((Step::Each, rest)) => as_array(value).iter_mut().for_each(|item| build(item, rest, change)),
        Some((Step::Nth(index), rest)) => {
            if let Some(item) = as_array(value).get_mut(*index) {
                build(item, rest, change);
            }
        }
    }
}

/// How often [`build`] comes to an end.
fn count_made(value: Option<&Value>, steps: &[Step]) -> usize {
    let items = || value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match steps.split_first() {
        None => 1,
        Some((Step::Key(key), rest)) => count_made(value.and_then(|value| value.get(key)), rest),
        Some((Step::Each, rest)) => items().iter().map(|item| count_made(Some(item), rest)).sum(),
        Some((Step::Nth(index), rest)) => items().get(*index).map_or(0, |item| count_made(Some(item), rest)),
    }
}

fn as_object(value: &mut Value) -> &mut Payload {
    if !value.is_object() {
        *value = Value::Object(Payload::new());
    }
    value.as_object_mut().expect("it was made one above")
}

fn as_array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().expect("it was made one above")
}

fn prune(value: &mut Value, steps: &[Step]) {
    let Some((step, rest)) = steps.split_first() else { return };
    match (step, value) {
        (Step::Key(key), Value::Object(fields)) if rest.is_empty() => drop(fields.shift_remove(key)),
        (Step::Key(key), Value::Object(fields)) => {
            if let Some(inner) = fields.get_mut(key) {
                prune(inner, rest);
            }
        }
        (Step::Each, Value::Array(items)) if rest.is_empty() => items.clear(),
        (Step::Each, Value::Array(items)) => items.iter_mut().for_each(|item| prune(item, rest)),
        (Step::Nth(index), Value::Array(items)) if *index < items.len() => {
            if rest.is_empty() {
                items.remove(*index);
            } else {
                prune(&mut items[*index], rest);
            }
        }
        _ => {}
    }
}

fn walk<'a>(value: &'a Value, steps: &[Step], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Key(key), Value::Object(fields)) => {
            if let Some(inner) = fields.get(key) {
                walk(inner, rest, found);
            }
        }
        (Step::Each, Value::Array(items)) => items.iter().for_each(|item| walk(item, rest, found)),
        (Step::Nth(index), Value::Array(items)) => {
            if let Some(item) = items.get(*index) {
                walk(item, rest, found);
            }
        }
        _ => {}
    }
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| Error::invalid("key", format!("`{text}` is no field path: {why}"));
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (key, tail) = take_key(rest).ok_or_else(|| refuse("a key is missing"))?;
            steps.push(Step::Key(key));
            rest = tail;
            while let Some(inner) = rest.strip_prefix('[') {
                let (index, tail) = inner.split_once(']').ok_or_else(|| refuse("`[` is not closed"))?;
                steps.push(if index.is_empty() {
                    Step::Each
                } else {
                    Step::Nth(
                        index.parse().map_err(|_| refuse("between [ and ] stands a number or nothing"))?,
                    )
                });
                rest = tail;
            }
            match rest.strip_prefix('.') {
                Some(tail) => rest = tail,
                None if rest.is_empty() => return Ok(Self { steps }),
                None => return Err(refuse("after `]` comes `.` or the end")),
            }
        }
    }
}

/// Splits the leading key off: bare up to `.` or `[`, or quoted.
fn take_key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (key, tail) = quoted.split_once('"')?;
        return Some((key.to_owned(), tail));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (key, tail) = text.split_at(end);
    (!key.is_empty()).then(|| (key.to_owned(), tail))
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    // One with a quote was bare: in quotes it would end there.
                    let is_bare = !key.is_empty() && (key.contains('"') || !key.contains(['.', '[', ']']));
                    if is_bare { f.write_str(key)? } else { write!(f, "\"{key}\"")? }
                }
                Step::Each => f.write_str("[]")?,
                Step::Nth(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reach(path: &str, payload: &Value) -> Vec<Value> {
        let path: FieldPath = path.parse().expect("a path");
        path.values(payload.as_object().expect("an object")).into_iter().cloned().collect()
    }

    #[test]
    fn reaches_nested_values() {
        let payload = json!({
            "tags": ["a", "b"],
            "country": {"cities": [{"name": "Bonn", "sights": [{"n": 1}]}, {"name": "Ulm"}]},
            "a.b": {"c": 3},
        });
        assert_eq!(reach("tags", &payload), [json!(["a", "b"])]);
        assert_eq!(reach("tags[]", &payload), [json!("a"), json!("b")]);
        assert_eq!(reach("tags[1]", &payload), [json!("b")]);
        assert_eq!(reach("country.cities[].name", &payload), [json!("Bonn"), json!("Ulm")]);
        assert_eq!(reach("country.cities[].sights[].n", &payload), [json!(1)]);
        assert_eq!(reach("country.cities.name", &payload), Vec::<Value>::new());
        assert_eq!(reach("\"a.b\".c", &payload), [json!(3)]);
        assert_eq!(reach("nowhere", &payload), Vec::<Value>::new());
    }

    #[test]
    fn a_path_in_objects_begins_at_the_payload() {
        let path = |text: &str| text.parse::<FieldPath>().expect("a path");
        for (outer, inner, whole) in [
            ("a", "x", "a[].x"),
            ("a[]", "x.y", "a[].x.y"),
            ("a.b[0]", "l[].x", "a.b[0][].l[].x"),
            ("a", "\"x.y\"", "a[].\"x.y\""),
        ] {
            assert_eq!(path(outer).in_objects(&path(inner)), path(whole));
        }
    }

    #[test]
    fn selects_and_removes_at_the_place() {
        let payload = json!({"a": {"b": 1, "c": 2}, "n": [{"k": 1, "l": 2}, {"k": 3}], "z": null});
        let object = payload.as_object().expect("an object");
        let path = |text: &str| text.parse::<FieldPath>().expect("a path");
        let kept = only(object, &[path("a.b"), path("n[].k"), path("nowhere")]);
        assert_eq!(Value::Object(kept), json!({"a": {"b": 1}, "n": [{"k": 1}, {"k": 3}]}));
        let mut rest = object.clone();
        [path("a.b"), path("n[].k"), path("z"), path("nowhere")]
            .iter()
            .for_each(|path| path.remove(&mut rest));
        assert_eq!(Value::Object(rest), json!({"a": {"c": 2}, "n": [{"l": 2}, {}]}));
    }

    #[test]
    fn prints_as_it_parses_and_refuses_nonsense() {
        for text in ["a", "a.b", "a[].b[2]", "\"a.b\".c", "a\"]b\".c", "\"]\""] {
            assert_eq!(text.parse::<FieldPath>().expect("a path").to_string(), text);
        }
        for text in ["", ".", "a.", "a[", "a[x]", "a[]b", "\"a", "[0]"] {
            assert_eq!(text.parse::<FieldPath>().expect_err(text).field(), Some("key"));
        }
    }
}
