//! Durations to percentiles, and figures as they are shown.

use std::time::{Duration, Instant};

/// Durations of many calls of one kind.
#[derive(Clone, Default)]
pub(crate) struct Timings(Vec<Duration>);

impl Timings {
    /// Runs and times a call.
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = call();
        self.0.push(began.elapsed());
        outcome
    }

    /// Takes the durations of another.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// The duration that a share of 0 to 1 of the calls did not exceed; 0 of none.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// A duration in milliseconds, three digits that count.
pub(crate) fn milliseconds(duration: Duration) -> String {
    let value = duration.as_secs_f64() * 1e3;
    let digits = if value < 1.0 {
        3
    } else if value < 100.0 {
        2
    } else {
        0
    };
    format!("{value:.digits$} ms")
}

/// A duration in seconds.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// So many a second, as a whole number.
pub(crate) fn rate(count: usize, duration: Duration) -> String {
    format!("{:.0}", count as f64 / duration.as_secs_f64().max(f64::MIN_POSITIVE))
}

/// Bytes in megabytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_duration_that_was_measured() {
        let timings = Timings((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(timings.percentile(0.5), Duration::from_millis(100));
        assert_eq!(timings.percentile(0.99), Duration::from_millis(198));
        assert_eq!(Timings::default().percentile(0.5), Duration::ZERO);
    }

    #[test]
    fn figures_keep_the_digits_that_count() {
        assert_eq!(milliseconds(Duration::from_micros(123)), "0.123 ms");
        assert_eq!(milliseconds(Duration::from_micros(12_345)), "12.35 ms");
        assert_eq!(rate(100, Duration::from_millis(500)), "200");
    }
}
