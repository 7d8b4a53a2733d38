//! Levels that ask a vector space: nearness, diversity, ratings.
//!
//! Invariant: every part of the view is asked, in the way that the plan has for it; the answers are merged by score,
//! then by slot.
//! Cost: nearness costs what the plan says. A rating looks at every vector that may be a hit, unless what lies near to
//! its examples settles it; those of sparse vectors, and whatever a multivector asks, read them from storage.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use index::{Gauge, Near, Shown};
use roaring::RoaringBitmap;
use types::{Error, ErrorKind, Metric, Result, Slot, SparseVector, Vector};

use super::{Level, PartActual, Ranked};
use crate::kinds::alike::Alike;
use crate::kinds::diverse;
use crate::kinds::rate::Rating;
use crate::matching::Matching;
use crate::multi;
use crate::observed::Sampled;
use crate::plan::{PartPlan, Plan, Step, Strategy, near_count, nearest_parts};
use crate::request::Input;
use crate::sparse::{self, SparsePlan};
use crate::stored;

/// Where more than one of so many vectors would have to be asked for, all are rated.
const NEAR_SHARE: usize = 8;

fn not_looked_up() -> Error {
    Error::new(ErrorKind::Internal, "a query by examples was not looked up before it was run")
}

impl Level<'_> {
    pub(super) fn nearest(
        &self,
        plan: &Plan,
        vector: &[f32],
        using: &str,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let Step::Vector { parts, .. } = &plan.step else {
            return Err(Error::new(ErrorKind::Internal, "a vector query has a plan of another kind"));
        };
        let metric = self.view.entry.schema.space(using)?.metric;
        let accept = self.accept(candidates);
        let rank = |near: Near| Ranked::new(near.slot, metric.score(near.distance));
        let hits = self.best(plan.count, accept.as_ref(), |accept, count| {
            let found = self.find(using, vector, parts, accept, count)?;
            Ok(found.into_iter().map(rank).collect())
        })?;
        if self.watch.samples() && parts.iter().any(|part| part.strategy != Strategy::Scan) {
            let sampled = Sampled::new(self.request, plan.count, &hits, self.share());
            self.watch.sample(Sampled { expected: self.promised(parts, using), ..sampled });
        }
        Ok(self.above_threshold(hits, metric))
    }

    /// The recall that the calibrations promised of all parts, where each could.
    fn promised(&self, parts: &[PartPlan], using: &str) -> Option<f32> {
        let rows: usize = parts.iter().map(|part| part.shown).sum();
        let found: Option<f32> = parts.iter().map(|part| Some(part.recall? * part.shown as f32)).sum();
        let misses = self.view.observed.misses(using, self.share());
        found.map(|found| 1.0 - (1.0 - found / rows.max(1) as f32) / misses)
    }

    /// The best by dot product with a sparse vector, exactly.
    pub(super) fn sparse(
        &self,
        plan: &Plan,
        vector: &SparseVector,
        using: &str,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let Step::Sparse { parts, .. } = &plan.step else {
            return Err(Error::new(ErrorKind::Internal, "a sparse query has a plan of another kind"));
        };
        let corpus = self.request.corpus.as_ref().filter(|corpus| !corpus.is_empty());
        let corpus = corpus.map(|corpus| Matching::new(self.view, corpus, self.watch)?.all()).transpose()?;
        let query = sparse::weighted(self.view, using, vector, corpus.as_ref())?;
        let accept = self.accept(candidates);
        let hits = self.best(plan.count, accept.as_ref(), |accept, count| {
            self.find_sparse((using, &query), parts, accept, count)
        })?;
        Ok(self.above_threshold(hits, Metric::Dot))
    }

    /// The best of all parts: each is asked, and the answers are merged.
    fn find_sparse(
        &self,
        query: (&str, &SparseVector),
        plans: &[SparsePlan],
        accept: Option<&RoaringBitmap>,
        count: usize,
    ) -> Result<Vec<Ranked>> {
        let mut found: Vec<Ranked> = Vec::new();
        for (part, plan) in self.view.rows.parts().iter().enumerate().zip(plans) {
            self.measured(|gauge| {
                if !gauge.at_once(plan.part.shown) {
                    return Ok(0);
                }
                let best = sparse::find(self.view, query, part, accept, (count, plan.way))?;
                let rows = best.len();
                found.extend(best);
                Ok(rows)
            })?;
        }
        found.sort_unstable_by(Ranked::best_first);
        found.truncate(count);
        Ok(found)
    }

    /// The best by MaxSim with a multivector, exactly.
    pub(super) fn multi(
        &self,
        plan: &Plan,
        query: &[Vec<f32>],
        using: &str,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let metric = self.view.entry.schema.multi.get(using).map_or(Metric::Dot, |spec| spec.metric);
        let accept = self.accept(candidates);
        let hits = self.best(plan.count, accept.as_ref(), |accept, count| {
            let mut found = Vec::new();
            self.measured(|gauge| {
                found = multi::find(self.view, using, query, (accept, count), gauge)?;
                Ok(found.len())
            })?;
            Ok(found)
        })?;
        Ok(self.above_threshold(hits, metric))
    }

    /// Chooses among what the leg of nearness found.
    pub(super) fn diverse(
        &self,
        plan: &Plan,
        vector: &Input,
        using: &str,
        diversity: f32,
        legs: Vec<Vec<Ranked>>,
    ) -> Result<Vec<Ranked>> {
        let near: Vec<Ranked> = legs.into_iter().flatten().collect();
        let slots: Vec<Slot> = near.iter().map(|ranked| ranked.slot).collect();
        let vectors = self.view.vectors(using, &slots)?;
        let candidates = near.into_iter().zip(vectors);
        let candidates: Vec<(Ranked, Vector)> =
            candidates.filter_map(|(ranked, vector)| Some((ranked, vector?))).collect();
        let asked = vector.vector().ok_or_else(not_looked_up)?;
        let (alike, has_time) = (self.alike(using), || self.watch.has_time());
        Ok(diverse::choose(alike, asked, &candidates, diversity, plan.count, &has_time))
    }

    fn alike(&self, using: &str) -> Alike {
        Alike::of(&self.view.entry.schema, using)
    }

    pub(super) fn rated(
        &self,
        plan: &Plan,
        using: &str,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let accept = self.accept(candidates);
        let hits = match self.view.entry.schema.vectors.get(using) {
            Some(spec) => self.rated_dense(plan, (using, spec.metric), accept.as_ref()),
            None => self.rated_stored(plan, using, accept.as_ref()),
        }?;
        Ok(self.above_threshold(hits, Metric::Dot))
    }

    fn rated_dense(
        &self,
        plan: &Plan,
        (using, metric): (&str, Metric),
        accept: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let rating = Rating::of_dense(&self.request.query).ok_or_else(not_looked_up)?;
        self.best(plan.count, accept, |accept, count| {
            let near = match plan.step {
                Step::Rate { probes: 1.., .. } => self.rate_near(using, &rating, metric, accept, count)?,
                _ => None,
            };
            near.map_or_else(|| self.rate(using, &rating, metric, accept, count), Ok)
        })
    }

    /// Sparse vectors and multivectors.
    fn rated_stored(&self, plan: &Plan, using: &str, accept: Option<&RoaringBitmap>) -> Result<Vec<Ranked>> {
        let rating = Rating::of(&self.request.query, Input::vector).ok_or_else(not_looked_up)?;
        let alike = self.alike(using);
        self.best(plan.count, accept, |accept, count| {
            let mut found = Vec::new();
            self.measured(|gauge| {
                let rate = |vector: &Vector| rating.rate(|example| alike.between(example, vector));
                found = stored::best(self.view, using, (accept, count), gauge, rate)?;
                Ok(found.len())
            })?;
            Ok(found)
        })
    }

    /// The best of what lies near to the probes, once nothing else can be as good; nothing if too many would have to be
    /// asked for.
    fn rate_near(
        &self,
        using: &str,
        rating: &Rating<'_, [f32]>,
        metric: Metric,
        accept: Option<&RoaringBitmap>,
        count: usize,
    ) -> Result<Option<Vec<Ranked>>> {
        let (Some(probes), Some(space)) = (rating.probes(metric), self.space(using)) else { return Ok(None) };
        let shown: usize = space.parts.iter().map(|part| part.shown.min(part.rows)).sum();
        let (mut rated, mut near) = (BTreeMap::new(), near_count(count));
        while near.saturating_mul(probes.vectors.len() * NEAR_SHARE) < shown && self.watch.has_time() {
            let parts = nearest_parts(self.request, &space, near);
            let mut last = Vec::with_capacity(probes.vectors.len());
            for probe in &probes.vectors {
                let found = self.find(using, probe, &parts, accept, near)?;
                // A list that ends early has them all.
                let end = found.last().filter(|_| found.len() == near);
                last.push(end.map_or(f32::NEG_INFINITY, |near| metric.similarity(near.distance)));
                for near in found {
                    if let Entry::Vacant(entry) = rated.entry(near.slot)
                        && let Some(vector) = self.view.rows.vector(near.slot, using)?
                    {
                        entry.insert(rating.rate_dense(metric, &vector));
                    }
                }
            }
            let mut best: Vec<Ranked> =
                rated.iter().map(|(slot, score)| Ranked::new(*slot, *score)).collect();
            best.sort_unstable_by(Ranked::best_first);
            if best.get(count.saturating_sub(1)).is_some_and(|worst| worst.score > probes.bound(&last)) {
                best.truncate(count);
                return Ok(Some(best));
            }
            near = near.saturating_mul(4);
        }
        Ok(None)
    }

    fn rate(
        &self,
        using: &str,
        rating: &Rating<'_, [f32]>,
        metric: Metric,
        accept: Option<&RoaringBitmap>,
        count: usize,
    ) -> Result<Vec<Ranked>> {
        let shown = Shown { alive: &self.view.alive, accept };
        let mut rated = Vec::new();
        for part in self.view.rows.parts() {
            self.measured(|gauge| {
                let before = rated.len();
                part.each(using, shown, gauge, &mut |slot: Slot, vector: &[f32]| {
                    rated.push(Ranked::new(slot, rating.rate_dense(metric, vector)));
                })?;
                Ok(rated.len() - before)
            })?;
        }
        if count < rated.len() {
            rated.select_nth_unstable_by(count, Ranked::best_first);
            rated.truncate(count);
        }
        rated.sort_unstable_by(Ranked::best_first);
        Ok(rated)
    }

    /// The nearest of all parts: each is asked, and the answers are merged.
    fn find(
        &self,
        using: &str,
        query: &[f32],
        plans: &[PartPlan],
        accept: Option<&RoaringBitmap>,
        count: usize,
    ) -> Result<Vec<Near>> {
        let shown = Shown { alive: &self.view.alive, accept };
        let mut found = Vec::new();
        for (part, plan) in self.view.rows.parts().iter().zip(plans) {
            self.measured(|gauge| {
                let near = match plan.strategy {
                    Strategy::Graph { ef } => part.search(using, query, shown, count, ef.max(count), gauge),
                    Strategy::Codes => part.scan_codes(using, query, shown, count, gauge),
                    Strategy::Scan => part.scan(using, query, shown, count, gauge),
                }?;
                let rows = near.len();
                found.extend(near);
                Ok(rows)
            })?;
        }
        found.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        found.truncate(count);
        Ok(found)
    }

    /// Asks one part, and counts what that took.
    fn measured(&self, ask: impl FnOnce(&Gauge<'_>) -> Result<usize>) -> Result<()> {
        let goes_on = |work| self.watch.has_time_after(work);
        let gauge = Gauge::new(if self.watch.is_bound() { Some(&goes_on) } else { None });
        let began = self.watch.now();
        let found = ask(&gauge)?;
        self.watch.count(gauge.work());
        if let Some(began) = began {
            let part = PartActual { found, work: gauge.work(), elapsed: began.elapsed() };
            self.actual.borrow_mut().parts.push(part);
        }
        Ok(())
    }
}
