//! Texts of fields: whether they are tested by words, and how these are made, is what their index says; and whether
//! they are UUIDs, whose spellings are the same.
//!
//! It is done where a filter meets a schema, so that whoever answers it, by payloads or by an index, means the same.

use std::sync::Arc;

use index::Texts;
use types::filter::TextTest;
use types::{Condition, FieldKind, FieldPath, Filter, Predicate, Scalar, Schema, TextAnalysis, uuids};

/// A filter whose tests of words are those of the schema's text fields, and of UUIDs of all spellings of them.
pub fn analysed(filter: Filter, schema: &Schema) -> Filter {
    let has_any = schema.fields.values().any(|kind| matches!(kind, FieldKind::Text | FieldKind::Uuid));
    if has_any { within(filter, schema, "") } else { filter }
}

/// `place` is where the objects are that the filter is about, with a dot behind it.
fn within(filter: Filter, schema: &Schema, place: &str) -> Filter {
    let all = |conditions: Vec<Condition>| -> Vec<Condition> {
        conditions.into_iter().map(|condition| one(condition, schema, place)).collect()
    };
    let min_should = filter.min_should.map(|mut least| {
        least.conditions = all(least.conditions);
        least
    });
    Filter { must: all(filter.must), should: all(filter.should), must_not: all(filter.must_not), min_should }
}

fn one(condition: Condition, schema: &Schema, place: &str) -> Condition {
    match condition {
        Condition::Field(path, predicate) => {
            let whole = if place.is_empty() { Ok(path.clone()) } else { format!("{place}{path}").parse() };
            let predicate = match whole {
                Ok(whole) => tested(predicate, &whole, schema),
                Err(_) => predicate,
            };
            Condition::Field(path, predicate)
        }
        Condition::Nested(path, filter) => {
            let objects = format!("{place}{}[].", path.to_string().trim_end_matches("[]"));
            Condition::Nested(path, Box::new(within(*filter, schema, &objects)))
        }
        Condition::Filter(filter) => Condition::Filter(Box::new(within(*filter, schema, place))),
        other => other,
    }
}

/// The test that a predicate is of the texts at a path.
fn tested(predicate: Predicate, path: &FieldPath, schema: &Schema) -> Predicate {
    if schema.fields.get(path) == Some(&FieldKind::Uuid) {
        return match predicate {
            Predicate::Any(list) => Predicate::Any(spelled(list)),
            Predicate::Except(list) => Predicate::Except(spelled(list)),
            other => other,
        };
    }
    let predicate = match predicate {
        Predicate::PartUnlessIndexed(words) if schema.fields.get(path) == Some(&FieldKind::Text) => *words,
        other => other,
    };
    let analysis =
        schema.text_options(path).map(|options| Arc::new(Texts::new(options)) as Arc<dyn TextAnalysis>);
    let test = analysis.and_then(|analysis| TextTest::new(&predicate, analysis));
    test.map_or(predicate, Predicate::Analysed)
}

/// Values, and all spellings of those that are UUIDs; in order, as lists of a filter in normal form are.
fn spelled(list: Vec<Scalar>) -> Vec<Scalar> {
    let all = |value: Scalar| -> Vec<Scalar> {
        match value {
            Scalar::Str(text) => {
                let all = uuids::spellings(&text).unwrap_or_else(|| vec![text]);
                all.into_iter().map(Scalar::Str).collect()
            }
            other => vec![other],
        }
    };
    let mut values: Vec<Scalar> = list.into_iter().flat_map(all).collect();
    values.sort_unstable();
    values.dedup();
    values
}
