//! Cases as they are written, and what an outcome must be.

use std::path::Path;

use kithdb::Value;
use serde_json::json;

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) points: Vec<Value>,
    pub(super) steps: Vec<(Step, Expected)>,
}

/// One call; its arguments stay JSON, for each door to translate.
#[derive(Debug)]
pub(super) enum Step {
    /// Another collection, of this name and schema.
    Create(String, Value),
    Upsert(Vec<Value>),
    /// Any other write by its name, with the body that it has in HTTP.
    Write(String, Value),
    /// Several of these in one commit, each an object of its name and body.
    Batch(Value),
    /// The same, each with its `collection` beside it.
    Transaction(Value),
    DeleteIds(Value),
    DeleteWhere(Value),
    /// The kind of a field, or an object with its `type` and options.
    CreateField(String, Value),
    DropField(String),
    Get(Value),
    Scroll(Value),
    Count(Value),
    Query(Value),
    Facet(Value),
    Groups(Value),
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    Count(u64),
    /// Points, hits or a page: `{id, score?, payload, vectors}` each.
    Points(Vec<Value>, Option<Value>),
    /// Values of a facet with their counts, or groups with the ids of their hits: a list each.
    Rows(Vec<Value>),
}

/// What failed, as a caller would branch on it.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// `invalid`, `not_found`, `exists` or `conflict`.
    pub(super) kind: &'static str,
    pub(super) field: Option<String>,
}

/// One way into the database, with one collection.
pub(super) trait Door {
    fn create(&self, schema: &Value) -> Result<(), Refusal>;
    fn perform(&self, step: &Step) -> Result<Outcome, Refusal>;
    fn count(&self) -> u64;
}

/// What must come out: the members that are there are checked.
#[derive(Debug)]
pub(super) struct Expected(Value);

/// Scores and vector elements may differ by so much, relative to the larger of 1 and the score.
const TOLERANCE: f64 = 1e-5;

/// The cases in a file.
pub(super) fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).expect("a file of cases");
    let tree: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let cases = tree.as_array().unwrap_or_else(|| panic!("{}: not a list", file.display()));
    cases.iter().map(|case| Case::parse(case).unwrap_or_else(|| panic!("not a case: {case}"))).collect()
}

impl Case {
    fn parse(tree: &Value) -> Option<Self> {
        let steps = tree["steps"].as_array()?;
        let step = |tree: &Value| Some((Step::parse(tree)?, Expected(tree["expect"].clone())));
        Some(Self {
            name: tree["name"].as_str()?.to_owned(),
            schema: tree["schema"].clone(),
            points: tree["points"].as_array().cloned().unwrap_or_default(),
            steps: steps.iter().map(step).collect::<Option<_>>()?,
        })
    }
}

impl Step {
    fn parse(tree: &Value) -> Option<Self> {
        let (verb, with) = tree.as_object()?.iter().next()?;
        let text = |member: &str| with[member].as_str().map(str::to_owned);
        Some(match verb.as_str() {
            "create" => Self::Create(text("name")?, with["schema"].clone()),
            "upsert" => match with.as_array() {
                Some(points) if points.iter().all(|point| point.get("if_version").is_none()) => {
                    Self::Upsert(points.clone())
                }
                Some(points) => Self::Write(verb.clone(), json!({"points": points})),
                None => Self::Write(verb.clone(), with.clone()),
            },
            "set_payload" | "overwrite_payload" | "delete_payload" | "clear_payload" | "update_vectors"
            | "delete_vectors" => Self::Write(verb.clone(), with.clone()),
            "batch" => Self::Batch(with.clone()),
            "transaction" => Self::Transaction(with.clone()),
            "delete" => Self::DeleteIds(with.clone()),
            "delete_where" => Self::DeleteWhere(with.clone()),
            "create_field" => Self::CreateField(text("path")?, with["kind"].clone()),
            "drop_field" => Self::DropField(with.as_str()?.to_owned()),
            "get" => Self::Get(with.clone()),
            "scroll" => Self::Scroll(with.clone()),
            "count" => Self::Count(with.clone()),
            "query" => Self::Query(with.clone()),
            "facet" => Self::Facet(with.clone()),
            "groups" => Self::Groups(with.clone()),
            _ => return None,
        })
    }
}

impl Expected {
    pub(super) fn check(&self, outcome: &Result<Outcome, Refusal>, place: &str) {
        let Some(members) = self.0.as_object() else {
            assert!(outcome.is_ok(), "{place}: {outcome:?}");
            return;
        };
        for (member, expected) in members {
            let found = found(member, outcome).unwrap_or_else(|| panic!("{place}: {outcome:?}"));
            assert!(agree(&found, expected), "{place}: `{member}` is {found}, expected {expected}");
        }
    }
}

/// A member of an outcome, by the name that cases use.
fn found(member: &str, outcome: &Result<Outcome, Refusal>) -> Option<Value> {
    let column = |points: &[Value], key: &str| {
        points.iter().map(|point| point.get(key).cloned().unwrap_or_default()).collect::<Vec<Value>>()
    };
    match (member, outcome) {
        ("error", Err(refusal)) => Some(refusal.kind.into()),
        ("field", Err(refusal)) => Some(refusal.field.clone().into()),
        ("count", Ok(Outcome::Count(count))) => Some((*count).into()),
        ("rows", Ok(Outcome::Rows(rows))) => Some(rows.clone().into()),
        ("ids", Ok(Outcome::Points(points, _))) => Some(column(points, "id").into()),
        ("set", Ok(Outcome::Points(points, _))) => {
            let mut ids = column(points, "id");
            ids.sort_by_key(ToString::to_string);
            Some(ids.into())
        }
        ("scores", Ok(Outcome::Points(points, _))) => Some(column(points, "score").into()),
        ("payloads", Ok(Outcome::Points(points, _))) => Some(column(points, "payload").into()),
        ("highlights", Ok(Outcome::Points(points, _))) => Some(column(points, "highlight").into()),
        ("vectors", Ok(Outcome::Points(points, _))) => Some(column(points, "vectors").into()),
        ("next", Ok(Outcome::Points(_, next))) => Some(next.clone().unwrap_or_default()),
        _ => None,
    }
}

/// Equal, floats up to the tolerance. An integer is never equal to a float, as in payloads.
fn agree(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| agree(a, b))
        }
        (Value::Object(found), Value::Object(expected)) => {
            let same = |(key, expected): (&String, &Value)| {
                found.get(key).is_some_and(|found| agree(found, expected))
            };
            found.len() == expected.len() && expected.iter().all(same)
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= TOLERANCE * b.abs().max(1.0)
        }
        _ => found == expected,
    }
}

#[test]
fn agreement_is_close_and_strict_about_types() {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert!(agree(&json("[0.3333333]"), &json("[0.33333334]")) && !agree(&json("[0.33]"), &json("[0.34]")));
    assert!(!agree(&json("1"), &json("1.0")) && !agree(&json("{}"), &json(r#"{"a":1}"#)));
    let refused = Err(Refusal { kind: "invalid", field: Some("limit".into()) });
    Expected(json(r#"{"error": "invalid", "field": "limit"}"#)).check(&refused, "here");
    let expected = Expected(json(r#"{"ids": []}"#));
    assert!(std::panic::catch_unwind(|| expected.check(&refused, "here")).is_err());
}
