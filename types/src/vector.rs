//! Vectors of a point, by name, and their validation.
//!
//! Invariant: a vector that passed [`check`] is finite, has its space's dimension and, under cosine, a norm of 1.

use crate::{Error, Metric, Result, SparseVector};

/// The name of the vector of a collection that has only one, unnamed.
pub const DEFAULT_VECTOR: &str = "";

/// The vectors of a point by name. A point may lack some of its collection's vectors.
pub type Vectors = Vec<(String, Vector)>;

/// A vector of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// An element for every dimension of its space.
    Dense(Vec<f32>),
    /// Weights of a few dimensions.
    Sparse(SparseVector),
    /// Several rows, each with an element for every dimension of its space.
    Multi(MultiVector),
}

/// A multivector: rows of one dimension, one for each token of a text or patch of an image. Compared by MaxSim: each
/// row of a query counts as its nearest row does.
pub type MultiVector = Vec<Vec<f32>>;

impl Vector {
    /// The elements, if it is dense.
    pub fn dense(&self) -> Option<&[f32]> {
        match self {
            Self::Dense(elements) => Some(elements),
            Self::Sparse(_) | Self::Multi(_) => None,
        }
    }

    /// The weights, if it is sparse.
    pub fn sparse(&self) -> Option<&SparseVector> {
        match self {
            Self::Sparse(vector) => Some(vector),
            Self::Dense(_) | Self::Multi(_) => None,
        }
    }

    /// The rows, if it is a multivector.
    pub fn multi(&self) -> Option<&MultiVector> {
        match self {
            Self::Multi(rows) => Some(rows),
            Self::Dense(_) | Self::Sparse(_) => None,
        }
    }

    /// The rows of a multivector; a dense vector becomes one of one row.
    pub fn as_multi(&mut self) -> Option<&mut MultiVector> {
        if let Self::Dense(elements) = self {
            *self = Self::Multi(vec![std::mem::take(elements)]);
        }
        match self {
            Self::Multi(rows) => Some(rows),
            Self::Dense(_) | Self::Sparse(_) => None,
        }
    }
}

impl<E: Into<Vec<f32>>> From<E> for Vector {
    fn from(elements: E) -> Self {
        Self::Dense(elements.into())
    }
}

impl From<SparseVector> for Vector {
    fn from(vector: SparseVector) -> Self {
        Self::Sparse(vector)
    }
}

/// Checks a vector against its space and, for cosine, scales it to length 1. A zero vector stays what it is: its cosine
/// with any other is 0.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) naming the element, when the dimension differs,
/// an element is NaN or infinite, or the vector is so long that distances would overflow.
pub fn check(elements: &mut [f32], dim: usize, metric: Metric) -> Result<()> {
    if elements.len() != dim {
        let message =
            format!("Wrong input: Vector dimension error: expected dim: {dim}, got {}", elements.len());
        return Err(Error::new(crate::ErrorKind::InvalidArgument, message));
    }
    let norm = square_sum(elements).sqrt();
    // No sum of squares of finite elements overflows, so a finite norm says that all of them are.
    if !norm.is_finite()
        && let Some(position) = elements.iter().position(|element| !element.is_finite())
    {
        let message = format!("is {}; every element must be a finite number", elements[position]);
        return Err(Error::invalid(format!("[{position}]"), message));
    }
    match metric {
        Metric::Cosine => {
            // A unit vector keeps its bits: normalising twice must change nothing. One without a direction stays zero.
            if norm > 0.0 && (norm - 1.0).abs() > 1e-6 {
                elements.iter_mut().for_each(|element| *element = (f64::from(*element) / norm) as f32);
            }
            Ok(())
        }
        Metric::Dot | Metric::Euclid | Metric::Manhattan => check_length(norm, metric),
    }
}

/// Whether the distance of two vectors of a length, whichever way they point, is a finite `f32`.
fn check_length(norm: f64, metric: Metric) -> Result<()> {
    let root = f64::from(f32::MAX).sqrt();
    // Two that point away from each other are twice as far apart, which is squared.
    let most = if metric == Metric::Euclid { root / 2.0 } else { root };
    if norm <= most {
        return Ok(());
    }
    let message = format!("has length {norm:e}; above {most:.1e} distances overflow");
    Err(Error::new(crate::ErrorKind::InvalidArgument, message))
}

/// The sum of the squares, in `f64`: those of finite `f32` can overflow `f32`. In as many lanes as processors add at
/// once: one sum would wait for itself at each element, half a microsecond at 384.
fn square_sum(elements: &[f32]) -> f64 {
    let square = |element: &f32| f64::from(*element) * f64::from(*element);
    let (chunks, rest) = elements.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, element)| *lane += square(element));
    }
    lanes.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_has_no_distance() {
        let cases: [(&[f32], Metric, &str); 6] = [
            (&[1.0], Metric::Dot, "expected dim: 2, got 1"),
            (&[1.0, f32::NAN], Metric::Dot, "[1]"),
            (&[f32::INFINITY, 1.0], Metric::Euclid, "[0]"),
            (&[1e30, 0.0], Metric::Euclid, "overflow"),
            (&[1e19, 0.0], Metric::Euclid, "above 9.2e18 distances overflow"),
            (&[1e30, 0.0], Metric::Dot, "above 1.8e19 distances overflow"),
        ];
        for (elements, metric, expected) in cases {
            let error = check(&mut elements.to_vec(), 2, metric).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
        check(&mut [9e18, 0.0], 2, Metric::Euclid).expect("squares of distances are finite");
        check(&mut [1.8e19, 0.0], 2, Metric::Dot).expect("products are finite");
    }

    /// Wherever it stands among lanes and the rest, and beside elements whose squares are as large as they get.
    #[test]
    fn every_element_is_looked_at() {
        for metric in [Metric::Cosine, Metric::Dot] {
            for position in 0..19 {
                for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut elements = vec![f32::MAX; 19];
                    elements[position] = wrong;
                    let error = check(&mut elements, 19, metric).expect_err("no number");
                    assert_eq!(error.field(), Some(format!("[{position}]").as_str()));
                }
            }
        }
        let mut elements = vec![f32::MAX; 19];
        check(&mut elements, 19, Metric::Cosine).expect("finite");
        let length = elements.iter().map(|element| element * element).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }

    #[test]
    fn cosine_vectors_come_out_with_length_one_and_stay() {
        let mut elements = vec![3e20, 4e20];
        check(&mut elements, 2, Metric::Cosine).expect("finite");
        assert_eq!(elements, [0.6, 0.8]);
        let once = elements.clone();
        check(&mut elements, 2, Metric::Cosine).expect("finite");
        assert_eq!(elements, once);
    }
}
