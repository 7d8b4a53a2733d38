//! One question or write on its way: a span, a count, and an entry among the slow ones if it was one.
//!
//! Cost: two looks at the clock and a few additions; a span that nobody listens to, a comparison.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use query::{Effort, Plan, Stage};
use tracing::Span;
use tracing::span::EnteredSpan;

use crate::engine::Engine;
use crate::slow::SlowQuery;
use crate::snapshots::now_micros;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Search,
    Groups,
    Scroll,
    Count,
    Facets,
    Matrix,
    Get,
    WhyNot,
    Write,
}

impl Operation {
    pub(crate) const ALL: [Self; 9] = [
        Self::Search,
        Self::Groups,
        Self::Scroll,
        Self::Count,
        Self::Facets,
        Self::Matrix,
        Self::Get,
        Self::WhyNot,
        Self::Write,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Groups => "groups",
            Self::Scroll => "scroll",
            Self::Count => "count",
            Self::Facets => "facets",
            Self::Matrix => "matrix",
            Self::Get => "get",
            Self::WhyNot => "why_not",
            Self::Write => "write",
        }
    }

    /// Attributes are named as OpenTelemetry names those of databases.
    fn span(self, collection: &str) -> Span {
        macro_rules! named {
            ($name:literal) => {
                tracing::info_span!(
                    $name,
                    db.system.name = "kithdb",
                    db.collection.name = collection,
                    db.operation.name = self.name(),
                    db.response.returned_rows = tracing::field::Empty,
                )
            };
        }
        match self {
            Self::Search => named!("search"),
            Self::Groups => named!("groups"),
            Self::Scroll => named!("scroll"),
            Self::Count => named!("count"),
            Self::Facets => named!("facets"),
            Self::Matrix => named!("matrix"),
            Self::Get => named!("get"),
            Self::WhyNot => named!("why_not"),
            Self::Write => named!("commit"),
        }
    }
}

thread_local! {
    static REQUEST_ID: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Names what the thread asks while it does something: slow queries are told with this id.
pub fn on_behalf_of<T>(request_id: &Arc<str>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<str>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            REQUEST_ID.set(self.0.take());
        }
    }
    let _restore = Restore(REQUEST_ID.replace(Some(Arc::clone(request_id))));
    work()
}

/// One question or write.
pub(crate) struct Asked<'a> {
    engine: &'a Engine,
    collection: &'a str,
    operation: Operation,
    began: Instant,
    /// What was asked for, in words, if that is to be kept.
    text: Option<String>,
    is_answered: bool,
    span: EnteredSpan,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(engine: &'a Engine, collection: &'a str, operation: Operation) -> Self {
        let span = operation.span(collection).entered();
        Self { engine, collection, operation, began: Instant::now(), text: None, is_answered: false, span }
    }

    /// The span of it.
    pub(crate) fn span(&self) -> Span {
        (*self.span).clone()
    }

    /// Keeps what is asked for, if it is to be told of slow queries.
    pub(crate) fn says(mut self, text: impl FnOnce() -> String) -> Self {
        self.text = self.engine.slow.has_texts().then(text);
        self
    }

    /// It was answered, with so much.
    pub(crate) fn answered(self, rows: usize) {
        self.end(rows, None, &Effort::default());
    }

    /// It was a search, and answered.
    pub(crate) fn found(self, rows: usize, plan: &Plan, effort: &Effort) {
        self.engine.meters.search(plan, effort, rows, self.began.elapsed());
        self.end(rows, Some(plan), effort);
    }

    fn end(mut self, rows: usize, plan: Option<&Plan>, effort: &Effort) {
        self.is_answered = true;
        // OTLP has signed numbers alone.
        self.span.record("db.response.returned_rows", i64::try_from(rows).unwrap_or(i64::MAX));
        let elapsed = self.began.elapsed();
        self.engine.meters.operation(self.operation, elapsed);
        self.keep(elapsed, Some(rows), plan, effort);
    }

    /// Keeps it if it was slow. Writes are not queries: their times are in the metrics.
    fn keep(&mut self, elapsed: Duration, rows: Option<usize>, plan: Option<&Plan>, effort: &Effort) {
        if self.operation == Operation::Write || !self.engine.slow.is_slow(elapsed) {
            return;
        }
        self.engine.meters.slow();
        self.engine.slow.keep(SlowQuery {
            at_micros: now_micros(),
            request_id: REQUEST_ID.with_borrow(Clone::clone),
            collection: self.collection.to_owned(),
            operation: self.operation.name(),
            elapsed,
            rows,
            plan: plan.cloned(),
            effort: *effort,
            text: self.text.take(),
        });
    }
}

impl Drop for Asked<'_> {
    /// What failed is no answer to be counted; if it took long, it is told all the same.
    fn drop(&mut self) {
        if !self.is_answered {
            self.keep(self.began.elapsed(), None, None, &Effort::default());
        }
    }
}

/// Reads what comes with the hits, and counts it.
pub(crate) fn fetched<T>(effort: &mut Effort, fetch: impl FnOnce() -> T) -> T {
    let _span = Stage::Fetch.span().entered();
    let began = Instant::now();
    let fetched = fetch();
    effort.stages.add(Stage::Fetch, began.elapsed());
    fetched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_place() {
        assert!(Operation::ALL.iter().enumerate().all(|(at, operation)| *operation as usize == at));
    }

    #[test]
    fn a_thread_asks_on_behalf_of_one_request_at_a_time() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let now = || REQUEST_ID.with_borrow(Clone::clone);
        let inner = on_behalf_of(&a, || (on_behalf_of(&b, now), now()));
        assert_eq!((inner, now()), ((Some(b), Some(a)), None));
    }
}
