//! Fragments of texts with the words that were found. Ours.

use std::fmt;

use kithdb::{Error, Fragments, Highlight, Result};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;

use super::schema::{Shown, any_of, declare, flag, many, map, named, nullable};

/// `true`, or an object that says how.
#[derive(Debug)]
pub(crate) struct HighlightIn(Option<HighlightObject>);

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HighlightObject {
    fields: Option<Vec<String>>,
    fragments: Option<usize>,
    fragment_chars: Option<usize>,
    pre_tag: Option<String>,
    post_tag: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fragment)]
struct FragmentOut {
    text: String,
    value: usize,
    start: usize,
    #[schema(value_type = Vec<Vec<usize>>)]
    spans: Vec<(usize, usize)>,
}

declare!(HighlightIn as "Highlight": any_of([flag(), named::<HighlightObject>()]), HighlightObject, FragmentOut);

/// Fragments by field.
pub(super) fn fragments() -> Shown {
    nullable(map(many(named::<FragmentOut>())))
}

impl HighlightIn {
    /// What the engine is asked for; nothing where it is not.
    ///
    /// # Errors
    /// `InvalidArgument` naming a field that is no path.
    pub(super) fn into_highlight(self) -> Result<Option<Highlight>> {
        let Some(HighlightObject { fields, fragments, fragment_chars, pre_tag, post_tag }) = self.0 else {
            return Ok(None);
        };
        let field = |(at, path): (usize, String)| {
            path.parse().map_err(|error: Error| error.with_field(format!("highlight.fields[{at}]")))
        };
        let plain = Highlight::default();
        Ok(Some(Highlight {
            fields: fields.unwrap_or_default().into_iter().enumerate().map(field).collect::<Result<_>>()?,
            fragments: fragments.unwrap_or(plain.fragments),
            fragment_chars: fragment_chars.unwrap_or(plain.fragment_chars),
            pre_tag: pre_tag.unwrap_or(plain.pre_tag),
            post_tag: post_tag.unwrap_or(plain.post_tag),
        }))
    }
}

/// Fragments by field, for the wire.
pub(super) fn told(fragments: Fragments) -> Map<String, kithdb::Value> {
    let one = |fragment: kithdb::Fragment| FragmentOut {
        text: fragment.text,
        value: fragment.value,
        start: fragment.start,
        spans: fragment.spans.into_iter().map(|span| (span.start, span.end)).collect(),
    };
    let field = |(path, fragments): (kithdb::FieldPath, Vec<kithdb::Fragment>)| {
        let fragments: Vec<FragmentOut> = fragments.into_iter().map(one).collect();
        (path.to_string(), serde_json::json!(fragments))
    };
    fragments.into_iter().map(field).collect()
}

impl<'de> Deserialize<'de> for HighlightIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(HighlightVisitor)
    }
}

struct HighlightVisitor;

impl<'de> Visitor<'de> for HighlightVisitor {
    type Value = HighlightIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, or an object with `fields`, `fragments`, `fragment_chars`, `pre_tag`, `post_tag`")
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<HighlightIn, E> {
        Ok(HighlightIn(flag.then(HighlightObject::default)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<HighlightIn, A::Error> {
        HighlightObject::deserialize(MapAccessDeserializer::new(map)).map(|object| HighlightIn(Some(object)))
    }
}
