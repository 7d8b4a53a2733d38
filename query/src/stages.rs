//! The stages of an answer, and the time that each took.
//!
//! Invariant: a moment counts for one stage only, the innermost that was entered, so together they are what the answer
//! took. Each stage is a span as well (`tracing`), for whoever listens.
//! Cost: two looks at the clock for each stage that is entered; a span that nobody listens to, a comparison.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tracing::Span;
use tracing::field::Empty;

/// A stage of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Points that are asked with are looked up, and a plan is made.
    Plan,
    /// What a filter lets through is found: by indexes, or by payloads.
    Filter,
    /// A leg by nearness.
    Vector,
    /// A leg by sparse vectors.
    Sparse,
    /// A leg by words.
    Keyword,
    /// A leg by examples.
    Rate,
    /// A leg by ids, by a field, or at random.
    Order,
    /// Legs are fused.
    Fuse,
    /// What legs found is ranked anew.
    Rescore,
    /// Payloads and vectors of the hits are read.
    Fetch,
}

impl Stage {
    /// All of them, in about the order in which they come.
    pub const ALL: [Self; 10] = [
        Self::Plan,
        Self::Filter,
        Self::Vector,
        Self::Sparse,
        Self::Keyword,
        Self::Rate,
        Self::Order,
        Self::Fuse,
        Self::Rescore,
        Self::Fetch,
    ];

    /// For people, metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Filter => "filter",
            Self::Vector => "vector",
            Self::Sparse => "sparse",
            Self::Keyword => "keyword",
            Self::Rate => "rate",
            Self::Order => "order",
            Self::Fuse => "fuse",
            Self::Rescore => "rescore",
            Self::Fetch => "fetch",
        }
    }

    /// A span for it. What it found is told at its end.
    pub fn span(self) -> Span {
        macro_rules! named {
            ($name:literal) => {
                tracing::info_span!($name, kithdb.strategy = Empty, kithdb.found = Empty)
            };
        }
        match self {
            Self::Plan => named!("plan"),
            Self::Filter => named!("filter"),
            Self::Vector => named!("vector"),
            Self::Sparse => named!("sparse"),
            Self::Keyword => named!("keyword"),
            Self::Rate => named!("rate"),
            Self::Order => named!("order"),
            Self::Fuse => named!("fuse"),
            Self::Rescore => named!("rescore"),
            Self::Fetch => named!("fetch"),
        }
    }
}

/// What each stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages([Duration; Stage::ALL.len()]);

impl Stages {
    /// Adds to what a stage took.
    pub fn add(&mut self, stage: Stage, took: Duration) {
        self.0[stage as usize] += took;
    }

    /// The stages that took any time.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        let took = |stage: &Stage| (*stage, self.0[*stage as usize]);
        Stage::ALL.iter().map(took).filter(|(_, took)| !took.is_zero())
    }

    /// Adds all of others.
    pub(crate) fn add_all(&mut self, others: &Self) {
        others.iter().for_each(|(stage, took)| self.add(stage, took));
    }
}

/// Tells the stages of one answer apart.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    current: Cell<Stage>,
    since: Cell<Instant>,
    stages: Cell<Stages>,
}

impl Stopwatch {
    /// One that begins to plan.
    pub(crate) fn new() -> Self {
        let (current, since) = (Cell::new(Stage::Plan), Cell::new(Instant::now()));
        Self { current, since, stages: Cell::default() }
    }

    /// Does something that counts for a stage.
    pub(crate) fn during<T>(&self, stage: Stage, work: impl FnOnce(&Span) -> T) -> T {
        let span = stage.span();
        let before = self.turn(stage);
        let done = span.in_scope(|| work(&span));
        self.turn(before);
        done
    }

    /// What the stages took so far.
    pub(crate) fn stages(&self) -> Stages {
        self.turn(self.current.get());
        self.stages.get()
    }

    /// Goes over to another stage; the one before.
    fn turn(&self, stage: Stage) -> Stage {
        let now = Instant::now();
        let before = self.current.replace(stage);
        let mut stages = self.stages.get();
        stages.add(before, now.duration_since(self.since.replace(now)));
        self.stages.set(stages);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_counts_for_the_innermost_stage() {
        let sleep = || std::thread::sleep(Duration::from_millis(5));
        let began = Instant::now();
        let watch = Stopwatch::new();
        watch.during(Stage::Vector, |_| {
            sleep();
            watch.during(Stage::Filter, |_| sleep());
        });
        let stages = watch.stages();
        let names: Vec<&str> = stages.iter().map(|(stage, _)| stage.name()).collect();
        assert_eq!(names, ["plan", "filter", "vector"]);
        let all: Duration = stages.iter().map(|(_, took)| took).sum();
        assert!(all <= began.elapsed() && all >= Duration::from_millis(10), "{all:?}");
    }

    #[test]
    fn each_stage_has_its_place() {
        assert!(Stage::ALL.iter().enumerate().all(|(at, stage)| *stage as usize == at));
    }
}
