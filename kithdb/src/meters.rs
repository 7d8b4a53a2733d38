//! What an open database counts of itself.
//!
//! Invariant: counts never fall while it is open; opening it begins at 0.
//! Cost: a few additions for each question and each commit; no lock, but for snapshots.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use query::{Effort, Plan, Stage};
use types::{Histogram, Times};

use crate::asked::Operation;

/// Kinds of builds, as [`BuildStatus::what`](crate::BuildStatus::what) has them.
const BUILDS: [&str; 3] = ["seal", "merge", "optimize"];

/// What is counted.
#[derive(Default)]
pub(crate) struct Meters {
    operations: [Histogram; Operation::ALL.len()],
    plans: [Histogram; Plan::KINDS.len()],
    stages: [Histogram; Stage::ALL.len()],
    builds: [Histogram; BUILDS.len()],
    /// Writes: until the sequencer took them up.
    pub(crate) waits: Histogram,
    /// Groups of writes: from then on until they were published.
    pub(crate) commits: Histogram,
    distances: AtomicU64,
    hops: AtomicU64,
    empty: AtomicU64,
    partial: AtomicU64,
    slow: AtomicU64,
    snapshots: Mutex<BTreeMap<String, SnapshotCounts>>,
}

/// What a database has counted since it was opened.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    /// Questions and writes, as their callers waited for them, by operation.
    pub operations: Vec<(&'static str, Times)>,
    /// Searches, by the kind of their plan ([`Plan::kind`]).
    pub plans: Vec<(&'static str, Times)>,
    /// What searches took in each of their stages ([`Stage::name`]).
    pub stages: Vec<(&'static str, Times)>,
    /// Builds of segments, by kind.
    pub builds: Vec<(&'static str, Times)>,
    /// How long writes waited until they were taken up.
    pub write_waits: Times,
    /// How long groups of writes took from then on: staged, stored, published.
    pub commits: Times,
    /// Writes that wait now.
    pub writes_waiting: usize,
    /// Writes that may wait; further callers are held back.
    pub writes_waiting_max: usize,
    /// Distances that searches estimated or computed.
    pub distances: u64,
    /// Rows whose links they followed.
    pub hops: u64,
    /// Searches that found nothing.
    pub empty: u64,
    /// Searches that were answered in part, for want of time.
    pub partial: u64,
    /// Questions that were slow.
    pub slow: u64,
    /// Snapshots, by collection.
    pub snapshots: BTreeMap<String, SnapshotCounts>,
}

/// Snapshots of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// Being made.
    pub creating: usize,
    /// Being recovered.
    pub recovering: usize,
    /// Made since the database was opened.
    pub created: u64,
}

impl Meters {
    pub(crate) fn operation(&self, operation: Operation, took: Duration) {
        self.operations[operation as usize].observe(took);
    }

    /// Counts a search, of which `took` is everything.
    pub(crate) fn search(&self, plan: &Plan, effort: &Effort, hits: usize, took: Duration) {
        let kind = Plan::KINDS.iter().position(|kind| *kind == plan.kind());
        kind.into_iter().for_each(|kind| self.plans[kind].observe(took));
        effort.stages.iter().for_each(|(stage, took)| self.stages[stage as usize].observe(took));
        self.distances.fetch_add(effort.work.distances, Ordering::Relaxed);
        self.hops.fetch_add(effort.work.hops, Ordering::Relaxed);
        self.empty.fetch_add(u64::from(hits == 0), Ordering::Relaxed);
    }

    pub(crate) fn partial(&self) {
        self.partial.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn build(&self, what: &str, took: Duration) {
        let kind = BUILDS.iter().position(|kind| *kind == what);
        kind.into_iter().for_each(|kind| self.builds[kind].observe(took));
    }

    /// Changes the counts of a collection's snapshots. Nothing is kept of a name that has none.
    pub(crate) fn snapshot(&self, collection: &str, change: impl FnOnce(&mut SnapshotCounts)) {
        let mut all = self.snapshots.lock();
        let counts = all.entry(collection.to_owned()).or_default();
        change(counts);
        if *counts == SnapshotCounts::default() {
            all.remove(collection);
        }
    }

    pub(crate) fn measures(&self, writes_waiting: usize, writes_waiting_max: usize) -> Measures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Measures {
            operations: named(Operation::ALL.iter().map(|operation| operation.name()), &self.operations),
            plans: named(Plan::KINDS, &self.plans),
            stages: named(Stage::ALL.iter().map(|stage| stage.name()), &self.stages),
            builds: named(BUILDS, &self.builds),
            write_waits: self.waits.times(),
            commits: self.commits.times(),
            writes_waiting,
            writes_waiting_max,
            distances: count(&self.distances),
            hops: count(&self.hops),
            empty: count(&self.empty),
            partial: count(&self.partial),
            slow: count(&self.slow),
            snapshots: self.snapshots.lock().clone(),
        }
    }
}

fn named(
    names: impl IntoIterator<Item = &'static str>,
    histograms: &[Histogram],
) -> Vec<(&'static str, Times)> {
    names.into_iter().zip(histograms.iter().map(Histogram::times)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_recoveries_that_are_over_are_not_kept() {
        let meters = Meters::default();
        let names = || meters.measures(0, 0).snapshots.into_keys().collect::<Vec<_>>();
        meters.snapshot("a", |counts| counts.recovering += 1);
        meters.snapshot("b", |counts| counts.created += 1);
        assert_eq!(names(), ["a", "b"]);
        meters.snapshot("a", |counts| counts.recovering -= 1);
        assert_eq!(names(), ["b"]);
    }
}
