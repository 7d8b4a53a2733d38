//! The kernels on AVX2, which has no `vpdpbusd`: nibbles are multiplied by `vpmaddubsw`, whose pairs of products of at
//! most 15 times 128 never overflow 16 bits.

#![expect(unsafe_code, reason = "the wing of unsafe code")]

use std::arch::x86_64::*;

use half::f16;

use super::{BLOCK, Elements, Kernel};

/// A proof that the machine has AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Bytes of a register.
const HALF: usize = 32;

impl Avx2 {
    #[target_feature(enable = "avx2,fma,f16c")]
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
    fn dot_bits(self, query: &[i8], row: &[u8]) -> i32 {
        let (halves, rest) = query.as_chunks::<HALF>();
        let (words, _) = row.as_chunks::<{ HALF / 8 }>();
        assert!(words.len() >= halves.len() && rest.is_empty(), "a row of another dimension");
        // SAFETY: `self` proves the instructions; each load is of 32 elements.
        unsafe {
            // Byte i of a register takes byte i / 8 of the word, and of it bit i % 8.
            let spread =
                _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
            let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
            let mut sum = _mm256_setzero_si256();
            for (half, word) in halves.iter().zip(words) {
                let word = _mm256_set1_epi32(i32::from_le_bytes(*word));
                let bits = _mm256_and_si256(_mm256_shuffle_epi8(word, spread), bit);
                let ones = _mm256_and_si256(_mm256_cmpeq_epi8(bits, bit), _mm256_set1_epi8(1));
                sum = add(sum, ones, _mm256_loadu_si256(half.as_ptr().cast()));
            }
            total(sum)
        }
    }

    #[inline(always)]
    fn dot(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(
            query,
            row,
            // SAFETY: the caller holds an `Avx2`.
            |sum, query, element| unsafe { _mm256_fmadd_ps(query, element, sum) },
            |query, element| query * element,
        )
    }

    #[inline(always)]
    fn square(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(
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
    fn absolute(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(
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
    fn hadamard(self, elements: &mut [f32]) {
        let len = elements.len();
        if len < LANES {
            return super::butterflies(elements);
        }
        assert!(len.is_power_of_two(), "a transform of another length");
        let first = elements.as_mut_ptr();
        // SAFETY: `self` proves the instructions. The length is a power of two and at least 8: registers of eight
        // elements cover it, and so they do each half of a pair of blocks, which are as long as a register or longer.
        unsafe {
            for at in (0..len).step_by(LANES) {
                // Where a bit of the lane's number is set it takes its partner less itself, else their sum.
                let x = _mm256_loadu_ps(first.add(at));
                let partner = _mm256_permute_ps::<0b10_11_00_01>(x);
                let (sum, difference) = (_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x));
                let x = _mm256_blend_ps::<0b1010_1010>(sum, difference);
                let partner = _mm256_permute_ps::<0b01_00_11_10>(x);
                let (sum, difference) = (_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x));
                let x = _mm256_blend_ps::<0b1100_1100>(sum, difference);
                let partner = _mm256_permute2f128_ps::<1>(x, x);
                let (sum, difference) = (_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x));
                let x = _mm256_blend_ps::<0b1111_0000>(sum, difference);
                _mm256_storeu_ps(first.add(at), x);
            }
            let mut half = LANES;
            while half < len {
                for pair in (0..len).step_by(2 * half) {
                    for at in (pair..pair + half).step_by(LANES) {
                        let (left, right) = (first.add(at), first.add(at + half));
                        let (x, y) = (_mm256_loadu_ps(left), _mm256_loadu_ps(right));
                        _mm256_storeu_ps(left, _mm256_add_ps(x, y));
                        _mm256_storeu_ps(right, _mm256_sub_ps(x, y));
                    }
                }
                half *= 2;
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8]) {
        super::prefetch_lines(bytes);
    }
}

#[inline(always)]
fn sum_of(
    query: &[f32],
    row: Elements<'_>,
    step: impl Fn(__m256, __m256, __m256) -> __m256,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    // SAFETY: the callers hold an `Avx2`; the slices are of eight elements.
    unsafe {
        match row {
            Elements::Floats(row) => {
                let load = |row: &[f32; LANES]| _mm256_loadu_ps(row.as_ptr());
                sum(query, row, load, |element| *element, step, term)
            }
            Elements::Halves(row) => {
                let load = |row: &[f16; LANES]| _mm256_cvtph_ps(_mm_loadu_si128(row.as_ptr().cast()));
                sum(query, row, load, |element| element.to_f32(), step, term)
            }
            Elements::Bytes(row) => {
                let load = |row: &[u8; LANES]| {
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(row.as_ptr().cast())))
                };
                sum(query, row, load, |element| f32::from(*element), step, term)
            }
        }
    }
}

/// Elements of a register.
const LANES: usize = 8;

/// Four sums of eight lanes each, so that additions do not wait for each other; the rest one by one.
#[inline(always)]
fn sum<T>(
    query: &[f32],
    row: &[T],
    load: impl Fn(&[T; LANES]) -> __m256,
    float: impl Fn(&T) -> f32,
    step: impl Fn(__m256, __m256, __m256) -> __m256,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let len = query.len().min(row.len());
    let (queries, queries_rest) = query[..len].as_chunks::<LANES>();
    let (rows, rows_rest) = row[..len].as_chunks::<LANES>();
    let rest = queries_rest.iter().zip(rows_rest);
    let rest: f32 = rest.map(|(query, element)| term(*query, float(element))).sum();
    // SAFETY: the callers hold an `Avx2`; each load is of the eight elements of an array.
    unsafe {
        let mut sums = [_mm256_setzero_ps(); 4];
        for (turn, (query, row)) in queries.iter().zip(rows).enumerate() {
            sums[turn % 4] = step(sums[turn % 4], _mm256_loadu_ps(query.as_ptr()), load(row));
        }
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_hadd_ps(sum, sum);
        _mm_cvtss_f32(_mm_hadd_ps(sum, sum)) + rest
    }
}
