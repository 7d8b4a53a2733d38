//! Where calls of the engine run: never on the threads that serve connections.
//!
//! Four lanes. What computes is bounded to the cores, so that no call makes another slower than waiting would. What
//! mostly waits (a commit for its fsync, a look at the counters) has many places, so that commits form groups and
//! nobody who only wants to look stands behind searches. What waits for a client, who may be slow, has few of its
//! own, and so has what waits for the serving engine.
//!
//! Invariant: a call that began ends, even if its client has gone; its place is free only then.
//! Cost: what computes is handed to a [`Pool`] of its own; the rest take a place, and a thread of the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kithdb::{Error, ErrorKind, Histogram, Result, Times};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout_at;
use tracing::Span;

use crate::pool::{Outcome, Pool};

/// Calls that may wait at the same time.
const WAITING_MAX: usize = 64;

/// Files that may be received at the same time. Each holds a thread for as long as its client sends.
const RECEIVING_MAX: usize = 4;

/// Answers that may be on their way at the same time. Each holds a thread for as long as it is written.
const GENERATING_MAX: usize = 64;

/// What a call mostly does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It computes.
    Computes,
    /// It waits.
    Waits,
    /// It waits for its client.
    Receives,
    /// It waits for the serving engine.
    Generates,
}

/// The lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    computes: Pool,
    waits: Places,
    receives: Places,
    generates: Places,
}

/// The places of a lane.
#[derive(Debug)]
struct Places {
    name: &'static str,
    count: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    waits: Histogram,
}

/// How full a lane is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) places: usize,
    /// Calls that have a place.
    pub(crate) running: usize,
    /// Calls that wait for one.
    pub(crate) waiting: usize,
    /// How long calls waited.
    pub(crate) waits: Times,
}

impl Places {
    fn new(name: &'static str, count: usize) -> Self {
        let (free, waiting) = (Arc::new(Semaphore::new(count)), AtomicUsize::new(0));
        Self { name, count, free, waiting, waits: Histogram::default() }
    }

    /// A place, as soon as there is one. The semaphore is never closed: without a place a call would run all the same.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        /// Counted also where the wait is given up.
        struct Waiting<'a>(&'a Places, Instant);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                self.0.waits.observe(self.1.elapsed());
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(self, Instant::now());
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    fn figures(&self) -> Figures {
        Figures {
            name: self.name,
            places: self.count,
            running: self.count - self.free.available_permits().min(self.count),
            waiting: self.waiting.load(Ordering::Relaxed),
            waits: self.waits.times(),
        }
    }
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self {
            computes: Pool::new(),
            waits: Places::new("waits", WAITING_MAX),
            receives: Places::new("receives", RECEIVING_MAX),
            generates: Places::new("generates", GENERATING_MAX),
        }
    }

    /// How full they are.
    pub(crate) fn figures(&self) -> [Figures; 4] {
        let computes = Figures {
            name: "computes",
            places: self.computes.threads_max(),
            running: self.computes.running(),
            waiting: self.computes.waiting(),
            waits: self.computes.waits().times(),
        };
        let [waits, receives, generates] =
            [&self.waits, &self.receives, &self.generates].map(Places::figures);
        [computes, waits, receives, generates]
    }

    /// Waits until nothing computes any more, so long at most. What the runtime runs, it waits for itself.
    pub(crate) fn settle(&self, time_max: Duration) {
        self.computes.settle(time_max);
    }

    /// Runs a call as soon as its lane has a place.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match self.places(lane) {
            Some(places) => ended(begun(places.take().await, call)).await,
            None => self.computes.run(call).await,
        }
    }

    /// Runs a call that must be answered by then. A call without a place until then never begins; one that computes
    /// is not waited for any longer, and what it finds is thrown away; one that waits is a write, which nobody takes
    /// back: it is waited for.
    ///
    /// # Errors
    /// `DeadlineExceeded`, saying whether anything was begun.
    pub(crate) async fn run_until<T: Send + 'static>(
        &self,
        lane: Lane,
        deadline: Instant,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        const NOTHING_DONE: &str = "the server had no time for it, and nothing was done; try again later";
        const TOO_LONG: &str =
            "it took too long; ask for less, or give it more time (timeout, request_max_s)";
        let late = |what: &str| Err(Error::new(ErrorKind::DeadlineExceeded, what));
        match self.places(lane) {
            Some(places) => match timeout_at(deadline.into(), places.take()).await {
                Ok(place) => Ok(ended(begun(place, call)).await),
                Err(_) => late(NOTHING_DONE),
            },
            None => match self.computes.run_until(deadline, call).await {
                Outcome::Ended(outcome) => Ok(outcome),
                Outcome::NeverBegan => late(NOTHING_DONE),
                Outcome::Runs => late(TOO_LONG),
            },
        }
    }

    /// The places of a lane; nothing of the one that computes.
    fn places(&self, lane: Lane) -> Option<&Places> {
        match lane {
            Lane::Computes => None,
            Lane::Waits => Some(&self.waits),
            Lane::Receives => Some(&self.receives),
            Lane::Generates => Some(&self.generates),
        }
    }
}

/// Begins a call, told below the span of who asks.
fn begun<T: Send + 'static>(
    place: Option<OwnedSemaphorePermit>,
    call: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let span = Span::current();
    spawn_blocking(move || {
        let outcome = span.in_scope(call);
        drop(place);
        outcome
    })
}

/// What a call returned.
async fn ended<T>(ran: JoinHandle<T>) -> T {
    match ran.await {
        Ok(outcome) => outcome,
        // The layer that answers for panics is above.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::thread::available_parallelism;

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

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_late_is_told_so_and_what_was_begun_keeps_its_place() {
        let lanes = Arc::new(Lanes::new());
        let cores = available_parallelism().map_or(1, NonZero::get);
        let soon = || Instant::now() + Duration::from_millis(20);
        let slow = || std::thread::sleep(Duration::from_millis(200));
        let begun: Vec<_> = (0..cores)
            .map(|_| {
                let lanes = Arc::clone(&lanes);
                tokio::spawn(async move { lanes.run_until(Lane::Computes, soon(), slow).await })
            })
            .collect();
        for call in begun {
            let error = call.await.expect("no panic").expect_err("late");
            assert!(error.message().contains("too long"), "{error}");
        }
        let error = lanes.run_until(Lane::Computes, soon(), || ()).await.expect_err("no place");
        assert!(error.message().contains("nothing was done"), "{error}");
        lanes.run_until(Lane::Waits, soon(), slow).await.expect("a write is waited for");
        let computes = lanes.figures()[0];
        assert_eq!((computes.name, computes.places, computes.waiting), ("computes", cores, 0));
        assert_eq!(computes.waits.count(), cores as u64 + 1, "who gave up has waited, too");
    }
}
