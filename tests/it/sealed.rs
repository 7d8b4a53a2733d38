//! Segments: an opening reads only what they do not hold; damage of any of their bytes is found, and healed from
//! storage; files that are nobody's go.

use std::path::{Path, PathBuf};

use kithdb::{
    Collection, Condition, Database, FieldKind, Filter, Language, Memory, Metric, Options, Point, Schema,
    Segments, Select, SparseSpec, SparseVector, Value,
};
use serde_json::json;

use crate::folder::{copy, files};
use crate::http::Running;
use crate::pause::until_keywords_are_committed;

const SEALED: u64 = 150;
const POINTS: u64 = 170;

fn open(folder: &Path) -> Database {
    let segments = Segments { seal_rows: 40, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database")
}

fn notes(db: &Database) -> Collection {
    db.collection("notes").expect("the collection")
}

fn point(id: u64) -> Point {
    let vector: Vec<f32> = (0..24).map(|n| ((id * 31 + n * 7) % 101) as f32).collect();
    let point = Point::new(id).with("text", format!("common only{id}")).with("group", id % 7);
    let weights = (0..id as u32 % 6).map(|n| (n * 7 + id as u32 % 3, 0.5 + n as f32));
    let point = point.named_vector("s", SparseVector::of(weights));
    // Some rows lack the vector.
    if id.is_multiple_of(5) { point } else { point.vector(vector) }
}

/// A closed database of one segment with dead rows, and of a head.
fn sound() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    let schema = Schema::new()
        .vector(24, Metric::Euclid)
        .sparse_vector("s", SparseSpec::idf())
        .keyword(["text".parse().expect("a path")], Language::None)
        .field("group".parse().expect("a path"), FieldKind::Integer)
        .field("text".parse().expect("a path"), FieldKind::Keyword);
    let notes = db.create_collection("notes", schema).expect("a collection");
    notes.upsert((0..SEALED).map(point).collect()).expect("points");
    notes.optimize(true).expect("a segment");
    notes.upsert((SEALED..POINTS).map(point).collect()).expect("points");
    notes.delete((0..POINTS).filter(|id| id % 9 == 0).map(Into::into).collect()).expect("a delete");
    until_keywords_are_committed(&notes);
    drop((db, notes));
    folder
}

/// What the database answers, which must not depend on what was damaged.
fn answers(db: &Database) -> Vec<String> {
    let notes = notes(db);
    let all = notes.scroll(&Filter::default(), None, 1_000, &Select::all()).expect("a page");
    let mut answers: Vec<String> = all.points.iter().map(|point| format!("{point:?}")).collect();
    for id in [1, 9, 10, 77, 160, 162] {
        let found = notes.query().keyword(format!("only{id}")).run().expect("hits");
        answers.push(format!("{:?}", found.iter().map(|hit| hit.id).collect::<Vec<_>>()));
    }
    let vector = point(77).vector_named("").expect("a vector").to_vec();
    for query in [notes.query().nearest(vector.clone()).exact(), notes.query().nearest(vector)] {
        answers.push(format!("{:?}", query.limit(7).run().expect("hits")));
    }
    for pairs in [vec![(0, 1.0)], vec![(1, 1.0), (7, 0.5), (16, 2.0)], vec![(2, -1.0), (9, 1.0)]] {
        let query = notes.query().nearest_in("s", SparseVector::of(pairs));
        answers.push(format!("{:?}", query.limit(50).run().expect("hits")));
    }
    for group in 0..7 {
        let is = Filter::must(Condition::equals("group", group).expect("a path"));
        answers.push(notes.count(&is).expect("a count").to_string());
    }
    answers
}

#[test]
fn vectors_that_are_kept_in_memory_are_found_as_those_that_are_read() {
    let folder = sound();
    let read = expected(folder.path());
    for memory in [Memory::Cached, Memory::Cold] {
        let db = open(folder.path());
        let change = move |schema: &mut Schema| {
            schema.vectors.values_mut().for_each(|spec| spec.memory = memory);
            Ok(())
        };
        notes(&db).configure(change).expect("configured");
        assert_eq!(answers(&db), read, "{memory:?}, at once");
        drop(db);
        assert_eq!(expected(folder.path()), read, "{memory:?}, opened anew");
    }
}

fn expected(folder: &Path) -> Vec<String> {
    let db = open(folder);
    assert_eq!(db.start().rebuilt, []);
    assert_eq!(db.verify().expect("a walk").faults, []);
    answers(&db)
}

fn segments(folder: &Path) -> PathBuf {
    folder.join("index/0/segments")
}

#[test]
fn an_opening_reads_only_what_no_segment_holds() {
    let folder = sound();
    let db = open(folder.path());
    let dead = |ids: std::ops::Range<u64>| ids.filter(|id| id % 9 == 0).count();
    let (start, status) = (db.start(), notes(&db).status());
    assert_eq!(start.rebuilt, []);
    assert_eq!(start.points, POINTS - dead(0..POINTS) as u64);
    assert_eq!(start.points_read, POINTS - SEALED - dead(SEALED..POINTS) as u64);
    let [segment] = status.segments.as_slice() else { panic!("{status:?}") };
    assert_eq!((segment.rows, segment.dead_rows), (SEALED as usize, dead(0..SEALED)));
    assert_eq!(status.head_rows as u64, start.points_read);
    notes(&db).optimize(true).expect("a segment");
    drop(db);
    let db = open(folder.path());
    assert_eq!((db.start().points_read, notes(&db).status().head_rows), (0, 0));
    assert_eq!(files(&segments(folder.path())).len(), 3, "files that were replaced are gone");
}

/// Each bit flipped in turn is too much; one a page finds every section, every gap, and the directory.
#[test]
fn every_damaged_page_of_a_segment_is_found_and_healed() {
    let folder = sound();
    let expected = expected(folder.path());
    let mut damaged = [0, 0];
    for file in files(&segments(folder.path())) {
        let whole = std::fs::read(&file).expect("a file");
        let places = (0..whole.len()).step_by(4_096).flat_map(|page| [page, page + 1_500]);
        for place in places.chain([whole.len() - 1]).filter(|place| *place < whole.len()) {
            let copied = tempfile::tempdir().expect("a folder");
            copy(folder.path(), copied.path());
            let mut bytes = whole.clone();
            bytes[place] ^= 4;
            let file = copied.path().join(file.strip_prefix(folder.path()).expect("below"));
            std::fs::write(&file, bytes).expect("written");
            let is_at_start = healed(copied.path(), &expected, &format!("{}, byte {place}", file.display()));
            damaged[usize::from(is_at_start)] += 1;
        }
    }
    assert!(damaged[0] > 10 && damaged[1] > 3, "found by verify, by the start: {damaged:?}");
}

/// Finds the damage and mends it; whether it was found at the start.
fn healed(folder: &Path, expected: &[String], damage: &str) -> bool {
    let db = open(folder);
    let is_at_start = match db.start().rebuilt.as_slice() {
        [] => {
            let faults = db.verify().expect("a walk").faults;
            assert!(
                !faults.is_empty() && faults.iter().all(kithdb::Fault::is_mendable),
                "{damage}: {faults:?}"
            );
            db.rebuild().expect("a rebuild");
            false
        }
        rebuilt => {
            assert!(matches!(rebuilt[0].index, "segments" | "fields" | "sparse"), "{damage}: {rebuilt:?}");
            true
        }
    };
    assert_eq!(answers(&db), expected, "{damage}");
    assert_eq!(db.verify().expect("a walk").faults, [], "{damage}");
    drop(db);
    let db = open(folder);
    assert_eq!(db.start().rebuilt, [], "{damage}: rebuilt once more");
    assert_eq!(answers(&db), expected, "{damage}");
    is_at_start
}

#[test]
fn files_that_are_cut_or_gone_come_from_storage() {
    let folder = sound();
    let expected = expected(folder.path());
    for file in files(&segments(folder.path())) {
        let whole = std::fs::read(&file).expect("a file");
        for bytes in [None, Some(0), Some(whole.len() / 2), Some(whole.len() - 1)] {
            let copied = tempfile::tempdir().expect("a folder");
            copy(folder.path(), copied.path());
            let file = copied.path().join(file.strip_prefix(folder.path()).expect("below"));
            match bytes {
                Some(len) => std::fs::write(&file, &whole[..len]).expect("written"),
                None => std::fs::remove_file(&file).expect("removed"),
            }
            assert!(healed(copied.path(), &expected, &format!("{} cut to {bytes:?}", file.display())));
        }
    }
    std::fs::remove_dir_all(folder.path().join("index")).expect("removed");
    assert!(healed(folder.path(), &expected, "all indexes gone"));
}

/// What is found damaged only when it is asked: storage answers, and the file is made anew in the background.
#[test]
fn damaged_sparse_vectors_are_answered_from_storage_and_made_anew() {
    let folder = sound();
    let expected = expected(folder.path());
    let is_sparse = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "spv");
    let file = files(&segments(folder.path())).into_iter().find(is_sparse).expect("sparse vectors");
    let mut bytes = std::fs::read(&file).expect("a file");
    // Past the header's page: the rows of the first space.
    bytes[2 * 4_096] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    let db = open(folder.path());
    let faults = db.verify().expect("a walk").faults;
    assert!(faults.len() == 1 && faults[0].part == "sparse" && faults[0].is_mendable(), "{faults:?}");
    let collection = notes(&db);
    let query = collection.query().nearest_in("s", SparseVector::of([(0, 1.0)])).limit(50);
    let found = format!("{:?}", query.run().expect("hits"));
    assert!(expected.contains(&found), "{found}");
    drop(collection);
    let began = std::time::Instant::now();
    while !db.verify().expect("a walk").faults.is_empty() {
        assert!(began.elapsed().as_secs() < 30, "it is not made anew");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(answers(&db), expected);
    drop(db);
    let db = open(folder.path());
    assert_eq!((db.start().rebuilt.as_slice(), answers(&db)), (&[][..], expected));
    assert_eq!(db.verify().expect("a walk").faults, []);
}

#[test]
fn files_that_the_list_does_not_name_are_removed() {
    let folder = sound();
    let expected = expected(folder.path());
    let segments = segments(folder.path());
    for name in ["77.seg", "77.fld", "77.spv", "78.seg.part"] {
        std::fs::write(segments.join(name), b"left from a crash").expect("written");
    }
    // What cannot be removed as a file stops no start.
    std::fs::create_dir_all(segments.join("79.seg")).expect("a folder");
    std::fs::write(folder.path().join("index/99"), b"left from a crash").expect("written");
    let db = open(folder.path());
    assert_eq!(files(&segments).len(), 3);
    assert_eq!((db.start().rebuilt.as_slice(), answers(&db)), (&[][..], expected));
    assert!(db.drop_collection("notes").expect("a drop"));
    assert!(!segments.exists(), "files of a dropped collection remain");
}

/// A kill may come before a schema is stored, or before what was written for it has its name: either way there is a
/// file that fits.
#[test]
fn a_kill_within_a_change_of_fields_costs_no_index() {
    let (before, folder) = (sound(), tempfile::tempdir().expect("a folder"));
    copy(before.path(), folder.path());
    let db = open(folder.path());
    notes(&db).drop_field("text".parse().expect("a path")).expect("no field");
    drop(db);
    let file = |folder: &Path| {
        let mut all = files(&segments(folder)).into_iter();
        all.find(|file| file.extension().is_some_and(|ending| ending == "fld")).expect("fields")
    };
    let (old, new) = (file(before.path()), file(folder.path()));
    assert_ne!(std::fs::read(&old).expect("read"), std::fs::read(&new).expect("read"));
    // Not stored yet.
    std::fs::copy(&new, old.with_extension("fld.next")).expect("copied");
    // Stored, and not renamed yet.
    std::fs::rename(&new, new.with_extension("fld.next")).expect("renamed");
    std::fs::copy(&old, &new).expect("copied");
    for folder in [before.path(), folder.path()] {
        let all = files(&segments(folder)).len();
        let expected = expected(folder);
        assert_eq!(files(&segments(folder)).len(), all - 1);
        let db = open(folder);
        assert_eq!((db.start().rebuilt.as_slice(), answers(&db)), (&[][..], expected));
    }
}

/// A field is indexed, and another is no more: the file of a segment's fields follows.
#[test]
fn fields_of_segments_follow_the_schema() {
    let folder = sound();
    let db = open(folder.path());
    let notes = notes(&db);
    let before = answers(&db);
    notes.drop_field("group".parse().expect("a path")).expect("no field");
    notes.create_field("group".parse().expect("a path"), FieldKind::Float).expect("a field");
    notes.drop_field("text".parse().expect("a path")).expect("no field");
    assert_eq!(answers(&db), before);
    notes.create_field("group".parse().expect("a path"), FieldKind::Integer).expect("a field");
    assert_eq!(answers(&db), before);
    drop((db, notes));
    let db = open(folder.path());
    assert_eq!((db.start().rebuilt.as_slice(), answers(&db)), (&[][..], before));
    assert_eq!(db.verify().expect("a walk").faults, []);
}

#[test]
fn one_segment_is_waited_for_however_that_is_asked() {
    let server = Running::over(Database::in_memory().expect("a database"));
    let asked = |method: &str, path: &str, body: Option<Value>| {
        let answer = server.ask(method, path, body.as_ref());
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.body["result"].clone()
    };
    asked("PUT", "/collections/c", Some(json!({"vectors": {"size": 2, "distance": "Dot"}})));
    for (id, (query, body)) in
        [("?wait=true", json!({})), ("", json!({"wait": true}))].into_iter().enumerate()
    {
        asked("PUT", "/collections/c/points", Some(json!({"points": [{"id": id, "vector": [1, id]}]})));
        asked("POST", &format!("/api/v1/collections/c/optimize{query}"), Some(body));
        let told = asked("GET", "/api/v1/collections/c", None);
        assert_eq!(
            (&told["head_rows"], told["segments"].as_array().map(Vec::len)),
            (&json!(0), Some(1)),
            "{query}"
        );
    }
}
