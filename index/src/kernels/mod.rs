//! What is computed with wide instructions: exact distances of two vectors, and one query against codes of many rows.
//! The only place for unsafe code beside the mapping of files.
//!
//! - [`distance`]: two `f32` vectors, smaller is nearer, for every metric. Through simsimd, which picks the widest
//!   instructions of the machine at run time. A call costs about 5 ns plus the arithmetic. Beside it stands a
//!   reference, plain and in `f64`: the oracle of the tests, and the way out when single precision overflows.
//! - [`Kernel`]: the inner loops of the graph, written once for each instruction set, each equal to the plain loops of
//!   `portable`. They are reached by [`run`] alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod reference;

use half::f16;
use simsimd::SpatialSimilarity;
use types::Metric;

pub(crate) use isa::run;
pub use isa::{Isa, Task};
pub(crate) use portable::Portable;

/// Bytes of a cache line, and of a block of codes. A row of codes has a whole number of them.
pub const BLOCK: usize = 64;

/// Links that are looked up at once.
const GROUP: usize = 16;

/// The place of a row in a table whose length is a power of two of at least 2: the upper bits of a product are well
/// mixed (Fibonacci hashing).
#[inline(always)]
pub(crate) fn place(row: u32, len: usize) -> usize {
    (row.wrapping_mul(PLACE_FACTOR) >> (32 - len.trailing_zeros())) as usize
}

/// 2^32 over the golden ratio.
const PLACE_FACTOR: u32 = 0x9e37_79b1;

/// A vector as it is stored.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// `Float32`.
    Floats(&'a [f32]),
    /// `Float16`.
    Halves(&'a [f16]),
    /// `Uint8`.
    Bytes(&'a [u8]),
}

/// One query against codes of rows. The query has a whole number of blocks (of two blocks for nibbles), rows at least
/// as many codes.
///
/// # Panics
/// When a row is shorter than the query.
pub trait Kernel: Copy {
    /// The sum of `query[i] * nibble[i]`. Byte `i` of block `b` holds element `128 b + i` in its lower nibble and
    /// element `128 b + 64 + i` in its upper one.
    fn dot_nibbles(self, query: &[i8], row: &[u8]) -> i32;

    /// [`dot_nibbles`](Self::dot_nibbles) of four rows.
    #[inline(always)]
    fn dot_nibbles4(self, query: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
        // Four calls: a closure would not be inlined, and then no instruction in it either.
        [
            self.dot_nibbles(query, rows[0]),
            self.dot_nibbles(query, rows[1]),
            self.dot_nibbles(query, rows[2]),
            self.dot_nibbles(query, rows[3]),
        ]
    }

    /// The sum of `query[i]` over the bits that are set; bit `i % 8` of byte `i / 8` is that of element `i`. The row
    /// has a bit for each element of the query, which has a whole number of blocks.
    fn dot_bits(self, query: &[i8], row: &[u8]) -> i32;

    /// The inner product.
    fn dot(self, query: &[f32], row: Elements<'_>) -> f32;

    /// The squared length of the difference.
    fn square(self, query: &[f32], row: Elements<'_>) -> f32;

    /// The sum of absolute differences.
    fn absolute(self, query: &[f32], row: Elements<'_>) -> f32;

    /// Writes each link below `rows` to its [`place`] in the table, and appends to `unmet` those that were not there.
    /// Goes by groups of sixteen: all of a group are looked up before any is written. The table's length is a power
    /// of two.
    #[inline(always)]
    fn unmet(self, table: &mut [u32], links: &[u32], rows: u32, unmet: &mut Vec<u32>) {
        for group in links.chunks(GROUP) {
            let first = unmet.len();
            let is_unmet = |link: &&u32| **link < rows && table[place(**link, table.len())] != **link;
            unmet.extend(group.iter().filter(is_unmet));
            for link in &unmet[first..] {
                table[place(*link, table.len())] = *link;
            }
        }
    }

    /// The Hadamard transform of a power of two of elements, without its scale. Sums and differences of those that lie
    /// 1 apart, then 2, then 4: in this order on every instruction set, so that results are equal to the bit.
    ///
    /// # Panics
    /// When there is another number of elements.
    #[inline(always)]
    fn hadamard(self, elements: &mut [f32]) {
        butterflies(elements);
    }

    /// Asks for every cache line of a row ahead of its use.
    fn prefetch(self, bytes: &[u8]);
}

/// The definition of [`Kernel::hadamard`]. Compilers vectorise its last stages, not the first.
#[inline(always)]
fn butterflies(elements: &mut [f32]) {
    assert!(elements.len().is_power_of_two(), "a transform of another length");
    let mut half = 1;
    while half < elements.len() {
        for pair in elements.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half *= 2;
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(unsafe_code, reason = "a prefetch reads nothing, see SAFETY")]
fn prefetch_lines(bytes: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in bytes.chunks(BLOCK) {
        // SAFETY: a prefetch cannot fault, whatever the address; SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

/// The distance of two vectors of equal length: `1 - dot` for cosine (both have length 1), `-dot` for the inner
/// product, the *squared* length of the difference for Euclid, the sum of absolute differences for Manhattan.
/// Always a finite number if every element is.
pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let fast = match metric {
        Metric::Cosine => f32::dot(a, b).map(|dot| 1.0 - dot),
        Metric::Dot => f32::dot(a, b).map(|dot| -dot),
        Metric::Euclid => f32::l2sq(a, b),
        Metric::Manhattan => Some(f64::from(manhattan(a, b))),
    };
    match fast {
        Some(distance) if distance.is_finite() => narrow(distance),
        _ => narrow(reference::distance(metric, a, b)),
    }
}

/// To the nearest finite `f32`.
fn narrow(distance: f64) -> f32 {
    distance.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// Sixteen sums side by side, which the compiler keeps in vector registers; simsimd has no such kernel.
fn manhattan(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += (x[lane] - y[lane]).abs();
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y).abs()).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod kernel_tests;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two vectors of the same dimension, elements within ±`span`.
    fn pair(span: f32) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (1_usize..=1100).prop_flat_map(move |dim| {
            let elements = || prop::collection::vec(-span..span, dim);
            (elements(), elements())
        })
    }

    proptest! {
        #[test]
        fn equals_the_reference((a, b) in pair(3.0)) {
            // Rounding grows with the terms, not with their sum, in which they may cancel.
            let terms: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(x * y).abs()).sum();
            for metric in Metric::ALL {
                let (fast, exact) = (f64::from(distance(metric, &a, &b)), reference::distance(metric, &a, &b));
                let slack = 1e-5 * (1.0 + exact.abs() + terms);
                prop_assert!((fast - exact).abs() <= slack, "{}: {} {}", metric, fast, exact);
            }
        }

        #[test]
        fn is_finite_for_huge_elements((a, b) in pair(f32::MAX)) {
            for metric in Metric::ALL {
                prop_assert!(distance(metric, &a, &b).is_finite());
            }
        }
    }

    #[test]
    fn has_the_values_of_the_definition() {
        let (a, b) = ([1.0, 2.0, -3.0], [4.0, 0.5, 1.0]);
        for (metric, expected) in
            [(Metric::Cosine, -1.0), (Metric::Dot, -2.0), (Metric::Euclid, 27.25), (Metric::Manhattan, 8.5)]
        {
            assert_eq!(distance(metric, &a, &b), expected, "{metric}");
            assert_eq!(reference::distance(metric, &a, &b), f64::from(expected), "{metric}");
        }
    }
}
