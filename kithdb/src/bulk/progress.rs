//! How far imports are, for whoever asks.

use std::collections::BTreeMap;
use std::time::Instant;

use parking_lot::Mutex;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Rows that are committed.
    pub rows: u64,
    /// Seconds since it began.
    pub seconds: f64,
}

/// The imports into a collection that are under way.
#[derive(Default)]
pub(crate) struct Imports {
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    next: u64,
    all: BTreeMap<u64, (Instant, u64)>,
    /// One of them gives ids.
    is_giving: bool,
}

/// An import that is under way, until it is dropped.
pub(super) struct Entry<'a> {
    imports: &'a Imports,
    number: u64,
    gives: bool,
}

impl Imports {
    /// How far each is, the oldest first.
    pub(crate) fn all(&self) -> Vec<Progress> {
        let running = self.running.lock();
        let told =
            |(began, rows): &(Instant, u64)| Progress { rows: *rows, seconds: began.elapsed().as_secs_f64() };
        running.all.values().map(told).collect()
    }

    /// Whether there is any.
    pub(crate) fn is_any(&self) -> bool {
        !self.running.lock().all.is_empty()
    }

    /// Begins one. Of those that give ids there is one at a time: nothing if there is one already.
    pub(super) fn begin(&self, gives: bool) -> Option<Entry<'_>> {
        let mut running = self.running.lock();
        if gives && std::mem::replace(&mut running.is_giving, true) {
            return None;
        }
        let number = running.next;
        running.next += 1;
        running.all.insert(number, (Instant::now(), 0));
        Some(Entry { imports: self, number, gives })
    }
}

impl Entry<'_> {
    /// Counts rows that were committed.
    pub(super) fn add(&self, rows: u64) -> Progress {
        let mut running = self.imports.running.lock();
        let (began, counted) = running.all.entry(self.number).or_insert_with(|| (Instant::now(), 0));
        *counted += rows;
        Progress { rows: *counted, seconds: began.elapsed().as_secs_f64() }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut running = self.imports.running.lock();
        running.all.remove(&self.number);
        if self.gives {
            running.is_giving = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_import_at_a_time_gives_ids() {
        let imports = Imports::default();
        let first = imports.begin(true).expect("nobody gives ids");
        assert!(imports.begin(true).is_none());
        let second = imports.begin(false).expect("it gives none");
        assert_eq!(second.add(3).rows, 3);
        assert_eq!(imports.all().iter().map(|progress| progress.rows).collect::<Vec<_>>(), [0, 3]);
        drop(first);
        drop(imports.begin(true).expect("free again"));
        drop(second);
        assert!(!imports.is_any());
    }
}
