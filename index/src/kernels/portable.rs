//! The kernels as plain loops: the definition of what all others compute, and what runs where no other does.
//!
//! Integer results are exact, so every instruction set gives the same; sums of floats differ in rounding.

use super::{BLOCK, Kernel};

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
    fn dot_bytes(self, query: &[i8], row: &[u8]) -> i32 {
        query.iter().zip(row).map(|(query, code)| i32::from(*code) * i32::from(*query)).sum()
    }

    #[inline(always)]
    fn dot_floats(self, query: &[f32], row: &[f32]) -> f32 {
        sum(query, row, |query, element| query * element)
    }

    #[inline(always)]
    fn square_floats(self, query: &[f32], row: &[f32]) -> f32 {
        sum(query, row, |query, element| (query - element) * (query - element))
    }

    #[inline(always)]
    fn absolute_floats(self, query: &[f32], row: &[f32]) -> f32 {
        sum(query, row, |query, element| (query - element).abs())
    }

    #[inline(always)]
    fn prefetch(self, _bytes: &[u8]) {}
}

/// Sixteen sums side by side, which a compiler keeps in vector registers.
#[inline(always)]
fn sum(query: &[f32], row: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (queries, queries_rest) = query.as_chunks::<LANES>();
    let (rows, rows_rest) = row.as_chunks::<LANES>();
    for (query, row) in queries.iter().zip(rows) {
        for lane in 0..LANES {
            sums[lane] += term(query[lane], row[lane]);
        }
    }
    let rest: f32 = queries_rest.iter().zip(rows_rest).map(|(query, element)| term(*query, *element)).sum();
    sums.iter().sum::<f32>() + rest
}
