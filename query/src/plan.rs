//! The plan: how a request will be answered. A pure function of the request, the statistics and the cost constants.
//!
//! Equal inputs give equal plans; nothing is looked at that is not in [`Statistics`]. Whatever the plan, the answer is
//! that of the naive plan: exactly for exact strategies, up to the graph's recall for the graph.

use crate::cost;
use crate::{Query, Request};

/// What the planner knows of a view and of the filters of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Points that exist.
    pub points: usize,
    /// The vector space of this level's query, if it has one.
    pub space: Option<SpaceStatistics>,
    /// Points that the filter lets through, at least and at most.
    pub matching: (usize, usize),
    /// The same for each leg.
    pub legs: Vec<Statistics>,
}

/// What the planner knows of a vector space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceStatistics {
    /// Elements of a vector.
    pub dim: usize,
    /// Points that have a vector.
    pub rows: usize,
    /// Slots, dead ones included.
    pub slots: usize,
    /// Slots that the graph covers.
    pub linked: usize,
}

/// How one level of a request is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done.
    pub step: Step,
    /// Hits that this level must find, offset included.
    pub count: usize,
    /// Points that the filter lets through, at least and at most.
    pub matching: (usize, usize),
    /// Estimated cost of this level without its legs.
    pub cost_ns: f64,
    /// The legs.
    pub legs: Vec<Plan>,
}

/// What one level does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ranks by distance.
    Vector {
        /// The vector space.
        using: String,
        /// The way.
        strategy: Strategy,
        /// The way not taken, and its estimated cost.
        rejected: Option<(Strategy, f64)>,
    },
    /// Ranks by BM25, block-max pruned.
    Keyword,
    /// Ranks by reciprocal rank over the legs.
    Fuse,
    /// Orders by id.
    ById,
}

/// A way of finding the nearest rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Exact: every candidate row's distance is computed.
    Scan,
    /// Approximate: the graph with this beam; rows that are not linked yet are scanned. If it comes back short, `Scan`.
    Graph {
        /// The beam.
        ef: usize,
    },
}

/// Plans a request.
pub fn plan(request: &Request, statistics: &Statistics) -> Plan {
    let legs: Vec<Plan> = request
        .prefetch
        .iter()
        .zip(&statistics.legs)
        .map(|(leg, statistics)| plan(leg, statistics))
        .collect();
    let count = request.limit.saturating_add(request.offset);
    let candidates: Option<usize> = (!legs.is_empty()).then(|| legs.iter().map(|leg| leg.count).sum());
    let (step, cost_ns) = match &request.query {
        Query::ById => (Step::ById, 0.0),
        Query::Keyword { .. } => (Step::Keyword, 0.0),
        Query::Rrf { .. } => (Step::Fuse, 0.0),
        Query::Nearest { using, .. } => {
            let (strategy, cost_ns, rejected) = choose(request, statistics, count, candidates);
            (Step::Vector { using: using.clone(), strategy, rejected }, cost_ns)
        }
    };
    Plan { step, count, matching: statistics.matching, cost_ns, legs }
}

fn choose(
    request: &Request,
    statistics: &Statistics,
    count: usize,
    candidates: Option<usize>,
) -> (Strategy, f64, Option<(Strategy, f64)>) {
    let space = statistics.space.unwrap_or_default();
    let ef = request.params.ef.unwrap_or(cost::EF_DEFAULT).max(count);
    let graph = Strategy::Graph { ef };
    let matching = statistics.matching.1.min(space.rows).min(candidates.unwrap_or(usize::MAX));
    let scan_ns = cost::scan_ns(matching, space.dim);
    let share = matching as f64 / space.linked.max(1) as f64;
    let unlinked = space.slots.saturating_sub(space.linked);
    let graph_ns = cost::graph_ns(ef, space.dim, share) + cost::scan_ns(unlinked, space.dim);
    let must_scan = request.params.is_exact || space.linked == 0 || candidates.is_some();
    if must_scan {
        (Strategy::Scan, scan_ns, None)
    } else if scan_ns <= graph_ns {
        (Strategy::Scan, scan_ns, Some((graph, graph_ns)))
    } else {
        (graph, graph_ns, Some((Strategy::Scan, scan_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;

    fn nearest(params: Params) -> Request {
        let query = Query::Nearest { vector: vec![0.0; 384], using: String::new() };
        Request { query, limit: 10, params, ..Request::default() }
    }

    fn statistics(rows: usize, linked: usize, matching: usize) -> Statistics {
        let space = SpaceStatistics { dim: 384, rows, slots: rows, linked };
        Statistics { points: rows, space: Some(space), matching: (matching, matching), legs: vec![] }
    }

    fn strategy(request: &Request, statistics: &Statistics) -> Strategy {
        match plan(request, statistics).step {
            Step::Vector { strategy, .. } => strategy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_strategy_follows_the_costs() {
        let free = nearest(Params::default());
        let exact = nearest(Params { is_exact: true, ef: None });
        let graph = Strategy::Graph { ef: cost::EF_DEFAULT };
        assert_eq!(strategy(&free, &statistics(1_000, 0, 1_000)), Strategy::Scan);
        assert_eq!(strategy(&free, &statistics(200_000, 200_000, 200_000)), graph);
        assert_eq!(strategy(&free, &statistics(200_000, 200_000, 500)), Strategy::Scan);
        assert_eq!(strategy(&exact, &statistics(200_000, 200_000, 200_000)), Strategy::Scan);
    }

    #[test]
    fn the_beam_is_never_narrower_than_what_is_wanted() {
        let request = Request { limit: 500, ..nearest(Params { is_exact: false, ef: Some(10) }) };
        assert_eq!(
            strategy(&request, &statistics(9_000_000, 9_000_000, 9_000_000)),
            Strategy::Graph { ef: 500 }
        );
    }

    #[test]
    fn legs_are_planned_on_their_own_and_bound_the_candidates() {
        let rescored = Request { prefetch: vec![nearest(Params::default())], ..nearest(Params::default()) };
        let big = statistics(200_000, 200_000, 200_000);
        let plan = plan(&rescored, &Statistics { legs: vec![big.clone()], ..big });
        assert!(matches!(plan.step, Step::Vector { strategy: Strategy::Scan, .. }));
        assert!(matches!(plan.legs[0].step, Step::Vector { strategy: Strategy::Graph { .. }, .. }));
    }
}
