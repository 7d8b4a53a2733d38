//! The best of vectors that no index ranks: each is read from storage and rated.
//!
//! Cost: a read of storage for each row that may be a hit; so it ranks what legs have found, or few rows.

use index::Gauge;
use roaring::RoaringBitmap;
use types::{Result, Slot, Vector};

use crate::{Ranked, View};

/// Rows whose vectors are in memory at once.
const BLOCK_ROWS: usize = 256;

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
    for block in slots.chunks(BLOCK_ROWS) {
        if !gauge.at_once(block.len()) {
            break;
        }
        let vectors = view.vectors(using, block)?;
        let rated = block.iter().zip(&vectors).filter_map(|(slot, vector)| Some((*slot, vector.as_ref()?)));
        ranked.extend(rated.map(|(slot, vector)| Ranked::new(slot, rate(vector))));
        if ranked.len() > count.saturating_mul(2).max(BLOCK_ROWS) {
            cut(&mut ranked, count);
        }
    }
    cut(&mut ranked, count);
    Ok(ranked)
}

/// Leaves the best, by rating, then by slot.
fn cut(ranked: &mut Vec<Ranked>, count: usize) {
    ranked.sort_unstable_by(Ranked::best_first);
    ranked.truncate(count);
}
