//! The definition of every distance, element by element in `f64`: slow, never overflowing, never NaN for finite
//! input (an `f32` squared stays far below the largest `f64`).

use types::Metric;

/// The distance of two vectors; elements past the shorter one are passed over.
pub(super) fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    match metric {
        Metric::Cosine => 1.0 - pairs.map(|(x, y)| x * y).sum::<f64>(),
        Metric::Dot => -pairs.map(|(x, y)| x * y).sum::<f64>(),
        Metric::Euclid => pairs.map(|(x, y)| (x - y).powi(2)).sum(),
        Metric::Manhattan => pairs.map(|(x, y)| (x - y).abs()).sum(),
    }
}
