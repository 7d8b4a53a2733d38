//! Levels that ask no index: by id, at random, by a formula.
//!
//! Cost: by id and at random a look at each slot that may be a hit; by a formula the payloads of what the legs found,
//! if it reads any.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use types::{Metric, Payload, Result, Slot};

use super::{Level, Ranked};
use crate::formula::Formula;
use crate::kinds::sample;
use crate::pace::Pace;
use crate::plan::Plan;

impl Level<'_> {
    pub(super) fn by_id(&self, plan: &Plan, candidates: Option<&RoaringBitmap>) -> Result<Vec<Ranked>> {
        let mut slots = self.acceptable(candidates);
        // Where payloads decide, all may be needed.
        if self.matching.is_exact() && plan.count < slots.len() {
            slots.select_nth_unstable_by_key(plan.count, |slot| self.view.id(*slot));
            slots.truncate(plan.count);
        }
        slots.sort_unstable_by_key(|slot| self.view.id(*slot));
        self.even(slots, plan.count)
    }

    pub(super) fn sampled(
        &self,
        plan: &Plan,
        seed: Option<u64>,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let slots = self.acceptable(candidates);
        // All of them in a random order where payloads decide, so that enough are left.
        let count = if self.matching.is_exact() { plan.count } else { slots.len() };
        self.even(sample::shuffled(slots.into_iter(), seed, count), plan.count)
    }

    /// What the legs found, by a formula.
    pub(super) fn computed(
        &self,
        plan: &Plan,
        formula: &Formula,
        legs: &[Vec<Ranked>],
    ) -> Result<Vec<Ranked>> {
        let mut scores: BTreeMap<Slot, Vec<Option<f32>>> = BTreeMap::new();
        for (position, leg) in legs.iter().enumerate() {
            for ranked in leg {
                let of = scores.entry(ranked.slot).or_insert_with(|| vec![None; legs.len()]);
                of[position] = of[position].or(Some(ranked.score));
            }
        }
        if let Some(accept) = self.matching.accept() {
            scores.retain(|slot, _| accept.contains(slot.0));
        }
        let slots = self.matching.first(scores.keys().copied().collect(), |slot| *slot, scores.len())?;
        let mut hits = Vec::with_capacity(slots.len());
        let (pace, mut rest) = (Pace::default(), &slots[..]);
        while let Some(block) = pace.block(&mut rest)
            && self.watch.has_time()
        {
            let payloads = match formula.expression.reads_payload() {
                true => self.view.payloads(block)?,
                false => vec![Payload::new(); block.len()],
            };
            pace.took(&payloads);
            for (slot, payload) in block.iter().zip(&payloads) {
                let scores = scores.get(slot).map_or(&[][..], Vec::as_slice);
                let score = self.view.subject(*slot, payload, |subject| formula.score(subject, scores))?;
                hits.push(Ranked::new(*slot, score));
            }
        }
        hits.sort_unstable_by(Ranked::best_first);
        hits.truncate(plan.count);
        Ok(self.above_threshold(hits, Metric::Dot))
    }

    /// The slots that may be hits.
    fn acceptable(&self, candidates: Option<&RoaringBitmap>) -> Vec<Slot> {
        let accept = self.accept(candidates);
        accept.as_ref().unwrap_or_else(|| self.view.universe()).iter().map(Slot).collect()
    }

    /// The first that match, all of the same score.
    fn even(&self, slots: Vec<Slot>, count: usize) -> Result<Vec<Ranked>> {
        let slots = self.matching.first(slots, |slot| *slot, count)?;
        Ok(slots.into_iter().map(|slot| Ranked::new(slot, 1.0)).collect())
    }
}
