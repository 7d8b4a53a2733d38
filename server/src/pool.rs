//! Threads that compute: as many calls at the same time as there are cores, the others in the order in which they came.
//!
//! A thread that is done takes the next call by itself. Were places given out to tasks instead, each would be woken on
//! the thread of its connection only to wake another thread, and so it would be for every call as soon as they wait.
//!
//! Invariant: a call that began ends, even if nobody waits for it any more; one that was given up before it began never
//! does.
//! Cost: a lock and a wake-up a call. A thread is begun when it is needed first, and ends with the pool.
//! When not to use: for what waits, for a disk or for somebody: it would hold the place of one that computes.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use kithdb::Histogram;
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use tracing::Span;

/// The threads.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

/// What became of a call until its deadline.
pub(crate) enum Outcome<T> {
    /// It ended.
    Ended(T),
    /// It never began, and never will.
    NeverBegan,
    /// It runs still.
    Runs,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct Shared {
    threads_max: usize,
    queue: Mutex<Queue>,
    /// There is a job, or an end.
    news: Condvar,
    /// Nothing runs any more, or waits.
    settled: Condvar,
    waiting: AtomicUsize,
    waits: Histogram,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that wait, and were not told anything since.
    idle: usize,
    threads: usize,
    running: usize,
    is_closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("jobs", &self.jobs.len()).field("running", &self.running).finish()
    }
}

/// A call that was asked for. Who lets go of it before it begins gives it up.
struct Asked {
    shared: Arc<Shared>,
    at: Instant,
    /// Taken once: by the thread that begins the call, or by who gives it up.
    is_taken: Arc<AtomicBool>,
}

impl Asked {
    fn take(&self) -> bool {
        let is_first = !self.is_taken.swap(true, Ordering::AcqRel);
        if is_first {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.waits.observe(self.at.elapsed());
        }
        is_first
    }
}

/// The side of who asked.
struct Waiter(Asked);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.take();
    }
}

impl Pool {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            threads_max: available_parallelism().map_or(1, NonZero::get),
            queue: Mutex::default(),
            news: Condvar::new(),
            settled: Condvar::new(),
            waiting: AtomicUsize::new(0),
            waits: Histogram::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Threads, at most.
    pub(crate) fn threads_max(&self) -> usize {
        self.shared.threads_max
    }

    /// Calls that run.
    pub(crate) fn running(&self) -> usize {
        self.shared.queue.lock().running
    }

    /// Calls that wait for a thread.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// How long calls waited.
    pub(crate) fn waits(&self) -> &Histogram {
        &self.shared.waits
    }

    /// Runs a call.
    pub(crate) async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        let (_waiter, ended) = self.ask(call);
        outcome(ended.await)
    }

    /// Runs a call that must end by then.
    pub(crate) async fn run_until<T: Send + 'static>(
        &self,
        deadline: Instant,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Outcome<T> {
        let (waiter, ended) = self.ask(call);
        match timeout_at(deadline.into(), ended).await {
            Ok(ended) => Outcome::Ended(outcome(ended)),
            Err(_) if waiter.0.take() => Outcome::NeverBegan,
            Err(_) => Outcome::Runs,
        }
    }

    /// Waits until nothing runs, so long at most.
    pub(crate) fn settle(&self, time_max: Duration) {
        let end = Instant::now() + time_max;
        let mut queue = self.shared.queue.lock();
        while queue.running > 0 || !queue.jobs.is_empty() {
            if self.shared.settled.wait_until(&mut queue, end).timed_out() {
                return;
            }
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> (Waiter, oneshot::Receiver<thread::Result<T>>) {
        let (sender, ended) = oneshot::channel();
        let asked =
            || Asked { shared: Arc::clone(&self.shared), at: Instant::now(), is_taken: Arc::default() };
        let waiter = Waiter(asked());
        let asked = Asked { is_taken: Arc::clone(&waiter.0.is_taken), ..asked() };
        let (handle, span) = (Handle::current(), Span::current());
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        self.put(Box::new(move || {
            if !asked.take() {
                return;
            }
            let inside = handle.enter();
            let outcome = catch_unwind(AssertUnwindSafe(|| span.in_scope(call)));
            drop((inside, span));
            // Nobody may wait any more.
            let _ = sender.send(outcome);
        }));
        (waiter, ended)
    }

    fn put(&self, job: Job) {
        let mut queue = self.shared.queue.lock();
        queue.jobs.push_back(job);
        if queue.idle > 0 {
            queue.idle -= 1;
            self.shared.news.notify_one();
        } else if queue.threads < self.shared.threads_max {
            queue.threads += 1;
            drop(queue);
            self.begin_thread();
        }
    }

    /// Where the system gives no thread, those that are there go on, and without one the caller computes.
    fn begin_thread(&self) {
        let shared = Arc::clone(&self.shared);
        let begun = thread::Builder::new().name("kithdb-computes".into()).spawn(move || shared.work());
        if let Err(error) = begun {
            tracing::warn!(%error, "there is no thread to compute with");
            let mut queue = self.shared.queue.lock();
            queue.threads -= 1;
            let job = if queue.threads == 0 { queue.jobs.pop_front() } else { None };
            drop(queue);
            if let Some(job) = job {
                job();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.news.notify_all();
    }
}

impl Shared {
    /// Takes jobs until the pool closes and there are none.
    fn work(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.running += 1;
                drop(queue);
                job();
                queue = self.queue.lock();
                queue.running -= 1;
                if queue.running == 0 && queue.jobs.is_empty() {
                    self.settled.notify_all();
                }
            } else if queue.is_closed {
                return;
            } else {
                queue.idle += 1;
                self.news.wait(&mut queue);
            }
        }
    }
}

/// What a call returned; where it panicked, so does who asked: the layer that answers for panics is above.
fn outcome<T>(ended: Result<thread::Result<T>, oneshot::error::RecvError>) -> T {
    match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => resume_unwind(panic),
        // The threads outlive the pool, which who asks borrows.
        Err(error) => resume_unwind(Box::new(error)),
    }
}
