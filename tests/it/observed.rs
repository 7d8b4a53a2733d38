//! The recall of live queries is measured, told, and corrected.

use std::time::{Duration, Instant};

use kithdb::{
    Collection, Condition, Database, FieldKind, MeasuredRecall, Metric, Options, Point, Query, Request,
    Schema, Select, Share,
};
use serde_json::json;

use crate::http::Running;

const POINTS: u64 = 6000;
const DIM: usize = 24;

/// The same everywhere.
fn vector(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let element = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..DIM).map(element).collect()
}

fn database(sampled: f64) -> (Database, Collection) {
    let db = Database::in_memory_with(Options { sampled, ..Options::default() }).expect("a database");
    let schema =
        Schema::new().vector(DIM, Metric::Euclid).field("n".parse().expect("a path"), FieldKind::Integer);
    let collection = db.create_collection("c", schema).expect("a collection");
    let points = (0..POINTS).map(|id| Point::new(id).vector(vector(id)).with("n", id % 2)).collect();
    collection.upsert(points).expect("points");
    collection.optimize(true).expect("a segment");
    (db, collection)
}

/// Asks until so much of a class was compared.
fn measured(collection: &Collection, share: Share, queries: usize, ask: impl Fn(u64)) -> MeasuredRecall {
    let began = Instant::now();
    for seed in POINTS.. {
        ask(seed);
        let status = collection.status();
        if let Some(found) =
            status.recall.into_iter().find(|one| one.share == share && one.queries >= queries)
        {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is compared");
    }
    unreachable!("there are enough numbers")
}

fn ask(collection: &Collection, seed: u64, ef: usize, is_filtered: bool) {
    let query = collection.query().nearest(vector(seed)).ef(ef).limit(10);
    let condition = Condition::equals("n", 1).expect("a path");
    let query = if is_filtered { query.filter(condition) } else { query };
    assert_eq!(query.run().expect("hits").len(), 10);
}

#[test]
fn a_poor_beam_is_found_out_and_a_good_one_is_not_blamed() {
    let (_db, collection) = database(1.0);
    let poor = measured(&collection, Share::All, 40, |seed| ask(&collection, seed, 10, false));
    let good = measured(&collection, Share::Tenth, 40, |seed| ask(&collection, seed, 400, true));
    let truth = recall(&collection, 10);
    assert!(poor.recall < 0.97 && good.recall > 0.98, "{poor:?} {good:?}");
    assert!(poor.interval.0 <= truth && truth <= poor.interval.1, "{poor:?}, and it is {truth}");
    assert!(poor.expected.is_some() && poor.misses >= 1.0);
}

/// By an exact search of each, with queries that were not asked before.
fn recall(collection: &Collection, ef: usize) -> f32 {
    let found = |seed: u64, is_exact: bool| {
        let query = collection.query().nearest(vector(seed)).limit(10);
        let query = if is_exact { query.exact() } else { query.ef(ef) };
        query.run().expect("hits").into_iter().map(|hit| hit.id).collect::<Vec<_>>()
    };
    let shared = |seed: u64| {
        let truth = found(seed, true);
        found(seed, false).iter().filter(|id| truth.contains(id)).count()
    };
    (1 << 40..(1 << 40) + 400).map(shared).sum::<usize>() as f32 / 4000.0
}

#[test]
fn what_is_exact_or_not_chosen_is_not_compared() {
    let (_db, collection) = database(0.0);
    (0..200).for_each(|seed| ask(&collection, seed, 10, false));
    let (_other, exact) = database(1.0);
    let request = |seed| {
        let query = Query::Nearest { vector: vector(seed).into(), using: String::new() };
        let params = kithdb::Params { is_exact: true, ..kithdb::Params::default() };
        Request { query, params, limit: 10, ..Request::default() }
    };
    (0..200).for_each(|seed| drop(exact.search(request(seed), &Select::none()).expect("hits")));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((collection.status().recall, exact.status().recall), (Vec::new(), Vec::new()));
}

#[test]
fn a_client_and_a_scrape_are_told() {
    let (db, collection) = database(1.0);
    measured(&collection, Share::All, 1, |seed| ask(&collection, seed, 10, false));
    let server = Running::over(db);
    let told = server.ask("GET", "/api/v1/collections/c", None).body["result"]["measured_recall"][0].clone();
    assert_eq!((&told["vector"], &told["share"]), (&json!(""), &json!("1")));
    let within = told["interval"][0].as_f64() <= told["recall"].as_f64();
    assert!(within && told["recall"].as_f64() <= told["interval"][1].as_f64(), "{told}");
    let metrics = server.ask("GET", "/metrics", None).body;
    let text = metrics.as_str().expect("text");
    assert!(text.contains("kithdb_recall{collection=\"c\",vector=\"\",share=\"1\"} "), "{text}");
}
