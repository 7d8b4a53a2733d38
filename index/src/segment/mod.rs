//! A segment: an immutable file over some rows of a collection, with their identities, vectors and graphs.
//!
//! Row: a number from 0; versions ascend with rows. Written by [`write()`], then only mapped.
//!
//! Invariants:
//! - a segment that opens has the lengths it says it has, in every section; what lies in its large sections was as good
//!   as their checksums when [`Segment::verify`] last ran;
//! - damage may make an answer wrong, never a panic; `verify` finds it.
//!
//! Cost: opening maps the file and reads a few pages, however many rows there are. Writing streams vectors to the file
//! and builds each graph over the mapped part, so it holds what is built, not the vectors.

mod layout;
mod present;
mod space;
mod write;

use std::path::Path;

use types::{Error, ErrorKind, Memory, PointId, Result, Version};

use crate::file::{Array, Sections};
use layout::{ID_BYTES, Kinds, Meta};

pub use space::Space;
pub use write::{Base, Block, Draft, SpaceSpec, Written, write};

/// Steps of an interpolated search before it goes on by halves: versions that are dense need one or two.
const GUESSES_MAX: usize = 3;

/// A mapped segment.
pub struct Segment {
    sections: Sections,
    rows: u32,
    versions: Array<u64>,
    ids: Array<u8>,
    spaces: Vec<Space>,
}

impl Segment {
    /// Maps a segment. Which points it has is read and checked at once, 25 bytes a row: a vector that is damaged
    /// ranks a point wrongly until somebody looks, an id that is damaged would be another point.
    ///
    /// # Errors
    /// `Io`; `Corrupted`, naming file and section; `UnsupportedFormat`. In each case its rows come from storage.
    pub fn open(path: &Path) -> Result<Self> {
        let sections = Sections::open(path)?;
        let meta = read_meta(&sections)?;
        let versions: Array<u64> = sections.array(layout::VERSIONS)?;
        let ids: Array<u8> = sections.array(layout::IDS)?;
        for (kind, len) in [(layout::VERSIONS, versions.len()), (layout::IDS, ids.len() / ID_BYTES)] {
            if len != meta.rows as usize {
                return Err(sections.damaged(kind, "it has another number of rows than `meta` says"));
            }
        }
        [layout::VERSIONS, layout::IDS].into_iter().try_for_each(|kind| sections.verify_section(kind))?;
        let spaces = meta.spaces.into_iter().enumerate();
        let space = |(number, space)| Space::open(&sections, &Kinds::of(number), space, meta.rows);
        let spaces = spaces.map(space).collect::<Result<Vec<_>>>()?;
        Ok(Self { rows: meta.rows, versions, ids, spaces, sections })
    }

    /// Reads the whole file and compares everything with everything: for the doctor and for a quiet moment after
    /// opening.
    ///
    /// # Errors
    /// `Corrupted`, naming file and section; `Io`.
    pub fn verify(&self) -> Result<()> {
        self.verify_until(&|| false).map(drop)
    }

    /// As [`verify`](Self::verify), unless it is told to stop, which it asks before every mebibyte; whether it has
    /// looked at everything.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn verify_until(&self, stops: &dyn Fn() -> bool) -> Result<bool> {
        if !self.sections.verify_until(stops)? {
            return Ok(false);
        }
        if !self.versions.is_sorted_by(|a, b| a < b) {
            return Err(self.sections.damaged(layout::VERSIONS, "they do not ascend"));
        }
        if self.ids.as_chunks().0.iter().any(|id| layout::decode_id(id).is_none()) {
            return Err(self.sections.damaged(layout::IDS, "one has another shape"));
        }
        let mut spaces = self.spaces.iter().enumerate();
        spaces.try_for_each(|(number, space)| space.check(&self.sections, &Kinds::of(number), self.rows))?;
        Ok(true)
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.sections.path()
    }

    /// How many rows there are; at least one.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.sections.bytes()
    }

    /// The checksum of the file.
    pub fn checksum(&self) -> u32 {
        self.sections.checksum()
    }

    /// The version in a row.
    pub fn version(&self, row: u32) -> Option<Version> {
        self.versions.get(row as usize).copied().map(Version)
    }

    /// The id of the point in a row.
    pub fn id(&self, row: u32) -> Option<PointId> {
        self.ids.as_chunks().0.get(row as usize).and_then(layout::decode_id)
    }

    /// The first and the last version.
    pub fn versions(&self) -> (Version, Version) {
        let end = |version: Option<&u64>| Version(*version.expect("`open` refuses a segment without rows"));
        (end(self.versions.first()), end(self.versions.last()))
    }

    /// The row that holds a version. One read where versions are dense, O(log rows) at worst.
    pub fn row_of(&self, version: Version) -> Option<u32> {
        find(&self.versions, version.0).map(|row| row as u32)
    }

    /// Keeps the vectors of each space where `memory` says for its name, from now on and for whoever searches.
    pub fn place(&self, memory: impl Fn(&str) -> Memory) {
        for (number, space) in self.spaces.iter().enumerate() {
            space.place_in(&self.sections, &Kinds::of(number), memory(space.name()));
        }
    }

    /// The vector space of a name.
    pub fn space(&self, name: &str) -> Option<&Space> {
        self.spaces.iter().find(|space| space.name() == name)
    }

    /// All vector spaces.
    pub fn spaces(&self) -> &[Space] {
        &self.spaces
    }
}

fn read_meta(sections: &Sections) -> Result<Meta> {
    sections.verify_section(layout::META)?;
    layout::decode_meta(sections.section(layout::META)?).map_err(|error| match error.kind() {
        ErrorKind::Corrupted => sections.damaged(layout::META, "it does not parse"),
        kind => Error::new(kind, format!("{}: {}", sections.path().display(), error.message())),
    })
}

/// The position of a number among ascending ones. First guesses where it would be if they were evenly spread between
/// the two ends that are known, then halves what is left.
fn find(numbers: &[u64], wanted: u64) -> Option<usize> {
    let mut rest = 0..numbers.len();
    for _ in 0..GUESSES_MAX {
        let (first, last) = (*numbers.get(rest.start)?, *numbers.get(rest.end.checked_sub(1)?)?);
        if rest.is_empty() || !(first..=last).contains(&wanted) {
            return None;
        }
        let steps = (rest.len() - 1) as u128 * u128::from(wanted - first);
        let guess = rest.start + (steps / u128::from(last - first).max(1)) as usize;
        match numbers[guess].cmp(&wanted) {
            std::cmp::Ordering::Equal => return Some(guess),
            std::cmp::Ordering::Less => rest.start = guess + 1,
            std::cmp::Ordering::Greater => rest.end = guess,
        }
    }
    let found = numbers[rest.clone()].binary_search(&wanted).ok()?;
    Some(rest.start + found)
}

#[cfg(test)]
mod tests;
