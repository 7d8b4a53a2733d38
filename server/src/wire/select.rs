//! Which parts of points come back: `with_payload` and `with_vector`.

use std::fmt;

use kithdb::{FieldPath, PayloadSelect, Result, Select, VectorSelect};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::schema::{any_of, declare, flag, many, named, text};

/// `with_payload`: yes or no, keys, or keys to include or exclude.
#[derive(Debug, PartialEq)]
pub(crate) enum WithPayload {
    Flag(bool),
    Include(Vec<String>),
    Exclude(Vec<String>),
}

/// `with_vector`: yes or no, or names.
#[derive(Debug, PartialEq)]
pub(crate) enum WithVector {
    Flag(bool),
    Names(Vec<String>),
}

/// What to read; payload as `default` says where nothing was asked.
///
/// # Errors
/// `InvalidArgument` on `with_payload` when a key is no path, `LimitExceeded` when there are too many.
pub(crate) fn select(
    payload: Option<WithPayload>,
    vectors: Option<WithVector>,
    default: PayloadSelect,
) -> Result<Select> {
    let payload = match payload {
        None => default,
        Some(WithPayload::Flag(true)) => PayloadSelect::All,
        Some(WithPayload::Flag(false)) => PayloadSelect::None,
        Some(WithPayload::Include(keys)) => PayloadSelect::Only(paths(&keys)?),
        Some(WithPayload::Exclude(keys)) => PayloadSelect::Except(paths(&keys)?),
    };
    let vectors = match vectors {
        None | Some(WithVector::Flag(false)) => VectorSelect::None,
        Some(WithVector::Flag(true)) => VectorSelect::All,
        Some(WithVector::Names(names)) => VectorSelect::Named(names),
    };
    Ok(Select { payload, vectors, ..Select::default() })
}

/// Keys of a payload that are named: each of them is looked for in every point.
const KEYS_MAX: usize = 1_024;

fn paths(keys: &[String]) -> Result<Vec<FieldPath>> {
    if keys.len() > KEYS_MAX {
        return Err(kithdb::Error::limit("with_payload", "the number of keys", keys.len(), KEYS_MAX));
    }
    keys.iter()
        .map(|key| key.parse().map_err(|error: kithdb::Error| error.with_field("with_payload")))
        .collect()
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PayloadKeys)]
#[serde(deny_unknown_fields)]
struct Keys {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
}

declare!(WithPayload as "WithPayload": any_of([flag(), many(text()), named::<Keys>()]), Keys);
declare!(WithVector as "WithVector": any_of([flag(), many(text())]));

impl<'de> Deserialize<'de> for WithPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(PayloadVisitor)
    }
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = WithPayload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, a list of keys, or an object with `include` or `exclude`")
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<WithPayload, E> {
        Ok(WithPayload::Flag(flag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> std::result::Result<WithPayload, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(WithPayload::Include)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<WithPayload, A::Error> {
        match Keys::deserialize(MapAccessDeserializer::new(map))? {
            Keys { include: Some(keys), exclude: None } => Ok(WithPayload::Include(keys)),
            Keys { include: None, exclude: Some(keys) } => Ok(WithPayload::Exclude(keys)),
            _ => Err(A::Error::custom("give either `include` or `exclude`")),
        }
    }
}

impl<'de> Deserialize<'de> for WithVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = WithVector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a list of names of vectors")
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<WithVector, E> {
        Ok(WithVector::Flag(flag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> std::result::Result<WithVector, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(WithVector::Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(json: &str) -> PayloadSelect {
        let with = serde_json::from_str(json).expect(json);
        select(with, None, PayloadSelect::All).expect(json).payload
    }

    #[test]
    fn every_form_is_understood() {
        let path = |text: &str| text.parse::<FieldPath>().expect(text);
        assert_eq!(payload("null"), PayloadSelect::All);
        assert_eq!(payload("false"), PayloadSelect::None);
        assert_eq!(payload(r#"["a"]"#), PayloadSelect::Only(vec![path("a")]));
        assert_eq!(payload(r#"{"include": ["a.b"]}"#), PayloadSelect::Only(vec![path("a.b")]));
        assert_eq!(payload(r#"{"exclude": ["a"]}"#), PayloadSelect::Except(vec![path("a")]));
        serde_json::from_str::<WithPayload>(r#"{"include": [], "exclude": []}"#).expect_err("both");
        let error = select(Some(WithPayload::Include(vec!["a[".into()])), None, PayloadSelect::All);
        assert_eq!(error.expect_err("no path").field(), Some("with_payload"));
        let many = |keys: usize| WithPayload::Exclude(vec!["a".to_owned(); keys]);
        select(Some(many(KEYS_MAX)), None, PayloadSelect::All).expect("as many as there may be");
        let error = select(Some(many(KEYS_MAX + 1)), None, PayloadSelect::All).expect_err("too many");
        assert_eq!((error.kind(), error.field()), (kithdb::ErrorKind::LimitExceeded, Some("with_payload")));
    }
}
