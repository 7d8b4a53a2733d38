//! Attributes of files, and filters on them.

use kithdb::{Condition, Error, FieldPath, Filter, NumberBound, Payload, Predicate, Result, Scalar, Value};
use serde::{Deserialize, Serialize};

/// Attributes of a file, and metadata of a store.
const COUNT_MAX: usize = 16;
const KEY_CHARS_MAX: usize = 64;
const VALUE_CHARS_MAX: usize = 512;

/// Nesting of filters.
const DEPTH_MAX: usize = 8;

/// Checks what a file or store is given.
///
/// # Errors
/// `InvalidArgument`, `LimitExceeded` naming the attribute.
pub(crate) fn check(attributes: &Payload, field: &str) -> Result<()> {
    if attributes.len() > COUNT_MAX {
        return Err(Error::limit(field, "the number of keys", attributes.len(), COUNT_MAX));
    }
    for (key, value) in attributes {
        let place = format!("{field}.{key}");
        if key.is_empty() || key.chars().count() > KEY_CHARS_MAX || key.contains('"') {
            let message = format!("a key has 1 to {KEY_CHARS_MAX} characters, and no quotation mark");
            return Err(Error::invalid(place, message));
        }
        match value {
            Value::String(text) if text.chars().count() > VALUE_CHARS_MAX => {
                return Err(Error::limit(
                    place,
                    "the number of characters",
                    text.chars().count(),
                    VALUE_CHARS_MAX,
                ));
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
            _ => return Err(Error::invalid(place, "must be a text, a number, true or false")),
        }
    }
    Ok(())
}

/// Checks what a store or a response is given beside its name: texts only.
///
/// # Errors
/// As for [`check`].
pub(crate) fn check_metadata(metadata: &Payload) -> Result<()> {
    check(metadata, "metadata")?;
    match metadata.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(Error::invalid(format!("metadata.{key}"), "must be a text")),
        None => Ok(()),
    }
}

/// Attributes as clients know them: what an ingested document has beside texts, numbers, true and false is a text.
pub(crate) fn told(attributes: &Payload) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let plain = |value: &Value| match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => value.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", ").into(),
        Value::Null | Value::Object(_) => value.to_string().into(),
    };
    attributes.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
}

/// A filter on attributes. It is told again as it was sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct FilterIn {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Option<Vec<FilterIn>>,
}

impl FilterIn {
    /// The engine's filter.
    ///
    /// # Errors
    /// `InvalidArgument` naming the part of it.
    pub(crate) fn into_filter(self, field: &str) -> Result<Filter> {
        self.condition(field, 0).map(Filter::must)
    }

    fn condition(self, field: &str, depth: usize) -> Result<Condition> {
        if depth > DEPTH_MAX {
            return Err(Error::limit(field, "the nesting", depth, DEPTH_MAX));
        }
        if let "and" | "or" = self.r#type.as_str() {
            let filters = self.filters.filter(|filters| !filters.is_empty());
            let filters =
                filters.ok_or_else(|| Error::invalid(format!("{field}.filters"), "is missing or empty"))?;
            let inner = filters.into_iter().enumerate();
            let inner =
                inner.map(|(at, filter)| filter.condition(&format!("{field}.filters[{at}]"), depth + 1));
            let inner = inner.collect::<Result<Vec<_>>>()?;
            let all = match self.r#type.as_str() {
                "and" => Filter { must: inner, ..Filter::default() },
                _ => Filter { should: inner, ..Filter::default() },
            };
            return Ok(Condition::Filter(Box::new(all)));
        }
        let missing = |what: &str| Error::invalid(format!("{field}.{what}"), "is missing");
        let key = self.key.ok_or_else(|| missing("key"))?;
        let value = self.value.ok_or_else(|| missing("value"))?;
        let path: FieldPath = format!("attributes.\"{key}\"")
            .parse()
            .map_err(|error: Error| error.with_field(format!("{field}.key")))?;
        compare(&self.r#type, &path, &value, field)
    }
}

fn compare(kind: &str, path: &FieldPath, value: &Value, field: &str) -> Result<Condition> {
    let refuse = |what: &str, why: &str| Error::invalid(format!("{field}.{what}"), why);
    let bound = || match number(value) {
        None => Err(refuse("value", "must be a number: only numbers have an order")),
        some => Ok(some),
    };
    let range = |bounds| Ok(Condition::Field(path.clone(), Predicate::within(bounds)));
    let list = || value.as_array().ok_or_else(|| refuse("value", "must be a list"));
    match kind {
        "eq" => equals(path, value, field),
        "ne" => Ok(not(equals(path, value, field)?)),
        "gt" => range([None, None, bound()?, None]),
        "gte" => range([None, None, None, bound()?]),
        "lt" => range([bound()?, None, None, None]),
        "lte" => range([None, bound()?, None, None]),
        "in" | "nin" => {
            let any = list()?.iter().map(|value| equals(path, value, field)).collect::<Result<Vec<_>>>()?;
            // Nothing is among nothing: an empty list of alternatives would hold for everything.
            let any = if any.is_empty() { vec![Condition::HasId(Vec::new())] } else { any };
            let any = Condition::Filter(Box::new(Filter { should: any, ..Filter::default() }));
            Ok(if kind == "in" { any } else { not(any) })
        }
        other => {
            Err(refuse("type", &format!("`{other}` is none of eq, ne, gt, gte, lt, lte, in, nin, and, or")))
        }
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Filter(Box::new(Filter { must_not: vec![condition], ..Filter::default() }))
}

/// A number as it was written: not every large integer is a double.
fn number(value: &Value) -> Option<NumberBound> {
    value.as_i64().map(NumberBound::Whole).or_else(|| value.as_f64().map(NumberBound::Float))
}

/// Numbers are equal as numbers: `1` and `1.0` are the same to clients.
fn equals(path: &FieldPath, value: &Value, field: &str) -> Result<Condition> {
    let predicate = match value {
        Value::String(text) => Predicate::Any(vec![Scalar::Str(text.clone())]),
        Value::Bool(flag) => Predicate::Any(vec![Scalar::Bool(*flag)]),
        Value::Number(_) => Predicate::within([None, number(value), None, number(value)]),
        _ => return Err(Error::invalid(format!("{field}.value"), "must be a text, a number, true or false")),
    };
    Ok(Condition::Field(path.clone(), predicate))
}

#[cfg(test)]
mod tests {
    use kithdb::Point;
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_mean_what_clients_mean() {
        let large = 9_007_199_254_740_993_i64;
        let attributes =
            json!({"kind": "a", "year": 2020, "share": 0.5, "open": true, "a.b": "x", "number": large});
        let point = Point::new(1).with("attributes", attributes);
        let bare = Point::new(2);
        let holds = |filter: &Value, point: &Point| {
            let filter: FilterIn = serde_json::from_value(filter.clone()).expect("read");
            filter.into_filter("filters").expect("a filter").matches_point(point)
        };
        let leaf = |kind: &str, key: &str, value: Value| json!({"type": kind, "key": key, "value": value});
        for (filter, has, lacks) in [
            (leaf("eq", "kind", json!("a")), true, false),
            (leaf("eq", "year", json!(2020.0)), true, false),
            (leaf("eq", "number", json!(large)), true, false),
            (leaf("eq", "number", json!(large - 1)), false, false),
            (leaf("gt", "number", json!(large - 1)), true, false),
            (leaf("eq", "open", json!(true)), true, false),
            (leaf("eq", "a.b", json!("x")), true, false),
            (leaf("ne", "kind", json!("a")), false, true),
            (leaf("gt", "year", json!(2020)), false, false),
            (leaf("gte", "year", json!(2020)), true, false),
            (leaf("lt", "share", json!(1)), true, false),
            (leaf("in", "kind", json!(["b", "a"])), true, false),
            (leaf("in", "kind", json!([])), false, false),
            (leaf("nin", "kind", json!(["b"])), true, true),
            (
                json!({"type": "and", "filters": [leaf("eq", "kind", json!("a")), leaf("gt", "year", json!(2000))]}),
                true,
                false,
            ),
            (
                json!({"type": "or", "filters": [leaf("eq", "kind", json!("b")), leaf("lt", "year", json!(2000))]}),
                false,
                false,
            ),
        ] {
            assert_eq!((holds(&filter, &point), holds(&filter, &bare)), (has, lacks), "{filter}");
        }
    }

    #[test]
    fn what_is_told_of_attributes_is_what_clients_know() {
        let own = json!({"a": "x", "n": 1.5, "open": true, "tags": ["x", 2, true], "deep": {"b": 1}});
        let expected = json!({"a": "x", "n": 1.5, "open": true, "tags": "x, 2, true", "deep": "{\"b\":1}"});
        assert_eq!(told(own.as_object().expect("an object")), expected);
        assert_eq!(told(&Payload::new()), json!({}));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (filter, field) in [
            (json!({"type": "eq", "value": 1}), "filters.key"),
            (json!({"type": "eq", "key": "a"}), "filters.value"),
            (json!({"type": "like", "key": "a", "value": 1}), "filters.type"),
            (json!({"type": "gt", "key": "a", "value": "x"}), "filters.value"),
            (json!({"type": "and", "filters": []}), "filters.filters"),
            (
                json!({"type": "or", "filters": [{"type": "in", "key": "a", "value": 1}]}),
                "filters.filters[0].value",
            ),
        ] {
            let read: FilterIn = serde_json::from_value(filter.clone()).expect("read");
            assert_eq!(read.into_filter("filters").expect_err("refused").field(), Some(field), "{filter}");
        }
        let given = |value: Value| {
            check(value.as_object().expect("an object"), "attributes")
                .map_err(|error| error.field().map(str::to_owned))
        };
        assert_eq!(given(json!({"a": 1, "b": "x", "c": true})), Ok(()));
        assert_eq!(given(json!({"a": [1]})), Err(Some("attributes.a".into())));
        assert_eq!(given(json!({"a": "x".repeat(513)})), Err(Some("attributes.a".into())));
        let metadata = |value: Value| {
            check_metadata(value.as_object().expect("an object"))
                .map_err(|error| error.field().map(str::to_owned))
        };
        assert_eq!(metadata(json!({"a": "x"})), Ok(()));
        assert_eq!(metadata(json!({"a": 1})), Err(Some("metadata.a".into())));
        let many: Payload = (0..17).map(|at| (at.to_string(), json!(1))).collect();
        assert!(check(&many, "attributes").is_err());
    }
}
