//! Levels that fuse what their legs found.

use types::{Metric, Result};

use super::{Level, Ranked};
use crate::fuse::{Fusion, Leg, fuse};
use crate::plan::Plan;
use crate::request::Query;

impl Level<'_> {
    pub(super) fn fuse(&self, plan: &Plan, legs: &[Vec<Ranked>], fusion: &Fusion) -> Result<Vec<Ranked>> {
        let leg = |level: &Self| {
            let is_adaptive = matches!(fusion, Fusion::Adaptive { .. });
            let attainable = if is_adaptive { level.attainable()? } else { None };
            Ok((level.larger_is_better(), attainable))
        };
        let parts: Result<Vec<(bool, Option<f32>)>> = self.legs.iter().map(leg).collect();
        let leg = |((larger_is_better, attainable), hits)| Leg { hits, larger_is_better, attainable };
        let legs: Vec<Leg<'_>> = parts?.into_iter().zip(legs.iter().map(Vec::as_slice)).map(leg).collect();
        let mut fused = fuse(&legs, fusion);
        if let Some(accept) = self.matching.accept() {
            fused.retain(|ranked| accept.contains(ranked.slot.0));
        }
        let hits = self.matching.first(fused, |ranked| ranked.slot, plan.count)?;
        let hits = self.above_threshold(hits, Metric::Dot);
        if self.watch.now().is_some() {
            self.tell_shares(&legs, fusion, &hits);
        }
        Ok(hits)
    }

    /// What each leg weighed, and gave to each hit.
    fn tell_shares(&self, legs: &[Leg<'_>], fusion: &Fusion, hits: &[Ranked]) {
        let weights = fusion.weights(legs);
        let shares: Vec<Vec<f32>> =
            legs.iter().zip(&weights).map(|(leg, weight)| fusion.shares(leg, *weight)).collect();
        let of_leg = |(leg, shares): (&Leg<'_>, &Vec<f32>), hit: &Ranked| {
            let at = leg.hits.iter().position(|other| other.slot == hit.slot)?;
            shares.get(at).copied()
        };
        let of_hit = |hit: &Ranked| legs.iter().zip(&shares).map(|leg| of_leg(leg, hit)).collect();
        let mut actual = self.actual.borrow_mut();
        actual.shares = hits.iter().map(of_hit).collect();
        actual.weights = weights;
    }

    /// Whether larger scores of this level are better.
    fn larger_is_better(&self) -> bool {
        match &self.request.query {
            Query::Nearest { using, .. } | Query::Diverse { using, .. } => {
                let schema = &self.view.entry.schema;
                let spec = schema.vectors.get(using).or_else(|| schema.multi.get(using));
                spec.is_none_or(|spec| spec.metric.larger_is_better())
            }
            _ => true,
        }
    }

    /// Of a level of words: the score that no document can exceed.
    fn attainable(&self) -> Result<Option<f32>> {
        match (&self.request.query, &self.view.keyword) {
            (Query::Keyword(query), Some(keyword)) => keyword.attainable(query).map(Some),
            _ => Ok(None),
        }
    }
}
