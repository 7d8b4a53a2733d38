//! The best rows so far, sorted, each marked once it has been expanded.
//!
//! An entry is one `u64`: the estimate in the upper half, mapped so that smaller numbers are nearer, then the row, then
//! the mark. A sorted array of some hundred of these beats a heap: most rows that are offered are worse than the last.

/// A bounded sorted list of rows.
#[derive(Default)]
pub(crate) struct Beam {
    entries: Vec<u64>,
    room: usize,
    /// No entry before this one waits to be expanded.
    cursor: usize,
}

const MARK: u64 = 1;

impl Beam {
    /// Empties it for `room` rows.
    #[inline(always)]
    pub(crate) fn clear(&mut self, room: usize) {
        self.entries.clear();
        self.entries.reserve(room + 1);
        self.room = room;
        self.cursor = 0;
    }

    /// Whether a row with this estimate would be kept.
    #[inline(always)]
    pub(crate) fn takes(&self, estimate: f32) -> bool {
        self.entries.len() < self.room
            || self.entries.last().is_some_and(|last| u64::from(ascending(estimate)) << 32 < *last)
    }

    /// Adds a row, unless it is in the beam already; whether it is the next to be expanded.
    #[inline(always)]
    pub(crate) fn offer(&mut self, estimate: f32, row: u32) -> bool {
        let entry = u64::from(ascending(estimate)) << 32 | u64::from(row) << 1;
        let at = self.entries.partition_point(|other| *other < entry);
        let is_held = self.entries.get(at).is_some_and(|other| *other & !MARK == entry);
        if is_held || at >= self.room {
            return false;
        }
        if self.entries.len() >= self.room {
            self.entries.pop();
        }
        self.entries.insert(at, entry);
        let is_next = at <= self.cursor;
        self.cursor = self.cursor.min(at);
        is_next
    }

    /// Marks the nearest row that is not expanded, among the first `window`, and returns it.
    #[inline(always)]
    pub(crate) fn next(&mut self, window: usize) -> Option<u32> {
        let end = window.min(self.entries.len());
        while self.cursor < end {
            let entry = &mut self.entries[self.cursor];
            self.cursor += 1;
            if *entry & MARK == 0 {
                *entry |= MARK;
                return Some(row(*entry));
            }
        }
        None
    }

    /// The row that would be next, if it is among the first `window`.
    #[inline(always)]
    pub(crate) fn peek(&self, window: usize) -> Option<u32> {
        let waiting = self.entries.get(self.cursor..window.min(self.entries.len()))?;
        waiting.iter().find(|entry| **entry & MARK == 0).map(|entry| row(*entry))
    }

    /// The estimate of the row that would be next.
    #[inline(always)]
    pub(crate) fn peek_estimate(&self, window: usize) -> Option<f32> {
        let waiting = self.entries.get(self.cursor..window.min(self.entries.len()))?;
        waiting.iter().find(|entry| **entry & MARK == 0).map(|entry| estimate(*entry))
    }

    /// Whether so many rows are nearer than this estimate.
    #[inline(always)]
    pub(crate) fn is_beyond(&self, estimate: f32, window: usize) -> bool {
        let last = window.checked_sub(1).and_then(|last| self.entries.get(last));
        last.is_some_and(|last| *last < u64::from(ascending(estimate)) << 32)
    }

    /// Whether there is no room for a further row.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.room
    }

    /// How many rows it holds at most.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Rows and estimates, nearest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, f32)> {
        self.entries.iter().map(|entry| (row(*entry), estimate(*entry)))
    }
}

#[inline(always)]
fn row(entry: u64) -> u32 {
    (entry as u32) >> 1
}

/// Maps estimates to integers of the same order.
#[inline(always)]
fn ascending(estimate: f32) -> u32 {
    let bits = estimate.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

#[inline(always)]
fn estimate(entry: u64) -> f32 {
    let bits = (entry >> 32) as u32;
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_the_nearest_and_expands_each_once(
            offers in prop::collection::vec(-4.0_f32..4.0, 1..60),
            room in 1_usize..20,
        ) {
            let mut beam = Beam::default();
            beam.clear(room);
            let mut model = Vec::new();
            for (row, estimate) in offers.iter().enumerate() {
                let takes = beam.takes(*estimate);
                beam.offer(*estimate, row as u32);
                beam.offer(*estimate, row as u32);
                model.push((*estimate, row as u32));
                model.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                model.truncate(room);
                prop_assert!(takes || !model.contains(&(*estimate, row as u32)));
            }
            let held: Vec<(f32, u32)> = beam.rows().map(|(row, estimate)| (estimate, row)).collect();
            prop_assert_eq!(&held, &model);
            for (place, (estimate, _)) in model.iter().enumerate() {
                prop_assert!(beam.is_beyond(estimate + 0.1, place + 1) && !beam.is_beyond(estimate - 0.1, place + 1));
                prop_assert!(!beam.is_beyond(9.0, model.len() + 1));
            }
            let mut expanded = Vec::new();
            while let Some(ahead) = beam.peek(room) {
                let estimate = beam.peek_estimate(room);
                prop_assert_eq!(estimate, offers.get(ahead as usize).copied());
                prop_assert_eq!(beam.next(room), Some(ahead));
                expanded.push(ahead);
            }
            prop_assert_eq!(beam.next(room), None);
            prop_assert!(expanded.into_iter().eq(model.iter().map(|(_, row)| *row)));
        }
    }
}
