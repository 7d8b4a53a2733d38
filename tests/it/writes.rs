//! Writes that read first: what must be refused by its outcome, and what happens when many write at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use kithdb::{
    Change, Collection, Database, Durability, ErrorKind, Filter, Limits, Op, Options, Payload, Point,
    PointId, Result, Schema, Select, Selection, Transaction,
};
use serde_json::json;

fn collection(limits: Limits) -> (Database, Collection) {
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let collection = db.create_collection("notes", Schema::new()).expect("a collection");
    (db, collection)
}

fn set(key: &str, value: impl Into<kithdb::Value>, below: &str) -> Change {
    let payload = Payload::from_iter([(key.to_owned(), value.into())]);
    Change::SetPayload { payload, path: (!below.is_empty()).then(|| below.parse().expect("a path")) }
}

fn only(id: u64) -> Selection {
    [id].into_iter().collect()
}

fn all(collection: &Collection) -> Vec<Point> {
    collection.scroll(&Filter::default(), None, 1_000, &Select::all()).expect("a page").points
}

#[test]
fn a_merge_may_not_make_a_payload_too_large_or_too_deep() {
    let limits = Limits { payload_bytes_max: 60, payload_depth_max: 4, ..Limits::default() };
    let (_db, notes) = collection(limits);
    notes
        .upsert((1..4).map(|id| Point::new(id).with("a", "x".repeat(10 * id as usize))).collect())
        .expect("points");
    let before = (all(&notes), notes.status().seqno);
    let everything = || Selection::Where(Filter::default());
    let cases = [
        (only(3), set("b", "y".repeat(20), ""), "payload"),
        // The first two would fit.
        (everything(), set("b", "y".repeat(20), ""), "payload"),
        (only(1), set("b", 1, "c.d.e.f"), "key"),
        (only(1), set("b", json!([[1]]), "c"), "key"),
        (only(1), set("b", json!([[[1]]]), ""), "payload"),
        (
            only(1),
            Change::OverwritePayload(Payload::from_iter([("b".into(), "z".repeat(70).into())])),
            "payload",
        ),
    ];
    for (points, change, field) in cases {
        let error = notes.change(points, change.clone()).expect_err("above a limit");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some(field)), "{change:?}");
    }
    assert_eq!((all(&notes), notes.status().seqno), before);
    notes.change(only(1), set("b", "y".repeat(20), "")).expect("it fits");
    notes.change(only(2), set("b", 1, "c.d")).expect("it is as deep as it may be");
}

/// Two small requests made a gigabyte of it, and more of more.
#[test]
fn a_change_that_multiplies_is_refused_before_it_is_made() {
    let (_db, notes) = collection(Limits { payload_bytes_max: 1 << 20, ..Limits::default() });
    notes.upsert(vec![Point::new(1).with("list", vec![0; 100_000])]).expect("a point");
    notes.upsert((2..2_002).map(Point::new).collect()).expect("points");
    let seqno = notes.status().seqno;
    let everything = || Selection::Where(Filter::default());
    let path = || "a".parse().expect("a path");
    for (points, change, field) in [
        // Of each of 100 000 elements an object of 10 000 bytes.
        (only(1), set("b", "y".repeat(10_000), "list[]"), "payload"),
        // 2 001 payloads of 600 000 bytes.
        (everything(), set("b", "y".repeat(600_000), ""), "payload"),
        // Names and keys that are looked for in every point, again and again.
        (everything(), Change::DeletePayload(vec![path(); 1_025]), "keys"),
        (everything(), Change::DeleteVectors(vec![String::new(); 65]), "vector"),
    ] {
        let error = notes.change(points, change).expect_err("above a limit");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some(field)), "{error}");
    }
    assert_eq!(notes.status().seqno, seqno);
    notes.change(only(1), set("b", 1, "list[]")).expect("it fits");
}

#[test]
fn a_filter_that_matches_too_much_changes_nothing() {
    let (_db, notes) = collection(Limits { batch_points_max: 3, ..Limits::default() });
    notes.upsert((1..4).map(Point::new).collect()).expect("points");
    notes.change(Selection::Where(Filter::default()), set("a", 1, "")).expect("as many as may be");
    let twice = vec![Op::Change(Selection::Where(Filter::default()), Change::ClearPayload); 2];
    let error = notes.apply(twice).expect_err("too many in one commit");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("ops[1].filter")));
    notes.upsert(vec![Point::new(4)]).expect("a point");
    let error =
        notes.change(Selection::Where(Filter::default()), Change::ClearPayload).expect_err("too many");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("filter")));
    assert_eq!(all(&notes)[0].payload["a"], 1);
}

#[test]
fn a_filter_that_matches_too_much_deletes_nothing() {
    let (_db, notes) = collection(Limits { delete_points_max: 3, ..Limits::default() });
    notes.upsert((1..6).map(Point::new).collect()).expect("points");
    let error = notes.delete_where(Filter::default()).expect_err("too many");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("ops[0].filter")));
    assert!(error.message().contains("is 5, the limit is 3"), "{error}");
    assert_eq!(all(&notes).len(), 5);
    // What goes before is not counted twice.
    let last =
        vec![Op::Delete(vec![1.into()]), Op::Delete(vec![2.into()]), Op::DeleteWhere(Filter::default())];
    let error = notes.apply(last).expect_err("too many in one commit");
    assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("ops[2].filter")));
    notes.delete(vec![1.into(), 2.into()]).expect("a delete");
    notes.delete_where(Filter::default()).expect("as many as may be");
    assert_eq!(all(&notes), []);
}

/// Two pieces on one collection were staged apart: both gave the same versions, and one write was lost.
#[test]
fn pieces_of_a_transaction_on_one_collection_follow_each_other() {
    let (db, notes) = collection(Limits::default());
    let put = |id: u64| vec![Op::Upsert(Point::new(id).with("n", id))];
    let change = vec![Op::Change(only(1), set("b", 1, "")), Op::Require { id: 1.into(), if_version: 3 }];
    let transaction = Transaction::new().on("notes", put(1)).on("notes", put(2)).on("notes", change);
    db.commit(transaction).expect("a commit");
    let expected = [Point::new(1).with("n", 1).with("b", 1), Point::new(2).with("n", 2)];
    assert_eq!(all(&notes), expected);
    assert_eq!(db.verify().expect("a walk").faults, []);
}

const WRITERS: u64 = 4;
const ROUNDS: u64 = 60;

/// Writes that wait together share a commit: each must see what those before it in the group have staged.
#[test]
fn changes_of_one_point_at_once_are_all_kept() {
    let (db, notes) = collection(Limits::default());
    notes.upsert(vec![Point::new(1), Point::new(2)]).expect("points");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let notes = &notes;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let key = format!("{writer}-{round}");
                    let points = if round % 7 == 0 { Selection::Where(Filter::default()) } else { only(1) };
                    notes.change(points, set(&key, round, "")).expect("a change");
                }
            });
        }
    });
    let points = all(&notes);
    assert_eq!(points[0].payload.len() as u64, WRITERS * ROUNDS);
    assert_eq!(points[1].payload.len() as u64, WRITERS * ROUNDS.div_ceil(7));
    assert_eq!(db.verify().expect("a walk").faults, []);
}

/// Adds 1 to a counter, if nobody else did since it was read.
fn count_up(notes: &Collection) -> Result<()> {
    let hit = notes.query().limit(1).run()?.pop().expect("the counter");
    let n = hit.payload["n"].as_u64().unwrap_or(0);
    let required = Op::Require { id: hit.id, if_version: hit.version };
    let ops = vec![required, Op::Change(Selection::Ids(vec![hit.id]), set("n", n + 1, ""))];
    notes.apply_with(ops, Durability::None).map(drop)
}

#[test]
fn no_addition_is_lost_that_required_its_version() {
    let (_db, notes) = collection(Limits::default());
    notes.upsert(vec![Point::new(7).with("n", 0)]).expect("the counter");
    let conflicts = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    while let Err(error) = count_up(&notes) {
                        assert_eq!(
                            (error.kind(), error.field()),
                            (ErrorKind::Conflict, Some("ops[0].if_version"))
                        );
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(all(&notes), [Point::new(7).with("n", WRITERS * ROUNDS)]);
    assert_ne!(conflicts.into_inner(), 0, "nobody met anybody: this shows nothing");
}

#[test]
fn a_transaction_with_a_stale_version_leaves_every_collection_as_it_was() {
    let (db, notes) = collection(Limits::default());
    let others = db.create_collection("others", Schema::new()).expect("a collection");
    others.upsert(vec![Point::new(1)]).expect("a point");
    let id: PointId = 1.into();
    let put = |if_version| {
        Transaction::new()
            .on("notes", vec![Op::Upsert(Point::new(5))])
            .on("others", vec![Op::Require { id, if_version }, Op::Delete(vec![id])])
    };
    let error = db.commit(put(9)).expect_err("it is 1");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("others.ops[0].if_version")));
    assert_eq!((all(&notes).len(), all(&others).len()), (0, 1));
    db.commit(put(1)).expect("a commit");
    assert_eq!((all(&notes).len(), all(&others).len()), (1, 0));
}
