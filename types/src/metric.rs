//! Metrics: how near two vectors are, and which direction is better.
//!
//! Every metric has two numbers. The *distance* is what indexes sort by: smaller is nearer, for every metric.
//! The *score* is what users see: cosine similarity and inner product (larger is better), Euclidean and
//! Manhattan distance (smaller is better), as the field's other engines report them.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A measure of nearness of two vectors of equal dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Cosine similarity. Vectors are normalised when they are written, zero vectors are refused.
    Cosine,
    /// Inner product.
    Dot,
    /// Euclidean distance (the root is taken for the score only).
    Euclid,
    /// Manhattan distance: the sum of absolute differences.
    Manhattan,
}

impl Metric {
    /// All of them, for tests and messages.
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Dot, Self::Euclid, Self::Manhattan];

    /// The score that users see for a distance.
    pub fn score(self, distance: f32) -> f32 {
        match self {
            Self::Cosine => 1.0 - distance,
            Self::Dot => -distance,
            Self::Euclid => distance.max(0.0).sqrt(),
            Self::Manhattan => distance,
        }
    }

    /// How alike two vectors at a distance are: larger for nearer ones, and no root is taken.
    pub fn similarity(self, distance: f32) -> f32 {
        if self == Self::Cosine { 1.0 - distance } else { -distance }
    }

    /// Whether a larger score is the better one.
    pub fn larger_is_better(self) -> bool {
        matches!(self, Self::Cosine | Self::Dot)
    }

    /// Whether `score` passes a threshold given by a user.
    pub fn passes(self, score: f32, threshold: f32) -> bool {
        if self.larger_is_better() { score >= threshold } else { score <= threshold }
    }

    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "Cosine",
            Self::Dot => "Dot",
            Self::Euclid => "Euclid",
            Self::Manhattan => "Manhattan",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|metric| metric.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            Error::invalid(
                "distance",
                format!("`{name}` is no metric; one of Cosine, Dot, Euclid, Manhattan is"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nearer_vector_never_has_a_worse_score() {
        for metric in Metric::ALL {
            let (near, far) = (metric.score(0.25), metric.score(0.75));
            assert_eq!(near > far, metric.larger_is_better(), "{metric}");
            assert!(metric.passes(near, far) && !metric.passes(far, near), "{metric}");
            assert_eq!(metric.name().parse::<Metric>().expect("its own name"), metric);
        }
    }
}
