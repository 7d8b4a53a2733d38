//! A vector that is asked with: elements, weights of indices, the id of a point, or a text.

use std::fmt;

use kithdb::{PointId, SparseVector, Vector};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use crate::wire::id::Id;
use crate::wire::schema::{any_of, declare, named};
use crate::wire::vector::{Dense, list, vector};

/// A vector, or what stands for one.
#[derive(Debug)]
pub(crate) enum VectorInput {
    Vector(Vector),
    Id(PointId),
    Text(String),
}

#[derive(Deserialize, ToSchema)]
#[schema(as = VectorInputObject)]
#[serde(deny_unknown_fields)]
struct ObjectIn {
    text: Option<String>,
    indices: Option<Vec<u32>>,
    values: Option<Dense>,
}

declare!(VectorInput as "VectorInput": any_of([vector(), named::<Id>(), named::<ObjectIn>()]), ObjectIn, Id);

impl<'de> Deserialize<'de> for VectorInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor)
    }
}

pub(super) struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = VectorInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector, the ID of a point, or an object with `indices` and `values`, or with `text`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorInput, A::Error> {
        list(seq).map(VectorInput::Vector)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorInput, A::Error> {
        let ObjectIn { text, indices, values } = ObjectIn::deserialize(MapAccessDeserializer::new(map))?;
        match (text, indices, values) {
            (Some(text), None, None) => Ok(VectorInput::Text(text)),
            (None, Some(indices), Some(Dense(values))) => {
                Ok(VectorInput::Vector(SparseVector { indices, values }.into()))
            }
            _ => Err(A::Error::custom("give `indices` and `values`, or `text`")),
        }
    }

    fn visit_u64<E>(self, num: u64) -> Result<VectorInput, E> {
        Ok(VectorInput::Id(num.into()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VectorInput, E> {
        Id::of_text(text).map(|Id(id)| VectorInput::Id(id))
    }
}
