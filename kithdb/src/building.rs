//! Where the building of a collection's segments stands: told by the builders, asked by everybody else.
//!
//! Invariant: a role is at one build at most. Whoever waits for a request has an end: it is answered, the build failed,
//! or the collection was dropped.
//! Cost: a lock for as long as a few numbers are read or written. Nothing is built under it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use index::Segment;
use index::graph::Progress;
use parking_lot::{Condvar, Mutex};
use types::{Error, Histogram, Result, Times, Version};

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

/// Who builds: one thread each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Makes segments of heads that are full.
    Seal,
    /// Makes one segment of several.
    Merge,
}

impl Role {
    /// What it passes on its way: a segment is made, readers see it, the list names it.
    pub(crate) fn waypoints(self) -> [&'static str; 3] {
        match self {
            Self::Seal => ["seal.built", "seal.published", "seal.listed"],
            Self::Merge => ["merge.built", "merge.published", "merge.listed"],
        }
    }
}

/// What one request for one segment of everything is about: what was there when it was taken up, so that it has an end
/// while others write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// The request.
    pub(crate) request: u64,
    /// Parts that begin with this version, or a later one, came afterwards.
    pub(crate) until: Version,
    /// Segments with this number, or a larger one, were made for it, whatever has died in them since.
    pub(crate) first_number: u64,
}

/// The state of a collection's builds.
#[derive(Default)]
pub(crate) struct Building {
    state: Mutex<State>,
    changed: Condvar,
    /// Segments of which nobody has read every byte since they were opened.
    unverified: Mutex<Vec<Weak<Segment>>>,
    /// How long builds took.
    done: Histogram,
}

#[derive(Default)]
struct State {
    seal: Work,
    merge: Work,
    /// How often it was asked to make one segment of everything, and which request was answered last.
    asked: u64,
    answered: u64,
    /// Requests up to this one give way to seals: writers have waited for one since.
    gave_way: u64,
    /// Of the request that was taken up last.
    goal: Option<Goal>,
}

/// What one role is at.
#[derive(Default)]
struct Work {
    doing: Option<BuildStatus>,
    began: Option<Instant>,
    /// Vectors of spaces that are done, and of the one that is being built.
    built: (u64, u32),
    /// What is being done takes heads that could be sealed.
    takes_heads: bool,
    failure: Option<(Error, Instant)>,
}

impl State {
    fn work(&mut self, role: Role) -> &mut Work {
        match role {
            Role::Seal => &mut self.seal,
            Role::Merge => &mut self.merge,
        }
    }

    fn gives_way(&self) -> bool {
        self.asked > self.answered && self.gave_way >= self.asked
    }
}

impl Work {
    fn status(&self) -> Option<BuildStatus> {
        let vectors_built = self.built.0 + u64::from(self.built.1);
        self.doing.clone().map(|status| BuildStatus { vectors_built, ..status })
    }

    fn is_failing(&self) -> bool {
        self.failure.as_ref().is_some_and(|(_, at)| at.elapsed() < RETRY)
    }
}

impl Building {
    /// What is being built, if anything is: of two builds the larger.
    pub(crate) fn status(&self) -> Option<BuildStatus> {
        let state = self.state.lock();
        state.merge.status().or_else(|| state.seal.status())
    }

    /// Segments that are to be verified in a quiet moment.
    pub(crate) fn verify_later(&self, segments: impl IntoIterator<Item = Arc<Segment>>) {
        self.unverified.lock().extend(segments.into_iter().map(|segment| Arc::downgrade(&segment)));
    }

    /// One of them, if it is still there.
    pub(crate) fn unverified(&self) -> Option<Arc<Segment>> {
        let mut unverified = self.unverified.lock();
        std::iter::from_fn(|| unverified.pop()).find_map(|segment| segment.upgrade())
    }

    /// Why a last build failed, if one did.
    pub(crate) fn failure(&self) -> Option<String> {
        let state = self.state.lock();
        let mut failures = [&state.seal, &state.merge].into_iter().filter_map(|work| work.failure.as_ref());
        failures.next().map(|(error, _)| error.to_string())
    }

    /// Asks for one segment of everything; the number of the request.
    pub(crate) fn ask(&self) -> u64 {
        let mut state = self.state.lock();
        state.asked += 1;
        state.merge.failure = None;
        state.asked
    }

    /// The last request, if it is not answered yet.
    pub(crate) fn asked(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.asked > state.answered).then_some(state.asked)
    }

    /// Has heads sealed although there is a request, for writers wait for that: the request waits for those that it is
    /// about, and is done of segments alone.
    pub(crate) fn give_way(&self) {
        let mut state = self.state.lock();
        state.gave_way = state.asked;
    }

    /// Whether there is a request that has given way.
    pub(crate) fn gives_way(&self) -> bool {
        self.state.lock().gives_way()
    }

    /// Whether there is a request beside which nothing is sealed.
    pub(crate) fn is_alone(&self) -> bool {
        let state = self.state.lock();
        state.asked > state.answered && !state.gives_way()
    }

    /// Whether what is being done for a request takes heads that are to be sealed first.
    fn is_in_the_way(&self) -> bool {
        let state = self.state.lock();
        state.merge.takes_heads && state.gives_way() && !state.seal.is_failing()
    }

    /// What is being done for a request, if one was taken up and is not answered yet.
    pub(crate) fn goal(&self) -> Option<Goal> {
        let state = self.state.lock();
        state.goal.filter(|goal| goal.request > state.answered)
    }

    /// Takes a request up.
    pub(crate) fn take_up(&self, goal: Goal) {
        self.state.lock().goal = Some(goal);
    }

    /// Waits until a request is answered, as long as `check` passes.
    ///
    /// # Errors
    /// What the build failed with, or what `check` returns.
    pub(crate) fn wait(&self, request: u64, check: impl Fn() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            // One that failed is answered as well: it is given up.
            if let Some((error, _)) = &state.merge.failure {
                return Err(error.duplicate());
            }
            if state.answered >= request {
                return Ok(());
            }
            check()?;
            self.changed.wait_for(&mut state, LOOK);
        }
    }

    /// Requests up to this one are answered.
    pub(crate) fn answer(&self, request: u64) {
        let mut state = self.state.lock();
        state.answered = state.answered.max(request);
        self.changed.notify_all();
    }

    /// Begins a build, of heads among others or of segments alone.
    pub(crate) fn begin(&self, role: Role, status: BuildStatus, takes_heads: bool) {
        let mut state = self.state.lock();
        let work = state.work(role);
        work.takes_heads = takes_heads;
        (work.doing, work.built, work.began) = (Some(status), (0, 0), Some(Instant::now()));
    }

    /// Ends what was begun; how long it took.
    pub(crate) fn end(&self, role: Role, result: &Result<()>) -> Duration {
        let mut state = self.state.lock();
        let work = state.work(role);
        work.doing = None;
        work.takes_heads = false;
        let took = work.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        work.failure = result.as_ref().err().map(|error| (error.duplicate(), Instant::now()));
        self.changed.notify_all();
        self.done.observe(took);
        took
    }

    /// How long builds took that have ended.
    pub(crate) fn done(&self) -> Times {
        self.done.times()
    }

    /// Whether a role is at something.
    pub(crate) fn is_doing(&self, role: Role) -> bool {
        self.state.lock().work(role).doing.is_some()
    }

    /// Whether the last build of a role failed, and it is too early to try again.
    pub(crate) fn is_failing(&self, role: Role) -> bool {
        self.state.lock().work(role).is_failing()
    }
}

/// Tells a builder's progress, and whether it should stop.
pub(crate) struct Watch<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) shared: &'a Shared,
    pub(crate) role: Role,
}

impl Progress for Watch<'_> {
    fn built(&self, rows: u32) {
        let mut state = self.shared.building.state.lock();
        let built = &mut state.work(self.role).built;
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

/// As [`Watch`], of a build: one that takes heads which writers wait for ends as well.
pub(crate) struct Yielding<'a>(pub(crate) Watch<'a>);

impl Progress for Yielding<'_> {
    fn built(&self, rows: u32) {
        self.0.built(rows);
    }

    fn is_cancelled(&self) -> bool {
        let Watch { shared, role, .. } = &self.0;
        self.0.is_cancelled() || (*role == Role::Merge && shared.building.is_in_the_way())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_gives_way_until_it_is_answered_and_the_next_does_not() {
        let building = Building::default();
        // Nobody has asked for anything.
        building.give_way();
        assert!(!building.is_alone() && !building.gives_way());
        let request = building.ask();
        assert!(building.is_alone() && !building.gives_way());
        let status = || BuildStatus { what: "optimize", rows: 1, vectors: 1, vectors_built: 0 };
        building.begin(Role::Merge, status(), true);
        assert!(!building.is_in_the_way());
        building.give_way();
        assert!(!building.is_alone() && building.gives_way() && building.is_in_the_way());
        building.end(Role::Merge, &Ok(()));
        // Of segments alone it goes on beside seals.
        building.begin(Role::Merge, status(), false);
        assert!(building.gives_way() && !building.is_in_the_way());
        building.end(Role::Merge, &Ok(()));
        building.answer(request);
        assert!(!building.is_alone() && !building.gives_way());
        building.ask();
        assert!(building.is_alone());
    }
}
