//! A query in the form that kernels multiply with codes, and the tiers it is held against.
//!
//! With the element `q` of the rotated query as `scale * i` (i from -127 to 127) and the element `y` of a row as
//! `step * (c - 128)`, their inner product is `scale * step * (sum(i * c) - 128 * sum(i))`, which is linear in the
//! sum that a kernel computes. A nibble stands for the middle of its sixteen codes. A sign `s` stands for `factor * s`,
//! of which a kernel adds up the positive half.
//!
//! Of a whole code the error is that of rounding, of a sign it is what is left of a row across its signs: both are
//! known beforehand up to a factor of about 1, which decides how many rows get their exact distance.

use half::slice::HalfFloatSliceExt;
use types::Metric;

use super::codec::{Codec, Layout, Nav};
use crate::fine::Fine;
use crate::kernels::{Elements, Kernel};

/// A query, ready to be held against codes.
#[derive(Default)]
pub(crate) struct Prepared {
    codes: Vec<i8>,
    /// The elements as they came, for tiers of vectors.
    vector: Vec<f32>,
    /// `estimate = base + weight * further number of the row - step of the row * (slope * sum - shift)`; in unit forms
    /// the step is 1 and there is no further number.
    nav: Line,
    full: Line,
    weight: f32,
    /// The standard error of an estimate, for a row's step or factor of 1.
    doubt: f32,
    scaled: Vec<f32>,
}

/// The error of rounding to steps of 1 is 12 to the power of -1/2; row and query have about as much of it. What is cut
/// off beyond the reach of codes comes on top.
const ROUNDING: f32 = 0.41;

/// Of rounding to steps of 16, beside which the query's own is nothing.
const ROUNDING_OF_NIBBLES: f32 = 4.62;

/// So many standard errors a row may be farther than it seems where it is among the nearest so far: these are the
/// luckiest of about equally near rows.
const LUCK: f32 = 2.0;

/// So many a hit may be nearer than it seems by its upper nibbles: one in a thousand is more.
const DOUBTS_OF_NIBBLES: f32 = 3.0;

/// A row gets its exact distance unless its estimate by whole codes, less so many standard errors, is no nearer than
/// the last hit. Of ten hits on minilm-384 this reads about 12 vectors instead of 18 and loses one hit in 5,000; on
/// clustered synthetic vectors one in 430. So many, because rounding is the least part of the error of a row whose
/// elements were cut off.
const DOUBTS_OF_CODES: f32 = 15.0;

/// The part of a row of normal elements that lies across its signs: the root of 1 - 2/pi.
const ACROSS_SIGNS: f32 = 0.6;

/// Added to a number from -127 to 127 it leaves the nearest integer, of two the even one, in the lowest byte. Where a
/// processor is not known to round, rounding is a call.
const TO_NEAREST: f32 = 1.5 * (1 << 23) as f32;

/// How an estimate follows from a kernel's sum.
#[derive(Clone, Copy, Default)]
struct Line {
    base: f32,
    slope: f32,
    shift: f32,
}

impl Prepared {
    /// Prepares another query, in the same memory. Estimates are distances of the metric.
    #[inline(always)]
    pub(crate) fn set<K: Kernel>(&mut self, kernel: K, codec: &Codec, query: &[f32]) {
        self.vector.clear();
        self.vector.extend_from_slice(query);
        if codec.nav == Nav::Vectors {
            return;
        }
        self.scaled.clear();
        self.scaled.extend_from_slice(query);
        codec.rotate(kernel, &mut self.scaled);
        let (base, factor) = match codec.metric {
            Metric::Cosine => (1.0 - with_mean(codec, &self.scaled), codec.unit()),
            Metric::Dot => {
                let length = codec.length();
                (-length * with_mean(codec, &self.scaled), length * codec.unit())
            }
            Metric::Euclid | Metric::Manhattan => (self.centre(codec), 2.0),
        };
        self.weight = if codec.metric == Metric::Euclid { 1.0 } else { 0.0 };
        self.finish(codec, base, factor);
    }

    /// Prepares a row of length 1 as the query, as it is when a graph is built: estimates are squared distances.
    #[inline(always)]
    pub(crate) fn set_row<K: Kernel>(&mut self, kernel: K, codec: &Codec, row: &[f32]) {
        codec.scale(row, &mut self.scaled);
        codec.rotate(kernel, &mut self.scaled);
        // The squared distance is 2 - 2 * the inner product.
        let base = 2.0 - 2.0 * with_mean(codec, &self.scaled);
        self.finish(codec, base, 2.0 * codec.unit());
    }

    /// Centres the query; returns its squared length.
    #[inline(always)]
    fn centre(&mut self, codec: &Codec) -> f32 {
        for (x, mean) in self.scaled.iter_mut().zip(&codec.mean) {
            *x -= mean;
        }
        product(&self.scaled, &self.scaled)
    }

    #[inline(always)]
    fn finish(&mut self, codec: &Codec, base: f32, factor: f32) {
        let scale = largest(&self.scaled) / 127.0;
        self.codes.clear();
        self.codes.resize(codec.layout().padded, 0);
        let (mut sum, mut square) = (0, 0);
        for (code, element) in self.codes.iter_mut().zip(&self.scaled) {
            *code = (element / scale + TO_NEAREST).to_bits() as i8;
            sum += i32::from(*code);
            square += i32::from(*code) * i32::from(*code);
        }
        let factor = scale * factor;
        let sum = sum as f32;
        self.full = Line { base, slope: factor, shift: factor * 128.0 * sum };
        let length = (square as f32).sqrt();
        (self.nav, self.doubt) = match codec.nav {
            Nav::Bits => {
                (Line { base, slope: factor * 2.0, shift: factor * sum }, factor * length * ACROSS_SIGNS)
            }
            Nav::Nibbles | Nav::Vectors => {
                (Line { base, slope: factor * 16.0, shift: factor * 120.5 * sum }, factor * length * ROUNDING)
            }
        };
    }

    /// By how much a row may be farther than it seems by its upper nibbles if it is one of the nearest so far, and by
    /// how much nearer if it is not. Each row has its own where lengths differ.
    #[inline(always)]
    pub(crate) fn margins(&self, tier: Tier<'_>, row: u32) -> (f32, f32) {
        let error = self.doubt(tier, row) * (ROUNDING_OF_NIBBLES / ROUNDING);
        (error * LUCK, error * DOUBTS_OF_NIBBLES)
    }

    /// The same by all of its codes.
    #[inline(always)]
    pub(crate) fn margins_of_codes(&self, tier: Tier<'_>, row: u32) -> (f32, f32) {
        let error = self.doubt(tier, row);
        (error * LUCK, error * DOUBTS_OF_CODES)
    }

    /// The standard error of a row's estimate by all of its codes.
    #[inline(always)]
    pub(crate) fn doubt(&self, tier: Tier<'_>, row: u32) -> f32 {
        self.doubt * tier.step(tier.nav(row)).unwrap_or(1.0)
    }
}

/// The inner product of a rotated vector with the mean.
#[inline(always)]
fn with_mean(codec: &Codec, scaled: &[f32]) -> f32 {
    product(scaled, &codec.mean)
}

/// Sums and maxima go in so many lanes, on every machine in the same order: one sum would wait for itself at each
/// element, which at 784 of them took a microsecond.
const LANES: usize = 16;

/// The inner product.
#[inline(always)]
fn product(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let mut rest = 0.0;
    for (x, y) in a_rest.iter().zip(b_rest) {
        rest += x * y;
    }
    sums.iter().sum::<f32>() + rest
}

/// The largest absolute value, or the smallest positive number.
#[inline(always)]
fn largest(elements: &[f32]) -> f32 {
    let (blocks, rest) = elements.as_chunks::<LANES>();
    let mut lanes = [f32::MIN_POSITIVE; LANES];
    for block in blocks {
        for lane in 0..LANES {
            let x = block[lane].abs();
            lanes[lane] = if x > lanes[lane] { x } else { lanes[lane] };
        }
    }
    lanes.iter().chain(rest).fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()))
}

/// Rows of one tier, as a walk reads them.
pub(crate) trait Reader: Copy {
    /// About the distance of a row.
    fn one<K: Kernel>(self, kernel: K, query: &Prepared, row: u32) -> f32;

    /// About the distances of four rows.
    fn four<K: Kernel>(self, kernel: K, query: &Prepared, rows: [u32; 4]) -> [f32; 4];

    /// Asks for a row ahead of its use.
    fn prefetch<K: Kernel>(self, kernel: K, row: u32);

    /// The same over other codes; nothing for vectors.
    fn over(self, tier: Tier<'_>) -> Option<impl Reader>;
}

/// The codes of all rows.
#[derive(Clone, Copy)]
pub(crate) struct Tier<'a> {
    pub(crate) layout: Layout,
    pub(crate) nav: &'a [u8],
    pub(crate) rest: &'a [u8],
}

/// Upper nibbles.
#[derive(Clone, Copy)]
pub(crate) struct Nibbles<'a>(pub(crate) Tier<'a>);

/// Signs.
#[derive(Clone, Copy)]
pub(crate) struct Bits<'a>(pub(crate) Tier<'a>);

/// Upper and lower nibbles together: whole codes.
#[derive(Clone, Copy)]
pub(crate) struct Both<'a>(pub(crate) Tier<'a>);

/// The vectors themselves.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<'a> {
    pub(crate) metric: Metric,
    pub(crate) rows: Fine<'a>,
}

impl<'a> Tier<'a> {
    /// The codes of a row that a walk reads.
    #[inline(always)]
    pub(crate) fn nav(&self, row: u32) -> &'a [u8] {
        let at = row as usize * self.layout.nav_bytes;
        &self.nav[at..at + self.layout.nav_bytes]
    }

    /// The codes that complete them.
    #[inline(always)]
    pub(crate) fn rest(&self, row: u32) -> &'a [u8] {
        let at = row as usize * self.layout.rest_bytes;
        &self.rest[at..at + self.layout.rest_bytes]
    }

    /// The step of a row's codes, if it has one of its own.
    #[inline(always)]
    pub(crate) fn step(&self, nav: &[u8]) -> Option<f32> {
        let (_, [a, b, c, d, ..]) = nav.split_last_chunk::<8>()?;
        self.layout.is_free.then(|| f32::from_le_bytes([*a, *b, *c, *d]))
    }

    #[inline(always)]
    fn estimate(&self, query: &Prepared, line: Line, sum: i32, row: &[u8]) -> f32 {
        if self.layout.is_free
            && let Some((_, [a, b, c, d, e, f, g, h])) = row.split_last_chunk::<8>()
        {
            let step = f32::from_le_bytes([*a, *b, *c, *d]);
            let further = f32::from_le_bytes([*e, *f, *g, *h]);
            line.base + query.weight * further - step * (line.slope * sum as f32 - line.shift)
        } else {
            line.base - (line.slope * sum as f32 - line.shift)
        }
    }
}

impl Reader for Nibbles<'_> {
    #[inline(always)]
    fn one<K: Kernel>(self, kernel: K, query: &Prepared, row: u32) -> f32 {
        let row = self.0.nav(row);
        self.0.estimate(query, query.nav, kernel.dot_nibbles(&query.codes, row), row)
    }

    #[inline(always)]
    fn four<K: Kernel>(self, kernel: K, query: &Prepared, rows: [u32; 4]) -> [f32; 4] {
        let rows = [self.0.nav(rows[0]), self.0.nav(rows[1]), self.0.nav(rows[2]), self.0.nav(rows[3])];
        let sums = kernel.dot_nibbles4(&query.codes, rows);
        [
            self.0.estimate(query, query.nav, sums[0], rows[0]),
            self.0.estimate(query, query.nav, sums[1], rows[1]),
            self.0.estimate(query, query.nav, sums[2], rows[2]),
            self.0.estimate(query, query.nav, sums[3], rows[3]),
        ]
    }

    #[inline(always)]
    fn prefetch<K: Kernel>(self, kernel: K, row: u32) {
        kernel.prefetch(self.0.nav(row));
    }

    #[inline(always)]
    fn over(self, tier: Tier<'_>) -> Option<impl Reader> {
        Some(Nibbles(tier))
    }
}

impl Reader for Bits<'_> {
    #[inline(always)]
    fn one<K: Kernel>(self, kernel: K, query: &Prepared, row: u32) -> f32 {
        let row = self.0.nav(row);
        self.0.estimate(query, query.nav, kernel.dot_bits(&query.codes, row), row)
    }

    #[inline(always)]
    fn four<K: Kernel>(self, kernel: K, query: &Prepared, rows: [u32; 4]) -> [f32; 4] {
        [
            self.one(kernel, query, rows[0]),
            self.one(kernel, query, rows[1]),
            self.one(kernel, query, rows[2]),
            self.one(kernel, query, rows[3]),
        ]
    }

    #[inline(always)]
    fn prefetch<K: Kernel>(self, kernel: K, row: u32) {
        kernel.prefetch(self.0.nav(row));
    }

    #[inline(always)]
    fn over(self, tier: Tier<'_>) -> Option<impl Reader> {
        Some(Bits(tier))
    }
}

impl Reader for Both<'_> {
    #[inline(always)]
    fn one<K: Kernel>(self, kernel: K, query: &Prepared, row: u32) -> f32 {
        let (nav, rest) = (self.0.nav(row), self.0.rest(row));
        let sum = 16 * kernel.dot_nibbles(&query.codes, nav) + kernel.dot_nibbles(&query.codes, rest);
        self.0.estimate(query, query.full, sum, nav)
    }

    #[inline(always)]
    fn four<K: Kernel>(self, kernel: K, query: &Prepared, rows: [u32; 4]) -> [f32; 4] {
        let nav = [self.0.nav(rows[0]), self.0.nav(rows[1]), self.0.nav(rows[2]), self.0.nav(rows[3])];
        let rest = [self.0.rest(rows[0]), self.0.rest(rows[1]), self.0.rest(rows[2]), self.0.rest(rows[3])];
        let (upper, lower) =
            (kernel.dot_nibbles4(&query.codes, nav), kernel.dot_nibbles4(&query.codes, rest));
        [
            self.0.estimate(query, query.full, 16 * upper[0] + lower[0], nav[0]),
            self.0.estimate(query, query.full, 16 * upper[1] + lower[1], nav[1]),
            self.0.estimate(query, query.full, 16 * upper[2] + lower[2], nav[2]),
            self.0.estimate(query, query.full, 16 * upper[3] + lower[3], nav[3]),
        ]
    }

    #[inline(always)]
    fn prefetch<K: Kernel>(self, kernel: K, row: u32) {
        kernel.prefetch(self.0.nav(row));
        kernel.prefetch(self.0.rest(row));
    }

    #[inline(always)]
    fn over(self, tier: Tier<'_>) -> Option<impl Reader> {
        Some(Both(tier))
    }
}

impl Reader for Vectors<'_> {
    #[inline(always)]
    fn one<K: Kernel>(self, kernel: K, query: &Prepared, row: u32) -> f32 {
        let Some(row) = self.rows.elements(row) else { return f32::INFINITY };
        match self.metric {
            Metric::Cosine => 1.0 - kernel.dot(&query.vector, row),
            Metric::Dot => -kernel.dot(&query.vector, row),
            Metric::Euclid => kernel.square(&query.vector, row),
            Metric::Manhattan => kernel.absolute(&query.vector, row),
        }
    }

    #[inline(always)]
    fn four<K: Kernel>(self, kernel: K, query: &Prepared, rows: [u32; 4]) -> [f32; 4] {
        [
            self.one(kernel, query, rows[0]),
            self.one(kernel, query, rows[1]),
            self.one(kernel, query, rows[2]),
            self.one(kernel, query, rows[3]),
        ]
    }

    #[inline(always)]
    fn prefetch<K: Kernel>(self, kernel: K, row: u32) {
        match self.rows.elements(row) {
            Some(Elements::Floats(row)) => kernel.prefetch(bytemuck::cast_slice(row)),
            Some(Elements::Halves(row)) => {
                kernel.prefetch(bytemuck::cast_slice(row.reinterpret_cast()));
            }
            Some(Elements::Bytes(row)) => kernel.prefetch(row),
            None => {}
        }
    }

    #[inline(always)]
    fn over(self, _tier: Tier<'_>) -> Option<impl Reader> {
        None::<Self>
    }
}
