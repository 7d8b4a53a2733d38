//! One vector space of a segment: its vectors, and the graph over them.
//!
//! The graph counts vectors, callers count rows of the segment: rows go in and come out here.

use std::sync::atomic::{AtomicBool, Ordering};

use types::{Memory, Metric, Result};

use super::layout::{Kinds, SpaceMeta};
use super::present::Present;
use crate::file::{Advice, Array, SectionReader, Sections};
use crate::graph::{
    Bits, Calibration, Effort, Fine, Found, Graph, LINK_NONE, Near, Room, Shows, Start, Stored, Tiers,
};

/// A vector space. Rows that lack its vector are possible, and are never found.
pub struct Space {
    meta: SpaceMeta,
    fine: Vectors,
    /// Where some rows lack the vector.
    present: Option<Present>,
    /// Where there is a vector.
    built: Option<Built>,
    calibration: Calibration,
}

/// The vectors: read from the file, or mapped where that is wanted or a walk needs them.
struct Vectors {
    reader: SectionReader,
    mapped: Array<u8>,
    is_mapped: AtomicBool,
}

impl Stored for SectionReader {
    fn read(&self, at: usize, bytes: &mut [u8]) -> Result<()> {
        SectionReader::read(self, at as u64, bytes)
    }
}

/// The graph and what it reads beside the vectors.
struct Built {
    graph: Graph,
    nav: Array<u8>,
    rest: Array<u8>,
    links: Array<u32>,
    hubs: Array<u32>,
}

impl Space {
    /// Takes the sections of a space, if their lengths fit. Links are not looked at.
    pub(super) fn open(sections: &Sections, kinds: &Kinds, meta: SpaceMeta, rows: u32) -> Result<Self> {
        let count = meta.count as usize;
        let (reader, mapped) = (sections.reader(kinds.fine)?, sections.array(kinds.fine)?);
        let fine = Vectors { reader, mapped, is_mapped: AtomicBool::new(false) };
        let row_bytes = meta.dim as u64 * meta.datatype.bytes() as u64;
        if Some(fine.reader.bytes()) != u64::from(meta.count).checked_mul(row_bytes) {
            return Err(sections.damaged(kinds.fine, "it has another number of vectors than `meta` says"));
        }
        let is_sparse = count > 0 && meta.count < rows;
        let present = is_sparse.then(|| {
            let ranks = sections.array(kinds.ranks)?;
            let present = Present::new(sections.array(kinds.rows)?, ranks, rows, meta.count);
            present
                .ok_or_else(|| sections.damaged(kinds.rows, "it has another number of rows than `meta` says"))
        });
        let built = (count > 0).then(|| Built::open(sections, kinds, &meta, &fine)).transpose()?;
        let calibration =
            calibration(sections, kinds).unwrap_or_else(|| Calibration::default_for(meta.dim as usize));
        Ok(Self { fine, present: present.transpose()?, built, calibration, meta })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// Elements of a vector.
    pub fn dim(&self) -> usize {
        self.meta.dim as usize
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.meta.metric
    }

    /// How many rows have a vector.
    pub fn count(&self) -> u32 {
        self.meta.count
    }

    /// Whether a row has a vector.
    pub fn has(&self, row: u32) -> bool {
        self.place(row).is_some()
    }

    /// The vector of a row, if it has one.
    ///
    /// # Errors
    /// `Io`, `Corrupted`.
    pub fn vector(&self, row: u32) -> Result<Option<Vec<f32>>> {
        let Some(place) = self.place(row) else { return Ok(None) };
        let fine = self.fine.tier(&self.meta)?;
        fine.row(place, &mut Room::default()).map(|vector| Some(vector.to_vec()))
    }

    /// Bytes that searches read of a row: its vector, its code, which is the vector where there is none, its links.
    pub(crate) fn row_bytes(&self) -> (u64, u64, u64) {
        let vector = u64::from(self.meta.dim) * self.meta.datatype.bytes() as u64;
        let each = |bytes: usize| (bytes / (self.meta.count as usize).max(1)) as u64;
        let built = self.built.as_ref();
        let code = built.map_or(0, |built| each(built.nav.len()));
        let links = built.map_or(0, |built| each(built.links.len() * size_of::<u32>()));
        (vector, if code == 0 { vector } else { code }, links)
    }

    /// What its searches find and take: as was measured when it was written, or a guess.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// About the `k` nearest of the rows that show, sorted by (distance, row).
    ///
    /// # Errors
    /// `Io`, `Corrupted`: the vectors cannot be read.
    pub fn search(&self, query: &[f32], shows: Shows<'_>, k: usize, effort: Effort) -> Result<Found> {
        Ok(self.search_many(&[query], shows, k, effort)?.pop().unwrap_or_default())
    }

    /// What [`search`](Self::search) answers to each of several queries.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn search_many(
        &self,
        queries: &[&[f32]],
        shows: Shows<'_>,
        k: usize,
        effort: Effort,
    ) -> Result<Vec<Found>> {
        let Some(built) = &self.built else { return Ok(vec![Found::default(); queries.len()]) };
        let places = match (&self.present, shows) {
            (Some(present), Shows::Only(rows)) => Some(present.places(rows)),
            _ => None,
        };
        let shows = places.as_ref().map_or(shows, Shows::Only);
        let tiers = built.tiers(self.fine.tier(&self.meta)?);
        let mut found = built.graph.search_many(&tiers, queries, shows, k, effort)?;
        found.iter_mut().for_each(|found| self.to_rows(&mut found.near));
        Ok(found)
    }

    /// The `k` nearest of the given rows, exactly, sorted by (distance, row). Rows without a vector are passed over.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn scan(&self, query: &[f32], rows: &mut dyn Iterator<Item = u32>, k: usize) -> Result<Vec<Near>> {
        let Some(built) = &self.built else { return Ok(Vec::new()) };
        let mut places = rows.filter_map(|row| self.place(row));
        let mut near = built.graph.scan(&built.tiers(self.fine.tier(&self.meta)?), query, &mut places, k)?;
        self.to_rows(&mut near);
        Ok(near)
    }

    /// As [`scan`](Self::scan), but by the codes: rows are mistaken only where their distances are nearly equal, and
    /// the distances of those returned are exact.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn scan_codes(&self, query: &[f32], rows: impl Iterator<Item = u32>, k: usize) -> Result<Vec<Near>> {
        let Some(built) = &self.built else { return Ok(Vec::new()) };
        let places = rows.filter_map(|row| self.place(row));
        let tiers = built.tiers(self.fine.tier(&self.meta)?);
        let mut near = built.graph.scan_codes(&tiers, query, places, k)?;
        self.to_rows(&mut near);
        Ok(near)
    }

    /// Visits the vectors of the given rows, ascending, with their rows. Rows without a vector are passed over.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn each(
        &self,
        rows: &mut dyn Iterator<Item = u32>,
        visit: &mut dyn FnMut(u32, &[f32]),
    ) -> Result<()> {
        let mut places = rows.filter_map(|row| self.place(row));
        let row = |place: u32| self.present.as_ref().map_or(Some(place), |present| present.row(place));
        self.fine.tier(&self.meta)?.each(&mut places, &mut Room::default(), &mut |place, vector| {
            if let Some(row) = row(place) {
                visit(row, vector);
            }
        })
    }

    /// Its graph, for building another on it: `becomes` says for each row which row of the other segment it becomes, or
    /// `u32::MAX`; `present` which of those have a vector.
    pub(super) fn start(&self, becomes: &[u32], present: &Bits) -> Start<'_> {
        // The number of vectors before each 64 rows.
        let before = present.words().iter().scan(0, |sum, word| {
            let before = *sum;
            *sum += word.count_ones();
            Some(before)
        });
        let before: Vec<u32> = before.collect();
        let place = |row: u32| {
            let word = present.words().get(row as usize / 64)?;
            let bit = 1_u64 << (row % 64);
            (word & bit != 0).then(|| before[row as usize / 64] + (word & (bit - 1)).count_ones())
        };
        let row = |own: u32| self.present.as_ref().map_or(Some(own), |present| present.row(own));
        let becomes = (0..self.meta.count).map(|own| {
            let new = row(own).and_then(|row| becomes.get(row as usize)).copied();
            new.filter(|new| *new != LINK_NONE).and_then(place).unwrap_or(LINK_NONE)
        });
        let links: &[u32] = self.built.as_ref().map_or(&[], |built| &built.links);
        let degree = links.len().checked_div(self.meta.count as usize).unwrap_or(0);
        Start { links, degree, becomes: becomes.collect() }
    }

    /// Keeps the vectors elsewhere from now on. What is mapped stays in memory until the system needs the room.
    pub(super) fn place_in(&self, sections: &Sections, kinds: &Kinds, memory: Memory) {
        let Some(built) = &self.built else { return };
        let is_mapped = memory == Memory::Cached || built.graph.reads_vectors();
        let was_mapped = self.fine.is_mapped.swap(is_mapped, Ordering::Relaxed);
        if memory == Memory::Cached && !was_mapped {
            sections.advise(kinds.fine, Advice::WillNeed);
        }
    }

    /// Whether everything agrees that opening has not looked at. O(rows).
    pub(super) fn check(&self, sections: &Sections, kinds: &Kinds, rows: u32) -> Result<()> {
        if self.present.as_ref().is_some_and(|present| !present.check(rows)) {
            return Err(sections.damaged(kinds.rows, "it does not agree with `ranks`"));
        }
        if sections.has(kinds.calib) && !self.calibration.is_measured() {
            return Err(sections.damaged(kinds.calib, "it does not parse"));
        }
        let Some(built) = &self.built else { return Ok(()) };
        let wrong =
            |source: types::Error| sections.damaged(kinds.links, source.message()).with_source(source);
        built.graph.check(&built.tiers(self.fine.tier(&self.meta)?)).map_err(wrong)
    }

    /// Where the vector of a row stands.
    fn place(&self, row: u32) -> Option<u32> {
        let place = match &self.present {
            Some(present) => present.place(row)?,
            None => row,
        };
        // A damaged section may name a place that does not exist.
        (place < self.meta.count).then_some(place)
    }

    /// From places to rows; the order stays, since both ascend together.
    fn to_rows(&self, near: &mut Vec<Near>) {
        if let Some(present) = &self.present {
            near.retain_mut(|(place, _)| present.row(*place).map(|row| *place = row).is_some());
        }
    }
}

/// What was measured, if it was and is whole: a guess in its place makes searches slower or less sure, not wrong.
fn calibration(sections: &Sections, kinds: &Kinds) -> Option<Calibration> {
    if !sections.has(kinds.calib) {
        return None;
    }
    let bytes = sections.verify_section(kinds.calib).and_then(|()| sections.section(kinds.calib));
    let calibration = bytes.ok().and_then(Calibration::from_bytes);
    if calibration.is_none() {
        tracing::warn!(path = %sections.path().display(), section = %kinds.calib, "a calibration is damaged");
    }
    calibration
}

impl Vectors {
    fn tier(&self, meta: &SpaceMeta) -> Result<Fine<'_>> {
        let dim = meta.dim as usize;
        if self.is_mapped.load(Ordering::Relaxed) {
            return Fine::mapped(meta.datatype, dim, &self.mapped);
        }
        Ok(Fine::stored(meta.datatype, dim, meta.count as usize, &self.reader))
    }
}

impl Built {
    /// Maps the vectors if the walk reads them.
    fn open(sections: &Sections, kinds: &Kinds, meta: &SpaceMeta, fine: &Vectors) -> Result<Self> {
        sections.verify_section(kinds.codec)?;
        let codec = sections.section(kinds.codec)?;
        let wrong =
            |source: types::Error| sections.damaged(kinds.codec, source.message()).with_source(source);
        let graph = Graph::open(meta.metric, meta.dim as usize, codec).map_err(wrong)?;
        let built = Self {
            graph,
            nav: sections.array(kinds.nav)?,
            rest: sections.array(kinds.rest)?,
            links: sections.array(kinds.links)?,
            hubs: sections.array(kinds.hubs)?,
        };
        if built.graph.reads_vectors() {
            fine.is_mapped.store(true, Ordering::Relaxed);
        }
        if let Some(tier) = built.graph.misfit(&built.tiers(fine.tier(meta)?)) {
            let places =
                [("nav", kinds.nav), ("rest", kinds.rest), ("links", kinds.links), ("hubs", kinds.hubs)];
            let kind = places.into_iter().find(|(name, _)| *name == tier).map_or(kinds.nav, |(_, kind)| kind);
            return Err(sections.damaged(kind, "it has not as much for each vector"));
        }
        sections.advise(kinds.nav, Advice::WillNeed);
        sections.advise(kinds.links, Advice::WillNeed);
        Ok(built)
    }

    fn tiers<'a>(&'a self, fine: Fine<'a>) -> Tiers<'a> {
        Tiers { nav: &self.nav, rest: &self.rest, links: &self.links, hubs: &self.hubs, fine }
    }
}
