//! Times, counted by how long they were: what latencies are told by.
//!
//! Invariant: the counts never fall, so what two readings differ by is what happened between them.
//! Cost: a search among [`BOUNDS_US`] and two additions for each time; no lock. A reading may miss a time that is being
//! counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds: 10 µs to 100 s, three a decade. Behind the last is one without bound.
/// Builds of segments and answers of models take longer than 10 s as a matter of course.
pub const BOUNDS_US: [u64; 22] = [
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Counts times.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

/// What a histogram has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Times in each bucket: above the bound before it, not above its own.
    pub counts: [u64; BUCKETS],
    /// All of them together, in nanoseconds.
    pub sum_ns: u64,
}

/// The bucket of a time, and its nanoseconds.
fn place(took: Duration) -> (usize, u64) {
    let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    (BOUNDS_US.partition_point(|bound| bound * 1_000 < ns), ns)
}

impl Histogram {
    /// Counts a time.
    pub fn observe(&self, took: Duration) {
        let (bucket, ns) = place(took);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn times(&self) -> Times {
        let counts = std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed));
        Times { counts, sum_ns: self.sum_ns.load(Ordering::Relaxed) }
    }
}

impl Times {
    /// Counts a further time.
    pub fn add(&mut self, took: Duration) {
        let (bucket, ns) = place(took);
        self.counts[bucket] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Counts all that others have counted.
    pub fn add_all(&mut self, others: &Self) {
        self.counts.iter_mut().zip(others.counts).for_each(|(count, other)| *count += other);
        self.sum_ns = self.sum_ns.saturating_add(others.sum_ns);
    }

    /// How many times there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for ns in [0, 10_000, 10_001, 50_000, 99_999_999_999, 100_000_000_001] {
            histogram.observe(Duration::from_nanos(ns));
        }
        let times = histogram.times();
        assert_eq!((times.counts[0], times.counts[1], times.counts[2]), (2, 1, 1));
        assert_eq!((times.counts[BUCKETS - 2], times.counts[BUCKETS - 1]), (1, 1));
        assert_eq!(times.count(), 6);
        let mut twice = times;
        twice.add_all(&times);
        twice.add(Duration::from_micros(15));
        assert_eq!((twice.counts[0], twice.counts[1], twice.count()), (4, 3, 13));
        assert!((times.sum_s() - 200.000_070_001).abs() < 1e-6, "{}", times.sum_s());
    }
}
