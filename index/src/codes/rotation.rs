//! A random rotation of vectors that costs O(n log n): signs and Hadamard transforms, in turn.
//!
//! A Hadamard transform needs a power of two; for other lengths the transform covers the first elements in even
//! rounds and the last ones in odd rounds, and the overlap mixes them. Every round is orthogonal, so lengths and
//! inner products stay.
//! Source: the fast Johnson-Lindenstrauss transform (Ailon, Chazelle 2009).

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

    /// Rotates in place. `vector` has the rotation's length. Inlined, so that it is compiled for the caller's
    /// instructions: all loops are element by element, and give the same whatever these are.
    #[inline(always)]
    pub(super) fn apply(&self, vector: &mut [f32]) {
        if self.dim == 0 {
            return;
        }
        let width = 1 << self.dim.ilog2();
        for (round, signs) in self.signs.chunks_exact(self.dim).enumerate() {
            vector.iter_mut().zip(signs).for_each(|(element, sign)| *element *= sign);
            let start = if round % 2 == 0 { 0 } else { self.dim - width };
            hadamard(&mut vector[start..start + width]);
        }
    }
}

/// The orthonormal Hadamard transform of a power of two of elements.
#[inline(always)]
fn hadamard(elements: &mut [f32]) {
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
    let scale = 1.0 / (elements.len() as f32).sqrt();
    elements.iter_mut().for_each(|element| *element *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_lengths_and_spreads_what_stood_in_one_element() {
        for dim in [1, 2, 3, 17, 100, 129, 384, 784] {
            let rotation = Rotation::new(dim, 7);
            for place in [0, dim / 2, dim - 1] {
                let mut vector = vec![0.0; dim];
                vector[place] = 1.0;
                rotation.apply(&mut vector);
                let square: f32 = vector.iter().map(|element| element * element).sum();
                assert!((square - 1.0).abs() < 1e-5, "{dim}: {square}");
                let largest = vector.iter().fold(0.0_f32, |largest, element| largest.max(element.abs()));
                assert!(dim < 64 || largest < 0.5, "{dim}, element {place}: {largest} in one element");
            }
        }
    }
}
