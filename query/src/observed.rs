//! What live queries have found, beside what they should have: the recall of a collection as it is used.
//!
//! Some answers of approximate searches are compared with exact ones, later and elsewhere ([`Sampled`]). They are kept
//! by vector space and by the share of the points that the filter let through, for the last [`WINDOW`] queries of each.
//! From them follow the measured recall, with its confidence interval, and a correction: where queries miss more than
//! the calibration of the segments said, by more than chance, the planner asks for so much more. It never asks for
//! less: a calibration that is too careful costs time only.
//!
//! Invariant: nothing here changes which hits are right, only the effort; a restart forgets it.
//! Source: the interval is Wilson's (1927), with a query as one trial. Hits of one query are found or missed together,
//! so they are not trials of their own; a query that finds a part makes the true interval narrower than this one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use types::{Metric, Result};

use crate::View;
use crate::execute::{Ranked, Terms, execute_unless};
use crate::request::{Params, Query, Request};

/// Queries of one class that count.
const WINDOW: usize = 1024;

/// With fewer of them nothing is corrected.
const CORRECTED_MIN: usize = 32;

/// No correction asks for more than so much.
const MISSES_MAX: f32 = 16.0;

/// Twice the standard error that covers 95 %.
const Z: f64 = 1.96;

/// Scores that differ by no more than this part are the same: sums of floats depend on their order.
const SAME: f32 = 1e-5;

/// How much of a collection a filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Everything.
    All,
    /// At least a tenth.
    Tenth,
    /// At least a hundredth.
    Hundredth,
    /// At least a thousandth.
    Thousandth,
    /// Less.
    Less,
}

impl Share {
    /// The share of so many of so many points.
    pub fn of(matching: usize, points: usize) -> Self {
        let share = matching as f64 / points.max(1) as f64;
        match share {
            _ if matching >= points => Self::All,
            0.1.. => Self::Tenth,
            0.01.. => Self::Hundredth,
            0.001.. => Self::Thousandth,
            _ => Self::Less,
        }
    }

    /// For people and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "1",
            Self::Tenth => "0.1..1",
            Self::Hundredth => "0.01..0.1",
            Self::Thousandth => "0.001..0.01",
            Self::Less => "0..0.001",
        }
    }
}

/// The recall that live queries had.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredRecall {
    /// The vector space.
    pub space: String,
    /// What their filters let through.
    pub share: Share,
    /// How many queries were compared: the last ones.
    pub queries: usize,
    /// The mean share of the true hits that they found.
    pub recall: f32,
    /// The interval that has the true mean in it, 95 times in 100.
    pub interval: (f32, f32),
    /// What the plans promised, where they could.
    pub expected: Option<f32>,
    /// By how much the planner multiplies the misses that it expects.
    pub misses: f32,
}

/// What is known of the searches of one collection.
#[derive(Default)]
pub struct Observed {
    classes: Mutex<BTreeMap<(String, Share), Class>>,
    is_corrected: AtomicBool,
}

#[derive(Default)]
struct Class {
    /// Measured, and expected before any correction where that was known.
    recalls: Vec<(f32, Option<f32>)>,
    next: usize,
}

impl Observed {
    /// By how much more queries of a class miss than their plans expect: 1, unless it was shown to be more.
    pub fn misses(&self, space: &str, share: Share) -> f32 {
        if !self.is_corrected.load(Ordering::Relaxed) {
            return 1.0;
        }
        let classes = self.classes.lock();
        classes
            .iter()
            .find(|((name, of), _)| name == space && *of == share)
            .map_or(1.0, |(_, class)| class.misses())
    }

    /// Adds what one query found.
    pub fn add(&self, space: &str, share: Share, recall: f32, expected: Option<f32>) {
        let mut classes = self.classes.lock();
        classes.entry((space.to_owned(), share)).or_default().add(recall, expected);
        self.is_corrected.store(classes.values().any(|class| class.misses() > 1.0), Ordering::Relaxed);
    }

    /// What was measured so far.
    pub fn measured(&self) -> Vec<MeasuredRecall> {
        let classes = self.classes.lock();
        let told = |((space, share), class): (&(String, Share), &Class)| {
            let misses = class.misses();
            let promised = |expected: f32| 1.0 - (1.0 - expected) * misses;
            MeasuredRecall {
                space: space.clone(),
                share: *share,
                queries: class.recalls.len(),
                recall: class.mean() as f32,
                interval: class.interval(),
                expected: class.expected().map(|expected| promised(expected as f32).max(0.0)),
                misses,
            }
        };
        classes.iter().map(told).collect()
    }
}

impl Class {
    fn add(&mut self, recall: f32, expected: Option<f32>) {
        if self.recalls.len() < WINDOW {
            self.recalls.push((recall, expected));
        } else {
            self.recalls[self.next] = (recall, expected);
        }
        self.next = (self.next + 1) % WINDOW;
    }

    fn mean(&self) -> f64 {
        let sum: f64 = self.recalls.iter().map(|(recall, _)| f64::from(*recall)).sum();
        sum / self.recalls.len().max(1) as f64
    }

    fn expected(&self) -> Option<f64> {
        let known: Vec<f64> =
            self.recalls.iter().filter_map(|(_, expected)| expected.map(f64::from)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    fn interval(&self) -> (f32, f32) {
        wilson(self.mean(), self.recalls.len())
    }

    /// By the misses that are sure, those at the upper end of the interval.
    fn misses(&self) -> f32 {
        let known: Vec<(f32, f32)> =
            self.recalls.iter().filter_map(|(recall, expected)| Some((*recall, (*expected)?))).collect();
        if known.len() < CORRECTED_MIN {
            return 1.0;
        }
        let mean = |of: fn(&(f32, f32)) -> f32| {
            known.iter().map(|pair| f64::from(of(pair))).sum::<f64>() / known.len() as f64
        };
        let sure = 1.0 - f64::from(wilson(mean(|pair| pair.0), known.len()).1);
        let expected = (1.0 - mean(|pair| pair.1)).max(1e-4);
        ((sure / expected) as f32).clamp(1.0, MISSES_MAX)
    }
}

/// The interval of a mean of so many trials.
fn wilson(mean: f64, trials: usize) -> (f32, f32) {
    let n = trials.max(1) as f64;
    let centre = (mean + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (mean * (1.0 - mean) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0) as f32, (centre + half).min(1.0) as f32)
}

/// One approximate search of a query, and what it found: to be compared with an exact one.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// Its vector, filter and number of hits.
    pub(crate) request: Request,
    /// What it found, best first.
    pub(crate) scores: Vec<f32>,
    pub(crate) share: Share,
    /// What the plan promised before it was corrected, where it could.
    pub(crate) expected: Option<f32>,
}

impl Sampled {
    pub(crate) fn new(request: &Request, count: usize, hits: &[Ranked], share: Share) -> Self {
        let Request { query, filter, .. } = request.clone();
        let params = Params { is_exact: true, ..Params::default() };
        let request = Request { query, filter, limit: count, params, ..Request::default() };
        let scores = hits.iter().map(|ranked| ranked.score).collect();
        Self { request, scores, share, expected: None }
    }

    /// Compares it with an exact search of the view that it was asked of, and notes what came out. Nothing is noted if
    /// no hit was to be found, or the search was cut off: by the deadline that the terms must have, or by `ends`, which
    /// is set when nobody wants to know any more.
    ///
    /// # Errors
    /// As for any request.
    pub fn compare(self, view: &View, terms: Terms, ends: &Arc<AtomicBool>) -> Result<()> {
        let Query::Nearest { using, .. } = &self.request.query else { return Ok(()) };
        let using = using.clone();
        let metric = view.entry.schema.space(&using)?.metric;
        let answer = execute_unless(view, self.request, terms, ends)?;
        if answer.partial.is_none()
            && let Some(recall) = recall(metric, &self.scores, &answer.hits)
        {
            view.observed.add(&using, self.share, recall, self.expected);
        }
        Ok(())
    }
}

/// The share of the true hits that was found. A hit counts by its score: of equally near ones any will do.
fn recall(metric: Metric, scores: &[f32], truth: &[Ranked]) -> Option<f32> {
    let last = truth.last()?.score;
    let slack = last.abs() * SAME;
    let threshold = if metric.passes(1.0, 0.0) { last - slack } else { last + slack };
    let found = scores.iter().filter(|score| metric.passes(**score, threshold)).count();
    Some(found.min(truth.len()) as f32 / truth.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Slot;

    fn observed(recalls: impl IntoIterator<Item = f32>, expected: f32) -> Observed {
        let observed = Observed::default();
        recalls.into_iter().for_each(|recall| observed.add("v", Share::All, recall, Some(expected)));
        observed
    }

    #[test]
    fn the_interval_is_that_of_the_books() {
        // 81 of 263 at 95 %: Newcombe 1998, table I.
        let (low, high) = wilson(81.0 / 263.0, 263);
        assert!((low - 0.2553).abs() < 5e-4 && (high - 0.3662).abs() < 5e-4, "{low} {high}");
        let (low, high) = wilson(1.0, 50);
        assert!(low < 0.93 && high > 0.9999, "that nothing was missed does not prove that nothing will be");
    }

    #[test]
    fn what_is_missed_by_chance_corrects_nothing_and_what_is_missed_often_does() {
        let few = observed([0.5; CORRECTED_MIN - 1], 0.95);
        assert_eq!(few.misses("v", Share::All), 1.0);
        let fine = observed((0..400).map(|turn| if turn % 20 == 0 { 0.0 } else { 1.0 }), 0.95);
        assert_eq!(fine.misses("v", Share::All), 1.0);
        let poor = observed((0..1000).map(|turn| if turn % 5 == 0 { 0.0 } else { 1.0 }), 0.95);
        let misses = poor.misses("v", Share::All);
        assert!((3.0..4.0).contains(&misses), "four times as many, and some of that may be chance: {misses}");
        assert_eq!(poor.misses("v", Share::Less), 1.0);
        assert_eq!(poor.misses("w", Share::All), 1.0);
        let told = &poor.measured()[0];
        assert_eq!((told.queries, told.share), (1000, Share::All));
        assert!((told.recall - 0.8).abs() < 1e-6 && told.interval.0 < 0.8 && told.interval.1 > 0.8);
    }

    #[test]
    fn old_queries_are_forgotten() {
        let recalls = std::iter::repeat_n(0.0, WINDOW).chain(std::iter::repeat_n(1.0, WINDOW));
        let told = observed(recalls, 0.95).measured();
        assert_eq!((told[0].recall, told[0].queries, told[0].misses), (1.0, WINDOW, 1.0));
    }

    #[test]
    fn a_hit_counts_by_its_score() {
        let truth = [3.0, 2.0, 2.0].map(|score| Ranked::new(Slot(0), score));
        assert_eq!(recall(Metric::Dot, &[3.0, 2.0, 2.0, 2.0], &truth), Some(1.0));
        assert_eq!(recall(Metric::Dot, &[3.0, 1.0], &truth), Some(1.0 / 3.0));
        let truth = [1.0, 2.0].map(|score| Ranked::new(Slot(0), score));
        assert_eq!(recall(Metric::Euclid, &[1.0, 2.5], &truth), Some(0.5));
        assert_eq!(recall(Metric::Dot, &[1.0], &[]), None);
    }

    #[test]
    fn shares_are_told_apart() {
        let classes = [(100, 100), (50, 100), (5, 100), (5, 1000), (1, 100_000), (0, 0)];
        let names = classes.map(|(matching, points)| Share::of(matching, points).name());
        assert_eq!(names, ["1", "0.1..1", "0.01..0.1", "0.001..0.01", "0..0.001", "1"]);
    }
}
