//! Sparse vectors: which rows have a weight in the dimensions of a query, and the best of them by dot product.
//!
//! Each part has its lists over its own rows: a head in immutable blocks that an append adds to, a segment in a file
//! beside it. Rows that are dead or that a filter does not accept stay in the lists until their segment is made anew;
//! they are passed over when a sum would make them a hit, so that what is pruned by is the score of rows that count.
//!
//! Invariant: whatever way is taken, the answer is that of adding up every shown row (`search`).
//! Invariant: a space that cannot be read says so; it never answers wrong. Whoever asks reads storage then.

mod best;
mod growing;
mod lists;
mod search;
mod stored;

use std::path::Path;
use std::sync::Arc;

use types::{Result, Slot, SparseVector, Vectors};

pub use crate::fields::NO_ROW;
use crate::fields::{Mark, given_up};
use crate::graph::Progress;
use crate::{Part, Scored, Shown, bitmap};
use best::Best;
pub use growing::Growing;
use lists::{Lists, ListsRef};
pub use stored::Stored;

/// The sparse vectors of a collection, as of one commit. A clone never changes.
#[derive(Clone)]
pub struct Sparse {
    /// The spaces, by name.
    names: Arc<[String]>,
    /// With their bases, ascending.
    parts: Vec<(u32, PartSparse)>,
}

/// The sparse vectors of one part.
#[derive(Clone)]
pub enum PartSparse {
    /// Of a head: each space.
    Growing(Vec<Growing>),
    /// Of a segment.
    Stored(Arc<Stored>),
}

/// Where the lists of a new file come from: a part, and for each of its rows the row that it becomes, ascending, or
/// [`NO_ROW`]. Without moves rows stay.
pub struct Source<'a> {
    /// The part.
    pub sparse: &'a PartSparse,
    /// Where its rows go.
    pub moves: Option<&'a [u32]>,
}

/// How the best rows of a part are found. Both ways are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The lists are added up.
    Lists,
    /// Each row that is shown is looked up in the lists.
    Rows,
}

/// What a part knows of the dimensions of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points that exist and have a vector in the space.
    pub vectors: u64,
    /// For each dimension, in order, how many of them have a weight in it.
    pub with: Vec<u64>,
}

impl Sparse {
    /// The sparse vectors of parts, each with its base, ascending. Names ascend.
    pub fn over(names: Arc<[String]>, parts: Vec<(u32, PartSparse)>) -> Self {
        Self { names, parts }
    }

    /// Appends the vectors of rows `first`, `first + 1`, and so on, of the last part, which is a head. Rows ascend over
    /// all calls. Amortised O(log n) a weight.
    pub fn append(&mut self, first: u32, vectors: &[&Vectors]) {
        if let Some((_, part)) = self.parts.last_mut() {
            part.append(&self.names, first, vectors);
        }
    }

    /// The spaces.
    pub fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    /// The sparse vectors of each part, in order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &PartSparse> {
        self.parts.iter().map(|(_, part)| part)
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.bytes()).sum()
    }

    /// How many rows of a part have a vector in a space, and how many weights there are in these dimensions, dead rows
    /// included; nothing if that cannot be read.
    pub fn sizes(&self, part: usize, space: &str, dims: &[u32]) -> Option<(usize, usize)> {
        let lists = self.lists(part, space)?;
        let vectors = lists.iter().map(|lists| lists.present.len() as usize).sum();
        let of = |lists: &ListsRef<'_>| {
            dims.iter().filter_map(|dim| lists.list(*dim)).map(|list| list.rows.len()).sum::<usize>()
        };
        Some((vectors, lists.iter().map(of).sum()))
    }

    /// What is true of the points of a part that exist; nothing if it cannot be read. Cost: where rows are dead, a pass
    /// over the lists of these dimensions.
    pub fn counts(
        &self,
        (number, part): (usize, &Part),
        space: &str,
        dims: &[u32],
        shown: Shown<'_>,
    ) -> Option<Counts> {
        let lists = self.lists(number, space)?;
        let shown = shown.bits(part.slots(), part.body.rows());
        let is_shown = |row: &u32| shown.as_ref().is_none_or(|shown| shown.contains(*row));
        let mut counts = Counts { vectors: 0, with: vec![0; dims.len()] };
        for lists in lists {
            counts.vectors += match &shown {
                None => lists.present.len(),
                Some(shown) => {
                    let present = bitmap::words(lists.present, 0, part.body.rows());
                    let both = present.iter().zip(shown.words()).map(|(present, shown)| present & shown);
                    both.map(|word| u64::from(word.count_ones())).sum()
                }
            };
            for (count, dim) in counts.with.iter_mut().zip(dims) {
                let rows = lists.list(*dim).unwrap_or_default().rows;
                *count += match shown {
                    None => rows.len(),
                    Some(_) => rows.iter().filter(|row| is_shown(row)).count(),
                } as u64;
            }
        }
        Some(counts)
    }

    /// The best `k` slots of a part that are shown, by their dot product with a query whose dimensions ascend; nothing
    /// if the part cannot be read. Sorted by score, best first, then by slot.
    pub fn search(
        &self,
        (number, part): (usize, &Part),
        space: &str,
        query: &SparseVector,
        shown: Shown<'_>,
        (k, way): (usize, Way),
    ) -> Option<Vec<Scored>> {
        let lists = self.lists(number, space)?;
        let query: Vec<(u32, f32)> = query.iter().collect();
        let mut best = Best::new(k);
        let rows_end = part.body.rows();
        match way {
            Way::Lists => {
                let bits = shown.bits(part.slots(), rows_end);
                lists.iter().for_each(|lists| search::search(lists, &query, bits.as_ref(), &mut best));
            }
            Way::Rows => {
                let rows: Vec<u32> = shown.slots(part.slots()).map(|slot| slot - part.base).collect();
                for lists in lists {
                    let (first, end) = lists.range;
                    let rows = &rows[rows.partition_point(|row| *row < first)..];
                    let rows = rows.iter().copied().take_while(|row| *row < end);
                    search::look_up(&lists, &query, rows, &mut best);
                }
            }
        }
        let scored = |(row, score): (u32, f32)| Scored { slot: Slot(part.base + row), score };
        Some(best.into_rows().into_iter().map(scored).collect())
    }

    /// Whether a row of a part has this vector, or none; nothing if it cannot be read.
    pub fn holds(&self, part: usize, space: &str, row: u32, vector: Option<&SparseVector>) -> Option<bool> {
        let lists = self.lists(part, space)?;
        let of = lists.iter().find(|lists| lists.present.contains(row));
        Some(match (of, vector) {
            (None, None) => true,
            (Some(lists), Some(vector)) => {
                let is_there = |(dim, weight): (u32, f32)| {
                    let kept = lists.list(dim).and_then(|list| list.weight(row));
                    kept.is_some_and(|kept| kept.to_bits() == weight.to_bits())
                };
                vector.iter().all(is_there)
            }
            _ => false,
        })
    }

    fn lists(&self, part: usize, space: &str) -> Option<Vec<ListsRef<'_>>> {
        let number = self.names.iter().position(|name| name == space)?;
        self.parts.get(part)?.1.lists(number)
    }
}

impl PartSparse {
    /// Those of a head without rows.
    pub fn of_head() -> Self {
        Self::Growing(Vec::new())
    }

    /// Appends the vectors of rows of a head.
    pub fn append(&mut self, names: &[String], first: u32, vectors: &[&Vectors]) {
        let Self::Growing(spaces) = self else { return };
        spaces.resize_with(names.len(), Growing::default);
        for (name, growing) in names.iter().zip(spaces) {
            let of: Vec<Option<&SparseVector>> = vectors.iter().map(|vectors| named(vectors, name)).collect();
            growing.append(first, &of);
        }
    }

    /// Whether everything that was stored could be read so far.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Growing(_) => true,
            Self::Stored(stored) => stored.is_sound(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Growing(spaces) => spaces.iter().map(Growing::bytes).sum(),
            Self::Stored(_) => 0,
        }
    }

    fn lists(&self, number: usize) -> Option<Vec<ListsRef<'_>>> {
        match self {
            Self::Growing(spaces) => Some(spaces.get(number).map_or_else(Vec::new, Growing::lists)),
            Self::Stored(stored) => stored.lists(number).map(|lists| vec![lists]),
        }
    }
}

fn named<'a>(vectors: &'a Vectors, name: &str) -> Option<&'a SparseVector> {
    vectors.iter().find(|(other, _)| other == name).and_then(|(_, vector)| vector.sparse())
}

/// Writes the sparse vectors of a segment, joined from their sources in order, whose rows follow each other. `false`,
/// and nothing written, if one of them cannot be read. `progress` is asked before each space whether to stop.
///
/// # Errors
/// `Io`; `Busy`, and nothing written, when it was stopped.
pub fn store(
    path: &Path,
    names: &[String],
    mark: Mark,
    sources: &[Source<'_>],
    progress: &dyn Progress,
) -> Result<bool> {
    let mut spaces = Vec::with_capacity(names.len());
    for number in 0..names.len() {
        if progress.is_cancelled() {
            return Err(given_up(path));
        }
        let Some(lists) = join(sources, number, mark.rows) else { return Ok(false) };
        spaces.push(lists);
    }
    stored::write(path, names, mark, &spaces, progress)?;
    Ok(true)
}

fn join(sources: &[Source<'_>], number: usize, rows: u32) -> Option<Lists> {
    let mut joined = Lists::build(0, &[]);
    for source in sources {
        let stay: Vec<u32>;
        let moves = match source.moves {
            Some(moves) => moves,
            None => {
                stay = (0..rows).collect();
                &stay
            }
        };
        for lists in source.sparse.lists(number)? {
            joined = joined.view().merge(&lists.moved(moves).view());
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests;
