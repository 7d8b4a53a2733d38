//! How alike two vectors of one space are, of whatever kind they are.
//!
//! Similarities are larger for what is nearer (`request/query`): of sparse vectors the dot product, of multivectors
//! MaxSim.

use types::{Metric, Schema, Vector};

use super::rate::similarity;
use crate::multi;

/// The measure of a space.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alike {
    Dense(Metric),
    Sparse,
    Multi(Metric),
}

impl Alike {
    /// That of a space that the schema has.
    pub(crate) fn of(schema: &Schema, using: &str) -> Self {
        match (schema.vectors.get(using), schema.multi.get(using)) {
            (Some(spec), _) => Self::Dense(spec.metric),
            (None, Some(spec)) => Self::Multi(spec.metric),
            (None, None) => Self::Sparse,
        }
    }

    /// The similarity to `asked` of `other`; only under MaxSim is it another the other way round.
    pub(crate) fn between(self, asked: &Vector, other: &Vector) -> f32 {
        let found = match self {
            Self::Dense(metric) => {
                asked.dense().zip(other.dense()).map(|(asked, other)| similarity(metric, asked, other))
            }
            Self::Sparse => {
                asked.sparse().zip(other.sparse()).map(|(asked, other)| asked.dot(other).unwrap_or(0.0))
            }
            Self::Multi(metric) => {
                asked.multi().zip(other.multi()).map(|(asked, other)| multi::max_sim(metric, asked, other))
            }
        };
        // Vectors of a space are of its kind: they were checked when they were written, and when they were asked with.
        found.unwrap_or(f32::NEG_INFINITY)
    }
}
