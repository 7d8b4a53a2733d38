//! Rows that storage has and no segment holds, on their way into derived state: at open, at a recovery, and where
//! indexes are made anew.
//!
//! Invariant: what is held does not grow with what is read. Heads that are full become segments here as soon as more
//! bytes of them wait than may ([`Segments::waiting_bytes_max`]), and keywords are committed on the way. Where that
//! fails, for want of room on the disk as a rule, the rest stays in memory, as it would behind a writer.
//! Cost: a walk that ends below that limit seals nothing; the sealer does it later.

use std::sync::Arc;

use index::graph::Progress;
use storage::StoredPoint;
use types::{Limits, Payload, Result, Vectors, Version};

use crate::budget::Segments;
use crate::build::Build;
use crate::builder;
use crate::derived::{Derived, take_dense};
use crate::files::{Files, StoredRows};
use crate::keywords;
use crate::loading::Source;
use crate::tiers;

/// Rows whose fields are indexed in one block.
pub(crate) const BLOCK_ROWS: usize = 4096;

/// Bytes that keywords may take in memory before they are committed.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// A collection while it is loaded.
pub(crate) struct Filling<'a> {
    pub(crate) derived: Derived,
    pub(crate) points_read: u64,
    /// Segments were made, which no list names yet.
    pub(crate) has_sealed: bool,
    /// Of the last rows: what is not indexed yet.
    rows: Vec<(Payload, Vectors)>,
    segments: &'a Segments,
    limits: &'a Limits,
    progress: &'a dyn Progress,
    files: Files,
    /// Segments from this one on are of this filling.
    first_number: u64,
    /// Nothing has failed so far.
    is_sound: bool,
}

impl<'a> Filling<'a> {
    /// Begins with what segments hold.
    pub(crate) fn new(mut derived: Derived, source: &Source<'a>) -> Self {
        derived.continue_numbers(source.first_number);
        let first_number = derived.next_number();
        Self {
            derived,
            points_read: 0,
            has_sealed: false,
            rows: Vec::new(),
            segments: source.segments,
            limits: source.limits,
            progress: source.progress,
            files: Files::new(source.folder),
            first_number,
            is_sound: true,
        }
    }

    /// Adds the next row.
    pub(crate) fn append(&mut self, stored: StoredPoint) {
        let StoredPoint { version, id, payload, mut vectors } = stored;
        let is_full = self.derived.append(version, id, |name| take_dense(&mut vectors, name));
        self.derived.index_keywords(version, &payload);
        vectors.retain(|(_, vector)| vector.sparse().is_some());
        self.rows.push((payload, vectors));
        self.points_read += 1;
        if is_full || self.rows.len() == BLOCK_ROWS {
            self.index_rows();
        }
        if is_full {
            self.derived.freeze();
            self.relieve();
        }
        self.commit_keywords();
    }

    /// Hands the keyword index the texts of a row that a segment holds.
    pub(crate) fn hand_over(&mut self, version: Version, payload: &Payload) {
        self.derived.index_keywords(version, payload);
        self.points_read += 1;
        self.commit_keywords();
    }

    /// Indexes what is not indexed yet of the last rows.
    pub(crate) fn index_rows(&mut self) {
        let rows: Vec<_> = self.rows.iter().map(|(payload, vectors)| (payload, vectors)).collect();
        self.derived.index_rows(&rows);
        self.rows.clear();
    }

    /// Removes what was made: nobody will name it.
    pub(crate) fn abandon(&self) {
        (self.first_number..self.derived.next_number()).for_each(|number| self.files.remove(number));
    }

    fn commit_keywords(&mut self) {
        if self.is_sound
            && self.derived.text_bytes() >= TEXT_BYTES_MAX
            && let Err(error) = keywords::commit_part(&self.derived)
        {
            self.fail(&error);
        }
    }

    /// Makes segments of heads while more of them wait than may.
    fn relieve(&mut self) {
        while self.is_sound && self.derived.waiting_bytes() > self.segments.waiting_bytes_max {
            match self.seal() {
                Ok(true) => self.has_sealed = true,
                // It is given up; who reads finds that out as well.
                Ok(false) => return,
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Makes one segment of heads that wait; `false` if there are none, or it was cancelled.
    fn seal(&mut self) -> Result<bool> {
        let rows_max = self.segments.rows_max(&self.derived.entry);
        let Some(range) = tiers::waiting(&builder::sizes(&self.derived, &[]), rows_max) else {
            return Ok(false);
        };
        let (store, entry) = (Arc::clone(&self.derived.store), Arc::clone(&self.derived.entry));
        let stored = StoredRows { store: &store, entry, progress: self.progress };
        let build = Build::begin(&mut self.derived, range, &[]);
        store.check_room(self.limits.disk_free_bytes_min.saturating_add(build.bytes()))?;
        let built = build.run(&self.files, &stored, self.segments.threads.max(1), self.progress);
        let built = built.inspect_err(|_| self.files.remove(build.number()))?;
        let Some(built) = built else {
            self.files.remove(build.number());
            return Ok(false);
        };
        build.install(&built, &mut self.derived, &self.files, &stored)
    }

    fn fail(&mut self, error: &types::Error) {
        let why = "what is read of a collection stays in memory for now";
        tracing::warn!(%error, collection = self.derived.entry.name, "{why}");
        self.is_sound = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Options};
    use index::KeywordIndex;
    use storage::Store;
    use types::{Filter, KeywordField, Language, Metric, Point, PointId, Schema, Seqno};

    const WAITING_MAX: usize = 20_000;

    fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
        ids.map(|id| Point::new(id).vector([id as f32, 1.0, 2.0, 3.0]).with("n", id)).collect()
    }

    fn segments() -> Segments {
        Segments { seal_rows: 50, waiting_bytes_max: WAITING_MAX, ..Segments::default() }
    }

    /// As after a recovery, or where the segments of a collection were lost.
    #[test]
    fn what_is_read_becomes_segments_as_soon_as_too_much_of_it_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::open(folder.path()).expect("a database");
        let notes = db.create_collection("notes", Schema::new().vector(4, Metric::Euclid)).expect("made");
        notes.upsert(points(0..1000)).expect("points");
        notes.delete(vec![PointId::Num(3), PointId::Num(700)]).expect("a delete");
        drop((notes, db));

        let store = Arc::new(Store::open(&folder.path().join("storage")).expect("a store"));
        let entry = Arc::new(store.catalog().expect("a catalog").collections.remove(0));
        let index = folder.path().join("index").join(entry.id.0.to_string());
        let (segments, limits) = (segments(), Limits::default());
        let source = Source {
            store: &store,
            entry: &entry,
            folder: &index,
            segments: &segments,
            limits: &limits,
            first_number: 7,
            progress: &(),
        };
        let loaded = source.load().expect("a collection");
        assert!(loaded.derived.waiting_bytes() <= WAITING_MAX);
        assert_eq!((loaded.derived.alive.len(), loaded.points_read), (998, 998));
        let numbers = loaded.derived.numbers().to_vec();
        assert!(numbers.len() > 2 && numbers.iter().all(|number| *number >= 7), "{numbers:?}");
        drop(loaded);
        // They are listed, so that the next start does not make them again.
        let again = source.load().expect("a collection");
        assert_eq!((again.derived.alive.len(), again.rebuilt.len()), (998, 0));
        assert!(again.derived.numbers().starts_with(&numbers) && again.points_read < 400);
    }

    /// As a kill leaves it in the midst of a recovery.
    #[test]
    fn keywords_of_which_a_part_was_committed_are_completed() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Database::open(folder.path()).expect("a database");
        let field = KeywordField { paths: vec!["text".parse().expect("a path")], language: Language::None };
        let text = |id: u64| format!("common only{id}");
        let db = open();
        let schema = Schema::new().keyword(field.paths.clone(), field.language);
        let notes = db.create_collection("notes", schema).expect("a collection");
        notes.upsert((0..10).map(|id| Point::new(id).with("text", text(id))).collect()).expect("points");
        drop((notes, db));
        let index = folder.path().join("index/0/keyword");
        std::fs::remove_dir_all(&index).expect("removed");
        let keyword = KeywordIndex::create(&index, &field).expect("an index");
        for id in 0..4 {
            keyword.add(Version(id), &[vec![text(id).as_str()]]);
        }
        keyword.commit(Seqno(0)).expect("a part");
        drop(keyword);
        let db = open();
        let notes = db.collection("notes").expect("it");
        let found = |words: &str| notes.query().keyword(words).limit(20).run().expect("hits").len();
        assert_eq!((found("common"), found("only2"), found("only7")), (10, 1, 1));
        assert_eq!(db.verify().expect("a walk").faults, []);
    }

    /// Files of segments that are in use are not written over.
    #[test]
    fn what_is_made_anew_becomes_segments_beside_those_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let options = Options { segments: segments(), ..Options::default() };
            Database::open_with(folder.path(), options).expect("a database")
        };
        let db = open();
        let notes = db.create_collection("notes", Schema::new().vector(4, Metric::Euclid)).expect("made");
        notes.upsert(points(0..1000)).expect("points");
        notes.optimize(true).expect("a segment");
        let before = notes.reading().expect("a reading");
        db.rebuild().expect("made anew");
        assert_eq!(before.count(&Filter::default()).expect("a count"), 1000);
        assert_eq!(db.verify().expect("a walk").faults, []);
        drop((before, notes, db));
        let db = open();
        assert_eq!(db.start().rebuilt, []);
        assert_eq!(db.verify().expect("a walk").faults, []);
        assert_eq!(db.collection("notes").expect("it").count(&Filter::default()).expect("a count"), 1000);
    }
}
