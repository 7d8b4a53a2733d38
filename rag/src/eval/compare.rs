//! Two configurations over the same questions: is one better, or is it chance?
//!
//! The interval of the difference is by paired bootstrap (Efron 1979), the probability of a difference as large if
//! there were none by randomisation (Smucker, Allan and Carterette 2007): the sign of each question's difference is
//! turned at random. Both draw ten thousand times, from a fixed seed.

use types::random::Random;

use super::Run;
use super::measure::{MEASURES, Measure, Measures};

/// A measure of two configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The name of the measure.
    pub measure: &'static str,
    /// Its mean in the first.
    pub a: f64,
    /// Its mean in the second.
    pub b: f64,
    /// In 95 of 100 draws of questions `b - a` lies between these.
    pub interval: (f64, f64),
    /// The probability of a difference as large if the two were the same.
    pub p: f64,
    /// Questions that the second answers better.
    pub wins: usize,
    /// Questions that it answers worse.
    pub losses: usize,
}

/// Draws of both kinds.
const DRAWS: usize = 10_000;

/// The mean and its interval of one measure of one configuration.
pub(super) fn interval(run: &Run, read: fn(&Measures) -> Option<f64>) -> Option<(f64, (f64, f64))> {
    let values: Vec<f64> = run.rows.iter().filter_map(|row| read(&row.measures)).collect();
    (!values.is_empty()).then(|| (mean(&values), bootstrap(&values)))
}

/// Compares the second with the first, measure by measure.
pub fn compare(a: &Run, b: &Run) -> Vec<Comparison> {
    let comparison = |(measure, read): Measure| {
        let pair = a.rows.iter().zip(&b.rows);
        let pairs: Vec<(f64, f64)> =
            pair.filter_map(|(a, b)| Some((read(&a.measures)?, read(&b.measures)?))).collect();
        let differences: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
        (!pairs.is_empty()).then(|| Comparison {
            measure,
            a: mean(&pairs.iter().map(|(a, _)| *a).collect::<Vec<_>>()),
            b: mean(&pairs.iter().map(|(_, b)| *b).collect::<Vec<_>>()),
            interval: bootstrap(&differences),
            p: randomised(&differences),
            wins: differences.iter().filter(|difference| **difference > 1e-12).count(),
            losses: differences.iter().filter(|difference| **difference < -1e-12).count(),
        })
    };
    MEASURES.into_iter().filter_map(comparison).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The interval that has the mean of a draw of these in it, 95 times in 100.
pub(super) fn bootstrap(values: &[f64]) -> (f64, f64) {
    let mut random = Random(1);
    let count = values.len() as u64;
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| (0..count).map(|_| values[(random.draw() % count) as usize]).sum::<f64>() / count as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    (means[DRAWS / 40], means[DRAWS - 1 - DRAWS / 40])
}

/// The probability of a mean as far from 0 if each might as well have the other sign.
pub(super) fn randomised(differences: &[f64]) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    let moving: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    let mut random = Random(2);
    let as_large = (0..DRAWS).filter(|_| {
        let sum: f64 = moving
            .iter()
            .map(|difference| if random.draw() & 1 == 0 { *difference } else { -difference })
            .sum();
        sum.abs() >= observed - 1e-12
    });
    // The order that was seen is one of those there could be.
    (as_large.count() + 1) as f64 / (DRAWS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_and_difference_are_told_apart() {
        let clear: Vec<f64> = (0..60).map(|n| if n % 4 == 0 { -0.1 } else { 0.2 }).collect();
        let even: Vec<f64> = (0..60).map(|n| if n % 2 == 0 { 0.2 } else { -0.2 }).collect();
        assert!(randomised(&clear) < 0.001 && bootstrap(&clear).0 > 0.0);
        assert!(randomised(&even) > 0.5, "{}", randomised(&even));
        let (low, high) = bootstrap(&even);
        assert!(low < 0.0 && high > 0.0 && (low + high).abs() < 0.02);
        assert_eq!(randomised(&[0.0; 5]), 1.0);
        assert_eq!(bootstrap(&[0.5; 5]), (0.5, 0.5));
        // Five wins of five: of 32 ways to turn the signs, two are as large.
        assert!((randomised(&[0.1; 5]) - 2.0 / 32.0).abs() < 0.01);
    }
}
