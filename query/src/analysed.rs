//! Texts of fields whose index says how their words are made: filters on them are brought to that.
//!
//! It is done where a filter meets a schema, so that whoever answers it, by payloads or by an index, means the same.

use std::sync::Arc;

use index::Texts;
use types::filter::TextTest;
use types::{Condition, FieldPath, Filter, Schema, TextAnalysis};

/// A filter whose tests of words are those of the schema's text fields.
pub fn analysed(filter: Filter, schema: &Schema) -> Filter {
    if schema.params.is_empty() { filter } else { within(filter, schema, "") }
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
            let options = whole.ok().and_then(|whole: FieldPath| schema.text_options(&whole));
            let test = options.and_then(|options| {
                let analysis: Arc<dyn TextAnalysis> = Arc::new(Texts::new(options));
                TextTest::new(&predicate, analysis)
            });
            Condition::Field(path, test.map_or(predicate, types::Predicate::Analysed))
        }
        Condition::Nested(path, filter) => {
            let objects = format!("{place}{}[].", path.to_string().trim_end_matches("[]"));
            Condition::Nested(path, Box::new(within(*filter, schema, &objects)))
        }
        Condition::Filter(filter) => Condition::Filter(Box::new(within(*filter, schema, place))),
        other => other,
    }
}
