//! One engine's figures: memory, then speed and recall at each window.
//!
//! The method is the peers': everything is repeated and the best pass counts, since other processes only ever make a
//! pass slower; figures of one thread have the process on one core; recall@10 counts true hits by number. Memory is
//! what the process has more after opening and one pass of the queries than before.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use index::graph::{Found, Near};
use serde_json::{Value, json};

use super::cores::Cores;
use super::dataset::{HITS, NONE};
use super::job::Job;
use crate::figures::Timings;
use crate::machine::{self, Memory};

/// Effort of each point of the sweep: rows of the beam. It begins below the hits that are asked for, since rows that
/// are met and not expanded are found too.
pub(super) const WINDOWS: [usize; 15] = [4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 512];

/// The window of the first query, and of the pass before memory is read.
const WINDOW_FIRST: usize = 80;

/// Queries that are asked before time is taken.
const WARMING: usize = 20;

/// Threads that search at the same time.
const THREADS: usize = 2;

/// What is measured.
pub(super) trait Searcher: Sync {
    /// The hits of one query.
    fn one(&self, query: &[f32], window: usize) -> Found;

    /// The hits of several.
    fn many(&self, queries: &[&[f32]], window: usize) -> Vec<Found> {
        queries.iter().map(|query| self.one(query, window)).collect()
    }
}

/// Calls one after another: how long each took, and the answers.
pub(super) struct Calls<T> {
    timings: Timings,
    pub(super) answers: Vec<T>,
}

/// All figures of an engine that was just opened; `before` is what the process had before that.
pub(super) fn all(searcher: &dyn Searcher, job: &Job, cores: &Cores, before: Option<Memory>) -> Value {
    let queries = job.queries();
    let first = calls(1, 1, |query| searcher.one(queries[query], WINDOW_FIRST));
    black_box(calls(1, queries.len(), |query| searcher.one(queries[query], WINDOW_FIRST)).answers);
    let after = machine::memory();
    let more = |part: fn(&Memory) -> u64| Some((part(&after?) as f64 - part(&before?) as f64) / 1e6);
    json!({
        "first_query_us": first.microseconds(1.0),
        "rss_mb": more(|memory| memory.resident_bytes),
        "rss_anon_mb": more(|memory| memory.anon_bytes),
        "rss_file_mb": more(|memory| memory.file_bytes),
        "sweep": WINDOWS.map(|window| point(searcher, job, cores, window)),
    })
}

/// One point of the sweep.
fn point(searcher: &dyn Searcher, job: &Job, cores: &Cores, window: usize) -> Value {
    eprintln!("window {window}");
    let queries = job.queries();
    let is_pinned = cores.take_one();
    black_box(searcher.many(&queries[..WARMING.min(queries.len())], window));
    let calls = calls(job.passes, queries.len(), |query| searcher.one(queries[query], window));
    let (batch, found) = batch(searcher, &queries, window, job.passes);
    cores.take_all();
    let both = (0..job.passes).map(|_| together(searcher, &queries, window)).min();
    let mean = |part: fn(&Found) -> u32| {
        let sum: f64 = found.iter().map(|found| f64::from(part(found))).sum();
        (sum > 0.0).then_some(sum / found.len() as f64)
    };
    json!({
        "knob": window,
        "nq": queries.len(),
        "is_pinned": is_pinned,
        "recall": recall(found.iter().map(|found| found.near.as_slice()), &job.truth),
        "qps1_call": calls.per_second(),
        "qps1": per_second(queries.len(), batch),
        "qps2": both.map(|both| per_second(queries.len(), both)),
        "p50_us": calls.microseconds(0.5),
        "p99_us": calls.microseconds(0.99),
        "hops": mean(|found| found.hops),
        "ndis": mean(|found| found.distances),
    })
}

/// Asks `count` questions one by one, `passes` times: the pass that took least.
pub(super) fn calls<T>(passes: usize, count: usize, ask: impl Fn(usize) -> T) -> Calls<T> {
    let pass = || {
        let mut timings = Timings::default();
        let answers = (0..count).map(|question| timings.time(|| ask(question))).collect();
        Calls { timings, answers }
    };
    let better = |best: Calls<T>, next: Calls<T>| {
        if next.timings.sum() < best.timings.sum() { next } else { best }
    };
    (1..passes).fold(pass(), |best, _| better(best, pass()))
}

impl<T> Calls<T> {
    pub(super) fn per_second(&self) -> f64 {
        per_second(self.timings.count(), self.timings.sum())
    }

    /// The time that a share of 0 to 1 of the calls did not exceed.
    pub(super) fn microseconds(&self, share: f64) -> f64 {
        self.timings.percentile(share).as_secs_f64() * 1e6
    }
}

/// Asks all at once: the least time of several passes, and the answers.
fn batch(
    searcher: &dyn Searcher,
    queries: &[&[f32]],
    window: usize,
    passes: usize,
) -> (Duration, Vec<Found>) {
    let pass = || {
        let began = Instant::now();
        let found = searcher.many(queries, window);
        (began.elapsed(), found)
    };
    (1..passes).fold(pass(), |best, _| {
        let next = pass();
        if next.0 < best.0 { next } else { best }
    })
}

/// How long the queries take when threads share them. Starting the threads is not in it.
fn together(searcher: &dyn Searcher, queries: &[&[f32]], window: usize) -> Duration {
    let parts: Vec<&[&[f32]]> = queries.chunks(queries.len().div_ceil(THREADS).max(1)).collect();
    let start = Barrier::new(parts.len());
    let ask = |part: &[&[f32]]| {
        black_box(searcher.many(&part[..WARMING.min(part.len())], window));
        start.wait();
        let began = Instant::now();
        black_box(searcher.many(part, window));
        (began, Instant::now())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| ask(part))).collect();
        let spans = threads.into_iter().map(|thread| thread.join().expect("a search does not panic"));
        let spans: Vec<(Instant, Instant)> = spans.collect();
        let (began, ended) = (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max());
        began.zip(ended).map_or(Duration::ZERO, |(began, ended)| ended - began)
    })
}

fn per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// The share of the true hits ([`HITS`] for each answer, fewer where fewer rows match) that was found.
pub(super) fn recall<'a>(answers: impl Iterator<Item = &'a [Near]>, truth: &[u32]) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for (near, hits) in answers.zip(truth.chunks_exact(HITS)) {
        let hits = hits.iter().filter(|hit| **hit != NONE);
        wanted += hits.clone().count();
        found += hits.filter(|hit| near.iter().any(|(row, _)| row == *hit)).count();
    }
    f64::from(found as u32) / f64::from((wanted as u32).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_what_could_be_found() {
        let mut truth = vec![NONE; 2 * HITS];
        (truth[0], truth[1], truth[HITS]) = (7, 8, 9);
        let answers: [&[Near]; 2] = [&[(8, 0.0), (1, 0.0)], &[(9, 0.0)]];
        assert!((recall(answers.into_iter(), &truth) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(recall(answers.into_iter(), &[]), 0.0);
    }

    #[test]
    fn the_fastest_pass_counts() {
        let passes = std::cell::Cell::new(0_u64);
        let calls = calls(3, 1, |_| {
            passes.set(passes.get() + 1);
            thread::sleep(Duration::from_millis([20, 1, 10][passes.get() as usize - 1]));
            passes.get()
        });
        assert_eq!((passes.get(), calls.answers), (3, vec![2]));
    }
}
