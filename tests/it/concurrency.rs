//! Many threads on one database: readers never wait for the writer and see whole commits; handles are shared freely;
//! a second opener is refused; the last handle closes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use kithdb::{
    AliasChange, Collection, Condition, Database, ErrorKind, FieldKind, Filter, Metric, Op, Options, Point,
    PointId, Schema, Segments, Select,
};

/// Points of one commit that must be seen together.
const BATCH: u64 = 50;

fn open(folder: &tempfile::TempDir) -> Database {
    Database::open(folder.path().join("db")).expect("a database")
}

fn is(path: &str, value: i64) -> Filter {
    Filter::must(Condition::equals(path, value).expect("a path"))
}

fn batch(round: u64) -> Vec<Point> {
    let point =
        |n: u64| Point::new(n).vector([n as f32, round as f32]).with("round", round).with("text", "a word");
    (0..BATCH).map(point).collect()
}

/// Runs `write` once, and `read` over and over meanwhile; how often it was read.
fn beside(write: impl FnOnce() + Send, read: impl Fn(usize) + Sync, readers: usize) -> usize {
    let (is_over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    scope(|threads| {
        for reader in 0..readers {
            let (is_over, reads, read) = (&is_over, &reads, &read);
            threads.spawn(move || {
                while !is_over.load(Ordering::Acquire) {
                    read(reader);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Ends the readers also when the writer panics.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let _end = End(&is_over);
        write();
    });
    reads.into_inner()
}

#[test]
fn every_answer_shows_whole_commits() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(&folder);
    let text = "text".parse().expect("a path");
    let schema = Schema::new().vector(2, Metric::Euclid).keyword([text], kithdb::Language::None);
    let notes = db.create_collection("notes", schema).expect("a collection");
    notes.upsert(batch(0)).expect("a batch");
    let limit = BATCH as usize * 2;
    let read = |reader: usize| {
        let rounds: Vec<u64> = match reader % 3 {
            0 => {
                let page = notes.scroll(&Filter::default(), None, limit, &Select::default()).expect("a page");
                page.points.iter().filter_map(|point| point.payload["round"].as_u64()).collect()
            }
            1 => round_of_hits(notes.query().nearest([0.0, 0.0]).limit(limit)),
            _ => round_of_hits(notes.query().keyword("word").limit(limit)),
        };
        assert_eq!(rounds.len() as u64, BATCH, "reader {reader} saw another number of points");
        assert!(rounds.iter().all(|round| *round == rounds[0]), "reader {reader} saw parts: {rounds:?}");
    };
    let write = || {
        for round in 1..400 {
            notes.upsert(batch(round)).expect("a batch");
        }
    };
    let reads = beside(write, read, 3);
    assert!(reads > 100, "only {reads} reads");
}

fn round_of_hits(query: kithdb::QueryBuilder<'_>) -> Vec<u64> {
    let hits = query.run().expect("hits");
    hits.iter().filter_map(|hit| hit.payload["round"].as_u64()).collect()
}

/// One commit deletes a point and puts it back under another id: there is always exactly one.
#[test]
fn a_point_that_moves_is_never_in_two_places_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(&folder);
    let schema = Schema::new().field("kind".parse().expect("a path"), FieldKind::Integer);
    let notes = db.create_collection("notes", schema).expect("a collection");
    let put = |id: u64| Op::Upsert(Point::new(id).with("kind", 1).with("odd", 1));
    notes.apply((100..400).map(|id| Op::Upsert(Point::new(id).with("kind", 2))).collect()).expect("others");
    notes.apply(vec![put(0)]).expect("a point");
    let write = || {
        for from in 0..600_u64 {
            let (from, to) = (from % 50, (from + 1) % 50);
            notes.apply(vec![Op::Delete(vec![from.into()]), put(to)]).expect("a move");
        }
    };
    let read = |reader: usize| {
        let found = match reader % 4 {
            0 => {
                notes.scroll(&Filter::default(), None, 400, &Select::none()).expect("a page").points.len()
                    - 300
            }
            1 => notes.scroll(&is("odd", 1), None, 400, &Select::none()).expect("a page").points.len(),
            2 => notes.count(&is("odd", 1)).expect("a count"),
            _ => notes.query().filter_by(is("kind", 1)).run().expect("hits").len(),
        };
        assert_eq!(found, 1, "reader {reader}");
    };
    assert!(beside(write, read, 4) > 100);
}

/// The slowest read while the writer is at it. Generous: other tests share the cores.
const READ_MAX: Duration = Duration::from_millis(750);

#[test]
fn readers_do_not_wait_for_fsync_or_for_a_field_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(&folder);
    let notes = db.create_collection("notes", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    for block in 0..20_u64 {
        let filler = "x".repeat(400);
        let points = (0..1_000).map(|n| {
            let id = 1_000 + block * 1_000 + n;
            Point::new(id).vector([n as f32, block as f32]).with("n", n).with("filler", filler.clone())
        });
        notes.upsert(points.collect()).expect("a block");
    }
    let slowest = AtomicUsize::new(0);
    let read = |_| {
        let began = Instant::now();
        let hits = notes.query().nearest([3.0, 3.0]).limit(5).run().expect("hits");
        slowest.fetch_max(began.elapsed().as_micros() as usize, Ordering::Relaxed);
        assert_eq!(hits.len(), 5);
    };
    let mut field_ms = 0;
    let write = || {
        let began = Instant::now();
        notes.create_field("n".parse().expect("a path"), FieldKind::Integer).expect("a field index");
        notes.create_field("filler".parse().expect("a path"), FieldKind::Keyword).expect("a field index");
        field_ms = began.elapsed().as_millis();
        for round in 0..150 {
            notes.upsert(batch(round)).expect("a batch");
        }
    };
    let reads = beside(write, read, 2);
    let slowest = Duration::from_micros(slowest.into_inner() as u64);
    println!("{reads} reads, slowest {slowest:?}; field indexes took {field_ms} ms");
    assert!(slowest < READ_MAX, "a read took {slowest:?}");
}

/// Nearly every row dies, and heads are small: segments are made, merged and emptied underneath the readers, and
/// writers wait for room.
#[test]
fn sealing_and_merging_change_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let segments = Segments { seal_rows: 500, waiting_bytes_max: 100_000, ..Segments::default() };
    let options = Options { segments, ..Options::default() };
    let db = Database::open_with(folder.path().join("db"), options).expect("a database");
    let schema = Schema::new()
        .vector(2, Metric::Euclid)
        .keyword(["text".parse().expect("a path")], kithdb::Language::None)
        .field("n".parse().expect("a path"), FieldKind::Integer);
    let notes = db.create_collection("notes", schema).expect("a collection");
    let put =
        |id: u64| Point::new(id).vector([id as f32, 1.0]).with("n", id).with("text", format!("word w{id}"));
    let write = || {
        for round in 0..20 {
            notes.upsert((0..2_000).map(put).collect()).expect("a batch");
            if round % 5 == 0 {
                notes.optimize(round == 15).expect("a segment");
            }
            if round == 7 {
                notes.create_field("text".parse().expect("a path"), FieldKind::Keyword).expect("a field");
            }
        }
        notes.optimize(true).expect("a segment");
    };
    notes.upsert((0..2_000).map(put).collect()).expect("a batch");
    let read = |_| {
        let near = notes.query().nearest([700.2, 1.0]).exact().limit(3).run().expect("hits");
        let ids: Vec<PointId> = near.iter().map(|hit| hit.id).collect();
        assert_eq!(ids, [700.into(), 701.into(), 699.into()]);
        let found = notes.query().keyword("w77").run().expect("hits");
        assert_eq!(found.iter().map(|hit| hit.id).collect::<Vec<_>>(), [77.into()]);
        assert_eq!(notes.count(&is("n", 5)).expect("a count"), 1);
    };
    beside(write, read, 1);
    let status = notes.status();
    let segments: Vec<_> = status.segments.iter().map(|segment| (segment.rows, segment.dead_rows)).collect();
    assert_eq!((segments, status.head_rows, status.build), (vec![(2_000, 0)], 0, None));
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// It is about the rows that there are when it is asked for.
#[test]
fn one_segment_is_made_although_others_go_on_writing() {
    let segments = Segments { seal_rows: 500, ..Segments::default() };
    let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
    let notes = db.create_collection("notes", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    let put = |id: u64| Point::new(id).vector([id as f32, 1.0]);
    notes.upsert((0..2_000).map(put).collect()).expect("points");
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let replace = |_| {
        assert!(began.elapsed() < Duration::from_secs(60), "it ends only when nobody writes any more");
        let id = next.fetch_add(1, Ordering::Relaxed) as u64 % 2_000;
        notes.upsert(vec![put(id)]).expect("a point");
    };
    beside(|| notes.optimize(true).expect("a segment"), replace, 1);
    assert_eq!(notes.count(&Filter::default()).expect("a count"), 2_000);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// The rows go with the collection; who reads meanwhile finds all of them, or that it is gone.
#[test]
fn a_collection_that_is_dropped_is_whole_or_gone() {
    let db = Database::in_memory().expect("a database");
    for round in 0..20 {
        let schema = Schema::new().vector(2, Metric::Euclid);
        let notes = db.create_collection("notes", schema).expect("a collection");
        notes.upsert(batch(round)).expect("a batch");
        let is_gone = |error: kithdb::Error| assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let read = |_| {
            let count = |found: usize| assert_eq!(found as u64, BATCH);
            let page = notes.scroll(&Filter::default(), None, BATCH as usize, &Select::all());
            page.map_or_else(is_gone, |page| count(page.points.len()));
            let hits = notes.query().nearest([1.0, 0.0]).limit(BATCH as usize).run();
            hits.map_or_else(is_gone, |hits| count(hits.len()));
        };
        let drop_it = || {
            std::thread::sleep(Duration::from_millis(5));
            assert!(db.drop_collection("notes").expect("a drop"));
            std::thread::sleep(Duration::from_millis(5));
        };
        beside(drop_it, read, 2);
    }
}

#[test]
fn an_alias_leads_somewhere_while_its_collections_are_replaced() {
    let db = Database::in_memory().expect("a database");
    let (make, name) =
        (|name: &str| db.create_collection(name, Schema::new()), |round: usize| round.to_string());
    let set = |name: String| AliasChange::Set { alias: "live".to_owned(), collection: name };
    make("0").expect("a collection");
    db.change_aliases(vec![set(name(0))]).expect("an alias");
    let replace = || {
        for round in 1..200 {
            make(&name(round)).expect("a collection");
            db.change_aliases(vec![set(name(round))]).expect("another one");
            assert!(db.drop_collection(&name(round - 1)).expect("a drop"));
        }
    };
    beside(replace, |_| drop(db.collection("live").expect("there always is one")), 2);
}

#[test]
fn handles_are_shared_by_many_threads_and_no_write_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(&folder);
    let notes = db.create_collection("notes", Schema::new()).expect("a collection");
    let (writers, rounds) = (8_u64, 40_u64);
    scope(|threads| {
        for writer in 0..writers {
            let (db, notes): (Database, Collection) = (db.clone(), notes.clone());
            threads.spawn(move || {
                for round in 0..rounds {
                    let id = writer * rounds + round;
                    let receipt = notes.upsert(vec![Point::new(id)]).expect("a write");
                    let same = db.collection("notes").expect("the collection");
                    assert!(same.status().seqno >= receipt.seqno, "the view is older than the receipt");
                    assert_eq!(same.get(&[id.into()], &Select::none()).expect("reads").len(), 1);
                }
            });
        }
    });
    assert_eq!(notes.count(&Filter::default()).expect("a count") as u64, writers * rounds);
    drop(db);
    // The collection's handle alone keeps the database open.
    notes.upsert(vec![Point::new(9_999)]).expect("a write");
    drop(notes);
    let db = open(&folder);
    let points = db.collection("notes").expect("kept").count(&Filter::default()).expect("a count");
    assert_eq!(points as u64, writers * rounds + 1);
}

#[test]
fn a_second_opener_is_refused_until_the_last_handle_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(&folder);
    let notes = db.create_collection("notes", Schema::new()).expect("a collection");
    let again = || Database::open(folder.path().join("db"));
    let Err(error) = again() else { panic!("opened twice in one process") };
    assert_eq!(error.kind(), ErrorKind::Busy);
    let message = other_process(folder.path());
    assert!(message.contains("open in another process"), "{message}");
    drop(db);
    assert!(again().is_err(), "a collection's handle is left");
    drop(notes);
    again().expect("free at once");
}

#[test]
fn what_is_left_reads_on_when_the_last_handle_is_gone_and_keeps_the_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(&folder);
    let notes = db.create_collection("notes", Schema::new()).expect("a collection");
    notes.upsert((0..9).map(Point::new).collect()).expect("points");
    let reading = notes.reading().expect("a reading");
    drop((db, notes));
    assert_eq!(reading.count(&Filter::default()).expect("a count"), 9);
    assert_eq!(reading.get(&[7.into()], &Select::all()).expect("reads"), [Point::new(7)]);
    let again = || Database::open(folder.path().join("db"));
    let Err(error) = again() else { panic!("opened beside a reading") };
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains("all that reads from it"), "{error}");
    drop(reading);
    again().expect("free at once");
}

/// What another process hears that tries to open the database.
fn other_process(folder: &std::path::Path) -> String {
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_kithdb-crash-child"))
        .arg(folder.join("db"))
        .args(["wal", "1", "0"])
        .output()
        .expect("a child");
    assert!(!child.status.success());
    String::from_utf8_lossy(&child.stdout).into_owned()
}
