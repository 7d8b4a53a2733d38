//! The thread that ingests what was uploaded, job by job, in the order in which they came.
//!
//! Invariants: one thread for a database in this process, so that no document is ingested twice at once; what a job
//! has done is in the database alone, so that it goes on wherever a process ended. A job that cannot go on for now (no
//! model, an embedding server that is down) is tried again, less and less often.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kithdb::{Database, Error, ErrorKind, PointId, Result};
use parking_lot::Mutex;
use rag::{Embedder, jobs};

/// Half of the first pause after a job could not go on; each next one is twice as long, up to the second.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// The thread, which ends with this.
pub(crate) struct Jobs {
    woken: Mutex<Option<Sender<()>>>,
    is_stopping: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// Jobs, counted.
#[derive(Default)]
struct Counts {
    /// Those that have not ended, as far as is known.
    waiting: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

/// What is told of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobFigures {
    /// Jobs that have not ended.
    pub(crate) waiting: u64,
    /// Jobs of this process that are done.
    pub(crate) done: u64,
    /// Jobs of this process that failed for good.
    pub(crate) failed: u64,
}

impl Jobs {
    /// Goes on with what an earlier process left, and waits for more.
    pub(crate) fn start(db: &Database, embedder: Option<Arc<Embedder>>) -> Self {
        let (woken, wakes) = channel();
        let (is_stopping, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let (db, stopping, counted) = (db.clone(), Arc::clone(&is_stopping), Arc::clone(&counts));
        let work = move || work(&db, embedder.as_deref(), &wakes, &stopping, &counted);
        let thread = thread::Builder::new().name("kithdb-jobs".to_owned()).spawn(work);
        let thread = thread.map_err(|error| tracing::error!(%error, "uploads are not ingested")).ok();
        Self { woken: Mutex::new(Some(woken)), is_stopping, counts, thread }
    }

    /// Says that there is a job.
    pub(crate) fn wake(&self) {
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        if let Some(woken) = &*self.woken.lock() {
            // Without the thread the job waits for the next process.
            let _ = woken.send(());
        }
    }

    /// How many there are, and what became of those that ended.
    pub(crate) fn figures(&self) -> JobFigures {
        let Counts { waiting, done, failed } = &*self.counts;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        JobFigures { waiting: count(waiting), done: count(done), failed: count(failed) }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        *self.woken.lock() = None;
        if let Some(thread) = self.thread.take() {
            // It has said what went wrong itself.
            let _ = thread.join();
        }
    }
}

fn work(
    db: &Database,
    embedder: Option<&Embedder>,
    wakes: &Receiver<()>,
    stopping: &AtomicBool,
    counts: &Counts,
) {
    let is_stopped = || stopping.load(Ordering::Relaxed);
    let mut pause = PAUSE;
    while !is_stopped() {
        let is_stuck = !go_on(db, embedder, &is_stopped, counts);
        pause = if is_stuck { (pause * 2).min(PAUSE_MAX) } else { PAUSE };
        let woken = match is_stuck {
            true => wakes.recv_timeout(pause),
            false => wakes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if woken == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        // One look finds all that have come.
        while wakes.try_recv().is_ok() {}
    }
}

/// Goes on with every job there is; whether all of them ended.
fn go_on(db: &Database, embedder: Option<&Embedder>, is_stopped: &dyn Fn() -> bool, counts: &Counts) -> bool {
    let unfinished = jobs::unfinished(db).unwrap_or_else(|error| {
        tracing::error!(%error, "jobs cannot be read");
        Vec::new()
    });
    counts.waiting.store(unfinished.len() as u64, Ordering::Relaxed);
    let mut all_ended = true;
    for job in unfinished {
        if is_stopped() {
            return false;
        }
        let ended = match run(db, job.id, embedder, is_stopped) {
            // One that runs still was stopped with the server.
            Ok(job) => (job.state != jobs::State::Running).then_some(&counts.done),
            Err(error) => {
                let is_final = !can_pass(&error);
                all_ended &= is_final;
                tracing::warn!(job = %job.id, collection = job.collection, %error, is_final, "a job could not go on");
                if let Err(error) = jobs::note(db, job.id, &error, is_final) {
                    tracing::error!(job = %job.id, %error, "what went wrong could not be noted");
                }
                is_final.then_some(&counts.failed)
            }
        };
        if let Some(count) = ended {
            count.fetch_add(1, Ordering::Relaxed);
            counts.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
    all_ended
}

/// Goes on with a job. A defect ends the job, and not the thread that all others wait for.
fn run(
    db: &Database,
    job: PointId,
    embedder: Option<&Embedder>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<jobs::Job> {
    let ran = catch_unwind(AssertUnwindSafe(|| jobs::run(db, job, embedder, is_stopped)));
    ran.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "ingesting it met a defect of this program")))
}

/// Whether the same job may go on another time: the fault is not its own.
fn can_pass(error: &Error) -> bool {
    let kinds = [
        ErrorKind::Busy,
        ErrorKind::Io,
        ErrorKind::DeadlineExceeded,
        ErrorKind::Poisoned,
        ErrorKind::StorageFull,
    ];
    kinds.contains(&error.kind()) || error.field() == Some("model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_dropped_only_for_a_fault_of_its_own() {
        for kind in [ErrorKind::Busy, ErrorKind::Io, ErrorKind::StorageFull, ErrorKind::Poisoned] {
            assert!(can_pass(&Error::new(kind, "why")), "{kind:?}");
        }
        assert!(can_pass(&Error::invalid("model", "is another one")));
        for error in [Error::invalid("documents", "cannot be"), Error::new(ErrorKind::Internal, "a defect")] {
            assert!(!can_pass(&error), "{error}");
        }
    }
}
