//! Where the building of a collection's segments stands: told by the builder, asked by everybody else.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use index::graph::Progress;
use parking_lot::{Condvar, Mutex};
use types::{Error, Result};

use crate::engine::{Engine, Shared};

/// After a build that failed, the next one waits so long.
const RETRY: Duration = Duration::from_secs(5);

/// Who waits for a build looks so often whether there is anything left to wait for.
const LOOK: Duration = Duration::from_millis(250);

/// A segment that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildStatus {
    /// `seal`, `merge` or `optimize`.
    pub what: &'static str,
    /// Rows that it will have.
    pub rows: usize,
    /// Vectors that it will have, over all spaces.
    pub vectors: u64,
    /// Of these, how many are built.
    pub vectors_built: u64,
}

/// The state of a collection's builds.
#[derive(Default)]
pub(crate) struct Building {
    state: Mutex<State>,
    changed: Condvar,
    /// Vectors of spaces that are done, and of the one that is being built.
    built: Mutex<(u64, u32)>,
}

#[derive(Default)]
struct State {
    doing: Option<BuildStatus>,
    /// How often it was asked to make one segment of everything, and which request was answered last.
    asked: u64,
    answered: u64,
    failure: Option<(Error, Instant)>,
}

impl Building {
    /// What is being built, if anything is.
    pub(crate) fn status(&self) -> Option<BuildStatus> {
        let doing = self.state.lock().doing.clone();
        doing.map(|status| BuildStatus { vectors_built: self.vectors_built(), ..status })
    }

    fn vectors_built(&self) -> u64 {
        let (done, now) = *self.built.lock();
        done + u64::from(now)
    }

    /// Why the last build failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.state.lock().failure.as_ref().map(|(error, _)| error.to_string())
    }

    /// Asks for one segment of everything; the number of the request.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = self.state.lock();
        state.asked += 1;
        state.failure = None;
        state.asked
    }

    /// The request that is to be answered next.
    pub(crate) fn asked(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.asked > state.answered).then_some(state.asked)
    }

    /// Waits until a request is answered, as long as `check` passes.
    ///
    /// # Errors
    /// What the build failed with, or what `check` returns.
    pub(crate) fn wait(&self, request: u64, check: impl Fn() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        while state.answered < request {
            check()?;
            if let Some((error, _)) = &state.failure {
                return Err(error.duplicate());
            }
            self.changed.wait_for(&mut state, LOOK);
        }
        Ok(())
    }

    /// Requests up to this one are answered.
    pub(crate) fn answer(&self, request: u64) {
        let mut state = self.state.lock();
        state.answered = state.answered.max(request);
        self.changed.notify_all();
    }

    pub(crate) fn begin(&self, status: BuildStatus) {
        *self.built.lock() = (0, 0);
        self.state.lock().doing = Some(status);
    }

    /// Ends what was begun.
    pub(crate) fn end(&self, result: &Result<()>) {
        let mut state = self.state.lock();
        state.doing = None;
        state.failure = result.as_ref().err().map(|error| (error.duplicate(), Instant::now()));
        self.changed.notify_all();
    }

    /// Whether the last build failed, and it is too early to try again.
    pub(crate) fn is_failing(&self) -> bool {
        self.state.lock().failure.as_ref().is_some_and(|(_, at)| at.elapsed() < RETRY)
    }
}

/// Tells the builder's progress, and whether it should stop.
pub(crate) struct Watch<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) shared: &'a Shared,
}

impl Progress for Watch<'_> {
    fn built(&self, rows: u32) {
        let mut built = self.shared.building.built.lock();
        // It counts up in each space: where it falls back, the next one has begun.
        if rows < built.1 {
            built.0 += u64::from(built.1);
        }
        built.1 = rows;
    }

    fn is_cancelled(&self) -> bool {
        self.engine.is_closing.load(Ordering::Relaxed) || self.shared.is_dropped.load(Ordering::Relaxed)
    }
}
