//! From a row to its codes.
//!
//! The bytes of a codec, little-endian:
//!
//! ```text
//!  offset  size    meaning
//!  0       1       version, 2: in 1 nav 1 was whole bytes
//!  1       1       nav: 0 nibbles, 1 bits, 2 none
//!  2       1       form: 0 unit, 1 free
//!  3       1       0
//!  4       4       dim: u32
//!  8       8       seed of the rotation: u64
//!  16      4       step: f32, of a unit form
//!  20      4       reach: f32, the largest length of a row under the inner product, else 1
//!  24      4 * n   the mean, rotated: f32 each; n = dim, or 0 without codes
//! ```

use types::{Codes, Error, Metric, Result};

use super::rotation::Rotation;
use crate::fine::{Fine, Room};
use crate::kernels::{BLOCK, Kernel, Portable};

const VERSION: u8 = 2;
const HEADER_BYTES: usize = 24;

/// A step or factor, and a further number, both `f32`.
const FREE_BYTES: usize = 8;

/// Codes reach so many standard deviations to both sides; what lies beyond is cut, of normal elements one in 700. A
/// nibble alone would be least wrong at 2.7, a whole code at 3.9.
const REACH_SIGMAS: f32 = 3.2;

/// Lengths that differ less than by this share are the same.
const SAME_LENGTH: f32 = 1e-3;

/// What the walk of a graph reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nav {
    /// The upper nibbles of the codes; the lower ones complete them after the walk.
    #[default]
    Nibbles,
    /// One bit an element; nothing completes it but the vectors.
    Bits,
    /// The vectors: no quantisation.
    Vectors,
}

impl From<Codes> for Nav {
    fn from(codes: Codes) -> Self {
        match codes {
            Codes::Bits8 => Self::Nibbles,
            Codes::Bits1 => Self::Bits,
            Codes::Off => Self::Vectors,
        }
    }
}

/// How lengths are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// All rows have one length.
    Unit,
    /// Each row has a step of its own, and one number that its distances need.
    Free,
}

/// Bytes of a row in each tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Elements of a prepared query: whole blocks.
    pub(crate) padded: usize,
    pub(crate) nav_bytes: usize,
    pub(crate) rest_bytes: usize,
    /// Whether the last 8 bytes of a nav row are its step (of bits: its factor) and its further number: under Euclid
    /// the squared length of the centred row, under the inner product [`Codec::further`].
    pub(crate) is_free: bool,
}

/// Makes codes of the rows of one space.
pub(crate) struct Codec {
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    pub(crate) nav: Nav,
    form: Form,
    seed: u64,
    pub(super) step: f32,
    pub(super) reach: f32,
    pub(super) mean: Vec<f32>,
    rotation: Rotation,
}

impl Codec {
    /// Learns a codec from rows in memory: their mean, their lengths. Reads each row three times.
    pub(crate) fn learn(metric: Metric, rows: Fine<'_>, nav: Nav, seed: u64) -> Self {
        let nav = if metric == Metric::Manhattan { Nav::Vectors } else { nav };
        let (mut least, mut most) = (f32::MAX, 0.0_f32);
        each(rows, &mut |row| {
            let square = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() as f32;
            (least, most) = (least.min(square), most.max(square));
        });
        let form = match metric {
            Metric::Cosine => Form::Unit,
            Metric::Dot if least.sqrt() > most.sqrt() * (1.0 - SAME_LENGTH) => Form::Unit,
            Metric::Dot | Metric::Euclid | Metric::Manhattan => Form::Free,
        };
        let reach = if metric == Metric::Dot && most > 0.0 { most.sqrt() } else { 1.0 };
        let mut codec = Self::with(metric, rows.dim(), nav, form, seed, reach);
        // Where lengths differ under the inner product, the length of the centred row would say nothing.
        if nav != Nav::Vectors && !(metric == Metric::Dot && form == Form::Free) {
            codec.centre(rows);
        }
        codec
    }

    fn with(metric: Metric, dim: usize, nav: Nav, form: Form, seed: u64, reach: f32) -> Self {
        let inner = if nav == Nav::Vectors { 0 } else { dim };
        let (rotation, mean) = (Rotation::new(inner, seed), vec![0.0; inner]);
        Self { metric, dim, nav, form, seed, step: 1.0, reach, mean, rotation }
    }

    /// Sets mean and step. Sums are kept in `f64` and in the order of the rows: deterministic.
    fn centre(&mut self, rows: Fine<'_>) {
        let mut sums = vec![0.0_f64; self.mean.len()];
        let mut scaled = Vec::new();
        each(rows, &mut |row| {
            self.scale(row, &mut scaled);
            sums.iter_mut().zip(&scaled).for_each(|(sum, element)| *sum += f64::from(*element));
        });
        let scale = 1.0 / (rows.rows().max(1) as f64);
        let mut mean: Vec<f32> = sums.iter().map(|sum| (sum * scale) as f32).collect();
        let mut squares = 0.0;
        each(rows, &mut |row| {
            self.scale(row, &mut scaled);
            let square = |(x, mean): (&f32, &f32)| f64::from(x - mean).powi(2);
            squares += scaled.iter().zip(&mean).map(square).sum::<f64>();
        });
        self.rotation.apply(Portable, &mut mean);
        self.step = step((squares * scale) as f32, mean.len());
        self.mean = mean;
    }

    /// A row before centre and rotation: in unit forms its length is 1.
    #[inline(always)]
    pub(super) fn scale(&self, row: &[f32], scaled: &mut Vec<f32>) {
        let reach = if self.form == Form::Unit { self.reach } else { 1.0 };
        scaled.clear();
        scaled.extend(row.iter().map(|element| element / reach));
    }

    /// A codec that has learned nothing, for rows that come one by one: of nibbles, not centred, each row with the step
    /// of its length. Nothing under a metric whose distances do not follow from inner products.
    pub(crate) fn unlearned(metric: Metric, dim: usize, seed: u64) -> Option<Self> {
        let form = match metric {
            Metric::Cosine => Form::Unit,
            Metric::Dot | Metric::Euclid => Form::Free,
            Metric::Manhattan => return None,
        };
        let mut codec = Self::with(metric, dim, Nav::Nibbles, form, seed, 1.0);
        codec.step = step(1.0, dim);
        Some(codec)
    }

    /// What an inner product of codes counts for, where rows have no step of their own.
    pub(super) fn unit(&self) -> f32 {
        if self.layout().is_free { 1.0 } else { self.step }
    }

    /// Whether all rows have one length, so that squared distances rank as the metric does.
    pub(crate) fn is_unit(&self) -> bool {
        self.form == Form::Unit
    }

    /// What it counts for in the metric, and not between scaled rows.
    pub(super) fn length(&self) -> f32 {
        if self.form == Form::Unit { self.reach } else { 1.0 }
    }

    /// Elements of a row as the codes see it.
    pub(crate) fn inner(&self) -> usize {
        self.mean.len()
    }

    /// The largest length of a row, under the inner product.
    pub(crate) fn reach(&self) -> f32 {
        self.reach
    }

    /// The step of all rows, in unit forms.
    pub(crate) fn step(&self) -> f32 {
        self.step
    }

    /// The further element that would give a row of this squared length the length of the longest (Bachrach et al.
    /// 2014).
    pub(crate) fn further(&self, square: f32) -> f32 {
        (self.reach * self.reach - square).max(0.0).sqrt()
    }

    #[inline(always)]
    pub(super) fn rotate<K: Kernel>(&self, kernel: K, vector: &mut [f32]) {
        self.rotation.apply(kernel, vector);
    }

    /// Bytes of a row.
    #[inline(always)]
    pub(crate) fn layout(&self) -> Layout {
        let inner = self.mean.len();
        match self.nav {
            Nav::Vectors => Layout { padded: 0, nav_bytes: 0, rest_bytes: 0, is_free: false },
            Nav::Bits => {
                let padded = inner.next_multiple_of(BLOCK);
                let nav_bytes = (padded / 8 + FREE_BYTES).next_multiple_of(BLOCK);
                Layout { padded, nav_bytes, rest_bytes: 0, is_free: true }
            }
            Nav::Nibbles => {
                let blocks = inner.div_ceil(2 * BLOCK);
                let is_free = self.form == Form::Free;
                // Step and square go where the last block has room: the query is 0 there.
                let used = (inner - blocks.saturating_sub(1) * 2 * BLOCK).min(BLOCK);
                let further = usize::from(is_free && used + FREE_BYTES > BLOCK);
                Layout {
                    padded: blocks * 2 * BLOCK,
                    nav_bytes: (blocks + further) * BLOCK,
                    rest_bytes: blocks * BLOCK,
                    is_free,
                }
            }
        }
    }

    /// Writes a row's codes; returns the squared length of the centred row. `nav` and `rest` are zeroed rows.
    #[inline(always)]
    pub(crate) fn encode<K: Kernel>(
        &self,
        kernel: K,
        row: &[f32],
        (nav, rest): (&mut [u8], &mut [u8]),
        scaled: &mut Vec<f32>,
    ) -> f32 {
        self.scale(row, scaled);
        self.rotation.apply(kernel, scaled);
        scaled.iter_mut().zip(&self.mean).for_each(|(element, mean)| *element -= mean);
        let square: f32 = scaled.iter().map(|element| element * element).sum();
        let step = match (self.nav, self.form) {
            (Nav::Bits, _) => factor(square, scaled),
            (_, Form::Free) => step(square, scaled.len()),
            (_, Form::Unit) => self.step,
        };
        let code = |element: &f32| ((element / step).round_ties_even() + 128.0).clamp(0.0, 255.0) as u8;
        match self.nav {
            Nav::Bits => {
                let bits = scaled.iter().map(|element| u8::from(*element > 0.0));
                bits.enumerate().for_each(|(at, bit)| nav[at / 8] |= bit << (at % 8));
            }
            Nav::Nibbles => {
                // Block by block, so that a compiler sees what lies side by side.
                let blocks = nav.chunks_exact_mut(BLOCK).zip(rest.chunks_exact_mut(BLOCK));
                for (elements, (nav, rest)) in scaled.chunks(2 * BLOCK).zip(blocks) {
                    let (low, high) = elements.split_at(elements.len().min(BLOCK));
                    for ((element, nav), rest) in low.iter().zip(&mut *nav).zip(&mut *rest) {
                        let code = code(element);
                        (*nav, *rest) = (code >> 4, code & 15);
                    }
                    for ((element, nav), rest) in high.iter().zip(nav).zip(rest) {
                        let code = code(element);
                        *nav |= code & 0xf0;
                        *rest |= code << 4;
                    }
                }
            }
            Nav::Vectors => {}
        }
        if self.layout().is_free
            && let Some((_, end)) = nav.split_last_chunk_mut::<FREE_BYTES>()
        {
            let further = if self.metric == Metric::Dot { self.further(square) } else { square };
            end[..4].copy_from_slice(&step.to_le_bytes());
            end[4..].copy_from_slice(&further.to_le_bytes());
        }
        square
    }

    /// The codec as bytes; see the head of this file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let nav = match self.nav {
            Nav::Nibbles => 0,
            Nav::Bits => 1,
            Nav::Vectors => 2,
        };
        let mut bytes = vec![VERSION, nav, self.form as u8, 0];
        bytes.extend_from_slice(&(self.dim as u32).to_le_bytes());
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.step.to_le_bytes());
        bytes.extend_from_slice(&self.reach.to_le_bytes());
        bytes.extend(self.mean.iter().flat_map(|element| element.to_le_bytes()));
        bytes
    }

    /// The codec in bytes.
    ///
    /// # Errors
    /// `Corrupted` when they are not those of a codec of this metric and dimension.
    pub(crate) fn from_bytes(metric: Metric, dim: usize, bytes: &[u8]) -> Result<Self> {
        let wrong = |why: &str| Error::corrupted("a codec", why);
        let (header, mean) =
            bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| wrong("it is too short"))?;
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        if header[0] != VERSION || u32::from_le_bytes(word(4)) as usize != dim {
            return Err(wrong("it is of another version or dimension"));
        }
        let nav = [Nav::Nibbles, Nav::Bits, Nav::Vectors];
        let nav = *nav.get(usize::from(header[1])).ok_or_else(|| wrong("it has an unknown nav"))?;
        let form = [Form::Unit, Form::Free];
        let form = *form.get(usize::from(header[2])).ok_or_else(|| wrong("it has an unknown form"))?;
        let seed = u64::from(u32::from_le_bytes(word(8))) | u64::from(u32::from_le_bytes(word(12))) << 32;
        let mut codec = Self::with(metric, dim, nav, form, seed, f32::from_le_bytes(word(20)));
        codec.step = f32::from_le_bytes(word(16));
        let (elements, rest) = mean.as_chunks::<4>();
        if elements.len() != codec.mean.len() || !rest.is_empty() {
            return Err(wrong("its mean has another length"));
        }
        codec.mean.iter_mut().zip(elements).for_each(|(to, from)| *to = f32::from_le_bytes(*from));
        Ok(codec)
    }
}

/// What the inner product of a row's signs with a query counts for: so the row's own is its squared length.
#[inline(always)]
fn factor(square: f32, row: &[f32]) -> f32 {
    let sum: f32 = row.iter().map(|element| element.abs()).sum();
    if sum > 0.0 { square / sum } else { 0.0 }
}

/// Every row, in order.
fn each(rows: Fine<'_>, visit: &mut dyn FnMut(&[f32])) {
    let mut room = Room::default();
    (0..rows.rows() as u32).for_each(|row| visit(rows.held(row, &mut room)));
}

/// The step of codes of elements whose squares sum up to `square`.
#[inline(always)]
fn step(square: f32, dim: usize) -> f32 {
    let sigma = (square / dim.max(1) as f32).sqrt();
    let reach = REACH_SIGMAS.min((dim as f32).sqrt());
    (sigma * reach / 127.0).max(f32::MIN_POSITIVE)
}
