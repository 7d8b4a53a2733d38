//! A vector that is asked with: elements, weights of indices, the id of a point, or a text.

use std::fmt;

use kithdb::{PointId, Vector};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::wire::bm25::{Given, ObjectIn};
use crate::wire::id::Id;
use crate::wire::schema::{any_of, declare, named, object, text};
use crate::wire::vector::{VectorIn, list, vector};

/// A vector, or what stands for one.
#[derive(Debug)]
pub(crate) enum VectorInput {
    Vector(Vector),
    Id(PointId),
    Text(String),
}

declare!(VectorInput as "VectorInput":
    any_of([vector(), named::<Id>(), object([("text", text())]).shown()]), VectorIn, Id);

impl From<Given> for VectorInput {
    fn from(given: Given) -> Self {
        match given {
            Given::Sparse(vector) => Self::Vector(vector.into()),
            Given::Made(made) => Self::Vector(made.question().into()),
            Given::Text(text) => Self::Text(text),
            Given::Point(Id(id)) => Self::Id(id),
        }
    }
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
        f.write_str(
            "a vector, the ID of a point, or an object with `indices` and `values`, `text`, or `name`",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorInput, A::Error> {
        list(seq).map(VectorInput::Vector)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorInput, A::Error> {
        ObjectIn::deserialize(MapAccessDeserializer::new(map))?.read().map(VectorInput::from)
    }

    fn visit_u64<E>(self, num: u64) -> Result<VectorInput, E> {
        Ok(VectorInput::Id(num.into()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VectorInput, E> {
        Id::of_text(text).map(|Id(id)| VectorInput::Id(id))
    }
}
