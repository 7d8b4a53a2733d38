//! Slow queries: written to the log, and the last of them kept to be read.
//!
//! Invariant: an entry never holds a vector; what was asked for in words (filters, keywords) it holds only if that was
//! asked for, since words are data.
//! Cost: where a query is not slow, a comparison.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use query::{Effort, Plan, Query, Request};
use types::Filter;

/// Bytes of a text that is kept.
const TEXT_BYTES_MAX: usize = 4096;

/// What is slow, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowQueries {
    /// A query that takes as long is slow.
    pub threshold: Duration,
    /// So many of the last ones are kept; with 0 none is kept or logged.
    pub kept: usize,
    /// Whether filters and keywords are kept with them.
    pub has_texts: bool,
}

impl Default for SlowQueries {
    fn default() -> Self {
        Self { threshold: Duration::from_secs(1), kept: 128, has_texts: false }
    }
}

/// A query that was slow.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowQuery {
    /// When it had been answered, in microseconds since 1970.
    pub at_micros: i64,
    /// The request that asked it, if it was named ([`on_behalf_of`](crate::on_behalf_of)).
    pub request_id: Option<Arc<str>>,
    /// The collection.
    pub collection: String,
    /// What was asked: `search`, `scroll`, `count`, …
    pub operation: &'static str,
    /// How long it took.
    pub elapsed: Duration,
    /// What came out; nothing if it failed.
    pub rows: Option<usize>,
    /// Of a search: its plan.
    pub plan: Option<Plan>,
    /// Of a search: what it took, by stage.
    pub effort: Effort,
    /// Its filters and keywords, if they are to be kept.
    pub text: Option<String>,
}

/// Where they are kept.
pub(crate) struct SlowLog {
    options: SlowQueries,
    kept: Mutex<VecDeque<SlowQuery>>,
}

impl SlowLog {
    pub(crate) fn new(options: SlowQueries) -> Self {
        Self { options, kept: Mutex::default() }
    }

    pub(crate) fn is_slow(&self, elapsed: Duration) -> bool {
        elapsed >= self.options.threshold && self.options.kept > 0
    }

    pub(crate) fn has_texts(&self) -> bool {
        self.options.has_texts && self.options.kept > 0
    }

    pub(crate) fn keep(&self, mut query: SlowQuery) {
        query.text.iter_mut().for_each(cut);
        tracing::warn!(
            collection = query.collection,
            operation = query.operation,
            elapsed_us = query.elapsed.as_micros() as u64,
            rows = query.rows,
            stages_us = stages(&query.effort),
            distances = query.effort.work.distances,
            plan = query.plan.as_ref().map(line),
            text = query.text.as_deref(),
            "a slow query"
        );
        let mut kept = self.kept.lock();
        if kept.len() >= self.options.kept {
            kept.pop_front();
        }
        kept.push_back(query);
    }

    /// The last ones, newest first.
    pub(crate) fn last(&self) -> Vec<SlowQuery> {
        self.kept.lock().iter().rev().cloned().collect()
    }
}

/// Leaves the beginning of a text that is too long to be kept: a filter may be as large as a request.
fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
}

/// What each stage took, in microseconds.
fn stages(effort: &Effort) -> String {
    let told = |(stage, took): (query::Stage, Duration)| format!("{} {}", stage.name(), took.as_micros());
    effort.stages.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// A plan in one line.
fn line(plan: &Plan) -> String {
    plan.to_text().lines().map(str::trim_end).collect::<Vec<_>>().join(" / ")
}

/// What a request asks for in words: its filters and keywords, level by level.
pub(crate) fn text_of(request: &Request) -> String {
    let mut text = String::new();
    put(request, &mut text);
    text
}

fn put(request: &Request, text: &mut String) {
    if let Query::Keyword(keyword) = &request.query {
        let _ = write!(text, "keyword {:?} ", keyword.text);
    }
    if !request.filter.is_empty() {
        let _ = write!(text, "filter {} ", text_of_filter(&request.filter));
    }
    if !request.prefetch.is_empty() {
        text.push_str("( ");
        request.prefetch.iter().for_each(|leg| put(leg, text));
        text.push_str(") ");
    }
}

pub(crate) fn text_of_filter(filter: &Filter) -> String {
    filter.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_texts_the_beginning_is_kept() {
        for (text, chars) in [("x".repeat(4096), 4096), ("x".repeat(5000), 4097), ("ü".repeat(5000), 2049)] {
            let mut kept = text.clone();
            cut(&mut kept);
            assert_eq!(kept.chars().count(), chars);
            assert!(text.starts_with(kept.trim_end_matches('…')));
        }
    }
}
