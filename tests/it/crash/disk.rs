//! Disks that fail: no room, no fsync, no rename, half of a write. An operation that meets it fails in plain words;
//! what was acknowledged stays, searches go on, and nothing is acknowledged after a write that failed.
//!
//! The disk is a small library that stands before the C library of the child (`tests/faults/disk.c`); it is compiled
//! here, by the compiler that the build needs anyway. `KITHDB_CRASH_DISKS` sets how many disks fail.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use kithdb::{Database, Durability, Filter, Language, Metric, Options, Point, Schema, Segments};

use super::child::{Child, Ended, Fate};
use super::{Campaign, number};
use crate::folder::files;

const DISKS: u64 = 12;

/// What may fail, the largest count at which it does, and whether that stops all writing.
const KINDS: [(&str, u64, bool); 9] = [
    ("space", 1_500_000, true),
    ("sync", 250, true),
    ("sync-once", 250, true),
    ("write", 1_500, true),
    ("locked", 1_500, true),
    ("rename", 40, false),
    ("open", 60, false),
    ("short", 4, false),
    ("interrupt", 4, false),
];

/// How long a child writes, and after how long it has hung.
const LIFE_MS: u64 = 700;
const LIFE_MAX: Duration = Duration::from_secs(60);

/// Kinds of errors that a failing disk may cause; a chore may meet a build that is under way as well.
const HONEST: [&str; 5] = ["io", "storage_full", "poisoned", "corrupted", "busy"];

fn library(folder: &std::path::Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/disk.c");
    let library = folder.join("disk.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status()
        .expect("a C compiler, which the build needs too");
    assert!(compiled.success(), "{source} does not compile");
    library
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_fails_is_told_and_costs_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = library(folder.path());
    let mut campaign = Campaign::new();
    let disks = number("KITHDB_CRASH_DISKS").unwrap_or(DISKS);
    let (mut stopping, mut stopped) = (0, 0);
    for disk in 0..disks {
        // Fsync is the promise that a disk can break; the others come with it now and then.
        campaign.turn = if disk % 4 == 3 { disk } else { 2 };
        let (kind, most, stops) = KINDS[(disk % KINDS.len() as u64) as usize];
        let least = if stops { 0 } else { 2 };
        let count = least + campaign.random.below(most + 1 - least);
        // The first few of everything lie in the opening.
        let count = if campaign.random.below(4) == 0 { least + count % 20 } else { count };
        let fault = format!("{kind}:{count}");
        let fate = Fate { disk: Some((fault.clone(), library.clone(), LIFE_MS)), ..Fate::default() };
        println!("disk {disk}: {fault}");
        let ended = campaign.child(&fate).finish(&campaign.progress.done, LIFE_MAX);
        check(&ended, &fault, stops);
        let has_failed = ended.error.is_some() || !ended.failures.is_empty();
        (stopping, stopped) = (stopping + u64::from(stops), stopped + u64::from(stops && has_failed));
        campaign.examine(&ended.acks, &fault);
    }
    campaign.result("failing disks");
    assert!(2 * stopped >= stopping, "only {stopped} of {stopping} disks failed anybody");
}

/// Errors are of their kinds; a harmless disk causes none.
fn check(ended: &Ended, fault: &str, stops: bool) {
    let dishonest = ended.failures.iter().find(|failed| !HONEST.contains(&failed.kind.as_str()));
    assert!(dishonest.is_none(), "{fault}: {ended:?}");
    let is_harmless = fault.starts_with("short") || fault.starts_with("interrupt");
    assert!(!is_harmless || ended.failures.is_empty() && ended.error.is_none(), "{fault}: {ended:?}");
    if stops && let Some(error) = &ended.error {
        let words = ["No space left", "Input/output error", "Read-only file system", "os error", "While "];
        assert!(words.iter().any(|word| error.contains(word)), "{fault}: {error}");
    }
}

/// They are sound: to make them anew would take hours, where they are large.
#[test]
#[cfg(target_os = "linux")]
fn a_start_without_open_files_is_refused_and_keeps_the_segments() {
    const POINTS: u64 = 30;
    let (folder, tools) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let open = || {
        let segments = Segments { seal_rows: 10, ..Segments::default() };
        Database::open_with(folder.path(), Options { segments, ..Options::default() }).expect("a database")
    };
    let db = open();
    let notes = db.create_collection("notes", Schema::new().vector(1, Metric::Euclid)).expect("made");
    notes.upsert((0..POINTS).map(|id| Point::new(id).vector([id as f32])).collect()).expect("points");
    notes.optimize(true).expect("a segment");
    drop((notes, db));
    let segments = || {
        let is_segment = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "seg");
        files(folder.path()).into_iter().filter(is_segment).collect::<Vec<_>>()
    };
    let before = segments();
    assert!(!before.is_empty());
    let disk = Some(("segment:1".to_owned(), library(tools.path()), 0));
    let fate = Fate { disk, opens_only: true, ..Fate::default() };
    let ended = Child::start(folder.path(), Durability::Fsync, 0, &[], &fate).finish(&[], LIFE_MAX);
    let error = ended.error.expect("it does not open");
    assert!(error.contains("Too many open files") && error.contains("ulimit -n"), "{error}");
    assert_eq!(segments(), before);
    let db = open();
    assert_eq!((db.start().rebuilt.len(), db.start().points_read), (0, 0), "{:?}", db.start());
    let notes = db.collection("notes").expect("the collection");
    assert_eq!(notes.count(&Filter::default()).expect("a count"), POINTS as usize);
}

#[test]
#[cfg(target_os = "linux")]
fn a_start_goes_on_where_a_full_disk_has_no_room_for_another_keyword_index() {
    let (folder, tools) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let open = || Database::open(folder.path()).expect("a database");
    let db = open();
    let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::English);
    let notes = db.create_collection("notes", schema).expect("made");
    notes.upsert(vec![Point::new(1).with("text", "kept")]).expect("a point");
    drop((notes, db));
    std::fs::remove_file(folder.path().join("index/0/keyword/.managed.json")).expect("removed");
    let disk = Some(("keyword:1".to_owned(), library(tools.path()), 0));
    let fate = Fate { disk, opens_only: true, ..Fate::default() };
    let mut child = Child::start(folder.path(), Durability::Fsync, 0, &[], &fate);
    assert!(child.dies_within(LIFE_MAX), "it opens and closes");
    // It said no error.
    child.kill_opening();
    let db = open();
    assert!(matches!(&db.start().rebuilt[..], [one] if one.index == "keyword"), "{:?}", db.start());
    let notes = db.collection("notes").expect("the collection");
    assert_eq!(notes.query().keyword("kept").run().expect("hits").len(), 1);
    assert_eq!(db.verify().expect("a walk").faults, []);
}
