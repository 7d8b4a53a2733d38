//! Which of its near rows a row is linked to: near ones, in different directions.
//!
//! A candidate is left out if a chosen one is nearer to it than the row itself, by a factor. A first pass takes those
//! that stand by factor 1, a second fills what is free with those that stand by [`FACTOR`]: longer links are kept,
//! and walks take fewer hops.
//! Source: RobustPrune of DiskANN (Subramanya et al. 2019), on squared distances.

use types::Metric;

use super::{Codes, Fine, Room};
use crate::codes::{Codec, Nav, Tier};
use crate::kernels::{BLOCK, Kernel};

/// The factor of the second pass.
const FACTOR: f32 = 1.2;

/// A row and its squared distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub(super) distance: f32,
    pub(super) row: u32,
}

/// Distances between rows, squared, as the codes know them.
pub(super) struct Pairs<'a> {
    codec: &'a Codec,
    tier: Tier<'a>,
    vectors: Fine<'a>,
    squares: &'a [f32],
    left: u32,
    /// The vector of the left row, where rows are compared by their vectors.
    vector: Vec<f32>,
    room: Room,
    /// Whether rows are compared as if they had one length.
    is_completed: bool,
    codes: Vec<i8>,
    sum: f32,
    step: f32,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(codes: &'a Codes, vectors: Fine<'a>) -> Self {
        Self {
            codec: &codes.codec,
            tier: codes.tier(),
            vectors,
            squares: &codes.squares,
            left: 0,
            vector: Vec::new(),
            room: Room::default(),
            is_completed: codes.codec.metric == Metric::Dot && codes.tier().layout.is_free,
            codes: Vec::new(),
            sum: 0.0,
            step: 1.0,
        }
    }

    /// Sets the row that distances are measured from.
    #[inline(always)]
    pub(super) fn set(&mut self, row: u32) {
        self.left = row;
        if self.codec.nav == Nav::Vectors {
            self.vector.clear();
            self.vector.extend_from_slice(self.vectors.held(row, &mut self.room));
            return;
        }
        let nav = self.tier.nav(row);
        self.codes.clear();
        // The lower nibbles lie elsewhere and would have to be waited for; the middle of the sixteen codes serves.
        for nav in nav.chunks_exact(BLOCK) {
            self.codes.extend(nav.iter().map(|nav| (nav << 4 ^ 136).cast_signed()));
            self.codes.extend(nav.iter().map(|nav| (nav & 0xf0 ^ 136).cast_signed()));
        }
        self.codes.truncate(self.tier.layout.padded);
        let inner = self.codec.inner();
        // Padding is no element.
        self.codes[inner..].fill(0);
        self.sum = self.codes.iter().map(|code| i32::from(*code)).sum::<i32>() as f32;
        self.step = self.tier.step(nav).unwrap_or(self.codec.step());
    }

    /// The squared distance to a row.
    #[inline(always)]
    pub(super) fn to<K: Kernel>(&self, kernel: K, row: u32) -> f32 {
        if self.codec.nav == Nav::Vectors {
            return self.exact(kernel, row);
        }
        let sum = kernel.dot_nibbles(&self.codes, self.tier.nav(row));
        self.distance(16.0 * sum as f32 - 120.5 * self.sum, row)
    }

    /// The squared distances to four rows.
    #[inline(always)]
    pub(super) fn to4<K: Kernel>(&self, kernel: K, rows: [u32; 4]) -> [f32; 4] {
        let nav = |at: usize| self.tier.nav(rows[at]);
        if self.codec.nav == Nav::Vectors {
            let exact = |at: usize| self.exact(kernel, rows[at]);
            return [exact(0), exact(1), exact(2), exact(3)];
        }
        let sums = kernel.dot_nibbles4(&self.codes, [nav(0), nav(1), nav(2), nav(3)]);
        let products = sums.map(|sum| 16.0 * sum as f32 - 120.5 * self.sum);
        [
            self.distance(products[0], rows[0]),
            self.distance(products[1], rows[1]),
            self.distance(products[2], rows[2]),
            self.distance(products[3], rows[3]),
        ]
    }

    #[inline(always)]
    fn distance(&self, product: f32, row: u32) -> f32 {
        let step = self.tier.step(self.tier.nav(row)).unwrap_or(self.codec.step());
        let (left, right) = (self.squares[self.left as usize], self.squares[row as usize]);
        let squares = if self.is_completed { self.completed(left, right) } else { left + right };
        (squares - 2.0 * self.step * step * product).max(0.0)
    }

    /// The sum of squares of two rows that are given one length, less twice the product of what gives it to them.
    #[inline(always)]
    fn completed(&self, left: f32, right: f32) -> f32 {
        2.0 * self.codec.reach().powi(2) - 2.0 * self.codec.further(left) * self.codec.further(right)
    }

    #[inline(always)]
    fn exact<K: Kernel>(&self, kernel: K, row: u32) -> f32 {
        let Some(right) = self.vectors.elements(row) else { return f32::INFINITY };
        match self.codec.metric {
            Metric::Cosine | Metric::Euclid => kernel.square(&self.vector, right),
            Metric::Manhattan => kernel.absolute(&self.vector, right),
            Metric::Dot => {
                let (a, b) = (self.squares[self.left as usize], self.squares[row as usize]);
                self.completed(a, b) - 2.0 * kernel.dot(&self.vector, right)
            }
        }
    }
}

/// The choice of links, and its memory.
pub(super) struct Pruner {
    /// For each candidate: by which factor it is nearer to the row than to the nearest chosen one.
    shadow: Vec<f32>,
    waiting: Vec<u32>,
    taken: Vec<bool>,
}

impl Pruner {
    pub(super) fn new() -> Self {
        Self { shadow: Vec::new(), waiting: Vec::new(), taken: Vec::new() }
    }

    /// Chooses at most `degree` of the candidates, which it sorts.
    #[inline(always)]
    pub(super) fn choose<K: Kernel>(
        &mut self,
        kernel: K,
        pairs: &mut Pairs<'_>,
        candidates: &mut Vec<Near>,
        degree: usize,
        chosen: &mut Vec<u32>,
    ) {
        candidates.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
        candidates.dedup_by_key(|near| near.row);
        chosen.clear();
        self.shadow.clear();
        self.shadow.resize(candidates.len(), 0.0);
        self.taken.clear();
        self.taken.resize(candidates.len(), false);
        for factor in [1.0, FACTOR] {
            for at in 0..candidates.len() {
                if chosen.len() >= degree {
                    return;
                }
                if !self.taken[at] && self.shadow[at] <= factor {
                    self.taken[at] = true;
                    chosen.push(candidates[at].row);
                    self.cast(kernel, pairs, candidates, at);
                }
            }
        }
    }

    /// The shadow of a chosen candidate over those behind it.
    #[inline(always)]
    fn cast<K: Kernel>(&mut self, kernel: K, pairs: &mut Pairs<'_>, candidates: &[Near], chosen: usize) {
        pairs.set(candidates[chosen].row);
        self.waiting.clear();
        let behind =
            (chosen + 1..candidates.len()).filter(|at| !self.taken[*at] && self.shadow[*at] <= FACTOR);
        self.waiting.extend(behind.map(|at| at as u32));
        let (fours, rest) = self.waiting.as_chunks::<4>();
        for places in fours {
            let rows = places.map(|at| candidates[at as usize].row);
            for (at, distance) in places.iter().zip(pairs.to4(kernel, rows)) {
                let shadow = &mut self.shadow[*at as usize];
                *shadow = shadow.max(ratio(candidates[*at as usize].distance, distance));
            }
        }
        for at in rest {
            let near = candidates[*at as usize];
            let shadow = &mut self.shadow[*at as usize];
            *shadow = shadow.max(ratio(near.distance, pairs.to(kernel, near.row)));
        }
    }
}

/// How often a distance goes into another; equal rows shadow each other wholly.
#[inline(always)]
fn ratio(own: f32, other: f32) -> f32 {
    if other > 0.0 { own / other } else { f32::MAX }
}
