//! The kernels on AVX-512 with VNNI: `vpdpbusd` multiplies 64 unsigned codes with 64 signed query elements and adds
//! them up four by four.
//!
//! The upper nibbles are not shifted down: they count sixteenfold, in sums of their own, which are shifted once at
//! the end. Four rows share the query's registers. Measured on one core at 384 elements, in the L2 cache: 4 ns a row.

#![expect(unsafe_code, reason = "the wing of unsafe code")]

use std::arch::x86_64::*;

use super::{BLOCK, Elements, GROUP, Kernel, PLACE_FACTOR};

/// A proof that the machine has AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// The sums of the lanes of four registers.
#[inline(always)]
fn sums4(sums: [__m512i; 4]) -> [i32; 4] {
    // SAFETY: the caller holds an `Avx512`, so the instructions are there.
    unsafe {
        let half =
            |sum: __m512i| _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        let ab = _mm256_hadd_epi32(half(sums[0]), half(sums[1]));
        let cd = _mm256_hadd_epi32(half(sums[2]), half(sums[3]));
        let abcd = _mm256_hadd_epi32(ab, cd);
        let sum = _mm_add_epi32(_mm256_castsi256_si128(abcd), _mm256_extracti128_si256::<1>(abcd));
        [
            _mm_extract_epi32::<0>(sum),
            _mm_extract_epi32::<1>(sum),
            _mm_extract_epi32::<2>(sum),
            _mm_extract_epi32::<3>(sum),
        ]
    }
}

impl Kernel for Avx512 {
    #[inline(always)]
    fn dot_nibbles(self, query: &[i8], row: &[u8]) -> i32 {
        let blocks = query.len() / (2 * BLOCK);
        assert!(row.len() >= blocks * BLOCK, "a row of another dimension");
        // SAFETY: `self` proves the instructions; block b reads 64 bytes of the row and 128 of the query, both of
        // which have `blocks` of them.
        unsafe {
            let mask = _mm512_set1_epi8(15);
            let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
            for block in 0..blocks {
                let codes = _mm512_loadu_si512(row.as_ptr().add(block * BLOCK).cast());
                let query = query.as_ptr().add(block * 2 * BLOCK);
                low =
                    _mm512_dpbusd_epi32(low, _mm512_and_si512(codes, mask), _mm512_loadu_si512(query.cast()));
                let upper = _mm512_loadu_si512(query.add(BLOCK).cast());
                high = _mm512_dpbusd_epi32(high, _mm512_andnot_si512(mask, codes), upper);
            }
            _mm512_reduce_add_epi32(_mm512_add_epi32(low, _mm512_srai_epi32::<4>(high)))
        }
    }

    #[inline(always)]
    fn dot_nibbles4(self, query: &[i8], rows: [&[u8]; 4]) -> [i32; 4] {
        let blocks = query.len() / (2 * BLOCK);
        assert!(rows.iter().all(|row| row.len() >= blocks * BLOCK), "a row of another dimension");
        // SAFETY: as in `dot_nibbles`, for each of the four rows.
        unsafe {
            let mask = _mm512_set1_epi8(15);
            let (mut low, mut high) = ([_mm512_setzero_si512(); 4], [_mm512_setzero_si512(); 4]);
            for block in 0..blocks {
                let query = query.as_ptr().add(block * 2 * BLOCK);
                let (lower, upper) =
                    (_mm512_loadu_si512(query.cast()), _mm512_loadu_si512(query.add(BLOCK).cast()));
                for row in 0..4 {
                    let codes = _mm512_loadu_si512(rows[row].as_ptr().add(block * BLOCK).cast());
                    low[row] = _mm512_dpbusd_epi32(low[row], _mm512_and_si512(codes, mask), lower);
                    high[row] = _mm512_dpbusd_epi32(high[row], _mm512_andnot_si512(mask, codes), upper);
                }
            }
            let sum = |row: usize| _mm512_add_epi32(low[row], _mm512_srai_epi32::<4>(high[row]));
            sums4([sum(0), sum(1), sum(2), sum(3)])
        }
    }

    #[inline(always)]
    fn dot_bits(self, query: &[i8], row: &[u8]) -> i32 {
        let (blocks, rest) = query.as_chunks::<BLOCK>();
        let (words, _) = row.as_chunks::<{ BLOCK / 8 }>();
        assert!(words.len() >= blocks.len() && rest.is_empty(), "a row of another dimension");
        // SAFETY: `self` proves the instructions; each load is of one block of 64 elements.
        unsafe {
            let (ones, mut sum) = (_mm512_set1_epi8(1), _mm512_setzero_si512());
            for (block, word) in blocks.iter().zip(words) {
                let query = _mm512_maskz_loadu_epi8(u64::from_le_bytes(*word), block.as_ptr());
                sum = _mm512_dpbusd_epi32(sum, ones, query);
            }
            _mm512_reduce_add_epi32(sum)
        }
    }

    #[inline(always)]
    fn dot(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(query, row, |sum, query, element| {
            // SAFETY: the caller holds an `Avx512`.
            unsafe { _mm512_fmadd_ps(query, element, sum) }
        })
    }

    #[inline(always)]
    fn square(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(query, row, |sum, query, element| {
            // SAFETY: the caller holds an `Avx512`.
            unsafe {
                let difference = _mm512_sub_ps(query, element);
                _mm512_fmadd_ps(difference, difference, sum)
            }
        })
    }

    #[inline(always)]
    fn absolute(self, query: &[f32], row: Elements<'_>) -> f32 {
        sum_of(query, row, |sum, query, element| {
            // SAFETY: the caller holds an `Avx512`.
            unsafe { _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(query, element))) }
        })
    }

    #[inline(always)]
    fn unmet(self, table: &mut [u32], links: &[u32], rows: u32, unmet: &mut Vec<u32>) {
        assert!(
            table.len().is_power_of_two() && (2..=1 << 31).contains(&table.len()),
            "a table of another length"
        );
        unmet.reserve(links.len() + GROUP);
        let mut count = unmet.len();
        for group in links.chunks(GROUP) {
            let mask = ((1_u32 << group.len()) - 1) as u16;
            // SAFETY: `self` proves the instructions. The load is masked to the group. A place is a 32-bit number
            // shifted right by 32 - log2(len), so it is below the table's length, and gather and scatter stay inside.
            // The store writes at most 16 elements from `count` on; `count` has grown by at most the links so far,
            // and there is room for all of them and 16 more.
            unsafe {
                let links = _mm512_maskz_loadu_epi32(mask, group.as_ptr().cast());
                let rows = _mm512_set1_epi32(rows.cast_signed());
                let valid = _mm512_mask_cmplt_epu32_mask(mask, links, rows);
                let product = _mm512_mullo_epi32(links, _mm512_set1_epi32(PLACE_FACTOR.cast_signed()));
                let shift = _mm_cvtsi32_si128(32 - table.len().trailing_zeros().cast_signed());
                let places = _mm512_srl_epi32(product, shift);
                let held = _mm512_mask_i32gather_epi32::<4>(links, valid, places, table.as_ptr().cast());
                let new = _mm512_mask_cmpneq_epi32_mask(valid, held, links);
                _mm512_mask_i32scatter_epi32::<4>(table.as_mut_ptr().cast(), new, places, links);
                _mm512_mask_compressstoreu_epi32(unmet.as_mut_ptr().add(count).cast(), new, links);
                count += new.count_ones() as usize;
            }
        }
        // SAFETY: the elements up to `count` have been written above, within the reserved room.
        unsafe { unmet.set_len(count) };
    }

    #[inline(always)]
    fn hadamard(self, elements: &mut [f32]) {
        const LANES: usize = 16;
        let len = elements.len();
        if len < LANES {
            return super::butterflies(elements);
        }
        assert!(len.is_power_of_two(), "a transform of another length");
        let first = elements.as_mut_ptr();
        // SAFETY: `self` proves the instructions. The length is a power of two and at least 16: registers of sixteen
        // elements cover it, and so they do each half of a pair of blocks, which are as long as a register or longer.
        unsafe {
            for at in (0..len).step_by(LANES) {
                // Where a bit of the lane's number is set it takes its partner less itself, else their sum.
                let x = _mm512_loadu_ps(first.add(at));
                let partner = _mm512_permute_ps::<0b10_11_00_01>(x);
                let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xaaaa, partner, x);
                let partner = _mm512_permute_ps::<0b01_00_11_10>(x);
                let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xcccc, partner, x);
                let partner = _mm512_shuffle_f32x4::<0b10_11_00_01>(x, x);
                let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xf0f0, partner, x);
                let partner = _mm512_shuffle_f32x4::<0b01_00_11_10>(x, x);
                let x = _mm512_mask_sub_ps(_mm512_add_ps(x, partner), 0xff00, partner, x);
                _mm512_storeu_ps(first.add(at), x);
            }
            let mut half = LANES;
            while half < len {
                for pair in (0..len).step_by(2 * half) {
                    for at in (pair..pair + half).step_by(LANES) {
                        let (left, right) = (first.add(at), first.add(at + half));
                        let (x, y) = (_mm512_loadu_ps(left), _mm512_loadu_ps(right));
                        _mm512_storeu_ps(left, _mm512_add_ps(x, y));
                        _mm512_storeu_ps(right, _mm512_sub_ps(x, y));
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

/// Elements as `f32`: sixteen at once from `at` on, those that the mask names.
#[inline(always)]
fn sum_of(query: &[f32], row: Elements<'_>, step: impl Fn(__m512, __m512, __m512) -> __m512) -> f32 {
    // SAFETY: the callers hold an `Avx512`; a load reads the elements that its mask names, no other.
    unsafe {
        match row {
            Elements::Floats(row) => {
                sum(query, row.len(), |at, mask| _mm512_maskz_loadu_ps(mask, row.as_ptr().add(at)), step)
            }
            Elements::Halves(row) => {
                let load = |at: usize, mask: u16| {
                    _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row.as_ptr().add(at).cast()))
                };
                sum(query, row.len(), load, step)
            }
            Elements::Bytes(row) => {
                let load = |at: usize, mask: u16| {
                    let bytes = _mm_maskz_loadu_epi8(mask, row.as_ptr().add(at).cast());
                    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
                };
                sum(query, row.len(), load, step)
            }
        }
    }
}

/// Four sums of sixteen lanes each, so that additions do not wait for each other; the rest is masked.
#[inline(always)]
fn sum(
    query: &[f32],
    row_len: usize,
    load: impl Fn(usize, u16) -> __m512,
    step: impl Fn(__m512, __m512, __m512) -> __m512,
) -> f32 {
    const LANES: usize = 16;
    let len = query.len().min(row_len);
    // SAFETY: the callers hold an `Avx512`; whole blocks end at or before `len`, the last load is masked to the
    // elements below `len`.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); 4];
        let mut at = 0;
        while at + 4 * LANES <= len {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let place = at + lane * LANES;
                *sum = step(*sum, _mm512_loadu_ps(query.as_ptr().add(place)), load(place, u16::MAX));
            }
            at += 4 * LANES;
        }
        while at < len {
            let mask = ((1_u32 << (len - at).min(LANES)) - 1) as u16;
            let query = _mm512_maskz_loadu_ps(mask, query.as_ptr().add(at));
            sums[0] = step(sums[0], query, load(at, mask));
            at += LANES;
        }
        let sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
        _mm512_reduce_add_ps(sum)
    }
}
