//! Vectors that are unlike what their collection holds are told: those that come in, and those that it is asked with.

use std::time::{Duration, Instant};

use kithdb::{Collection, Database, Drift, DriftOf, Metric, Point, Schema};
use serde_json::{Value, json};

use crate::http::Running;

const DIM: usize = 16;
const POINTS: u64 = 1_200;

/// Points that are the newest: as many as are compared.
const NEWEST: u64 = 60;

/// A number that looks like chance: the finaliser of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Around one of the centres.
fn vector(seed: u64, centre: u64) -> Vec<f32> {
    let element = |salt: u64, at: usize| {
        (mixed(salt.wrapping_mul(1_000_003) + at as u64) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..DIM).map(|at| element(centre << 32, at) + 0.4 * element(seed | (1 << 62), at)).collect()
}

/// Of one of twelve topics.
fn own(seed: u64) -> Vec<f32> {
    vector(seed, mixed(seed ^ 77) % 12)
}

/// Of one of twelve others, as another model would make them.
fn other(seed: u64) -> Vec<f32> {
    vector(seed, 1_000 + mixed(seed) % 12)
}

fn filled(db: &Database, name: &str, newest: fn(u64) -> Vec<f32>) -> Collection {
    let schema = Schema::new().vector(DIM, Metric::Cosine);
    let collection = db.create_collection(name, schema).expect("a collection");
    let vector = |id: u64| if id < POINTS - NEWEST { own(id) } else { newest(id) };
    collection.upsert((0..POINTS).map(|id| Point::new(id).vector(vector(id))).collect()).expect("points");
    collection
}

fn ask(collection: &Collection, made: fn(u64) -> Vec<f32>) {
    for seed in 0..128 {
        collection.query().nearest(made(seed + (1 << 20))).limit(3).run().expect("hits");
    }
}

fn of(drift: &[Drift], of: DriftOf) -> Drift {
    drift.iter().find(|drift| drift.of == of).unwrap_or_else(|| panic!("no {of:?}: {drift:?}")).clone()
}

#[test]
fn what_is_as_it_was_is_not_told_and_what_is_not_is() {
    let db = Database::in_memory().expect("a database");
    let steady = filled(&db, "steady", own);
    assert_eq!(steady.drift().expect("a comparison").len(), 1, "nothing was asked yet");
    ask(&steady, own);
    let drift = steady.drift().expect("a comparison");
    assert!(drift.len() == 2 && drift.iter().all(|drift| !drift.has_drifted), "{drift:?}");
    assert_eq!(steady.status().drift, drift);
    let moved = filled(&db, "moved", other);
    ask(&moved, |seed| vector(seed, 500 + seed % 12));
    let drift = moved.drift().expect("a comparison");
    let (incoming, queries) = (of(&drift, DriftOf::Incoming), of(&drift, DriftOf::Queries));
    assert!(incoming.has_drifted && incoming.difference > 0.8 && incoming.vectors == 60, "{incoming:?}");
    assert!(queries.has_drifted && queries.difference > 0.8 && queries.vectors == 128, "{queries:?}");
    // What came last is taken away: the rest is as it was, whether it lies in heads or in a segment.
    moved.delete((POINTS - NEWEST..POINTS).map(Into::into).collect()).expect("deleted");
    assert!(!of(&moved.drift().expect("a comparison"), DriftOf::Incoming).has_drifted);
    moved.optimize(true).expect("a segment");
    assert!(!of(&moved.drift().expect("a comparison"), DriftOf::Incoming).has_drifted);
}

#[test]
fn a_collection_without_enough_vectors_tells_nothing() {
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new().vector(DIM, Metric::Cosine);
    let small = db.create_collection("small", schema).expect("a collection");
    assert!(small.drift().expect("a comparison").is_empty());
    small.upsert((0..999).map(|id| Point::new(id).vector(own(id))).collect()).expect("points");
    assert!(small.drift().expect("a comparison").is_empty());
}

/// The background finds it by itself; a client, a scrape and the document of the API tell it.
#[test]
fn a_client_and_a_scrape_are_told_of_drift() {
    let db = Database::in_memory().expect("a database");
    filled(&db, "moved", other);
    let server = Running::over(db);
    for seed in 0..64 {
        let body = json!({"query": own(seed + (1 << 20)), "limit": 1});
        assert_eq!(server.ask("POST", "/collections/moved/points/query", Some(&body)).status, 200);
    }
    let began = Instant::now();
    let told = loop {
        let details = server.ask("GET", "/api/v1/collections/moved", None).body["result"].clone();
        if details["drift"].as_array().is_some_and(|all| all.len() == 2) {
            break details["drift"].clone();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nobody looked: {details}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let one = |of: &str| -> Value {
        told.as_array().and_then(|all| all.iter().find(|one| one["of"] == of)).cloned().unwrap_or_default()
    };
    let (incoming, queries) = (one("incoming"), one("queries"));
    assert_eq!((&incoming["has_drifted"], &incoming["vectors"]), (&json!(true), &json!(60)), "{told}");
    assert_eq!((&queries["has_drifted"], &queries["usual"]), (&json!(false), &json!(null)), "{told}");
    let metrics = server.ask("GET", "/metrics", None).body;
    let text = metrics.as_str().expect("text");
    assert!(text.contains("kithdb_drifted{collection=\"moved\",vector=\"\",of=\"incoming\"} 1\n"), "{text}");
    assert!(text.contains("kithdb_drifted{collection=\"moved\",vector=\"\",of=\"queries\"} 0\n"), "{text}");
    assert!(
        text.contains("kithdb_drift_least{collection=\"moved\",vector=\"\",of=\"incoming\"} 0."),
        "{text}"
    );
}
