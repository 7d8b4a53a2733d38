//! Places for answers at the same time, so that the engine's queue is not the one that fills.
//!
//! Invariant: never more than there are places; whoever waits longer than allowed, or is cancelled, gets none.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::watch::Cancel;
use super::{Failure, FailureKind};

#[derive(Debug)]
pub(super) struct Places {
    /// The setting that says how many there are.
    setting: &'static str,
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place, given back when it is dropped.
pub(super) struct Place<'a>(&'a Places);

/// Between two looks whether the answer is still wanted.
const SLICE: Duration = Duration::from_millis(100);

impl Places {
    pub(super) fn new(count: usize, setting: &'static str) -> Self {
        Self { setting, free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Takes a place, waiting for it at most so long.
    ///
    /// # Errors
    /// `Overloaded`, `Cancelled`.
    pub(super) fn take(&self, time_max: Duration, cancel: &Cancel) -> Result<Place<'_>, Failure> {
        let until = Instant::now() + time_max;
        let mut free = self.free.lock();
        while *free == 0 {
            if cancel.is_cancelled() {
                return Err(Failure::new(FailureKind::Cancelled, "nobody waits for it"));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = format!("{} answers are being made, and none ended in time", self.setting);
                return Err(Failure {
                    retry_after: Some(Duration::from_secs(1)),
                    ..Failure::new(FailureKind::Overloaded, said)
                });
            }
            self.freed.wait_for(&mut free, left.min(SLICE));
        }
        *free -= 1;
        Ok(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_and_comes_back() {
        let places = Places::new(1, "calls_max");
        let cancel = Cancel::new();
        let first = places.take(Duration::ZERO, &cancel).expect("free");
        let kind = |time| places.take(time, &cancel).err().expect("none").kind;
        assert_eq!(kind(Duration::from_millis(5)), FailureKind::Overloaded);
        drop(first);
        let _again = places.take(Duration::ZERO, &cancel).expect("free again");
        cancel.cancel();
        assert_eq!(kind(Duration::from_secs(60)), FailureKind::Cancelled);
    }
}
