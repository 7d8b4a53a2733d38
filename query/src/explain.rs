//! A plan as a person reads it.
//!
//! ```text
//! fuse by reciprocal rank, 10 hits
//! ├─ vector `` by graph (ef 128), 100 hits, of 200000 matching: 1.0 ms; scan would take 7.0 ms
//! └─ keyword by BM25, 100 hits, of 200000 matching
//! ```

use std::fmt::Write as _;

use types::Result;

use crate::plan::{Plan, Step, Strategy};
use crate::{Request, View, execute};

/// The plan of a request, which must have passed [`Request::check`], without answering it.
///
/// # Errors
/// `Corrupted` or `Io`.
pub fn explain(view: &View, request: &Request) -> Result<Plan> {
    execute::plan_only(view, request)
}

impl Plan {
    /// The plan as an indented tree.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.draw(&mut text, "", "");
        text
    }

    fn draw(&self, text: &mut String, first: &str, rest: &str) {
        let _ = writeln!(text, "{first}{}", self.line());
        for (position, leg) in self.legs.iter().enumerate() {
            let is_last = position + 1 == self.legs.len();
            let (branch, trunk) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            leg.draw(text, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }

    fn line(&self) -> String {
        let count = self.count;
        let matching = match self.matching {
            (lower, upper) if lower == upper => format!("of {upper} matching"),
            (lower, upper) => {
                format!("of {lower} to {upper} matching, payloads decide (a field index would know)")
            }
        };
        match &self.step {
            Step::Vector { using, strategy, rejected } => {
                let instead = rejected.map_or(String::new(), |(other, cost_ns)| {
                    format!("; {} would take {}", name(other), milliseconds(cost_ns))
                });
                let (way, cost) = (name(*strategy), milliseconds(self.cost_ns));
                format!("vector `{using}` by {way}, {count} hits, {matching}: {cost}{instead}")
            }
            Step::Keyword => format!("keyword by BM25, {count} hits, {matching}"),
            Step::Fuse => format!("fuse by reciprocal rank, {count} hits"),
            Step::ById => format!("points by id, {count} hits, {matching}"),
        }
    }
}

/// The name of a strategy.
pub fn name(strategy: Strategy) -> String {
    match strategy {
        Strategy::Scan => "exact scan".to_owned(),
        Strategy::Graph { ef } => format!("graph (ef {ef})"),
    }
}

fn milliseconds(ns: f64) -> String {
    format!("about {:.2} ms", ns / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_as_a_tree() {
        let leg = |step, matching| Plan { step, count: 9, matching, cost_ns: 1e6, legs: vec![] };
        let vector = Step::Vector {
            using: "v".into(),
            strategy: Strategy::Graph { ef: 64 },
            rejected: Some((Strategy::Scan, 2e6)),
        };
        let legs = vec![leg(vector, (5, 5)), leg(Step::Keyword, (0, 5))];
        let plan = Plan { step: Step::Fuse, count: 3, matching: (5, 5), cost_ns: 0.0, legs };
        let expected = "fuse by reciprocal rank, 3 hits\n\
            ├─ vector `v` by graph (ef 64), 9 hits, of 5 matching: about 1.00 ms; exact scan would take about 2.00 ms\n\
            └─ keyword by BM25, 9 hits, of 0 to 5 matching, payloads decide (a field index would know)\n";
        assert_eq!(plan.to_text(), expected);
    }
}
