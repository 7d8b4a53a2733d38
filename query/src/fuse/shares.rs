//! What each hit of a leg is given, by its rank or by its score. Scores are larger for better hits here.

/// By rank: 1 / (k + position) where the leg weighs 1; a weight divides positions, counted from 1 for that.
pub(super) fn reciprocal(count: usize, k: f32, weight: f32) -> Vec<f32> {
    let (k, weight) = (f64::from(k), f64::from(weight));
    // Of a small `k`, or a large weight, nothing is left in `f32`.
    let share = |position: usize| ((position as f64 + 1.0) / weight + (k - 1.0)).recip() as f32;
    (0..count).map(share).collect()
}

/// Between the mean less 3 standard deviations and the mean plus 3. One hit, and hits that are all alike, get a half.
pub(super) fn distribution(scores: &[f32]) -> Vec<f32> {
    let count = scores.len() as f64;
    let mean = scores.iter().map(|score| f64::from(*score)).sum::<f64>() / count;
    let squares = scores.iter().map(|score| (f64::from(*score) - mean).powi(2)).sum::<f64>();
    let deviation = (squares / (count - 1.0)).sqrt();
    if deviation.is_nan() || deviation == 0.0 {
        return vec![0.5; scores.len()];
    }
    let share = |score: &f32| ((f64::from(*score) - mean + 3.0 * deviation) / (6.0 * deviation)) as f32;
    scores.iter().map(share).collect()
}

/// Between the worst, 0, and the best, 1. One hit, and hits that are all alike, get 1.
pub(super) fn relative(scores: &[f32]) -> Vec<f32> {
    // Scores of a formula may be as far apart as an `f32` does not hold.
    let scores = || scores.iter().map(|score| f64::from(*score));
    let (best, worst) = (scores().fold(f64::NEG_INFINITY, f64::max), scores().fold(f64::INFINITY, f64::min));
    let share = |score: f64| if best > worst { ((score - worst) / (best - worst)) as f32 } else { 1.0 };
    scores().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: &[f32], expected: &[f32]) {
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
        assert!(found.len() == expected.len() && found.iter().zip(expected).all(is_close), "{found:?}");
    }

    /// As Qdrant's engine answers (qdrant-edge 0.9.0).
    #[test]
    fn shares_are_those_of_the_dialect() {
        assert_close(&reciprocal(2, 2.0, 1.0), &[0.5, 0.333_33]);
        assert_close(&reciprocal(1, 2.0, 3.0), &[0.75]);
        assert_close(&reciprocal(1, 60.0, 0.5), &[0.016_393]);
        assert_close(&distribution(&[5.0, 3.0, 1.0]), &[0.666_67, 0.5, 0.333_33]);
        assert_close(&distribution(&[9.0, 5.0, 4.0])[..1], &[0.689]);
        assert_close(&distribution(&[7.0]), &[0.5]);
        assert_close(&distribution(&[7.0, 7.0]), &[0.5, 0.5]);
    }

    #[test]
    fn shares_by_relative_score_do_not_depend_on_the_scale() {
        let scores = [9.0, 5.0, 4.0, 1.0];
        let scaled = scores.map(|score| score * 16.0 - 3.0);
        assert_close(&relative(&scaled), &relative(&scores));
        assert_close(&relative(&scores), &[1.0, 0.5, 0.375, 0.0]);
        assert_close(&relative(&[2.0]), &[1.0]);
        assert_close(&relative(&[3e38, 0.0, -3e38]), &[1.0, 0.5, 0.0]);
        assert_close(&reciprocal(1, 2.0, 0.0), &[0.0]);
    }
}
