//! A plan as a person reads it.
//!
//! ```text
//! fuse by reciprocal rank, 10 hits
//! ├─ vector `` by graph (ef 41) over a segment of 9000 rows, expected recall 0.974, 100 hits, of 9000 matching: about
//! │  0.05 ms; scan by codes would take about 0.40 ms
//! └─ keyword by BM25, 100 hits, of 200000 matching
//! ```

use std::fmt::Write as _;
use std::time::Duration;

use index::Work;
use index::sparse::Way;
use types::{FieldPath, Result};

use crate::plan::{PartPlan, Plan, Step, Strategy};
use crate::{Actual, PartActual, Request, SparsePlan, View, execute};

/// The plan of a request, which must have passed [`Request::check`], without answering it.
///
/// # Errors
/// `Corrupted` or `Io`.
pub fn explain(view: &View, request: Request) -> Result<Plan> {
    execute::plan_only(view, request)
}

impl Plan {
    /// The plan as an indented tree.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.draw(None, &mut text, "", "");
        text
    }

    /// The plan as an indented tree, each level with what it really did.
    pub fn to_text_with(&self, actual: &Actual) -> String {
        let mut text = String::new();
        self.draw(Some(actual), &mut text, "", "");
        text
    }

    fn draw(&self, actual: Option<&Actual>, text: &mut String, first: &str, rest: &str) {
        let _ = writeln!(text, "{first}{}", self.line());
        let trunk = if self.legs.is_empty() { "   " } else { "│  " };
        for line in actual.iter().flat_map(|actual| done(actual)) {
            let _ = writeln!(text, "{rest}{trunk}{line}");
        }
        for (position, leg) in self.legs.iter().enumerate() {
            let is_last = position + 1 == self.legs.len();
            let (branch, trunk) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let actual = actual.and_then(|actual| actual.legs.get(position));
            leg.draw(actual, text, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }

    /// Which indexes would spare reading payloads, and how much.
    fn advice(&self) -> String {
        let indexes = self.unindexed.iter().map(|(path, kind)| format!("of `{path}` as {kind}"));
        let indexes: Vec<String> = indexes.collect();
        self.saving().map_or_else(String::new, |(payloads, cost_ns)| {
            let cost = milliseconds(cost_ns);
            let indexes = indexes.join(" and ");
            format!(" (an index {indexes} would know, and save reading up to {payloads} payloads: {cost})")
        })
    }

    fn line(&self) -> String {
        let count = self.count;
        let matching = match self.matching {
            (lower, upper) if lower == upper => format!("of {upper} matching"),
            (lower, upper) => {
                format!("of {lower} to {upper} matching, payloads decide{}", self.advice())
            }
        };
        match &self.step {
            Step::Vector { using, parts } => {
                let (ways, cost) = (ways(parts), milliseconds(self.cost_ns));
                format!("vector `{using}` by {ways}, {count} hits, {matching}: {cost}{}", instead(parts))
            }
            Step::Sparse { using, terms, parts } => {
                let (ways, cost) = (sparse_ways(parts), milliseconds(self.cost_ns));
                let other = milliseconds(parts.iter().map(|part| part.rejected_ns).sum());
                format!(
                    "sparse vector `{using}` of {terms} weights by {ways}, {count} hits, {matching}: {cost}; the other \
                     way would take {other}"
                )
            }
            Step::MaxSim { using, scanned } => {
                let cost = milliseconds(self.cost_ns);
                format!(
                    "multivector `{using}` by exact scan of {scanned} (no graph covers them), {count} hits, {matching}: {cost}"
                )
            }
            Step::Keyword => format!("keyword by BM25, {count} hits, {matching}"),
            Step::Fuse { by, weights } => {
                let words = weights.map_or_else(String::new, |weights| {
                    format!(" (words {:.2} to {:.2})", weights.words_least, weights.words_most)
                });
                format!("fuse by {by}{words}, {count} hits")
            }
            Step::ById => format!("points by id, {count} hits, {matching}"),
            Step::Rate { using, by, rated, probes, rejected_ns } => {
                let cost = milliseconds(self.cost_ns);
                let rated = match probes {
                    0 => format!("{rated} rated"),
                    1 => "those nearest to one vector rated until no other can be better".to_owned(),
                    _ => format!("those nearest to {probes} vectors rated until no other can be better"),
                };
                let other = if *probes == 0 { "those nearest to them" } else { "rating all" };
                let instead = rejected_ns.map(|ns| format!("; {other} would take {}", milliseconds(ns)));
                let instead = instead.unwrap_or_default();
                format!("vector `{using}` by {by}, {rated}, {count} hits, {matching}: {cost}{instead}")
            }
            Step::Diversify => format!("choose different ones by maximal marginal relevance, {count} hits"),
            Step::Order { path, is_by_index, rejected_ns } => {
                let (way, other) = ways_of_order(path, *is_by_index, rejected_ns.is_some());
                let cost = milliseconds(self.cost_ns);
                let instead = rejected_ns.map(|ns| format!("; {other} would take {}", milliseconds(ns)));
                format!("{way}, {count} hits, {matching}: {cost}{}", instead.unwrap_or_default())
            }
            Step::Sample => format!("points at random, {count} hits, {matching}"),
            Step::Formula => format!("compute a formula, {count} hits"),
        }
    }
}

/// So many hits of a fusion are told what each leg gave them.
const HITS_TOLD: usize = 10;

/// What a level did: itself, then each part, then of a fusion the first hits.
fn done(actual: &Actual) -> Vec<String> {
    let ms = |elapsed: Duration| format!("{:.3} ms", elapsed.as_secs_f64() * 1e3);
    let payloads = match actual.payloads {
        0 => String::new(),
        read => format!(", {read} payloads read to decide what matches"),
    };
    let weights = match &actual.weights[..] {
        [] => String::new(),
        weights => format!(", legs weighed {weights:.3?}"),
    };
    let level = format!("took {}, {} hits{payloads}{weights}", ms(actual.elapsed), actual.found);
    let part = |(at, part): (usize, &PartActual)| {
        let Work { hops, distances, bytes, .. } = part.work;
        let work = format!("{hops} hops, {distances} distances, {bytes} bytes");
        format!("part {at}: {}, {work}, {} rows", ms(part.elapsed), part.found)
    };
    let share = |share: &Option<f32>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.4}"));
    let hit = |(at, shares): (usize, &Vec<Option<f32>>)| {
        let shares: Vec<String> = shares.iter().map(share).collect();
        format!("hit {}: {} from the legs", at + 1, shares.join(" + "))
    };
    let parts = actual.parts.iter().enumerate().map(part);
    let hits = actual.shares.iter().take(HITS_TOLD).enumerate().map(hit);
    std::iter::once(level).chain(parts).chain(hits).collect()
}

/// What is done in each part; parts that are done alike are told together.
fn ways(parts: &[PartPlan]) -> String {
    let told = parts.chunk_by(|a, b| (a.is_segment, a.strategy) == (b.is_segment, b.strategy));
    let told: Vec<String> = told.map(|alike| way(alike, parts.len() > alike.len())).collect();
    if told.is_empty() { "nothing: no part has rows".to_owned() } else { told.join(" and ") }
}

/// What is done with a sparse vector in each part; parts that are done alike are told together.
fn sparse_ways(plans: &[SparsePlan]) -> String {
    let kind = |plan: &SparsePlan| (plan.part.is_segment, plan.part.is_readable, plan.way);
    let told = plans.chunk_by(|a, b| kind(a) == kind(b)).map(|alike| {
        let sum = |of: &dyn Fn(&SparsePlan) -> usize| alike.iter().map(of).sum::<usize>();
        let (shown, postings) = (sum(&|plan| plan.part.shown), sum(&|plan| plan.part.postings));
        let place = if alike[0].part.is_segment { "in segments" } else { "in memory" };
        match (alike[0].part.is_readable, alike[0].way) {
            (false, _) => format!("reading {shown} vectors from storage, their lists are being made anew"),
            (true, Way::Lists) => format!("lists of {postings} weights {place}"),
            (true, Way::Rows) => format!("looking {shown} rows up {place}"),
        }
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "nothing: no part has rows".to_owned() } else { told.join(" and ") }
}

fn way(alike: &[PartPlan], is_one_of_many: bool) -> String {
    let rows: usize = alike.iter().map(|part| part.rows).sum();
    let recall = alike.iter().filter_map(|part| part.recall).reduce(f32::min);
    let recall = recall.filter(|recall| *recall < 1.0).map(|recall| format!(", expected recall {recall:.3}"));
    let place = match (alike.first().is_some_and(|part| part.is_segment), alike.len()) {
        (false, _) if !is_one_of_many => String::new(),
        (false, _) => format!(" over {rows} rows in memory"),
        (true, 1) => format!(" over a segment of {rows} rows"),
        (true, segments) => format!(" over {segments} segments of {rows} rows"),
    };
    let way = alike.first().map_or_else(String::new, |part| name(part.strategy));
    format!("{way}{place}{}", recall.unwrap_or_default())
}

/// The way in which points are ordered, and the other one.
fn ways_of_order(path: &FieldPath, is_by_index: bool, has_index: bool) -> (String, &'static str) {
    let advice = if has_index { "" } else { " (an index of numbers or times would know)" };
    match is_by_index {
        true => (format!("points in the order of the index of `{path}`"), "reading payloads"),
        false => (format!("points by `{path}`, read from payloads{advice}"), "its index"),
    }
}

/// The next best way of the costliest part.
fn instead(parts: &[PartPlan]) -> String {
    let costliest = parts.iter().max_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns));
    match costliest.and_then(|part| part.rejected.first()) {
        Some((other, cost_ns)) => format!("; {} would take {}", name(*other), milliseconds(*cost_ns)),
        None => String::new(),
    }
}

/// The name of a strategy.
pub fn name(strategy: Strategy) -> String {
    match strategy {
        Strategy::Scan => "exact scan".to_owned(),
        Strategy::Codes => "scan by codes".to_owned(),
        Strategy::Graph { ef } => format!("graph (ef {ef})"),
    }
}

fn milliseconds(ns: f64) -> String {
    format!("about {:.2} ms", ns / 1e6)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use types::{FieldKind, HybridWeights};

    use super::*;

    #[test]
    fn a_plan_reads_as_a_tree() {
        let fields = || BTreeMap::from([("a.b".parse().expect("a path"), FieldKind::Float)]);
        let leg = |step, matching| Plan {
            step,
            count: 9,
            matching,
            unindexed: fields(),
            cost_ns: 1e6,
            legs: vec![],
        };
        let part = |rows, is_segment, strategy, recall| PartPlan {
            is_segment,
            rows,
            shown: rows,
            strategy,
            cost_ns: rows as f64,
            recall,
            rejected: vec![(Strategy::Scan, 2e6)],
        };
        let parts = vec![
            part(900, true, Strategy::Graph { ef: 64 }, Some(0.97)),
            part(800, true, Strategy::Graph { ef: 64 }, Some(0.96)),
            part(7, false, Strategy::Scan, Some(1.0)),
        ];
        let vector = Step::Vector { using: "v".into(), parts };
        let legs = vec![leg(vector, (5, 5)), leg(Step::Keyword, (0, 5))];
        let plan = Plan {
            step: Step::Fuse { by: "reciprocal rank", weights: None },
            count: 3,
            matching: (5, 5),
            unindexed: BTreeMap::new(),
            cost_ns: 0.0,
            legs,
        };
        let expected = "fuse by reciprocal rank, 3 hits\n\
            ├─ vector `v` by graph (ef 64) over 2 segments of 1700 rows, expected recall 0.960 and exact scan over 7 \
            rows in memory, 9 hits, of 5 matching: about 1.00 ms; exact scan would take about 2.00 ms\n\
            └─ keyword by BM25, 9 hits, of 0 to 5 matching, payloads decide (an index of `a.b` as \
            float would know, and save reading up to 5 payloads: about 0.01 ms)\n";
        assert_eq!(plan.to_text(), expected);
        let weights = Some(HybridWeights { words_least: 0.1, words_most: 0.6 });
        let plan = Plan { step: Step::Fuse { by: "relative score", weights }, legs: vec![], ..plan };
        assert_eq!(plan.to_text(), "fuse by relative score (words 0.10 to 0.60), 3 hits\n");
    }

    #[test]
    fn a_fusion_tells_what_each_leg_gave_to_each_hit() {
        let shares = vec![vec![Some(0.35), Some(0.5)], vec![None, Some(0.25)]];
        let actual = Actual { found: 2, weights: vec![0.35, 0.65], shares, ..Actual::default() };
        let lines = done(&actual);
        assert!(lines[0].ends_with("2 hits, legs weighed [0.350, 0.650]"), "{lines:?}");
        assert_eq!(lines[1..], ["hit 1: 0.3500 + 0.5000 from the legs", "hit 2: - + 0.2500 from the legs"]);
    }

    #[test]
    fn an_order_says_where_it_comes_from() {
        let told = |is_by_index, rejected_ns| {
            let step = Step::Order { path: "year".parse().expect("a path"), is_by_index, rejected_ns };
            let (matching, unindexed) = ((5, 5), BTreeMap::new());
            Plan { step, count: 3, matching, unindexed, cost_ns: 1e6, legs: vec![] }.to_text()
        };
        assert_eq!(
            told(true, Some(2e6)),
            "points in the order of the index of `year`, 3 hits, of 5 matching: about 1.00 ms; reading payloads \
             would take about 2.00 ms\n"
        );
        assert_eq!(
            told(false, Some(2e6)),
            "points by `year`, read from payloads, 3 hits, of 5 matching: about 1.00 ms; its index would take about \
             2.00 ms\n"
        );
        assert_eq!(
            told(false, None),
            "points by `year`, read from payloads (an index of numbers or times would know), 3 hits, of 5 matching: \
             about 1.00 ms\n"
        );
    }
}
