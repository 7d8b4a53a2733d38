//! A commit, from what was staged to derived state that may be published.
//!
//! Invariant: what is applied is published only when it is as durable as was asked, and applied whole. Where that
//! failed, it is never: the state is ahead of what is sure, and storage takes no more. Nor is it after a panic, which
//! ends the sequencer: others publish too.
//! Cost: of a large commit the disk and the indexes take about as long, and are waited for side by side; a thread for
//! that costs some tens of microseconds.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;

use parking_lot::MutexGuard;
use storage::{Commit, Store};
use types::{CollectionId, Durability, Result};

use crate::derived::Derived;
use crate::stage::{Part, Staged};

/// The states of the collections that a commit is about, locked.
pub(crate) type Locks<'a> = BTreeMap<CollectionId, MutexGuard<'a, Derived>>;

/// Of so many points on the disk is waited for beside the indexes. The crash test imports blocks of so many.
const BESIDE_POINTS_MIN: usize = 512;

/// Joins staged writes into one commit.
pub(crate) fn join(staged: Vec<Staged>) -> Option<(Commit, Vec<Part>)> {
    let mut staged = staged.into_iter();
    let Staged { mut commit, mut parts } = staged.next()?;
    for next in staged {
        commit.append(next.commit);
        parts.extend(next.parts);
    }
    Some((commit, parts))
}

/// Stores a commit, and applies its parts to the states of their collections.
///
/// # Errors
/// What storage says. Nothing may be published then.
pub(crate) fn store(
    store: &Store,
    commit: Commit,
    durability: Durability,
    parts: &mut [Part],
    locks: &mut Locks<'_>,
) -> Result<()> {
    let points: usize = parts.iter().map(|part| part.effects.len()).sum();
    let is_beside = durability == Durability::Fsync && points >= BESIDE_POINTS_MIN;
    store.commit(commit, if is_beside { Durability::Wal } else { durability })?;
    // It stays so where this ends before its end, by a panic too.
    locks.values_mut().for_each(|derived| derived.is_ahead = true);
    if is_beside {
        beside(&|| store.flush(), || apply(parts, locks))?;
    } else {
        apply(parts, locks);
    }
    locks.values_mut().for_each(|derived| derived.is_ahead = false);
    Ok(())
}

fn apply(parts: &mut [Part], locks: &mut Locks<'_>) {
    for part in parts {
        if let Some(derived) = locks.get_mut(&part.shared.id) {
            derived.apply(&mut part.effects, part.state, part.texts.take());
        }
    }
}

/// Waits on a thread of its own while this one works; one after the other, where no thread is to be had.
fn beside(wait: &(impl Fn() -> Result<()> + Sync), work: impl FnOnce()) -> Result<()> {
    thread::scope(|scope| {
        let waiting = thread::Builder::new().name("kithdb-sync".to_owned()).spawn_scoped(scope, wait);
        work();
        match waiting.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => wait(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use storage::Figures;
    use storage::rows::{Change, MemoryRows, Rows, Table, Visit};
    use types::{Error, ErrorKind, Filter, Language, Point, Schema};

    use super::*;
    use crate::engine::Folder;
    use crate::{Collection, Database, Options};

    /// Takes every write, and makes none durable from some moment on.
    struct Unsynced(MemoryRows, Arc<AtomicU8>);

    /// What comes of a sync.
    const SYNCS: u8 = 0;
    const FAILS: u8 = 1;
    const PANICS: u8 = 2;

    impl Rows for Unsynced {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.0.get(table, key)
        }
        fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
            self.0.get_many(table, keys)
        }
        fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<()> {
            self.0.scan(table, from, to, visit)
        }
        fn write(&self, changes: Vec<Change>, durability: Durability) -> Result<()> {
            self.0.write(changes, durability)
        }
        fn flush(&self) -> Result<()> {
            match self.1.load(Ordering::Relaxed) {
                FAILS => Err(Error::new(ErrorKind::Io, "the disk does not sync")),
                PANICS => panic!("on purpose"),
                _ => Ok(()),
            }
        }
        fn figures(&self) -> Figures {
            self.0.figures()
        }
        fn bytes(&self, table: Table, from: &[u8], to: &[u8]) -> u64 {
            self.0.bytes(table, from, to)
        }
    }

    fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
        ids.map(|id| Point::new(id).with("text", "a river")).collect()
    }

    fn found(notes: &Collection) -> (usize, usize) {
        let hits = notes.query().keyword("rivers").limit(10_000).run().expect("hits");
        (notes.count(&Filter::default()).expect("a count"), hits.len())
    }

    const LARGE: u64 = BESIDE_POINTS_MIN as u64;

    /// A database, and what comes of its syncs.
    fn unsynced() -> (Database, Collection, Arc<AtomicU8>) {
        let syncs = Arc::new(AtomicU8::new(SYNCS));
        let rows = Unsynced(MemoryRows::default(), Arc::clone(&syncs));
        let store = Store::over(Box::new(rows)).expect("a store");
        let folder = Folder::Temporary(tempfile::tempdir().expect("a folder"));
        let db = Database::over(store, folder, Options::default()).expect("a database");
        let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::English);
        let notes = db.create_collection("notes", schema).expect("a collection");
        (db, notes, syncs)
    }

    #[test]
    fn a_large_commit_that_does_not_become_durable_is_never_shown() {
        let (db, notes, syncs) = unsynced();
        let seqno = notes.upsert(points(0..LARGE)).expect("points").seqno;
        assert_eq!(found(&notes), (LARGE as usize, LARGE as usize));
        syncs.store(FAILS, Ordering::Relaxed);
        let error = notes.upsert(points(LARGE..2 * LARGE)).expect_err("the disk fails");
        // Where the background came first, it was told.
        assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned), "{error}");
        syncs.store(SYNCS, Ordering::Relaxed);
        let refused = [
            notes.upsert(points(0..1)).map(drop),
            notes.optimize(true),
            db.rebuild(),
            db.drop_collection("notes").map(drop),
        ];
        for (at, refused) in refused.into_iter().enumerate() {
            assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Poisoned, "{at}");
        }
        assert_eq!(found(&notes), (LARGE as usize, LARGE as usize));
        assert_eq!(notes.status().seqno, seqno);
    }

    /// The background publishes, and must not show what the sequencer was at when it ended.
    #[test]
    fn a_commit_that_ends_in_a_panic_is_never_shown() {
        let (_db, notes, syncs) = unsynced();
        notes.upsert(points(0..LARGE)).expect("points");
        syncs.store(PANICS, Ordering::Relaxed);
        let error = notes.upsert(points(LARGE..2 * LARGE)).expect_err("the sequencer ends");
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        syncs.store(SYNCS, Ordering::Relaxed);
        // As what seals and merges does it.
        let shared = &notes.shared;
        shared.publish(&shared.derived.lock());
        assert_eq!(found(&notes), (LARGE as usize, LARGE as usize));
    }

    #[test]
    fn a_large_commit_at_every_durability_is_there_after_a_restart() {
        for durability in Durability::ALL {
            let folder = tempfile::tempdir().expect("a folder");
            let open = || {
                let options = Options { durability, ..Options::default() };
                Database::open_with(folder.path(), options).expect("a database")
            };
            let db = open();
            let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::English);
            let notes = db.create_collection("notes", schema).expect("a collection");
            notes.upsert(points(0..LARGE - 1)).expect("points");
            notes.upsert(points(LARGE..3 * LARGE)).expect("points");
            let expected = (3 * LARGE - 1) as usize;
            assert_eq!(found(&notes), (expected, expected));
            drop((notes, db));
            let db = open();
            assert_eq!(found(&db.collection("notes").expect("it")), (expected, expected));
            assert_eq!(db.verify().expect("a walk").faults, []);
        }
    }
}
