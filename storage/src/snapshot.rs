//! Collections written to a snapshot, and read from one into rows.
//!
//! What is written is rows by version, which never change while a view holds them: so writers go on meanwhile. What is
//! read goes under a number that no catalog entry has yet, and becomes a collection by the commit that adds one.
//! Invariant: a mark stands beside rows that no entry owns; whoever opens the store finds it, and removes them.
//! Cost: every row of the points once; a block of points in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};
use types::{
    CollectionId, Durability, Error, ErrorKind, Limits, Metric, Result, Seqno, Vector, VectorSpec, Version,
    payload, vector, waypoint,
};

use crate::format::point::Space;
use crate::format::snapshot::{HEAD, Record, SNAPSHOT_VERSION, collection_file, points_file};
use crate::format::{self, keys, point};
use crate::rows::{Change, Table};
use crate::tar::{TarReader, TarWriter};
use crate::{CatalogEntry, Commit, Store};

/// Points whose rows are written at once, and about how many bytes of theirs.
const BLOCK_POINTS: usize = 1024;
const BLOCK_BYTES: usize = 16 << 20;

/// How far from 1 the length of a stored vector may be under cosine: some more than any type of elements rounds.
const LENGTH_SLACK: f64 = 0.01;

/// The description of a collection is small.
const DESCRIPTION_BYTES_MAX: u64 = 64 << 20;

/// Writes a snapshot.
pub struct SnapshotWriter {
    tar: TarWriter,
    collections: usize,
}

/// Reads a snapshot from its beginning.
pub struct SnapshotReader<R> {
    tar: TarReader<R>,
    collections: usize,
    /// Points of the collection that was begun, and of these, what was read.
    points: u64,
    seen: u64,
}

impl SnapshotWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(path: &Path, seqno: Seqno, aliases: &BTreeMap<String, String>) -> Result<Self> {
        let mut tar = TarWriter::new(File::create(path)?);
        tar.begin(HEAD)?;
        let head = json!({"format": SNAPSHOT_VERSION, "seqno": seqno.0, "aliases": aliases});
        tar.put(head.to_string().as_bytes())?;
        Ok(Self { tar, collections: 0 })
    }

    /// Begins a collection, of which so many points will follow.
    ///
    /// # Errors
    /// `Io`.
    pub fn begin(&mut self, entry: &CatalogEntry, points: u64) -> Result<()> {
        let body = format::catalog::encode(entry);
        let entry: Value = serde_json::from_slice(&body).expect("an entry is JSON");
        self.tar.begin(&collection_file(self.collections))?;
        self.tar.put(json!({"points": points, "entry": entry}).to_string().as_bytes())?;
        self.tar.begin(&points_file(self.collections))?;
        self.collections += 1;
        Ok(())
    }

    /// Appends points by their versions.
    ///
    /// # Errors
    /// `Corrupted` when one is not there; `Io`.
    pub fn put(&mut self, store: &Store, entry: &CatalogEntry, versions: &[Version]) -> Result<()> {
        for versions in versions.chunks(BLOCK_POINTS) {
            let mut records = Vec::with_capacity(versions.len());
            for (row, version) in store.payloads(entry.id, versions)?.into_iter().zip(versions) {
                let (id, payload) = row.ok_or_else(|| {
                    Error::corrupted(format!("the payload of version {}", version.0), "its row is missing")
                })?;
                records.push(Record { payload: point::encode_payload(id, &payload), vectors: Vec::new() });
            }
            for name in entry.schema.names() {
                let Some((number, space)) = entry.space(name) else { continue };
                for (record, vector) in records.iter_mut().zip(store.vectors(entry, name, versions)?) {
                    let body = vector.map(|vector| point::encode_vector(space, &vector));
                    record.vectors.extend(body.map(|body| (number, body)));
                }
            }
            records.iter().try_for_each(|record| self.put_record(record))?;
            waypoint::pass("snapshot.points");
        }
        Ok(())
    }

    pub(crate) fn put_record(&mut self, record: &Record) -> Result<()> {
        self.tar.put(&record.encode())
    }

    /// Ends the file, durably.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(self) -> Result<()> {
        self.tar.finish()?;
        waypoint::pass("snapshot.durable");
        Ok(())
    }
}

impl<R: Read> SnapshotReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// `InvalidArgument` when it is no snapshot; `UnsupportedFormat` when a newer version wrote it; `Io`.
    pub fn open(from: R) -> Result<Self> {
        let mut reader = Self { tar: TarReader::new(from), collections: 0, points: 0, seen: 0 };
        let none = || Error::new(ErrorKind::InvalidArgument, "is no snapshot of this engine");
        let head = reader.description(HEAD).map_err(|error| none().with_source(error))?.ok_or_else(none)?;
        match head["format"].as_u64() {
            Some(version) if version <= SNAPSHOT_VERSION => Ok(reader),
            Some(version) => Err(Error::new(
                ErrorKind::UnsupportedFormat,
                format!("the snapshot has format {version}, this version reads up to {SNAPSHOT_VERSION}"),
            )),
            None => Err(none()),
        }
    }

    /// The next collection, as the entry of this number; nothing at the end. Its points follow.
    ///
    /// # Errors
    /// `Corrupted`, `Io`.
    pub fn advance(&mut self, id: CollectionId) -> Result<Option<CatalogEntry>> {
        let Some(told) = self.description(&collection_file(self.collections))? else { return Ok(None) };
        let points =
            told["points"].as_u64().ok_or_else(|| damaged("it does not say how many points it has"))?;
        let entry = format::catalog::decode(id, told["entry"].to_string().as_bytes())?;
        if entry.spaces.values().collect::<BTreeSet<_>>().len() < entry.spaces.len() {
            return Err(damaged("two vectors have the same number"));
        }
        match self.tar.advance()? {
            Some((name, _)) if name == points_file(self.collections) => {}
            _ => return Err(damaged("it has no points")),
        }
        (self.points, self.seen) = (points, 0);
        self.collections += 1;
        Ok(Some(entry))
    }

    /// The next file, which is JSON of this name.
    fn description(&mut self, name: &str) -> Result<Option<Value>> {
        let Some((found, _)) = self.tar.advance()? else { return Ok(None) };
        if found != name {
            return Err(damaged("a file is not where it should be"));
        }
        let mut text = Vec::new();
        self.tar.by_ref().take(DESCRIPTION_BYTES_MAX).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map(Some).map_err(|source| damaged(&source.to_string()))
    }

    /// The next point of the collection that was begun; nothing behind the last.
    fn record(&mut self) -> Result<Option<Record>> {
        let record = Record::read(&mut self.tar)?;
        self.seen += u64::from(record.is_some());
        if record.is_none() && self.seen != self.points {
            return Err(damaged("it has another number of points than it says"));
        }
        Ok(record)
    }
}

fn damaged(why: &str) -> Error {
    Error::corrupted("the snapshot", why)
}

impl Commit {
    /// Marks a number whose rows belong to no collection yet.
    pub fn begin_restore(&mut self, id: CollectionId) {
        self.put(Table::Meta, keys::restore(id), Vec::new());
    }

    /// Takes the mark away: a catalog entry owns the rows from now on, or they are gone.
    pub fn end_restore(&mut self, id: CollectionId) {
        self.remove(Table::Meta, keys::restore(id));
    }
}

impl Store {
    /// Writes the points of the collection that a snapshot has begun, under the number of the entry, which must be
    /// marked, as long as `check` passes; how many there were. They are durable with the next commit that is.
    ///
    /// # Errors
    /// `Corrupted` for a point that the entry does not admit, or that is there twice; `LimitExceeded`; what `check`
    /// returns; `Io`, and `Poisoned` from then on.
    pub fn restore<R: Read>(
        &self,
        entry: &CatalogEntry,
        from: &mut SnapshotReader<R>,
        limits: &Limits,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<u64> {
        let (mut version, mut changes, mut points, mut bytes) = (Version(0), Vec::new(), 0, 0);
        while let Some(record) = from.record()? {
            bytes += record.payload.len() + record.vectors.iter().map(|(_, body)| body.len()).sum::<usize>();
            points += 1;
            push_point((entry, limits), version, record, &mut changes)?;
            version = Version(version.0 + 1);
            if points == BLOCK_POINTS || bytes >= BLOCK_BYTES {
                check()?;
                self.write(std::mem::take(&mut changes), Durability::None)?;
                (points, bytes) = (0, 0);
            }
        }
        check()?;
        self.write(changes, Durability::None)?;
        waypoint::pass("restore.block");
        let mut ids = 0;
        self.for_each_id(entry.id, None, &mut |_, _| {
            ids += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        if ids == version.0 { Ok(ids) } else { Err(damaged("a point is there twice")) }
    }

    /// Removes rows that a snapshot was read into and that no entry owns: a crash came in between.
    pub(crate) fn sweep(&self) -> Result<()> {
        let mut changes = Vec::new();
        let to = [keys::RESTORE, &[0xff; 5]].concat();
        self.rows.scan(Table::Meta, keys::RESTORE, &to, &mut |key, value| {
            // Under a key that is damaged the rows of another collection would go.
            format::unseal(Table::Meta, key, value)?;
            let id = key.get(1..).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
            let id = id.ok_or_else(|| format::damage(Table::Meta, key, "its key has no such shape"))?;
            let (from, to) = keys::collection(CollectionId(id));
            for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
                changes.push(Change::RemoveRange(table, from.clone(), to.clone()));
            }
            changes.push(Change::Remove(Table::Meta, key.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        if changes.is_empty() { Ok(()) } else { self.write(changes, Durability::Fsync) }
    }
}

/// The rows of a point, once everything in them can be read, and could have been written here.
fn push_point(
    (entry, limits): (&CatalogEntry, &Limits),
    version: Version,
    record: Record,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let (id, payload) = point::decode_payload(&record.payload)?;
    payload::check(&payload, limits)?;
    let mut put = |table, key: Vec<u8>, body| {
        let value = format::seal(&key, body);
        changes.push(Change::Put(table, key, value));
    };
    put(Table::Points, keys::point(entry.id, id), point::encode_version(version));
    put(Table::Payloads, keys::payload(entry.id, version), record.payload);
    for (number, body) in record.vectors {
        let name = entry.spaces.iter().find(|(_, other)| **other == number).map(|(name, _)| name);
        let space = name.and_then(|name| entry.space(name));
        let (_, space) = space.ok_or_else(|| damaged("a point has a vector that its collection has not"))?;
        match (space, point::decode_vector(space, &body)?) {
            (Space::Dense(spec), Vector::Dense(elements)) => check_row(spec, elements)?,
            (Space::Multi(spec), Vector::Multi(rows)) => {
                let (count, most) = (rows.len(), limits.multi_rows_max);
                if count > most {
                    return Err(Error::limit("vector", "the number of rows of a multivector", count, most));
                }
                rows.into_iter().try_for_each(|row| check_row(spec, row))?;
            }
            (Space::Sparse, Vector::Sparse(mut vector)) => vector.check(limits).map_err(refused)?,
            _ => return Err(damaged("a vector is of another kind")),
        }
        put(Table::Vectors, keys::vector(entry.id, number, version), body);
    }
    Ok(())
}

/// The error of a vector that could not be written.
fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::LimitExceeded => error,
        _ => damaged(&format!("a vector: {error}")),
    }
}

/// What has no distances is no vector, and under cosine what is not as long as it is taken for.
fn check_row(spec: &VectorSpec, mut row: Vec<f32>) -> Result<()> {
    let length = row.iter().map(|element| f64::from(*element).powi(2)).sum::<f64>().sqrt();
    vector::check(&mut row, spec.dim, spec.metric).map_err(refused)?;
    if spec.metric == Metric::Cosine && length > 0.0 && (length - 1.0).abs() > LENGTH_SLACK {
        return Err(damaged(&format!("a vector has the length {length}, and under Cosine 1 is stored")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Datatype, Point, Schema, SparseSpec, SparseVector};

    fn entry(id: u32) -> CatalogEntry {
        let schema = Schema::new().vector(2, Metric::Dot).sparse_vector("s", SparseSpec::default());
        CatalogEntry::new(CollectionId(id), "c", schema)
    }

    fn points() -> Vec<Point> {
        let point = |id: u64| {
            let mut point = Point::new(id).with("n", id);
            if !id.is_multiple_of(3) {
                point.vectors.push((String::new(), vec![id as f32, 0.5].into()));
            }
            if !id.is_multiple_of(2) {
                point.vectors.push(("s".to_owned(), SparseVector::of([(id as u32, 1.0)]).into()));
            }
            point
        };
        (0..10).map(point).collect()
    }

    fn written(store: &Store, path: &Path) {
        let mut commit = Commit::new(Seqno(1));
        for (version, point) in (0..).zip(points()) {
            commit.put_point(&entry(1), Version(version), &point);
        }
        store.commit(commit, Durability::Fsync).expect("a commit");
        let mut writer = SnapshotWriter::create(path, Seqno(1), &BTreeMap::new()).expect("a file");
        writer.begin(&entry(1), 10).expect("begun");
        let versions: Vec<Version> = (0..10).map(Version).collect();
        versions.chunks(4).for_each(|some| writer.put(store, &entry(1), some).expect("written"));
        writer.finish().expect("finished");
    }

    fn read(store: &Store, bytes: &[u8], id: u32) -> Result<u64> {
        let mut reader = SnapshotReader::open(bytes)?;
        let entry = reader.advance(CollectionId(id))?.ok_or_else(|| damaged("it is empty"))?;
        let points = store.restore(&entry, &mut reader, &Limits::default(), &|| Ok(()))?;
        assert!(reader.advance(CollectionId(id))?.is_none());
        Ok(points)
    }

    #[test]
    fn points_come_back_as_they_were_and_damage_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, path) = (Store::in_memory().expect("a store"), folder.path().join("s"));
        written(&store, &path);
        let bytes = std::fs::read(&path).expect("reads");
        assert_eq!(read(&store, &bytes, 7).expect("restored"), 10);
        let mut seen = Vec::new();
        let mut visit = |stored: crate::StoredPoint| {
            seen.push(Point { id: stored.id, payload: stored.payload, vectors: stored.vectors });
            Ok(())
        };
        store.for_each_point_from(&entry(7), Version(0), &mut visit).expect("a scan");
        assert_eq!(seen, points());
        let step = bytes.len() / 37;
        for at in (0..bytes.len() - 1024).step_by(step) {
            assert!(read(&store, &bytes[..at], 8).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn points_that_could_not_be_written_are_refused() {
        let spec = VectorSpec::new(2, Metric::Cosine).stored_as(Datatype::Float16);
        let schema = Schema::new()
            .named_vector("c", spec)
            .named_vector("d", VectorSpec::new(2, Metric::Dot))
            .multi_vector("m", VectorSpec::new(2, Metric::Cosine))
            .sparse_vector("s", SparseSpec::default());
        let entry = CatalogEntry::new(CollectionId(1), "c", schema);
        let limits =
            Limits { multi_rows_max: 2, payload_bytes_max: 20, payload_depth_max: 2, ..Limits::default() };
        let pushed = |point: Point| {
            let vectors = point.vectors.iter().map(|(name, vector)| {
                let (number, space) = entry.space(name).expect("a space");
                (number, point::encode_vector(space, vector))
            });
            let payload = point::encode_payload(point.id, &point.payload);
            let record = Record { payload, vectors: vectors.collect() };
            push_point((&entry, &limits), Version(0), record, &mut Vec::new())
        };
        let rows = |count: usize| Vector::Multi(vec![vec![0.6, 0.8]; count]);
        let sound = Point::new(1).named_vector("c", [0.6, 0.8]).named_vector("d", [3.0, 4.0]);
        let sound = sound.named_vector("m", rows(2)).with("text", "short");
        pushed(sound.clone()).expect("it could be written");
        pushed(sound.clone().named_vector("c", [0.0, 0.0])).expect("no direction is none");
        let cases = [
            (sound.clone().named_vector("c", [3.0, 4.0]), ErrorKind::Corrupted),
            (sound.clone().named_vector("d", [1e30, 0.0]), ErrorKind::Corrupted),
            (sound.clone().named_vector("d", [f32::NAN, 0.0]), ErrorKind::Corrupted),
            (sound.clone().named_vector("m", Vector::Multi(vec![vec![3.0, 4.0]])), ErrorKind::Corrupted),
            (sound.clone().named_vector("m", rows(3)), ErrorKind::LimitExceeded),
            (sound.clone().with("text", "x".repeat(20)), ErrorKind::LimitExceeded),
            (sound.with("text", json!([[1]])), ErrorKind::LimitExceeded),
        ];
        for (point, kind) in cases {
            assert_eq!(pushed(point.clone()).expect_err("refused").kind(), kind, "{point:?}");
        }
    }

    #[test]
    fn rows_that_no_entry_owns_are_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let store = Store::open(&folder.path().join("db")).expect("a store");
        written(&store, &path);
        let mut commit = Commit::new(Seqno(2));
        commit.begin_restore(CollectionId(7));
        store.commit(commit, Durability::Fsync).expect("a commit");
        read(&store, &std::fs::read(&path).expect("reads"), 7).expect("restored");
        store.flush().expect("flushed");
        let count = |store: &Store, id: u32| {
            let mut count = 0;
            let mut visit = |_: crate::StoredPoint| {
                count += 1;
                Ok(())
            };
            store.for_each_point_from(&entry(id), Version(0), &mut visit).expect("a scan");
            count
        };
        assert_eq!((count(&store, 1), count(&store, 7)), (10, 10));
        drop(store);
        let store = Store::open(&folder.path().join("db")).expect("a store");
        assert_eq!((count(&store, 1), count(&store, 7)), (10, 0));
        store.sweep().expect("nothing is left to sweep");
    }
}
