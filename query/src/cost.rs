//! What the ways of finding neighbours cost, in nanoseconds of one core.
//!
//! The constants were measured once, on 50,000 rows of 384 elements (a scan 231 ns a row, a search of a head's graph
//! with a window of 128 about 0.9 ms); only their ratios matter, and only where they decide.

/// A distance to a row that is not in the cache: fixed part, and part per element.
const SCAN_NS_PER_ROW: f64 = 20.0;
const SCAN_NS_PER_ELEMENT: f64 = 0.55;

/// A row of a head by its codes, most of which are read in order and by their upper nibbles alone.
const CODED_NS_PER_ROW: f64 = 6.0;
const CODED_NS_PER_ELEMENT: f64 = 0.02;

/// A row visited in the graph, beside the distance: three dependent cache misses, a hash insert, a heap.
const GRAPH_NS_PER_ROW: f64 = 350.0;

/// Rows visited for each row of the window.
const GRAPH_ROWS_PER_EF: f64 = 14.0;

/// The window when the caller names none: recall@10 of about 0.95 and above on the collections that were measured.
pub const EF_DEFAULT: usize = 128;

/// The recall that a walk through a segment is to reach when neither caller nor collection names one, and no window.
pub const RECALL_DEFAULT: f32 = 0.97;

/// What a scan by codes takes beside its rows: preparing the query, the exact distances of the best.
pub const CODES_NS: f64 = 4_000.0;

/// What a walk through a segment takes for each row of a window that the caller names.
pub const WINDOW_NS: f64 = 700.0;

/// Scanning `rows` rows of `dim` elements.
pub fn scan_ns(rows: usize, dim: usize) -> f64 {
    rows as f64 * (SCAN_NS_PER_ROW + SCAN_NS_PER_ELEMENT * dim as f64)
}

/// Scanning the codes of `rows` rows of a head.
pub fn coded_ns(rows: usize, dim: usize) -> f64 {
    CODES_NS + rows as f64 * (CODED_NS_PER_ROW + CODED_NS_PER_ELEMENT * dim as f64)
}

/// Searching the graph with a window of `ef`, when a share of 0 to 1 of its rows counts.
pub fn graph_ns(ef: usize, dim: usize, share: f64) -> f64 {
    let rows = ef as f64 * GRAPH_ROWS_PER_EF / share.max(1e-6);
    rows * (GRAPH_NS_PER_ROW + SCAN_NS_PER_ELEMENT * dim as f64)
}

/// A weight of a list that is added up, and a row of the windows that are looked through.
const POSTING_NS: f64 = 1.0;
const WINDOW_ROW_NS: f64 = 0.4;

/// A row looked up in one list.
const LOOK_UP_NS: f64 = 20.0;

/// Adding up lists of `postings` weights over `rows` rows.
pub fn lists_ns(postings: usize, rows: usize) -> f64 {
    postings as f64 * POSTING_NS + rows as f64 * WINDOW_ROW_NS
}

/// Comparing a multivector of `rows` rows with `scanned` others: a read of storage each, and about 64 rows.
pub fn multi_ns(scanned: usize, rows: usize) -> f64 {
    scanned as f64 * (10_000.0 + rows as f64 * scan_ns(64, 128))
}

/// A payload that is read to be looked at, one of many at once.
const PAYLOAD_NS: f64 = 2_500.0;

/// A value of an index that is passed in order: from one of many columns, its row looked for among those that match.
const KEY_NS: f64 = 40.0;

/// Reading the payloads of `rows` points to look at them.
pub fn payloads_ns(rows: usize) -> f64 {
    rows as f64 * PAYLOAD_NS
}

/// Finding the first `count` of an order in its index of `keys` values, where `shown` points may be hits and the
/// payloads of `unknown` ones must be read.
pub fn order_by_index_ns(keys: usize, count: usize, shown: usize, unknown: usize) -> f64 {
    let share = (count as f64 / shown.max(1) as f64).min(1.0);
    keys as f64 * share * KEY_NS + payloads_ns(unknown)
}

/// Looking `rows` rows up in each of `lists` lists.
pub fn look_ups_ns(rows: usize, lists: usize) -> f64 {
    (rows * lists) as f64 * LOOK_UP_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_from_its_index_unless_few_may_be_hits_or_it_knows_few_of_them() {
        let is_by_index =
            |count, shown, unknown| order_by_index_ns(1_000_000, count, shown, unknown) < payloads_ns(shown);
        assert!(is_by_index(10, 1_000_000, 0) && is_by_index(10, 10_000, 0) && is_by_index(10, 1_000, 500));
        assert!(!is_by_index(10, 10, 0) && !is_by_index(10, 1_000_000, 1_000_000));
    }

    #[test]
    fn a_scan_wins_when_few_match_and_the_graph_when_many_do() {
        assert!(scan_ns(1_000, 384) < graph_ns(EF_DEFAULT, 384, 0.01));
        assert!(scan_ns(1_000_000, 384) > graph_ns(EF_DEFAULT, 384, 1.0));
    }
}
