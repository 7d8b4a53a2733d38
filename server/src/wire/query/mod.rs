//! The shapes of `POST points/query`. What they mean is in [`translate`](super::translate).

mod formula;
mod idf;
mod input;
mod keyword;
mod kind;

use kithdb::Result;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::invalid;
use crate::strict::Effort;

use super::filter::FilterIn;
use super::highlight::HighlightIn;
use super::schema::one_or_many;
use super::select::{WithPayload, WithVector};
use super::shape::{Ignored, OneOrMany};
pub(super) use formula::expression;
pub(super) use idf::IdfIn;
pub(super) use input::VectorInput;
pub(super) use kind::{FeedbackIn, OrderIn, PairIn, QueryIn, ScoredIn};

/// A query in a body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = QueryRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct QueryBody {
    #[schema(schema_with = one_or_many::<Prefetch>)]
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
    pub(super) lookup_from: Option<LookupFrom>,
    #[schema(value_type = Option<Value>)]
    pub(super) shard_key: Ignored,
    /// Ours: fragments of texts come with the points.
    pub(super) highlight: Option<HighlightIn>,
    /// Ours: the plan comes with the points, `"analyze"` with what was really done.
    pub(super) explain: Option<ExplainIn>,
    /// Ours: milliseconds until the answer must be there.
    pub(super) deadline_ms: Option<u64>,
    /// Ours: about how many rows may be looked at, distances, steps through words and payloads that decide.
    pub(super) rows_max: Option<usize>,
    /// Ours: what was found until one of them is over is welcome.
    pub(super) partial: Option<bool>,
    /// Ours: the commit whose state is asked.
    pub(super) as_of: Option<u64>,
}

/// What comes with the points.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, ToSchema)]
#[schema(as = Explain)]
#[serde(untagged, expecting = "must be true, false, or \"analyze\"")]
pub(super) enum ExplainIn {
    Flag(bool),
    Word(ExplainWord),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExplainWord {
    Analyze,
}

/// Several queries in a body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryBatch {
    pub(crate) searches: Vec<QueryBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Prefetch {
    #[schema(schema_with = one_or_many::<Prefetch>)]
    pub(super) prefetch: Option<OneOrMany<Prefetch>>,
    pub(super) query: Option<QueryIn>,
    pub(super) using: Option<String>,
    pub(super) filter: Option<FilterIn>,
    pub(super) params: Option<ParamsIn>,
    pub(super) score_threshold: Option<f32>,
    pub(super) limit: Option<usize>,
    pub(super) lookup_from: Option<LookupFrom>,
}

/// Where the vectors of points are that are asked with: in another collection, or another space.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupFrom {
    pub(super) collection: String,
    pub(super) vector: Option<String>,
    #[serde(rename = "shard_key")]
    #[schema(value_type = Option<Value>)]
    _shard_key: Ignored,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = SearchParams)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over: they speed other engines up")]
pub(super) struct ParamsIn {
    pub(super) hnsw_ef: Option<usize>,
    pub(super) exact: Option<bool>,
    /// Ours: the share of the true hits to find.
    pub(super) recall: Option<f32>,
    quantization: Option<QuantizationIn>,
    #[schema(value_type = Option<Value>)]
    indexed_only: Ignored,
    #[schema(value_type = Option<Value>)]
    acorn: Ignored,
    pub(super) idf: Option<IdfIn>,
}

/// How other engines read their codes: passed over, but for what strict mode limits.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = QuantizationParams)]
#[serde(deny_unknown_fields)]
pub(super) struct QuantizationIn {
    oversampling: Option<f64>,
    #[serde(rename = "ignore")]
    #[schema(value_type = Option<Value>)]
    _ignore: Ignored,
    #[serde(rename = "rescore")]
    #[schema(value_type = Option<Value>)]
    _rescore: Ignored,
}

impl ParamsIn {
    /// Refuses what can never be.
    ///
    /// # Errors
    /// `InvalidArgument` naming the parameter.
    pub(super) fn check(&self) -> Result<()> {
        super::above_zero("params.hnsw_ef", self.hnsw_ef)?;
        match self.effort().oversampling.filter(|oversampling| *oversampling < 1.0) {
            None => Ok(()),
            Some(given) => {
                let why = format!("value {given:?} invalid, must be 1.0 or larger");
                Err(invalid("params.quantization.oversampling", &why))
            }
        }
    }

    /// What the search asks for.
    pub(super) fn effort(&self) -> Effort {
        let oversampling = self.quantization.as_ref().and_then(|quantization| quantization.oversampling);
        Effort { is_exact: self.exact == Some(true), ef: self.hnsw_ef, oversampling }
    }
}
