//! Measures the recall of live queries: a share of them is searched again, exactly, in the background. And looks
//! whether vectors drift.
//!
//! Invariant: nothing waits for it. A query that is chosen while others wait to be compared is passed over, by chance
//! like the choice itself; comparing takes at most [`IDLE_SHARE`] of one core, at the lowest priority, and so does
//! looking for drift.
//! Cost: a counter for each query; what is chosen holds its view until it is compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use query::{Sampled, Terms, View};

use crate::budget;
use crate::building::Role;
use crate::drift;
use crate::engine::Engine;

/// Queries that may wait to be compared.
const WAITING_MAX: usize = 4;

/// Of one core.
const IDLE_SHARE: u32 = 50;

/// A comparison that takes longer is given up.
const COMPARE_MAX: Duration = Duration::from_secs(20);

/// How often it looks whether the database closes.
const LOOK: Duration = Duration::from_millis(100);

/// How often it looks for a collection whose vectors are to be compared.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Searches of one query, and the view that they were asked of.
pub(crate) struct Job {
    view: Arc<View>,
    sampled: Vec<Sampled>,
}

/// Chooses queries.
pub(crate) struct Monitor {
    /// Of 2^64.
    share: u64,
    asked: AtomicU64,
    jobs: Sender<Job>,
}

impl Monitor {
    /// Chooses this share of the queries, from 0 to 1.
    pub(crate) fn new(share: f64) -> (Self, Receiver<Job>) {
        let (jobs, received) = crossbeam_channel::bounded(WAITING_MAX);
        // Saturates at both ends; not a number is none.
        let share = (share * 2_f64.powi(64)) as u64;
        (Self { share, asked: AtomicU64::new(0), jobs }, received)
    }

    /// Whether the next query is to be compared.
    pub(crate) fn chooses(&self) -> bool {
        self.share > 0 && mixed(self.asked.fetch_add(1, Ordering::Relaxed)) <= self.share
    }

    /// Takes what a chosen query found, if there is room.
    pub(crate) fn take(&self, view: &Arc<View>, sampled: Vec<Sampled>) {
        if sampled.is_empty() {
            return;
        }
        match self.jobs.try_send(Job { view: Arc::clone(view), sampled }) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Compares until the database closes.
pub(crate) fn run(engine: &Engine, jobs: &Receiver<Job>) {
    budget::step_back(Role::Merge);
    let mut next = Instant::now() + LOOK_AROUND;
    while !engine.is_closing.load(Ordering::Acquire) {
        match jobs.recv_timeout(LOOK) {
            Ok(job) => {
                let began = Instant::now();
                compare(job);
                rest(engine, began.elapsed() * (IDLE_SHARE - 1));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if Instant::now() >= next {
            let took = drift::look_around(engine).unwrap_or_default();
            next = Instant::now() + LOOK_AROUND.max(took * (IDLE_SHARE - 1));
        }
    }
}

fn compare(Job { view, sampled }: Job) {
    for search in sampled {
        let deadline = Some(Instant::now() + COMPARE_MAX);
        let terms = Terms { deadline, is_partial_welcome: true, ..Terms::default() };
        if let Err(error) = search.compare(&view, terms) {
            tracing::debug!(%error, collection = view.entry.name, "a query could not be compared");
        }
    }
}

fn rest(engine: &Engine, time: Duration) {
    let until = Instant::now() + time;
    while !engine.is_closing.load(Ordering::Acquire) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// A number that looks like chance, another for each: the finaliser of splitmix64 (Steele et al. 2014).
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(share: f64, of: usize) -> usize {
        let (monitor, _jobs) = Monitor::new(share);
        (0..of).filter(|_| monitor.chooses()).count()
    }

    #[test]
    fn the_share_that_is_asked_for_is_chosen() {
        assert_eq!((chosen(0.0, 1000), chosen(1.0, 1000), chosen(f64::NAN, 1000)), (0, 1000, 0));
        let some = chosen(0.01, 100_000);
        assert!((900..1100).contains(&some), "{some}");
    }
}
