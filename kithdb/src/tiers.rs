//! Which parts become one segment next. A pure function of their sizes.
//!
//! Heads that are full come first, all that wait at once: what arrives faster than segments are built is built in
//! larger ones. Then segments that are mostly dead, then neighbours of like size, so that a row is copied O(log n)
//! times: size-tiered merging, as in O'Neil et al. 1996 (the log-structured merge tree).

use std::ops::Range;

/// Segments are left as they are up to this many.
const SEGMENTS_MAX: usize = 4;

/// Neighbours are merged while the larger is at most so many times as large as what it is merged with.
const SIZE_RATIO: usize = 8;

/// A segment is written anew when more than one of so many rows is dead.
const DEAD_SHARE: usize = 5;

/// Rows of heads that become one segment at once: bounds how long their memory is held.
const ROWS_AT_ONCE_MAX: usize = 1 << 18;

/// A part, as far as the choice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) is_segment: bool,
    pub(crate) rows: usize,
    pub(crate) alive: usize,
}

/// Heads that wait, of parts whose last one takes rows. One at least, even if it has more rows than may be.
pub(crate) fn waiting(parts: &[Size], rows_max: usize) -> Option<Range<usize>> {
    let closed = parts.len().saturating_sub(1);
    let first = parts[..closed].iter().position(|part| !part.is_segment)?;
    let mut rows = 0;
    let fits = |part: &&Size| {
        rows += part.rows;
        rows <= rows_max.min(ROWS_AT_ONCE_MAX)
    };
    let heads = parts[first..closed].iter().take_while(fits).count().max(1);
    Some(first..first + heads)
}

/// Segments to merge into one of at most so many rows, or one to write anew.
pub(crate) fn merge(parts: &[Size], rows_max: usize) -> Option<Range<usize>> {
    let count = parts.iter().take_while(|part| part.is_segment).count();
    let segments = &parts[..count];
    if let Some(dead) = segments.iter().position(|part| (part.rows - part.alive) * DEAD_SHARE > part.rows) {
        return Some(dead..dead + 1);
    }
    if count <= SEGMENTS_MAX {
        return None;
    }
    let (mut start, mut sum) = (count - 1, segments[count - 1].alive);
    let is_like = |size: &Size, sum: usize| size.alive <= sum * SIZE_RATIO && size.alive + sum <= rows_max;
    while start > 0 && is_like(&segments[start - 1], sum) {
        start -= 1;
        sum += segments[start].alive;
    }
    if count - start > 1 {
        return Some(start..count);
    }
    // The newest is far smaller than all before it: then the smallest pair.
    let pair = |at: &usize| segments[*at].alive + segments[at + 1].alive;
    (0..count - 1).min_by_key(pair).filter(|at| pair(at) <= rows_max).map(|at| at..at + 2)
}

/// The first parts that are not one clean segment already, of those that would make as few segments as may be; never
/// the head that takes rows.
pub(crate) fn everything(parts: &[Size], rows_max: usize) -> Option<Range<usize>> {
    let closed = &parts[..parts.len().saturating_sub(1)];
    let mut start = 0;
    while start < closed.len() {
        let mut rows = closed[start].alive;
        let fits = |part: &&Size| {
            rows += part.alive;
            rows <= rows_max
        };
        let end = start + 1 + closed[start + 1..].iter().take_while(fits).count();
        match &closed[start..end] {
            [only] if only.is_segment && only.rows == only.alive => start = end,
            _ => return Some(start..end),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;

    fn segments(rows: &[usize]) -> Vec<Size> {
        rows.iter().map(|rows| Size { is_segment: true, rows: *rows, alive: *rows }).collect()
    }

    fn head(rows: usize) -> Size {
        Size { is_segment: false, rows, alive: rows }
    }

    #[test]
    fn heads_that_wait_are_taken_together_but_not_the_one_that_grows() {
        let mut parts = segments(&[100]);
        parts.push(head(7));
        assert_eq!(waiting(&parts, ALL), None);
        parts.extend([head(7), head(1)]);
        assert_eq!(waiting(&parts, ALL), Some(1..3));
        parts.insert(2, head(ROWS_AT_ONCE_MAX));
        assert_eq!(waiting(&parts, ALL), Some(1..2));
        assert_eq!(waiting(&[head(ROWS_AT_ONCE_MAX + 1), head(0)], ALL), Some(0..1));
    }

    #[test]
    fn neighbours_of_like_size_are_merged_when_there_are_many() {
        assert_eq!(merge(&segments(&[9, 9, 9, 9]), ALL), None);
        assert_eq!(merge(&segments(&[1000, 9, 9, 9, 9]), ALL), Some(1..5));
        assert_eq!(merge(&segments(&[100, 9, 9, 9, 9]), ALL), Some(0..5));
        assert_eq!(merge(&segments(&[100_000, 10_000, 100, 120, 1]), ALL), Some(3..5));
        let parts: Vec<Size> = segments(&[9; 5]).into_iter().chain([head(3), head(0)]).collect();
        assert_eq!(merge(&parts, ALL), Some(0..5));
    }

    #[test]
    fn nothing_larger_than_may_be_is_merged() {
        assert_eq!(merge(&segments(&[9, 9, 9, 9, 9]), 20), Some(3..5));
        assert_eq!(merge(&segments(&[9, 9, 9, 9, 18]), 20), Some(0..2));
        assert_eq!(merge(&segments(&[18, 18, 18, 18, 18]), 20), None);
        let mut parts = segments(&[9, 9, 9, 18, 9]);
        parts.push(head(0));
        assert_eq!(everything(&parts, 20), Some(0..2));
        parts.splice(0..2, segments(&[18]));
        assert_eq!(everything(&parts, 20), None);
        assert_eq!(waiting(&[head(9), head(9), head(9), head(0)], 20), Some(0..2));
        assert_eq!(waiting(&[head(30), head(0)], 20), Some(0..1));
    }

    #[test]
    fn what_is_mostly_dead_is_written_anew() {
        let mut parts = segments(&[100, 100]);
        parts[1].alive = 80;
        assert_eq!(merge(&parts, ALL), None);
        parts[1].alive = 79;
        assert_eq!(merge(&parts, ALL), Some(1..2));
        parts.push(head(0));
        assert_eq!(everything(&parts, ALL), Some(0..2));
        assert_eq!(everything(&[segments(&[3])[0], head(0)], ALL), None);
        assert_eq!(everything(&[head(3), head(0)], ALL), Some(0..1));
        assert_eq!(everything(&[head(3)], ALL), None);
    }

    /// What past states show counts as alive: who finds nothing to do without it need not know it.
    #[test]
    fn with_more_alive_there_is_never_more_to_do() {
        let mut state = 7_u64;
        let mut below = |end: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % end
        };
        for _ in 0..20_000 {
            let mut parts = Vec::new();
            for _ in 0..=below(8) {
                let rows = 1 + below(200);
                parts.push(Size { is_segment: true, rows, alive: rows - below(rows) });
            }
            parts.push(head(1));
            let mut more = parts.clone();
            more.iter_mut().for_each(|part| part.alive += below(part.rows - part.alive + 1));
            let rows_max = if below(2) == 0 { ALL } else { below(300) };
            for choose in [merge as fn(&[Size], usize) -> Option<Range<usize>>, everything] {
                let is_idle = choose(&parts, rows_max).is_none();
                assert!(!is_idle || choose(&more, rows_max).is_none(), "{parts:?} {more:?} {rows_max}");
            }
        }
    }

    /// However rows arrive, there stay few segments, and each row is copied a few times.
    #[test]
    fn many_seals_make_few_segments_and_few_copies() {
        let (mut parts, mut copied) = (Vec::new(), 0);
        for _ in 0..1_000 {
            parts.extend(segments(&[32]));
            while let Some(range) = merge(&parts, ALL) {
                let rows: usize = parts[range.clone()].iter().map(|part| part.rows).sum();
                copied += rows;
                parts.splice(range, segments(&[rows]));
            }
            assert!(parts.len() <= SEGMENTS_MAX);
        }
        assert!(copied / (1_000 * 32) < 20, "{copied}");
    }
}
