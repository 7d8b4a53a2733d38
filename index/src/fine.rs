//! The fine tier: the vectors, as they are stored, row after row. In memory, or read from a file row by row.
//!
//! A walk by codes needs the vectors of its last few rows only. Read from a file they take 0.6 µs each, at 384
//! elements and while the system keeps them in its cache, and are no memory of this process; mapped they would be: the
//! system maps sixteen pages around each that is touched. A walk over vectors themselves needs them mapped.
//!
//! Invariant: rows come out as `f32`, exactly as they were written.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use types::{Datatype, Error, Result};

use crate::kernels::Elements;

/// Bytes that can be read.
pub trait Stored: Sync {
    /// Reads as many bytes as there is room for, beginning at one.
    ///
    /// # Errors
    /// `Io`.
    fn read(&self, at: usize, bytes: &mut [u8]) -> Result<()>;
}

/// Vectors of one dimension and type.
#[derive(Clone, Copy)]
pub struct Fine<'a> {
    datatype: Datatype,
    dim: usize,
    rows: usize,
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Memory(Elements<'a>),
    Stored(&'a dyn Stored),
}

/// Room for a row that is read or decoded.
#[derive(Default)]
pub struct Room {
    bytes: Vec<u8>,
    elements: Vec<f32>,
}

/// Rows that are read at once ...
const SPAN: u32 = 64;
/// ... if one of so many is asked for.
const DENSE: usize = 4;

impl<'a> Fine<'a> {
    /// Vectors in memory. Bytes behind the last whole row do not count.
    ///
    /// # Errors
    /// `Corrupted` when they are not aligned to their elements, or end inside of one.
    pub fn mapped(datatype: Datatype, dim: usize, bytes: &'a [u8]) -> Result<Self> {
        let wrong = || Error::corrupted("vectors", "they end inside of an element");
        let elements = match datatype {
            Datatype::Float32 => bytemuck::try_cast_slice(bytes).ok().map(Elements::Floats),
            Datatype::Float16 => {
                let halves: Option<&[u16]> = bytemuck::try_cast_slice(bytes).ok();
                halves.map(|halves| Elements::Halves(halves.reinterpret_cast()))
            }
            Datatype::Uint8 => Some(Elements::Bytes(bytes)),
        };
        let rows = bytes.len() / (dim * datatype.bytes()).max(1);
        Ok(Self { datatype, dim, rows, place: Place::Memory(elements.ok_or_else(wrong)?) })
    }

    /// Vectors in memory, as `f32`.
    pub fn floats(dim: usize, vectors: &'a [f32]) -> Self {
        let place = Place::Memory(Elements::Floats(vectors));
        Self { datatype: Datatype::Float32, dim, rows: vectors.len() / dim.max(1), place }
    }

    /// So many vectors that are read when they are asked for.
    pub fn stored(datatype: Datatype, dim: usize, rows: usize, stored: &'a dyn Stored) -> Self {
        Self { datatype, dim, rows, place: Place::Stored(stored) }
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of each.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// A row, as `f32`.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row<'r>(&self, row: u32, room: &'r mut Room) -> Result<&'r [f32]>
    where
        'a: 'r,
    {
        if matches!(self.place, Place::Memory(_)) {
            return Ok(self.held(row, room));
        }
        self.read(row, 1, room)?;
        Ok(&room.elements)
    }

    /// A row in memory, as `f32`.
    ///
    /// # Panics
    /// When there is no such row, or rows are read.
    #[inline(always)]
    pub fn held<'r>(&self, row: u32, room: &'r mut Room) -> &'r [f32]
    where
        'a: 'r,
    {
        match self.elements(row).expect("graphs are built over vectors in memory") {
            Elements::Floats(row) => return row,
            Elements::Halves(row) => {
                room.elements.resize(self.dim, 0.0);
                row.convert_to_f32_slice(&mut room.elements);
            }
            Elements::Bytes(row) => {
                room.elements.clear();
                room.elements.extend(row.iter().map(|byte| f32::from(*byte)));
            }
        }
        &room.elements
    }

    /// Visits rows in the order in which they come. Those that ascend and lie close together are read at once.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn each(
        &self,
        rows: &mut dyn Iterator<Item = u32>,
        room: &mut Room,
        visit: &mut dyn FnMut(u32, &[f32]),
    ) -> Result<()> {
        if matches!(self.place, Place::Memory(_)) {
            rows.for_each(|row| visit(row, self.held(row, room)));
            return Ok(());
        }
        let (mut rows, mut group) = (rows.peekable(), Vec::with_capacity(SPAN as usize));
        while let Some(first) = rows.next() {
            group.clear();
            group.push(first);
            let mut last = first;
            while let Some(row) = rows.next_if(|row| *row > last && *row - first < SPAN) {
                group.push(row);
                last = row;
            }
            let span = (last - first) as usize + 1;
            if group.len() * DENSE < span {
                for row in &group {
                    visit(*row, self.row(*row, room)?);
                }
                continue;
            }
            self.read(first, span, room)?;
            for row in &group {
                let at = (row - first) as usize * self.dim;
                visit(*row, &room.elements[at..at + self.dim]);
            }
        }
        Ok(())
    }

    fn read(&self, first: u32, count: usize, room: &mut Room) -> Result<()> {
        let Place::Stored(stored) = self.place else { return Ok(()) };
        assert!(first as usize + count <= self.rows, "there is no row {first}");
        let (len, at) = (count * self.dim, first as usize * self.dim * self.datatype.bytes());
        if self.datatype == Datatype::Float32 {
            room.elements.resize(len, 0.0);
            return stored.read(at, bytemuck::cast_slice_mut(&mut room.elements));
        }
        room.bytes.resize(len * self.datatype.bytes(), 0);
        stored.read(at, &mut room.bytes)?;
        room.elements.clear();
        self.datatype.decode(&room.bytes, &mut room.elements)
    }

    /// A row where it lies; nothing where rows are read.
    #[inline(always)]
    pub(crate) fn elements(&self, row: u32) -> Option<Elements<'a>> {
        let from = row as usize * self.dim;
        let range = from..from + self.dim;
        match self.place {
            Place::Memory(Elements::Floats(all)) => Some(Elements::Floats(&all[range])),
            Place::Memory(Elements::Halves(all)) => Some(Elements::Halves(&all[range])),
            Place::Memory(Elements::Bytes(all)) => Some(Elements::Bytes(&all[range])),
            Place::Stored(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl Stored for Bytes {
        fn read(&self, at: usize, bytes: &mut [u8]) -> Result<()> {
            bytes.copy_from_slice(&self.0[at..at + bytes.len()]);
            Ok(())
        }
    }

    #[test]
    fn rows_come_out_as_they_went_in_from_wherever_they_lie() {
        let rows: Vec<f32> = (0..30).map(|element| (element * 8) as f32).collect();
        for datatype in Datatype::ALL {
            let mut bytes = Vec::new();
            datatype.encode(&rows, &mut bytes);
            // Aligned, as sections are.
            let mut words = vec![0_u32; bytes.len().div_ceil(4)];
            bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
            let stored = Bytes(bytes.clone());
            let mapped = &bytemuck::cast_slice(&words)[..bytes.len()];
            let places =
                [Fine::mapped(datatype, 3, mapped).expect("whole"), Fine::stored(datatype, 3, 10, &stored)];
            for fine in places {
                let mut room = Room::default();
                assert_eq!((fine.rows(), fine.dim()), (10, 3));
                assert_eq!(fine.row(9, &mut room).expect("reads"), &rows[27..], "{datatype}");
                // The last as a damaged list of rows has them.
                for some in [&[0, 1, 2, 3, 4, 9][..], &[1, 8], &[2, 6, 3, 4, 1, 1]] {
                    let mut visited = Vec::new();
                    let mut visit = |row: u32, vector: &[f32]| {
                        assert_eq!(vector, &rows[row as usize * 3..][..3]);
                        visited.push(row);
                    };
                    fine.each(&mut some.iter().copied(), &mut room, &mut visit).expect("reads");
                    assert_eq!(visited, some);
                }
            }
        }
        assert!(Fine::mapped(Datatype::Float32, 3, &[0; 13]).is_err());
    }
}
