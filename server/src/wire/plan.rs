//! A plan as it goes out: a tree for programs, a text for people.

use std::collections::BTreeMap;

use kithdb::{Actual, PartActual, PartPlan, Plan, SparsePlan, SparseWay, Step, Strategy};
use serde::Serialize;
use utoipa::ToSchema;

use super::hybrid::HybridWeightsJson;
use super::schema::{Shown, many, number, object, text, whole};

/// A plan in an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanOut {
    tree: Node,
    text: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanStep)]
struct Node {
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    using: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<Part>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lists: Option<Vec<Lists>>,
    /// Of an adaptive fusion: what words weigh, where the request or the collection says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    hybrid_weights: Option<HybridWeightsJson>,
    /// Of an order: whether it comes from the index of its field; else it is read from payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_index: Option<bool>,
    /// Hits that this level must find.
    count: usize,
    matching: Matching,
    /// Fields whose payloads decide, and the kind of index that would know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unindexed: BTreeMap<String, &'static str>,
    /// What those indexes would save at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    saving: Option<Saving>,
    cost_ns: f64,
    /// Of an order, and of ratings by examples: what the other way would cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_cost_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<ActualOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    legs: Vec<Node>,
}

/// What a level really did, its legs included in its time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StepActual)]
struct ActualOut {
    elapsed_ns: u64,
    found: usize,
    payloads_read: usize,
    /// Of a fusion: what each leg weighed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    weights: Vec<f32>,
    /// Of a fusion: for each hit the shares of the legs in its score; of those that found it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<Vec<Option<f32>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartActualOut>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartActual)]
struct PartActualOut {
    elapsed_ns: u64,
    found: usize,
    hops: u64,
    distances: u64,
    /// Of vectors, codes and links, about; 0 where sparse vectors are asked.
    bytes: u64,
}

/// What is done in one part of the collection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanPart)]
struct Part {
    kind: &'static str,
    rows: usize,
    shown: usize,
    strategy: Way,
    cost_ns: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_recall: Option<f32>,
    #[schema(schema_with = rejected)]
    rejected: Vec<Rejected>,
}

/// What is done with a sparse vector in one part of the collection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanLists)]
struct Lists {
    kind: &'static str,
    rows: usize,
    shown: usize,
    postings: usize,
    strategy: &'static str,
    cost_ns: f64,
    rejected_cost_ns: f64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanWay)]
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

/// Payloads that indexes would spare reading, and their cost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanSaving)]
struct Saving {
    payloads: usize,
    cost_ns: f64,
}

/// Points that the filter lets through.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanMatching)]
struct Matching {
    at_least: usize,
    at_most: usize,
}

/// Ways that cost more.
fn rejected() -> Shown {
    many(object([("name", text()), ("cost_ns", number())]).may("ef", whole(0)).shown())
}

impl PlanOut {
    /// The plan for the wire.
    pub(crate) fn new(plan: &Plan, actual: Option<&Actual>) -> Self {
        let text = actual.map_or_else(|| plan.to_text(), |actual| plan.to_text_with(actual));
        Self { tree: Node::new(plan, actual), text }
    }
}

impl Node {
    fn new(plan: &Plan, actual: Option<&Actual>) -> Self {
        let (step, using, parts) = match &plan.step {
            Step::Vector { using, parts } => {
                ("vector", Some(using.clone()), Some(parts.iter().map(Part::new).collect()))
            }
            Step::Sparse { using, .. } => ("sparse", Some(using.clone()), None),
            Step::MaxSim { using, .. } => ("max_sim", Some(using.clone()), None),
            Step::Keyword => ("keyword", None, None),
            Step::Fuse { .. } => ("fuse", None, None),
            Step::ById => ("by_id", None, None),
            Step::Rate { using, .. } => ("rate", Some(using.clone()), None),
            Step::Diversify => ("diversify", None, None),
            Step::Order { .. } => ("order", None, None),
            Step::Sample => ("sample", None, None),
            Step::Formula => ("formula", None, None),
        };
        let lists = match &plan.step {
            Step::Sparse { parts, .. } => Some(parts.iter().map(Lists::new).collect()),
            _ => None,
        };
        let hybrid_weights = match &plan.step {
            Step::Fuse { weights, .. } => weights.map(HybridWeightsJson::of),
            _ => None,
        };
        let by_index = match &plan.step {
            Step::Order { is_by_index, .. } => Some(*is_by_index),
            _ => None,
        };
        let (at_least, at_most) = plan.matching;
        let leg = |(position, leg): (usize, &Plan)| {
            Self::new(leg, actual.and_then(|actual| actual.legs.get(position)))
        };
        Self {
            step,
            using,
            parts,
            lists,
            hybrid_weights,
            by_index,
            count: plan.count,
            matching: Matching { at_least, at_most },
            unindexed: plan.unindexed.iter().map(|(path, kind)| (path.to_string(), kind.name())).collect(),
            saving: plan.saving().map(|(payloads, cost_ns)| Saving { payloads, cost_ns }),
            cost_ns: plan.cost_ns,
            rejected_cost_ns: plan.rejected_ns(),
            actual: actual.map(ActualOut::new),
            legs: plan.legs.iter().enumerate().map(leg).collect(),
        }
    }
}

impl ActualOut {
    fn new(actual: &Actual) -> Self {
        let part = |part: &PartActual| PartActualOut {
            elapsed_ns: part.elapsed.as_nanos() as u64,
            found: part.found,
            hops: part.work.hops,
            distances: part.work.distances,
            bytes: part.work.bytes,
        };
        Self {
            elapsed_ns: actual.elapsed.as_nanos() as u64,
            found: actual.found,
            payloads_read: actual.payloads,
            weights: actual.weights.clone(),
            shares: actual.shares.clone(),
            parts: actual.parts.iter().map(part).collect(),
        }
    }
}

impl Lists {
    fn new(plan: &SparsePlan) -> Self {
        Self {
            kind: if plan.part.is_segment { "segment" } else { "head" },
            rows: plan.part.rows,
            shown: plan.part.shown,
            postings: plan.part.postings,
            strategy: match (plan.part.is_readable, plan.way) {
                (false, _) => "storage",
                (true, SparseWay::Lists) => "lists",
                (true, SparseWay::Rows) => "rows",
            },
            cost_ns: plan.cost_ns,
            rejected_cost_ns: plan.rejected_ns,
        }
    }
}

impl Part {
    fn new(part: &PartPlan) -> Self {
        let rejected =
            |(other, cost_ns): &(Strategy, f64)| Rejected { way: Way::new(*other), cost_ns: *cost_ns };
        Self {
            kind: if part.is_segment { "segment" } else { "head" },
            rows: part.rows,
            shown: part.shown,
            strategy: Way::new(part.strategy),
            cost_ns: part.cost_ns,
            expected_recall: part.recall,
            rejected: part.rejected.iter().map(rejected).collect(),
        }
    }
}

impl Way {
    fn new(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Scan => Self { name: "scan", ef: None },
            Strategy::Codes => Self { name: "codes", ef: None },
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
        let part = PartPlan {
            is_segment: true,
            rows: 7,
            shown: 5,
            strategy: Strategy::Graph { ef: 64 },
            cost_ns: 4.0,
            recall: Some(0.5),
            rejected: vec![(Strategy::Scan, 9.0)],
        };
        let vector = Step::Vector { using: "v".into(), parts: vec![part] };
        let unindexed = BTreeMap::from([("n".parse().expect("a path"), kithdb::FieldKind::Integer)]);
        let leg = Plan { step: vector, count: 9, matching: (2, 5), unindexed, cost_ns: 4.0, legs: vec![] };
        let plan = Plan {
            step: Step::Fuse { by: "reciprocal rank", weights: None },
            count: 3,
            matching: (5, 5),
            unindexed: BTreeMap::new(),
            cost_ns: 0.0,
            legs: vec![leg],
        };
        let expected = json!({
            "step": "fuse", "count": 3, "matching": {"at_least": 5, "at_most": 5}, "cost_ns": 0.0,
            "legs": [{
                "step": "vector", "using": "v",
                "parts": [{
                    "kind": "segment", "rows": 7, "shown": 5, "strategy": {"name": "graph", "ef": 64}, "cost_ns": 4.0,
                    "expected_recall": 0.5, "rejected": [{"name": "scan", "cost_ns": 9.0}],
                }],
                "count": 9, "matching": {"at_least": 2, "at_most": 5}, "unindexed": {"n": "integer"},
                "saving": {"payloads": 3, "cost_ns": 7500.0}, "cost_ns": 4.0,
            }],
        });
        assert_eq!(serde_json::to_value(Node::new(&plan, None)).expect("JSON"), expected);
    }
}
