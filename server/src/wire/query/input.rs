//! A vector that is asked with: elements, the id of a point, or a text.

use std::fmt;

use kithdb::PointId;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::wire::id::Id;
use crate::wire::vector::Dense;

/// A vector, or what stands for one.
#[derive(Debug)]
pub(crate) enum VectorInput {
    Dense(Vec<f32>),
    Id(PointId),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextIn {
    text: String,
}

impl<'de> Deserialize<'de> for VectorInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor)
    }
}

pub(super) struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = VectorInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector, the ID of a point, or an object with `text`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorInput, A::Error> {
        Dense::deserialize(SeqAccessDeserializer::new(seq))
            .map(|Dense(elements)| VectorInput::Dense(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorInput, A::Error> {
        TextIn::deserialize(MapAccessDeserializer::new(map)).map(|TextIn { text }| VectorInput::Text(text))
    }

    fn visit_u64<E>(self, num: u64) -> Result<VectorInput, E> {
        Ok(VectorInput::Id(num.into()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VectorInput, E> {
        Id::of_text(text).map(|Id(id)| VectorInput::Id(id))
    }
}
