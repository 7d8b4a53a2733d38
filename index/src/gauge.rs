//! What a search of a part took, and whether it may go on.
//!
//! Cost where no deadline binds: none; with one, a comparison for every few thousand rows.

use std::cell::Cell;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Rows whose links were followed.
    pub hops: u64,
    /// Rows whose distance was estimated or computed.
    pub distances: u64,
    /// Rows that were to be looked at one after the other.
    pub wanted: u64,
}

/// Counts the work of one search, and asks whether there is time left.
#[derive(Default)]
pub struct Gauge<'a> {
    goes_on: Option<&'a dyn Fn() -> bool>,
    work: Cell<Work>,
}

/// Rows between two questions.
const ROWS: u64 = 4096;

impl<'a> Gauge<'a> {
    /// One that asks; nothing: there is no end of time.
    pub fn new(goes_on: Option<&'a dyn Fn() -> bool>) -> Self {
        Self { goes_on, work: Cell::default() }
    }

    /// What was done so far.
    pub fn work(&self) -> Work {
        self.work.get()
    }

    /// Whether there is time left.
    pub(crate) fn has_time(&self) -> bool {
        self.goes_on.is_none_or(|goes_on| goes_on())
    }

    /// Counts rows of which the time was enough for so many.
    pub(crate) fn cut(&self, seen: u64, wanted: u64) {
        let Work { hops, distances, wanted: before } = self.work.get();
        self.work.set(Work { hops, distances: distances + seen, wanted: before + wanted });
    }

    /// Counts a walk through a graph.
    pub(crate) fn walked(&self, hops: u32, distances: u32) {
        let Work { hops: before, distances: computed, wanted } = self.work.get();
        self.work.set(Work {
            hops: before + u64::from(hops),
            distances: computed + u64::from(distances),
            wanted,
        });
    }

    /// Rows that are looked at without a question in between, `count` of them; whether there is time for them.
    pub fn at_once(&self, count: usize) -> bool {
        let Work { hops, distances, wanted } = self.work.get();
        let may = self.has_time();
        let count = count as u64;
        let distances = if may { distances + count } else { distances };
        self.work.set(Work { hops, distances, wanted: wanted + count });
        may
    }

    /// Rows that are looked at one after the other, `count` of them, as long as there is time.
    pub(crate) fn through<'r>(
        &'r self,
        rows: impl Iterator<Item = u32> + 'r,
        count: usize,
    ) -> impl Iterator<Item = u32> + 'r {
        let Work { hops, distances, wanted } = self.work.get();
        let wanted = wanted + count as u64;
        let at_once = if self.goes_on.is_none() { count as u64 } else { 0 };
        self.work.set(Work { hops, distances: distances + at_once, wanted });
        let mut since = 0;
        rows.take_while(move |_| {
            let Some(goes_on) = self.goes_on else { return true };
            since += 1;
            let may = since % ROWS != 1 || goes_on();
            let work = self.work.get();
            self.work.set(Work { distances: work.distances + u64::from(may), ..work });
            may
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_at_once_are_looked_at_all_or_none() {
        let is_early = Cell::new(true);
        let goes_on = || is_early.replace(false);
        let gauge = Gauge::new(Some(&goes_on));
        assert!(gauge.at_once(10) && !gauge.at_once(5));
        assert_eq!(gauge.work(), Work { hops: 0, distances: 10, wanted: 15 });
    }

    #[test]
    fn rows_are_counted_and_end_with_the_time() {
        let endless = Gauge::default();
        assert_eq!(endless.through(0..9000, 9000).count(), 9000);
        assert_eq!(endless.work(), Work { hops: 0, distances: 9000, wanted: 9000 });
        let asked = Cell::new(0);
        let goes_on = || {
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        let short = Gauge::new(Some(&goes_on));
        assert_eq!(short.through(0..20_000, 20_000).count(), 8192);
        assert_eq!(short.work(), Work { hops: 0, distances: 8192, wanted: 20_000 });
    }
}
