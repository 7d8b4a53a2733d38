//! Measures the recall of live queries: a share of them is searched again, exactly, in the background. And looks
//! whether vectors drift.
//!
//! Invariant: nothing waits for it. While one is compared, and in the rest behind that, none is chosen, by chance like
//! the choice itself; comparing takes at most one part of [`CORE_PARTS`] of one core, at the lowest priority, and so
//! does looking for drift.
//! Cost: a counter for each query; what is chosen holds its view until it is compared, and so what that shows: none
//! waits for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use query::{Sampled, Terms, View};
use types::random;

use crate::budget;
use crate::building::Role;
use crate::drift;
use crate::engine::Engine;

/// Queries that may wait to be compared.
const WAITING_MAX: usize = 1;

/// The time of one core is so many parts: 2 % each.
const CORE_PARTS: u32 = 50;

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
    /// One is compared, or rested from.
    is_busy: AtomicBool,
    jobs: Sender<Job>,
}

impl Monitor {
    /// Chooses this share of the queries, from 0 to 1.
    pub(crate) fn new(share: f64) -> (Self, Receiver<Job>) {
        let (jobs, received) = crossbeam_channel::bounded(WAITING_MAX);
        // Saturates at both ends; not a number is none.
        let share = (share * 2_f64.powi(64)) as u64;
        (Self { share, asked: AtomicU64::new(0), is_busy: AtomicBool::new(false), jobs }, received)
    }

    /// Whether the next query is to be compared.
    pub(crate) fn chooses(&self) -> bool {
        self.share > 0
            && random::nth(self.asked.fetch_add(1, Ordering::Relaxed)) <= self.share
            && !self.is_busy.load(Ordering::Relaxed)
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
                engine.monitor.is_busy.store(true, Ordering::Relaxed);
                // What came at the same moment would hold its view as long as this rests.
                jobs.try_iter().for_each(drop);
                let began = Instant::now();
                compare(job, &engine.is_closing);
                rest(engine, began.elapsed() * (CORE_PARTS - 1));
                engine.monitor.is_busy.store(false, Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if Instant::now() >= next {
            let took = drift::look_around(engine).unwrap_or_default();
            next = Instant::now() + LOOK_AROUND.max(took * (CORE_PARTS - 1));
        }
    }
}

/// Compares the searches of a query, unless the database closes.
fn compare(Job { view, sampled }: Job, is_closing: &Arc<AtomicBool>) {
    for search in sampled {
        let deadline = Some(Instant::now() + COMPARE_MAX);
        let terms = Terms { deadline, is_partial_welcome: true, ..Terms::default() };
        if let Err(error) = search.compare(&view, terms, is_closing) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Options};
    use types::{Metric, Point, Schema};

    const DIM: usize = 24;

    fn vector(seed: u64) -> Vec<f32> {
        let element = |place: u64| random::nth((seed << 8) | place) as u32 as f32 / u32::MAX as f32;
        (0..DIM as u64).map(element).collect()
    }

    /// An exact search may take many seconds, and closing waits for the thread that makes it.
    #[test]
    fn a_comparison_ends_with_the_database() {
        let db = Database::in_memory_with(Options { sampled: 0.0, ..Options::default() }).expect("made");
        let notes = db.create_collection("notes", Schema::new().vector(DIM, Metric::Euclid)).expect("made");
        notes.upsert((0..6_000).map(|id| Point::new(id).vector(vector(id))).collect()).expect("points");
        notes.optimize(true).expect("a segment");
        let view = notes.shared.view.load_full();
        let compared = |is_closing: bool| {
            let mut request = notes.query().nearest(vector(7_000)).ef(10).limit(10).request();
            request.check(&view.entry.schema, db.limits(), view.points()).expect("a request");
            let answer = query::execute_sampled(&view, request, Terms::default()).expect("hits");
            assert!(!answer.sampled.is_empty(), "{:?}", answer.plan);
            let job = Job { view: Arc::clone(&view), sampled: answer.sampled };
            compare(job, &Arc::new(AtomicBool::new(is_closing)));
            view.observed.measured().iter().map(|measured| measured.queries).sum::<usize>()
        };
        assert_eq!(compared(true), 0);
        assert!(compared(false) > 0);
    }

    fn chosen(share: f64, of: usize) -> usize {
        let (monitor, _jobs) = Monitor::new(share);
        (0..of).filter(|_| monitor.chooses()).count()
    }

    /// It would hold its view, and all that this shows, for minutes.
    #[test]
    fn nothing_is_chosen_while_something_is_compared() {
        let (monitor, _jobs) = Monitor::new(1.0);
        monitor.is_busy.store(true, Ordering::Relaxed);
        assert!(!monitor.chooses());
        monitor.is_busy.store(false, Ordering::Relaxed);
        assert!(monitor.chooses());
    }

    #[test]
    fn the_share_that_is_asked_for_is_chosen() {
        assert_eq!((chosen(0.0, 1000), chosen(1.0, 1000), chosen(f64::NAN, 1000)), (0, 1000, 0));
        let some = chosen(0.01, 100_000);
        assert!((900..1100).contains(&some), "{some}");
    }
}
