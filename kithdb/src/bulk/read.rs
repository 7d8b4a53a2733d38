//! Points out of a batch.
//!
//! Cost: one pass over the rows. Elements are copied once; what is not of the type that is wanted is made so before.

use arrow::array::RecordBatch;
use types::{Error, Payload, Point, PointId, Result, Vectors};

use super::columns::Columns;
use super::{ids, payloads, vectors};

/// The ids that rows without any get: one after the other.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The next one; nothing behind the largest that there is.
    pub(super) next: Option<u64>,
}

impl Given {
    /// The next one, which no row has yet.
    ///
    /// # Errors
    /// `InvalidArgument` on `id` when there is none left.
    pub(super) fn take(&mut self) -> Result<PointId> {
        let exhausted = || Error::invalid("id", "has no number left to give; name a column of ids");
        let id = self.next.ok_or_else(exhausted)?;
        self.next = id.checked_add(1);
        Ok(PointId::Num(id))
    }
}

/// The points of a batch, whose first row has the number `first` in the import.
///
/// # Errors
/// `InvalidArgument` naming the column, and the row if it is one.
pub(super) fn points(
    batch: &RecordBatch,
    columns: &Columns,
    first: u64,
    given: &mut Given,
) -> Result<Vec<Point>> {
    let (schema, rows) = (batch.schema(), batch.num_rows());
    let name = |at: usize| schema.field(at).name().as_str();
    let ids = match columns.id {
        Some(at) if columns.is_named => ids::named(batch.column(at), name(at), first)?,
        Some(at) => ids::read(batch.column(at), name(at), first)?,
        None => (0..rows).map(|_| given.take()).collect::<Result<_>>()?,
    };
    let (vectors, payload) = (columns.vectors.len(), columns.payload.len());
    let point =
        |id| Point { id, vectors: Vectors::with_capacity(vectors), payload: Payload::with_capacity(payload) };
    let mut points: Vec<Point> = ids.into_iter().map(point).collect();
    for (at, vector) in &columns.vectors {
        let column = vectors::Column::new(name(*at), batch.column(*at))?;
        for (row, point) in points.iter_mut().enumerate() {
            let found = column.row(row, first + row as u64)?;
            point.vectors.extend(found.map(|found| (vector.clone(), found)));
        }
    }
    if let Some(at) = columns.object {
        let column = payloads::Column::json(name(at), batch.column(at))?;
        for (row, point) in points.iter_mut().enumerate() {
            point.payload = column.object(row, first + row as u64)?;
        }
    }
    let cells = |at: &usize| payloads::Column::new(schema.field(*at), batch.column(*at));
    let cells: Vec<_> = columns.payload.iter().map(cells).collect::<Result<_>>()?;
    for (row, point) in points.iter_mut().enumerate() {
        for (at, column) in columns.payload.iter().zip(&cells) {
            if let Some(value) = column.row(row, first + row as u64)? {
                point.payload.insert(name(*at).to_owned(), value);
            }
        }
    }
    Ok(points)
}
