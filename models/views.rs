//! Views and the purge of what they do not show: a reader finds every row of its view, however long it holds it and
//! whatever is written and purged meanwhile. The steps are those of `Sequencer::commit`, `Shared::publish`
//! (`kithdb/src/engine.rs`) and `purge` (`kithdb/src/maintenance.rs`), without a retention of past states.

use std::collections::BTreeSet;
use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::thread;

use crate::ORDERS;
use crate::shown::Shown;

const COMMITS: u64 = 3;
const READERS: usize = 2;
const READS: usize = 2;

/// A state of the one point there is: of which commit, and which version it shows.
struct View {
    seqno: u64,
    version: u64,
}

/// What is known of past states.
struct Past {
    oldest: u64,
    shown: Shown<View>,
}

struct Collection {
    current: Mutex<Arc<View>>,
    past: Mutex<Past>,
    /// Versions that storage has.
    stored: Mutex<BTreeSet<u64>>,
    /// In which commit which version went.
    journal: Mutex<Vec<(u64, u64)>>,
}

impl Collection {
    fn new() -> Self {
        let first = Arc::new(View { seqno: 0, version: 0 });
        Self {
            past: Mutex::new(Past { oldest: 0, shown: Shown::new(&first) }),
            current: Mutex::new(first),
            stored: Mutex::new(BTreeSet::from([0])),
            journal: Mutex::new(Vec::new()),
        }
    }

    fn current(&self) -> Arc<View> {
        Arc::clone(&self.current.lock().expect("nobody panics under it"))
    }

    /// Each commit puts another version in the place of the one before.
    fn write(&self) {
        for seqno in 1..=COMMITS {
            self.stored.lock().expect("nobody panics under it").insert(seqno);
            self.journal.lock().expect("nobody panics under it").push((seqno, seqno - 1));
            self.past.lock().expect("nobody panics under it").oldest = seqno;
            let view = Arc::new(View { seqno, version: seqno });
            self.past.lock().expect("nobody panics under it").shown.note(&view);
            let before = std::mem::replace(&mut *self.current.lock().expect("nobody panics under it"), view);
            drop(before);
        }
    }

    fn read(&self) {
        for _ in 0..READS {
            let view = self.current();
            thread::yield_now();
            let is_there = self.stored.lock().expect("nobody panics under it").contains(&view.version);
            assert!(is_there, "a row of a view that is read was purged");
        }
    }

    fn purge(&self, asks_who_reads: bool) {
        for _ in 0..COMMITS {
            let view = self.current();
            let past = self.past.lock().expect("nobody panics under it");
            let read = past.shown.least(|view| view.seqno).filter(|_| asks_who_reads);
            let upto = read.map_or(past.oldest, |read| read.min(past.oldest)).min(view.seqno);
            drop((past, view));
            let journal = self.journal.lock().expect("nobody panics under it").clone();
            for (_, gone) in journal.into_iter().filter(|(seqno, _)| *seqno <= upto) {
                self.stored.lock().expect("nobody panics under it").remove(&gone);
            }
        }
    }
}

fn run(asks_who_reads: bool) {
    let collection = Arc::new(Collection::new());
    let shared = || Arc::clone(&collection);
    let (written, purged) = (shared(), shared());
    let mut threads =
        vec![thread::spawn(move || written.write()), thread::spawn(move || purged.purge(asks_who_reads))];
    for _ in 0..READERS {
        let read = shared();
        threads.push(thread::spawn(move || read.read()));
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    // When nobody reads any more, only the last version is left.
    collection.purge(asks_who_reads);
    assert_eq!(*collection.stored.lock().expect("nobody panics under it"), BTreeSet::from([COMMITS]));
}

#[test]
fn no_row_of_a_view_that_is_read_is_purged() {
    shuttle::check_random(|| run(true), ORDERS);
}

#[test]
#[should_panic(expected = "a row of a view that is read was purged")]
fn a_purge_that_does_not_ask_who_reads_is_found_out() {
    shuttle::check_random(|| run(false), ORDERS);
}
