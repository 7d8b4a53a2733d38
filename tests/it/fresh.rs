//! A number that is larger than all that a collection has had is not looked up before it is put. Random writes of such
//! ids, and of others among them, beside a plain map: a point that is there and is taken for new would be there twice.
//!
//! Ids come again in one commit, after a delete, behind a write that was refused, from several threads at once, from an
//! import, after a recovery, a restart, and in another collection of the same name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kithdb::arrow::array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, RecordBatchIterator};
use kithdb::arrow::datatypes::Float32Type;
use kithdb::bulk::{ImportOptions, Imported};
use kithdb::{
    Change, Collection, Database, Durability, ErrorKind, Filter, Limits, Metric, Op, Options, Payload, Point,
    PointId, Schema, Segments, Select, Selection, Value,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;

const NAME: &str = "notes";

/// More points than a case makes.
const ALL: usize = 1_000;

/// An id, by what the collection has had.
#[derive(Clone, Debug)]
enum Pick {
    /// So far behind the largest number.
    Behind(u64),
    /// One that it had.
    Had(Index),
    Small(u64),
    /// So far before the end of all numbers.
    Last(u64),
    Name(&'static str),
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<Pick>),
    /// Changed in the commit that puts it.
    PutAndChange(Pick),
    /// Put where it is not there.
    Create(Pick),
    Delete(Vec<Pick>),
    /// Puts, behind which the commit fails.
    Refuse(Vec<Pick>),
    /// What each of several threads puts, one by one.
    AtOnce(Vec<Vec<Pick>>),
    /// So many rows that get their ids.
    Import(u8),
    Snapshot,
    /// What the last snapshot has.
    Recover,
    Rebuild,
    Reopen,
    Recreate,
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        8 => (0..3_u64).prop_map(Pick::Behind),
        4 => any::<Index>().prop_map(Pick::Had),
        2 => (0..8_u64).prop_map(Pick::Small),
        1 => (0..2_u64).prop_map(Pick::Last),
        1 => select(vec!["a", "b"]).prop_map(Pick::Name),
    ]
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    prop::collection::vec(pick(), 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => picks().prop_map(Step::Put),
        3 => pick().prop_map(Step::PutAndChange),
        3 => pick().prop_map(Step::Create),
        4 => picks().prop_map(Step::Delete),
        3 => picks().prop_map(Step::Refuse),
        4 => prop::collection::vec(picks(), 2..4).prop_map(Step::AtOnce),
        3 => (1..6_u8).prop_map(Step::Import),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Recover),
        1 => Just(Step::Rebuild),
        1 => Just(Step::Reopen),
        1 => Just(Step::Recreate),
    ]
}

/// A database in a folder, and what should be in it.
struct World {
    folder: tempfile::TempDir,
    /// Absent only while it is opened anew.
    db: Option<Database>,
    points: BTreeMap<PointId, Point>,
    largest: Option<u64>,
    had: Vec<PointId>,
    /// Each point says which write put it.
    writes: u32,
    /// Its file, and what it has.
    snapshot: Option<(PathBuf, BTreeMap<PointId, Point>)>,
}

fn schema() -> Schema {
    Schema::new().vector(2, Metric::Euclid)
}

fn number(id: &PointId) -> Option<u64> {
    match id {
        PointId::Num(number) => Some(*number),
        PointId::Uuid(_) => None,
    }
}

/// Heads are full in the midst of a commit.
fn open(folder: &tempfile::TempDir) -> Database {
    let segments = Segments { seal_rows: 7, ..Segments::default() };
    let options = Options { segments, durability: Durability::Wal, ..Options::default() };
    Database::open_with(folder.path().join("db"), options).expect("a database")
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = open(&folder);
        db.create_collection(NAME, schema()).expect("a collection");
        let (points, had) = (BTreeMap::new(), Vec::new());
        Self { folder, db: Some(db), points, largest: None, had, writes: 0, snapshot: None }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().expect("open between steps")
    }

    fn collection(&self) -> Collection {
        self.db().collection(NAME).expect("the collection")
    }

    fn id(&self, pick: &Pick) -> PointId {
        match pick {
            Pick::Behind(by) => {
                PointId::Num(self.largest.map_or(*by, |largest| largest.saturating_add(1 + by)))
            }
            Pick::Had(_) if self.had.is_empty() => PointId::Num(0),
            Pick::Had(nth) => *nth.get(&self.had),
            Pick::Small(number) => PointId::Num(*number),
            Pick::Last(before) => PointId::Num(u64::MAX - before),
            Pick::Name(name) => PointId::from_name(name),
        }
    }

    fn point(&mut self, id: PointId) -> Point {
        self.writes += 1;
        Point::new(id).vector([self.writes as f32, 1.0]).with("n", self.writes)
    }

    fn made(&mut self, picks: &[Pick]) -> Vec<Point> {
        let ids: Vec<PointId> = picks.iter().map(|pick| self.id(pick)).collect();
        ids.into_iter().map(|id| self.point(id)).collect()
    }

    /// Notes a point that was put.
    fn keep(&mut self, point: Point) {
        self.largest = self.largest.max(number(&point.id));
        self.had.push(point.id);
        self.points.insert(point.id, point);
    }

    fn act(&mut self, step: &Step) {
        match step {
            Step::Put(picks) => {
                let points = self.made(picks);
                self.collection().upsert(points.clone()).expect("points");
                points.into_iter().for_each(|point| self.keep(point));
            }
            Step::PutAndChange(pick) => self.put_and_change(pick),
            Step::Create(pick) => self.create(pick),
            Step::Delete(picks) => {
                let ids: Vec<PointId> = picks.iter().map(|pick| self.id(pick)).collect();
                self.collection().delete(ids.clone()).expect("a delete");
                self.points.retain(|id, _| !ids.contains(id));
            }
            Step::Refuse(picks) => {
                let mut ops: Vec<Op> = self.made(picks).into_iter().map(Op::Upsert).collect();
                ops.push(Op::Require { id: PointId::from_name("nobody"), if_version: 1 });
                let error = self.collection().apply(ops).expect_err("nobody has this version");
                assert_eq!(error.kind(), ErrorKind::Conflict);
            }
            Step::AtOnce(threads) => self.put_at_once(threads),
            Step::Import(rows) => self.import(u64::from(*rows)),
            Step::Snapshot => self.take_snapshot(),
            Step::Recover => self.recover(),
            Step::Rebuild => self.db().rebuild().expect("a rebuild"),
            Step::Reopen => self.reopen(),
            Step::Recreate => {
                assert!(self.db().drop_collection(NAME).expect("a drop"));
                self.db().create_collection(NAME, schema()).expect("a collection");
                self.points.clear();
            }
        }
    }

    fn put_and_change(&mut self, pick: &Pick) {
        let point = self.point(self.id(pick));
        let payload = Payload::from_iter([("m".to_owned(), 1.into())]);
        let change = Change::SetPayload { payload, path: None };
        let ops = vec![Op::Upsert(point.clone()), Op::Change(Selection::Ids(vec![point.id]), change)];
        self.collection().apply(ops).expect("a point that is changed");
        self.keep(point.with("m", 1));
    }

    fn create(&mut self, pick: &Pick) {
        let point = self.point(self.id(pick));
        let ops = vec![Op::Require { id: point.id, if_version: 0 }, Op::Upsert(point.clone())];
        match self.collection().apply(ops) {
            Ok(_) => {
                assert!(!self.points.contains_key(&point.id), "{} was there", point.id);
                self.keep(point);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(self.points.contains_key(&point.id), "{} was not there", point.id);
            }
        }
    }

    /// An id belongs to the first thread that has it, so that its last write is known.
    fn put_at_once(&mut self, threads: &[Vec<Pick>]) {
        let (mut owners, mut all) = (BTreeMap::new(), Vec::new());
        for (thread, picks) in threads.iter().enumerate() {
            let ids: Vec<PointId> = picks.iter().map(|pick| self.id(pick)).collect();
            let owned = ids.into_iter().filter(|id| *owners.entry(*id).or_insert(thread) == thread);
            all.push(owned.map(|id| self.point(id)).collect::<Vec<Point>>());
        }
        let collection = self.collection();
        thread::scope(|scope| {
            for points in &all {
                let collection = &collection;
                scope.spawn(move || {
                    for point in points {
                        collection.upsert(vec![point.clone()]).expect("a point");
                    }
                });
            }
        });
        all.into_iter().flatten().for_each(|point| self.keep(point));
    }

    /// Rows get the numbers behind the largest of the points that there are, or none where these end.
    fn import(&mut self, rows: u64) {
        let largest = self.points.keys().filter_map(number).max();
        let first = largest.map_or(Some(0), |largest| largest.checked_add(1));
        let ids: Option<Vec<u64>> =
            first.and_then(|first| (0..rows).map(|row| first.checked_add(row)).collect());
        let made: Vec<u32> = (0..rows as u32).map(|row| self.writes + 1 + row).collect();
        self.writes += rows as u32;
        match (imported(&self.collection(), &made), ids) {
            (Ok(imported), Some(ids)) => {
                assert_eq!(imported.rows, rows);
                for (id, n) in ids.into_iter().zip(made) {
                    self.keep(Point::new(id).vector([n as f32, 1.0]).with("n", n));
                }
            }
            (Err(error), None) => assert_eq!(error.field(), Some("id")),
            (imported, ids) => panic!("{imported:?}, and {ids:?} were expected"),
        }
    }

    fn take_snapshot(&mut self) {
        let made = self.db().create_snapshot(Some(NAME)).expect("a snapshot");
        let path = self.db().snapshot_path(Some(NAME), &made.name).expect("its file");
        let copy = self.folder.path().join("copy");
        std::fs::copy(path, &copy).expect("a copy");
        self.snapshot = Some((copy, self.points.clone()));
    }

    fn recover(&mut self) {
        if let Some((path, points)) = &self.snapshot {
            self.db().recover_collection(NAME, path, None).expect("recovered");
            self.points = points.clone();
        }
    }

    fn reopen(&mut self) {
        self.db = None;
        self.db = Some(open(&self.folder));
    }

    /// Each point is there once, as it was put last.
    fn check(&self) {
        let collection = self.collection();
        let page = collection.scroll(&Filter::default(), None, ALL, &Select::all()).expect("a page");
        let expected: Vec<&Point> = self.points.values().collect();
        assert_eq!(page.points.iter().collect::<Vec<&Point>>(), expected);
        assert_eq!(collection.status().points, expected.len());
        let hits = collection.query().nearest([0.0, 1.0]).limit(ALL).exact().run().expect("hits");
        let mut found: Vec<PointId> = hits.iter().map(|hit| hit.id).collect();
        found.sort_unstable();
        assert!(found.iter().eq(self.points.keys()), "{found:?}");
    }
}

/// Imports rows with these values, of which none has an id.
fn imported(collection: &Collection, made: &[u32]) -> kithdb::Result<Imported> {
    let vectors = made.iter().map(|n| Some([Some(*n as f32), Some(1.0)]));
    let vectors: ArrayRef =
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(made.iter().map(|n| i64::from(*n))));
    let batch = RecordBatch::try_from_iter([("emb", vectors), ("n", numbers)]).expect("columns");
    let schema = batch.schema();
    collection.import(RecordBatchIterator::new([Ok(batch)], schema), &ImportOptions::default(), &mut |_| ())
}

fn config() -> Config {
    Config { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ids_that_are_put_without_a_look_are_there_once(steps in prop::collection::vec(step(), 1..24)) {
        let mut world = World::new();
        for step in &steps {
            world.act(step);
            world.check();
        }
        assert_eq!(world.db().verify().expect("a walk").faults, []);
        world.reopen();
        world.check();
    }
}

fn n(point: &Point) -> Option<i64> {
    point.payload.get("n").and_then(Value::as_i64)
}

/// Whoever requires that a point is not there yet, and is told that it was so, keeps it; and no row is lost.
#[test]
fn a_number_is_given_to_one_of_those_who_want_it() {
    const ROWS: i64 = 400;
    let limits = Limits { batch_points_max: 4, ..Limits::default() };
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let notes = db.create_collection(NAME, Schema::new()).expect("a collection");
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).expect("a column");
    let batches = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
    let (tries, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let taken = thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let (mut largest, mut taken) = (0, Vec::new());
            while !is_over.load(Ordering::Acquire) {
                let from = Some(PointId::Num(largest));
                let page = notes.scroll(&Filter::default(), from, 10_000, &Select::none()).expect("a page");
                largest = page.points.iter().filter_map(|point| number(&point.id)).max().unwrap_or(0);
                let id = PointId::Num(largest + 1 + taken.len() as u64 % 3);
                let ops = vec![Op::Require { id, if_version: 0 }, Op::Upsert(Point::new(id).with("n", -1))];
                match notes.apply(ops) {
                    Ok(_) => taken.push(id),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                }
                tries.fetch_add(1, Ordering::AcqRel);
                // Long beside a commit: whoever imports gives up where others are always faster.
                thread::sleep(Duration::from_millis(2));
            }
            taken
        });
        let imported = notes.import(batches, &ImportOptions::default(), &mut |progress| {
            // Among the first commits others come in between.
            let is_ahead = || tries.load(Ordering::Acquire) < progress.rows as usize;
            while progress.rows < 40 && is_ahead() && !taker.is_finished() {
                thread::yield_now();
            }
        });
        is_over.store(true, Ordering::Release);
        let taken = taker.join().expect("no panic");
        assert_eq!(imported.expect("imported").rows, ROWS as u64);
        taken
    });
    let points = notes.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("a page").points;
    let (theirs, ours): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|point| n(point) == Some(-1));
    let mut rows: Vec<i64> = ours.into_iter().filter_map(n).collect();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..ROWS), "a row is missing, or there twice");
    assert!(!taken.is_empty());
    assert!(theirs.into_iter().map(|point| point.id).eq(taken), "what was taken is another's");
}
