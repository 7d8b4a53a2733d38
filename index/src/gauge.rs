//! What a search of a part took, and whether it may go on.
//!
//! Cost where nothing binds: none; with a deadline or a budget, a comparison for every few thousand rows.

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
    /// Bytes of vectors, codes and links that were read for it, about.
    pub bytes: u64,
}

/// Counts the work of one search, and asks whether it may go on after so much.
#[derive(Default)]
pub struct Gauge<'a> {
    goes_on: Option<&'a dyn Fn(Work) -> bool>,
    work: Cell<Work>,
}

/// Rows between two questions.
const ROWS: u64 = 4096;

impl<'a> Gauge<'a> {
    /// One that asks, and says what was done so far; nothing: there is no end.
    pub fn new(goes_on: Option<&'a dyn Fn(Work) -> bool>) -> Self {
        Self { goes_on, work: Cell::default() }
    }

    /// What was done so far.
    pub fn work(&self) -> Work {
        self.work.get()
    }

    /// Whether there is time left.
    pub(crate) fn has_time(&self) -> bool {
        self.has_time_after(0)
    }

    /// The same after so many rows that are not counted.
    pub(crate) fn has_time_after(&self, rows: u64) -> bool {
        let work = self.work.get();
        self.goes_on.is_none_or(|goes_on| goes_on(Work { distances: work.distances + rows, ..work }))
    }

    /// Counts bytes that were read.
    pub fn read(&self, bytes: u64) {
        let work = self.work.get();
        self.work.set(Work { bytes: work.bytes + bytes, ..work });
    }

    /// Counts rows of which the time was enough for so many.
    pub(crate) fn cut(&self, seen: u64, wanted: u64) {
        let work = self.work.get();
        self.work.set(Work { distances: work.distances + seen, wanted: work.wanted + wanted, ..work });
    }

    /// Counts a walk through a graph.
    pub(crate) fn walked(&self, hops: u32, distances: u32) {
        let work = self.work.get();
        self.work.set(Work {
            hops: work.hops + u64::from(hops),
            distances: work.distances + u64::from(distances),
            ..work
        });
    }

    /// Rows that are looked at without a question in between, `count` of them; whether there is time for them.
    pub fn at_once(&self, count: usize) -> bool {
        let work = self.work.get();
        let may = self.has_time();
        let count = count as u64;
        let distances = if may { work.distances + count } else { work.distances };
        self.work.set(Work { distances, wanted: work.wanted + count, ..work });
        may
    }

    /// Rows that are looked at one after the other, `count` of them, as long as there is time.
    pub(crate) fn through<'r>(
        &'r self,
        rows: impl Iterator<Item = u32> + 'r,
        count: usize,
    ) -> impl Iterator<Item = u32> + 'r {
        let work = self.work.get();
        let wanted = work.wanted + count as u64;
        let at_once = if self.goes_on.is_none() { count as u64 } else { 0 };
        self.work.set(Work { distances: work.distances + at_once, wanted, ..work });
        let mut since = 0;
        rows.take_while(move |_| {
            let Some(goes_on) = self.goes_on else { return true };
            since += 1;
            let may = since % ROWS != 1 || goes_on(self.work.get());
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
        let goes_on = |_: Work| is_early.replace(false);
        let gauge = Gauge::new(Some(&goes_on));
        assert!(gauge.at_once(10) && !gauge.at_once(5));
        assert_eq!(gauge.work(), Work { distances: 10, wanted: 15, ..Work::default() });
    }

    #[test]
    fn rows_are_counted_and_end_with_the_time() {
        let endless = Gauge::default();
        assert_eq!(endless.through(0..9000, 9000).count(), 9000);
        assert_eq!(endless.work(), Work { distances: 9000, wanted: 9000, ..Work::default() });
        let asked = Cell::new(0);
        let goes_on = |_: Work| {
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        let short = Gauge::new(Some(&goes_on));
        assert_eq!(short.through(0..20_000, 20_000).count(), 8192);
        assert_eq!(short.work(), Work { distances: 8192, wanted: 20_000, ..Work::default() });
    }

    #[test]
    fn who_is_asked_knows_what_was_done() {
        let goes_on = |work: Work| work.distances < 5_000;
        let gauge = Gauge::new(Some(&goes_on));
        gauge.walked(3, 700);
        gauge.read(64);
        assert_eq!(gauge.through(0..20_000, 20_000).count(), 8192, "a look every 4096 rows");
        assert!(!gauge.has_time() && Gauge::default().has_time_after(u64::MAX));
        assert_eq!(gauge.work(), Work { hops: 3, distances: 8892, wanted: 20_000, bytes: 64 });
        let fresh = Gauge::new(Some(&goes_on));
        assert!(fresh.has_time_after(4_999) && !fresh.has_time_after(5_000));
    }
}
