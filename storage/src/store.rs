//! The store: commits in, points out, by version.
//!
//! Invariant: after one failed write nothing is written again until the store is opened anew (`Poisoned`): what a
//! failed fsync left on the disk is unknown, and a retry that succeeds would prove nothing. Reads go on.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use types::{
    CollectionId, Durability, Error, ErrorKind, Payload, PointId, Result, Seqno, Vector, Version, waypoint,
};
use uuid::Uuid;

use crate::format::manifest::SegmentList;
use crate::format::{self, keys, point};
use crate::rows::{Change, Figures, MemoryRows, RocksRows, Rows, Table};
use crate::{Catalog, CatalogEntry, CollectionState, Commit};

/// One database's storage. Shared by reference between the writer and any number of readers.
pub struct Store {
    pub(crate) rows: Box<dyn Rows>,
    is_poisoned: AtomicBool,
}

impl Store {
    /// Opens the storage in a directory, or makes it.
    ///
    /// # Errors
    /// `Busy` when another process has it, `UnsupportedFormat` when a newer version wrote it, `Corrupted`, `Io`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::over(Box::new(RocksRows::open(path)?))
    }

    /// A store that is gone when the value is.
    ///
    /// # Errors
    /// None in practice; the signature is that of any engine.
    pub fn in_memory() -> Result<Self> {
        Self::over(Box::new(MemoryRows::default()))
    }

    /// A store over any engine.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn over(rows: Box<dyn Rows>) -> Result<Self> {
        let store = Self { rows, is_poisoned: AtomicBool::new(false) };
        match store.read(Table::Meta, keys::FORMAT)? {
            Some(body) => check_format(&body)?,
            None => store.begin()?,
        }
        store.sweep()?;
        Ok(store)
    }

    fn begin(&self) -> Result<()> {
        let rows = [
            (keys::FORMAT, u64::from(format::FORMAT_VERSION).to_le_bytes().to_vec()),
            (keys::DATABASE, Uuid::new_v4().as_bytes().to_vec()),
        ];
        let puts = rows.map(|(key, body)| Change::Put(Table::Meta, key.to_vec(), format::seal(key, body)));
        self.write(puts.to_vec(), Durability::Fsync)
    }

    /// The catalog and the last seqno, as stored.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn catalog(&self) -> Result<Catalog> {
        Catalog::read(&*self.rows)
    }

    /// The commit point: when it returns, the commit is as durable as asked, whole.
    ///
    /// # Errors
    /// `Io`, and `Poisoned` from then on.
    pub fn commit(&self, commit: Commit, durability: Durability) -> Result<()> {
        self.write(commit.into_changes(), durability)
    }

    /// Makes every earlier commit durable, whatever durability it was written with.
    ///
    /// # Errors
    /// `Io`, and `Poisoned` from then on.
    pub fn flush(&self) -> Result<()> {
        self.guarded(|| self.rows.flush())
    }

    pub(crate) fn write(&self, changes: Vec<Change>, durability: Durability) -> Result<()> {
        self.guarded(|| self.rows.write(changes, durability))
    }

    fn guarded(&self, write: impl FnOnce() -> Result<()>) -> Result<()> {
        self.check_sound()?;
        write().inspect_err(|error| {
            self.is_poisoned.store(true, Ordering::Release);
            tracing::error!(%error, "a write failed: the database refuses writes until it is opened anew");
        })?;
        // Another thread's may have failed meanwhile: then the log before this write may be lost, and it with that.
        self.check_sound()
    }

    fn check_sound(&self) -> Result<()> {
        if !self.is_poisoned() {
            return Ok(());
        }
        let message = "an earlier write failed, so nothing more is written; reading goes on. \
                       Mend the cause (see the first error) and open the database anew";
        Err(Error::new(ErrorKind::Poisoned, message))
    }

    /// Whether a write failed since the store was opened.
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Ordering::Acquire)
    }

    /// The counters of a collection.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn state(&self, collection: CollectionId) -> Result<CollectionState> {
        let body = self.read(Table::Manifest, &keys::state(collection))?;
        body.map_or(Ok(CollectionState::default()), |body| format::manifest::decode(&body))
    }

    /// Records the counters of a collection that no catalog entry owns yet.
    ///
    /// # Errors
    /// `Io`, and `Poisoned` from then on.
    pub fn set_state(&self, collection: CollectionId, state: &CollectionState) -> Result<()> {
        self.put_manifest(keys::state(collection), format::manifest::encode(state), Durability::None)
    }

    /// Up to where an index is durable, as recorded; 0 if nothing is.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn watermark(&self, collection: CollectionId, index: &str) -> Result<Seqno> {
        self.seqno_at(&keys::watermark(collection, index))
    }

    /// Records up to where an index is durable.
    ///
    /// # Errors
    /// `Io`, and `Poisoned` from then on.
    pub fn set_watermark(&self, collection: CollectionId, index: &str, seqno: Seqno) -> Result<()> {
        let (key, body) = (keys::watermark(collection, index), format::manifest::encode_seqno(seqno));
        self.put_manifest(key, body, Durability::None)?;
        waypoint::pass("watermark.written");
        Ok(())
    }

    /// Up to where the journal is trimmed: an index whose watermark is lower must be rebuilt.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn trimmed(&self, collection: CollectionId) -> Result<Seqno> {
        self.seqno_at(&keys::trimmed(collection))
    }

    /// The segments of a collection, if there is a list of them.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn segments(&self, collection: CollectionId) -> Result<Option<SegmentList>> {
        let body = self.read(Table::Manifest, &keys::segments(collection))?;
        body.map(|body| format::manifest::decode_segments(&body)).transpose()
    }

    /// Records the segments of a collection. Like every write it survives a crash only together with all commits
    /// before it.
    ///
    /// # Errors
    /// `Io`, and `Poisoned` from then on.
    pub fn set_segments(
        &self,
        collection: CollectionId,
        list: &SegmentList,
        durability: Durability,
    ) -> Result<()> {
        waypoint::pass("list.write");
        self.put_manifest(keys::segments(collection), format::manifest::encode_segments(list), durability)?;
        waypoint::pass("list.written");
        Ok(())
    }

    fn put_manifest(&self, key: Vec<u8>, body: Vec<u8>, durability: Durability) -> Result<()> {
        let value = format::seal(&key, body);
        self.write(vec![Change::Put(Table::Manifest, key, value)], durability)
    }

    fn seqno_at(&self, key: &[u8]) -> Result<Seqno> {
        let body = self.read(Table::Manifest, key)?;
        body.map_or(Ok(Seqno(0)), |body| format::manifest::decode_seqno(&body))
    }

    /// The current versions of points, in the order of the ids.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn versions(&self, collection: CollectionId, ids: &[PointId]) -> Result<Vec<Option<Version>>> {
        let keys: Vec<_> = ids.iter().map(|id| keys::point(collection, *id)).collect();
        self.read_many(Table::Points, &keys, point::decode_version)
    }

    /// The ids and payloads of versions, in their order; `None` for versions that are purged.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn payloads(
        &self,
        collection: CollectionId,
        versions: &[Version],
    ) -> Result<Vec<Option<(PointId, Payload)>>> {
        let keys: Vec<_> = versions.iter().map(|version| keys::payload(collection, *version)).collect();
        self.read_many(Table::Payloads, &keys, point::decode_payload)
    }

    /// Bytes of the payloads of versions as they are stored, with the ids of their points.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn payload_bytes(&self, collection: CollectionId, versions: &[Version]) -> Result<u64> {
        let keys: Vec<_> = versions.iter().map(|version| keys::payload(collection, *version)).collect();
        let bytes = self.read_many(Table::Payloads, &keys, |body| Ok(body.len() as u64))?;
        Ok(bytes.into_iter().flatten().sum())
    }

    /// One vector of each version, in their order; `None` where the point has none of that name.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn vectors(
        &self,
        entry: &CatalogEntry,
        name: &str,
        versions: &[Version],
    ) -> Result<Vec<Option<Vector>>> {
        let Some((number, space)) = entry.space(name) else { return Ok(vec![None; versions.len()]) };
        let keys: Vec<_> = versions.iter().map(|version| keys::vector(entry.id, number, *version)).collect();
        self.read_many(Table::Vectors, &keys, |body| point::decode_vector(space, body))
    }

    /// What the engine takes, and how it is doing.
    pub fn figures(&self) -> Figures {
        self.rows.figures()
    }

    /// Bytes of a collection's payloads, about, as far as files hold them.
    pub fn payload_bytes_stored(&self, collection: CollectionId) -> u64 {
        let (from, to) = keys::collection(collection);
        self.rows.bytes(Table::Payloads, &from, &to)
    }

    /// Gives back the room that a collection took which is removed. It may take long; [`close`](Self::close) ends it.
    pub fn reclaim(&self, collection: CollectionId) {
        let (from, to) = keys::collection(collection);
        self.rows.reclaim(&from, &to);
    }

    /// Ends what storage does in the background, and leaves nothing that only its log holds. For who knows that nothing
    /// is written any more; reading goes on, and what is dropped is closed.
    pub fn close(&self) {
        self.rows.close();
    }

    /// Whether there is room on the disk, beyond what is kept for making room.
    ///
    /// # Errors
    /// `StorageFull` when there is not; `Io`.
    pub fn check_room(&self, free_bytes_min: u64) -> Result<()> {
        match self.rows.free_bytes()? {
            Some(free) if free < free_bytes_min => {
                let message = format!(
                    "the disk has {} MiB free, and {} MiB are kept for deletes and for the tables of storage \
                     (`disk_free_bytes_min`): make room, then write again; deletes and reads go on",
                    free >> 20,
                    free_bytes_min >> 20
                );
                Err(Error::new(ErrorKind::StorageFull, message))
            }
            _ => Ok(()),
        }
    }

    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.rows.get(table, key)?;
        value.map(|value| format::unseal(table, key, &value).map(<[u8]>::to_vec)).transpose()
    }

    fn read_many<T>(
        &self,
        table: Table,
        keys: &[Vec<u8>],
        decode: impl Fn(&[u8]) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        let _span =
            tracing::info_span!("storage", kithdb.table = table.name(), kithdb.rows = keys.len()).entered();
        let values = self.rows.get_many(table, keys)?;
        let decode = |(key, value): (&Vec<u8>, Option<Vec<u8>>)| {
            value.map(|value| decode(format::unseal(table, key, &value)?)).transpose()
        };
        keys.iter().zip(values).map(decode).collect()
    }
}

fn check_format(body: &[u8]) -> Result<()> {
    let found = format::manifest::decode_seqno(body)?.0;
    if found > u64::from(format::FORMAT_VERSION) {
        let message = format!(
            "the directory has format {found}, this version reads up to {}; open it with the version that wrote it",
            format::FORMAT_VERSION
        );
        return Err(Error::new(ErrorKind::UnsupportedFormat, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JournalOp;
    use std::sync::{Arc, Barrier};
    use types::{Metric, Point, Schema};

    fn entry() -> CatalogEntry {
        CatalogEntry::new(CollectionId(1), "c", Schema::new().vector(2, Metric::Dot))
    }

    fn put(seqno: u64, id: u64, version: u64, old: Option<u64>) -> Commit {
        let mut commit = Commit::new(Seqno(seqno));
        let point = Point::new(id).vector([version as f32, 0.0]).with("v", version);
        commit.put_point(&entry(), Version(version), &point);
        let op = JournalOp::Put { id: PointId::Num(id), new: Version(version), old: old.map(Version) };
        let state = CollectionState { seqno: Seqno(seqno), next_version: Version(version + 1), points: 1 };
        commit.close_collection(CollectionId(1), &[op], &state);
        commit
    }

    #[test]
    fn commits_survive_a_new_opening_at_every_durability() {
        for durability in Durability::ALL {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Store::open(folder.path()).expect("a store");
            let mut first = put(1, 7, 0, None);
            first.put_collection(&entry());
            store.commit(first, durability).expect("a commit");
            drop(store);
            let store = Store::open(folder.path()).expect("a store");
            let catalog = store.catalog().expect("a catalog");
            assert_eq!((catalog.collections, catalog.seqno), (vec![entry()], Seqno(1)));
            let versions =
                store.versions(CollectionId(1), &[PointId::Num(7), PointId::Num(8)]).expect("reads");
            assert_eq!(versions, [Some(Version(0)), None]);
            assert_eq!(store.vectors(&entry(), "", &[Version(0)]).expect("reads"), [Some([0.0, 0.0].into())]);
        }
    }

    #[test]
    fn a_replaced_version_stays_readable_until_it_is_purged() {
        let store = Store::in_memory().expect("a store");
        store.commit(put(1, 7, 0, None), Durability::Fsync).expect("a commit");
        store.commit(put(2, 7, 1, Some(0)), Durability::Fsync).expect("a commit");
        let old = |store: &Store| store.payloads(CollectionId(1), &[Version(0)]).expect("reads").remove(0);
        assert!(old(&store).is_some());
        assert!(store.unlinked(CollectionId(1)).expect("a scan").contains(&Version(0)));
        assert_eq!(store.purge(&entry(), Seqno(2)).expect("a purge"), 1);
        assert!(old(&store).is_none());
        assert_eq!(store.trimmed(CollectionId(1)).expect("a read"), Seqno(2));
        assert!(store.unlinked(CollectionId(1)).expect("a scan").is_empty());
        assert!(store.verify().expect("a walk").faults.is_empty());
    }

    #[test]
    fn segments_are_listed_and_points_are_visited_from_a_version_on() {
        let store = Store::in_memory().expect("a store");
        for number in 0..5 {
            store.commit(put(number + 1, number, number, None), Durability::Wal).expect("a commit");
        }
        let id = CollectionId(1);
        assert_eq!(store.segments(id).expect("reads"), None);
        let list = SegmentList { seqno: Seqno(5), segments: Vec::new() };
        store.set_segments(id, &list, Durability::None).expect("a write");
        assert_eq!(store.segments(id).expect("reads"), Some(list));
        let mut seen = Vec::new();
        let mut visit = |stored: crate::StoredPoint| {
            seen.push((stored.version.0, stored.vectors.len()));
            Ok(())
        };
        store.for_each_point_from(&entry(), Version(3), &mut visit).expect("a scan");
        assert_eq!(seen, [(3, 1), (4, 1)]);
    }

    /// Rows whose fsync fails from a given write on, and whose flush may wait for two turns.
    struct FailingRows(MemoryRows, Arc<AtomicBool>, Option<Arc<Barrier>>);

    impl Rows for FailingRows {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.0.get(table, key)
        }
        fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
            self.0.get_many(table, keys)
        }
        fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: crate::rows::Visit<'_>) -> Result<()> {
            self.0.scan(table, from, to, visit)
        }
        fn write(&self, changes: Vec<Change>, durability: Durability) -> Result<()> {
            if self.1.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Io, "fsync: input/output error"));
            }
            self.0.write(changes, durability)
        }
        fn flush(&self) -> Result<()> {
            if let Some(turns) = &self.2 {
                turns.wait();
                turns.wait();
            }
            Ok(())
        }
        fn figures(&self) -> Figures {
            self.0.figures()
        }
        fn bytes(&self, table: Table, from: &[u8], to: &[u8]) -> u64 {
            self.0.bytes(table, from, to)
        }
    }

    #[test]
    fn after_a_failed_fsync_nothing_is_written_although_the_disk_recovers() {
        let fails = Arc::new(AtomicBool::new(false));
        let rows = FailingRows(MemoryRows::default(), Arc::clone(&fails), None);
        let store = Store::over(Box::new(rows)).expect("a store");
        store.commit(put(1, 7, 0, None), Durability::Fsync).expect("a commit");
        fails.store(true, Ordering::Relaxed);
        let error = store.commit(put(2, 8, 1, None), Durability::Fsync).expect_err("the disk fails");
        assert_eq!(error.kind(), ErrorKind::Io);
        fails.store(false, Ordering::Relaxed);
        let error = store.commit(put(2, 8, 1, None), Durability::Fsync).expect_err("still refused");
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert_eq!(store.flush().expect_err("refused too").kind(), ErrorKind::Poisoned);
        assert!(store.payloads(CollectionId(1), &[Version(0)]).expect("reads go on")[0].is_some());
    }

    #[test]
    fn what_runs_beside_a_write_that_fails_is_not_acknowledged() {
        let (fails, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(2)));
        let rows = FailingRows(MemoryRows::default(), Arc::clone(&fails), Some(Arc::clone(&turns)));
        let store = Store::over(Box::new(rows)).expect("a store");
        std::thread::scope(|scope| {
            let flushed = scope.spawn(|| store.flush());
            turns.wait();
            fails.store(true, Ordering::Relaxed);
            let error = store.commit(put(1, 7, 0, None), Durability::Fsync).expect_err("the disk fails");
            assert_eq!(error.kind(), ErrorKind::Io);
            turns.wait();
            let error = flushed.join().expect("no panic").expect_err("a write failed meanwhile");
            assert_eq!(error.kind(), ErrorKind::Poisoned);
        });
    }

    #[test]
    fn a_newer_format_is_refused_in_plain_words() {
        let rows = MemoryRows::default();
        let value = format::seal(keys::FORMAT, 99_u64.to_le_bytes().to_vec());
        rows.write(vec![Change::Put(Table::Meta, keys::FORMAT.to_vec(), value)], Durability::Fsync)
            .expect("a write");
        let Err(error) = Store::over(Box::new(rows)) else { panic!("format 99") };
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    }
}
