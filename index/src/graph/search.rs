//! Searching: the entry points, and what is done with the rows that a walk has found.
//!
//! A walk begins at the nearest hubs and leaves a beam of estimates. The best of them are estimated anew by whole
//! codes, where there are some; those that may still be hits, by what is known of the error of an estimate, get their
//! exact distance. Under a filter a walk goes over hidden rows or, where few are shown, only through them; one over
//! hidden rows that loses to a scan gives up, and the codes of the shown rows are scanned.
//!
//! Invariants: every hit is shown and has its exact distance, whatever the codes are; hits are sorted by (distance,
//! row). Nothing is allocated on a walk: each thread keeps its own.
//! Cost: the walk waits for memory; behind it about a dozen vectors are read for ten hits, which decision 7 measures.
//! When not to use: where a filter leaves few rows, [`Graph::scan`] is exact and faster.

use std::cell::RefCell;

use types::Result;

use super::walk::{Net, Walk, in_turn};
use super::{Effort, Graph, Room, Shows, Tiers};
use crate::best::{Best, Nearest};
use crate::codes::{Bits, Both, Nav, Nibbles, Prepared, Reader, Tier, Vectors};
use crate::kernels::{self, Kernel, Task, run};

/// A row and its exact distance.
pub type Near = (u32, f32);

/// What a search has found, and what it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Rows and their exact distances, nearest first.
    pub near: Vec<Near>,
    /// Rows expanded.
    pub hops: u32,
    /// Distances estimated on the walk.
    pub distances: u32,
}

/// Walks taken in turn by [`Graph::search_many`], and when a graph is built.
pub(super) const TURNS: usize = 4;

/// Estimates mistake some of the order: so many times the hits wanted, and so many more, are estimated anew by whole
/// codes where there are some, and then get their exact distance if they may be hits.
const COMPLETED_PER_HIT: usize = 2;
const COMPLETED_MORE: usize = 20;

/// Signs mistake much more of it.
pub(super) const SIGNS_PER_HIT: usize = 10;
pub(super) const SIGNS_MORE: usize = 100;

/// It grows with the beam, so that more effort always finds more.
const COMPLETED_OF_WINDOW: usize = 2;

/// Whole codes mistake little: at most so many more than the hits wanted get their exact distance.
const EXACT_MORE: usize = 6;
const EXACT_OF_WINDOW: usize = 8;

/// A row gets it unless its estimate by signs, less so many standard errors, is no nearer than the last hit.
const DOUBTS_OF_SIGNS: f32 = 2.0;

/// What estimates by vectors differ from exact distances by: the order of summing.
const DOUBT_OF_VECTORS: f32 = 1e-5;

thread_local! {
    pub(super) static WALKS: RefCell<[Walk; TURNS]> = RefCell::new(Default::default());
}

impl Graph {
    /// About the `k` nearest rows that are shown, with their exact distances, sorted by (distance, row). May find fewer
    /// although more are shown: then [`scan_codes`](Self::scan_codes).
    ///
    /// # Errors
    /// `Io` where vectors are read from a file.
    pub fn search(
        &self,
        tiers: &Tiers<'_>,
        query: &[f32],
        shows: Shows<'_>,
        k: usize,
        effort: Effort,
    ) -> Result<Found> {
        let mut found = Vec::with_capacity(1);
        self.walk(tiers, &[query], shows, k, effort, &mut found)?;
        Ok(found.pop().unwrap_or_default())
    }

    /// Searches for each of several queries; a few walks are taken in turn, so that one computes while others wait for
    /// memory.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn search_many(
        &self,
        tiers: &Tiers<'_>,
        queries: &[&[f32]],
        shows: Shows<'_>,
        k: usize,
        effort: Effort,
    ) -> Result<Vec<Found>> {
        let mut found = Vec::with_capacity(queries.len());
        for queries in queries.chunks(TURNS) {
            self.walk(tiers, queries, shows, k, effort, &mut found)?;
        }
        Ok(found)
    }

    /// The `k` nearest of the given rows, exactly, sorted by (distance, row). Fastest for rows that ascend.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub fn scan(
        &self,
        tiers: &Tiers<'_>,
        query: &[f32],
        rows: &mut dyn Iterator<Item = u32>,
        k: usize,
    ) -> Result<Vec<Near>> {
        let mut best = Best::new(k);
        tiers.fine.each(rows, &mut Room::default(), &mut |row, vector| {
            best.offer(Nearest(kernels::distance(self.codec.metric, query, vector), row));
        })?;
        Ok(near(best))
    }

    fn walk(
        &self,
        tiers: &Tiers<'_>,
        queries: &[&[f32]],
        shows: Shows<'_>,
        k: usize,
        effort: Effort,
        found: &mut Vec<Found>,
    ) -> Result<()> {
        let first = found.len();
        let mut given_up = Vec::new();
        WALKS.with_borrow_mut(|walks| {
            let walks = &mut walks[..queries.len()];
            let window = effort.window.max(1);
            run(self.isa, Walks { graph: self, tiers, queries, walks, shows, window, wanted: k });
            for (walk, query) in walks.iter_mut().zip(queries) {
                if let Shows::Only(bits) = shows {
                    walk.candidates.retain(|(row, _)| bits.contains(*row));
                }
                if walk.gave_up {
                    given_up.push(found.len());
                }
                let Walk { candidates, vector, hops, distances, gave_up, .. } = walk;
                let near =
                    if *gave_up { Vec::new() } else { self.exact(tiers, query, candidates, vector, k)? };
                found.push(Found { near, hops: *hops, distances: *distances });
            }
            Result::Ok(())
        })?;
        if let Shows::Only(bits) = shows {
            for at in given_up {
                let rows = bits.iter().take_while(|row| (*row as usize) < tiers.fine.rows());
                found[at].near = self.scan_codes(tiers, queries[at - first], rows, k)?;
                found[at].distances += bits.len();
            }
        }
        Ok(())
    }

    /// The exact `k` nearest of some candidates, read into `room`. No vector is read of those whose estimates are too
    /// far, by what is known of their error.
    pub(super) fn exact(
        &self,
        tiers: &Tiers<'_>,
        query: &[f32],
        candidates: &[(u32, f32)],
        room: &mut Room,
        k: usize,
    ) -> Result<Vec<Near>> {
        let mut best = Best::<Nearest>::new(k);
        for &(row, least) in candidates {
            if best.worst().is_some_and(|Nearest(worst, _)| least >= *worst) {
                continue;
            }
            let vector = tiers.fine.row(row, room)?;
            best.offer(Nearest(kernels::distance(self.codec.metric, query, vector), row));
        }
        Ok(near(best))
    }

    /// What the estimate of a row may be wrong by.
    #[inline(always)]
    pub(super) fn doubt<'t>(&self, tier: Tier<'t>) -> impl Fn(&Prepared, u32, f32) -> f32 + Copy + use<'t> {
        let nav = self.codec.nav;
        move |query, row, estimate| match nav {
            Nav::Nibbles => query.margins_of_codes(tier, row).1,
            Nav::Bits => DOUBTS_OF_SIGNS * query.doubt(tier, row),
            Nav::Vectors => DOUBT_OF_VECTORS * (1.0 + estimate.abs()),
        }
    }

    pub(super) fn tier<'a>(&self, tiers: &Tiers<'a>) -> Tier<'a> {
        Tier { layout: self.codec.layout(), nav: tiers.nav, rest: tiers.rest }
    }

    pub(super) fn vectors<'a>(&self, tiers: &Tiers<'a>) -> Vectors<'a> {
        Vectors { metric: self.codec.metric, rows: tiers.fine }
    }

    fn net<'a>(&self, tiers: &Tiers<'a>) -> Net<'a> {
        let rows = tiers.fine.rows();
        Net {
            links: tiers.links,
            degree: tiers.links.len().checked_div(rows).unwrap_or(0),
            rows: rows as u32,
        }
    }
}

fn near(best: Best<Nearest>) -> Vec<Near> {
    best.into_sorted().into_iter().map(|Nearest(distance, row)| (row, distance)).collect()
}

/// Several walks, then their completion by whole codes: after it the beams are sorted by the better estimates.
struct Walks<'w, 'a> {
    graph: &'w Graph,
    tiers: &'w Tiers<'a>,
    queries: &'w [&'w [f32]],
    walks: &'w mut [Walk],
    shows: Shows<'w>,
    window: usize,
    wanted: usize,
}

impl Task for Walks<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self, kernel: K) {
        for (walk, query) in self.walks.iter_mut().zip(self.queries) {
            walk.query.set(kernel, &self.graph.codec, query);
        }
        let tier = self.graph.tier(self.tiers);
        let vectors = self.graph.vectors(self.tiers);
        match self.graph.codec.nav {
            Nav::Nibbles => {
                self.walk(kernel, Nibbles(tier));
                self.complete(kernel, tier);
            }
            Nav::Bits => self.walk(kernel, Bits(tier)),
            Nav::Vectors => self.walk(kernel, vectors),
        }
        let room = match self.graph.codec.nav {
            Nav::Bits => self.room(),
            Nav::Nibbles | Nav::Vectors => self.wanted + EXACT_MORE + self.window / EXACT_OF_WINDOW,
        };
        let doubt = self.graph.doubt(tier);
        for walk in &mut *self.walks {
            walk.choose(room, doubt);
        }
    }
}

impl Walks<'_, '_> {
    #[inline(always)]
    fn walk<K: Kernel, R: Reader>(&mut self, kernel: K, reader: R) {
        let net = self.graph.net(self.tiers);
        let room = self.window.max(self.wanted + COMPLETED_MORE);
        let through = match self.shows {
            Shows::Only(shown) if shown.len() >= net.rows / THROUGH_ROWS => Some(shown),
            _ => None,
        };
        if let Some(shown) = through {
            return self.walk_through(kernel, reader, net, room, shown);
        }
        let entries = if matches!(self.shows, Shows::All) { ENTRIES } else { ENTRIES_SHOWN };
        for walk in &mut *self.walks {
            walk.begin(room.max(entries), self.window);
            enter(kernel, reader, (self.graph, self.tiers), walk, net, entries);
        }
        match (self.shows, &mut *self.walks) {
            (Shows::All, [walk]) => walk.run(kernel, reader, net, self.window),
            (Shows::Only(shown), walks) => {
                // A loop: a closure would not be inlined, and then no instruction in it either.
                for walk in walks {
                    walk.run_shown(kernel, reader, net, self.window, shown);
                }
            }
            (Shows::All, walks) => in_turn(kernel, reader, walks, net, self.window),
        }
    }

    /// Walks over hidden rows too, each of which takes a place beside the shown ones.
    #[inline(always)]
    fn walk_through<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        net: Net<'_>,
        hits: usize,
        shown: &super::Bits,
    ) {
        let times = net.rows.div_ceil(shown.len().max(1)) as usize;
        let distances_max = shown.len() / SCANNED_PER_WALKED;
        for walk in &mut *self.walks {
            walk.begin(hits * times * ROOM_THROUGH, self.window * times);
            enter(kernel, reader, (self.graph, self.tiers), walk, net, ENTRIES_SHOWN);
            walk.gave_up = !walk.run_through(kernel, reader, net, (self.window, hits), shown, distances_max);
        }
    }

    /// Estimates the best rows of each walk anew, by whole codes.
    #[inline(always)]
    fn complete<K: Kernel>(&mut self, kernel: K, tier: Tier<'_>) {
        // Rows where a walk begins may be hidden.
        let hidden = if matches!(self.shows, Shows::All) { 0 } else { ENTRIES_SHOWN };
        let (room, wanted) = (self.room(), self.wanted + hidden);
        for walk in &mut *self.walks {
            walk.complete(kernel, Both(tier), (room, wanted), |query, row| query.margins(tier, row));
        }
    }

    /// How many rows of a beam may be hits.
    #[inline(always)]
    fn room(&self) -> usize {
        self.wanted * COMPLETED_PER_HIT + COMPLETED_MORE + self.window / COMPLETED_OF_WINDOW
    }
}

/// Finds where a walk begins: at the nearest hubs. More of them under a filter: it hides links, and what it leaves may
/// not lead from one part of the rows to another.
#[inline(always)]
fn enter<K: Kernel, R: Reader>(
    kernel: K,
    reader: R,
    (graph, tiers): (&Graph, &Tiers<'_>),
    walk: &mut Walk,
    net: Net<'_>,
    entries: usize,
) {
    let Some((count, words)) = tiers.hubs.split_first() else { return };
    let (hubs, codes) = words.split_at((*count as usize).min(words.len()));
    let codes = Tier { layout: graph.codec.layout(), nav: bytemuck::cast_slice(codes), rest: &[] };
    // A damaged number of hubs may be larger than that of their codes.
    let held = codes.nav.len().checked_div(codes.layout.nav_bytes).unwrap_or(hubs.len());
    let hubs = &hubs[..hubs.len().min(held)];
    let mut best = [(f32::INFINITY, u32::MAX); ENTRIES_SHOWN];
    let best = &mut best[..entries];
    match reader.over(codes) {
        // Their codes stand in order.
        Some(reader) => nearest_hubs(kernel, reader, &walk.query, hubs, |at, _| at as u32, best),
        // One that damage put past the last row is read as the last, and never begun at.
        None if net.rows == 0 => {}
        None => nearest_hubs(kernel, reader, &walk.query, hubs, |_, hub| hub.min(net.rows - 1), best),
    }
    walk.distances += hubs.len() as u32;
    for (estimate, hub) in best.iter().filter(|(_, hub)| *hub < net.rows) {
        walk.enter(*hub, *estimate);
    }
}

/// Leaves the nearest hubs, sorted. `row` says which row of the reader a hub is.
#[inline(always)]
fn nearest_hubs<K: Kernel, R: Reader>(
    kernel: K,
    reader: R,
    query: &Prepared,
    hubs: &[u32],
    row: impl Fn(usize, u32) -> u32,
    best: &mut [(f32, u32)],
) {
    let (fours, rest) = hubs.as_chunks::<4>();
    for (group, four) in fours.iter().enumerate() {
        let at = group * 4;
        let rows = [row(at, four[0]), row(at + 1, four[1]), row(at + 2, four[2]), row(at + 3, four[3])];
        for (hub, estimate) in four.iter().zip(reader.four(kernel, query, rows)) {
            keep_hub(best, *hub, estimate);
        }
    }
    for (at, hub) in rest.iter().enumerate() {
        let estimate = reader.one(kernel, query, row(fours.len() * 4 + at, *hub));
        keep_hub(best, *hub, estimate);
    }
}

#[inline(always)]
fn keep_hub(best: &mut [(f32, u32)], hub: u32, estimate: f32) {
    if let Some(worst) = best.last_mut()
        && estimate < worst.0
    {
        *worst = (estimate, hub);
        best.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    }
}

/// Where a filter passes more than one of so many rows, a walk goes over hidden rows; else only through them.
pub(super) const THROUGH_ROWS: u32 = 4;

/// A walk over hidden rows has room for so many times the rows that it is likely to meet.
const ROOM_THROUGH: usize = 2;

/// A walk that has estimated one row for so many that are shown has lost to a scan, and gives up.
const SCANNED_PER_WALKED: u32 = 2;

/// Hubs that a walk begins at.
const ENTRIES: usize = 2;
/// ... and under a filter.
const ENTRIES_SHOWN: usize = 8;
