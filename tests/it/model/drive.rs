//! Runs the actions on the database and on the model, side by side.

use std::time::Duration;

use kithdb::{
    Collection, Database, ErrorKind, Options, Point, Result, Segments, Select, Seqno, Transaction, VectorSpec,
};

use super::draft::{Action, Change};
use super::plain::{MULTI, Plain, SPARSE};
use super::writes::Fault;

/// A database in a folder, and what should be in it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    /// Absent only while it is reopened.
    db: Option<Database>,
    plains: [Plain; 2],
    last: Seqno,
    seal_rows: u32,
}

/// Past one keyword commit, and the maintenance turn after it.
const REST: Duration = Duration::from_millis(1_500);

impl World {
    pub(crate) fn new([first, second, third]: [VectorSpec; 3], seal_rows: u32) -> Self {
        let plains =
            [Plain::new("one", vec![("", first)]), Plain::new("two", vec![("x", second), ("y", third)])];
        let folder = tempfile::tempdir().expect("a folder");
        let db = open(&folder, seal_rows);
        for plain in &plains {
            db.create_collection(plain.name, plain.schema()).expect("a collection");
        }
        Self { folder, db: Some(db), plains, last: Seqno(0), seal_rows }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().expect("open between actions")
    }

    fn collection(&self, which: usize) -> Collection {
        self.db().collection(self.plains[which].name).expect("the collection")
    }

    pub(crate) fn act(&mut self, action: &Action) {
        match action {
            Action::Apply(which, changes) => self.apply(*which, changes),
            Action::Transaction(changes) => self.transact(changes),
            Action::CreateField(which, path, kind) => {
                let path = path.parse().expect("a path");
                self.collection(*which).create_field(path, *kind).expect("a field index");
            }
            Action::DropField(which, path) => {
                self.collection(*which).drop_field(path.parse().expect("a path")).expect("no field index");
            }
            Action::Ask(which, question) => question.ask(&self.collection(*which), &self.plains[*which]),
            Action::Recreate(which) => self.recreate(*which),
            Action::Reopen => self.reopen(),
            Action::Rebuild => self.db().rebuild().expect("a rebuild"),
            Action::Optimize(which, wait) => {
                self.collection(*which).optimize(*wait).expect("a segment");
            }
            Action::Flush => self.db().flush().expect("a flush"),
            Action::Rest => std::thread::sleep(REST),
        }
    }

    fn apply(&mut self, which: usize, changes: &[Change]) {
        let ops = self.plains[which].ops(changes);
        let mut after = self.plains[which].clone();
        let fault = after.bad_vector(&ops).or_else(|| after.apply(&ops));
        let receipt = self.collection(which).apply(ops);
        if self.accepted(receipt, fault) {
            self.plains[which] = after;
        }
    }

    fn transact(&mut self, changes: &[Vec<Change>; 2]) {
        let ops = [0, 1].map(|which| self.plains[which].ops(&changes[which]));
        let mut after = self.plains.clone();
        let named =
            |name: &str, fault: Option<Fault>| fault.map(|(kind, field)| (kind, format!("{name}.{field}")));
        let bad = after.iter().zip(&ops).find_map(|(plain, ops)| named(plain.name, plain.bad_vector(ops)));
        let fault = bad.or_else(|| {
            after.iter_mut().zip(&ops).find_map(|(plain, ops)| named(plain.name, plain.apply(ops)))
        });
        // The operations on one collection may come in several pieces.
        let mut transaction = Transaction::new();
        for (plain, mut ops) in self.plains.iter().zip(ops) {
            let rest = ops.split_off(ops.len() / 2);
            transaction = transaction.on(plain.name, ops).on(plain.name, rest);
        }
        let receipt = self.db().commit(transaction);
        if self.accepted(receipt, fault) {
            self.plains = after;
        }
    }

    /// Whether a write was accepted, which it must be exactly if it has no fault.
    fn accepted(&mut self, receipt: Result<kithdb::Receipt>, fault: Option<Fault>) -> bool {
        match (receipt, fault) {
            (Ok(receipt), None) => {
                assert!(receipt.seqno > self.last, "seqno {} after {}", receipt.seqno, self.last);
                self.last = receipt.seqno;
                true
            }
            (Err(error), Some((kind, field))) => {
                assert_eq!((error.kind(), error.field()), (kind, Some(&*field)));
                false
            }
            (Ok(_), Some(fault)) => panic!("{fault:?} was accepted"),
            (Err(error), None) => panic!("refused: {error}"),
        }
    }

    fn recreate(&mut self, which: usize) {
        let old = self.collection(which);
        let (plain, db) = (&self.plains[which], self.db());
        assert!(db.drop_collection(plain.name).expect("a drop"));
        assert!(!db.drop_collection(plain.name).expect("a second drop"));
        assert_eq!(old.count(&kithdb::Filter::default()).expect_err("dropped").kind(), ErrorKind::NotFound);
        db.create_collection(plain.name, plain.schema()).expect("a collection");
        self.plains[which] = Plain::new(plain.name, plain.spaces.clone());
    }

    fn reopen(&mut self) {
        self.db = None;
        let db = open(&self.folder, self.seal_rows);
        assert_eq!(db.start().rebuilt, [], "nothing was damaged");
        let points: usize = self.plains.iter().map(|plain| plain.points.len()).sum();
        assert_eq!(db.start().points as usize, points);
        self.db = Some(db);
    }

    /// Everything must be there and sound, before and after one more opening.
    pub(crate) fn finish(mut self) {
        for _ in 0..2 {
            for which in 0..2 {
                self.compare_all(which);
            }
            assert_eq!(self.db().verify().expect("a walk").faults, []);
            self.reopen();
        }
    }

    fn compare_all(&self, which: usize) {
        let plain = &self.plains[which];
        let everything = kithdb::Filter::default();
        let page = self.collection(which).scroll(&everything, None, 1_000, &Select::all()).expect("a page");
        assert_eq!(page.points.len(), plain.points.len());
        for (found, expected) in page.points.iter().zip(plain.points.values()) {
            assert_same(found, expected, plain);
        }
        let hits = self.collection(which).query().limit(1_000).run().expect("all points");
        let versions = hits.iter().map(|hit| (hit.id, hit.version)).collect();
        assert_eq!(plain.versions, versions);
    }
}

fn open(folder: &tempfile::TempDir, seal_rows: u32) -> Database {
    let segments = Segments { seal_rows, ..Segments::default() };
    let options = Options { durability: kithdb::Durability::Wal, segments, ..Options::default() };
    Database::open_with(folder.path().join("db"), options).expect("a database")
}

/// Same id, same vectors, same payload to the letter.
pub(crate) fn assert_same(found: &Point, expected: &Point, plain: &Plain) {
    assert_eq!(found.id, expected.id);
    let text = |point: &Point| serde_json::to_string(&point.payload).expect("JSON");
    assert_eq!(text(found), text(expected), "payload of {}", found.id);
    assert_eq!(found.sparse_named(SPARSE), expected.sparse_named(SPARSE), "sparse vector of {}", found.id);
    assert_eq!(found.any_named(MULTI), expected.any_named(MULTI), "multivector of {}", found.id);
    for (name, _) in &plain.spaces {
        let (found, expected) = (found.vector_named(name), expected.vector_named(name));
        assert_eq!(found.is_some(), expected.is_some(), "vector `{name}`");
        let Some((found, expected)) = found.zip(expected) else { continue };
        let is_near = found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
        assert!(is_near, "vector `{name}`: {found:?}, expected {expected:?}");
    }
}
