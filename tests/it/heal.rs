//! Damage: an index is healed by itself and says so, storage reports it; never is an answer wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kithdb::{Database, ErrorKind, FieldKind, Filter, Language, Metric, Point, Result, Schema, Select};

use crate::folder::{copy, files};
use crate::pause::until_keywords_are_committed;

const POINTS: u64 = 300;

fn point(id: u64) -> Point {
    let vector: Vec<f32> = (0..160).map(|n| ((id * 31 + n * 7) % 101) as f32).collect();
    let text = format!("common w{} only{id}", id % 10);
    Point::new(id).vector(vector).with("text", text).with("group", id % 7)
}

/// A closed database whose keyword index is on disk, and whose storage lies in tables, a blob file and a log.
fn sound() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = Schema::new()
        .vector(160, Metric::Euclid)
        .keyword(["text".parse().expect("a path")], Language::None)
        .field("group".parse().expect("a path"), FieldKind::Integer);
    let db = Database::open(folder.path()).expect("a database");
    let notes = db.create_collection("notes", schema).expect("a collection");
    notes.upsert((0..POINTS).map(point).collect()).expect("points");
    notes.delete((0..POINTS).filter(|id| id % 9 == 0).map(Into::into).collect()).expect("a delete");
    drop((db, notes));
    // Opening flushes the log into tables.
    let db = Database::open(folder.path()).expect("a database");
    let notes = db.collection("notes").expect("a collection");
    notes.upsert(vec![point(1), point(2)]).expect("points");
    until_keywords_are_committed(&notes);
    drop((db, notes));
    folder
}

fn keyword(folder: &Path) -> PathBuf {
    folder.join("index/0/keyword")
}

/// What the database answers, which must not depend on what was damaged.
fn answers(db: &Database) -> Result<Vec<String>> {
    let notes = db.collection("notes")?;
    let all = notes.scroll(&Filter::default(), None, 10_000, &Select::all())?;
    let mut answers: Vec<String> = all.points.iter().map(|point| format!("{point:?}")).collect();
    for text in ["common", "w3", "only4", "only9", "only17"] {
        // As a set: a new index has other statistics.
        let hits = notes.query().keyword(text).limit(10_000).run()?;
        answers.push(format!("{:?}", hits.iter().map(|hit| hit.id).collect::<BTreeSet<_>>()));
    }
    let vector = point(5).vector_named("").unwrap_or_default().to_vec();
    let near = notes.query().nearest(vector).exact().limit(7).run()?;
    answers.push(format!("{near:?}"));
    answers.push(notes.count(&Filter::must(kithdb::Condition::equals("group", 3)?))?.to_string());
    Ok(answers)
}

fn expected(folder: &Path) -> Vec<String> {
    let db = Database::open(folder).expect("a database");
    assert_eq!(db.start().rebuilt, []);
    assert_eq!(db.verify().expect("a walk").faults, []);
    answers(&db).expect("answers")
}

/// Opens after damage of the keyword index; the reason why it was rebuilt.
fn healed(folder: &Path, expected: &[String], damage: &str) -> String {
    let db = Database::open(folder).unwrap_or_else(|error| panic!("{damage}: {error}"));
    assert_eq!(answers(&db).expect("answers"), expected, "{damage}");
    assert_eq!(db.verify().expect("a walk").faults, [], "{damage}");
    let [rebuilt] = db.start().rebuilt.as_slice() else { panic!("{damage}: {:?}", db.start().rebuilt) };
    assert_eq!((rebuilt.collection.as_str(), rebuilt.index), ("notes", "keyword"));
    let reason = rebuilt.reason.clone();
    drop(db);
    let db = Database::open(folder).expect("a database");
    assert_eq!(db.start().rebuilt, [], "{damage}: rebuilt once more");
    assert_eq!(answers(&db).expect("answers"), expected, "{damage}");
    reason
}

#[test]
fn a_keyword_index_that_is_gone_is_rebuilt() {
    let folder = sound();
    let expected = expected(folder.path());
    std::fs::remove_dir_all(keyword(folder.path())).expect("removed");
    let reason = healed(folder.path(), &expected, "removed");
    assert!(reason.contains("keyword index is damaged"), "{reason}");
    std::fs::remove_dir_all(folder.path().join("index")).expect("removed");
    healed(folder.path(), &expected, "all indexes removed");
}

#[test]
fn every_damaged_file_of_a_keyword_index_is_noticed_and_healed() {
    let folder = sound();
    let expected = expected(folder.path());
    let mut damaged = 0;
    for file in files(&keyword(folder.path())) {
        let bytes = std::fs::read(&file).expect("a file");
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if bytes.is_empty() {
            continue;
        }
        for (what, damage) in damages(&bytes) {
            let copied = tempfile::tempdir().expect("a folder");
            copy(folder.path(), copied.path());
            let file = copied.path().join(file.strip_prefix(folder.path()).expect("below"));
            match damage {
                Some(bytes) => std::fs::write(&file, bytes).expect("written"),
                None => std::fs::remove_file(&file).expect("removed"),
            }
            let damage = format!("{name}: {what}");
            if name.starts_with('.') {
                // Locks, and which files could be removed.
                let db = Database::open(copied.path()).unwrap_or_else(|error| panic!("{damage}: {error}"));
                assert_eq!(answers(&db).expect("answers"), expected, "{damage}");
            } else {
                healed(copied.path(), &expected, &damage);
            }
            damaged += 1;
        }
    }
    assert!(damaged >= 20, "only {damaged} damages");
}

/// A crash came while the index was removed, to be made anew: what is left looks like an index.
#[test]
fn a_keyword_index_that_is_half_removed_is_rebuilt() {
    let folder = sound();
    let expected = expected(folder.path());
    for file in files(&keyword(folder.path())) {
        if file.ends_with(".managed.json") || file.extension().is_some_and(|kind| kind == "pos") {
            std::fs::remove_file(&file).expect("removed");
        }
    }
    let reason = healed(folder.path(), &expected, "half removed");
    assert!(reason.contains("list of its files"), "{reason}");
}

type Damage = (&'static str, Option<Vec<u8>>);

/// Ways to damage a file; `None` removes it.
fn damages(bytes: &[u8]) -> Vec<Damage> {
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 0x10;
    vec![
        ("a bit flipped", Some(flipped)),
        ("cut in half", Some(bytes[..bytes.len() / 2].to_vec())),
        ("emptied", Some(Vec::new())),
        ("overwritten", Some(vec![b'x'; bytes.len()])),
        ("removed", None),
    ]
}

#[test]
fn damage_done_while_it_is_open_is_found_by_verify_and_mended_by_rebuild() {
    let folder = sound();
    let expected = expected(folder.path());
    let db = Database::open(folder.path()).expect("a database");
    let is_postings = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "idx");
    let file = files(&keyword(folder.path())).into_iter().find(is_postings).expect("postings");
    let mut bytes = std::fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let faults = db.verify().expect("a walk").faults;
    assert!(faults.len() == 1 && faults[0].part == "keyword" && faults[0].is_mendable(), "{faults:?}");
    db.rebuild().expect("a rebuild");
    assert_eq!(db.verify().expect("a walk").faults, []);
    assert_eq!(answers(&db).expect("answers"), expected);
}

/// Vectors that cannot be read any more: the rebuild fails, and what is in memory goes on.
#[test]
fn a_rebuild_that_fails_leaves_what_was_there() {
    let folder = sound();
    let db = Database::open(folder.path()).expect("a database");
    let notes = db.collection("notes").expect("a collection");
    let count = |filter: Filter| notes.count(&filter).expect("a count");
    let before = count(Filter::default());
    for file in files(&folder.path().join("storage")) {
        if file.extension().is_some_and(|kind| kind == "blob") {
            let mut bytes = std::fs::read(&file).expect("a file");
            bytes.iter_mut().step_by(40).for_each(|byte| *byte ^= 1);
            std::fs::write(&file, bytes).expect("written");
        }
    }
    assert_eq!(db.rebuild().expect_err("vectors are damaged").kind(), ErrorKind::Corrupted);
    notes.upsert(vec![point(5_000)]).expect("a point");
    assert_eq!(count(Filter::default()), before + 1);
    let vector = point(5_000).vector_named("").unwrap_or_default().to_vec();
    let near = notes.query().nearest(vector).exact().limit(5).run().expect("hits");
    // Others have the same vector.
    assert!(near.iter().any(|hit| hit.id == 5_000.into() && hit.score == 0.0), "{near:?}");
}

/// Else its name would be given once more, and what is dropped would come back.
#[test]
fn a_collection_that_cannot_be_made_is_not_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    let schema = || Schema::new().keyword(["text".parse().expect("a path")], Language::English);
    let index = folder.path().join("index");
    std::fs::write(&index, "no folder").expect("written");
    assert!(db.create_collection("notes", schema()).is_err());
    std::fs::remove_file(&index).expect("removed");
    let notes = db.create_collection("notes", schema()).expect("there is room for its index");
    notes.upsert(vec![Point::new(1).with("text", "one")]).expect("a point");
    assert!(db.drop_collection("notes").expect("a drop"));
    drop((db, notes));
    let db = Database::open(folder.path()).expect("a database");
    assert!(db.collections().is_empty());
}

#[test]
fn index_files_without_a_collection_are_removed_and_nothing_else() {
    let folder = sound();
    let index = folder.path().join("index");
    copy(&index.join("0"), &index.join("77"));
    std::fs::create_dir(index.join("notes of mine")).expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    assert!(!index.join("77").exists() && index.join("0").exists() && index.join("notes of mine").exists());
    assert!(db.drop_collection("notes").expect("a drop"));
    assert!(!index.join("0").exists(), "files of a dropped collection remain");
}

/// Storage is the truth and cannot be healed: damage is refused at open, an error of the read that meets it, or a
/// fault.
#[test]
fn damaged_storage_never_gives_wrong_answers() {
    let folder = sound();
    let expected = expected(folder.path());
    let mut noticed = 0;
    let is_table = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "sst" || kind == "blob");
    let tables: Vec<PathBuf> = files(&folder.path().join("storage")).into_iter().filter(is_table).collect();
    assert!(tables.iter().any(|file| file.extension().is_some_and(|kind| kind == "blob")), "no blob file");
    for file in &tables {
        let bytes = std::fs::read(file).expect("a file");
        for part in 1..6 {
            let copied = tempfile::tempdir().expect("a folder");
            copy(folder.path(), copied.path());
            let mut bytes = bytes.clone();
            let place = bytes.len() * part / 6;
            bytes[place] ^= 0x20;
            let file = copied.path().join(file.strip_prefix(folder.path()).expect("below"));
            std::fs::write(&file, bytes).expect("written");
            let name = format!("{}, byte {place}", file.display());
            noticed += usize::from(is_noticed(copied.path(), &expected, &name));
        }
    }
    assert!(noticed >= tables.len(), "{noticed} damages of {} files were noticed", tables.len());
}

/// A log is replayed up to what is damaged in it: later commits are lost, as after a loss of power, but no commit is
/// ever half there, and no index is ahead.
#[test]
fn a_damaged_log_leaves_a_prefix_of_whole_commits() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::None);
    let notes = db.create_collection("notes", schema).expect("a collection");
    let (commits, size) = (40_u64, 5_u64);
    for round in 0..commits {
        notes.upsert((0..size).map(|n| point(round * size + n)).map(bare).collect()).expect("points");
    }
    // A clean close leaves no log behind, so the files are taken from under the open database, as a crash leaves them.
    until_keywords_are_committed(&notes);
    let taken = tempfile::tempdir().expect("a folder");
    copy(folder.path(), taken.path());
    drop((db, notes));
    let folder = taken;
    let is_log = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "log");
    let log = files(&folder.path().join("storage")).into_iter().filter(is_log);
    let log = log.max_by_key(|file| std::fs::metadata(file).map_or(0, |file| file.len())).expect("a log");
    let bytes = std::fs::read(&log).expect("a log");
    for part in 1..20 {
        let copied = tempfile::tempdir().expect("a folder");
        copy(folder.path(), copied.path());
        let mut bytes = bytes.clone();
        let place = bytes.len() * part / 20;
        if part % 2 == 0 {
            bytes.truncate(place);
        } else {
            bytes[place] ^= 4;
        }
        let file = copied.path().join(log.strip_prefix(folder.path()).expect("below"));
        std::fs::write(&file, bytes).expect("written");
        match Database::open(copied.path()) {
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Io), "{error}"),
            Ok(db) => assert_prefix(&db, size, commits),
        }
    }
}

/// What a clean close left behind does not depend on the log.
#[test]
fn after_a_clean_close_the_log_is_not_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    let notes = db.create_collection("notes", Schema::new()).expect("a collection");
    notes.upsert((0..100).map(|n| bare(point(n))).collect()).expect("points");
    drop((db, notes));
    for file in files(&folder.path().join("storage")) {
        if file.extension().is_some_and(|kind| kind == "log") {
            std::fs::write(&file, b"").expect("emptied");
        }
    }
    let db = Database::open(folder.path()).expect("it opens");
    assert_eq!(
        db.collection("notes").expect("a collection").count(&Filter::default()).expect("a count"),
        100
    );
}

fn bare(point: Point) -> Point {
    Point { vectors: Vec::new(), ..point }
}

fn assert_prefix(db: &Database, size: u64, commits: u64) {
    assert_eq!(db.verify().expect("a walk").faults, []);
    let Ok(notes) = db.collection("notes") else { return };
    let page = notes.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("a page");
    let count = page.points.len() as u64;
    assert!(count.is_multiple_of(size) && count <= size * commits, "{count} points");
    assert!(page.points.into_iter().eq((0..count).map(|id| bare(point(id)))));
    let words = notes.query().keyword("common").limit(10_000).run().expect("hits");
    assert_eq!(words.len() as u64, count);
}

/// Whether damage of storage was noticed; if not, it lay where nothing is read, and all answers must be right.
fn is_noticed(folder: &Path, expected: &[String], name: &str) -> bool {
    let db = match Database::open(folder) {
        Ok(db) => db,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Io), "{name}: {error}");
            return true;
        }
    };
    match (answers(&db), db.verify()) {
        (Ok(answers), Ok(health)) if health.faults.is_empty() => {
            assert_eq!(answers, expected, "{name}: damage went unnoticed");
            false
        }
        (Ok(answers), _) => {
            assert_eq!(answers, expected, "{name}: a wrong answer");
            true
        }
        (Err(error), _) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Io), "{name}: {error}");
            true
        }
    }
}
