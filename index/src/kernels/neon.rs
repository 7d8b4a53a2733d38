//! The kernels on NEON, which every processor of aarch64 has: products of nibbles and query elements are added up in 16
//! bits, which hold the eight of a block that a lane gets (8 times 15 times 128), then in 32.
//!
//! Sums of floats are those of the plain loops, which a compiler turns into NEON itself.

#![expect(unsafe_code, reason = "the wing of unsafe code")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{BLOCK, Elements, Kernel, portable::Portable};

/// A machine of aarch64.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

/// Bytes of a register.
const QUARTER: usize = 16;

/// The bit of each element in its byte, of two bytes.
const BITS: [u8; QUARTER] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

impl Kernel for Neon {
    #[inline(always)]
    fn dot_nibbles(self, query: &[i8], row: &[u8]) -> i32 {
        let blocks = query.len() / (2 * BLOCK);
        assert!(row.len() >= blocks * BLOCK, "a row of another dimension");
        // SAFETY: aarch64 has NEON; block b reads 64 bytes of the row and 128 of the query, both of which have `blocks`
        // of them.
        unsafe {
            let mask = vdupq_n_u8(15);
            let mut sum = vdupq_n_s32(0);
            for block in 0..blocks {
                let (mut left, mut right) = (vdupq_n_s16(0), vdupq_n_s16(0));
                for at in (0..BLOCK).step_by(QUARTER) {
                    let codes = vld1q_u8(row.as_ptr().add(block * BLOCK + at));
                    let lower = vreinterpretq_s8_u8(vandq_u8(codes, mask));
                    let upper = vreinterpretq_s8_u8(vshrq_n_u8::<4>(codes));
                    let query = query.as_ptr().add(block * 2 * BLOCK + at);
                    let (of_lower, of_upper) = (vld1q_s8(query), vld1q_s8(query.add(BLOCK)));
                    left = vmlal_s8(left, vget_low_s8(lower), vget_low_s8(of_lower));
                    right = vmlal_high_s8(right, lower, of_lower);
                    left = vmlal_s8(left, vget_low_s8(upper), vget_low_s8(of_upper));
                    right = vmlal_high_s8(right, upper, of_upper);
                }
                sum = vpadalq_s16(vpadalq_s16(sum, left), right);
            }
            vaddvq_s32(sum)
        }
    }

    #[inline(always)]
    fn dot_bits(self, query: &[i8], row: &[u8]) -> i32 {
        let (blocks, rest) = query.as_chunks::<QUARTER>();
        let (pairs, _) = row.as_chunks::<{ QUARTER / 8 }>();
        assert!(pairs.len() >= blocks.len() && rest.is_empty(), "a row of another dimension");
        // SAFETY: aarch64 has NEON; each load is of the sixteen elements of an array.
        unsafe {
            let bits = vld1q_u8(BITS.as_ptr());
            let mut sum = vdupq_n_s32(0);
            for (block, [first, second]) in blocks.iter().zip(pairs) {
                let is_set = vtstq_u8(vcombine_u8(vdup_n_u8(*first), vdup_n_u8(*second)), bits);
                let elements = vandq_s8(vld1q_s8(block.as_ptr()), vreinterpretq_s8_u8(is_set));
                sum = vpadalq_s16(sum, vpaddlq_s8(elements));
            }
            vaddvq_s32(sum)
        }
    }

    #[inline(always)]
    fn dot(self, query: &[f32], row: Elements<'_>) -> f32 {
        Portable.dot(query, row)
    }

    #[inline(always)]
    fn square(self, query: &[f32], row: Elements<'_>) -> f32 {
        Portable.square(query, row)
    }

    #[inline(always)]
    fn absolute(self, query: &[f32], row: Elements<'_>) -> f32 {
        Portable.absolute(query, row)
    }

    #[inline(always)]
    fn prefetch(self, bytes: &[u8]) {
        for line in bytes.chunks(BLOCK) {
            // SAFETY: a prefetch reads and writes nothing and cannot fault, whatever the address.
            unsafe {
                asm!(
                    "prfm pldl1keep, [{line}]",
                    line = in(reg) line.as_ptr(),
                    options(nostack, preserves_flags, readonly)
                );
            }
        }
    }
}
