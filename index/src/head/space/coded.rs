//! Rows of a head as codes, block by block: what a scan of many rows reads first.
//!
//! Rows that no graph covers yet are scanned, and a row of 384 `f32` is 24 cache lines somewhere in memory. Its upper
//! nibbles are three, and those of a block lie one row behind the other, so that memory is read ahead. As in a segment,
//! whole codes are read of the rows that may be hits, and those that by these still may be get their exact distance: a
//! hit may be missed, never mistaken. Unlike there the codec has learned nothing: rows are not centred, so where all
//! are far from zero beside what lies between them many get it.
//!
//! Invariants: a block is made when its last row is appended, by the writer, and never changes. Rows behind the last
//! block are few, and are looked at exactly.
//! Cost: a byte an element; a microsecond a row of 384 elements to encode it, for the rows of a block at once.

use types::Metric;

use crate::codes::{Both, Codec, Nibbles, Prepared, Reader, Tier};
use crate::kernels::{Isa, Kernel, Task, run};
use crate::sieve::Sieve;

/// Rows of a block.
pub(super) const BLOCK_ROWS: u32 = 256;

/// Decides the rotation.
const SEED: u64 = 0x6865_6164;

/// The blocks of one space.
pub(super) struct Coded {
    codec: Codec,
    isa: Isa,
    blocks: boxcar::Vec<Block>,
}

struct Block {
    nav: Vec<u8>,
    rest: Vec<u8>,
    /// Rows with a vector.
    present: [u64; BLOCK_ROWS as usize / 64],
}

impl Coded {
    /// Nothing under a metric whose distances do not follow from inner products.
    pub(super) fn new(metric: Metric, dim: usize) -> Option<Self> {
        let codec = Codec::unlearned(metric, dim, SEED)?;
        Some(Self { codec, isa: Isa::detect(), blocks: boxcar::Vec::new() })
    }

    /// Appends the next block: the vectors of [`BLOCK_ROWS`] rows, of those that have one. Only the writer calls this.
    pub(super) fn append<'v>(&self, vectors: impl Iterator<Item = Option<&'v [f32]>>) {
        let layout = self.codec.layout();
        let mut block = Block {
            nav: vec![0; layout.nav_bytes * BLOCK_ROWS as usize],
            rest: vec![0; layout.rest_bytes * BLOCK_ROWS as usize],
            present: Default::default(),
        };
        run(self.isa, Encode { codec: &self.codec, vectors, block: &mut block });
        self.blocks.push(block);
    }

    /// The rows of which the `k` nearest of the given ones are some, by the least that their distances may be, which
    /// stands beside them. Nothing is known of those that no block holds or no code can tell of. Fastest for rows that
    /// ascend.
    pub(super) fn likely(&self, query: &[f32], rows: impl Iterator<Item = u32>, k: usize) -> Vec<(u32, f32)> {
        let mut likely = run(self.isa, Likely { coded: self, query, rows, k });
        likely.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        likely
    }

    /// Bytes in memory, approximately.
    pub(super) fn bytes(&self) -> usize {
        let layout = self.codec.layout();
        self.blocks.count() * BLOCK_ROWS as usize * (layout.nav_bytes + layout.rest_bytes)
    }

    fn tier<'b>(&self, block: &'b Block) -> Tier<'b> {
        Tier { layout: self.codec.layout(), nav: &block.nav, rest: &block.rest }
    }
}

impl Block {
    fn has(&self, row: u32) -> bool {
        self.present[row as usize / 64] >> (row % 64) & 1 == 1
    }
}

/// Encodes the rows of a block.
struct Encode<'e, I> {
    codec: &'e Codec,
    vectors: I,
    block: &'e mut Block,
}

impl<'v, I: Iterator<Item = Option<&'v [f32]>>> Task for Encode<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let Block { nav, rest, present } = self.block;
        let (layout, mut scaled) = (self.codec.layout(), Vec::new());
        for (row, vector) in self.vectors.enumerate() {
            let Some(vector) = vector else { continue };
            present[row / 64] |= 1 << (row % 64);
            let nav = &mut nav[row * layout.nav_bytes..][..layout.nav_bytes];
            let rest = &mut rest[row * layout.rest_bytes..][..layout.rest_bytes];
            self.codec.encode(kernel, vector, (nav, rest), &mut scaled);
        }
    }
}

/// See [`Coded::likely`].
struct Likely<'l, I> {
    coded: &'l Coded,
    query: &'l [f32],
    rows: I,
    k: usize,
}

impl<I: Iterator<Item = u32>> Task for Likely<'_, I> {
    type Output = Vec<(u32, f32)>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<(u32, f32)> {
        let Self { coded, query, rows, k } = self;
        let (mut prepared, mut sieve) = (Prepared::default(), Sieve::new(k));
        prepared.set(kernel, &coded.codec, query);
        let (mut group, mut count) = ([0_u32; BLOCK_ROWS as usize], 0);
        let (mut number, mut block) = (0, coded.blocks.get(0));
        for row in rows {
            if row / BLOCK_ROWS != number || count == group.len() {
                coded.sift(kernel, &prepared, (number, block), &group[..count], &mut sieve);
                number = row / BLOCK_ROWS;
                (block, count) = (coded.blocks.get(number as usize), 0);
            }
            match block {
                None => sieve.offer_unknown(row),
                Some(block) if block.has(row % BLOCK_ROWS) => {
                    group[count] = row % BLOCK_ROWS;
                    count += 1;
                }
                Some(_) => {}
            }
        }
        coded.sift(kernel, &prepared, (number, block), &group[..count], &mut sieve);
        coded.complete(kernel, &prepared, &sieve.left(), Sieve::new(k))
    }
}

impl Coded {
    /// Offers rows of one block by their upper nibbles.
    #[inline(always)]
    fn sift<K: Kernel>(
        &self,
        kernel: K,
        query: &Prepared,
        (number, block): (u32, Option<&Block>),
        rows: &[u32],
        sieve: &mut Sieve,
    ) {
        let Some(block) = block else { return };
        let (reader, first) = (Nibbles(self.tier(block)), number * BLOCK_ROWS);
        let (fours, rest) = rows.as_chunks::<4>();
        for rows in fours {
            let estimates = reader.four(kernel, query, *rows);
            for (row, estimate) in rows.iter().zip(estimates) {
                sieve.offer(first + row, estimate, query.margins(reader.0, *row));
            }
        }
        for row in rest {
            let estimate = reader.one(kernel, query, *row);
            sieve.offer(first + row, estimate, query.margins(reader.0, *row));
        }
    }

    /// Offers what is left to another sieve by whole codes, and says what stays.
    #[inline(always)]
    fn complete<K: Kernel>(
        &self,
        kernel: K,
        query: &Prepared,
        sifted: &[(u32, f32)],
        mut sieve: Sieve,
    ) -> Vec<(u32, f32)> {
        for (row, _) in sifted {
            let at = row % BLOCK_ROWS;
            match self.blocks.get((row / BLOCK_ROWS) as usize) {
                Some(block) if block.has(at) => {
                    let tier = self.tier(block);
                    let estimate = Both(tier).one(kernel, query, at);
                    sieve.offer(*row, estimate, query.margins_of_codes(tier, at));
                }
                // One that has no vector is passed over by who looks at it.
                _ => sieve.offer_unknown(*row),
            }
        }
        sieve.left()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels;

    fn vector(row: u32) -> Vec<f32> {
        (0..40_u32).map(|at| (row.wrapping_mul(2_654_435_761) >> (at % 24) & 255) as f32 - 128.0).collect()
    }

    #[test]
    fn rows_that_no_block_holds_are_all_likely_and_those_without_a_vector_never() {
        let coded = Coded::new(Metric::Euclid, 40).expect("has codes");
        let vectors: Vec<Vec<f32>> = (0..2 * BLOCK_ROWS).map(vector).collect();
        for block in vectors.chunks(BLOCK_ROWS as usize) {
            let has_vector = |row: usize| !row.is_multiple_of(3);
            let rows = block.iter().enumerate();
            coded.append(rows.map(|(row, vector)| has_vector(row).then_some(vector.as_slice())));
        }
        let end = 2 * BLOCK_ROWS + 5;
        for wanted in [1, 100, 257, 300, 511] {
            // The second block's rows are counted from its own first.
            let has_vector = !(wanted % BLOCK_ROWS).is_multiple_of(3);
            for rows in [(0..end).collect::<Vec<u32>>(), (0..end).rev().collect()] {
                let likely = coded.likely(&vectors[wanted as usize], rows.into_iter(), 1);
                assert_eq!(likely.iter().any(|(row, _)| *row == wanted), has_vector, "{wanted}");
                assert_eq!(likely.iter().filter(|(row, _)| *row >= 2 * BLOCK_ROWS).count(), 5);
                assert!(likely.is_sorted_by(|a, b| a.1 <= b.1) && likely.len() < 50, "{likely:?}");
            }
        }
        assert!(coded.likely(&vectors[1], std::iter::empty(), 1).is_empty());
    }

    #[test]
    fn elements_whose_squares_are_no_numbers_hide_nothing() {
        for metric in [Metric::Dot, Metric::Euclid] {
            let coded = Coded::new(metric, 40).expect("has codes");
            let scaled = |row: u32, scale: f32| vector(row).iter().map(|element| element * scale).collect();
            let huge = |row: u32| scaled(row, if row.is_multiple_of(2) { 1.0 } else { 1e20 });
            let vectors: Vec<Vec<f32>> = (0..BLOCK_ROWS).map(huge).collect();
            coded.append(vectors.iter().map(|vector| Some(vector.as_slice())));
            for query in [&vectors[4], &vectors[7]] {
                let distance = |row: &u32| kernels::distance(metric, query, &vectors[*row as usize]);
                let nearest = (0..BLOCK_ROWS).min_by(|a, b| distance(a).total_cmp(&distance(b)));
                let likely = coded.likely(query, 0..BLOCK_ROWS, 1);
                let is_likely = |nearest| likely.iter().any(|(row, _)| *row == nearest);
                assert!(nearest.is_some_and(is_likely), "{metric}: {likely:?}");
            }
        }
    }

    #[test]
    fn sums_of_absolute_differences_have_no_codes() {
        assert!(Coded::new(Metric::Manhattan, 3).is_none());
    }
}
