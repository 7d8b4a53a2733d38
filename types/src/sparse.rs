//! Sparse vectors: weights of a few dimensions out of 2^32, such as the words of a text; and what a space of them is.
//!
//! The score of two is the sum of the products where both have a weight. Weights may be negative.
//!
//! Invariant: a vector that passed [`SparseVector::check`] has as many weights as dimensions, dimensions that ascend,
//! none of them twice, and finite weights. Without dimensions it is a vector too, which nothing finds.

use std::str::FromStr;

use crate::{Datatype, Error, Limits, Result};

/// A sparse vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector {
    /// The dimensions that have a weight.
    pub indices: Vec<u32>,
    /// The weight of each.
    pub values: Vec<f32>,
}

/// One space of sparse vectors. It has no dimension and no metric: scores are dot products.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseSpec {
    /// What is made of the weights of queries, if that was said.
    pub modifier: Option<Modifier>,
    /// What was said of the index, to be told again.
    pub index: Option<SparseOptions>,
}

/// What is made of the weights of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// Nothing.
    #[default]
    None,
    /// Each is multiplied by how rare its dimension is: `ln(1 + (n - df + 0.5) / (df + 0.5))`, where `n` points have a
    /// vector in the space, and `df` of them a weight in the dimension.
    Idf,
}

/// What the dialect can say of a sparse index. The engine decides these by itself, and its scores are exact whatever
/// they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparseOptions {
    /// Up to how many vectors are scanned.
    pub full_scan_threshold: Option<usize>,
    /// Whether the index lies on disk.
    pub on_disk: Option<bool>,
    /// The type of weights in the index.
    pub datatype: Option<Datatype>,
}

/// The product of two lengths, which no score exceeds, and a factor for rarity fit into `f32`.
const LENGTH_MAX: f64 = 1e18;

impl SparseVector {
    /// From pairs of dimension and weight.
    pub fn of(pairs: impl IntoIterator<Item = (u32, f32)>) -> Self {
        let (indices, values) = pairs.into_iter().unzip();
        Self { indices, values }
    }

    /// How many dimensions have a weight.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Pairs of dimension and weight.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> {
        self.indices.iter().copied().zip(self.values.iter().copied())
    }

    /// The sum of the products where both have a weight, in the order of dimensions; nothing if they share none.
    pub fn dot(&self, other: &Self) -> Option<f32> {
        let product = |(dim, weight): (u32, f32)| {
            other.indices.binary_search(&dim).ok().map(|at| weight * other.values[at])
        };
        self.iter().filter_map(product).reduce(|sum, product| sum + product)
    }

    /// Checks the vector and sorts it by dimension.
    ///
    /// # Errors
    /// `InvalidArgument` on `values` when their number differs, on `values[i]` for one that is not finite, on
    /// `indices[i]` for one that is there before; `LimitExceeded`.
    pub fn check(&mut self, limits: &Limits) -> Result<()> {
        let (indices, values) = (self.indices.len(), self.values.len());
        if indices != values {
            let message = format!("has {values} entries for {indices} indices; each index needs one");
            return Err(Error::invalid("values", message));
        }
        if indices > limits.dim_max {
            return Err(Error::limit("indices", "the number of indices", indices, limits.dim_max));
        }
        if let Some(at) = self.values.iter().position(|value| !value.is_finite()) {
            let message = format!("is {}; every value must be a finite number", self.values[at]);
            return Err(Error::invalid(format!("values[{at}]"), message));
        }
        let length = self.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if length > LENGTH_MAX {
            return Err(Error::invalid(
                "values",
                format!("has length {length:e}; above {LENGTH_MAX:e} scores overflow"),
            ));
        }
        if self.indices.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..indices).collect();
        order.sort_by_key(|at| self.indices[*at]);
        if let Some([_, second]) = order.array_windows().find(|[a, b]| self.indices[*a] == self.indices[*b]) {
            let message =
                format!("is {}, which is there before; an index has one value", self.indices[*second]);
            return Err(Error::invalid(format!("indices[{second}]"), message));
        }
        *self = Self::of(order.into_iter().map(|at| (self.indices[at], self.values[at])));
        Ok(())
    }
}

impl SparseSpec {
    /// A space whose queries are weighted by how rare their dimensions are.
    pub fn idf() -> Self {
        Self { modifier: Some(Modifier::Idf), index: None }
    }

    /// Whether queries are weighted by how rare their dimensions are.
    pub fn is_idf(&self) -> bool {
        self.modifier == Some(Modifier::Idf)
    }
}

impl Modifier {
    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Idf => "idf",
        }
    }
}

impl FromStr for Modifier {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(Self::None),
            "idf" => Ok(Self::Idf),
            _ => Err(Error::invalid("modifier", format!("`{name}` is none of none, idf"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(indices: &[u32], values: &[f32]) -> Result<SparseVector> {
        let mut vector = SparseVector { indices: indices.to_vec(), values: values.to_vec() };
        vector.check(&Limits { dim_max: 4, ..Limits::default() }).map(|()| vector)
    }

    #[test]
    fn dimensions_are_sorted_and_none_is_there_twice() {
        let sorted = checked(&[u32::MAX, 0, 7], &[1.0, -2.0, 0.0]).expect("a vector");
        assert_eq!(sorted, SparseVector::of([(0, -2.0), (7, 0.0), (u32::MAX, 1.0)]));
        assert!(checked(&[], &[]).expect("an empty vector").is_empty());
        let cases: [(&[u32], &[f32], &str); 7] = [
            (&[1, 2], &[1.0], "values"),
            (&[], &[1.0], "values"),
            (&[1, 2], &[1.0, f32::NAN], "values[1]"),
            (&[1], &[f32::INFINITY], "values[0]"),
            (&[1], &[1e19], "values"),
            (&[3, 1, 3], &[1.0, 2.0, 3.0], "indices[2]"),
            (&[1, 2, 3, 4, 5], &[1.0; 5], "indices"),
        ];
        for (indices, values, field) in cases {
            assert_eq!(checked(indices, values).expect_err(field).field(), Some(field), "{indices:?}");
        }
    }
}
