//! `POST points/search/matrix/...`: points chosen at random, each with its nearest among them.

use std::time::Instant;

use kithdb::{Collection, DEFAULT_VECTOR, Matrix, MatrixRequest, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::strict::Strict;

use super::filter::FilterIn;
use super::id::Id;
use super::shape::Ignored;

/// The body.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MatrixRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct MatrixBody {
    filter: Option<FilterIn>,
    sample: Option<usize>,
    limit: Option<usize>,
    using: Option<String>,
    /// Ours: equal seeds choose alike.
    seed: Option<u64>,
    /// Ours: the commit whose state is asked.
    as_of: Option<u64>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
}

/// The matrix as pairs of ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatrixPairs {
    pairs: Vec<Pair>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MatrixPair)]
struct Pair {
    a: Id,
    b: Id,
    score: f32,
}

/// The matrix as places in a list of ids.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct MatrixOffsets {
    offsets_row: Vec<usize>,
    offsets_col: Vec<usize>,
    scores: Vec<f32>,
    ids: Vec<Id>,
}

/// Points, and neighbours of each, unless the request says otherwise.
const SAMPLE: usize = 10;
const LIMIT: usize = 3;

impl MatrixBody {
    /// Compares.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn run(
        self,
        collection: &Collection,
        strict: &Strict<'_>,
        deadline: Instant,
    ) -> Result<Matrix> {
        super::above_zero("limit", self.limit)?;
        let request = MatrixRequest {
            filter: super::filter::or_everything(self.filter)?,
            using: self.using.unwrap_or_else(|| DEFAULT_VECTOR.to_owned()),
            sample: self.sample.unwrap_or(SAMPLE),
            limit: self.limit.unwrap_or(LIMIT),
            seed: self.seed,
        };
        strict.check_limit(request.limit.saturating_mul(request.sample))?;
        strict.check_filter(&request.filter)?;
        strict.take_read(request.sample)?;
        super::reading(collection, self.as_of, Some(deadline))?.matrix(&request)
    }
}

impl From<Matrix> for MatrixPairs {
    fn from(matrix: Matrix) -> Self {
        let ids = &matrix.ids;
        let pairs = ids.iter().zip(&matrix.nearest).flat_map(|(a, nearest)| {
            nearest.iter().map(|(b, score)| Pair { a: Id(*a), b: Id(ids[*b]), score: *score })
        });
        Self { pairs: pairs.collect() }
    }
}

impl From<Matrix> for MatrixOffsets {
    fn from(matrix: Matrix) -> Self {
        let mut out = Self { ids: matrix.ids.into_iter().map(Id).collect(), ..Self::default() };
        for (row, nearest) in matrix.nearest.into_iter().enumerate() {
            for (column, score) in nearest {
                out.offsets_row.push(row);
                out.offsets_col.push(column);
                out.scores.push(score);
            }
        }
        out
    }
}
