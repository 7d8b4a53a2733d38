//! Distances of two `f32` vectors. Smaller is nearer, for every metric.
//!
//! Through simsimd, which picks the widest instructions of the machine at run time. A call costs about 5 ns plus the
//! arithmetic. Beside it stands a reference, plain and in `f64`: the oracle of the tests, and the way out when
//! single precision overflows.

mod reference;

use simsimd::SpatialSimilarity;
use types::Metric;

/// The distance of two vectors of equal length: `1 - dot` for cosine (both have length 1), `-dot` for the inner
/// product, the *squared* length of the difference for Euclid, the sum of absolute differences for Manhattan.
/// Always a finite number if every element is.
pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let fast = match metric {
        Metric::Cosine => f32::dot(a, b).map(|dot| 1.0 - dot),
        Metric::Dot => f32::dot(a, b).map(|dot| -dot),
        Metric::Euclid => f32::l2sq(a, b),
        Metric::Manhattan => Some(f64::from(manhattan(a, b))),
    };
    match fast {
        Some(distance) if distance.is_finite() => narrow(distance),
        _ => narrow(reference::distance(metric, a, b)),
    }
}

/// To the nearest finite `f32`.
fn narrow(distance: f64) -> f32 {
    distance.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// Sixteen sums side by side, which the compiler keeps in vector registers; simsimd has no such kernel.
fn manhattan(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += (x[lane] - y[lane]).abs();
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y).abs()).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two vectors of the same dimension, elements within ±`span`.
    fn pair(span: f32) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (1_usize..=1100).prop_flat_map(move |dim| {
            let elements = || prop::collection::vec(-span..span, dim);
            (elements(), elements())
        })
    }

    proptest! {
        #[test]
        fn equals_the_reference((a, b) in pair(3.0)) {
            // Rounding grows with the terms, not with their sum, in which they may cancel.
            let terms: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(x * y).abs()).sum();
            for metric in Metric::ALL {
                let (fast, exact) = (f64::from(distance(metric, &a, &b)), reference::distance(metric, &a, &b));
                let slack = 1e-5 * (1.0 + exact.abs() + terms);
                prop_assert!((fast - exact).abs() <= slack, "{}: {} {}", metric, fast, exact);
            }
        }

        #[test]
        fn is_finite_for_huge_elements((a, b) in pair(f32::MAX)) {
            for metric in Metric::ALL {
                prop_assert!(distance(metric, &a, &b).is_finite());
            }
        }
    }

    #[test]
    fn has_the_values_of_the_definition() {
        let (a, b) = ([1.0, 2.0, -3.0], [4.0, 0.5, 1.0]);
        for (metric, expected) in
            [(Metric::Cosine, -1.0), (Metric::Dot, -2.0), (Metric::Euclid, 27.25), (Metric::Manhattan, 8.5)]
        {
            assert_eq!(distance(metric, &a, &b), expected, "{metric}");
            assert_eq!(reference::distance(metric, &a, &b), f64::from(expected), "{metric}");
        }
    }
}
