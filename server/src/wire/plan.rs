//! A plan as it goes out: a tree for programs, a text for people.

use kithdb::{Plan, Step, Strategy};
use serde::Serialize;

/// A plan in an answer.
#[derive(Debug, Serialize)]
pub(crate) struct PlanOut {
    tree: Node,
    text: String,
}

#[derive(Debug, Serialize)]
struct Node {
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    using: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejected>,
    /// Hits that this level must find.
    count: usize,
    matching: Matching,
    cost_ns: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    legs: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Way {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ef: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Rejected {
    #[serde(flatten)]
    way: Way,
    cost_ns: f64,
}

/// Points that the filter lets through.
#[derive(Debug, Serialize)]
struct Matching {
    at_least: usize,
    at_most: usize,
}

impl PlanOut {
    /// The plan for the wire.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { tree: Node::new(plan), text: plan.to_text() }
    }
}

impl Node {
    fn new(plan: &Plan) -> Self {
        let (step, using, strategy, rejected) = match &plan.step {
            Step::Vector { using, strategy, rejected } => {
                let rejected = rejected.map(|(other, cost_ns)| Rejected { way: Way::new(other), cost_ns });
                ("vector", Some(using.clone()), Some(Way::new(*strategy)), rejected)
            }
            Step::Keyword => ("keyword", None, None, None),
            Step::Fuse => ("fuse", None, None, None),
            Step::ById => ("by_id", None, None, None),
        };
        let (at_least, at_most) = plan.matching;
        Self {
            step,
            using,
            strategy,
            rejected,
            count: plan.count,
            matching: Matching { at_least, at_most },
            cost_ns: plan.cost_ns,
            legs: plan.legs.iter().map(Self::new).collect(),
        }
    }
}

impl Way {
    fn new(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Scan => Self { name: "scan", ef: None },
            Strategy::Graph { ef } => Self { name: "graph", ef: Some(ef) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_a_tree() {
        let (strategy, rejected) = (Strategy::Graph { ef: 64 }, Some((Strategy::Scan, 9.0)));
        let vector = Step::Vector { using: "v".into(), strategy, rejected };
        let leg = Plan { step: vector, count: 9, matching: (2, 5), cost_ns: 4.0, legs: vec![] };
        let plan = Plan { step: Step::Fuse, count: 3, matching: (5, 5), cost_ns: 0.0, legs: vec![leg] };
        let expected = json!({
            "step": "fuse", "count": 3, "matching": {"at_least": 5, "at_most": 5}, "cost_ns": 0.0,
            "legs": [{
                "step": "vector", "using": "v", "strategy": {"name": "graph", "ef": 64},
                "rejected": {"name": "scan", "cost_ns": 9.0},
                "count": 9, "matching": {"at_least": 2, "at_most": 5}, "cost_ns": 4.0,
            }],
        });
        assert_eq!(serde_json::to_value(Node::new(&plan)).expect("JSON"), expected);
    }
}
