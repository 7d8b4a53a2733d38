//! Indexed payload fields: which slots a filter accepts, as far as the indexes know.
//!
//! The columns lie in immutable blocks over ranges of slots. An append adds a block; blocks of like size are merged as
//! a binary counter carries, so a row is merged O(log n) times and a filter visits O(log n) blocks. A clone shares
//! every block and never changes.
//!
//! Invariant: `lower ⊆ {slots whose point matches} ⊆ upper`, with [`Filter::matches`] as the meaning. A leaf is
//! answered only as far as its index knows the truth; what a field's kind does not hold is counted as "may be".

mod block;
mod bounds;
mod column;
mod counter;
mod keys;
mod truth;

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use types::{FieldKind, FieldPath, Filter, Payload, PointId, Slot};

use block::Block;
pub use bounds::Bounds;

/// Blocks are not merged past this many rows, so that no append takes long.
const BLOCK_ROWS_MAX: u32 = 1 << 18;

/// The indexed fields of a collection, as of one commit.
#[derive(Clone)]
pub struct Fields {
    kinds: Arc<BTreeMap<FieldPath, FieldKind>>,
    /// Ascending and disjoint.
    blocks: Vec<Arc<Block>>,
}

impl Fields {
    /// No rows yet.
    pub fn new(kinds: &BTreeMap<FieldPath, FieldKind>) -> Self {
        Self { kinds: Arc::new(kinds.clone()), blocks: Vec::new() }
    }

    /// Appends the payloads of slots `first`, `first + 1`, and so on. Slots ascend over all calls; a slot that was
    /// never appended stays unknown. Amortised O(log n) a row.
    pub fn append(&mut self, first: Slot, payloads: &[&Payload]) {
        if payloads.is_empty() || self.kinds.is_empty() {
            return;
        }
        for (position, part) in payloads.chunks(BLOCK_ROWS_MAX as usize).enumerate() {
            let first = first.0 + position as u32 * BLOCK_ROWS_MAX;
            self.carry(Block::build(&self.kinds, first, part));
        }
    }

    /// Which fields are indexed, and how.
    pub fn kinds(&self) -> &BTreeMap<FieldPath, FieldKind> {
        &self.kinds
    }

    /// What the indexes know about the slots of `universe` that a filter accepts. `ids` finds the slots of points
    /// by id.
    pub fn bounds(
        &self,
        filter: &Filter,
        universe: &RoaringBitmap,
        ids: &dyn Fn(&[PointId]) -> RoaringBitmap,
    ) -> Bounds {
        bounds::evaluate(self, filter, universe, ids)
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes()).sum()
    }

    /// Adds a block, merging it with its neighbours of no larger size.
    fn carry(&mut self, mut block: Block) {
        while let Some(last) = self.blocks.last()
            && last.slots().end == block.slots().start
            && last.slots().len() <= block.slots().len()
            && last.slots().len() + block.slots().len() <= BLOCK_ROWS_MAX as usize
        {
            block = last.merge(&block);
            self.blocks.pop();
        }
        self.blocks.push(Arc::new(block));
    }
}

#[cfg(test)]
mod tests;
