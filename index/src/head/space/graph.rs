//! The graph over the rows, on `hnsw_rs`: everything that crate must be protected from is dealt with here.
//!
//! - It would copy vectors. Its "vector" is one `u32`, the row's number; its distance looks the rows up. The query
//!   is no row: it stands in a thread-local under [`QUERY_ROW`] while its thread searches.
//! - It panics on negative and NaN distances, and only ever compares them. So the inner product, whose distance is
//!   negative, is replaced by a quantity with the same order (see [`RowDistance`]), and all are clamped.
//! - Concurrent inserters can wait for each other in a circle, two of them too: one pushes itself into the list of
//!   another that is going through that list on an upper level, and then needs it again on a lower one. So there is
//!   one inserter. Its graph is then also the same for the same rows.
//! - Its levels stay as they are by default. Fewer would lose recall, and the call that asks for fewer prints to
//!   standard output.
//! - Its filter walks the whole graph: never used. Visibility is tested on what a plain search returns, and the
//!   search is repeated with twice the width until enough is visible.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use hnsw_rs::anndists::dist::Distance;
use hnsw_rs::hnsw::Hnsw;
use types::Metric;

use super::arena::Arena;
use crate::kernels;

const LINKS: usize = 16;
const EF_CONSTRUCTION: usize = 100;
const LEVELS: usize = 16;

/// The row number that means the query.
const QUERY_ROW: u32 = u32::MAX;

/// A beam never grows past this, unless `k` itself is larger: an exact scan of the few visible rows is cheaper.
const FETCH_MAX: usize = 4096;

/// Bytes of a linked row: the point, its 16 level lists, one heap object for each link.
const LINKED_ROW_BYTES: usize = 2400;

thread_local! {
    static QUERY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Graph {
    hnsw: Hnsw<'static, u32, RowDistance>,
    inserted: AtomicU32,
}

/// What a search found.
pub(super) struct Beam {
    /// The visible rows, nearest first.
    pub(super) rows: Vec<u32>,
    /// If the search ended with fewer visible rows than were asked for although more rows exist: the farthest row
    /// that was looked at.
    pub(super) horizon: Option<u32>,
}

impl Graph {
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        let rows_expected = arena.count() as usize;
        let distance = RowDistance { arena, reach: OnceLock::new() };
        let hnsw = Hnsw::new(LINKS, rows_expected, LEVELS, EF_CONSTRUCTION, distance);
        Self { hnsw, inserted: AtomicU32::new(0) }
    }

    /// Links rows that have vectors. One caller at a time.
    pub(super) fn insert(&self, rows: &[u32]) {
        for &row in rows {
            self.hnsw.insert((&[row], row as usize));
            self.inserted.fetch_add(1, Ordering::Release);
        }
    }

    /// How many rows are linked.
    pub(super) fn rows(&self) -> u32 {
        self.inserted.load(Ordering::Acquire)
    }

    /// Widens a beam, starting with `fetch` rows, until `k` of them are shown.
    pub(super) fn search(&self, query: &[f32], fetch: usize, k: usize, shows: impl Fn(u32) -> bool) -> Beam {
        QUERY.with_borrow_mut(|elements| {
            elements.clear();
            elements.extend_from_slice(query);
        });
        let inserted = self.rows() as usize;
        let fetch_max = inserted.min(FETCH_MAX.max(2 * k));
        let mut fetch = fetch.min(fetch_max);
        loop {
            let found = self.hnsw.search(&[QUERY_ROW], fetch, fetch);
            let mut all = found.iter().map(|neighbour| neighbour.d_id as u32);
            let rows: Vec<u32> = all.clone().filter(|&row| shows(row)).collect();
            let is_cut = found.len() >= fetch && fetch < inserted;
            if rows.len() >= k || !is_cut || fetch >= fetch_max {
                let horizon = if is_cut && rows.len() < k { all.next_back() } else { None };
                return Beam { rows, horizon };
            }
            fetch = (fetch * 2).min(fetch_max);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows() as usize * LINKED_ROW_BYTES
    }
}

/// The distance of two row numbers.
///
/// Under the inner product it is two quantities, each of which is only compared with its own kind. Between rows, when
/// the graph is built: the squared distance after one more element has given all rows the same length (Bachrach et
/// al. 2014), which orders the rows around any point as the inner product orders them around a query, and is a
/// metric, as the choice of diverse links needs. Between query and row: the inner product itself, its bits mapped to
/// a number >= 0 in the same order.
struct RowDistance {
    arena: Arc<Arena>,
    /// The largest squared length when the graph was begun. Longer rows may follow; they get no further element.
    reach: OnceLock<f32>,
}

impl Distance<u32> for RowDistance {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        let distance = match (a.first(), b.first()) {
            (Some(&QUERY_ROW), Some(&row)) | (Some(&row), Some(&QUERY_ROW)) => self.to_query(row),
            (Some(&a), Some(&b)) => self.between(a, b),
            _ => None,
        };
        distance
            .filter(|distance| !distance.is_nan())
            .map_or(f32::MAX, |distance| distance.clamp(0.0, f32::MAX))
    }
}

impl RowDistance {
    fn to_query(&self, row: u32) -> Option<f32> {
        let (row, metric) = (self.arena.row(row)?, self.arena.metric());
        let distance = QUERY.with_borrow(|query| kernels::distance(metric, query, row));
        Some(if metric == Metric::Dot { ordered(distance) } else { distance })
    }

    fn between(&self, a: u32, b: u32) -> Option<f32> {
        let metric = self.arena.metric();
        let distance = kernels::distance(metric, self.arena.row(a)?, self.arena.row(b)?);
        if metric != Metric::Dot {
            return Some(distance);
        }
        let (a_square, b_square) = (self.arena.square(a), self.arena.square(b));
        let reach = self.reach();
        let further = (reach - a_square).max(0.0).sqrt() - (reach - b_square).max(0.0).sqrt();
        Some(a_square + b_square + 2.0 * distance + further * further)
    }

    fn reach(&self) -> f32 {
        *self
            .reach
            .get_or_init(|| (0..self.arena.len()).map(|row| self.arena.square(row)).fold(0.0, f32::max))
    }
}

/// Maps finite numbers to numbers >= 0 in the same order; neighbours within 4 units in the last place may fall
/// together.
fn ordered(number: f32) -> f32 {
    let bits = number.to_bits();
    let ascending = if number.is_sign_negative() { !bits } else { bits | 1 << 31 };
    f32::from_bits(ascending >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_numbers_keep_their_order() {
        let numbers = [f32::MIN, -1e30, -2.0, -1.0, -1e-30, 0.0, 1e-30, 1.0, 1.5, 1e30, f32::MAX];
        let mapped = numbers.map(ordered);
        assert!(mapped.iter().all(|number| *number >= 0.0 && number.is_finite()), "{mapped:?}");
        assert!(mapped.is_sorted_by(|a, b| a < b), "{mapped:?}");
    }

    #[test]
    fn rows_beyond_the_reach_have_a_distance_too() {
        let arena = Arc::new(Arena::new(2, Metric::Dot));
        arena.append(Some(vec![1.0, 0.0]));
        let distance = RowDistance { arena: Arc::clone(&arena), reach: OnceLock::new() };
        assert_eq!(distance.eval(&[0], &[0]), 0.0);
        arena.append(Some(vec![1.2e19, 1.2e19]));
        for (a, b) in [(0, 1), (1, 0), (1, 1), (0, 7), (7, 7)] {
            let distance = distance.eval(&[a], &[b]);
            assert!(distance >= 0.0 && distance.is_finite(), "{a} {b}: {distance}");
        }
    }
}
