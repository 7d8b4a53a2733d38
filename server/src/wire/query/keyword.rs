//! Words: a text alone, or an object that says how they count. Ours.

use std::fmt;

use kithdb::{Error, FieldPath, Fuzzy, KeywordQuery, Operator, Result};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use crate::wire::schema::{any_of, declare, many, map, named, number, text};

/// A question to the keyword index.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KeywordQueryObject)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeywordObject {
    text: String,
    fields: Option<Fields>,
    operator: Option<OperatorIn>,
    phrase_slop: Option<u32>,
    prefix: Option<bool>,
    fuzzy: Option<FuzzyIn>,
    boost: Option<f32>,
}

/// As [`KeywordObject`], or the text alone.
#[derive(Debug)]
pub(crate) struct KeywordIn(KeywordObject);

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = KeywordOperator)]
#[serde(rename_all = "lowercase")]
enum OperatorIn {
    Any,
    All,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Fuzzy)]
#[serde(deny_unknown_fields)]
struct FuzzyIn {
    distance: Option<u8>,
    prefix_chars: Option<usize>,
}

/// Paths with weights; in a list each weighs 1.
#[derive(Debug)]
struct Fields(Vec<(String, f32)>);

/// Letters that may differ where a question does not say how many.
const DISTANCE: u8 = 1;

declare!(KeywordIn as "KeywordQuery": any_of([text(), named::<KeywordObject>()]), KeywordObject);
declare!(Fields as "KeywordFields": any_of([many(text()), map(number())]));

impl KeywordIn {
    /// The engine's question.
    ///
    /// # Errors
    /// `InvalidArgument` naming a field that is no path.
    pub(in crate::wire) fn into_query(self) -> Result<KeywordQuery> {
        let KeywordObject { text, fields, operator, phrase_slop, prefix, fuzzy: asked, boost } = self.0;
        let field = |(path, weight): (String, f32)| -> Result<(FieldPath, f32)> {
            let place = |error: Error| error.with_field(format!("query.keyword.fields.{path}"));
            Ok((path.parse().map_err(place)?, weight))
        };
        let fuzzy = |fuzzy: FuzzyIn| Fuzzy {
            distance: fuzzy.distance.unwrap_or(DISTANCE),
            prefix_chars: fuzzy.prefix_chars.unwrap_or(0),
        };
        Ok(KeywordQuery {
            text,
            fields: fields
                .map_or(Vec::new(), |Fields(fields)| fields)
                .into_iter()
                .map(field)
                .collect::<Result<_>>()?,
            operator: match operator {
                None | Some(OperatorIn::Any) => Operator::Any,
                Some(OperatorIn::All) => Operator::All,
            },
            phrase_slop,
            is_prefix: prefix == Some(true),
            fuzzy: asked.map(fuzzy),
            boost: boost.unwrap_or(1.0),
        })
    }
}

impl<'de> Deserialize<'de> for KeywordIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(KeywordVisitor)
    }
}

struct KeywordVisitor;

impl<'de> Visitor<'de> for KeywordVisitor {
    type Value = KeywordIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object with `text`, `fields`, `operator`, `phrase_slop`, `prefix`, `fuzzy`, `boost`")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<KeywordIn, E> {
        let (fields, operator, phrase_slop) = Default::default();
        let (prefix, fuzzy, boost) = Default::default();
        Ok(KeywordIn(KeywordObject {
            text: text.to_owned(),
            fields,
            operator,
            phrase_slop,
            prefix,
            fuzzy,
            boost,
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<KeywordIn, A::Error> {
        KeywordObject::deserialize(MapAccessDeserializer::new(map)).map(KeywordIn)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of paths, or an object of paths and their weights")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(path) = seq.next_element()? {
            fields.push((path, 1.0));
        }
        Ok(Fields(fields))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}
