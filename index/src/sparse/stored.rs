//! The lists of a segment, in a file beside it: five sections a space, mapped and checked when it is first asked.
//!
//! ```text
//!  section    contents
//!  "sparse  " revision:u32  rows:u32  segment:u32  count:u32   the segment's rows and checksum; the spaces, then
//!             of each its name: length:u32 and UTF-8
//!  of space NNN, hexadecimal:
//!  "have NNN" the rows that have a vector: a portable Roaring bitmap
//!  "dims NNN" u32 each: the dimensions that have a list, ascending
//!  "ends NNN" u64 each: 0, then where each list ends
//!  "rows NNN" u32 each: the rows of the lists, one list behind the other, ascending in each
//!  "vals NNN" f32 each: the weights
//!  "tops NNN" f32, f32: of each 128 postings of each list the greatest weight and the least
//! ```
//!
//! Invariant: a file of another revision, another segment or other spaces does not open; a space whose checksums do
//! not agree is not used: its vectors are read from storage until it is made anew. So the revision has no history.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use roaring::RoaringBitmap;
use types::{Error, Result};

use super::lists::{BLOCK, Lists, ListsRef};
use crate::bitmap::serialised;
use crate::fields::{Mark, given_up};
use crate::file::{Array, FileWriter, Kind, Sections};
use crate::graph::Progress;

/// Raised when lists come to be written in another way.
const REVISION: u32 = 1;

const HEADER: Kind = Kind(*b"sparse  ");

/// The lists of a segment.
pub struct Stored {
    sections: Sections,
    rows: u32,
    spaces: Vec<OnceLock<Option<Mapped>>>,
    is_damaged: AtomicBool,
}

/// The lists of one space, read in place.
struct Mapped {
    rows_end: u32,
    present: RoaringBitmap,
    dims: Array<u32>,
    starts: Array<u64>,
    rows: Array<u32>,
    weights: Array<f32>,
    tops: Array<f32>,
    blocks: Vec<u64>,
}

/// The sections of one space.
struct Kinds([Kind; 6]);

impl Kinds {
    fn of(number: usize) -> Self {
        let named = |name: &[u8; 5]| {
            let mut kind = *b"     000";
            kind[..5].copy_from_slice(name);
            for (place, shift) in [(5, 8), (6, 4), (7, 0)] {
                kind[place] = b"0123456789abcdef"[number >> shift & 15];
            }
            Kind(kind)
        };
        Self([b"have ", b"dims ", b"ends ", b"rows ", b"vals ", b"tops "].map(named))
    }
}

impl Stored {
    /// Maps the file of a segment's lists. Reads its header; the lists are left alone.
    ///
    /// # Errors
    /// `Corrupted` when it is damaged, or does not belong to these spaces of this segment; `Io`.
    pub fn open(path: &Path, names: &[String], mark: Mark) -> Result<Self> {
        let sections = Sections::open(path)?;
        sections.verify_section(HEADER)?;
        if sections.section(HEADER)? != encode_header(names, mark) {
            let why = "it has other spaces, or is of another segment";
            return Err(Error::corrupted(format!("the file of sparse vectors {}", path.display()), why));
        }
        let spaces = names.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { sections, rows: mark.rows, spaces, is_damaged: AtomicBool::new(false) })
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// `Corrupted`, naming the section; `Io`.
    pub fn verify(&self) -> Result<()> {
        self.sections.verify()?;
        (0..self.spaces.len()).try_for_each(|number| self.read(number).map(drop))
    }

    /// Whether every space that was asked for could be read.
    pub fn is_sound(&self) -> bool {
        !self.is_damaged.load(Ordering::Relaxed)
    }

    /// The lists of a space, checked now if they were not before; nothing if they are damaged.
    pub(super) fn lists(&self, number: usize) -> Option<ListsRef<'_>> {
        let read = || match self.read(number) {
            Ok(mapped) => Some(mapped),
            Err(error) => {
                self.is_damaged.store(true, Ordering::Relaxed);
                tracing::warn!(%error, "sparse vectors cannot be read; storage answers until they are made anew");
                None
            }
        };
        self.spaces.get(number)?.get_or_init(read).as_ref().map(Mapped::view)
    }

    fn read(&self, number: usize) -> Result<Mapped> {
        let Kinds(kinds) = Kinds::of(number);
        kinds.iter().try_for_each(|kind| self.sections.verify_section(*kind))?;
        let [have, dims, ends, rows, vals, tops] = kinds;
        let damaged =
            |kind: Kind| Error::corrupted(format!("{kind:?} of the sparse vectors"), "it does not parse");
        let present =
            RoaringBitmap::deserialize_from(self.sections.section(have)?).map_err(|_| damaged(have))?;
        let mut mapped = Mapped {
            rows_end: self.rows,
            present,
            dims: self.sections.array(dims)?,
            starts: self.sections.array(ends)?,
            rows: self.sections.array(rows)?,
            weights: self.sections.array(vals)?,
            tops: self.sections.array(tops)?,
            blocks: vec![0],
        };
        if mapped.complete() { Ok(mapped) } else { Err(damaged(ends)) }
    }
}

impl Mapped {
    /// Finds the blocks of each list; `false` if the arrays do not belong to each other.
    fn complete(&mut self) -> bool {
        let starts: &[u64] = &self.starts;
        let fits = self.present.max().is_none_or(|row| row < self.rows_end)
            && self.rows.len() == self.weights.len()
            && starts.len() == self.dims.len() + 1
            && starts.first() == Some(&0)
            && starts.last() == Some(&(self.rows.len() as u64))
            && starts.is_sorted()
            && self.dims.is_sorted_by(|a, b| a < b);
        if !fits {
            return false;
        }
        let mut blocks = 0;
        for list in starts.array_windows() {
            let [start, end] = list.map(|at| at as usize);
            let rows = &self.rows[start..end];
            if !rows.is_sorted_by(|a, b| a < b) || rows.last().is_none_or(|row| *row >= self.rows_end) {
                return false;
            }
            blocks += rows.len().div_ceil(BLOCK) as u64;
            self.blocks.push(blocks);
        }
        self.tops.len() as u64 == blocks * 2
    }

    fn view(&self) -> ListsRef<'_> {
        ListsRef {
            range: (0, self.rows_end),
            present: &self.present,
            dims: &self.dims,
            starts: &self.starts,
            rows: &self.rows,
            weights: &self.weights,
            tops: self.tops.as_chunks().0,
            blocks: &self.blocks,
        }
    }
}

/// Writes the lists of a segment, durably and at once.
///
/// # Errors
/// `Io`; `Busy` when it was stopped.
pub(super) fn write(
    path: &Path,
    names: &[String],
    mark: Mark,
    spaces: &[Lists],
    progress: &dyn Progress,
) -> Result<()> {
    let mut file = FileWriter::create(path)?;
    file.section(HEADER)?.put(&encode_header(names, mark))?;
    for (number, lists) in spaces.iter().enumerate() {
        if progress.is_cancelled() {
            return Err(given_up(path));
        }
        let Kinds([have, dims, ends, rows, vals, tops]) = Kinds::of(number);
        file.section(have)?.put(&serialised(&lists.present))?;
        file.section(dims)?.put(bytemuck::cast_slice(&lists.dims))?;
        file.section(ends)?.put(bytemuck::cast_slice(&lists.starts))?;
        file.section(rows)?.put(bytemuck::cast_slice(&lists.rows))?;
        file.section(vals)?.put(bytemuck::cast_slice(&lists.weights))?;
        file.section(tops)?.put(bytemuck::cast_slice(&lists.tops))?;
    }
    file.finish().map(drop)
}

fn encode_header(names: &[String], mark: Mark) -> Vec<u8> {
    let mut header = Vec::new();
    for number in [REVISION, mark.rows, mark.checksum, names.len() as u32] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    for name in names {
        header.extend_from_slice(&(name.len() as u32).to_le_bytes());
        header.extend_from_slice(name.as_bytes());
    }
    header
}
