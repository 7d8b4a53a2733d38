//! The lists of a head: immutable blocks over ranges of rows, merged as a binary counter carries, as in
//! [`fields`](crate::fields). A row is merged O(log n) times; a clone shares every block and never changes.

use std::sync::Arc;

use types::SparseVector;

use super::lists::{Lists, ListsRef};

/// Rows are not merged into one block past so many, so that no append takes long.
const BLOCK_ROWS_MAX: u32 = 1 << 18;

/// The blocks of one space of a head.
#[derive(Clone, Default)]
pub struct Growing {
    /// Ascending and disjoint.
    blocks: Vec<Arc<Lists>>,
}

impl Growing {
    /// Appends the vectors of rows `first`, `first + 1`, and so on.
    pub(super) fn append(&mut self, first: u32, vectors: &[Option<&SparseVector>]) {
        if vectors.iter().any(Option::is_some) {
            self.carry(Lists::build(first, vectors));
        }
    }

    /// Adds a block, merging it with its neighbours of no larger size.
    fn carry(&mut self, mut block: Lists) {
        let len = |lists: &Lists| lists.range.end - lists.range.start;
        while let Some(last) = self.blocks.last()
            && len(last) <= len(&block)
            && block.range.end - last.range.start <= BLOCK_ROWS_MAX
        {
            block = last.view().merge(&block.view());
            self.blocks.pop();
        }
        self.blocks.push(Arc::new(block));
    }

    pub(super) fn lists(&self) -> Vec<ListsRef<'_>> {
        self.blocks.iter().map(|lists| lists.view()).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.iter().map(|lists| lists.bytes()).sum()
    }
}
