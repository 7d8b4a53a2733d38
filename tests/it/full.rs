//! A full disk: what needs room is refused with a 507 that says what to do, what makes room is done, and searches go
//! on; when there is room again, everything does, without a restart.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kithdb::{Database, ErrorKind, FieldKind, Filter, Limits, Metric, Options, Point, Schema, Value};
use serde_json::json;

use crate::http::Running;

fn open(folder: &Path, disk_free_bytes_min: u64) -> Database {
    let limits = Limits { disk_free_bytes_min, ..Limits::default() };
    Database::open_with(folder, Options { limits, ..Options::default() }).expect("a database")
}

fn point(id: u64) -> Point {
    Point::new(id).vector([id as f32, 1.0]).with("n", id)
}

#[test]
fn below_the_reserve_only_what_makes_room_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), 0);
    for name in ["c", "other"] {
        let schema = Schema::new().vector(2, Metric::Euclid);
        let collection = db.create_collection(name, schema).expect("a collection");
        collection.upsert((0..20).map(point).collect()).expect("points");
    }
    let made = db.create_snapshot(Some("c")).expect("a snapshot");
    drop(db);
    // More than any disk has.
    let db = open(folder.path(), u64::MAX);
    let server = Running::over(db.clone());
    let ask = |method: &str, path: &str, body: Value| server.ask(method, path, Some(&body));
    let put = json!({"points": [{"id": 1, "vector": [1.0, 2.0]}]});
    let vector = json!({"size": 2, "distance": "Dot"});
    for (method, path, body) in [
        ("PUT", "/collections/c/points", put.clone()),
        ("POST", "/collections/c/points/payload", json!({"payload": {"a": 1}, "points": [1]})),
        ("POST", "/collections/c/snapshots", json!(null)),
        ("PUT", "/collections/c/index", json!({"field_name": "n", "field_schema": "integer"})),
        ("PUT", "/collections/new", json!({"vectors": vector})),
        (
            "PUT",
            "/collections/new/snapshots/recover",
            json!({"location": format!("file://{}", db.snapshot_path(Some("c"), &made.name).expect("a file").display())}),
        ),
        ("POST", "/api/v1/transaction", json!({"operations": [{"upsert": put, "collection": "c"}]})),
    ] {
        let answer = ask(method, path, body);
        let text = answer.body["status"]["error"].as_str().unwrap_or_default();
        let is_told = text.starts_with("Insufficient storage: ") && text.contains("disk_free_bytes_min");
        assert!(answer.status == 507 && is_told, "{method} {path}: {answer:?}");
    }
    let found = ask("POST", "/collections/c/points/query", json!({"query": [3.0, 1.0], "limit": 1}));
    assert_eq!((found.status, &found.body["result"]["points"][0]["id"]), (200, &json!(3)));
    for (method, path, body) in [
        ("POST", "/collections/c/points/delete", json!({"points": [3]})),
        ("POST", "/collections/c/points/delete", json!({"filter": {"must": [{"has_id": [4]}]}})),
        ("DELETE", "/collections/other", json!(null)),
    ] {
        assert_eq!(ask(method, path, body).status, 200, "{method} {path}");
    }
    assert_eq!(ask("DELETE", &format!("/collections/c/snapshots/{}", made.name), json!(null)).status, 200);
    let c = db.collection("c").expect("a collection");
    assert_eq!(c.count(&Filter::default()).expect("a count"), 18);
    assert!(!db.is_poisoned() && db.collections().len() == 1);
    drop((server, c, db));
    let db = open(folder.path(), 0);
    let c = db.collection("c").expect("a collection");
    c.upsert(vec![point(3)]).expect("there is room");
    c.create_field("n".parse().expect("a path"), FieldKind::Integer).expect("there is room");
    assert_eq!(c.count(&Filter::default()).expect("a count"), 19);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// A disk in memory, which is gone with the value.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(bytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={bytes}");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "kithdb"]).arg(folder.path()).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "KITHDB_MOUNTS is set, and mounting is not allowed"
        );
        Self(folder)
    }

    /// Takes room away, or all that is left.
    fn fill(&self, bytes: u64) {
        let block = vec![1; 1 << 20];
        let mut file = std::fs::File::create(self.0.path().join("ballast")).expect("a file");
        for _ in 0..bytes >> 20 {
            if std::io::Write::write_all(&mut file, &block).is_err() {
                break;
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).expect("it was there");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Needs the right to mount, so it runs where `KITHDB_MOUNTS` is set.
#[test]
fn a_disk_that_fills_up_and_empties_needs_no_restart() {
    if std::env::var_os("KITHDB_MOUNTS").is_none() {
        println!("not run: set KITHDB_MOUNTS where mounting is allowed");
        return;
    }
    let disk = Small::mount(256 << 20);
    let place = disk.0.path().join("database");
    let db = open(&place, 64 << 20);
    let schema = Schema::new().vector(512, Metric::Euclid);
    let c = db.create_collection("c", schema).expect("a collection");
    let large = |id: u64| Point::new(id).vector(vec![id as f32; 512]).with("text", "x".repeat(4_000));
    let write = |id: u64| c.upsert((id..id + 50).map(large).collect());
    let mut next = 0;
    let full = loop {
        match write(next) {
            Ok(_) => next += 50,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert!(next > 1_000 && !db.is_poisoned(), "{next} points, {full}");
    let count = || c.count(&Filter::default()).expect("a count") as u64;
    assert_eq!(count(), next, "what was acknowledged is there, and nothing else");
    c.delete((0..100).map(Into::into).collect()).expect("deletes go on");
    assert_eq!(count(), next - 100);
    let near = c.query().nearest(vec![200.0; 512]).exact().limit(1).run().expect("searches go on");
    assert_eq!(near[0].id, 200.into());
    // Another's file goes: there is room again.
    db.drop_collection("c").expect("a drop");
    let c = db.create_collection("d", Schema::new().vector(512, Metric::Euclid));
    let began = Instant::now();
    let c = c.or_else(|_| {
        while db.create_collection("d", Schema::new().vector(512, Metric::Euclid)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "a dropped collection gives no room back");
            std::thread::sleep(Duration::from_millis(100));
        }
        db.collection("d")
    });
    let c = c.expect("a collection");
    c.upsert((0..50).map(large).collect()).expect("there is room");
    disk.fill(u64::MAX);
    assert_eq!(c.upsert(vec![large(60)]).expect_err("no room").kind(), ErrorKind::StorageFull);
    disk.free();
    c.upsert(vec![large(60)]).expect("there is room, and nothing was opened anew");
    assert_eq!(c.count(&Filter::default()).expect("a count"), 51);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// The tables of a close went to whoever had the path by then, and what they were made of could not be opened again.
#[test]
fn a_folder_that_is_moved_while_it_is_open_loses_nothing_and_gives_nothing_away() {
    let parent = tempfile::tempdir().expect("a folder");
    let (here, there) = (parent.path().join("here"), parent.path().join("there"));
    let db = Database::open(&here).expect("a database");
    let notes = db.create_collection("notes", Schema::new()).expect("a collection");
    notes.upsert(vec![Point::new(1).with("n", 1)]).expect("written");
    std::fs::rename(&here, &there).expect("moved");
    let gone = notes.upsert(vec![Point::new(2)]).expect_err("it is not where it was");
    std::fs::create_dir_all(here.join("storage")).expect("the folder of another one");
    let replaced = notes.upsert(vec![Point::new(2)]).expect_err("its path is another's");
    for error in [gone, replaced] {
        assert!(error.kind() == ErrorKind::Io && error.message().contains("was moved"), "{error}");
    }
    drop((notes, db));
    assert_eq!(std::fs::read_dir(here.join("storage")).expect("a folder").count(), 0);
    let db = Database::open(&there).expect("it is whole");
    let notes = db.collection("notes").expect("it is there");
    assert_eq!(notes.count(&Filter::default()).expect("a count"), 1);
    assert_eq!(db.verify().expect("a walk").faults, []);
}
