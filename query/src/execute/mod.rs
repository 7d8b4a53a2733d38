//! Doing what the plan says, on one view.
//!
//! Invariant: approximate search may miss, never lie. Every hit is alive in the view, passed the filter, and has its
//! exact score; and where the graph of a part comes back with fewer rows than are wanted, a scan of it answers instead.

mod fused;
mod kinds;
mod order;
mod vectors;
pub(crate) mod watch;
mod why;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use index::{Gauge, Shown};
use roaring::RoaringBitmap;
use types::{Error, KeywordQuery, Metric, Result, Slot, Vector};

use crate::View;
use crate::matching::Matching;
use crate::observed::{Sampled, Share};
use crate::plan::{OrderStatistics, PartStatistics, Plan, SpaceStatistics, Statistics, plan};
use crate::request::{Input, OrderValue, Query, Request};
use crate::sparse::{self, SparsePart};
use crate::stages::Stage;
use watch::Watch;
pub use watch::{Actual, Effort, PartActual, Terms};
pub use why::{Failed, Rank, Why, WhyNot, why_not};

/// A slot and its score, as users see scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The row.
    pub slot: Slot,
    /// The score.
    pub score: f32,
    /// The value that it was ordered by, if it was.
    pub order: Option<OrderValue>,
}

impl Ranked {
    /// A slot and its score.
    pub fn new(slot: Slot, score: f32) -> Self {
        Self { slot, score, order: None }
    }

    /// The order of hits whose larger scores are better; of equals the older slot comes first.
    pub(crate) fn best_first(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.slot.cmp(&other.slot))
    }
}

/// What a request found, and the plan that found it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Best first.
    pub hits: Vec<Ranked>,
    /// How.
    pub plan: Plan,
    /// What was done, if it was asked for.
    pub actual: Option<Actual>,
    /// The share of the rows to be looked at that was, where the deadline passed before, or the rows were spent.
    pub partial: Option<f32>,
    /// Its approximate searches, if they were to be kept for a comparison.
    pub sampled: Vec<Sampled>,
    /// What it took.
    pub effort: Effort,
}

/// Plans and answers a request, which must have passed [`Request::check`].
///
/// # Errors
/// `NotFound` and `InvalidArgument` for points that are asked with and formulas; `DeadlineExceeded`, `LimitExceeded` by
/// the terms; `Corrupted` or `Io` when payloads or vectors cannot be read.
pub fn execute(view: &View, request: Request, terms: Terms) -> Result<Answer> {
    answer(view, request, &Watch::new(terms))
}

/// As [`execute`], and keeps its approximate searches for a comparison.
///
/// # Errors
/// As for [`execute`].
pub fn execute_sampled(view: &View, request: Request, terms: Terms) -> Result<Answer> {
    answer(view, request, &Watch::new(terms).sampling())
}

/// As [`execute`], for terms with a deadline: that has passed as well when `ends` is set.
///
/// # Errors
/// As for [`execute`].
pub(crate) fn execute_unless(
    view: &View,
    request: Request,
    terms: Terms,
    ends: &Arc<AtomicBool>,
) -> Result<Answer> {
    answer(view, request, &Watch::new(terms).ended_by(ends))
}

fn answer(view: &View, request: Request, watch: &Watch) -> Result<Answer> {
    let request = request.resolved(view)?;
    let level = Level::prepare(view, &request, watch)?;
    let plan = watch.during(Stage::Plan, |span| {
        let plan = plan(&request, &level.statistics());
        span.record("kithdb.strategy", plan.kind());
        plan
    });
    let hits = level.run(&plan)?;
    let partial = watch.verdict()?;
    let actual = watch.is_analyzed().then(|| level.actual.into_inner());
    // What was cut off says nothing of what a search finds.
    let sampled = if partial.is_none() { watch.sampled() } else { Vec::new() };
    Ok(Answer { hits, plan, actual, partial, sampled, effort: watch.effort() })
}

/// Plans a request without answering it.
///
/// # Errors
/// `Corrupted` or `Io`.
pub(crate) fn plan_only(view: &View, request: Request) -> Result<Plan> {
    let request = request.resolved(view)?;
    let watch = Watch::new(Terms::default());
    Ok(plan(&request, &Level::prepare(view, &request, &watch)?.statistics()))
}

/// One level of a request, its filter looked up.
struct Level<'a> {
    view: &'a View,
    request: &'a Request,
    matching: Matching<'a>,
    legs: Vec<Level<'a>>,
    watch: &'a Watch,
    actual: RefCell<Actual>,
}

impl<'a> Level<'a> {
    fn prepare(view: &'a View, request: &'a Request, watch: &'a Watch) -> Result<Self> {
        let legs: Result<Vec<Self>> =
            request.prefetch.iter().map(|leg| Self::prepare(view, leg, watch)).collect();
        let matching = match request.filter.is_empty() {
            true => Matching::new(view, &request.filter, watch),
            false => watch.during(Stage::Filter, |span| {
                let matching = Matching::new(view, &request.filter, watch);
                span.record("kithdb.found", matching.as_ref().map_or(0, |matching| matching.estimate().1));
                matching
            }),
        }?;
        Ok(Self { view, request, matching, legs: legs?, watch, actual: RefCell::default() })
    }

    fn statistics(&self) -> Statistics<'a> {
        let space = self.request.query.space().and_then(|using| self.space(using));
        Statistics {
            space,
            sparse: self.sparse_parts(),
            matching: self.matching.estimate(),
            unindexed: self.matching.unindexed(),
            order: self.order_statistics(),
            legs: self.legs.iter().map(Self::statistics).collect(),
        }
    }

    /// What the index of the field that is ordered by knows, if there is one.
    fn order_statistics(&self) -> Option<OrderStatistics> {
        let Query::Order(order) = &self.request.query else { return None };
        let sequence = order.sequence(&self.view.fields)?;
        let accept = self.matching.accept().unwrap_or_else(|| self.view.universe());
        Some(OrderStatistics { keys: sequence.keys(), unknown: sequence.unknown(accept).len() as usize })
    }

    fn sparse_parts(&self) -> Option<Vec<SparsePart>> {
        let Query::Nearest { vector, using } = &self.request.query else { return None };
        Some(sparse::statistics(self.view, using, vector.sparse()?, self.matching.accept()))
    }

    fn space(&self, using: &str) -> Option<SpaceStatistics<'a>> {
        let spec = self.view.entry.schema.vectors.get(using)?;
        let shown = Shown { alive: &self.view.alive, accept: self.matching.accept() };
        let part = |part: &'a index::Part| PartStatistics {
            rows: part.body.vectors(using) as usize,
            shown: shown.count(part.slots()),
            linked: part.body.linked(using) as usize,
            calibration: part.body.calibration(using),
        };
        let misses = self.view.observed.misses(using, self.share());
        let parts = self.view.rows.parts().iter().map(part).collect();
        Some(SpaceStatistics { dim: spec.dim, metric: spec.metric, misses, parts })
    }

    /// How much of the collection the filter lets through.
    fn share(&self) -> Share {
        Share::of(self.matching.estimate().1, self.view.points())
    }

    /// The hits of this level behind its offset.
    fn run(&self, plan: &Plan) -> Result<Vec<Ranked>> {
        let began = self.watch.now();
        let mut hits = self.best_of(plan)?;
        hits.drain(..self.request.offset.min(hits.len()));
        if let Some(began) = began {
            let mut actual = self.actual.borrow_mut();
            actual.found = hits.len();
            actual.elapsed = began.elapsed();
            let behind = self.request.offset.min(actual.shares.len());
            actual.shares.drain(..behind);
            actual.payloads = self.matching.payloads_read();
            actual.legs = self.legs.iter().map(|leg| leg.actual.take()).collect();
        }
        Ok(hits)
    }

    /// The best `plan.count` hits of this level.
    fn best_of(&self, plan: &Plan) -> Result<Vec<Ranked>> {
        let mut legs: Vec<Vec<Ranked>> = vec![Vec::new(); self.legs.len()];
        for at in plan.leg_order() {
            legs[at] = self.legs[at].run(&plan.legs[at])?;
        }
        let candidates: Option<RoaringBitmap> =
            (!legs.is_empty()).then(|| legs.iter().flatten().map(|ranked| ranked.slot.0).collect());
        self.watch.during(plan.stage(), |span| {
            let hits = self.own(plan, legs, candidates.as_ref());
            if let Ok(hits) = &hits {
                span.record("kithdb.strategy", plan.kind()).record("kithdb.found", hits.len());
            }
            hits
        })
    }

    /// The same, once the legs have found theirs.
    fn own(
        &self,
        plan: &Plan,
        legs: Vec<Vec<Ranked>>,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        match &self.request.query {
            Query::Nearest { vector: Input::Vector(Vector::Sparse(vector)), using } => {
                self.sparse(plan, vector, using, candidates)
            }
            Query::Nearest { vector: Input::Vector(Vector::Multi(rows)), using } => {
                self.multi(plan, rows, using, candidates)
            }
            Query::Nearest { vector, using } => self.nearest(plan, vector.elements(), using, candidates),
            Query::Diverse { vector, using, diversity, .. } => {
                self.diverse(plan, vector, using, *diversity, legs)
            }
            Query::Recommend { using, .. }
            | Query::Discover { using, .. }
            | Query::Context { using, .. }
            | Query::Feedback { using, .. } => self.rated(plan, using, candidates),
            Query::Keyword(query) => self.keyword(plan, query, candidates),
            Query::Fuse(fusion) => self.fuse(plan, &legs, fusion),
            Query::ById => self.by_id(plan, candidates),
            Query::Order(order) => self.ordered(plan, order, candidates),
            Query::Sample { seed } => self.sampled(plan, *seed, candidates),
            Query::Formula(formula) => self.computed(plan, formula, &legs),
        }
    }

    fn keyword(
        &self,
        plan: &Plan,
        query: &KeywordQuery,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let Some(keyword) = &self.view.keyword else {
            let why = "it could not be made anew; rebuild the indexes, or open the database anew";
            return Err(Error::corrupted("the keyword index", why));
        };
        let accept = self.accept(candidates);
        let goes_on = |work| self.watch.has_time_after(work);
        let gauge = Gauge::new(if self.watch.is_bound() { Some(&goes_on) } else { None });
        let shown = (&self.view.rows, &self.view.alive);
        let hits = self.best(plan.count, accept.as_ref(), |accept, count| {
            let found = keyword.search_within(query, shown, (accept, count), &gauge)?;
            Ok(found.into_iter().map(|scored| Ranked::new(scored.slot, scored.score)).collect())
        })?;
        self.watch.count(gauge.work());
        Ok(self.above_threshold(hits, Metric::Dot))
    }

    fn accept(&self, candidates: Option<&RoaringBitmap>) -> Option<RoaringBitmap> {
        match (self.matching.accept(), candidates) {
            (Some(accept), Some(candidates)) => Some(accept & candidates),
            (Some(only), None) | (None, Some(only)) => Some(only.clone()),
            (None, None) => None,
        }
    }

    /// The best `count` rows that match, from a search that ranks the acceptable ones. When payloads decide, more are
    /// ranked until enough have passed or no more are left.
    fn best(
        &self,
        count: usize,
        accept: Option<&RoaringBitmap>,
        search: impl Fn(Option<&RoaringBitmap>, usize) -> Result<Vec<Ranked>>,
    ) -> Result<Vec<Ranked>> {
        let mut wanted = if self.matching.is_exact() { count } else { count.saturating_mul(4) };
        loop {
            let ranked = search(accept, wanted)?;
            let is_exhausted = ranked.len() < wanted;
            let hits = self.matching.first(ranked, |ranked| ranked.slot, count)?;
            if hits.len() == count || is_exhausted || !self.watch.has_time() {
                return Ok(hits);
            }
            wanted = wanted.saturating_mul(4);
        }
    }

    fn above_threshold(&self, mut hits: Vec<Ranked>, metric: Metric) -> Vec<Ranked> {
        if let Some(threshold) = self.request.score_threshold {
            hits.retain(|ranked| metric.passes(ranked.score, threshold));
        }
        hits
    }
}
