//! Inverted lists: for each dimension the rows that have a weight in it, ascending, and the weights.
//!
//! A list is cut into blocks of [`BLOCK`] postings, each with the greatest and the least weight of its rows: what a
//! block can add to a score is bounded without reading it. Cost: 8 bytes a posting, 8 more a block.

use std::ops::Range;

use roaring::RoaringBitmap;
use types::SparseVector;

use super::NO_ROW;

/// Postings of a block.
pub(super) const BLOCK: usize = 128;

/// Lists in memory, over one range of rows of a part. Immutable once they are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lists {
    pub(super) range: Range<u32>,
    /// Rows that have a vector; it may be empty, and in no list.
    pub(super) present: RoaringBitmap,
    /// The dimensions that have a list, ascending.
    pub(super) dims: Vec<u32>,
    /// Where each list begins, and after the last where it ends.
    pub(super) starts: Vec<u64>,
    pub(super) rows: Vec<u32>,
    pub(super) weights: Vec<f32>,
    /// Of each block of each list the greatest weight and the least.
    pub(super) tops: Vec<[f32; 2]>,
    /// Where the blocks of each list begin, and after the last where they end.
    pub(super) blocks: Vec<u64>,
}

/// Lists, wherever they lie.
#[derive(Clone, Copy)]
pub(super) struct ListsRef<'a> {
    pub(super) range: (u32, u32),
    pub(super) present: &'a RoaringBitmap,
    pub(super) dims: &'a [u32],
    pub(super) starts: &'a [u64],
    pub(super) rows: &'a [u32],
    pub(super) weights: &'a [f32],
    pub(super) tops: &'a [[f32; 2]],
    pub(super) blocks: &'a [u64],
}

/// One list.
#[derive(Clone, Copy, Default)]
pub(super) struct List<'a> {
    pub(super) rows: &'a [u32],
    pub(super) weights: &'a [f32],
    pub(super) tops: &'a [[f32; 2]],
}

impl Lists {
    fn over(range: Range<u32>, present: RoaringBitmap) -> Self {
        Self { range, present, starts: vec![0], blocks: vec![0], ..Self::default() }
    }

    /// The lists of the vectors of rows `first`, `first + 1`, and so on.
    pub(super) fn build(first: u32, vectors: &[Option<&SparseVector>]) -> Self {
        let rows = || (first..).zip(vectors).filter_map(|(row, vector)| Some((row, (*vector)?)));
        let present = rows().map(|(row, _)| row).collect();
        let mut postings: Vec<(u32, u32, f32)> = rows()
            .flat_map(|(row, vector)| vector.iter().map(move |(dim, weight)| (dim, row, weight)))
            .collect();
        // Stable: the rows of a dimension stay ascending.
        postings.sort_by_key(|(dim, ..)| *dim);
        let mut lists = Self::over(first..first + vectors.len() as u32, present);
        for list in postings.chunk_by(|a, b| a.0 == b.0) {
            lists.push(list[0].0, list.iter().map(|(_, row, weight)| (*row, *weight)));
        }
        lists
    }

    /// Adds the list of a dimension larger than all before, unless it is empty.
    fn push(&mut self, dim: u32, postings: impl Iterator<Item = (u32, f32)>) {
        let start = self.rows.len();
        for (row, weight) in postings {
            self.rows.push(row);
            self.weights.push(weight);
        }
        if self.rows.len() == start {
            return;
        }
        self.dims.push(dim);
        self.starts.push(self.rows.len() as u64);
        self.tops.extend(self.weights[start..].chunks(BLOCK).map(|block| {
            block.iter().fold([f32::NEG_INFINITY, f32::INFINITY], |[most, least], weight| {
                [most.max(*weight), least.min(*weight)]
            })
        }));
        self.blocks.push(self.tops.len() as u64);
    }

    pub(super) fn view(&self) -> ListsRef<'_> {
        ListsRef {
            range: (self.range.start, self.range.end),
            present: &self.present,
            dims: &self.dims,
            starts: &self.starts,
            rows: &self.rows,
            weights: &self.weights,
            tops: &self.tops,
            blocks: &self.blocks,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.len() * 8 + (self.dims.len() + self.tops.len()) * 20 + self.present.serialized_size()
    }
}

impl<'a> ListsRef<'a> {
    /// The list of a dimension.
    pub(super) fn list(&self, dim: u32) -> Option<List<'a>> {
        self.dims.binary_search(&dim).ok().map(|at| self.nth(at))
    }

    fn nth(&self, at: usize) -> List<'a> {
        let range = |bounds: &[u64]| bounds[at] as usize..bounds[at + 1] as usize;
        let (postings, blocks) = (range(self.starts), range(self.blocks));
        List {
            rows: &self.rows[postings.clone()],
            weights: &self.weights[postings],
            tops: &self.tops[blocks],
        }
    }

    /// The same lists with their rows moved: `moves` says for each row which it becomes, ascending, or [`NO_ROW`].
    pub(super) fn moved(&self, moves: &[u32]) -> Lists {
        let to = |row: u32| moves.get(row as usize).copied().filter(|row| *row != NO_ROW);
        let rows = self.range.0..self.range.1;
        let mut kept = rows.filter_map(to);
        let range = kept.next().map_or(0..0, |first| first..kept.next_back().unwrap_or(first) + 1);
        let mut moved = Lists::over(range, self.present.iter().filter_map(to).collect());
        for (at, dim) in self.dims.iter().enumerate() {
            let list = self.nth(at);
            let postings = list.rows.iter().zip(list.weights);
            moved.push(*dim, postings.filter_map(|(row, weight)| Some((to(*row)?, *weight))));
        }
        moved
    }

    /// These lists with others behind them, all of whose rows are larger.
    pub(super) fn merge(&self, other: &ListsRef<'a>) -> Lists {
        let end = self.range.1.max(other.range.1);
        let start = if self.range.0 == self.range.1 { other.range.0 } else { self.range.0 };
        let mut merged = Lists::over(start..end, self.present | other.present);
        let (mut own, mut others) = (0, 0);
        loop {
            let dims = (self.dims.get(own), other.dims.get(others));
            let dim = match dims {
                (Some(a), Some(b)) => *a.min(b),
                (Some(only), None) | (None, Some(only)) => *only,
                (None, None) => return merged,
            };
            let take = |lists: &ListsRef<'a>, at: &mut usize| match lists.dims.get(*at) {
                Some(own) if *own == dim => {
                    *at += 1;
                    lists.nth(*at - 1)
                }
                _ => List::default(),
            };
            let (first, second) = (take(self, &mut own), take(other, &mut others));
            let postings = [first, second]
                .into_iter()
                .flat_map(|list| list.rows.iter().copied().zip(list.weights.iter().copied()));
            merged.push(dim, postings);
        }
    }
}

impl List<'_> {
    /// The weight of a row, if it has one.
    pub(super) fn weight(&self, row: u32) -> Option<f32> {
        self.rows.binary_search(&row).ok().map(|at| self.weights[at])
    }

    /// The first posting from `at` on whose row is no smaller. O(log of how far that is).
    pub(super) fn seek(&self, at: usize, row: u32) -> usize {
        let rest = &self.rows[at..];
        let mut step = 1;
        while rest.get(step).is_some_and(|other| *other < row) {
            step *= 2;
        }
        let (low, high) = (step / 2, rest.len().min(step + 1));
        at + low + rest[low..high].partition_point(|other| *other < row)
    }
}
