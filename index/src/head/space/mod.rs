//! One vector space: the rows themselves, and a navigable graph over them.
//!
//! Rows are appended by the writer and are searchable at once: exactly while they are few ([`CODED_ROWS_MIN`]), then by
//! their codes; where [`Space::link`] has reached them, through the graph, and only the others are scanned.
//! Source of the graph: Malkov, Yashunin 2016 (HNSW), as `hnsw_rs` builds it.
//!
//! Invariants:
//! - slots here are rows: the head's own, from 0, and so are those of the sets that a search is given;
//! - a row never changes; a missing vector is an empty row;
//! - the graph's word is never taken for it: every hit is checked against the view and its distance computed anew;
//! - readers never wait for the writer, and for [`Space::link`] only as long as one neighbour list is being changed.
//!
//! Cost: 4 bytes an element, another in codes (128 of these a row at least) and 48 a row; about 2.4 KiB a linked row.
//! Beyond some 100,000 rows the graph's pointer chasing makes it several times slower than a flat layout would be.
//! Nothing is ever removed: dead rows go when the head becomes a segment.

mod arena;
mod coded;
mod graph;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use roaring::RoaringBitmap;
use types::{Metric, Slot};

use crate::Alive;
use crate::best::{Best, Nearest};
use crate::kernels;
use arena::Arena;
use graph::Graph;

/// Below this many rows nothing is linked: an exact scan is faster, and exact.
pub const GRAPH_ROWS_MIN: u32 = 4096;

/// How many rows are linked before the progress is shown to readers.
const LINK_CHUNK: u32 = 256;

/// What the graph pays for each row of its beam, in rows scanned: measured 330 at 128 elements, 105 at 384, 56 at
/// 768 (the graph waits for memory either way, a scan only where rows are long).
const SCANNED_PER_FETCHED: f64 = 64.0;

/// So many rows are scanned by their codes: of fewer an exact scan takes little.
pub const CODED_ROWS_MIN: u32 = 1024;

/// One vector space of a head.
pub struct Space {
    arena: Arc<Arena>,
    graph: OnceLock<Graph>,
    linked: AtomicU32,
    turn: Mutex<()>,
}

/// What a search may see.
#[derive(Clone, Copy)]
pub struct SpaceView<'a> {
    /// The visible slots.
    pub alive: &'a Alive,
    /// If given, the slots that the query's filter accepts.
    pub accept: Option<&'a RoaringBitmap>,
    /// Slots from here on are younger than the view.
    pub slots_end: u32,
}

/// A slot and its exact distance from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Where the vector stands.
    pub slot: Slot,
    /// As [`kernels::distance`] defines it.
    pub distance: f32,
}

impl Space {
    /// An empty space of vectors with `dim` elements.
    pub fn new(dim: usize, metric: Metric) -> Self {
        Self {
            arena: Arc::new(Arena::new(dim, metric)),
            graph: OnceLock::new(),
            linked: AtomicU32::new(0),
            turn: Mutex::new(()),
        }
    }

    /// Appends the next row; `None` for a point without this vector. Only the writer calls this, with what
    /// `types::vector::check` has passed.
    pub fn append(&self, vector: Option<Vec<f32>>) {
        self.arena.append(vector);
    }

    /// How many rows there are.
    pub fn len(&self) -> u32 {
        self.arena.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vector in a slot.
    pub fn row(&self, slot: Slot) -> Option<&[f32]> {
        self.arena.row(slot.0)
    }

    /// How many rows have a vector.
    pub fn count(&self) -> u32 {
        self.arena.count()
    }

    /// Whether its rows have codes, once there is a block of them.
    pub(super) fn has_codes(&self) -> bool {
        self.arena.metric() != Metric::Manhattan
    }

    /// Bytes that scans read of a row: its vector, and its upper nibbles, or the vector where there are none.
    pub(crate) fn row_bytes(&self) -> (u64, u64) {
        self.arena.row_bytes()
    }

    /// Slots below this are in the graph, or have no vector, or were dead when their turn came.
    pub fn linked(&self) -> u32 {
        self.linked.load(Ordering::Acquire)
    }

    /// Links at most `rows_max` further rows, skipping the dead; whether more wait. For a background thread: a
    /// second caller waits for the first. 0.5 to 1 ms a row.
    pub fn link(&self, alive: &Alive, rows_max: u32) -> bool {
        let _turn = self.turn.lock();
        let len = self.len();
        if len < GRAPH_ROWS_MIN {
            return false;
        }
        let graph = self.graph.get_or_init(|| Graph::new(Arc::clone(&self.arena)));
        let start = self.linked();
        let end = len.min(start.saturating_add(rows_max));
        for from in (start..end).step_by(LINK_CHUNK as usize) {
            let until = end.min(from + LINK_CHUNK);
            let linkable = |&row: &u32| alive.contains(Slot(row)) && self.arena.row(row).is_some();
            graph.insert(&(from..until).filter(linkable).collect::<Vec<u32>>());
            self.linked.store(until, Ordering::Release);
        }
        end < len
    }

    /// The `k` nearest of the given slots, exactly, sorted by (distance, slot). Slots without a vector are passed
    /// over. O(slots), no allocation per row.
    pub fn scan(&self, query: &[f32], slots: impl Iterator<Item = Slot>, k: usize) -> Vec<Near> {
        let mut best = Best::new(k);
        self.offer_all(query, slots, &mut best);
        near(best)
    }

    /// As [`scan`](Self::scan), but by the codes; the best of them exactly.
    pub fn scan_codes(&self, query: &[f32], slots: impl Iterator<Item = Slot>, k: usize) -> Vec<Near> {
        let mut best = Best::new(k);
        self.offer_likely(query, slots, &mut best);
        near(best)
    }

    /// About the `k` nearest visible rows, sorted by (distance, slot). `ef` is how many visible rows the graph
    /// search keeps in sight: larger finds more and costs more. Where a scan is cheaper than such a search, it is one.
    /// May return fewer than `k` although more are visible, if those near the query are not: then
    /// [`scan`](Self::scan).
    pub fn search(&self, query: &[f32], view: SpaceView<'_>, k: usize, ef: usize) -> Vec<Near> {
        // Read before the graph is asked: rows linked meanwhile are found by the scan, and only there.
        let linked = self.linked().min(view.slots_end);
        let slots_end = self.len().min(view.slots_end);
        let beam_rows = |graph: &Graph| view.beam_rows(linked, graph.rows(), k, ef);
        let Some((graph, fetch)) = self.graph.get().and_then(|graph| Some((graph, beam_rows(graph)?))) else {
            let mut best = Best::new(k);
            self.offer_nearest(query, view, (0, slots_end), &mut best);
            return near(best);
        };
        let mut best = Best::new(k);
        let shows = |row: u32| row < linked && view.shows(Slot(row));
        let beam = graph.search(query, fetch, k, shows);
        self.offer_all(query, beam.rows.iter().map(|&row| Slot(row)), &mut best);
        self.offer_nearest(query, view, (linked, slots_end), &mut best);
        let mut near = near(best);
        if let Some(row) = beam.horizon {
            // The beam ended early; what lies behind its last row may not be the nearest of its kind.
            let horizon = self.distance(query, row).unwrap_or(f32::MIN);
            near.retain(|near| near.distance <= horizon);
        }
        near
    }

    /// Bytes in memory, approximately.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.graph.get().map_or(0, Graph::bytes)
    }

    /// Offers the visible slots of a range, or of many those that are likely among the nearest.
    fn offer_nearest(
        &self,
        query: &[f32],
        view: SpaceView<'_>,
        (start, end): (u32, u32),
        best: &mut Best<Nearest>,
    ) {
        let slots = view.slots(start, end);
        if end.saturating_sub(start) < CODED_ROWS_MIN {
            self.offer_all(query, slots, best);
        } else {
            self.offer_likely(query, slots, best);
        }
    }

    /// Offers the slots that may be among the nearest by their codes.
    fn offer_likely(&self, query: &[f32], slots: impl Iterator<Item = Slot>, best: &mut Best<Nearest>) {
        let Some(coded) = self.arena.coded() else { return self.offer_all(query, slots, best) };
        for (row, least) in coded.likely(query, slots.map(|slot| slot.0), best.k()) {
            // They come by the least that their distances may be.
            if best.worst().is_some_and(|Nearest(worst, _)| least > *worst) {
                return;
            }
            self.offer_all(query, std::iter::once(Slot(row)), best);
        }
    }

    fn offer_all(&self, query: &[f32], slots: impl Iterator<Item = Slot>, best: &mut Best<Nearest>) {
        for slot in slots {
            if let Some(distance) = self.distance(query, slot.0) {
                best.offer(Nearest(distance, slot.0));
            }
        }
    }

    fn distance(&self, query: &[f32], row: u32) -> Option<f32> {
        self.arena.row(row).map(|elements| kernels::distance(self.arena.metric(), query, elements))
    }
}

fn near(best: Best<Nearest>) -> Vec<Near> {
    let near = |Nearest(distance, slot)| Near { slot: Slot(slot), distance };
    best.into_sorted().into_iter().map(near).collect()
}

impl<'a> SpaceView<'a> {
    fn shows(&self, slot: Slot) -> bool {
        slot.0 < self.slots_end
            && self.accept.is_none_or(|accept| accept.contains(slot.0))
            && self.alive.contains(slot)
    }

    /// How many rows of a graph a beam must have for about `ef` of them to be visible; nothing if a scan is cheaper.
    /// The graph may hold rows younger than the view.
    fn beam_rows(&self, linked: u32, graph_rows: u32, k: usize, ef: usize) -> Option<usize> {
        let accepted = self.accept.map_or(usize::MAX, |accept| accept.len() as usize);
        let visible = accepted.min(self.alive.len()).min(self.slots_end as usize);
        let visible_linked = visible as f64 * f64::from(linked) / f64::from(self.slots_end.max(1));
        let share = (visible_linked / f64::from(graph_rows.max(1))).min(1.0);
        let fetch = (ef.max(k).max(1) as f64 / share).ceil();
        (fetch * SCANNED_PER_FETCHED < visible_linked).then_some(fetch as usize)
    }

    /// The visible slots of a range: those of the filter if there is one, since they may be few.
    fn slots(&self, start: u32, end: u32) -> Box<dyn Iterator<Item = Slot> + 'a> {
        let (alive, end) = (self.alive, end.min(self.slots_end));
        match self.accept {
            Some(accept) => Box::new(accept.range(start..end).map(Slot).filter(|&slot| alive.contains(slot))),
            None => Box::new((start..end).map(Slot).filter(|&slot| alive.contains(slot))),
        }
    }
}

#[cfg(test)]
mod tests;
