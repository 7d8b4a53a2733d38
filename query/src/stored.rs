//! The best of vectors that no index ranks: each is read from storage and rated.
//!
//! Cost: a read of storage for each row that may be a hit; so it ranks what legs have found, or few rows.

use index::Gauge;
use roaring::RoaringBitmap;
use types::{Result, Slot, Vector};

use crate::{Ranked, View};

/// Rows whose vectors are in memory at once: before anything is known of their size, and at most.
const ROWS_MIN: usize = 8;
const ROWS_MAX: usize = 256;

/// Bytes of vectors that are in memory at once, and those between two looks at the time, if rows are like those before.
/// A multivector may have thousands of rows of its own, each compared with each of a query.
const BLOCK_BYTES: usize = 16 << 20;
const STEP_BYTES: usize = 1 << 20;

/// The `count` rows that are accepted with the greatest ratings, best first, as far as there is time.
pub(crate) fn best(
    view: &View,
    using: &str,
    (accept, count): (Option<&RoaringBitmap>, usize),
    gauge: &Gauge<'_>,
    rate: impl Fn(&Vector) -> f32,
) -> Result<Vec<Ranked>> {
    let alive = view.universe();
    let slots = accept.map_or_else(|| alive.clone(), |accept| accept & alive);
    let slots: Vec<Slot> = slots.iter().map(Slot).collect();
    let mut ranked = Vec::new();
    let (mut rest, mut rows) = (slots.as_slice(), ROWS_MIN);
    while !rest.is_empty() {
        let (block, behind) = rest.split_at(rows.min(rest.len()));
        let vectors = view.vectors(using, block)?;
        let bytes: usize = vectors.iter().flatten().map(weight).sum();
        gauge.read(bytes as u64);
        let step = rows_of(STEP_BYTES, block.len(), bytes);
        for (slots, vectors) in block.chunks(step).zip(vectors.chunks(step)) {
            if !gauge.at_once(slots.len()) {
                cut(&mut ranked, count);
                return Ok(ranked);
            }
            let rated =
                slots.iter().zip(vectors).filter_map(|(slot, vector)| Some((*slot, vector.as_ref()?)));
            ranked.extend(rated.map(|(slot, vector)| Ranked::new(slot, rate(vector))));
        }
        if ranked.len() > count.saturating_mul(2).max(ROWS_MAX) {
            cut(&mut ranked, count);
        }
        (rest, rows) = (behind, rows_of(BLOCK_BYTES, block.len(), bytes));
    }
    cut(&mut ranked, count);
    Ok(ranked)
}

/// How many rows have so many bytes, if `rows` of them have `bytes`.
fn rows_of(wanted: usize, rows: usize, bytes: usize) -> usize {
    (rows.saturating_mul(wanted) / bytes.max(1)).clamp(1, ROWS_MAX)
}

/// Bytes of a vector.
fn weight(vector: &Vector) -> usize {
    match vector {
        Vector::Dense(elements) => size_of_val(elements.as_slice()),
        Vector::Sparse(vector) => {
            size_of_val(vector.indices.as_slice()) + size_of_val(vector.values.as_slice())
        }
        Vector::Multi(rows) => rows.iter().map(|row| size_of_val(row.as_slice())).sum(),
    }
}

/// Leaves the best, by rating, then by slot.
fn cut(ranked: &mut Vec<Ranked>, count: usize) {
    ranked.sort_unstable_by(Ranked::best_first);
    ranked.truncate(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 256 of them were read at once and rated without a look at the time, whatever their size.
    #[test]
    fn large_rows_are_read_and_rated_a_few_at_a_time() {
        let passage = Vector::Multi(vec![vec![0.0; 128]; 128]);
        let page = Vector::Multi(vec![vec![0.0; 128]; 8_192]);
        for (vector, block, step) in
            [(&Vector::Dense(vec![0.0; 128]), 256, 256), (&passage, 256, 16), (&page, 4, 1)]
        {
            let bytes = ROWS_MIN * weight(vector);
            assert_eq!(rows_of(BLOCK_BYTES, ROWS_MIN, bytes), block);
            assert_eq!(rows_of(STEP_BYTES, ROWS_MIN, bytes), step);
        }
        assert_eq!(rows_of(BLOCK_BYTES, ROWS_MIN, 0), ROWS_MAX, "points without such a vector");
    }
}
