//! A random rotation of vectors that costs O(n log n): signs and Hadamard transforms, in turn.
//!
//! A Hadamard transform needs a power of two; for other lengths the transform covers the first elements in even
//! rounds and the last ones in odd rounds, and the overlap mixes them. Every round is orthogonal, so lengths and
//! inner products stay.
//!
//! Invariant: the same to the bit on every instruction set.
//! Source: the fast Johnson-Lindenstrauss transform (Ailon, Chazelle 2009).

use crate::kernels::Kernel;

const ROUNDS: usize = 4;

/// An orthogonal map of vectors of one length, made from a seed.
pub(super) struct Rotation {
    dim: usize,
    /// One sign of each element for each round.
    signs: Vec<f32>,
}

impl Rotation {
    pub(super) fn new(dim: usize, seed: u64) -> Self {
        let mut state = seed;
        let mut sign = || {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            if (mixed ^ (mixed >> 31)) & 1 == 0 { 1.0 } else { -1.0 }
        };
        Self { dim, signs: (0..ROUNDS * dim).map(|_| sign()).collect() }
    }

    /// Rotates in place. `vector` has the rotation's length. Loops: a closure may be compiled for no instruction set.
    #[inline(always)]
    pub(super) fn apply<K: Kernel>(&self, kernel: K, vector: &mut [f32]) {
        if self.dim == 0 {
            return;
        }
        let width = 1 << self.dim.ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dim).enumerate() {
            for (element, sign) in vector.iter_mut().zip(signs) {
                *element *= sign;
            }
            let start = if round % 2 == 0 { 0 } else { self.dim - width };
            let part = &mut vector[start..start + width];
            kernel.hadamard(part);
            // Orthonormal.
            let scale = 1.0 / (width as f32).sqrt();
            for element in part {
                *element *= scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Portable;

    #[test]
    fn keeps_lengths_and_spreads_what_stood_in_one_element() {
        for dim in [1, 2, 3, 17, 100, 129, 384, 784] {
            let rotation = Rotation::new(dim, 7);
            for place in [0, dim / 2, dim - 1] {
                let mut vector = vec![0.0; dim];
                vector[place] = 1.0;
                rotation.apply(Portable, &mut vector);
                let square: f32 = vector.iter().map(|element| element * element).sum();
                assert!((square - 1.0).abs() < 1e-5, "{dim}: {square}");
                let largest = vector.iter().fold(0.0_f32, |largest, element| largest.max(element.abs()));
                assert!(dim < 64 || largest < 0.5, "{dim}, element {place}: {largest} in one element");
            }
        }
    }
}
