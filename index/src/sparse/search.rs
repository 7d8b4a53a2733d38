//! The best rows by dot product: lists are added up window by window, and what cannot win is left out.
//!
//! A window is a range of rows whose sums lie in the first-level cache. Before one is read, the blocks of each list in
//! it say what the list can add to a score at most. Once as many rows are found as are wanted, a window whose sum of
//! these cannot beat the worst of them is passed over; and in one that can, the lists that together cannot lift a row
//! over it are not added up: only rows that the others bring near are looked up in them (MaxScore, Turtle and Flood
//! 1995, by the block maxima of Ding and Suel 2011).
//!
//! Invariant: a row's score is the sum of its products in `f32`, in the order of dimensions, whatever way it is found.
//! A row that is in no list of the query, or whose sum is 0, is no hit. Of equals the smaller row comes first.
//! Bounds and sums are rounded: what is left out must fall short by more than rounding can make up for.

use super::best::Best;
use super::lists::{BLOCK, List, ListsRef};
use crate::graph::Bits;

/// Rows of a window: their sums are 16 KiB.
const WINDOW: u32 = 4096;

/// One list of a query, while it is read from its beginning to its end.
struct Cursor<'a> {
    list: List<'a>,
    weight: f32,
    /// The postings in the window.
    at: usize,
    end: usize,
    /// What the list adds to a score in the window, at most; and the size of what it adds or takes.
    most: f32,
    size: f32,
    is_added: bool,
}

fn cursors<'a>(lists: &ListsRef<'a>, query: &[(u32, f32)]) -> Vec<Cursor<'a>> {
    let cursor = |(dim, weight): &(u32, f32)| {
        let list = lists.list(*dim)?;
        Some(Cursor { list, weight: *weight, at: 0, end: 0, most: 0.0, size: 0.0, is_added: true })
    };
    query.iter().filter_map(cursor).collect()
}

impl Cursor<'_> {
    /// Goes on to the window that ends before this row.
    fn turn_to(&mut self, end: u32) {
        self.at = self.end;
        self.end = self.list.seek(self.at, end);
        (self.most, self.size) = (0.0, 0.0);
        if self.at < self.end {
            for [most, least] in &self.list.tops[self.at / BLOCK..self.end.div_ceil(BLOCK)] {
                let (a, b) = (self.weight * most, self.weight * least);
                self.most = self.most.max(a).max(b);
                self.size = self.size.max(a.abs()).max(b.abs());
            }
        }
    }

    fn add_to(&self, sums: &mut [f32], first: u32) {
        let postings = self.list.rows[self.at..self.end].iter().zip(&self.list.weights[self.at..self.end]);
        for (row, weight) in postings {
            sums[(row - first) as usize] += self.weight * weight;
        }
    }

    /// Its product for a row no smaller than any it was asked for before.
    fn product(&mut self, row: u32) -> Option<f32> {
        self.at = self.list.seek(self.at, row);
        let is_there = self.list.rows.get(self.at) == Some(&row);
        is_there.then(|| self.weight * self.list.weights[self.at])
    }
}

/// Offers the rows of these lists that are shown; all are where `shown` is absent. The dimensions of the query ascend.
pub(super) fn search(lists: &ListsRef<'_>, query: &[(u32, f32)], shown: Option<&Bits>, best: &mut Best) {
    let mut cursors = cursors(lists, query);
    if cursors.is_empty() {
        return;
    }
    let mut sums = vec![0.0; WINDOW as usize];
    let (mut first, end) = lists.range;
    while first < end {
        let until = end.min(first.saturating_add(WINDOW));
        cursors.iter_mut().for_each(|cursor| cursor.turn_to(until));
        if cursors.iter().any(|cursor| cursor.at < cursor.end) {
            window(&mut cursors, (first, until), &mut sums, shown, best);
        }
        first = until;
    }
}

fn window(
    cursors: &mut [Cursor<'_>],
    (first, until): (u32, u32),
    sums: &mut [f32],
    shown: Option<&Bits>,
    best: &mut Best,
) {
    let rounding =
        cursors.iter().map(|cursor| cursor.size).sum::<f32>() * (cursors.len() + 2) as f32 * f32::EPSILON;
    let rest = leave_out(cursors, best.least() - rounding);
    if cursors.iter().all(|cursor| !cursor.is_added) {
        return;
    }
    let sums = &mut sums[..(until - first) as usize];
    cursors.iter().filter(|cursor| cursor.is_added).for_each(|cursor| cursor.add_to(sums, first));
    for (row, sum) in (first..).zip(sums.iter_mut()) {
        let sum = std::mem::take(sum);
        let is_near = match rest {
            None => sum != 0.0 && sum > best.least(),
            Some(rest) => sum + rest + rounding > best.least(),
        };
        if is_near && shown.is_none_or(|shown| shown.contains(row)) {
            let score = if rest.is_some() { score(cursors, row).unwrap_or(0.0) } else { sum };
            best.offer(row, score);
        }
    }
}

/// Decides which lists are not added up: those that can add least, as long as they cannot add more than `least`
/// together. What they can add; nothing if all are added up.
fn leave_out(cursors: &mut [Cursor<'_>], least: f32) -> Option<f32> {
    let mut order: Vec<usize> = (0..cursors.len()).collect();
    order.sort_by(|a, b| cursors[*a].most.total_cmp(&cursors[*b].most));
    let mut rest = None;
    for at in order {
        let cursor = &mut cursors[at];
        let sum = rest.unwrap_or(0.0) + cursor.most;
        cursor.is_added = sum > least;
        if !cursor.is_added {
            rest = Some(sum);
        }
    }
    rest
}

/// The score of a row no smaller than any before; nothing if it is in no list.
fn score(cursors: &mut [Cursor<'_>], row: u32) -> Option<f32> {
    let products = cursors.iter_mut().filter_map(|cursor| cursor.product(row));
    products.reduce(|sum, product| sum + product)
}

/// Offers rows, ascending, by looking each up in every list.
pub(super) fn look_up(
    lists: &ListsRef<'_>,
    query: &[(u32, f32)],
    rows: impl Iterator<Item = u32>,
    best: &mut Best,
) {
    let mut cursors = cursors(lists, query);
    for row in rows {
        if let Some(score) = score(&mut cursors, row) {
            best.offer(row, score);
        }
    }
}
