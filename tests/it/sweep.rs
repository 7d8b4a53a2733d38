//! Damage of every file of a closed database: a bit in each 4 KiB, a cut, zeros at the end, nothing at all, the file
//! gone. It is found by the opening, by the doctor or by the read that meets it, and it is never answered with; what is
//! derived is healed, and never stops a start.
//!
//! `KITHDB_SWEEP_ALL` takes every block instead of some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kithdb::{
    Condition, Database, ErrorKind, FieldKind, Filter, Language, Metric, Options, Point, QueryBuilder,
    Result, Schema, Segments, Select, SparseSpec, SparseVector,
};

use crate::folder::{copy, files};
use crate::pause::until_keywords_are_committed;

const POINTS: u64 = 400;
const DIM: u64 = 160;
const BLOCK_BYTES: usize = 4096;

/// Damages of files that are large enough for many, unless all are asked for.
const BLOCKS_MAX: usize = 3;

fn open(folder: &Path) -> Result<Database> {
    let segments = Segments { seal_rows: 100, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() })
}

fn point(id: u64) -> Point {
    let vector: Vec<f32> = (0..DIM).map(|n| ((id * 31 + n * 7) % 101) as f32).collect();
    let weights = (0..id as u32 % 6).map(|n| (n * 7 + id as u32 % 3, 0.5 + n as f32));
    Point::new(id)
        .vector(vector)
        .named_vector("s", SparseVector::of(weights))
        .with("text", format!("common w{} only{id}", id % 10))
        .with("group", id % 7)
}

/// A closed database with everything in it: segments and a head, tables, blobs and a log, keywords, a second
/// collection, and a snapshot.
fn sound() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path()).expect("a database");
    let schema = Schema::new()
        .vector(DIM as usize, Metric::Euclid)
        .sparse_vector("s", SparseSpec::default())
        .keyword(["text".parse().expect("a path")], Language::None)
        .field("group".parse().expect("a path"), FieldKind::Integer);
    let notes = db.create_collection("notes", schema).expect("a collection");
    notes.upsert((0..POINTS).map(point).collect()).expect("points");
    notes.delete((0..POINTS).filter(|id| id % 9 == 0).map(Into::into).collect()).expect("a delete");
    notes.optimize(true).expect("a segment");
    let other = db.create_collection("other", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    other.upsert((0..20).map(|id| Point::new(id).vector([id as f32])).collect()).expect("points");
    until_keywords_are_committed(&notes);
    drop((db, notes, other));
    let db = open(folder.path()).expect("a database");
    let notes = db.collection("notes").expect("a collection");
    notes.upsert(vec![point(1), point(2)]).expect("points");
    until_keywords_are_committed(&notes);
    db.create_snapshot(Some("notes")).expect("a snapshot");
    drop((db, notes));
    folder
}

/// What the database answers.
fn answers(db: &Database) -> Result<Vec<String>> {
    let (notes, other) = (db.collection("notes")?, db.collection("other")?);
    let mut answers = Vec::new();
    for collection in [&notes, &other] {
        let all = collection.scroll(&Filter::default(), None, 10_000, &Select::all())?;
        answers.extend(all.points.iter().map(|point| format!("{point:?}")));
    }
    for text in ["only4", "only9", "only17"] {
        let hits = notes.query().keyword(text).limit(10_000).run()?;
        answers.push(format!("{:?}", hits.iter().map(|hit| hit.id).collect::<Vec<_>>()));
    }
    let weights = SparseVector::of([(0, 1.0), (7, 0.5)]);
    answers.push(scored(notes.query().nearest_in("s", weights))?);
    answers.push(notes.count(&Filter::must(Condition::equals("group", 3)?))?.to_string());
    Ok(answers)
}

/// What is nearest. A segment is read from end to end only in a quiet moment after the start, and by the doctor: until
/// then a damaged vector in it may rank a point wrongly, though never show anything but the point.
fn ranking(db: &Database) -> Result<String> {
    scored(db.collection("notes")?.query().nearest(vec![3.0; DIM as usize]).exact())
}

/// Every hit with its score. Hits of one score come in the order of rows, which is another where a part is made anew.
fn scored(query: QueryBuilder<'_>) -> Result<String> {
    let mut hits = query.limit(10_000).run()?;
    hits.sort_by_key(|hit| hit.id);
    Ok(format!("{:?}", hits.iter().map(|hit| (hit.id, hit.score)).collect::<Vec<_>>()))
}

type Expected = (Vec<String>, String);

/// How damage came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The start said what it made anew, the doctor what is wrong, or an error which part cannot be read.
    Told,
    /// Nothing reads it: all is as it was.
    Harmless,
}

/// A damaged file, and what is done to it.
struct Damage {
    file: PathBuf,
    what: String,
    /// Nothing for a file that goes.
    bytes: Option<Vec<u8>>,
}

fn damages(folder: &Path, file: &Path, is_all: bool) -> Vec<Damage> {
    let bytes = std::fs::read(file).expect("a file");
    let file = file.strip_prefix(folder).expect("below").to_owned();
    let damage = |what: String, bytes| Damage { file: file.clone(), what, bytes };
    let blocks = bytes.len().div_ceil(BLOCK_BYTES);
    let step = if is_all { 1 } else { blocks.div_ceil(BLOCKS_MAX).max(1) };
    let flips = (0..blocks).step_by(step).map(|block| {
        let end = bytes.len().min((block + 1) * BLOCK_BYTES);
        // Elsewhere in each block, and another bit.
        let at = block * BLOCK_BYTES + block.wrapping_mul(2_654_435_761) % (end - block * BLOCK_BYTES);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (block % 8);
        damage(format!("a bit of byte {at}"), Some(flipped))
    });
    let mut all: Vec<Damage> = flips.collect();
    if bytes.is_empty() {
        return all;
    }
    all.push(damage("gone".to_owned(), None));
    all.push(damage("emptied".to_owned(), Some(Vec::new())));
    all.push(damage("cut in half".to_owned(), Some(bytes[..bytes.len() / 2].to_vec())));
    let mut zeros = bytes.clone();
    let from = bytes.len() - bytes.len().min(BLOCK_BYTES);
    zeros[from..].fill(0);
    all.push(damage("zeros at the end".to_owned(), Some(zeros)));
    all
}

#[test]
fn damage_of_any_file_is_found_or_harmless_and_never_answered_with() {
    let folder = sound();
    let db = open(folder.path()).expect("a database");
    assert_eq!((db.start().rebuilt.len(), db.verify().expect("a walk").faults.len()), (0, 0));
    let expected = (answers(&db).expect("answers"), ranking(&db).expect("hits"));
    drop(db);
    let is_all = std::env::var_os("KITHDB_SWEEP_ALL").is_some();
    let mut outcomes: BTreeMap<(String, Outcome), usize> = BTreeMap::new();
    for file in files(folder.path()) {
        for damage in damages(folder.path(), &file, is_all) {
            let copied = tempfile::tempdir().expect("a folder");
            copy(folder.path(), copied.path());
            let place = copied.path().join(&damage.file);
            match &damage.bytes {
                Some(bytes) => std::fs::write(&place, bytes).expect("written"),
                None => std::fs::remove_file(&place).expect("removed"),
            }
            let outcome = if damage.file.starts_with("snapshots") {
                recover(copied.path(), &expected, &damage)
            } else {
                start(copied.path(), &expected, &damage)
            };
            *outcomes.entry((kind(&damage.file), outcome)).or_default() += 1;
        }
    }
    for ((kind, outcome), count) in &outcomes {
        println!("{kind:<24} {outcome:?} {count}");
    }
    let told: usize =
        outcomes.iter().filter(|((_, outcome), _)| *outcome == Outcome::Told).map(|(_, n)| n).sum();
    let all: usize = outcomes.values().sum();
    println!("{told} of {all} damages were told");
    assert!(all > 100 && 2 * told > all, "{told} of {all} damages were told");
}

/// What a file is, for the table.
fn kind(file: &Path) -> String {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let room = file.iter().next().and_then(|room| room.to_str()).unwrap_or_default();
    let kind = match name.rsplit_once('.') {
        Some((_, kind)) => format!(".{kind}"),
        None => name.split('-').next().unwrap_or_default().to_owned(),
    };
    format!("{room}/{kind}")
}

/// Opens what is damaged.
fn start(folder: &Path, (expected, nearest): &Expected, damage: &Damage) -> Outcome {
    let name = format!("{}: {}", damage.file.display(), damage.what);
    let is_storage = damage.file.starts_with("storage");
    let honest = |error: &kithdb::Error| {
        let is_honest = matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Io);
        assert!(is_storage && is_honest, "{name}: {error}");
    };
    let db = match open(folder) {
        Ok(db) => db,
        Err(error) => {
            honest(&error);
            return Outcome::Told;
        }
    };
    let is_right = match answers(&db) {
        Ok(answers) => {
            let wrong = answers.iter().zip(expected).find(|(found, expected)| found != expected);
            assert!(wrong.is_none() && answers.len() == expected.len(), "{name}: a wrong answer: {wrong:?}");
            true
        }
        Err(error) => {
            honest(&error);
            false
        }
    };
    let faults = match db.verify() {
        Ok(walk) => walk.faults,
        Err(error) => {
            honest(&error);
            return Outcome::Told;
        }
    };
    let is_told = !is_right || !faults.is_empty() || !db.start().rebuilt.is_empty();
    if is_storage {
        match ranking(&db) {
            Ok(found) => assert_eq!(found, *nearest, "{name}: a wrong ranking"),
            Err(error) => honest(&error),
        }
        return if is_told { Outcome::Told } else { Outcome::Harmless };
    }
    // What is derived is whole again: at once, or after a rebuild.
    if !faults.is_empty() {
        assert!(faults.iter().all(kithdb::Fault::is_mendable), "{name}: {faults:?}");
        db.rebuild().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(db.verify().expect("a walk").faults, [], "{name}: a rebuild mends it");
        assert!(answers(&db).expect("answers") == *expected, "{name}: a wrong answer after a rebuild");
    }
    assert!(ranking(&db).expect("hits") == *nearest, "{name}: a wrong ranking, and the doctor finds nothing");
    drop(db);
    let db = open(folder).unwrap_or_else(|error| panic!("{name}, once more: {error}"));
    assert_eq!(db.start().rebuilt, [], "{name}: healed twice");
    if is_told { Outcome::Told } else { Outcome::Harmless }
}

/// Recovers a snapshot that is damaged, or that has a damaged checksum.
fn recover(folder: &Path, (expected, _): &Expected, damage: &Damage) -> Outcome {
    let name = format!("{}: {}", damage.file.display(), damage.what);
    let db = open(folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(answers(&db).expect("answers") == *expected, "{name}: a wrong answer");
    let found = db.snapshots(Some("notes")).expect("a list");
    let Some(snapshot) = found.first() else { return Outcome::Told };
    let path = db.snapshot_path(Some("notes"), &snapshot.name).expect("a path");
    let is_file_damaged = damage.file.extension().is_some_and(|kind| kind == "snapshot");
    let with = db.recover_collection("notes", &path, snapshot.checksum.as_deref());
    assert!(with.is_err() || !is_file_damaged || snapshot.checksum.is_none(), "{name}: no checksum counts");
    let without = db.recover_collection("notes", &path, None);
    assert!(is_file_damaged || without.is_ok(), "{name}: the snapshot is whole");
    assert!(answers(&db).expect("answers") == *expected, "{name}: a wrong answer");
    assert_eq!(db.verify().expect("a walk").faults, [], "{name}");
    if with.is_err() || without.is_err() { Outcome::Told } else { Outcome::Harmless }
}
