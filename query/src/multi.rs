//! Levels that ask with a multivector: every row that may be a hit is read from storage and compared by MaxSim.
//!
//! The similarity of two multivectors is the sum over the rows of the query of the greatest similarity to a row of the
//! other, with similarities as everywhere (`request/query`). The score is that sum under cosine and dot product; under
//! Euclid the root of the sum of the least squared distances, under Manhattan the sum of the least distances.
//! Cost: a read of storage and rows times rows distances for each; so it ranks what legs have found, or few rows.

use index::Gauge;
use roaring::RoaringBitmap;
use types::{Metric, Result, Vector};

use crate::kinds::rate::similarity;
use crate::{Ranked, View, stored};

/// The best `count` rows that are accepted, best first, as far as there is time.
pub(crate) fn find(
    view: &View,
    using: &str,
    query: &[Vec<f32>],
    wanted: (Option<&RoaringBitmap>, usize),
    gauge: &Gauge<'_>,
) -> Result<Vec<Ranked>> {
    let Some(spec) = view.entry.schema.multi.get(using) else { return Ok(Vec::new()) };
    let rate =
        |vector: &Vector| vector.multi().map_or(f32::NEG_INFINITY, |rows| max_sim(spec.metric, query, rows));
    let mut ranked = stored::best(view, using, wanted, gauge, rate)?;
    ranked.iter_mut().for_each(|ranked| ranked.score = score(spec.metric, ranked.score));
    Ok(ranked)
}

/// The similarity to `query` of a multivector of these rows.
pub(crate) fn max_sim(metric: Metric, query: &[Vec<f32>], rows: &[Vec<f32>]) -> f32 {
    let nearest = |asked: &Vec<f32>| {
        rows.iter().map(|row| similarity(metric, asked, row)).fold(f32::NEG_INFINITY, f32::max)
    };
    query.iter().map(nearest).sum()
}

/// The score that users see for a similarity.
fn score(metric: Metric, similarity: f32) -> f32 {
    match metric {
        Metric::Cosine | Metric::Dot => similarity,
        Metric::Euclid | Metric::Manhattan => metric.score(-similarity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Qdrant's engine answers (qdrant-edge 0.9.0).
    #[test]
    fn scores_are_those_of_the_dialect() {
        let points = [
            vec![vec![1.0, 0.0], vec![0.0, 2.0]],
            vec![vec![1.0, 1.0]],
            vec![vec![3.0, -1.0], vec![2.0, 2.0], vec![0.5, 0.0]],
        ];
        let query = vec![vec![1.0, 0.5], vec![0.0, 1.0_f32]];
        let cases = [
            (Metric::Dot, [3.0, 2.5, 5.0]),
            (Metric::Cosine, [1.894_427, 1.655_79, 1.655_79]),
            (Metric::Euclid, [1.118_034, 1.118_034, 1.322_876]),
            (Metric::Manhattan, [1.5, 1.5, 2.5]),
        ];
        for (metric, expected) in cases {
            let unit = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
                let mut rows = rows.to_vec();
                rows.iter_mut().for_each(|row| types::vector::check(row, 2, metric).expect("a vector"));
                rows
            };
            for (rows, expected) in points.iter().zip(expected) {
                let found = score(metric, max_sim(metric, &unit(&query), &unit(rows)));
                assert!((found - expected).abs() < 1e-5, "{metric}: {found} {expected}");
            }
        }
    }
}
