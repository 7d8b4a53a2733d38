//! Levels that order by a field: from its index, or by reading payloads.
//!
//! Invariant: both ways give the same hits. The index gives the first of what it knows, in the order of values and of
//! ids among equal ones; of the points that it does not know whole every payload is read.
//! Cost from the index: a look at each value up to the last that is wanted, and the ids of those that equal it; of an
//! index of floats the payloads of hits with whole numbers, which may have been written as integers. By payloads: that
//! of every point that may match.

use std::borrow::Cow;

use index::Work;
use index::fields::{Key, Sequence};
use roaring::RoaringBitmap;
use types::{FieldKind, Result, Slot};

use super::{Level, Ranked};
use crate::kinds::order::{Entry, Ordered, as_written};
use crate::pace::Pace;
use crate::plan::{Plan, Step};
use crate::request::{Order, OrderValue};

/// Rows that are looked at without a look at the time.
const BLOCK_ROWS: usize = 1024;

impl Level<'_> {
    pub(super) fn ordered(
        &self,
        plan: &Plan,
        order: &Order,
        candidates: Option<&RoaringBitmap>,
    ) -> Result<Vec<Ranked>> {
        let accept = self.accept(candidates);
        let accept = accept.as_ref().unwrap_or_else(|| self.view.universe());
        let mut ordered = Ordered::new(order);
        let is_by_index = matches!(plan.step, Step::Order { is_by_index: true, .. });
        let sequence = if is_by_index { order.sequence(&self.view.fields) } else { None };
        let Some(sequence) = sequence else {
            self.add_by_payloads(&mut ordered, accept)?;
            return Ok(ordered.into_ranked(plan.count));
        };
        self.add_by_index(&mut ordered, sequence, accept, plan.count)?;
        let mut hits = ordered.into_ranked(plan.count);
        if self.view.fields.kinds().get(&order.path) == Some(&FieldKind::Float) {
            self.tell_as_written(order, &mut hits)?;
        }
        Ok(hits)
    }

    /// Adds the values of all that match, as their payloads have them.
    fn add_by_payloads(&self, ordered: &mut Ordered<'_>, accept: &RoaringBitmap) -> Result<()> {
        let slots: Vec<Slot> = accept.iter().map(Slot).collect();
        let mut work = Work { wanted: slots.len() as u64, ..Work::default() };
        let (pace, mut rest) = (Pace::default(), &slots[..]);
        while let Some(block) = pace.block(&mut rest)
            && self.watch.has_time_after(work)
        {
            work.distances += block.len() as u64;
            let block = self.matching.first(block.to_vec(), |slot| *slot, block.len())?;
            let payloads = self.view.payloads(&block)?;
            pace.took(&payloads);
            for (slot, payload) in block.iter().zip(&payloads) {
                ordered.add(self.view.id(*slot), *slot, payload);
            }
        }
        self.watch.count(work);
        Ok(())
    }

    /// Adds the first values of those that match, so many as the index knows them, and all that it does not know.
    fn add_by_index(
        &self,
        ordered: &mut Ordered<'_>,
        mut sequence: Sequence<'_>,
        accept: &RoaringBitmap,
        count: usize,
    ) -> Result<()> {
        let unknown = sequence.unknown(accept);
        self.add_by_payloads(ordered, &unknown)?;
        let known = if unknown.is_empty() { Cow::Borrowed(accept) } else { Cow::Owned(accept - unknown) };
        let mut wanted = count;
        while wanted > 0 && self.watch.has_time() {
            // Where payloads decide what matches, as many are asked for as are read at once.
            let size = if self.matching.is_exact() { wanted } else { wanted.max(BLOCK_ROWS) };
            let before = sequence.keys();
            let block = self.next_block(&mut sequence, &known, size);
            let looked_at = (before - sequence.keys()) as u64;
            self.watch.count(Work { distances: looked_at, wanted: looked_at, ..Work::default() });
            let is_last = block.len() < size;
            let block = self.matching.first(block, |(_, _, slot)| *slot, wanted)?;
            wanted -= block.len();
            ordered.extend(block);
            if is_last {
                break;
            }
        }
        let left = if wanted > 0 { sequence.keys() as u64 } else { 0 };
        self.watch.count(Work { wanted: left, ..Work::default() });
        Ok(())
    }

    /// The next values in order, so many of them or a few more; fewer at the end, or where the time is over.
    fn next_block(&self, sequence: &mut Sequence<'_>, known: &RoaringBitmap, size: usize) -> Vec<Entry> {
        let (mut block, mut holders, mut looked_at) = (Vec::new(), Vec::new(), 0);
        let before = sequence.keys();
        while block.len() < size
            && let Some(key) = sequence.advance(&mut holders)
        {
            looked_at += holders.len();
            if looked_at >= BLOCK_ROWS {
                looked_at = 0;
                let work = Work { distances: (before - sequence.keys()) as u64, ..Work::default() };
                if !self.watch.has_time_after(work) {
                    break;
                }
            }
            let known = holders.iter().filter(|slot| known.contains(**slot)).map(|slot| Slot(*slot));
            self.add_equal(&mut block, key, known, size);
        }
        block
    }

    /// Adds holders of one value, by id: all of them, or as many as may be hits.
    fn add_equal(&self, block: &mut Vec<Entry>, key: Key, holders: impl Iterator<Item = Slot>, size: usize) {
        let value = OrderValue::from(key);
        let start = block.len();
        block.extend(holders.map(|slot| (value, self.view.id(slot), slot)));
        let equal = &mut block[start..];
        let most = size - start;
        if self.matching.is_exact() && most < equal.len() {
            equal.select_nth_unstable_by_key(most, |(_, id, _)| *id);
            block.truncate(size);
        }
        block[start..].sort_unstable_by_key(|(_, id, _)| *id);
    }

    /// Whole numbers of an index of floats may have been written as integers.
    fn tell_as_written(&self, order: &Order, hits: &mut [Ranked]) -> Result<()> {
        let is_whole =
            |hit: &Ranked| matches!(hit.order, Some(OrderValue::Float(value)) if value.fract() == 0.0);
        let mut whole: Vec<&mut Ranked> = hits.iter_mut().filter(|hit| is_whole(hit)).collect();
        let slots: Vec<Slot> = whole.iter().map(|hit| hit.slot).collect();
        let (pace, mut rest, mut hits) = (Pace::default(), &slots[..], whole.iter_mut());
        while let Some(block) = pace.block(&mut rest) {
            let payloads = self.view.payloads(block)?;
            pace.took(&payloads);
            for (payload, hit) in payloads.iter().zip(hits.by_ref()) {
                hit.order = hit.order.map(|value| as_written(&order.path, payload, value));
            }
        }
        Ok(())
    }
}
