//! The kernels as plain loops: the definition of what all others compute, and what runs where no other does.
//!
//! Integer results are exact, so every instruction set gives the same; sums of floats differ in rounding.

use super::{BLOCK, Elements, Kernel};

/// Plain loops, in a form that compilers turn into vector code.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn dot_nibbles(self, query: &[i8], row: &[u8]) -> i32 {
        let mut sum = 0_i32;
        for (query, row) in query.chunks_exact(2 * BLOCK).zip(row.chunks_exact(BLOCK)) {
            let (low, high) = query.split_at(BLOCK);
            for ((code, low), high) in row.iter().zip(low).zip(high) {
                sum += i32::from(code & 15) * i32::from(*low) + i32::from(code >> 4) * i32::from(*high);
            }
        }
        sum
    }

    #[inline(always)]
    fn dot_bits(self, query: &[i8], row: &[u8]) -> i32 {
        assert!(row.len() * 8 >= query.len(), "a row of another dimension");
        let bit = |at: usize| i32::from(row[at / 8] >> (at % 8) & 1);
        query.iter().enumerate().map(|(at, element)| bit(at) * i32::from(*element)).sum()
    }

    #[inline(always)]
    fn dot(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(query, row, |query, element| query * element)
    }

    #[inline(always)]
    fn square(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(query, row, |query, element| (query - element) * (query - element))
    }

    #[inline(always)]
    fn absolute(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(query, row, |query, element| (query - element).abs())
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        super::prefetch_lines(bytes);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = bytes;
    }
}

#[inline(always)]
fn sum_of(query: &[f32], row: Elements<'_>, term: impl Fn(f32, f32) -> f32) -> f32 {
    match row {
        Elements::Floats(row) => sum(query, row, |element| *element, term),
        Elements::Halves(row) => sum(query, row, |element| element.to_f32(), term),
        Elements::Bytes(row) => sum(query, row, |element| f32::from(*element), term),
    }
}

/// Sixteen sums side by side, which a compiler keeps in vector registers.
#[inline(always)]
fn sum<T>(query: &[f32], row: &[T], float: impl Fn(&T) -> f32, term: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (queries, queries_rest) = query.as_chunks::<LANES>();
    let (rows, rows_rest) = row.as_chunks::<LANES>();
    for (query, row) in queries.iter().zip(rows) {
        for lane in 0..LANES {
            sums[lane] += term(query[lane], float(&row[lane]));
        }
    }
    let rest = queries_rest.iter().zip(rows_rest);
    let rest: f32 = rest.map(|(query, element)| term(*query, float(element))).sum();
    sums.iter().sum::<f32>() + rest
}
