//! One vector space: the rows themselves, and a navigable graph over them.
//!
//! Rows are appended by the writer and are searchable at once: exactly while the head is small
//! ([`GRAPH_ROWS_MIN`]), later through the graph plus an exact scan of the rows that [`Head::link`] has not reached.
//! Source of the graph: Malkov, Yashunin 2016 (HNSW), as `hnsw_rs` builds it.
//!
//! Invariants:
//! - row number = slot; a row never changes; a missing vector is an empty row;
//! - the graph's word is never taken for it: every hit is checked against the view and its distance computed anew;
//! - readers never wait for the writer, and for [`Head::link`] only as long as one neighbour list is being changed.
//!
//! Cost: 4 bytes an element and 32 a row, about 2.4 KiB a linked row. Beyond some 100,000 rows the graph's
//! pointer chasing makes it several times slower than a flat layout would be. Nothing is ever removed: when most
//! rows are dead, build a new head.

mod arena;
mod best;
mod graph;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use roaring::RoaringBitmap;
use types::{Metric, Slot};

use crate::Alive;
use crate::kernels;
use arena::Arena;
use best::Best;
use graph::Graph;

/// Below this many rows nothing is linked: an exact scan is faster, and exact.
pub const GRAPH_ROWS_MIN: u32 = 4096;

/// How many rows are linked before the progress is shown to readers.
const LINK_CHUNK: u32 = 256;

/// A beam of `fetch` rows computes about this many distances for each of them; where that is more than all rows
/// together, scanning them is cheaper.
const DISTANCES_PER_FETCHED: usize = 16;

/// One vector space of a collection.
pub struct Head {
    arena: Arc<Arena>,
    graph: OnceLock<Graph>,
    linked: AtomicU32,
    turn: Mutex<()>,
}

/// What a search may see.
#[derive(Clone, Copy)]
pub struct HeadView<'a> {
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

impl Head {
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
    pub fn append(&self, vector: Option<&[f32]>) {
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

    /// Slots below this are in the graph, or have no vector, or were dead when their turn came.
    pub fn linked(&self) -> u32 {
        self.linked.load(Ordering::Acquire)
    }

    /// Links at most `rows_max` further rows, skipping the dead; whether more wait. For a background thread: a
    /// second caller waits for the first. Uses a second thread while it runs.
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
        best.into_sorted()
    }

    /// About the `k` nearest visible rows, sorted by (distance, slot). `ef` is how many visible rows the graph
    /// search keeps in sight: larger finds more and costs more. May return fewer than `k` where few rows are
    /// visible, even if more exist: then [`scan`](Self::scan) them.
    pub fn search(&self, query: &[f32], view: HeadView<'_>, k: usize, ef: usize) -> Vec<Near> {
        // Read before the graph is asked: rows linked meanwhile are found by the scan, and only there.
        let linked = self.linked().min(view.slots_end);
        let slots_end = view.slots_end.min(self.len());
        let visible = |from: u32| (from..slots_end).map(Slot).filter(|&slot| view.shows(slot));
        let fetch = (ef.max(k) as f64 / view.share()).ceil() as usize;
        let graph = match self.graph.get() {
            Some(graph) if k > 0 && fetch.saturating_mul(DISTANCES_PER_FETCHED) < linked as usize => graph,
            _ => return self.scan(query, visible(0), k),
        };
        let mut best = Best::new(k);
        let shows = |row: u32| row < linked && view.shows(Slot(row));
        let beam = graph.search(query, fetch, k, shows);
        self.offer_all(query, beam.rows.iter().map(|&row| Slot(row)), &mut best);
        self.offer_all(query, visible(linked), &mut best);
        let mut near = best.into_sorted();
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

    fn offer_all(&self, query: &[f32], slots: impl Iterator<Item = Slot>, best: &mut Best) {
        for slot in slots {
            if let Some(distance) = self.distance(query, slot.0) {
                best.offer(Near { slot, distance });
            }
        }
    }

    fn distance(&self, query: &[f32], row: u32) -> Option<f32> {
        self.arena.row(row).map(|elements| kernels::distance(self.arena.metric(), query, elements))
    }
}

impl HeadView<'_> {
    fn shows(&self, slot: Slot) -> bool {
        slot.0 < self.slots_end
            && self.accept.is_none_or(|accept| accept.contains(slot.0))
            && self.alive.contains(slot)
    }

    /// An estimate of the share of slots that are visible, above 0.
    fn share(&self) -> f64 {
        let accepted = self.accept.map_or(usize::MAX, |accept| accept.len() as usize);
        let visible = accepted.min(self.alive.len()).max(1);
        (visible as f64 / f64::from(self.slots_end.max(1))).min(1.0)
    }
}

#[cfg(test)]
mod tests;
