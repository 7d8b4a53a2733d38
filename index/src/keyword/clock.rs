//! Whether a search by words may go on, and how far it has got.
//!
//! Invariant: once the time is over it is over for good. Whoever is told so leaves out what is half done: a score by
//! some of the words would be none.
//! A step counts as a row where there is a budget.
//! Cost: an addition a step; a question every so many.

use std::cell::Cell;

use crate::Gauge;

/// Steps between two questions.
const STEPS: u32 = 64;

/// The clock of one search.
pub(super) struct Clock<'a> {
    gauge: &'a Gauge<'a>,
    steps: Cell<u32>,
    is_over: Cell<bool>,
    /// Documents of the commit that were passed.
    passed: Cell<u64>,
}

impl<'a> Clock<'a> {
    pub(super) fn new(gauge: &'a Gauge<'a>) -> Self {
        Self { gauge, steps: Cell::new(0), is_over: Cell::new(false), passed: Cell::new(0) }
    }

    /// Whether there is time for a step; asked before each.
    pub(super) fn ticks(&self) -> bool {
        let steps = self.steps.get();
        self.steps.set(steps.wrapping_add(1));
        if steps.is_multiple_of(STEPS) { self.has_time() } else { !self.is_over() }
    }

    /// The same before a long step.
    pub(super) fn has_time(&self) -> bool {
        if !self.is_over() && !self.gauge.has_time_after(u64::from(self.steps.get())) {
            self.is_over.set(true);
        }
        !self.is_over()
    }

    /// Whether somebody was told that the time is over.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Counts documents that were passed.
    pub(super) fn pass(&self, documents: u32) {
        self.passed.set(self.passed.get() + u64::from(documents));
    }

    /// Tells how far it has got of so many documents, if it has not got to the end.
    pub(super) fn stop(&self, documents: u64) {
        if self.is_over() {
            self.gauge.cut(self.passed.get().min(documents), documents);
        }
    }
}
