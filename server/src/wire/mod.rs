//! The JSON on the wire: Qdrant's REST shapes, and our few additions to them, as types of their own.
//!
//! A module a subject: what comes in is `Deserialize` and turns into the engine's nouns, what goes out is `Serialize`.
//! Fields of the dialect are understood, or accepted and passed over, because they cannot change an answer
//! ([`shape::Ignored`]). Any other field is an error. `null` is the same as absent. What may have several forms is read
//! by a visitor of its own: serde's `untagged` would forget where in it an error stands.
//!
//! Invariant: an error names the place in the body (`points[3].vector[2]`), and comes before anything is changed.
//! What a body of a request becomes is charged while it is read ([`weighed`]).
//! Cost: one pass over the body. Only a body that failed is read again, with its place tracked.

pub(crate) mod alias;
pub(crate) mod alter;
pub(crate) mod answers;
pub(crate) mod bm25;
pub(crate) mod bulk;
pub(crate) mod collection;
pub(crate) mod cursor;
pub(crate) mod describe;
pub(crate) mod described;
pub(crate) mod documents;
pub(crate) mod eval;
pub(crate) mod facet;
pub(crate) mod feedback;
pub(crate) mod field;
pub(crate) mod filter;
pub(crate) mod geo;
pub(crate) mod groups;
pub(crate) mod highlight;
pub(crate) mod hybrid;
pub(crate) mod id;
pub(crate) mod legacy;
mod levels;
pub(crate) mod matrix;
pub(crate) mod openai;
pub(crate) mod optimizations;
pub(crate) mod plan;
pub(crate) mod point;
pub(crate) mod quantization;
pub(crate) mod query;
pub(crate) mod question;
pub(crate) mod schema;
pub(crate) mod select;
pub(crate) mod settings;
pub(crate) mod shape;
pub(crate) mod shapes;
pub(crate) mod snapshot;
pub(crate) mod sparse;
pub(crate) mod translate;
pub(crate) mod update;
pub(crate) mod vector;
mod weighed;
pub(crate) mod why;

use std::sync::Arc;
use std::time::Instant;

use kithdb::{Collection, Error, Reading, Result, Seqno, Value};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::error::{Refusal, invalid};
use crate::weigh::Part;

use self::weighed::Weighed;

/// What a request reads, until its deadline: the present state of a collection, or that at a commit.
///
/// # Errors
/// `InvalidArgument` naming `as_of`; `NotFound`.
fn reading(collection: &Collection, as_of: Option<u64>, deadline: Option<Instant>) -> Result<Reading> {
    let reading = as_of.map_or_else(|| collection.reading(), |seqno| collection.as_of(Seqno(seqno)))?;
    Ok(match deadline {
        Some(deadline) => reading.until(deadline),
        None => reading,
    })
}

/// Refuses a count of 0, which asks for nothing.
///
/// # Errors
/// `InvalidArgument` on `field`.
fn above_zero(field: &str, count: Option<usize>) -> Result<()> {
    match count {
        Some(0) => Err(invalid(field, "value 0 invalid, must be 1 or larger")),
        _ => Ok(()),
    }
}

/// Reads a body.
///
/// # Errors
/// `InvalidArgument` with the place as its field and the line and column in its message.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    read(body).map_err(|error| locate::<T>(body, &error))
}

/// Reads the body of a request; what it becomes is charged to the request's part of the memory.
///
/// # Errors
/// As for [`parse`]; `LimitExceeded` or `Busy` on `body` when it becomes more than there is room for, before the rest
/// of it is read.
pub(crate) fn parse_weighed<T: DeserializeOwned>(body: &[u8], part: &Arc<Part>) -> Result<T> {
    // To find the place of an error, no more of a body is read again than was read of it.
    part.weigh(|| read(body))?.map_err(|error| locate::<T>(body, &error))
}

/// Charges for the tree of a body that others read then.
///
/// # Errors
/// `LimitExceeded` or `Busy` on `body`, as for [`parse_weighed`]; those who read it say what else is wrong.
pub(crate) fn weigh(body: &[u8], part: &Arc<Part>) -> Result<()> {
    part.weigh(|| drop(read::<Value>(body)))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read: T = serde::Deserialize::deserialize(Weighed(&mut deserializer))?;
    deserializer.end()?;
    Ok(read)
}

/// Reads a part of a body whose shape only its neighbours decide. `field` is where it stands.
///
/// # Errors
/// As for [`parse`].
pub(crate) fn parse_part<T: DeserializeOwned>(value: Value, field: &str) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = place(error.path());
        let refused = refuse(error.inner());
        let refused = if place.is_empty() { refused } else { refused.within(&place) };
        refused.within(field)
    })
}

fn locate<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Error {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let outcome: std::result::Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
    match outcome {
        Err(error) if !place(error.path()).is_empty() => refuse(error.inner()).within(&place(error.path())),
        // At the top, or behind the end of a body that is fine up to there.
        _ => {
            let error = refuse(error);
            let field = error.field().unwrap_or("body").to_owned();
            error.with_field(field)
        }
    }
}

/// A value that no schema allows, found while a body is read; `place` is where it stands below what is being read.
fn never<E: serde::de::Error>(place: &str, why: &str) -> E {
    E::custom(format!("{NEVER}{place}{PLACE_END}{why}"))
}

/// Begins a message of [`never`], and ends the place in it; in no place and in no other message. A text of a body may
/// stand in messages of the parser, but never at the beginning.
const NEVER: char = '\u{1e}';
const PLACE_END: char = '\u{1f}';

/// The error without its place, but for what [`never`] says of it.
fn refuse(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let Some((place, why)) = text.strip_prefix(NEVER).and_then(|rest| rest.split_once(PLACE_END)) else {
        let hint = match text.starts_with("recursion limit exceeded") {
            true => "; JSON is nested to 128 levels at most",
            false => "",
        };
        return Refusal::Malformed.without_field(format_args!("{text}{hint}"));
    };
    let error = Refusal::Body.without_field(why);
    if place.is_empty() { error } else { error.with_field(place) }
}

/// Characters of a place; a place far down in a nested body is cut.
const PLACE_CHARS_MAX: usize = 200;

/// The path in the form of the rest of the house; empty at the top.
fn place(path: &Path) -> String {
    let mut text = path.to_string();
    if let Some(Segment::Unknown) = path.iter().next_back() {
        // A key that is no text has no name: the object that has it is the place.
        text.truncate(text.trim_end_matches('?').trim_end_matches('.').len());
    }
    match text {
        text if text == "." => String::new(),
        text if text.chars().count() > PLACE_CHARS_MAX => {
            text.chars().take(PLACE_CHARS_MAX).chain("...".chars()).collect()
        }
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::point::Upsert;
    use super::query::QueryBody;
    use super::*;

    fn field<T: DeserializeOwned>(body: &str) -> (String, String) {
        let error = parse::<T>(body.as_bytes()).err().expect(body);
        (error.field().unwrap_or_default().to_owned(), error.message().to_owned())
    }

    #[test]
    fn a_bad_body_names_the_place() {
        let cases = [
            (
                r#"{"points": [{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": [1, "x"]}]}"#,
                "points[1].vector[1]",
            ),
            (r#"{"points": [{"id": 1, "vector": {"a": [1, null]}}]}"#, "points[0].vector.a[1]"),
            (r#"{"points": [{"id": 1, "vector": [[1, 2], [3, "x"]]}]}"#, "points[0].vector[1][1]"),
            (r#"{"points": [{"id": 1, "vector": [[1, 2], [3]]}]}"#, "points[0].vector[1]"),
            (r#"{"points": [{"id": -1, "vector": [1]}]}"#, "points[0].id"),
            (r#"{"points": [{"id": "x", "vector": [1]}]}"#, "points[0].id"),
            (r#"{"points": [{"id": 1, "vector": [NaN]}]}"#, "points[0].vector[0]"),
            (r#"{"points": [{"id": 1, "vector": [1], "payload": 3}]}"#, "points[0].payload"),
            (r#"{"points": [{"id": 1, "vector": [1], "colour": 3}]}"#, "points[0].colour"),
            (r#"{"points": [], "update_filter": {"nust": []}}"#, "update_filter.nust"),
            (r#"{"points": [{"id": 1, "if_version": -1}]}"#, "points[0].if_version"),
            ("", "body"),
            ("{points", "body"),
            (r#"{"points": [{id: 1}]}"#, "points[0]"),
            ("[]", "body"),
            (r#"{"points": []} trailing"#, "body"),
        ];
        for (body, expected) in cases {
            assert_eq!(field::<Upsert>(body).0, expected, "{body}");
        }
        let (_, message) = field::<Upsert>(r#"{"points": [{"id": 1, "vector": [NaN]}]}"#);
        assert!(message.contains("line 1 column"), "{message}");
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let cases = [
            (r#"{"query": {"feedback": {"positive": [1]}}}"#, "query.feedback", "`nearest`"),
            (r#"{"query": {"fusion": "sum"}}"#, "query.fusion", "`rrf`"),
            (
                r#"{"prefetch": {"prefetch": [{"lookup_from": {"space": "x"}}]}}"#,
                "prefetch.prefetch[0].lookup_from.space",
                "`collection`",
            ),
            (
                r#"{"filter": {"must": [{"key": "a", "match": {"texts": "x"}}]}}"#,
                "filter.must[0].match.texts",
                "`value`",
            ),
            (
                r#"{"filter": {"must": [{"key": "a", "match": {"value": 1.5}}]}}"#,
                "filter.must[0].match.value",
                "range",
            ),
            (
                r#"{"filter": {"must": [{"geo_radius": {"radius": 1}}]}}"#,
                "filter.must[0].geo_radius",
                "center",
            ),
        ];
        for (body, expected, says) in cases {
            let (field, message) = field::<QueryBody>(body);
            assert_eq!(field, expected, "{body}");
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn nothing_is_nested_without_end() {
        let (open, close) = (r#"{"must":["#.repeat(1000), "]}".repeat(1000));
        let (_, message) = field::<QueryBody>(&format!(r#"{{"filter":{open}{close}}}"#));
        assert!(message.contains("recursion limit"), "{message}");
    }

    #[test]
    fn null_is_absent() {
        let body = r#"{"query": null, "filter": null, "lookup_from": null, "shard_key": null, "with_payload": null}"#;
        parse::<QueryBody>(body.as_bytes()).expect("all absent");
    }
}
