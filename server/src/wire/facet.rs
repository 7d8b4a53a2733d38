//! `POST facet`: values of a field and how many points hold them.

use std::time::Instant;

use kithdb::{Collection, Error, FieldPath, Result, Scalar};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::strict::Strict;

use super::filter::FilterIn;
use super::shape::Ignored;

/// The body. Every count is exact.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = FacetRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct Facet {
    key: String,
    limit: Option<usize>,
    filter: Option<FilterIn>,
    exact: Option<bool>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
    /// Ours: the commit whose state is counted.
    as_of: Option<u64>,
}

/// The values that most points hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FacetHits {
    hits: Vec<FacetHit>,
}

#[derive(Debug, Serialize, ToSchema)]
struct FacetHit {
    value: ScalarOut,
    count: usize,
}

/// A value of a field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scalar)]
#[serde(untagged)]
pub(crate) enum ScalarOut {
    Str(String),
    Int(i64),
    Bool(bool),
}

impl From<Scalar> for ScalarOut {
    fn from(value: Scalar) -> Self {
        match value {
            Scalar::Str(text) => Self::Str(text),
            Scalar::Int(number) => Self::Int(number),
            Scalar::Bool(flag) => Self::Bool(flag),
        }
    }
}

/// Values unless the request says otherwise.
const LIMIT: usize = 10;

impl Facet {
    /// Counts.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn run(
        self,
        collection: &Collection,
        strict: &Strict<'_>,
        deadline: Instant,
    ) -> Result<FacetHits> {
        let path: FieldPath = self.key.parse().map_err(|error: Error| error.with_field("key"))?;
        let filter = super::filter::or_everything(self.filter)?;
        super::above_zero("limit", self.limit)?;
        let limit = self.limit.unwrap_or(LIMIT);
        strict.check_limit(limit)?;
        strict.check_field(&path)?;
        strict.check_read(&filter)?;
        let facets = super::reading(collection, self.as_of, Some(deadline))?.facets(&path, &filter, limit)?;
        let hit = |(value, count): (Scalar, usize)| FacetHit { value: value.into(), count };
        Ok(FacetHits { hits: facets.into_iter().map(hit).collect() })
    }
}
