//! The kernels on AVX2, which has no `vpdpbusd`: nibbles are multiplied by `vpmaddubsw`, whose pairs of products of at
//! most 15 times 127 never overflow 16 bits. Whole bytes would, so they are taken apart into nibbles first.

#![expect(unsafe_code, reason = "the wing of unsafe code")]

use std::arch::x86_64::*;

use super::{BLOCK, Kernel};

/// A proof that the machine has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Bytes of a register.
const HALF: usize = 32;

impl Avx2 {
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Adds the products of 32 nibbles (0 to 15) and 32 query elements to eight sums.
#[inline(always)]
fn add(sum: __m256i, nibbles: __m256i, query: __m256i) -> __m256i {
    // SAFETY: the callers hold an `Avx2`.
    unsafe {
        let pairs = _mm256_maddubs_epi16(nibbles, query);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

#[inline(always)]
fn total(sum: __m256i) -> i32 {
    // SAFETY: the callers hold an `Avx2`.
    unsafe {
        let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_hadd_epi32(sum, sum);
        _mm_cvtsi128_si32(_mm_hadd_epi32(sum, sum))
    }
}

/// The lower and the upper nibbles of 32 bytes.
#[inline(always)]
fn nibbles(codes: __m256i) -> (__m256i, __m256i) {
    // SAFETY: the callers hold an `Avx2`.
    unsafe {
        let mask = _mm256_set1_epi8(15);
        (_mm256_and_si256(codes, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask))
    }
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn dot_nibbles(self, query: &[i8], row: &[u8]) -> i32 {
        let blocks = query.len() / (2 * BLOCK);
        assert!(row.len() >= blocks * BLOCK, "a row of another dimension");
        // SAFETY: `self` proves the instructions; block b reads 64 bytes of the row and 128 of the query, both of
        // which have `blocks` of them.
        unsafe {
            let mut sums = [_mm256_setzero_si256(); 4];
            for block in 0..blocks {
                for half in 0..2 {
                    let codes = row.as_ptr().add(block * BLOCK + half * HALF);
                    let (lower, upper) = nibbles(_mm256_loadu_si256(codes.cast()));
                    let query = query.as_ptr().add(block * 2 * BLOCK + half * HALF);
                    sums[half] = add(sums[half], lower, _mm256_loadu_si256(query.cast()));
                    sums[2 + half] = add(sums[2 + half], upper, _mm256_loadu_si256(query.add(BLOCK).cast()));
                }
            }
            let sum =
                _mm256_add_epi32(_mm256_add_epi32(sums[0], sums[1]), _mm256_add_epi32(sums[2], sums[3]));
            total(sum)
        }
    }

    #[inline(always)]
    fn dot_bytes(self, query: &[i8], row: &[u8]) -> i32 {
        let blocks = query.len() / BLOCK;
        assert!(row.len() >= blocks * BLOCK, "a row of another dimension");
        // SAFETY: `self` proves the instructions; both sides have `blocks` blocks of 64 bytes.
        unsafe {
            let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            for half in 0..2 * blocks {
                let (lower, upper) = nibbles(_mm256_loadu_si256(row.as_ptr().add(half * HALF).cast()));
                let query = _mm256_loadu_si256(query.as_ptr().add(half * HALF).cast());
                low = add(low, lower, query);
                high = add(high, upper, query);
            }
            total(_mm256_add_epi32(low, _mm256_slli_epi32::<4>(high)))
        }
    }

    #[inline(always)]
    fn dot_floats(self, query: &[f32], row: &[f32]) -> f32 {
        floats(
            query,
            row,
            // SAFETY: the caller holds an `Avx2`.
            |sum, query, element| unsafe { _mm256_fmadd_ps(query, element, sum) },
            |query, element| query * element,
        )
    }

    #[inline(always)]
    fn square_floats(self, query: &[f32], row: &[f32]) -> f32 {
        floats(
            query,
            row,
            // SAFETY: the caller holds an `Avx2`.
            |sum, query, element| unsafe {
                let difference = _mm256_sub_ps(query, element);
                _mm256_fmadd_ps(difference, difference, sum)
            },
            |query, element| (query - element) * (query - element),
        )
    }

    #[inline(always)]
    fn absolute_floats(self, query: &[f32], row: &[f32]) -> f32 {
        floats(
            query,
            row,
            // SAFETY: the caller holds an `Avx2`.
            |sum, query, element| unsafe {
                let sign = _mm256_set1_ps(-0.0);
                _mm256_add_ps(sum, _mm256_andnot_ps(sign, _mm256_sub_ps(query, element)))
            },
            |query, element| (query - element).abs(),
        )
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8]) {
        super::prefetch_lines(bytes);
    }
}

/// Four sums of eight lanes each, so that additions do not wait for each other.
#[inline(always)]
fn floats(
    query: &[f32],
    row: &[f32],
    step: impl Fn(__m256, __m256, __m256) -> __m256,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    const LANES: usize = 8;
    let len = query.len().min(row.len());
    let whole = len - len % LANES;
    let rest = query[whole..len].iter().zip(&row[whole..len]);
    let rest: f32 = rest.map(|(query, element)| term(*query, *element)).sum();
    // SAFETY: the callers hold an `Avx2`; every load ends at or before `whole`.
    unsafe {
        let mut sums = [_mm256_setzero_ps(); 4];
        for (turn, at) in (0..whole).step_by(LANES).enumerate() {
            let (query, row) = (query.as_ptr().add(at), row.as_ptr().add(at));
            sums[turn % 4] = step(sums[turn % 4], _mm256_loadu_ps(query), _mm256_loadu_ps(row));
        }
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_hadd_ps(sum, sum);
        _mm_cvtss_f32(_mm_hadd_ps(sum, sum)) + rest
    }
}
