//! The walk over the links of a graph towards a query.
//!
//! Per hop: take the nearest row that is not expanded, gather those of its neighbours that were not met, ask memory for
//! their codes, estimate their distances four at a time, keep the best. No lock, no allocation, no pointers: links
//! and codes lie at multiples of a row's number.
//!
//! Invariant: whatever the links hold, only rows below `rows` are read: a link past the end ends its row.
//! Cost: the walk waits for memory; a row of 384 nibbles is three cache lines. Several walks taken in turn
//! ([`Walk::gather`] for all, then [`Walk::score`] for all) hide some of that wait.
//! Source: best-first search as in HNSW (Malkov, Yashunin 2016) and DiskANN (Subramanya et al. 2019); two hops
//! through rows that a filter hides as in ACORN (Patel et al. 2024), or over them as in hnswlib.

use super::beam::Beam;
use super::visited::Visited;
use super::{Bits, LINKS_MAX, Room};
use crate::codes::{Prepared, Reader};
use crate::kernels::Kernel;

/// The links of a graph: `degree` for each row, the unused ones `u32::MAX`.
#[derive(Clone, Copy)]
pub(crate) struct Net<'a> {
    pub(crate) links: &'a [u32],
    pub(crate) degree: usize,
    pub(crate) rows: u32,
}

/// What is kept from one walk to the next, so that none allocates.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) query: Prepared,
    pub(crate) beam: Beam,
    /// Of a walk through hidden rows: the best that are shown.
    hits: Beam,
    visited: Visited,
    pending: Vec<u32>,
    hidden: Vec<u32>,
    /// Rows that may be hits, by their estimates, and the least that their distances may be.
    pub(crate) candidates: Vec<(u32, f32)>,
    /// Room for a vector that is read.
    pub(crate) vector: Room,
    pub(crate) hops: u32,
    pub(crate) distances: u32,
    /// Whether it ended because a scan is cheaper.
    pub(crate) gave_up: bool,
}

/// Keeps a row of a walk through hidden rows.
#[inline(always)]
fn keep<K: Kernel>(
    kernel: K,
    net: Net<'_>,
    (beam, hits): (&mut Beam, &mut Beam),
    shown: &Bits,
    (row, estimate): (u32, f32),
) {
    if beam.takes(estimate) && beam.offer(estimate, row) {
        kernel.prefetch(bytemuck::cast_slice(net.links(row)));
    }
    if shown.contains(row) {
        hits.offer(estimate, row);
    }
}

/// Takes walks in turn until each has ended: one computes while the others wait for memory. What each finds does not
/// depend on the others.
#[inline(always)]
pub(crate) fn in_turn<K: Kernel, R: Reader>(
    kernel: K,
    reader: R,
    walks: &mut [Walk],
    net: Net<'_>,
    window: usize,
) {
    let mut is_going = true;
    while is_going {
        is_going = false;
        for walk in &mut *walks {
            is_going |= walk.gather(kernel, reader, net, window);
        }
        for walk in &mut *walks {
            walk.score(kernel, reader, net);
            walk.prefetch_next(kernel, net, window);
        }
    }
}

impl Net<'_> {
    #[inline(always)]
    fn links(&self, row: u32) -> &[u32] {
        let at = row as usize * self.degree;
        &self.links[at..at + self.degree]
    }
}

impl Walk {
    /// Begins a walk with a beam of `room` rows. The query is set already.
    #[inline(always)]
    pub(crate) fn begin(&mut self, room: usize, window: usize) {
        self.beam.clear(room);
        self.visited.clear(window * 24);
        self.pending.clear();
        self.pending.reserve(LINKS_MAX);
        self.hidden.clear();
        (self.hops, self.distances, self.gave_up) = (0, 0, false);
    }

    /// Adds a row to begin with.
    #[inline(always)]
    pub(crate) fn enter(&mut self, row: u32, estimate: f32) {
        if self.visited.insert(row) {
            self.beam.offer(estimate, row);
        }
    }

    /// Takes the next row, gathers its neighbours and asks for their codes; whether there was one.
    #[inline(always)]
    pub(crate) fn gather<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        net: Net<'_>,
        window: usize,
    ) -> bool {
        self.pending.clear();
        let Some(row) = self.beam.next(window) else { return false };
        self.hops += 1;
        self.visited.insert_all(kernel, net.links(row), net.rows, &mut self.pending);
        for row in &self.pending {
            reader.prefetch(kernel, *row);
        }
        true
    }

    /// As [`gather`](Self::gather), but passes over rows that are not shown: their own neighbours are gathered in their
    /// place, until there are as many as a row has links. With half as many, some walks over every second row of a
    /// clustered set ended early, whatever their beam (`docs/decisions/0006`).
    #[inline(always)]
    pub(crate) fn gather_shown<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        net: Net<'_>,
        window: usize,
        shown: &Bits,
    ) -> bool {
        self.pending.clear();
        self.hidden.clear();
        let Some(row) = self.beam.next(window) else { return false };
        self.hops += 1;
        for &link in net.links(row) {
            if link >= net.rows {
                break;
            }
            if !shown.contains(link) {
                self.hidden.push(link);
            } else if self.visited.insert(link) {
                reader.prefetch(kernel, link);
                self.pending.push(link);
            }
        }
        let enough = net.degree;
        for at in 0..self.hidden.len() {
            if self.pending.len() >= enough {
                break;
            }
            for &link in net.links(self.hidden[at]) {
                if link >= net.rows {
                    break;
                }
                if shown.contains(link) && self.visited.insert(link) {
                    reader.prefetch(kernel, link);
                    self.pending.push(link);
                }
            }
        }
        true
    }

    /// Estimates what was gathered and keeps the best.
    #[inline(always)]
    pub(crate) fn score<K: Kernel, R: Reader>(&mut self, kernel: K, reader: R, net: Net<'_>) {
        let pending = std::mem::take(&mut self.pending);
        self.distances += pending.len() as u32;
        self.offer_all(kernel, reader, &pending, |row| {
            kernel.prefetch(bytemuck::cast_slice(net.links(row)));
        });
        self.pending = pending;
    }

    /// Estimates rows and keeps the best; calls `next` for each that is to be expanded next, as far as is known.
    #[inline(always)]
    pub(crate) fn offer_all<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        rows: &[u32],
        next: impl Fn(u32),
    ) {
        let (fours, rest) = rows.as_chunks::<4>();
        for rows in fours {
            let estimates = reader.four(kernel, &self.query, *rows);
            for (row, estimate) in rows.iter().zip(estimates) {
                if self.beam.takes(estimate) && self.beam.offer(estimate, *row) {
                    next(*row);
                }
            }
        }
        for row in rest {
            let estimate = reader.one(kernel, &self.query, *row);
            if self.beam.takes(estimate) && self.beam.offer(estimate, *row) {
                next(*row);
            }
        }
    }

    /// Estimates the best `room` rows anew with a better tier, and keeps only these: of them those that may be among
    /// the `wanted` nearest, if estimates are wrong by what `margins` says: so much farther, so much nearer.
    #[inline(always)]
    pub(crate) fn complete<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        (room, wanted): (usize, usize),
        margins: impl Fn(&Prepared, u32) -> (f32, f32),
    ) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.clear();
        let (mut last, mut count) = (f32::NEG_INFINITY, 0);
        for (row, estimate) in self.beam.rows().take(wanted) {
            last = last.max(estimate + margins(&self.query, row).0);
            count += 1;
        }
        if count < wanted {
            last = f32::INFINITY;
        }
        for (row, estimate) in self.beam.rows().take(room) {
            if estimate - margins(&self.query, row).1 <= last {
                reader.prefetch(kernel, row);
                pending.push(row);
            }
        }
        self.beam.clear(pending.len());
        self.offer_all(kernel, reader, &pending, |_| ());
        self.pending = pending;
    }

    /// Takes the best `room` rows as candidates; `doubt` says what an estimate may be wrong by.
    #[inline(always)]
    pub(crate) fn choose(&mut self, room: usize, doubt: impl Fn(&Prepared, u32, f32) -> f32) {
        self.candidates.clear();
        for (row, estimate) in self.beam.rows().take(room) {
            self.candidates.push((row, estimate - doubt(&self.query, row, estimate)));
        }
    }

    /// Asks for the links of the row that is likely the next.
    #[inline(always)]
    pub(crate) fn prefetch_next<K: Kernel>(&self, kernel: K, net: Net<'_>, window: usize) {
        if let Some(row) = self.beam.peek(window) {
            kernel.prefetch(bytemuck::cast_slice(net.links(row)));
        }
    }

    /// Walks until every row of the window is expanded.
    #[inline(always)]
    pub(crate) fn run<K: Kernel, R: Reader>(&mut self, kernel: K, reader: R, net: Net<'_>, window: usize) {
        while self.gather(kernel, reader, net, window) {
            self.score(kernel, reader, net);
            self.prefetch_next(kernel, net, window);
        }
    }

    /// Walks over all rows until what is left is farther than as many shown rows as the window holds, and keeps the
    /// best `hits` that are shown. For filters that pass much: hops are cheap, and lead where they lead without a
    /// filter. Whether it came to its end, and not to that of its room or of `distances_max`.
    #[inline(always)]
    pub(crate) fn run_through<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        net: Net<'_>,
        (window, hits): (usize, usize),
        shown: &Bits,
        distances_max: u32,
    ) -> bool {
        self.hits.clear(hits);
        for (row, estimate) in self.beam.rows() {
            if shown.contains(row) {
                self.hits.offer(estimate, row);
            }
        }
        let room = self.beam.room();
        // Where all that there was room for has been met, what there was none for may have been the way.
        let mut is_ended = false;
        while self.distances <= distances_max {
            match self.beam.peek_estimate(room) {
                Some(estimate) if !self.hits.is_beyond(estimate, window) => {}
                next => {
                    is_ended = next.is_some() || !self.beam.is_full();
                    break;
                }
            }
            self.gather(kernel, reader, net, room);
            self.score_through(kernel, reader, net, shown);
            self.prefetch_next(kernel, net, room);
        }
        std::mem::swap(&mut self.beam, &mut self.hits);
        is_ended
    }

    /// Estimates what was gathered, keeps what may lead on, and the best that are shown.
    #[inline(always)]
    fn score_through<K: Kernel, R: Reader>(&mut self, kernel: K, reader: R, net: Net<'_>, shown: &Bits) {
        self.distances += self.pending.len() as u32;
        let (fours, rest) = self.pending.as_chunks::<4>();
        for rows in fours {
            let estimates = reader.four(kernel, &self.query, *rows);
            for (row, estimate) in rows.iter().zip(estimates) {
                if self.hits.takes(estimate) {
                    keep(kernel, net, (&mut self.beam, &mut self.hits), shown, (*row, estimate));
                }
            }
        }
        for row in rest {
            let estimate = reader.one(kernel, &self.query, *row);
            if self.hits.takes(estimate) {
                keep(kernel, net, (&mut self.beam, &mut self.hits), shown, (*row, estimate));
            }
        }
    }

    /// Walks over shown rows only, and through the others.
    #[inline(always)]
    pub(crate) fn run_shown<K: Kernel, R: Reader>(
        &mut self,
        kernel: K,
        reader: R,
        net: Net<'_>,
        window: usize,
        shown: &Bits,
    ) {
        while self.gather_shown(kernel, reader, net, window, shown) {
            self.score(kernel, reader, net);
            self.prefetch_next(kernel, net, window);
        }
    }
}
