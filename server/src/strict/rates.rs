//! How many operations a collection takes in a minute: a bucket of tokens for reads, one for writes.
//!
//! A bucket holds as many tokens as a minute has, and fills at that rate. Where no limit is set there is no bucket.
//! Cost: one short lock for collections with a limit, none for others.

use std::collections::HashMap;
use std::time::Instant;

use kithdb::{Error, Result};
use parking_lot::Mutex;

use super::sizes::Sizes;
use crate::error::Refusal;

/// The buckets of a server.
#[derive(Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<(String, Kind), Bucket>>,
    /// Bytes that they have, beside the operations of a minute.
    pub(super) sizes: Sizes,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Read,
    Write,
}

struct Bucket {
    limit: u64,
    tokens: f64,
    filled: Instant,
}

const MINUTE_S: f64 = 60.0;

impl Rates {
    /// Takes tokens.
    ///
    /// # Errors
    /// Too many requests, with the time after which there are enough.
    pub(super) fn take(&self, collection: &str, kind: Kind, limit: Option<u64>, cost: u64) -> Result<()> {
        let Some(limit) = limit else { return Ok(()) };
        let mut buckets = self.buckets.lock();
        let bucket = buckets.entry((collection.to_owned(), kind)).or_insert_with(|| Bucket::full(limit));
        if bucket.limit != limit {
            *bucket = Bucket::full(limit);
        }
        bucket.take(cost, Instant::now()).map_err(|short| short.refused(kind, cost))
    }

    /// Counts its bytes anew, after it got points in another way than by operations.
    pub(crate) fn recount(&self, collection: &str) {
        self.sizes.forget(collection);
    }

    /// Forgets a collection that goes.
    pub(crate) fn forget(&self, collection: &str) {
        self.buckets.lock().retain(|(name, _), _| name != collection);
        self.sizes.forget(collection);
    }
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Short {
    /// There will be enough.
    Until { tokens: f64, seconds: u64 },
    /// There never will.
    Forever,
}

impl Bucket {
    fn full(limit: u64) -> Self {
        Self { limit, tokens: limit as f64, filled: Instant::now() }
    }

    fn take(&mut self, cost: u64, now: Instant) -> std::result::Result<(), Short> {
        let rate = self.limit as f64 / MINUTE_S;
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * rate;
        (self.tokens, self.filled) = ((self.tokens + gained).min(self.limit as f64), now);
        if cost > self.limit {
            return Err(Short::Forever);
        }
        let missing = cost as f64 - self.tokens;
        if missing > 0.0 {
            let seconds = (missing / rate).ceil() as u64;
            return Err(Short::Until { tokens: self.tokens, seconds: seconds.max(1) });
        }
        self.tokens -= cost as f64;
        Ok(())
    }
}

impl Short {
    fn refused(self, kind: Kind, cost: u64) -> Error {
        let (name, field) = match kind {
            Kind::Read => ("Read", "read_rate_limit"),
            Kind::Write => ("Write", "write_rate_limit"),
        };
        let (why, seconds) = match self {
            Self::Until { seconds, .. } if cost == 1 => (", retry later".to_owned(), Some(seconds)),
            Self::Until { tokens, seconds } => {
                let why = format!(
                    ": Operation requires {cost} tokens but only {tokens:.1} were available. Retry after {seconds}s"
                );
                (why, Some(seconds))
            }
            // No time is told: clients that upload would wait for it, and send the same again, without end.
            Self::Forever => {
                let why = ", request larger than rate limiter capacity, please try to split your request";
                (why.to_owned(), None)
            }
        };
        Refusal::Rate { seconds }.of(field, format_args!("{name} rate limit exceeded{why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_is_full_at_first_and_fills_in_a_minute() {
        let mut bucket = Bucket::full(6);
        let began = bucket.filled;
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        assert_eq!(bucket.take(7, began), Err(Short::Forever));
        assert_eq!(bucket.take(4, began), Ok(()));
        assert_eq!(bucket.take(3, began), Err(Short::Until { tokens: 2.0, seconds: 10 }));
        assert_eq!(bucket.take(3, after(10)), Ok(()));
        assert_eq!(bucket.take(1, after(15)), Err(Short::Until { tokens: 0.5, seconds: 5 }));
        assert_eq!(bucket.take(6, after(3_600)), Ok(()), "it never holds more than a minute's");
        assert!(bucket.take(1, after(3_600)).is_err());
    }

    /// A client that uploads waited a minute, sent the same points again, and so on for ever.
    #[test]
    fn what_never_fits_has_no_time_to_come_again() {
        let seconds = |short: Short| match Refusal::behind(&short.refused(Kind::Write, 9)) {
            Some(Refusal::Rate { seconds }) => seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(seconds(Short::Forever), None);
        assert_eq!(seconds(Short::Until { tokens: 0.5, seconds: 5 }), Some(5));
    }

    #[test]
    fn reads_and_writes_and_collections_are_counted_apart() {
        let rates = Rates::default();
        let take = |collection: &str, kind| rates.take(collection, kind, Some(1), 1);
        take("a", Kind::Read).expect("the first");
        let error = take("a", Kind::Read).expect_err("the second");
        assert_eq!(error.message(), "Rate limiting exceeded: Read rate limit exceeded, retry later");
        take("a", Kind::Write).expect("another kind");
        take("b", Kind::Read).expect("another collection");
        rates.take("a", Kind::Read, None, 1_000_000).expect("no limit");
        rates.take("a", Kind::Read, Some(2), 2).expect("a new limit begins anew");
        rates.forget("a");
        take("a", Kind::Write).expect("forgotten");
    }
}
