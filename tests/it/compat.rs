//! A directory of every released format version opens, answers as it did, and can be written to; a snapshot of each is
//! recovered; and a directory of a later version is refused.
//!
//! `fixtures/<version>/db` was written by the code of its time and is never changed; `fixtures/<version>/answers.json`
//! says what must come out, and `notes.snapshot` has one of its collections. `fixtures/README.md` says how a new one is
//! made.

use std::path::{Path, PathBuf};

use kithdb::{
    Collection, Condition, Database, Durability, ErrorKind, FieldKind, Filter, Hit, Language, Metric, Point,
    PointId, Schema, Select, Value, VectorSpec,
};
use serde_json::json;
use storage::format::keys;
use storage::rows::{Change, RocksRows, Rows as _, Table};

use crate::folder::{copy, files};
use crate::pause::until_keywords_are_committed;

/// The version that the current code writes.
const CURRENT: &str = "v1";

/// A snapshot of the collection `notes`, beside the directory.
const SNAPSHOT: &str = "notes.snapshot";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.id.to_string()).collect()
}

/// Every point of the database as JSON, with its vectors.
fn points(collection: &Collection) -> Vec<Value> {
    let page = collection.scroll(&Filter::default(), None, 1_000, &Select::all()).expect("a page");
    let vectors = |point: &Point| {
        let dense = point.vectors.iter().filter_map(|(name, vector)| Some((name, vector.dense()?)));
        dense.map(|(name, elements)| json!([name, elements])).collect::<Vec<Value>>()
    };
    let tree = |point: &Point| json!({"id": point.id.to_string(), "vectors": vectors(point), "payload": point.payload});
    page.points.iter().map(tree).collect()
}

/// All that a fixture must answer.
fn answers(db: &Database) -> Value {
    let (notes, plain) = (db.collection("notes"), db.collection("Zürich 1"));
    let (notes, plain) = (notes.expect("a collection"), plain.expect("a collection"));
    let is = |path: &str, value: &str| Condition::equals(path, value).expect("a path");
    let near = notes.query().nearest_in("text", [1.0, 0.2, 0.0]).exact().limit(5).run().expect("hits");
    let image = notes.query().nearest_in("image", [3.0, 4.0]).exact().run().expect("hits");
    let words = notes.query().keyword("crates").run().expect("hits");
    let filtered = notes.query().filter(is("lang", "en")).filter(is("n.tags[]", "b")).run().expect("hits");
    let schema = notes.schema();
    let keyword = schema.keyword.as_ref().expect("a keyword index");
    json!({
        "collections": db.collections().iter().map(|collection| collection.name().to_owned()).collect::<Vec<_>>(),
        "vectors": schema.vectors.iter()
            .map(|(name, spec)| json!([name, spec.dim, spec.metric.name()])).collect::<Vec<_>>(),
        "keyword": [keyword.paths[0].to_string(), keyword.language.name()],
        "fields": schema.fields.iter()
            .map(|(path, kind)| json!([path.to_string(), kind.name()])).collect::<Vec<_>>(),
        "notes": points(&notes),
        "plain": points(&plain),
        "near": ids(&near),
        "image": ids(&image),
        "words": ids(&words),
        "filtered": ids(&filtered),
    })
}

#[test]
fn every_released_format_opens_and_answers() {
    let mut versions = 0;
    for entry in std::fs::read_dir(fixtures()).expect("fixtures") {
        let fixture = entry.expect("an entry").path();
        if !fixture.is_dir() {
            continue;
        }
        versions += 1;
        let folder = tempfile::tempdir().expect("a folder");
        copy(&fixture.join("db"), folder.path());
        let text = std::fs::read_to_string(fixture.join("answers.json")).expect("answers");
        let expected: Value = serde_json::from_str(&text).expect("JSON");
        check(folder.path(), &expected);
        check_snapshot(&fixture.join(SNAPSHOT), &expected["notes"]);
    }
    assert!(versions > 0 && fixtures().join(CURRENT).is_dir(), "no fixture of {CURRENT}");
}

fn check(folder: &Path, expected: &Value) {
    let db = Database::open(folder).expect("it opens");
    // A keyword index of another revision is made anew (docs/formats.md); nothing else may be.
    let rebuilt = &db.start().rebuilt;
    let is_revision = |index: &str, reason: &str| index == "keyword" && reason.contains("revision");
    assert!(rebuilt.iter().all(|one| is_revision(one.index, &one.reason)), "{rebuilt:?}");
    let found = answers(&db);
    for (part, expected) in expected.as_object().expect("an object") {
        assert_eq!(&found[part], expected, "{part}");
    }
    assert_eq!(db.verify().expect("a walk").faults, []);
    let notes = db.collection("notes").expect("a collection");
    let receipt = notes.upsert(vec![Point::new(77).with("text", "newer crates")]).expect("it takes writes");
    assert_eq!(receipt.seqno, db.start().seqno.next());
    drop((db, notes));
    let db = Database::open(folder).expect("it opens again");
    let words = db.collection("notes").expect("a collection").query().keyword("crates").run().expect("hits");
    assert!(ids(&words).contains(&"77".to_owned()));
}

fn check_snapshot(path: &Path, expected: &Value) {
    let db = Database::in_memory().expect("a database");
    db.recover_collection("notes", path, None).expect("it is recovered");
    let notes = db.collection("notes").expect("a collection");
    assert_eq!(&Value::from(points(&notes)), expected);
    let found = notes.query().keyword("crates").run().expect("hits");
    assert!(ids(&found).contains(&"1".to_owned()));
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// Later versions are made by hand: nobody has written one yet.
#[test]
fn a_directory_of_a_later_format_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let set_format = |version: u64| {
        let rows = RocksRows::open(&folder.path().join("storage")).expect("it opens");
        let body = version.to_le_bytes();
        // As every value is sealed: by the checksum of key and body.
        let checksum = crc32c::crc32c(&[keys::FORMAT, &body[..]].concat()).to_le_bytes();
        let value = [&body[..], &checksum[..]].concat();
        let change = Change::Put(Table::Meta, keys::FORMAT.to_vec(), value);
        rows.write(vec![change], Durability::Fsync).expect("written");
        rows.close();
    };
    set_format(2);
    let before = files(&folder.path().join("index"));
    let Err(error) = Database::open(folder.path()) else { panic!("a later format was opened") };
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    let says = ["format 2", "up to 1", "open it with the version that wrote it"];
    assert!(says.iter().all(|said| error.message().contains(said)), "{error}");
    assert_eq!(files(&folder.path().join("index")), before);
    set_format(1);
    let text = std::fs::read_to_string(fixtures().join(CURRENT).join("answers.json")).expect("answers");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answers(&Database::open(folder.path()).expect("it opens again")), expected);
}

/// Writes the fixture of the current version, when it is asked for; otherwise proves that what would be written answers
/// as the fixture does: the code has not drifted from it.
#[test]
fn the_current_fixture_is_what_the_current_code_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path());
    let fixture = fixtures().join(CURRENT);
    let is_asked_for = std::env::var_os("KITHDB_WRITE_FIXTURE").is_some();
    if is_asked_for {
        assert!(!fixture.exists(), "{} exists: a released fixture is never changed", fixture.display());
        copy(folder.path(), &fixture.join("db"));
        strip(&fixture.join("db/storage"));
    }
    let db = Database::open(folder.path()).expect("it opens");
    let found = answers(&db);
    if is_asked_for {
        let text = serde_json::to_string_pretty(&found).expect("JSON");
        std::fs::write(fixture.join("answers.json"), text + "\n").expect("written");
        let snapshot = db.create_snapshot(Some("notes")).expect("a snapshot");
        let made = db.snapshot_path(Some("notes"), &snapshot.name).expect("a file");
        std::fs::copy(made, fixture.join(SNAPSHOT)).expect("copied");
    }
    let text = std::fs::read_to_string(fixture.join("answers.json")).expect("answers");
    assert_eq!(found, serde_json::from_str::<Value>(&text).expect("JSON"));
}

/// Removes what no opening needs: RocksDB's log texts, and all but its last file of options.
fn strip(storage: &Path) {
    let mut names: Vec<String> = files(storage)
        .iter()
        .filter_map(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned))
        .filter(|name| name.starts_with("LOG") || name.starts_with("OPTIONS"))
        .collect();
    // Sorted by name, so the last is the newest file of options.
    names.pop();
    names.iter().for_each(|name| std::fs::remove_file(storage.join(name)).expect("removed"));
}

/// A database with one of everything: named vectors, a keyword index, fields, updates, deletes, a dropped collection.
fn write(folder: &Path) {
    let db = Database::open(folder).expect("a database");
    let space = |dim, metric| VectorSpec::new(dim, metric);
    let path = |text: &str| text.parse().expect("a path");
    let schema = Schema::new()
        .named_vector("text", space(3, Metric::Cosine))
        .named_vector("image", space(2, Metric::Euclid))
        .keyword([path("text")], Language::English)
        .field(path("lang"), FieldKind::Keyword)
        .field(path("n.count"), FieldKind::Integer);
    db.create_collection("gone", schema.clone()).expect("a collection").upsert(notes()).expect("points");
    let collection = db.create_collection("notes", schema).expect("a collection");
    collection.upsert(notes()).expect("points");
    collection.create_field(path("n.tags[]"), FieldKind::Keyword).expect("a field");
    let plain =
        db.create_collection("Zürich 1", Schema::new().vector(130, Metric::Dot)).expect("a collection");
    // 130 elements are above what RocksDB keeps in its tables: these lie in a blob file once they are flushed.
    let wide = |id: u64| Point::new(id).vector((0..130).map(|n| (n * id) as f32).collect::<Vec<f32>>());
    plain.upsert((1..4).map(wide).collect()).expect("points");
    assert!(db.drop_collection("gone").expect("a drop"));
    let changed = Point::new(2).named_vector("image", [3.0, 4.0]).with("text", "A crate, changed");
    collection.upsert(vec![changed]).expect("an update");
    collection.delete(vec![4.into()]).expect("a delete");
    plain.delete_where(Filter::must(Condition::HasId(vec![3.into()]))).expect("a delete");
    // The first part lies in tables from here on, the rest in the log.
    drop((db, plain, collection));
    let db = Database::open(folder).expect("it opens");
    let collection = db.collection("notes").expect("a collection");
    // Past the commit of keywords, so that the fixture has an index on disk.
    until_keywords_are_committed(&collection);
    collection.upsert(vec![Point::new(9).with("text", "after the commit: crates")]).expect("a point");
}

fn notes() -> Vec<Point> {
    let payload = |tree: Value| tree.as_object().expect("an object").clone();
    let note = |id: PointId, vector: [f32; 3], tree: Value| {
        Point::new(id).named_vector("text", vector).payload(payload(tree))
    };
    let all = json!({"text": "Crates of vectors", "lang": "en", "n": {"count": 3, "tags": ["a", "b"]}, "z": null,
        "a": [1, 1.0, -0.5, true, {"k": []}, "ü"], "big": 9_007_199_254_740_993_i64, "huge": u64::MAX, "tiny": 5e-324});
    vec![
        note(1.into(), [1.0, 0.0, 0.0], all).named_vector("image", [0.0, 0.0]),
        note(2.into(), [0.0, 1.0, 0.0], json!({"text": "Ein Buch", "lang": "de"})),
        note(3.into(), [0.6, 0.8, 0.0], json!({"lang": "en", "n": {"tags": ["b"]}})),
        note(4.into(), [0.0, 0.0, 1.0], json!({"text": "deleted crates"})),
        note(
            PointId::from_name("five"),
            [0.0, 3.0, 4.0],
            json!({"text": ["one crate", "two"], "lang": "en"}),
        ),
        Point::new(u64::MAX).payload(payload(json!({}))),
    ]
}
