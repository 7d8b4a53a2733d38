//! The plan: how a request will be answered. A pure function of the request, the statistics and the cost constants.
//!
//! Equal inputs give equal plans; nothing is looked at that is not in [`Statistics`]. Whatever the plan, the answer is
//! that of the naive plan: exactly for exact strategies, up to the graph's recall for the graph.

use std::collections::BTreeMap;

use index::graph::Calibration;
use types::{FieldKind, FieldPath, HybridWeights, Metric, SparseVector};

use crate::cost;
use crate::kinds::rate::Rating;
use crate::sparse::{self, SparsePart, SparsePlan};
use crate::stages::Stage;
use crate::{Query, Request};

/// What the planner knows of a view and of the filters of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics<'a> {
    /// The vector space of this level's query, if it has one.
    pub space: Option<SpaceStatistics<'a>>,
    /// What is known of each part, if this level asks with a sparse vector.
    pub sparse: Option<Vec<SparsePart>>,
    /// Points that the filter lets through, at least and at most.
    pub matching: (usize, usize),
    /// Fields of the filter without an index, and the kind that would know; nothing where no payload decides.
    pub unindexed: BTreeMap<FieldPath, FieldKind>,
    /// What is known of the order that this level asks for, if an index knows it.
    pub order: Option<OrderStatistics>,
    /// The same for each leg.
    pub legs: Vec<Statistics<'a>>,
}

/// What the planner knows of the index of a field that points are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderStatistics {
    /// Values in it, from the one on at which to begin, those of dead rows included.
    pub keys: usize,
    /// Points that the filter lets through, at most, and that it does not know whole.
    pub unknown: usize,
}

/// What the planner knows of a vector space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceStatistics<'a> {
    /// Elements of a vector.
    pub dim: usize,
    /// The measure of nearness.
    pub metric: Metric,
    /// So many times more is missed by live queries than the calibrations say.
    pub misses: f32,
    /// In the order of the view's parts.
    pub parts: Vec<PartStatistics<'a>>,
}

/// What the planner knows of one part of a space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartStatistics<'a> {
    /// Rows with a vector, dead ones included.
    pub rows: usize,
    /// Rows that exist and that the filter lets through, at most.
    pub shown: usize,
    /// Rows of a head that its graph covers.
    pub linked: usize,
    /// Of a segment: what its searches find and take.
    pub calibration: Option<&'a Calibration>,
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
    /// Fields of the filter that payloads are read for, and the kind of index that would spare it.
    pub unindexed: BTreeMap<FieldPath, FieldKind>,
    /// Estimated cost of this level without its legs.
    pub cost_ns: f64,
    /// The legs.
    pub legs: Vec<Plan>,
}

impl Plan {
    /// What [`kind`](Self::kind) may be; first the strategies, that which approximates most before the others.
    pub const KINDS: [&'static str; 14] = [
        "graph",
        "codes",
        "scan",
        "sparse",
        "max_sim",
        "rescore",
        "keyword",
        "fuse",
        "by_id",
        "rate",
        "diversify",
        "order",
        "sample",
        "formula",
    ];

    /// What indexes of its [`unindexed`](Self::unindexed) fields would save at most: payloads that need not be read,
    /// and their cost.
    pub fn saving(&self) -> Option<(usize, f64)> {
        let (least, most) = self.matching;
        let payloads = most.saturating_sub(least);
        (!self.unindexed.is_empty()).then(|| (payloads, cost::payloads_ns(payloads)))
    }

    /// The order in which its legs are run: the cheapest first, so that where the time or the rows end before, the
    /// costliest is missing. The answer is the same in any order.
    pub fn leg_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.legs.len()).collect();
        let costs: Vec<f64> = self.legs.iter().map(Self::total_ns).collect();
        order.sort_by(|a, b| costs[*a].total_cmp(&costs[*b]));
        order
    }

    /// Its estimated cost with its legs.
    fn total_ns(&self) -> f64 {
        self.cost_ns + self.legs.iter().map(Self::total_ns).sum::<f64>()
    }

    /// The kind of its last step, one of a few: of several strategies, that which approximates most.
    pub fn kind(&self) -> &'static str {
        match &self.step {
            Step::Vector { .. } | Step::Sparse { .. } | Step::MaxSim { .. } if !self.legs.is_empty() => {
                "rescore"
            }
            Step::Vector { parts, .. } => {
                let rank = |part: &PartPlan| match part.strategy {
                    Strategy::Graph { .. } => 0,
                    Strategy::Codes => 1,
                    Strategy::Scan => 2,
                };
                Self::KINDS[parts.iter().map(rank).min().unwrap_or(2)]
            }
            Step::Sparse { .. } => "sparse",
            Step::MaxSim { .. } => "max_sim",
            Step::Keyword => "keyword",
            Step::Fuse { .. } => "fuse",
            Step::ById => "by_id",
            Step::Rate { .. } => "rate",
            Step::Diversify => "diversify",
            Step::Order { .. } => "order",
            Step::Sample => "sample",
            Step::Formula => "formula",
        }
    }

    /// What the way that was not taken would cost, of a step that is done as a whole and has two.
    pub fn rejected_ns(&self) -> Option<f64> {
        match &self.step {
            Step::Rate { rejected_ns, .. } | Step::Order { rejected_ns, .. } => *rejected_ns,
            _ => None,
        }
    }

    /// The stage that its last step is.
    pub(crate) fn stage(&self) -> Stage {
        match &self.step {
            Step::Fuse { .. } => Stage::Fuse,
            _ if !self.legs.is_empty() => Stage::Rescore,
            Step::Vector { .. } | Step::MaxSim { .. } => Stage::Vector,
            Step::Sparse { .. } => Stage::Sparse,
            Step::Keyword => Stage::Keyword,
            Step::Rate { .. } => Stage::Rate,
            Step::ById | Step::Order { .. } | Step::Sample => Stage::Order,
            Step::Diversify | Step::Formula => Stage::Rescore,
        }
    }
}

/// What one level does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ranks by distance.
    Vector {
        /// The vector space.
        using: String,
        /// What is done in each part of the collection, segments first.
        parts: Vec<PartPlan>,
    },
    /// Ranks by the dot product with a sparse vector, exactly.
    Sparse {
        /// The space.
        using: String,
        /// Dimensions of the query.
        terms: usize,
        /// What is done in each part of the collection, segments first.
        parts: Vec<SparsePlan>,
    },
    /// Ranks by MaxSim with a multivector, exactly.
    MaxSim {
        /// The space.
        using: String,
        /// Multivectors that are read, at most.
        scanned: usize,
    },
    /// Ranks by BM25, block-max pruned.
    Keyword,
    /// Ranks by what the legs found.
    Fuse {
        /// How.
        by: &'static str,
        /// What words weigh, if that was said.
        weights: Option<HybridWeights>,
    },
    /// Orders by id.
    ById,
    /// Rates every vector that may be a hit by examples.
    Rate {
        /// The vector space.
        using: String,
        /// By what.
        by: &'static str,
        /// Vectors that are rated, at most.
        rated: usize,
        /// So many vectors are asked for their nearest, until no other can be rated better; 0: all are rated.
        probes: usize,
        /// What the other way would cost, if there is one.
        rejected_ns: Option<f64>,
    },
    /// Chooses different ones of what the leg found.
    Diversify,
    /// Orders by the values of a field.
    Order {
        /// The field.
        path: FieldPath,
        /// Whether they come from the index of the field; else they are read from payloads.
        is_by_index: bool,
        /// What the other way would cost, if there is an index.
        rejected_ns: Option<f64>,
    },
    /// Chooses at random.
    Sample,
    /// Computes a formula for what the legs found.
    Formula,
}

/// How the nearest rows of one part are found.
#[derive(Clone, Debug, PartialEq)]
pub struct PartPlan {
    /// Whether it is a sealed segment, and not a head.
    pub is_segment: bool,
    /// Rows with a vector.
    pub rows: usize,
    /// Rows that may be found, at most.
    pub shown: usize,
    /// The way.
    pub strategy: Strategy,
    /// Its estimated cost.
    pub cost_ns: f64,
    /// The share of the true hits that it finds; nothing where that was not measured.
    pub recall: Option<f32>,
    /// The ways not taken, and their estimated costs.
    pub rejected: Vec<(Strategy, f64)>,
}

/// A way of finding the nearest rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Exact: every shown row's distance is computed.
    Scan,
    /// Every shown row is estimated by its codes, and the best are computed exactly.
    Codes,
    /// Approximate: the graph with this beam; rows that are not linked yet are scanned. If it comes back short, a scan.
    Graph {
        /// The beam.
        ef: usize,
    },
}

/// Plans a request.
pub fn plan(request: &Request, statistics: &Statistics<'_>) -> Plan {
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
        Query::Keyword(_) => (Step::Keyword, 0.0),
        Query::Fuse(fusion) => (Step::Fuse { by: fusion.name(), weights: fusion.of_words() }, 0.0),
        Query::Diverse { .. } => (Step::Diversify, 0.0),
        Query::Order(order) => choose_order(&order.path, statistics, (count, candidates)),
        Query::Sample { .. } => (Step::Sample, 0.0),
        Query::Formula(_) => (Step::Formula, 0.0),
        Query::Recommend { using, .. }
        | Query::Discover { using, .. }
        | Query::Context { using, .. }
        | Query::Feedback { using, .. } => rate(request, using, statistics, (count, candidates)),
        Query::Nearest { using, vector } if statistics.sparse.is_some() => {
            let terms = vector.sparse().map_or(0, SparseVector::len);
            let parts = sparse::plan(statistics.sparse.as_deref().unwrap_or_default(), terms, candidates);
            let cost_ns = parts.iter().map(|part| part.cost_ns).sum();
            (Step::Sparse { using: using.clone(), terms, parts }, cost_ns)
        }
        Query::Nearest { using, vector } if vector.multi().is_some() => {
            let scanned = statistics.matching.1.min(candidates.unwrap_or(usize::MAX));
            let cost_ns = cost::multi_ns(scanned, vector.multi().map_or(0, Vec::len));
            (Step::MaxSim { using: using.clone(), scanned }, cost_ns)
        }
        Query::Nearest { using, .. } => {
            let parts = choose_all(request, statistics.space.as_ref(), count, candidates);
            let cost_ns = parts.iter().map(|part| part.cost_ns).sum();
            (Step::Vector { using: using.clone(), parts }, cost_ns)
        }
    };
    let (matching, unindexed) = (statistics.matching, statistics.unindexed.clone());
    Plan { step, count, matching, unindexed, cost_ns, legs }
}

/// The first of an index, or what payloads say.
fn choose_order(
    path: &FieldPath,
    statistics: &Statistics<'_>,
    (count, candidates): (usize, Option<usize>),
) -> (Step, f64) {
    let shown = statistics.matching.1.min(candidates.unwrap_or(usize::MAX));
    let payloads_ns = cost::payloads_ns(shown);
    let index_ns = statistics.order.map(|OrderStatistics { keys, unknown }| {
        cost::order_by_index_ns(keys, count, shown, unknown.min(shown))
    });
    let is_by_index = index_ns.is_some_and(|index_ns| index_ns < payloads_ns);
    let (cost_ns, rejected_ns) = match index_ns {
        Some(index_ns) if is_by_index => (index_ns, Some(payloads_ns)),
        rejected_ns => (payloads_ns, rejected_ns),
    };
    (Step::Order { path: path.clone(), is_by_index, rejected_ns }, cost_ns)
}

/// Every vector that may be a hit is compared with every example, or those near to some of them.
fn rate(
    request: &Request,
    using: &str,
    statistics: &Statistics<'_>,
    (count, candidates): (usize, Option<usize>),
) -> (Step, f64) {
    let rating = Rating::of_dense(&request.query);
    let by = rating.as_ref().map_or("mean of examples", Rating::name);
    let examples = rating.as_ref().map_or(1, Rating::examples);
    let space = statistics.space.as_ref();
    let shown = |part: &PartStatistics<'_>| part.shown.min(part.rows);
    let rated = space.map_or(statistics.matching.1, |space| space.parts.iter().map(shown).sum());
    let rated = candidates.map_or(rated, |candidates: usize| candidates.min(rated));
    let dim = space.map_or(0, |space| space.dim);
    let all_ns = match space {
        Some(_) => cost::scan_ns(rated, dim) * examples as f64,
        None => cost::multi_ns(rated, examples),
    };
    let step = |probes, rejected_ns| Step::Rate { using: using.to_owned(), by, rated, probes, rejected_ns };
    let space = space.filter(|_| !is_exact(request));
    let probes = space.and_then(|space| rating?.probes(space.metric)).map(|probes| probes.vectors.len());
    let (Some(probes), Some(space), None) = (probes, space, candidates) else {
        return (step(0, None), all_ns);
    };
    let near = near_count(count);
    let parts = choose_all(request, Some(space), near, None);
    let near_ns =
        parts.iter().map(|part| part.cost_ns).sum::<f64>() + cost::scan_ns(near, dim) * examples as f64;
    let probes_ns = near_ns * probes as f64;
    // It may have to ask for more, and then for all.
    match probes_ns * 4.0 < all_ns {
        true => (step(probes, Some(all_ns)), probes_ns),
        false => (step(0, Some(probes_ns)), all_ns),
    }
}

/// Whether nothing may be missed.
fn is_exact(request: &Request) -> bool {
    request.params.is_exact || request.params.recall == Some(1.0)
}

/// The nearest of each probe that are rated first, for so many hits.
pub(crate) fn near_count(hits: usize) -> usize {
    hits.saturating_mul(2).max(64)
}

/// How so many nearest are found in each part of a space.
pub(crate) fn nearest_parts(request: &Request, space: &SpaceStatistics<'_>, count: usize) -> Vec<PartPlan> {
    choose_all(request, Some(space), count, None)
}

fn choose_all(
    request: &Request,
    space: Option<&SpaceStatistics<'_>>,
    count: usize,
    candidates: Option<usize>,
) -> Vec<PartPlan> {
    let Some(space) = space else { return Vec::new() };
    let must_scan = is_exact(request) || candidates.is_some();
    let choose = |part: &PartStatistics<'_>| {
        let shown = part.shown.min(part.rows).min(candidates.unwrap_or(usize::MAX));
        let part = PartStatistics { shown, ..*part };
        let mut ways = match part.calibration {
            Some(calibration) => of_segment(request, &part, calibration, (count, space.misses)),
            None => of_head(request, &part, space, count),
        };
        if must_scan {
            ways.retain(|way| way.0 == Strategy::Scan);
        }
        cheapest(&part, ways)
    };
    space.parts.iter().map(choose).collect()
}

/// A way, its cost, and the recall that is known of it.
type Way = (Strategy, f64, Option<f32>);

/// The ways through a head. Exact while few of its rows are shown, and until its graph is begun. No codes tell of sums
/// of absolute differences.
fn of_head(
    request: &Request,
    part: &PartStatistics<'_>,
    space: &SpaceStatistics<'_>,
    count: usize,
) -> Vec<Way> {
    let (dim, has_codes) = (space.dim, space.metric != Metric::Manhattan);
    let mut ways = vec![(Strategy::Scan, cost::scan_ns(part.shown, dim), Some(1.0))];
    if has_codes && part.shown >= index::CODED_ROWS_MIN as usize {
        ways.push((Strategy::Codes, cost::coded_ns(part.shown, dim), None));
    }
    if part.linked > 0 {
        let ef = request.params.ef.unwrap_or(cost::EF_DEFAULT).max(count);
        // Rows that are not linked yet are shown, too.
        let share = (part.shown as f64 / part.linked as f64).min(1.0);
        let unlinked = part.rows.saturating_sub(part.linked);
        let rest_ns = if has_codes { cost::coded_ns(unlinked, dim) } else { cost::scan_ns(unlinked, dim) };
        ways.push((Strategy::Graph { ef }, cost::graph_ns(ef, dim, share) + rest_ns, None));
    }
    ways
}

/// The ways through a segment. A graph that does not reach the recall that is asked for is none.
fn of_segment(
    request: &Request,
    part: &PartStatistics<'_>,
    calibration: &Calibration,
    (count, misses): (usize, f32),
) -> Vec<Way> {
    let (shown, wanted) = (part.shown as f64, count.min(part.shown));
    let share = (shown / part.rows.max(1) as f64) as f32;
    let mut ways = vec![
        (Strategy::Scan, shown * f64::from(calibration.scan_ns()), Some(1.0)),
        (Strategy::Codes, cost::CODES_NS + shown * f64::from(calibration.scan_codes_ns()), None),
    ];
    if let Some(ef) = request.params.ef {
        // What the caller names is done, unless few rows are shown.
        let window = ef.max(wanted);
        let times = window as f64 / share.max(1e-6) as f64;
        let recall = corrected(calibration.expected(wanted, share, window), misses);
        ways.push((Strategy::Graph { ef: window }, times * cost::WINDOW_NS, Some(recall)));
    } else {
        let recall = request.params.recall.unwrap_or(cost::RECALL_DEFAULT);
        let choice = calibration.effort(wanted, share, 1.0 - (1.0 - recall) / misses);
        if choice.reaches {
            let way = Strategy::Graph { ef: choice.window.max(wanted) };
            let expected = corrected(choice.expected_recall, misses);
            ways.push((way, f64::from(choice.expected_ns), Some(expected)));
        }
    }
    ways
}

/// What is to be expected where live queries miss so many times more than was measured at building.
fn corrected(recall: f32, misses: f32) -> f32 {
    (1.0 - (1.0 - recall) * misses).max(0.0)
}

fn cheapest(part: &PartStatistics<'_>, mut ways: Vec<Way>) -> PartPlan {
    ways.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (strategy, cost_ns, recall) = ways.first().copied().unwrap_or((Strategy::Scan, 0.0, Some(1.0)));
    PartPlan {
        is_segment: part.calibration.is_some(),
        rows: part.rows,
        shown: part.shown,
        strategy,
        cost_ns,
        recall,
        rejected: ways.iter().skip(1).map(|way| (way.0, way.1)).collect(),
    }
}

#[cfg(test)]
mod tests;
