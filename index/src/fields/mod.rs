//! Indexed payload fields: which slots a filter accepts, as far as the indexes know.
//!
//! Each part has its columns over its own rows: a head in immutable blocks that an append adds to, a segment in a file
//! beside it, read column by column when a filter first asks for one. What a column says of rows is moved up to the
//! slots of the part.
//!
//! Invariant: `lower ⊆ {slots whose point matches} ⊆ upper`, with [`Filter::matches`] as the meaning. A leaf is
//! answered only as far as its index knows the truth; what a field's kind does not hold, and rows of a column that
//! cannot be read, are counted as "may be".

mod block;
mod bounds;
mod codec;
mod column;
mod counter;
mod growing;
mod keys;
mod places;
mod ranks;
mod sequence;
mod stored;
mod truth;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use roaring::RoaringBitmap;
use types::{Error, ErrorKind, FieldKind, FieldPath, Filter, Payload, Result};

use crate::graph::Progress;
pub use bounds::{Bounds, Lookups};
use column::Column;
pub use growing::Growing;
pub use ranks::Counts;
pub use sequence::{Key, Sequence};
pub use stored::{Mark, Stored};
use truth::Truth;

/// Which fields are indexed, and how.
pub type Kinds = BTreeMap<FieldPath, FieldKind>;

/// In a list of moves: the row is left out.
pub const NO_ROW: u32 = u32::MAX;

/// The indexed fields of a collection, as of one commit. A clone never changes.
#[derive(Clone)]
pub struct Fields {
    kinds: Arc<Kinds>,
    /// With their bases, ascending.
    parts: Vec<(u32, PartFields)>,
}

/// The indexed fields of one part.
#[derive(Clone)]
pub enum PartFields {
    /// Of a head.
    Growing(Growing),
    /// Of a segment.
    Stored(Arc<Stored>),
}

/// Where the columns of a new file come from: a part, and for each of its rows the row that it becomes, ascending,
/// or [`NO_ROW`]. Without moves rows stay.
pub struct Source<'a> {
    /// What the part's columns are of.
    pub kinds: &'a Kinds,
    /// The part.
    pub fields: &'a PartFields,
    /// Where its rows go.
    pub moves: Option<&'a [u32]>,
}

impl Fields {
    /// The fields of parts, each with its base, ascending.
    pub fn over(kinds: Arc<Kinds>, parts: Vec<(u32, PartFields)>) -> Self {
        Self { kinds, parts }
    }

    /// Appends the payloads of rows `first`, `first + 1`, and so on, of the last part, which is a head. Rows ascend
    /// over all calls; one that was never appended stays unknown. Amortised O(log n) a row.
    pub fn append(&mut self, first: u32, payloads: &[&Payload]) {
        if let Some((_, PartFields::Growing(growing))) = self.parts.last_mut() {
            growing.append(&self.kinds, first, payloads);
        }
    }

    /// Which fields are indexed, and how.
    pub fn kinds(&self) -> &Arc<Kinds> {
        &self.kinds
    }

    /// The fields of each part, in order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &PartFields> {
        self.parts.iter().map(|(_, part)| part)
    }

    /// What the indexes know about the slots of `universe` that a filter accepts.
    pub fn bounds(&self, filter: &Filter, universe: &RoaringBitmap, lookups: &Lookups<'_>) -> Bounds {
        bounds::evaluate(self, filter, universe, lookups)
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.bytes()).sum()
    }

    /// What all parts know of a leaf; `uncovered` is left with the slots of which none does.
    fn leaf(
        &self,
        position: usize,
        holds: &dyn Fn(&Column) -> Truth,
        uncovered: &mut RoaringBitmap,
    ) -> Truth {
        let mut found = Truth::Exact(RoaringBitmap::new());
        for (base, part) in &self.parts {
            part.for_each_column(position, &mut |rows, column| {
                uncovered.remove_range(base + rows.start..base + rows.end);
                let truth = std::mem::replace(&mut found, Truth::Exact(RoaringBitmap::new()));
                found = truth.or(&holds(column).raised(*base));
            });
        }
        found
    }
}

impl PartFields {
    /// The fields of a head without rows.
    pub fn of_head() -> Self {
        Self::Growing(Growing::default())
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
            Self::Growing(growing) => growing.bytes(),
            Self::Stored(stored) => stored.bytes(),
        }
    }

    fn for_each_column<'a>(
        &'a self,
        position: usize,
        visit: &mut dyn FnMut(std::ops::Range<u32>, &'a Column),
    ) {
        match self {
            Self::Growing(growing) => growing.for_each_column(position, visit),
            Self::Stored(stored) => {
                if let Some(column) = stored.column(position) {
                    visit(0..stored.rows(), column);
                }
            }
        }
    }

    /// One column of all rows below `rows`, moved; nothing if it is not known of every row.
    fn moved(&self, position: usize, moves: &[u32]) -> Option<Column> {
        let (mut moved, mut known) = (None::<Column>, 0);
        self.for_each_column(position, &mut |rows, column| {
            if rows.start == known {
                known = rows.end;
                let next = column.moved(moves);
                moved = Some(moved.take().map_or_else(|| next.clone(), |before| before.merge(&next)));
            }
        });
        moved.filter(|_| known as usize >= moves.len())
    }
}

/// Writes the fields of a segment. Each column comes from the first of the alternatives that knows it, joined from
/// its sources in their order, whose rows follow each other. `false`, and nothing written, if none does. `progress` is
/// asked before each column whether to stop.
///
/// # Errors
/// `Io`; `Busy`, and nothing written, when it was stopped.
pub fn store(
    path: &Path,
    kinds: &Kinds,
    mark: Mark,
    alternatives: &[Vec<Source<'_>>],
    progress: &dyn Progress,
) -> Result<bool> {
    let mut columns = Vec::with_capacity(kinds.len());
    for (field, kind) in kinds {
        if progress.is_cancelled() {
            return Err(given_up(path));
        }
        let mut known = alternatives.iter().filter_map(|sources| join(sources, field, *kind, mark.rows));
        let Some(column) = known.next() else { return Ok(false) };
        columns.push(column);
    }
    stored::write(path, kinds, mark, &columns, progress)?;
    Ok(true)
}

/// The error of a file that nobody needs any more while it is written.
pub(crate) fn given_up(path: &Path) -> Error {
    let message =
        format!("{} is not written: the database closes, or its collection is gone", path.display());
    Error::new(ErrorKind::Busy, message)
}

fn join(sources: &[Source<'_>], field: &FieldPath, kind: FieldKind, rows: u32) -> Option<Column> {
    let mut joined: Option<Column> = None;
    for source in sources {
        let position = source.kinds.iter().position(|(other, of)| other == field && *of == kind)?;
        let stay: Vec<u32>;
        let moves = match source.moves {
            Some(moves) => moves,
            None => {
                stay = (0..rows).collect();
                &stay
            }
        };
        let column = source.fields.moved(position, moves)?;
        joined = Some(joined.map_or_else(|| column.clone(), |before| before.merge(&column)));
    }
    joined
}

#[cfg(test)]
mod tests;
