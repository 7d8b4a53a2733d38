//! What a collection is created with holds for ever: types of elements, codes and recall through reopening, rebuilding
//! and the loss of segments.

use std::path::Path;

use kithdb::{
    Codes, Collection, Database, Datatype, Filter, Metric, Op, Options, Point, Schema, Segments, Select,
    Step, Strategy, Transaction, Vector, VectorSelect, VectorSpec,
};

const POINTS: u64 = 130;

fn open(folder: &Path) -> Database {
    let segments = Segments { seal_rows: 40, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database")
}

fn schema() -> Schema {
    let space = |metric, datatype| VectorSpec::new(3, metric).stored_as(datatype);
    Schema::new()
        .named_vector("byte", space(Metric::Euclid, Datatype::Uint8))
        .named_vector("float", space(Metric::Dot, Datatype::Float32).found_by(Codes::Off))
        .named_vector("half", space(Metric::Dot, Datatype::Float16))
        .named_vector("unit", space(Metric::Cosine, Datatype::Float16).found_by(Codes::Bits1))
        .recall(1.0)
}

/// A point whose floats are no `float16`.
fn point(id: u64) -> Point {
    let third = id as f32 / 3.0 + 0.1;
    Point::new(id)
        .named_vector("byte", [id % 256, id * 7 % 256, 255].map(|element| element as f32))
        .named_vector("float", [third, -third, 1.0])
        .named_vector("half", [third, -third, 1.0])
        .named_vector("unit", [third, -third, 1.0])
}

/// What is read of a point, made by the words of the specification: scaled, rounded.
fn stored(id: u64) -> Point {
    let mut point = point(id);
    for (name, vector) in &mut point.vectors {
        let Vector::Dense(elements) = vector else { continue };
        let norm = elements.iter().map(|element| element * element).sum::<f32>().sqrt();
        if name == "unit" {
            elements.iter_mut().for_each(|element| *element /= norm);
        }
        if name == "half" || name == "unit" {
            elements.iter_mut().for_each(|element| *element = rounded(*element));
        }
    }
    point
}

/// A `float16`: 11 significant bits, halves to even. For 0, and sizes that are not subnormal in it.
pub(crate) fn rounded(element: f32) -> f32 {
    let bits = element.to_bits();
    let half_down = (1 << 12) - 1 + (bits >> 13 & 1);
    f32::from_bits((bits + half_down) & !((1 << 13) - 1))
}

fn all(db: &Database, name: &str) -> Vec<Point> {
    let collection = db.collection(name).expect("the collection");
    collection.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("a page").points
}

/// All that depends on the options, and that no damage and no restart may change.
fn assert_whole(db: &Database) {
    let collection = db.collection("c").expect("the collection");
    assert_eq!(collection.schema(), schema());
    let found = all(db, "c");
    assert_eq!(found, (0..POINTS).map(stored).collect::<Vec<_>>());
    for name in schema().vectors.keys() {
        let own = found[77].vector_named(name).expect("a vector").to_vec();
        let query = || collection.query().nearest_in(name, own.clone()).limit(3);
        let (free, exact) = (query().run().expect("hits"), query().exact().run().expect("hits"));
        assert_eq!(free, exact, "{name}: the recall of the collection is 1");
        let selected = query().with_vectors(VectorSelect::All).run().expect("hits");
        for hit in selected {
            let point = found.iter().find(|point| point.id == hit.id).expect("a point");
            assert_eq!(hit.vectors, point.vectors, "{name}");
        }
    }
    assert_eq!(db.verify().expect("a walk").faults, []);
}

fn fill(collection: &Collection) {
    let points = |ids: std::ops::Range<u64>| ids.map(point).collect::<Vec<_>>();
    collection.upsert(points(0..100)).expect("points");
    collection.optimize(true).expect("a segment");
    // Some are replaced by what they are, some come as single operations.
    collection.upsert(points(90..120)).expect("points");
    collection.apply((120..POINTS).map(point).map(Op::Upsert).collect()).expect("points");
}

#[test]
fn elements_are_of_their_type_through_every_restart_and_rebuild() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    fill(&db.create_collection("c", schema()).expect("a collection"));
    assert_whole(&db);
    drop(db);
    let db = open(folder.path());
    assert_eq!(db.start().rebuilt, []);
    assert_whole(&db);
    db.rebuild().expect("a rebuild");
    assert_whole(&db);
    db.collection("c").expect("the collection").optimize(true).expect("a segment");
    assert_whole(&db);
    drop(db);
    std::fs::remove_dir_all(folder.path().join("index")).expect("removed");
    let db = open(folder.path());
    assert_eq!(db.start().rebuilt.len(), 1, "{:?}", db.start().rebuilt);
    assert_whole(&db);
}

#[test]
fn a_transaction_with_an_element_that_is_none_of_its_type_changes_nothing() {
    let db = Database::in_memory().expect("a database");
    for name in ["left", "right"] {
        let collection = db.create_collection(name, schema()).expect("a collection");
        collection.upsert(vec![point(1)]).expect("a point");
    }
    let (good, bad) = (point(2), Point::new(1).named_vector("half", [0.0, 1e5, 0.0]));
    let ops = |points: Vec<Point>| points.into_iter().map(Op::Upsert).collect::<Vec<_>>();
    let transaction =
        Transaction::new().on("left", ops(vec![good.clone()])).on("right", ops(vec![good, bad.clone()]));
    let error = db.commit(transaction).expect_err("above 65504");
    assert_eq!(error.field(), Some("right.ops[1].vector.half[1]"), "{error}");
    let collection = db.collection("left").expect("a collection");
    let seqno = collection.status().seqno;
    let error = collection.apply(ops(vec![point(2), bad])).expect_err("above 65504");
    assert_eq!(error.field(), Some("ops[1].vector.half[1]"), "{error}");
    assert_eq!(collection.status().seqno, seqno);
    assert_eq!((all(&db, "left"), all(&db, "right")), (vec![stored(1)], vec![stored(1)]));
}

#[test]
fn a_plan_follows_the_recall_of_the_collection() {
    let db = Database::in_memory().expect("a database");
    let strategies = |name: &str, schema: Schema| {
        let collection = db.create_collection(name, schema.vector(96, Metric::Euclid)).expect("a collection");
        let element = |id: u64, n: u64| ((id * 31 + n * 17) % 97) as f32;
        let vector = |id: u64| (0..96).map(|n| element(id, n)).collect::<Vec<f32>>();
        let points = (0..6_000).map(|id| Point::new(id).vector(vector(id)));
        collection.upsert(points.collect()).expect("points");
        collection.optimize(true).expect("a segment");
        let plan = collection.query().nearest(vector(3)).explain().expect("a plan");
        let Step::Vector { parts, .. } = &plan.step else { panic!("{plan:?}") };
        let strategies: Vec<Strategy> = parts.iter().map(|part| part.strategy).collect();
        (strategies, plan.to_text())
    };
    let (exact, text) = strategies("exact", Schema::new().recall(1.0));
    assert!(exact.iter().all(|strategy| *strategy == Strategy::Scan), "{text}");
    assert!(text.contains("exact scan over a segment"), "{text}");
    let (free, text) = strategies("free", Schema::new());
    assert!(free.iter().any(|strategy| *strategy != Strategy::Scan), "{text}");
}
