//! Snapshots: what comes back is what was there at one commit, whatever goes on meanwhile; a file that is damaged, of
//! somebody else or from outside changes nothing.

use std::path::Path;

use kithdb::{
    AliasChange, Database, ErrorKind, FieldKind, Filter, Language, Metric, Options, Point, Schema, Segments,
    Select, SparseSpec, SparseVector, Value, VectorSpec,
};
use serde_json::json;

use crate::http::Running;

fn open(folder: &Path) -> Database {
    let segments = Segments { seal_rows: 20, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database")
}

fn schema() -> Schema {
    let mut schema = Schema::new()
        .vector(2, Metric::Cosine)
        .sparse_vector("s", SparseSpec::idf())
        .multi_vector("m", VectorSpec::new(1, Metric::Dot))
        .keyword(["text".parse().expect("a path")], Language::English)
        .field("n".parse().expect("a path"), FieldKind::Integer);
    schema.settings.insert("metadata".to_owned(), json!({"a": 1}));
    schema
}

fn point(id: u64, generation: u64) -> Point {
    let mut point = Point::new(id).vector([id as f32 + 1.0, generation as f32 + 1.0]);
    point.vectors.push(("s".to_owned(), SparseVector::of([(id as u32, generation as f32 + 1.0)]).into()));
    point.vectors.push(("m".to_owned(), kithdb::Vector::Multi(vec![vec![id as f32], vec![1.0]])));
    point.with("n", generation).with("text", format!("word{id} all"))
}

fn filled(db: &Database, name: &str) {
    let collection = db.create_collection(name, schema()).expect("a collection");
    collection.upsert((0..50).map(|id| point(id, 0)).collect()).expect("written");
    collection.upsert((0..10).map(|id| point(id, 1)).collect()).expect("written");
    collection.delete(vec![49.into()]).expect("deleted");
}

fn all(db: &Database, name: &str) -> Vec<Point> {
    let ids: Vec<_> = (0..60).map(Into::into).collect();
    db.collection(name).expect("it is there").get(&ids, &Select::all()).expect("points")
}

fn assert_whole(db: &Database) {
    assert_eq!(db.verify().expect("a walk").faults, []);
}

#[test]
fn a_collection_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    filled(&db, "a");
    let before = all(&db, "a");
    db.change_aliases(vec![AliasChange::Set { alias: "x".to_owned(), collection: "a".to_owned() }])
        .expect("set");
    let made = db.create_snapshot(Some("x")).expect("a snapshot");
    assert_eq!(db.snapshots(Some("a")).expect("a list"), std::slice::from_ref(&made));
    let collection = db.collection("a").expect("it is there");
    collection.delete_where(Filter::default()).expect("deleted");
    collection.upsert(vec![point(55, 9)]).expect("written");
    let path = db.snapshot_path(Some("a"), &made.name).expect("a file");
    db.recover_collection("a", &path, made.checksum.as_deref()).expect("recovered");
    assert_eq!(collection.upsert(vec![point(1, 1)]).expect_err("an old handle").kind(), ErrorKind::NotFound);
    assert_eq!(all(&db, "x"), before);
    db.recover_collection("b", &path, None).expect("recovered as another");
    assert_eq!(
        (all(&db, "b"), db.collection("b").expect("it is there").schema()),
        (before.clone(), schema())
    );
    let hits = db.collection("b").expect("it is there").query().keyword("word7").run().expect("hits");
    assert_eq!(hits[0].id, 7.into());
    assert_whole(&db);
    db.collection("a").expect("it is there").upsert(vec![point(2, 5)]).expect("life goes on");
    drop((collection, db));
    let db = open(folder.path());
    assert!(db.start().rebuilt.is_empty(), "{:?}", db.start().rebuilt);
    assert_eq!(all(&db, "b"), before);
    assert_eq!(all(&db, "a")[2], point_as_read(&db, 2));
    assert_whole(&db);
    db.delete_snapshot(Some("a"), &made.name).expect("deleted");
    assert_eq!(db.snapshots(Some("a")).expect("a list"), []);
    let left = std::fs::read_dir(path.parent().expect("a folder")).expect("reads").count();
    assert_eq!(left, 0, "the checksum goes too");
}

/// The point after its second life, through another collection: scaled and sorted as a read gives it.
fn point_as_read(db: &Database, id: u64) -> Point {
    let other = db.create_collection("other", schema()).expect("a collection");
    other.upsert(vec![point(id, 5)]).expect("written");
    let read = other.get(&[id.into()], &Select::all()).expect("a point").remove(0);
    db.drop_collection("other").expect("dropped");
    read
}

#[test]
fn a_snapshot_shows_one_commit_while_writers_go_on() {
    let db = Database::in_memory().expect("a database");
    let collection = db.create_collection("a", schema()).expect("a collection");
    let write = |generation: u64| (0..40).map(|id| point(id, generation)).collect::<Vec<_>>();
    collection.upsert(write(0)).expect("written");
    let made = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for generation in 1..60 {
                collection.upsert(write(generation)).expect("written");
            }
        });
        let made: Vec<_> = (0..4).map(|_| db.create_snapshot(Some("a")).expect("a snapshot")).collect();
        writer.join().expect("no panic");
        made
    });
    for (number, made) in made.iter().enumerate() {
        let path = db.snapshot_path(Some("a"), &made.name).expect("a file");
        let name = format!("copy{number}");
        db.recover_collection(&name, &path, None).expect("recovered");
        let points = all(&db, &name);
        let generation = points[0].payload["n"].as_u64().expect("a number");
        let shown = db.create_collection(&format!("shown{number}"), schema()).expect("a collection");
        shown.upsert(write(generation)).expect("written");
        assert_eq!(points, all(&db, shown.name()), "one generation, whole");
    }
    assert_whole(&db);
}

/// Fewer are dropped than a snapshot is begun, so one is made however they fall.
#[test]
fn a_snapshot_of_everything_is_made_although_collections_are_dropped_meanwhile() {
    let db = Database::in_memory().expect("a database");
    filled(&db, "stays");
    let names = ["a", "b", "c", "d", "e", "f"];
    names.iter().for_each(|name| filled(&db, name));
    let made = std::thread::scope(|scope| {
        let dropper = scope.spawn(|| {
            for name in names {
                std::thread::sleep(std::time::Duration::from_millis(2));
                assert!(db.drop_collection(name).expect("dropped"));
            }
        });
        let mut made = vec![db.create_snapshot(None).expect("a snapshot")];
        while !dropper.is_finished() {
            made.push(db.create_snapshot(None).expect("a snapshot"));
        }
        dropper.join().expect("no panic");
        made
    });
    let path = db.snapshot_path(None, &made[0].name).expect("a file");
    db.recover_collection("stays", &path, None).expect("recovered");
    assert_eq!(all(&db, "stays").len(), 49);
}

#[test]
fn what_is_no_snapshot_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    filled(&db, "a");
    let before = all(&db, "a");
    let made = db.create_snapshot(Some("a")).expect("a snapshot");
    let path = db.snapshot_path(Some("a"), &made.name).expect("a file");
    let bytes = std::fs::read(&path).expect("reads");
    let bad = folder.path().join("bad");
    let mut flipped = bytes.clone();
    let middle = bytes.len() / 2;
    flipped[middle] ^= 1;
    for (content, kind) in [
        (bytes[..bytes.len() / 2].to_vec(), ErrorKind::Corrupted),
        (flipped, ErrorKind::Corrupted),
        (b"something else".to_vec(), ErrorKind::InvalidArgument),
        (Vec::new(), ErrorKind::InvalidArgument),
    ] {
        std::fs::write(&bad, content).expect("written");
        assert_eq!(db.recover_collection("a", &bad, None).expect_err("refused").kind(), kind);
        assert_eq!(db.recover_collection("b", &bad, None).expect_err("refused").kind(), kind);
    }
    let wrong = db.recover_collection("a", &path, Some(&"0".repeat(64))).expect_err("another checksum");
    assert_eq!(wrong.field(), Some("checksum"));
    assert_eq!(
        db.recover_collection("a/b", &path, None).expect_err("no name").field(),
        Some("collection_name")
    );
    db.change_aliases(vec![AliasChange::Set { alias: "x".to_owned(), collection: "a".to_owned() }])
        .expect("set");
    assert_eq!(
        db.recover_collection("x", &path, None).expect_err("an alias").field(),
        Some("collection_name")
    );
    assert!(db.collection("b").is_err());
    assert_eq!(all(&db, "a"), before);
    for name in ["../a.snapshot", "none.snapshot", "", ".", made.name.trim_end_matches(".snapshot")] {
        let error = db.snapshot_path(Some("a"), name).expect_err(name);
        assert_eq!((error.kind(), error.field()), (ErrorKind::NotFound, Some("snapshot_name")));
        assert_eq!(db.delete_snapshot(Some("a"), name).expect_err(name).kind(), ErrorKind::NotFound);
    }
    assert_whole(&db);
    let folders = std::fs::read_dir(folder.path().join("index")).expect("reads").count();
    assert_eq!(folders, 1, "nothing is left of what was refused");
}

#[test]
fn one_file_has_every_collection() {
    let db = Database::in_memory().expect("a database");
    filled(&db, "a");
    db.create_collection("b", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    let made = db.create_snapshot(None).expect("a snapshot");
    assert_eq!(db.snapshots(None).expect("a list"), std::slice::from_ref(&made));
    let path = db.snapshot_path(None, &made.name).expect("a file");
    let before = all(&db, "a");
    db.drop_collection("a").expect("dropped");
    db.recover_collection("a", &path, None).expect("recovered");
    assert_eq!(all(&db, "a"), before);
    db.recover_collection("b", &path, None).expect("not the first one");
    assert_eq!(db.collection("b").expect("it is there").count(&Filter::default()).expect("a count"), 0);
    assert_eq!(db.collection("b").expect("it is there").schema().vectors[""].dim, 1);
    let error = db.recover_collection("c", &path, None).expect_err("none of this name");
    assert_eq!(error.field(), Some("snapshot"));
    assert_whole(&db);
}

/// A snapshot in a form, of this type.
const FORM: &str = "multipart/form-data; boundary=b0";

fn form(bytes: &[u8]) -> Vec<u8> {
    let head =
        b"--b0\r\ncontent-disposition: form-data; name=\"snapshot\"; filename=\"x\"\r\n\r\n".as_slice();
    [head, bytes, b"\r\n--b0--\r\n"].concat()
}

#[test]
fn of_a_form_the_part_snapshot_is_the_file_wherever_it_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    filled(&db, "a");
    let server = Running::over(db.clone());
    let made = server.ask("POST", "/collections/a/snapshots", Some(&json!(null))).body["result"].clone();
    let name = made["name"].as_str().expect("a name").to_owned();
    let bytes = server.fetch(&format!("/collections/a/snapshots/{name}"));
    let (form, kind) = (form(&bytes), FORM);
    let upload = |path: &str, kind: &str, body: &[u8]| {
        let answer = server.send_as("POST", path, kind, body);
        (answer.status, answer.body["result"].clone(), answer.field)
    };
    // Whatever stands before the file, and answered when it is there or when it is taken back.
    let before = b"--b0\r\ncontent-disposition: form-data; name=\"priority\"\r\n\r\nsnapshot\r\n".to_vec();
    let later =
        upload("/collections/f/snapshots/upload?wait=false", kind, &[before.clone(), form.clone()].concat());
    assert_eq!(later, (202, json!(null), None));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while db.collection("f").is_err() {
        assert!(std::time::Instant::now() < until, "what was accepted is not done");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(all(&db, "f"), all(&db, "a"));
    let (status, _, field) =
        upload("/collections/g/snapshots/upload", kind, &[before, b"--b0--".to_vec()].concat());
    assert_eq!((status, field.as_deref()), (400, Some("snapshot")));
    let twice = format!("/collections/g/snapshots/upload?checksum={0}&checksum={0}", "00".repeat(32));
    let (status, _, field) = upload(&twice, kind, &form);
    assert_eq!((status, field.as_deref()), (400, Some("query")));
}

#[test]
fn snapshots_go_over_http() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    filled(&db, "a");
    let server = Running::over(db.clone());
    let ask = |method: &str, path: &str, body: Value| {
        let answer = server.ask(method, path, Some(&body));
        (answer.status, answer.body["result"].clone(), answer.field)
    };
    let (status, made, _) = ask("POST", "/collections/a/snapshots", json!(null));
    assert_eq!(status, 200);
    assert_eq!(ask("GET", "/collections/a/snapshots", json!(null)).1, json!([made]));
    let name = made["name"].as_str().expect("a name").to_owned();
    let bytes = server.fetch(&format!("/collections/a/snapshots/{name}"));
    let path = db.snapshot_path(Some("a"), &name).expect("a file");
    assert!(bytes == std::fs::read(&path).expect("reads") && made["size"] == bytes.len());
    let (form, kind) = (form(&bytes), FORM);
    let upload = |path: &str, kind: &str, body: &[u8]| {
        let answer = server.send_as("POST", path, kind, body);
        (answer.status, answer.body["result"].clone(), answer.field)
    };
    let done = (200, json!(true), None);
    assert_eq!(upload("/collections/b/snapshots/upload?priority=snapshot", kind, &form), done);
    assert_eq!(upload("/collections/c/snapshots/upload", "application/octet-stream", &bytes), done);
    assert_eq!((all(&db, "b"), all(&db, "c")), (all(&db, "a"), all(&db, "a")));
    for (checksum, status) in [("00".repeat(32), 400), ("00".to_owned(), 422)] {
        let path = format!("/collections/d/snapshots/upload?checksum={checksum}");
        let refused = upload(&path, kind, &form);
        assert_eq!((refused.0, refused.2.as_deref()), (status, Some("checksum")));
    }
    assert_eq!(upload("/collections/d/snapshots/upload", kind, &form[..form.len() / 2]).0, 400);
    let cut =
        upload("/collections/d/snapshots/upload", "application/octet-stream", &bytes[..bytes.len() / 2]);
    assert_eq!((cut.0, cut.2.as_deref()), (400, Some("snapshot")), "it is damaged, and the server is not");
    let location = format!("file://{}", path.display());
    let body = json!({"location": location, "checksum": made["checksum"], "priority": "snapshot"});
    assert_eq!(ask("PUT", "/collections/e/snapshots/recover", body), done);
    assert_eq!(all(&db, "e"), all(&db, "a"));
    for outside in ["file:///etc/hostname", "http://127.0.0.1:9/a.snapshot"] {
        let refused = ask("PUT", "/collections/e/snapshots/recover", json!({"location": outside}));
        assert_eq!((refused.0, refused.2.as_deref()), (403, Some("location")), "{outside}");
    }
    assert_eq!(ask("DELETE", &format!("/collections/a/snapshots/{name}"), json!(null)), done);
    for path in [name.as_str(), "..%2F..%2Fstorage%2FCURRENT", "%2E%2E"] {
        assert_eq!(ask("GET", &format!("/collections/a/snapshots/{path}"), json!(null)).0, 404, "{path}");
    }
    let (status, made, _) = ask("POST", "/snapshots", json!(null));
    assert_eq!((status, ask("GET", "/snapshots", json!(null)).1), (200, json!([made])));
    let name = made["name"].as_str().expect("a name").to_owned();
    assert_eq!(made["size"], server.fetch(&format!("/snapshots/{name}")).len());
    assert_eq!(ask("DELETE", &format!("/snapshots/{name}"), json!(null)), done);
    let hidden = std::fs::read_dir(db.snapshots_folder())
        .expect("reads")
        .filter(|file| file.as_ref().is_ok_and(|file| file.file_name().to_string_lossy().starts_with('.')));
    assert_eq!(hidden.count(), 0, "what came in is gone");
}

#[test]
fn the_one_shard_of_a_collection_has_its_snapshots() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    filled(&db, "a");
    let before = all(&db, "a");
    let server = Running::over(db.clone());
    let ask = |method: &str, path: &str, body: Value| {
        let answer = server.ask(method, &format!("/collections/{path}"), Some(&body));
        (answer.status, answer.body["result"].clone(), answer.field)
    };
    let (status, made, _) = ask("POST", "a/shards/0/snapshots", json!(null));
    assert_eq!(status, 200);
    assert_eq!(ask("GET", "a/shards/0/snapshots", json!(null)).1, json!([made]));
    assert_eq!(ask("GET", "a/snapshots", json!(null)).1, json!([made]), "they are those of the collection");
    let name = made["name"].as_str().expect("a name").to_owned();
    let bytes = server.fetch(&format!("/collections/a/shards/0/snapshots/{name}"));
    db.collection("a").expect("it is there").delete(vec![1.into()]).expect("deleted");
    let body = json!({"location": name, "checksum": made["checksum"]});
    assert_eq!(ask("PUT", "a/shards/0/snapshots/recover", body.clone()), (200, json!(true), None));
    assert_eq!(all(&db, "a"), before);
    let upload = |path: &str| {
        let kind = "application/octet-stream";
        server.send_as("POST", &format!("/collections/{path}/snapshots/upload"), kind, &bytes).status
    };
    db.collection("a").expect("it is there").delete(vec![1.into()]).expect("deleted");
    assert_eq!([upload("a/shards/0"), upload("a/shards/1"), upload("none/shards/0")], [200, 404, 404]);
    assert_eq!(all(&db, "a"), before);
    // No collection is made of a shard, and there is no second one.
    for path in ["none/shards/0/snapshots/recover", "a/shards/1/snapshots/recover"] {
        assert_eq!(ask("PUT", path, body.clone()).0, 404, "{path}");
    }
    assert_eq!(ask("GET", "a/shards/1/snapshots", json!(null)).2.as_deref(), Some("shard_id"));
    assert_eq!(ask("DELETE", &format!("a/shards/0/snapshots/{name}"), json!(null)).0, 200);
    assert_eq!(ask("GET", &format!("a/shards/0/snapshots/{name}"), json!(null)).0, 404);
}
