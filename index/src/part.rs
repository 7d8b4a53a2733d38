//! A part of a collection as a view shows it: a segment, or a head, and its range of slots. slot = base + row.
//!
//! Invariant: a search of a part finds only what is shown, each with its exact distance; and it finds as many rows as
//! are wanted and shown, for where the approximate way comes back short, the exact one answers.
//! Cost: that of the segment's or the head's own search. Under a filter or above dead rows a segment is given its rows
//! as bits: one pass over an eighth of a byte a row.

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;
use types::{PointId, Result, Slot, Version};

use crate::gauge::Gauge;
use crate::graph::{Bits, Calibration, Effort, Shows};
use crate::head::{Near, SpaceView};
use crate::segment::Space;
use crate::{Alive, Head, Segment, bitmap};

/// Where one of so many rows is shown, a scan by codes goes through bits: making them takes less than asking a bitmap,
/// and what is visible, for each row that is shown.
const ROWS_PER_SHOWN: usize = 64;

/// What a part is made of.
#[derive(Clone)]
pub enum Body {
    /// An immutable file.
    Segment(Arc<Segment>),
    /// Rows in memory.
    Head(Arc<Head>),
}

/// A part and its range of slots.
#[derive(Clone)]
pub struct Part {
    /// The slot of its first row.
    pub base: u32,
    /// The first slot behind its range.
    pub end: u32,
    /// What it is made of.
    pub body: Body,
}

/// What a search may see: slots of one view.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The visible slots.
    pub alive: &'a Alive,
    /// If given, those of them that the query's filter accepts.
    pub accept: Option<&'a RoaringBitmap>,
}

impl Body {
    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        match self {
            Self::Segment(segment) => segment.rows(),
            Self::Head(head) => head.rows(),
        }
    }

    /// How many rows there can be.
    pub fn capacity(&self) -> u32 {
        match self {
            Self::Segment(segment) => segment.rows(),
            Self::Head(head) => head.capacity(),
        }
    }

    /// Whether both are the same segment or the same head.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Segment(a), Self::Segment(b)) => Arc::ptr_eq(a, b),
            (Self::Head(a), Self::Head(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The version in a row.
    pub fn version(&self, row: u32) -> Option<Version> {
        match self {
            Self::Segment(segment) => segment.version(row),
            Self::Head(head) => head.identities().version(row),
        }
    }

    /// The id of the point in a row.
    pub fn id(&self, row: u32) -> Option<PointId> {
        match self {
            Self::Segment(segment) => segment.id(row),
            Self::Head(head) => head.identities().id(row),
        }
    }

    /// The row that holds a version. O(log rows).
    pub fn row_of(&self, version: Version) -> Option<u32> {
        match self {
            Self::Segment(segment) => segment.row_of(version),
            Self::Head(head) => head.identities().row_of(version),
        }
    }

    /// The lowest version; nothing in an empty head.
    pub fn first_version(&self) -> Option<Version> {
        self.version(0)
    }

    /// One vector of a row, if it has one.
    ///
    /// # Errors
    /// `Io`, `Corrupted`: a segment cannot be read.
    pub fn vector(&self, row: u32, space: &str) -> Result<Option<Vec<f32>>> {
        match self {
            Self::Segment(segment) => segment.space(space).map_or(Ok(None), |space| space.vector(row)),
            Self::Head(head) => {
                Ok(head.space(space).and_then(|space| space.row(Slot(row))).map(<[f32]>::to_vec))
            }
        }
    }

    /// Whether a row has a vector of this name.
    pub fn has_vector(&self, row: u32, space: &str) -> bool {
        match self {
            Self::Segment(segment) => segment.space(space).is_some_and(|space| space.has(row)),
            Self::Head(head) => head.space(space).is_some_and(|space| space.row(Slot(row)).is_some()),
        }
    }

    /// Whether there is a space of this name, with vectors or without.
    pub fn has_space(&self, space: &str) -> bool {
        match self {
            Self::Segment(segment) => segment.space(space).is_some(),
            Self::Head(head) => head.space(space).is_some(),
        }
    }

    /// How many rows have a vector of this name.
    pub fn vectors(&self, space: &str) -> u32 {
        match self {
            Self::Segment(segment) => segment.space(space).map_or(0, Space::count),
            Self::Head(head) => head.space(space).map_or(0, |space| space.count()),
        }
    }

    /// Of a segment: what searches of a space find and take.
    pub fn calibration(&self, space: &str) -> Option<&Calibration> {
        match self {
            Self::Segment(segment) => segment.space(space).map(Space::calibration),
            Self::Head(_) => None,
        }
    }

    /// How many rows of a space a graph covers.
    pub fn linked(&self, space: &str) -> u32 {
        match self {
            Self::Segment(segment) => segment.space(space).map_or(0, |_| segment.rows()),
            Self::Head(head) => head.space(space).map_or(0, |space| space.linked()),
        }
    }

    /// How many rows of a space wait for nothing to be built over them: all of a segment; of a head what
    /// [`Head::settled`] says.
    pub fn settled(&self, space: &str) -> u32 {
        match self {
            Self::Segment(_) => self.vectors(space),
            Self::Head(head) => head.settled(space),
        }
    }
}

impl Part {
    /// Its range.
    pub fn slots(&self) -> Range<u32> {
        self.base..self.end
    }

    /// About the `k` nearest slots that are shown, sorted by (distance, slot). `ef` is how many rows a graph search
    /// keeps in sight.
    ///
    /// # Errors
    /// `Io`, `Corrupted`: a segment cannot be read.
    pub fn search(
        &self,
        space: &str,
        query: &[f32],
        shown: Shown<'_>,
        k: usize,
        ef: usize,
        gauge: &Gauge<'_>,
    ) -> Result<Vec<Near>> {
        let wanted = shown.count(self.slots()).min(k);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let found = match &self.body {
            Body::Head(head) => {
                let Some(space) = head.space(space) else { return Ok(Vec::new()) };
                let (alive, accept) = (shown.alive.part(self.slots()), self.accept(shown));
                let view = SpaceView { alive: &alive, accept: accept.as_ref(), slots_end: head.rows() };
                let rows = space.count() - space.linked().min(space.count());
                gauge.walked(0, rows);
                gauge.read(u64::from(rows) * space.row_bytes().1);
                self.raised(space.search(query, view, k, ef))
            }
            Body::Segment(segment) => {
                let Some(space) = segment.space(space) else { return Ok(Vec::new()) };
                let bits = shown.bits(self.slots(), segment.rows());
                let shows = bits.as_ref().map_or(Shows::All, Shows::Only);
                let found = space.search(query, shows, k, Effort { window: ef })?;
                gauge.walked(found.hops, found.distances);
                let (_, code, links) = space.row_bytes();
                gauge.read(u64::from(found.distances) * code + u64::from(found.hops) * links);
                self.placed(found.near)
            }
        };
        if found.len() < wanted.min(self.body.vectors(space) as usize) {
            return self.scan_codes(space, query, shown, k, gauge);
        }
        Ok(found)
    }

    /// The `k` nearest slots that are shown, sorted by (distance, slot): by the codes of every row, and the best of
    /// them exactly.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn scan_codes(
        &self,
        space: &str,
        query: &[f32],
        shown: Shown<'_>,
        k: usize,
        gauge: &Gauge<'_>,
    ) -> Result<Vec<Near>> {
        let before = gauge.work().distances;
        let (rows, count) = (self.body.rows(), shown.count(self.slots()));
        let (near, bytes) = if count < rows as usize / ROWS_PER_SHOWN {
            self.scan_codes_of(space, query, self.rows(shown, gauge), k)?
        } else {
            match shown.bits(self.slots(), rows) {
                Some(bits) => self.scan_codes_of(space, query, gauge.through(bits.iter(), count), k)?,
                None => self.scan_codes_of(space, query, gauge.through(0..rows, count), k)?,
            }
        };
        gauge.read((gauge.work().distances - before) * bytes);
        Ok(near)
    }

    /// What a scan by codes of these rows finds, and the bytes of a row's codes.
    fn scan_codes_of(
        &self,
        space: &str,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        k: usize,
    ) -> Result<(Vec<Near>, u64)> {
        match &self.body {
            Body::Head(head) => {
                let Some(space) = head.space(space) else { return Ok((Vec::new(), 0)) };
                Ok((self.raised(space.scan_codes(query, rows.map(Slot), k)), space.row_bytes().1))
            }
            Body::Segment(segment) => {
                let Some(space) = segment.space(space) else { return Ok((Vec::new(), 0)) };
                Ok((self.placed(space.scan_codes(query, rows, k)?), space.row_bytes().1))
            }
        }
    }

    /// The `k` nearest slots that are shown, exactly, sorted by (distance, slot).
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn scan(
        &self,
        space: &str,
        query: &[f32],
        shown: Shown<'_>,
        k: usize,
        gauge: &Gauge<'_>,
    ) -> Result<Vec<Near>> {
        let before = gauge.work().distances;
        let mut rows = self.rows(shown, gauge);
        let (near, bytes) = match &self.body {
            Body::Head(head) => {
                let Some(space) = head.space(space) else { return Ok(Vec::new()) };
                (self.raised(space.scan(query, rows.map(Slot), k)), space.row_bytes().0)
            }
            Body::Segment(segment) => {
                let Some(space) = segment.space(space) else { return Ok(Vec::new()) };
                (self.placed(space.scan(query, &mut *rows, k)?), space.row_bytes().0)
            }
        };
        gauge.read((gauge.work().distances - before) * bytes);
        Ok(near)
    }

    /// Visits the vector of every slot that is shown, in the order of slots.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn each(
        &self,
        space: &str,
        shown: Shown<'_>,
        gauge: &Gauge<'_>,
        visit: &mut dyn FnMut(Slot, &[f32]),
    ) -> Result<()> {
        let before = gauge.work().distances;
        let mut rows = self.rows(shown, gauge);
        let bytes = match &self.body {
            Body::Head(head) => {
                let Some(space) = head.space(space) else { return Ok(()) };
                for row in rows {
                    if let Some(vector) = space.row(Slot(row)) {
                        visit(Slot(self.base + row), vector);
                    }
                }
                space.row_bytes().0
            }
            Body::Segment(segment) => {
                let Some(space) = segment.space(space) else { return Ok(()) };
                space.each(&mut *rows, &mut |row, vector| visit(Slot(self.base + row), vector))?;
                space.row_bytes().0
            }
        };
        gauge.read((gauge.work().distances - before) * bytes);
        Ok(())
    }

    /// The rows that are shown, one after the other.
    fn rows<'r>(&self, shown: Shown<'r>, gauge: &'r Gauge<'_>) -> Box<dyn Iterator<Item = u32> + 'r> {
        let (base, count) = (self.base, shown.count(self.slots()));
        Box::new(gauge.through(shown.slots(self.slots()).map(move |slot| slot - base), count))
    }

    fn accept(&self, shown: Shown<'_>) -> Option<RoaringBitmap> {
        shown.accept.map(|accept| bitmap::lowered(accept, self.slots()))
    }

    fn raised(&self, mut near: Vec<Near>) -> Vec<Near> {
        near.iter_mut().for_each(|near| near.slot.0 += self.base);
        near
    }

    fn placed(&self, near: Vec<(u32, f32)>) -> Vec<Near> {
        near.into_iter().map(|(row, distance)| Near { slot: Slot(self.base + row), distance }).collect()
    }
}

impl<'a> Shown<'a> {
    /// How many slots of a part are shown, at most.
    pub fn count(&self, slots: Range<u32>) -> usize {
        match self.accept {
            Some(accept) => accept.range_cardinality(slots) as usize,
            None => self.alive.count_in(slots),
        }
    }

    /// The slots of a part that are shown: those of the filter if there is one, since they may be few.
    pub(crate) fn slots(&self, slots: Range<u32>) -> Box<dyn Iterator<Item = u32> + 'a> {
        let alive = self.alive;
        match self.accept {
            Some(accept) => Box::new(accept.range(slots).filter(move |slot| alive.contains(Slot(*slot)))),
            None => {
                let base = slots.start;
                let rows: Vec<u32> = alive.part(slots).iter().map(|row| base + row.0).collect();
                Box::new(rows.into_iter())
            }
        }
    }

    /// The rows of a part that are shown; nothing if all are.
    pub(crate) fn bits(&self, slots: Range<u32>, rows: u32) -> Option<Bits> {
        match self.accept {
            None if self.alive.count_in(slots.clone()) == rows as usize => None,
            None => Some(Bits::from_words(self.alive.words(slots, rows))),
            Some(accept) => {
                let mut words = bitmap::words(accept, slots.start, rows);
                let alive = self.alive.words(slots, rows);
                words.iter_mut().zip(alive).for_each(|(word, alive)| *word &= alive);
                Some(Bits::from_words(words))
            }
        }
    }
}
