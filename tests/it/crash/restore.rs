//! SIGKILL while a collection is recovered from a snapshot: afterwards it is the old one or the new one, whole, and no
//! row of the other is left.

use std::path::{Path, PathBuf};

use kithdb::{Database, Language, Metric, Options, Point, Schema, Segments, Select};

use super::child::Child;
use super::pause;
use super::script::Random;

const KILLS: u64 = 12;

/// Points of a generation, none of whose ids or payloads are those of the other.
fn generation(number: u64) -> Vec<Point> {
    let point = |id: u64| {
        let id = number * 1_000 + id;
        Point::new(id)
            .vector([id as f32, 1.0])
            .with("generation", number)
            .with("text", format!("word{number}"))
    };
    (0..200 + 100 * number).map(point).collect()
}

/// A snapshot of a collection with these points.
fn snapshot(folder: &Path, number: u64) -> PathBuf {
    let db = Database::open(folder).expect("a database");
    let schema =
        Schema::new().vector(2, Metric::Euclid).keyword(["text".parse().expect("a path")], Language::English);
    let collection = db.create_collection("a", schema).expect("a collection");
    collection.upsert(generation(number)).expect("written");
    let made = db.create_snapshot(Some("a")).expect("a snapshot");
    db.snapshot_path(Some("a"), &made.name).expect("its file")
}

fn open(folder: &Path) -> Database {
    let segments = Segments { seal_rows: 64, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("it opens")
}

/// Which generation is there, if it is all there and nothing else.
fn found(db: &Database) -> Option<u64> {
    let Ok(collection) = db.collection("a") else { return None };
    let page = collection.scroll(&kithdb::Filter::default(), None, 10_000, &Select::all()).expect("points");
    let number =
        page.points.first().map_or(0, |point| point.payload["generation"].as_u64().expect("a number"));
    assert_eq!(page.points, generation(number), "a mix, or a part");
    assert_eq!(db.verify().expect("a walk").faults, []);
    Some(number)
}

#[test]
fn a_kill_while_a_snapshot_is_recovered_leaves_the_old_collection_or_the_new_one() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let files = [snapshot(folders[1].path(), 1), snapshot(folders[2].path(), 2)];
    let mut random = Random(std::process::id().into());
    let (mut recovered, mut seen, mut before) = (0, [0_u64; 3], None);
    for kill in 0..KILLS {
        let mut child = Child::restoring(folders[0].path(), &files);
        child.wait_until_open();
        pause(2 + random.below(if kill % 2 == 0 { 60 } else { 300 }));
        let done = child.kill(&[0])[0];
        recovered += done;
        let db = open(folders[0].path());
        let number = found(&db);
        if done > 0 {
            before = Some((done - 1) % 2 + 1);
        }
        assert!(
            number == before || number == Some(done % 2 + 1),
            "{number:?} where {before:?} was, after {done}"
        );
        before = number;
        seen[number.unwrap_or(0) as usize] += 1;
    }
    assert!(recovered > KILLS, "too little was recovered to prove anything: {recovered}, {seen:?}");
}
