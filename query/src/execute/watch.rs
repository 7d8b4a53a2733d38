//! What is watched while a request runs: the time, and, if asked, what was done.
//!
//! Cost where nothing was asked: a comparison for every few thousand rows.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::observed::Sampled;
use crate::stages::{Stage, Stages, Stopwatch};
use index::Work;
use tracing::Span;
use types::{Error, ErrorKind, Result};

/// Terms of a request beside what it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Until when it must be answered.
    pub deadline: Option<Instant>,
    /// About how many rows may be looked at for it: distances, steps through words, payloads that decide what matches.
    /// It is asked every few thousand of them; of words each leg begins anew.
    pub rows_max: Option<u64>,
    /// Whether what was found until one of them is over is welcome; otherwise that is an error.
    pub is_partial_welcome: bool,
    /// Whether the answer says what was done.
    pub is_analyzed: bool,
}

/// What one level did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actual {
    /// Hits of this level.
    pub found: usize,
    /// What its legs took, and itself.
    pub elapsed: Duration,
    /// What was done in each part of the collection, in the order of the plan's.
    pub parts: Vec<PartActual>,
    /// Payloads that were read to decide what matches.
    pub payloads: usize,
    /// Of a fusion: what each leg weighed.
    pub weights: Vec<f32>,
    /// Of a fusion: for each hit the share of each leg in its score, of those that found it.
    pub shares: Vec<Vec<Option<f32>>>,
    /// The legs.
    pub legs: Vec<Actual>,
}

/// What was done in one part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartActual {
    /// Rows that came out.
    pub found: usize,
    /// What it took.
    pub work: Work,
    /// How long.
    pub elapsed: Duration,
}

/// What an answer took, whether anybody asked or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// By stage.
    pub stages: Stages,
    /// In all parts of all legs.
    pub work: Work,
}

impl Effort {
    pub(crate) fn add(&mut self, other: &Self) {
        self.stages.add_all(&other.stages);
        self.work = sum(self.work, other.work);
    }
}

fn sum(a: Work, b: Work) -> Work {
    Work {
        hops: a.hops + b.hops,
        distances: a.distances + b.distances,
        wanted: a.wanted + b.wanted,
        bytes: a.bytes + b.bytes,
    }
}

/// The watch of one request.
#[derive(Debug)]
pub(crate) struct Watch {
    terms: Terms,
    /// Set elsewhere, once nobody waits for the answer: then its time is over, too.
    ends: Option<Arc<AtomicBool>>,
    stopwatch: Stopwatch,
    is_cut: Cell<bool>,
    /// Whether it was cut for its rows, and not for its time.
    is_spent: Cell<bool>,
    /// Payloads that were read to decide what matches.
    payloads: Cell<u64>,
    /// Rows that were looked at, of those that were to be looked at one after the other.
    seen: Cell<u64>,
    work: Cell<Work>,
    /// What approximate searches found, if it is to be kept.
    sampled: Option<RefCell<Vec<Sampled>>>,
}

impl Watch {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            ends: None,
            stopwatch: Stopwatch::new(),
            is_cut: Cell::new(false),
            is_spent: Cell::new(false),
            payloads: Cell::new(0),
            seen: Cell::new(0),
            work: Cell::default(),
            sampled: None,
        }
    }

    /// Of what is answered by then, or not at all.
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        Self::new(Terms { deadline, ..Terms::default() })
    }

    /// Keeps what approximate searches find, to be compared with exact ones.
    pub(crate) fn sampling(self) -> Self {
        Self { sampled: Some(RefCell::default()), ..self }
    }

    /// With a deadline that may come early, when this is set.
    pub(crate) fn ended_by(self, ends: &Arc<AtomicBool>) -> Self {
        Self { ends: Some(Arc::clone(ends)), ..self }
    }

    /// Whether the answer says what was done.
    pub(crate) fn is_analyzed(&self) -> bool {
        self.terms.is_analyzed
    }

    /// The time, if anybody wants to know.
    pub(crate) fn now(&self) -> Option<Instant> {
        self.terms.is_analyzed.then(Instant::now)
    }

    /// Whether there is time left. Once there is none, there is none for anything.
    pub(crate) fn has_time(&self) -> bool {
        self.has_time_after(Work::default())
    }

    /// The same after work that is not counted yet: rows are looked at as long as there are some left, too.
    pub(crate) fn has_time_after(&self, work: Work) -> bool {
        let looked_at = || self.work.get().distances + work.distances + self.payloads.get();
        let is_spent = || self.terms.rows_max.is_some_and(|most| looked_at() >= most);
        let is_late = || self.terms.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let is_over = || self.ends.as_ref().is_some_and(|ends| ends.load(Ordering::Relaxed));
        if !self.is_cut.get() {
            self.is_spent.set(is_spent());
            self.is_cut.set(self.is_spent.get() || is_late() || is_over());
        }
        !self.is_cut.get()
    }

    /// Counts payloads that were read to decide what matches.
    pub(crate) fn read(&self, payloads: usize) {
        self.payloads.set(self.payloads.get() + payloads as u64);
    }

    /// Counts what was done in a part.
    pub(crate) fn count(&self, work: Work) {
        self.seen.set(self.seen.get() + work.distances.min(work.wanted));
        self.work.set(sum(self.work.get(), work));
    }

    /// Does something that counts for a stage.
    pub(crate) fn during<T>(&self, stage: Stage, work: impl FnOnce(&Span) -> T) -> T {
        self.stopwatch.during(stage, work)
    }

    /// What was done so far.
    pub(crate) fn effort(&self) -> Effort {
        Effort { stages: self.stopwatch.stages(), work: self.work.get() }
    }

    /// Whether searches are kept for a comparison.
    pub(crate) fn samples(&self) -> bool {
        self.sampled.is_some()
    }

    /// Keeps one.
    pub(crate) fn sample(&self, sampled: Sampled) {
        if let Some(all) = &self.sampled {
            all.borrow_mut().push(sampled);
        }
    }

    /// Those that were kept.
    pub(crate) fn sampled(&self) -> Vec<Sampled> {
        self.sampled.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Whether there is an end of time, or of rows.
    pub(crate) fn is_bound(&self) -> bool {
        self.terms.deadline.is_some() || self.terms.rows_max.is_some()
    }

    /// The share of the rows to be looked at that was; nothing where the request was answered in time.
    ///
    /// # Errors
    /// `DeadlineExceeded`, or `LimitExceeded` naming `rows_max`, where a partial answer is not welcome.
    pub(crate) fn verdict(&self) -> Result<Option<f32>> {
        if !self.is_cut.get() {
            return Ok(None);
        }
        if !self.terms.is_partial_welcome && self.is_spent.get() {
            let most = self.terms.rows_max.unwrap_or_default();
            let message = format!(
                "{most} rows were looked at before the answer was complete; allow more, narrow the filter, or welcome \
                 a partial answer"
            );
            return Err(Error::new(ErrorKind::LimitExceeded, message).with_field("rows_max"));
        }
        if !self.terms.is_partial_welcome {
            let message = "the deadline passed before the answer was complete; give it more time, narrow the \
                           filter, or welcome a partial answer";
            return Err(Error::new(ErrorKind::DeadlineExceeded, message).with_field("timeout"));
        }
        let (seen, wanted) = (self.seen.get() as f32, self.work.get().wanted.max(1) as f32);
        Ok(Some((seen / wanted).min(1.0)))
    }
}
