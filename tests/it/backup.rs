//! Backups: what is made while everybody writes is one commit, the same that `as_of` shows; what a newer version wrote
//! is refused in plain words, and stays as it is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use kithdb::{
    Database, ErrorKind, Filter, Metric, Op, Options, Point, Schema, Segments, Select, Seqno, Transaction,
};

use crate::folder::{copy, files};

const WRITERS: u64 = 4;
const IDS: u64 = 50;

fn open(folder: &Path) -> Database {
    let segments = Segments { seal_rows: 128, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database")
}

fn point(id: u64, round: u64) -> Point {
    Point::new(id).vector([id as f32, round as f32]).with("round", round)
}

/// Both collections change together, in each writer's rounds: puts of all its ids, and deletes of some.
fn write(db: &Database, writer: u64, round: u64) {
    let ids = writer * IDS..(writer + 1) * IDS;
    let puts = || ids.clone().map(|id| Op::Upsert(point(id, round))).collect::<Vec<Op>>();
    let gone = ids.clone().filter(|id| (id + round).is_multiple_of(5)).map(Into::into).collect();
    let mut left = puts();
    left.push(Op::Delete(gone));
    db.commit(Transaction::new().on("left", left).on("right", puts())).expect("a commit");
}

fn all(db: &Database, name: &str) -> Vec<Point> {
    let collection = db.collection(name).expect("a collection");
    collection.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("a page").points
}

#[test]
fn a_backup_made_under_load_is_one_commit_and_as_of_agrees() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    for name in ["left", "right"] {
        let schema = Schema::new().vector(2, Metric::Euclid).history(3_600);
        db.create_collection(name, schema).expect("a collection");
    }
    (0..WRITERS).for_each(|writer| write(&db, writer, 0));
    let ends = AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, ends) = (&db, &ends);
            scope.spawn(move || {
                (1..)
                    .take_while(|_| !ends.load(Ordering::Relaxed))
                    .for_each(|round| write(db, writer, round));
            });
        }
        let made: Vec<_> = (0..5).map(|_| db.create_snapshot(None).expect("a snapshot")).collect();
        ends.store(true, Ordering::Relaxed);
        made
    });
    let last = db.collection("left").expect("a collection").reading().expect("now").seqno();
    let mut seqnos = BTreeSet::new();
    for snapshot in &made {
        // Its name says of which commit it is: `kithdb-<seqno>-<time>.snapshot`.
        let seqno = snapshot.name.split('-').nth(1).and_then(|number| number.parse().ok()).map(Seqno);
        let seqno = seqno.expect("a commit in the name");
        seqnos.insert(seqno);
        let path = db.snapshot_path(None, &snapshot.name).expect("a file");
        let elsewhere = Database::in_memory().expect("a database");
        for name in ["left", "right"] {
            elsewhere.recover_collection(name, &path, snapshot.checksum.as_deref()).expect("recovered");
            let then = db.collection(name).expect("a collection").as_of(seqno).expect("a past state");
            let then = then.scroll(&Filter::default(), None, 10_000, &Select::all()).expect("a page").points;
            assert!(all(&elsewhere, name) == then, "`{name}` as of {seqno}");
        }
        // A transaction over both is there whole.
        for right in all(&elsewhere, "right") {
            let id = right.id;
            let left = elsewhere.collection("left").expect("a collection");
            let left = left.get(&[id], &Select::all()).expect("points");
            assert!(left.iter().all(|left| left.payload == right.payload), "{left:?} beside {right:?}");
        }
        assert_eq!(elsewhere.verify().expect("a walk").faults, []);
    }
    assert!(seqnos.len() > 1 && seqnos.first() < Some(&last), "nobody wrote meanwhile: {seqnos:?}");
}

/// The newer version is made by hand: nobody has written one yet. A row is sealed by the checksum of key and body.
#[test]
fn what_a_newer_version_wrote_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    db.create_collection("left", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    let snapshot = db.create_snapshot(None).expect("a snapshot");
    let path = db.snapshot_path(None, &snapshot.name).expect("a file");
    let mut bytes = std::fs::read(&path).expect("reads");
    let head = br#"{"format":1,"#;
    let at = bytes.windows(head.len()).position(|window| window == head).expect("its version");
    bytes[at + 10] = b'9';
    let newer = folder.path().join("newer");
    std::fs::write(&newer, bytes).expect("written");
    let error = db.recover_collection("left", &newer, None).expect_err("a newer snapshot");
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    assert!(error.message().contains("format 9") && error.message().contains("up to 1"), "{error}");
    drop(db);
    // A segment of a newer version is derived: it is made anew.
    let sealed = tempfile::tempdir().expect("a folder");
    let db = open(sealed.path());
    let left = db.create_collection("left", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    left.upsert((0..200).map(|id| point(id, 1)).collect()).expect("points");
    left.optimize(true).expect("a segment");
    drop((db, left));
    let copied = tempfile::tempdir().expect("a folder");
    copy(sealed.path(), copied.path());
    for file in files(&copied.path().join("index/0/segments")) {
        let mut bytes = std::fs::read(&file).expect("reads");
        // Behind the eight bytes that say what it is; then their checksum.
        bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        std::fs::write(&file, bytes).expect("written");
    }
    let db = open(copied.path());
    assert!(!db.start().rebuilt.is_empty());
    assert_eq!(all(&db, "left").len(), 200);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// One file of a tar archive, of any kind and name; the header's checksum is right.
fn archived(name: &[u8], kind: u8, link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link);
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Nothing of an archive becomes a file, whatever its names and kinds are; and what it says is checked.
#[test]
fn an_archive_of_somebody_else_leads_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("database");
    let db = open(&place);
    db.create_collection("left", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    let head = archived(b"snapshot.json", b'0', b"", br#"{"format":1,"seqno":1,"aliases":{}}"#);
    let escape = folder.path().join("escape");
    let outside = escape.to_str().expect("a path of letters").as_bytes();
    let before: Vec<_> = files(folder.path());
    let hostile = [
        archived(b"../../escape", b'0', b"", b"x"),
        archived(outside, b'0', b"", b"x"),
        archived(b"0/collection.json", b'2', b"/etc/passwd", b""),
        archived(b"0/collection.json", b'1', b"../../escape", b""),
        archived(b"0/points", b'3', b"", b""),
        archived(b"0/", b'5', b"", b""),
        archived(b"..\\..\\escape", b'0', b"", b"x"),
        archived(b"%2e%2e%2fescape", b'0', b"", b"x"),
        archived(b"\xc0\xae\xc0\xae/escape", b'0', b"", b"x"),
        archived(b"L", b'L', b"", b"../../escape"),
        archived(b"0/collection.json", b'0', b"", br#"{"points":1000000000000,"entry":{}}"#),
        archived(b"0/collection.json", b'0', b"", &b"[".repeat(200_000)),
    ];
    for (number, file) in hostile.iter().enumerate() {
        let path = folder.path().join("archive");
        let end = [0; 1024];
        for archive in [[&head, &file[..], &end].concat(), [&file[..], &end].concat()] {
            std::fs::write(&path, archive).expect("written");
            for name in ["left", "new"] {
                let error = db.recover_collection(name, &path, None).expect_err("refused");
                let kinds = [ErrorKind::Corrupted, ErrorKind::InvalidArgument];
                assert!(kinds.contains(&error.kind()), "archive {number}: {error}");
            }
        }
        std::fs::remove_file(&path).expect("it was there");
    }
    assert!(!escape.exists() && db.collection("new").is_err());
    let after = files(folder.path());
    let is_ours = |file: &std::path::PathBuf| file.starts_with(place.join("storage"));
    assert!(after.iter().filter(|file| !is_ours(file)).eq(before.iter().filter(|file| !is_ours(file))));
    assert_eq!(db.verify().expect("a walk").faults, []);
}
