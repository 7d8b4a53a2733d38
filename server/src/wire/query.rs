//! The shapes of `POST points/query`. What they mean is in [`translate`](super::translate).

use std::fmt;

use kithdb::PointId;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::filter::FilterIn;
use super::id::Id;
use super::select::{WithPayload, WithVector};
use super::shape::{Ignored, OneOrMany, Refused};
use super::vector::Dense;

/// A query in a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over, or refused while it was read")]
pub(crate) struct QueryBody {
    pub(super) prefetch: Option<OneOrMany<Prefetch>>,
    pub(super) query: Option<QueryIn>,
    pub(super) using: Option<String>,
    pub(super) filter: Option<FilterIn>,
    pub(super) params: Option<ParamsIn>,
    pub(super) score_threshold: Option<f32>,
    pub(super) limit: Option<usize>,
    pub(super) offset: Option<usize>,
    pub(super) with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    pub(super) with_vector: Option<WithVector>,
    lookup_from: Option<Refused>,
    shard_key: Ignored,
    /// Ours: the plan comes with the points.
    pub(super) explain: Option<bool>,
}

/// Several queries in a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryBatch {
    pub(crate) searches: Vec<QueryBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "refused while it was read")]
pub(super) struct Prefetch {
    pub(super) prefetch: Option<OneOrMany<Prefetch>>,
    pub(super) query: Option<QueryIn>,
    pub(super) using: Option<String>,
    pub(super) filter: Option<FilterIn>,
    pub(super) params: Option<ParamsIn>,
    pub(super) score_threshold: Option<f32>,
    pub(super) limit: Option<usize>,
    lookup_from: Option<Refused>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over: they speed other engines up")]
pub(super) struct ParamsIn {
    pub(super) hnsw_ef: Option<usize>,
    pub(super) exact: Option<bool>,
    /// Ours: the share of the true hits to find.
    pub(super) recall: Option<f32>,
    quantization: Ignored,
    indexed_only: Ignored,
    acorn: Ignored,
    idf: Ignored,
}

/// How candidates are ranked.
#[derive(Debug)]
pub(super) enum QueryIn {
    /// A vector, or something that stands for one, and where it stands in the query.
    Nearest(VectorInput, &'static str),
    Keyword(String),
    Rrf(f32),
}

/// A vector, or what stands for one.
#[derive(Debug)]
pub(super) enum VectorInput {
    Dense(Vec<f32>),
    Id(PointId),
    Text(String),
}

/// Qdrant's constant of reciprocal rank fusion.
const RRF_K: f32 = 2.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryObject {
    nearest: Option<VectorInput>,
    keyword: Option<String>,
    fusion: Option<FusionIn>,
    rrf: Option<RrfIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum FusionIn {
    Rrf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RrfIn {
    k: Option<f32>,
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

struct InputVisitor;

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

impl<'de> Deserialize<'de> for QueryIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QueryVisitor)
    }
}

struct QueryVisitor;

impl<'de> Visitor<'de> for QueryVisitor {
    type Value = QueryIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector, the ID of a point, or an object with one of nearest, keyword, fusion, rrf")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<QueryIn, A::Error> {
        InputVisitor.visit_seq(seq).map(|input| QueryIn::Nearest(input, "query"))
    }

    fn visit_u64<E>(self, num: u64) -> Result<QueryIn, E> {
        Ok(QueryIn::Nearest(VectorInput::Id(num.into()), "query"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<QueryIn, E> {
        Id::of_text(text).map(|Id(id)| QueryIn::Nearest(VectorInput::Id(id), "query"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<QueryIn, A::Error> {
        let QueryObject { nearest, keyword, fusion, rrf } =
            QueryObject::deserialize(MapAccessDeserializer::new(map))?;
        match (nearest, keyword, fusion, rrf) {
            (Some(input), None, None, None) => Ok(QueryIn::Nearest(input, "query.nearest")),
            (None, Some(text), None, None) => Ok(QueryIn::Keyword(text)),
            (None, None, Some(FusionIn::Rrf), None) => Ok(QueryIn::Rrf(RRF_K)),
            (None, None, None, Some(RrfIn { k })) => Ok(QueryIn::Rrf(k.unwrap_or(RRF_K))),
            _ => Err(A::Error::custom("give one of `nearest`, `keyword`, `fusion`, `rrf`")),
        }
    }
}
