//! The life of a collection leaves its recall as it was: after every point has been replaced once, and after half of
//! them were deleted, with merges that build on graphs that are there. And a head that rests becomes a segment.

use std::time::{Duration, Instant};

use kithdb::{Collection, Database, Metric, Options, Point, Schema, Segments};

const DIM: usize = 32;
const POINTS: u64 = 6_000;

/// Recall may fall by so much.
const DRIFT_MAX: f64 = 0.01;

/// A vector near one of 40 centres; another one for each `salt`.
fn vector(id: u64, salt: u64) -> Vec<f32> {
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let centre = (uniform() * 1_000.0).abs() as u64 % 40;
    let spread = |n: u64| ((centre * 37 + n * 101) % 97) as f32 / 97.0 - 0.5;
    (0..DIM as u64).map(|n| spread(n) + 0.8 * uniform()).collect()
}

fn points(ids: impl Iterator<Item = u64>, salt: u64) -> Vec<Point> {
    ids.map(|id| Point::new(id).vector(vector(id, salt))).collect()
}

/// What a beam that is too small to find everything finds of what an exact scan finds.
fn recall(collection: &Collection) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for query in 0..200 {
        let query = || collection.query().nearest(vector(query, 99)).limit(10);
        let truth = query().exact().run().expect("hits");
        let hits = query().ef(16).run().expect("hits");
        found += hits.iter().filter(|hit| truth.iter().any(|near| near.id == hit.id)).count();
        wanted += truth.len();
    }
    found as f64 / wanted as f64
}

fn open(folder: &std::path::Path) -> Database {
    let segments = Segments { seal_rows: 1_500, ..Segments::default() };
    Database::open_with(folder, Options { segments, ..Options::default() }).expect("a database")
}

/// The recall of a collection that has never held anything but these points.
fn fresh(points: Vec<Point>) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    let collection =
        db.create_collection("c", Schema::new().vector(DIM, Metric::Cosine)).expect("a collection");
    collection.upsert(points).expect("points");
    collection.optimize(true).expect("a segment");
    recall(&collection)
}

#[test]
fn recall_stays_where_points_are_replaced_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path());
    let collection =
        db.create_collection("c", Schema::new().vector(DIM, Metric::Cosine)).expect("a collection");
    collection.upsert(points(0..POINTS, 1)).expect("points");
    collection.optimize(true).expect("a segment");
    for ids in (0..POINTS).collect::<Vec<_>>().chunks(500) {
        collection.upsert(points(ids.iter().copied(), 2)).expect("points");
    }
    collection.optimize(true).expect("a segment");
    let (replaced, new) = (recall(&collection), fresh(points(0..POINTS, 2)));
    assert!(replaced >= new - DRIFT_MAX, "replaced: {replaced}, never: {new}");
    for ids in (0..POINTS).filter(|id| id % 2 == 0).collect::<Vec<_>>().chunks(500) {
        collection.delete(ids.iter().map(|id| (*id).into()).collect()).expect("a delete");
    }
    // Whatever has been merged by now.
    let (deleted, new) = (recall(&collection), fresh(points((0..POINTS).filter(|id| id % 2 == 1), 2)));
    assert!(deleted >= new - DRIFT_MAX, "deleted: {deleted}, never there: {new}");
    collection.optimize(true).expect("a segment");
    let merged = recall(&collection);
    assert!(merged >= new - DRIFT_MAX, "deleted and merged: {merged}, never there: {new}");
}

#[test]
fn a_head_that_rests_becomes_a_segment() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path()).expect("a database");
    let collection =
        db.create_collection("c", Schema::new().vector(DIM, Metric::Cosine)).expect("a collection");
    collection.upsert(points(0..5_000, 1)).expect("points");
    assert_eq!(collection.status().segments.len(), 0);
    let began = Instant::now();
    while collection.status().segments.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "it is not sealed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(collection.status().segments[0].rows, 5_000);
}
