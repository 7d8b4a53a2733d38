//! The fields of a head: immutable blocks over ranges of rows. An append adds a block; blocks of like size are merged
//! as a binary counter carries, so a row is merged O(log n) times and a filter visits O(log n) blocks. A clone shares
//! every block and never changes.

use std::ops::Range;
use std::sync::Arc;

use types::Payload;

use super::Kinds;
use super::block::Block;
use super::column::Column;

/// Blocks are not merged past this many rows, so that no append takes long.
const BLOCK_ROWS_MAX: u32 = 1 << 18;

/// The blocks of a head.
#[derive(Clone, Default)]
pub struct Growing {
    /// Ascending and disjoint.
    blocks: Vec<Arc<Block>>,
}

impl Growing {
    /// Appends the payloads of rows `first`, `first + 1`, and so on, always with the same kinds.
    pub fn append(&mut self, kinds: &Kinds, first: u32, payloads: &[&Payload]) {
        if payloads.is_empty() || kinds.is_empty() {
            return;
        }
        for (position, part) in payloads.chunks(BLOCK_ROWS_MAX as usize).enumerate() {
            let first = first + position as u32 * BLOCK_ROWS_MAX;
            self.carry(Block::build(kinds, first, part));
        }
    }

    /// Adds a block, merging it with its neighbours of no larger size.
    fn carry(&mut self, mut block: Block) {
        while let Some(last) = self.blocks.last()
            && last.rows().end == block.rows().start
            && last.rows().len() <= block.rows().len()
            && last.rows().len() + block.rows().len() <= BLOCK_ROWS_MAX as usize
        {
            block = last.merge(&block);
            self.blocks.pop();
        }
        self.blocks.push(Arc::new(block));
    }

    pub(super) fn for_each_column<'a>(
        &'a self,
        position: usize,
        visit: &mut dyn FnMut(Range<u32>, &'a Column),
    ) {
        for block in &self.blocks {
            if let Some(column) = block.column(position) {
                visit(block.rows().clone(), column);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes()).sum()
    }

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }
}
