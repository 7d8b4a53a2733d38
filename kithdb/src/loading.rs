//! From disk to derived state, at open and when a collection is made anew.
//!
//! Segments are mapped (`opening`), and what died in them since the list of them was written is replayed from the
//! journal. Only rows that no segment holds are read from storage. Where a segment is missing or damaged, or the list
//! is too old, all rows are. The keyword index is caught up from the journal, or made anew (`keywords`). No damage of
//! an index ever stops a start; what was rebuilt, and why, is reported. Memory is bounded, however much is read
//! (`filling`).

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use index::graph::Progress;
use storage::{CatalogEntry, CollectionState, SegmentList, Store};
use types::{Durability, Error, ErrorKind, Limits, Result, Seqno, Slot, Version, waypoint};

use crate::budget::Segments;
use crate::building::{Role, Watch};
use crate::derived::{Derived, Laid};
use crate::engine::{Engine, Shared};
use crate::files::Files;
use crate::filling::{BLOCK_ROWS, Filling};
use crate::keywords::{self, Keywords, remove_folder};

/// What happened while a database was opened.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Collections opened.
    pub collections: usize,
    /// Points in them.
    pub points: u64,
    /// Points that were read from storage: those that no segment holds, unless something had to be made anew.
    pub points_read: u64,
    /// The last commit.
    pub seqno: Seqno,
    /// Indexes that had to be made anew.
    pub rebuilt: Vec<Rebuilt>,
    /// How long opening took.
    pub elapsed_ms: u64,
}

/// An index that was made anew from storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The collection.
    pub collection: String,
    /// The index: `segments`, `fields`, `sparse` or `keyword`.
    pub index: &'static str,
    /// Why.
    pub reason: String,
}

/// A collection as it was loaded.
pub(crate) struct Loaded {
    pub(crate) derived: Derived,
    pub(crate) rebuilt: Vec<Rebuilt>,
    /// Points read from storage.
    pub(crate) points_read: u64,
    /// Segments were made that no list names yet.
    pub(crate) has_sealed: bool,
}

/// What a collection is loaded from.
pub(crate) struct Source<'a> {
    pub(crate) store: &'a Arc<Store>,
    pub(crate) entry: &'a Arc<CatalogEntry>,
    /// Of its index files.
    pub(crate) folder: &'a Path,
    /// What heads and builds may take.
    pub(crate) segments: &'a Segments,
    pub(crate) limits: &'a Limits,
    /// No segment that is made here has a lower number.
    pub(crate) first_number: u64,
    /// Tells when to give up.
    pub(crate) progress: &'a dyn Progress,
}

impl Source<'_> {
    /// Loads the collection.
    ///
    /// # Errors
    /// When storage cannot be read, or the folder not written; when the system lacks what opening the indexes takes.
    pub(crate) fn load(&self) -> Result<Loaded> {
        let state = self.store.state(self.entry.id)?;
        let mut rebuilt = Vec::new();
        let (segments, list) = match self.segments(&state, &mut rebuilt)? {
            Ok(found) => found,
            Err(reason) => {
                rebuilt.push(self.rebuilt("segments", reason));
                self.store.set_segments(self.entry.id, &SegmentList::default(), Durability::None)?;
                (Vec::new(), SegmentList::default())
            }
        };
        Files::new(self.folder).remove_others(&list.segments, !self.entry.schema.sparse.is_empty());
        if let Err(error) = remove_folder(&self.folder.join(keywords::NEXT)) {
            tracing::warn!(%error, collection = self.entry.name, "a keyword index that was not finished remains");
        }
        waypoint::pass("load.cleaned");
        let keywords = Keywords::open(self, keywords::KEYWORD, &state)?;
        let loaded = self.fill(state, keywords, (segments, list.seqno), rebuilt)?;
        if loaded.has_sealed {
            // Or the next start would make them again.
            self.store.set_segments(self.entry.id, &loaded.derived.list(), Durability::Fsync)?;
        }
        Ok(loaded)
    }

    /// Loads the collection from storage alone, as if it had no segments; its keyword index is the next one.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    fn load_anew(&self) -> Result<Loaded> {
        let state = self.store.state(self.entry.id)?;
        let keywords = Keywords::open(self, keywords::NEXT, &state)?;
        self.fill(state, keywords, (Vec::new(), Seqno(0)), Vec::new())
    }

    /// Adds to segments, which are as of `seqno`, what they lack.
    fn fill(
        &self,
        state: CollectionState,
        mut keywords: Keywords,
        (segments, seqno): (Vec<Laid>, Seqno),
        mut rebuilt: Vec<Rebuilt>,
    ) -> Result<Loaded> {
        let began = Instant::now();
        let last = segments.last().and_then(|laid| laid.body.version(laid.body.rows().checked_sub(1)?));
        let first = last.map_or(Version(0), |last| Version(last.0 + 1));
        let (store, entry) = (Arc::clone(self.store), Arc::clone(self.entry));
        let keyword = keywords.index.take();
        let derived = Derived::new(store, entry, state, self.segments.rows(), segments, keyword);
        let mut filling = Filling::new(derived, self);
        if let Err(error) = self.read(&mut filling, &mut keywords, seqno, first) {
            filling.abandon();
            return Err(error);
        }
        let Filling { derived, points_read, has_sealed, .. } = filling;
        rebuilt.extend(keywords.rebuilt.take());
        self.report(&derived, &rebuilt, began)?;
        Ok(Loaded { derived, rebuilt, points_read, has_sealed })
    }

    /// Reads what segments and keywords lack: the rows from `first` on, and what happened after `seqno`.
    fn read(
        &self,
        filling: &mut Filling<'_>,
        keywords: &mut Keywords,
        seqno: Seqno,
        first: Version,
    ) -> Result<()> {
        self.replay(&mut filling.derived, seqno, keywords)?;
        if keywords.is_empty() {
            // Texts of rows in segments are handed over too.
            self.store.for_each_point_from(self.entry, Version(0), &mut |stored| {
                self.check_goes_on()?;
                if stored.version < first {
                    filling.hand_over(stored.version, &stored.payload);
                } else {
                    filling.append(stored);
                }
                Ok(())
            })?;
        } else {
            self.hand_over(filling, &keywords.pending(first))?;
            self.store.for_each_point_from(self.entry, first, &mut |stored| {
                self.check_goes_on()?;
                filling.append(stored);
                Ok(())
            })?;
        }
        filling.index_rows();
        Ok(())
    }

    fn check_goes_on(&self) -> Result<()> {
        if self.progress.is_cancelled() {
            let message = "the database closes, or the collection was dropped, before it was loaded";
            return Err(Error::new(ErrorKind::Busy, message));
        }
        Ok(())
    }

    fn report(&self, derived: &Derived, rebuilt: &[Rebuilt], began: Instant) -> Result<()> {
        for Rebuilt { index, reason, .. } in rebuilt {
            tracing::warn!(collection = self.entry.name, index, reason, "an index was rebuilt from storage");
        }
        if rebuilt.iter().any(|rebuilt| rebuilt.index == keywords::KEYWORD)
            && let Err(error) = keywords::commit(derived)
        {
            if error.kind() != ErrorKind::StorageFull {
                return Err(error);
            }
            // Maintenance tries again; what ends before that hands everything over once more.
            tracing::warn!(%error, collection = self.entry.name, "keywords stay in memory for now");
        }
        tracing::info!(
            collection = self.entry.name,
            points = derived.alive.len(),
            elapsed_ms = began.elapsed().as_millis() as u64,
            "collection loaded"
        );
        Ok(())
    }

    /// Replays what the segments and the keyword index have not seen.
    fn replay(&self, derived: &mut Derived, seqno: Seqno, keywords: &mut Keywords) -> Result<()> {
        let seen = keywords.seqno.unwrap_or(seqno);
        self.store.for_each_entry(self.entry.id, seen.min(seqno), &mut |entry| {
            for op in &entry.ops {
                if let Some(slot) = op.old().and_then(|old| derived.rows.slot_of(old)) {
                    derived.alive.remove(slot);
                }
                if entry.seqno > seen {
                    keywords.replay(derived, op);
                }
            }
            Ok(())
        })
    }

    /// Hands the keyword index the texts of rows in segments.
    fn hand_over(&self, filling: &mut Filling<'_>, versions: &[Version]) -> Result<()> {
        for block in versions.chunks(BLOCK_ROWS) {
            self.check_goes_on()?;
            let payloads = self.store.payloads(self.entry.id, block)?;
            for (version, row) in block.iter().zip(payloads) {
                let slot: Option<Slot> = filling.derived.rows.slot_of(*version);
                match row {
                    Some((_, payload)) if slot.is_some_and(|slot| filling.derived.alive.contains(slot)) => {
                        filling.hand_over(*version, &payload);
                    }
                    _ => filling.points_read += 1,
                }
            }
        }
        Ok(())
    }

    /// What is reported of an index that is made anew.
    pub(crate) fn rebuilt(&self, index: &'static str, reason: String) -> Rebuilt {
        Rebuilt { collection: self.entry.name.clone(), index, reason }
    }
}

/// Makes every index of a collection anew from storage. Writers wait.
///
/// # Errors
/// When storage cannot be read, or the folder not be written; the state is as before then.
pub(crate) fn reload(engine: &Engine, shared: &Shared) -> Result<()> {
    let _listing = shared.listing.lock();
    let mut derived = shared.derived.lock();
    shared.check_exists()?;
    // Storage shows what a write left of it that failed: nobody may read that, for the disk may not have it.
    engine.store.flush()?;
    let entry = Arc::clone(&derived.entry);
    let loaded = load_anew(engine, shared, &mut derived, &entry)?;
    replace(engine, shared, &mut derived, loaded)
}

/// Loads a collection as an entry has it, for who holds both locks. Nothing is replaced yet but the keyword index, by
/// one of the same texts.
///
/// # Errors
/// As for [`reload`].
pub(crate) fn load_anew(
    engine: &Engine,
    shared: &Shared,
    derived: &mut Derived,
    entry: &Arc<CatalogEntry>,
) -> Result<Derived> {
    let folder = engine.folder.collection(shared.id);
    remove_folder(&folder.join(keywords::NEXT))?;
    let first_number = derived.next_number();
    let source = Source {
        store: &engine.store,
        entry,
        folder: &folder,
        segments: &engine.segments,
        limits: &engine.limits,
        // Files of those in use stay.
        first_number,
        progress: &Watch { engine, shared, role: Role::Merge },
    };
    let mut loaded = source.load_anew()?.derived;
    if let Err(error) = keywords::exchange(&folder, derived, &mut loaded) {
        loaded.numbers().iter().for_each(|number| engine.files(shared.id).remove(*number));
        return Err(error);
    }
    loaded.observed = Arc::clone(&derived.observed);
    Ok(loaded)
}

/// Puts what was loaded in the place of what was there, for who holds both locks.
///
/// # Errors
/// `Io`, `Poisoned`.
pub(crate) fn replace(
    engine: &Engine,
    shared: &Shared,
    derived: &mut Derived,
    loaded: Derived,
) -> Result<()> {
    let files = engine.files(shared.id);
    let before = std::mem::replace(derived, loaded);
    shared.history.lock().forget(derived.state.seqno, derived.state.next_version);
    shared.publish(derived);
    waypoint::pass("reload.published");
    engine.store.set_segments(shared.id, &derived.list(), Durability::Fsync)?;
    waypoint::pass("reload.listed");
    before.list().segments.iter().for_each(|record| files.remove(record.number));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Options, Segments};
    use types::{Filter, Metric, Point, Schema};

    /// Ten points in one segment, and two that replace some of them.
    fn sealed(folder: &Path) -> Database {
        let segments = Segments { seal_rows: 10, ..Segments::default() };
        let db = Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database");
        if db.collection("c").is_err() {
            let schema = Schema::new().vector(1, Metric::Euclid);
            let collection = db.create_collection("c", schema).expect("a collection");
            let points =
                |ids: std::ops::Range<u64>| ids.map(|id| Point::new(id).vector([id as f32])).collect();
            collection.upsert(points(0..10)).expect("points");
            collection.optimize(true).expect("a segment");
            collection.upsert(points(0..2)).expect("points");
        }
        db
    }

    fn assert_whole(db: &Database, reason: Option<&str>) {
        let reasons: Vec<&str> = db.start().rebuilt.iter().map(|rebuilt| rebuilt.reason.as_str()).collect();
        match reason {
            Some(reason) => assert!(matches!(reasons[..], [one] if one.contains(reason)), "{reasons:?}"),
            None => assert!(reasons.is_empty(), "{reasons:?}"),
        }
        let collection = db.collection("c").expect("the collection");
        assert_eq!(collection.count(&Filter::default()).expect("a count"), 10);
        assert_eq!(db.verify().expect("a walk").faults, []);
    }

    #[test]
    fn what_died_since_the_list_is_replayed() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(sealed(folder.path()));
        let db = sealed(folder.path());
        assert_whole(&db, None);
        assert_eq!(db.start().points_read, 2);
    }

    /// Code from before segments trims the journal without regard to the list.
    #[test]
    fn a_list_older_than_the_journal_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = sealed(folder.path());
        let shared = db.engine.collection("c").expect("the collection");
        let (list, entry) = (shared.derived.lock().list(), Arc::clone(&shared.view.load().entry));
        let old = SegmentList { seqno: Seqno(list.seqno.0 - 1), ..list };
        db.engine.store.set_segments(shared.id, &old, Durability::Fsync).expect("a list");
        db.engine.store.purge(&entry, db.start().seqno.max(Seqno(3))).expect("a purge");
        drop((db, shared));
        assert_whole(&sealed(folder.path()), Some("too old"));
        assert_whole(&sealed(folder.path()), None);
    }

    /// As a log that is damaged leaves it.
    #[test]
    fn a_list_ahead_of_storage_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = sealed(folder.path());
        let shared = db.engine.collection("c").expect("the collection");
        let list = shared.derived.lock().list();
        let ahead = SegmentList { seqno: Seqno(list.seqno.0 + 1), ..list };
        db.engine.store.set_segments(shared.id, &ahead, Durability::Fsync).expect("a list");
        drop((db, shared));
        assert_whole(&sealed(folder.path()), Some("ahead of storage"));
        assert_whole(&sealed(folder.path()), None);
    }

    #[test]
    fn what_cannot_be_made_anew_leaves_the_keyword_index_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Database::open(folder.path()).expect("a database");
        let db = open();
        let schema = Schema::new().keyword(["text".parse().expect("a path")], types::Language::English);
        let notes = db.create_collection("notes", schema).expect("a collection");
        let write = |id: u64| notes.upsert(vec![Point::new(id).with("text", "kept")]).expect("a point");
        let found = || notes.query().keyword("kept").run().expect("hits").len();
        write(1);
        let next = db.engine.folder.collection(notes.shared.id).join(keywords::NEXT);
        std::fs::write(&next, "in the way").expect("a file");
        db.rebuild().expect_err("there is no room for it");
        write(2);
        assert_eq!(found(), 2);
        std::fs::remove_file(&next).expect("removed");
        db.rebuild().expect("made anew");
        write(3);
        assert_eq!(found(), 3);
        assert!(!next.exists());
        drop((notes, db));
        let db = open();
        assert_eq!(db.start().rebuilt, []);
        assert_eq!(db.verify().expect("a walk").faults, []);
    }

    /// The journal is trimmed only when the list has what it says.
    #[test]
    fn a_purge_writes_the_list_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = sealed(folder.path());
        let shared = db.engine.collection("c").expect("the collection");
        let began = Instant::now();
        while db.engine.store.trimmed(shared.id).expect("reads") < shared.view.load().seqno {
            assert!(began.elapsed().as_secs() < 30, "nothing is purged");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        drop((db, shared));
        assert_whole(&sealed(folder.path()), None);
    }
}
