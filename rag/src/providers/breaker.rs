//! A circuit breaker: when a server gives nothing, who comes next is told so at once, and asks no more for a while.
//!
//! Without it each query waits out the same silence, in a place where other searches could run. After the pause one
//! query asks, and the others are told until it knows more.
//!
//! Invariant: what is broken heals by itself. A query that never comes back holds the others up for a bounded time.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use types::{Error, ErrorKind, Result};

/// What became of the calls before.
pub(super) struct Breaker {
    /// After a call that failed.
    pause: Duration,
    /// How long one call may be out to see whether the server is back.
    probe_max: Duration,
    /// Until when nobody asks; nothing while the server answers.
    open_until: Mutex<Option<Instant>>,
}

impl Breaker {
    pub(super) fn new(pause: Duration, probe_max: Duration) -> Self {
        Self { pause, probe_max, open_until: Mutex::new(None) }
    }

    /// Makes a call, unless the server gave nothing a moment ago.
    ///
    /// # Errors
    /// `Busy`, and nothing was called; what the call returns.
    pub(super) fn call<T>(&self, url: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.is_let_through() {
            let message =
                format!("{url} gave no vectors a moment ago, and is not asked now; try again later");
            return Err(Error::new(ErrorKind::Busy, message).with_field("model"));
        }
        let outcome = call();
        // Who refuses is there.
        let is_away = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Busy);
        *self.open_until.lock() = if is_away { Instant::now().checked_add(self.pause) } else { None };
        outcome
    }

    fn is_let_through(&self) -> bool {
        let now = Instant::now();
        let mut open_until = self.open_until.lock();
        match *open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                *open_until = now.checked_add(self.probe_max);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn outcome(kind: Option<ErrorKind>) -> Result<()> {
        kind.map_or(Ok(()), |kind| Err(Error::new(kind, "as told")))
    }

    /// Whether a call is made, and would end so.
    fn is_made(breaker: &Breaker, kind: Option<ErrorKind>) -> bool {
        let mut is_made = false;
        let _ = breaker.call("x", || {
            is_made = true;
            outcome(kind)
        });
        is_made
    }

    #[test]
    fn who_is_away_is_asked_by_one_after_a_pause() {
        let breaker = Breaker::new(Duration::from_millis(300), Duration::from_secs(60));
        let (busy, refused) = (Some(ErrorKind::Busy), Some(ErrorKind::InvalidArgument));
        assert!(is_made(&breaker, None) && is_made(&breaker, refused), "who refuses is there");
        assert!(is_made(&breaker, busy));
        assert!(!is_made(&breaker, None), "not a moment later");
        let error = breaker.call("http://x", || outcome(None)).expect_err("told at once");
        assert_eq!((error.kind(), error.field()), (ErrorKind::Busy, Some("model")));
        thread::sleep(Duration::from_millis(350));
        let within = breaker.call("x", || {
            assert!(!is_made(&breaker, None), "one asks, and the others wait for what it learns");
            outcome(busy)
        });
        assert!(within.is_err() && !is_made(&breaker, None));
        thread::sleep(Duration::from_millis(350));
        assert!(is_made(&breaker, None) && is_made(&breaker, None), "it is back");
    }

    #[test]
    fn who_asks_and_never_comes_back_is_waited_for_so_long_only() {
        let breaker = Breaker::new(Duration::ZERO, Duration::from_millis(300));
        assert!(is_made(&breaker, Some(ErrorKind::Busy)));
        assert!(breaker.is_let_through() && !breaker.is_let_through());
        thread::sleep(Duration::from_millis(350));
        assert!(breaker.is_let_through());
    }
}
