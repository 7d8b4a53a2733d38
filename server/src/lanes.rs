//! Where calls of the engine run: never on the threads that serve connections.
//!
//! Two lanes. What computes is bounded to the cores, so that no call makes another slower than waiting would. What
//! mostly waits (a commit for its fsync, a look at the counters) has many places, so that commits form groups and
//! nobody who only wants to look stands behind searches.
//!
//! Invariant: a call that began ends, even if its client has gone; its place is free only then.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Calls that may wait at the same time.
const WAITING_MAX: usize = 64;

/// What a call mostly does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It computes.
    Computes,
    /// It waits.
    Waits,
}

/// The places of both lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    computes: Arc<Semaphore>,
    waits: Arc<Semaphore>,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self { computes: Arc::new(Semaphore::new(cores)), waits: Arc::new(Semaphore::new(WAITING_MAX)) }
    }

    /// Runs a call as soon as its lane has a place.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let places = match lane {
            Lane::Computes => &self.computes,
            Lane::Waits => &self.waits,
        };
        // The semaphores are never closed: without a place the call would run all the same.
        let place = Arc::clone(places).acquire_owned().await.ok();
        let ran = spawn_blocking(move || {
            let outcome = call();
            drop(place);
            outcome
        });
        match ran.await {
            Ok(outcome) => outcome,
            // The layer that answers for panics is above.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn no_more_compute_at_once_than_there_are_cores() {
        let lanes = Arc::new(Lanes::new());
        let cores = available_parallelism().map_or(1, NonZero::get);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..cores * 4)
            .map(|_| {
                let (lanes, now, most) = (Arc::clone(&lanes), Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move {
                    let call = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(5));
                        now.fetch_sub(1, Ordering::SeqCst);
                    };
                    lanes.run(Lane::Computes, call).await;
                })
            })
            .collect();
        for call in calls {
            call.await.expect("no panic");
        }
        assert_eq!(most.load(Ordering::SeqCst), cores);
    }
}
