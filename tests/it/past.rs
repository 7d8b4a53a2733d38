//! Past states: as of every commit, what was then is read, whatever was written, sealed, merged and committed since.

use std::collections::BTreeMap;
use std::time::Instant;

use kithdb::{
    Collection, Database, Error, ErrorKind, FieldKind, Filter, Input, KeywordQuery, Language, Metric, Op,
    Options, Point, PointId, Query, Reading, Request, Schema, Segments, Select, Seqno, Transaction, Value,
};
use proptest::prelude::*;
use serde_json::json;

use crate::http::Running;
use crate::pause::until_keywords_are_committed;

type State = BTreeMap<u64, i64>;

/// A state that was: its seqno, its points, and what a keyword query found then.
type Past = (u64, State, Vec<(PointId, f32)>);

/// By id: equal scores have no order.
fn scored(reading: &Reading) -> Vec<(PointId, f32)> {
    let query = Query::Keyword(KeywordQuery::new("w1 w2"));
    let request = Request { query, limit: 100, ..Request::default() };
    let (hits, _) = reading.search(request, &Select::none()).expect("hits");
    let mut scores: Vec<(PointId, f32)> = hits.iter().map(|hit| (hit.id, hit.score)).collect();
    scores.sort_unstable_by_key(|(id, _)| *id);
    scores
}

fn database() -> Database {
    let segments = Segments { seal_rows: 16, ..Segments::default() };
    Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database")
}

fn schema() -> Schema {
    Schema::new()
        .vector(2, Metric::Euclid)
        .keyword(["word".parse().expect("a path")], Language::None)
        .field("n".parse().expect("a path"), FieldKind::Integer)
        .history(3600)
}

fn point(id: u64, n: i64) -> Point {
    Point::new(id).vector([id as f32, n as f32]).with("n", n).with("word", format!("w{}", n % 3))
}

fn ids(points: Vec<Point>) -> Vec<u64> {
    let number = |point: Point| match point.id {
        PointId::Num(number) => number,
        PointId::Uuid(_) => unreachable!("ids are numbers here"),
    };
    points.into_iter().map(number).collect()
}

/// Everything that can be asked shows this state.
fn assert_state(collection: &Collection, (seqno, state, then): &Past) {
    let reading = collection.as_of(Seqno(*seqno)).expect("a past state");
    let now = scored(&reading);
    let is_same = |(now, then): (&(PointId, f32), &(PointId, f32))| {
        now.0 == then.0 && (now.1 - then.1).abs() <= 1e-5 * then.1.abs()
    };
    let is_alike = now.len() == then.len() && now.iter().zip(then).all(is_same);
    assert!(is_alike, "as of {seqno}: {now:?}, and it was {then:?}");
    let page = reading.scroll(&Filter::default(), None, 1000, &Select::all()).expect("a page");
    let expected: Vec<Point> = state.iter().map(|(id, n)| point(*id, *n)).collect();
    assert_eq!(page.points, expected, "as of {seqno}");
    let all: Vec<PointId> = (0..20).map(PointId::Num).collect();
    assert_eq!(reading.get(&all, &Select::all()).expect("points"), expected, "as of {seqno}");
    let filter: Filter = "n >= 5".parse().expect("a filter");
    let matching = state.values().filter(|n| **n >= 5).count();
    assert_eq!(reading.count(&filter).expect("a count"), matching, "as of {seqno}");
    let found = |query: Query, filter: Filter| {
        let request = Request { query, filter, limit: 100, ..Request::default() };
        let (hits, _) = reading.search(request, &Select::none()).expect("hits");
        let mut ids: Vec<PointId> = hits.iter().map(|hit| hit.id).collect();
        ids.sort_unstable();
        ids
    };
    let of = |test: &dyn Fn(i64) -> bool| {
        state.iter().filter(|(_, n)| test(**n)).map(|(id, _)| PointId::Num(*id)).collect::<Vec<_>>()
    };
    let nearest = Query::Nearest { vector: Input::from(vec![0.0, 0.0]), using: String::new() };
    assert_eq!(found(nearest.clone(), Filter::default()), of(&|_| true), "as of {seqno}");
    assert_eq!(found(nearest, filter), of(&|n| n >= 5), "as of {seqno}");
    let words = Query::Keyword(KeywordQuery::new("w1"));
    assert_eq!(found(words, Filter::default()), of(&|n| n % 3 == 1), "as of {seqno}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<(u64, i64)>),
    Delete(Vec<u64>),
    DeleteWhere(i64),
    Optimize,
    /// Until the keyword index has committed.
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0..20_u64, 0..10_i64), 1..8).prop_map(Step::Put),
        3 => prop::collection::vec(0..20_u64, 1..5).prop_map(Step::Delete),
        1 => (0..10_i64).prop_map(Step::DeleteWhere),
        1 => Just(Step::Optimize),
        1 => Just(Step::Rest),
    ]
}

fn apply(collection: &Collection, step: Step, state: &mut State) -> Option<u64> {
    let ops = match step {
        Step::Put(points) => {
            state.extend(points.iter().copied());
            points.into_iter().map(|(id, n)| Op::Upsert(point(id, n))).collect()
        }
        Step::Delete(ids) => {
            state.retain(|id, _| !ids.contains(id));
            vec![Op::Delete(ids.into_iter().map(PointId::Num).collect())]
        }
        Step::DeleteWhere(least) => {
            state.retain(|_, n| *n < least);
            vec![Op::DeleteWhere(format!("n >= {least}").parse().expect("a filter"))]
        }
        Step::Optimize => {
            collection.optimize(true).expect("a segment");
            return None;
        }
        Step::Rest => {
            until_keywords_are_committed(collection);
            return None;
        }
    };
    Some(collection.apply(ops).expect("a commit").seqno.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_past_state_is_what_it_was(steps in prop::collection::vec(step(), 1..40)) {
        let db = database();
        let collection = db.create_collection("c", schema()).expect("a collection");
        let (mut state, mut past) = (State::new(), Vec::<Past>::new());
        for step in steps {
            if let Some(seqno) = apply(&collection, step, &mut state) {
                let then = scored(&collection.reading().expect("the present"));
                past.push((seqno, state.clone(), then));
            }
        }
        past.iter().for_each(|past| assert_state(&collection, past));
        collection.optimize(true).expect("a segment");
        past.iter().rev().for_each(|past| assert_state(&collection, past));
    }
}

/// The only document with a word is gone, and the keyword index has committed that: the past still finds it.
#[test]
fn a_word_that_no_point_has_any_more_is_found_in_the_past() {
    let db = database();
    let collection = db.create_collection("c", schema()).expect("a collection");
    let (mut state, mut past) = (State::new(), Vec::<Past>::new());
    for step in [Step::Put(vec![(1, 1)]), Step::DeleteWhere(1), Step::Rest, Step::Put(vec![(2, 2)])] {
        if let Some(seqno) = apply(&collection, step, &mut state) {
            let then = scored(&collection.reading().expect("the present"));
            past.push((seqno, state.clone(), then));
        }
    }
    past.iter().for_each(|past| assert_state(&collection, past));
}

fn refused(result: Result<kithdb::Reading, Error>) -> Option<String> {
    result.err().and_then(|error| error.field().map(str::to_owned))
}

#[test]
fn what_is_not_kept_is_refused_and_so_is_the_future() {
    let db = database();
    let brief = db.create_collection("brief", Schema { history_s: 0, ..schema() }).expect("a collection");
    let first = brief.upsert(vec![point(1, 1)]).expect("a commit").seqno;
    let held = brief.reading().expect("the present");
    let second = brief.upsert(vec![point(1, 2)]).expect("a commit").seqno;
    assert_eq!(held.count(&Filter::default()).expect("a count"), 1);
    assert_eq!(ids(held.get(&[PointId::Num(1)], &Select::all()).expect("a point")), [1]);
    // While somebody holds it, it can be asked for.
    assert_eq!(brief.as_of(first).expect("held").seqno(), first);
    drop(held);
    assert_eq!(refused(brief.as_of(first)).as_deref(), Some("as_of"));
    assert_eq!(brief.as_of(second).expect("the present").seqno(), second);
    assert_eq!(refused(brief.as_of(Seqno(second.0 + 1))).as_deref(), Some("as_of"));
    db.drop_collection("brief").expect("dropped");
    assert!(brief.as_of(second).is_err());
}

#[test]
fn a_retention_that_ends_takes_the_past_with_it() {
    let db = database();
    let collection = db.create_collection("c", schema()).expect("a collection");
    for id in 1..=3 {
        collection.upsert(vec![point(id, 1)]).expect("a commit");
    }
    let end = collection.configure(|schema| {
        schema.history_s = 0;
        Ok(())
    });
    let end = end.expect("another schema").seqno;
    let last = collection.upsert(vec![point(4, 1)]).expect("a commit").seqno;
    for seqno in (1..=end.0).map(Seqno) {
        assert_eq!(refused(collection.as_of(seqno)).as_deref(), Some("as_of"), "as of {seqno}");
    }
    assert_eq!(collection.as_of(last).expect("the present").count(&Filter::default()).expect("a count"), 4);
}

#[test]
fn one_seqno_is_one_state_of_several_collections() {
    let db = database();
    let make = |name: &str| db.create_collection(name, schema()).expect("a collection");
    let (a, b) = (make("a"), make("b"));
    let both = |n: i64| {
        let ops = || vec![Op::Upsert(point(1, n))];
        db.commit(Transaction::new().on("a", ops()).on("b", ops())).expect("a commit").seqno
    };
    let (first, alone, last) = (both(1), a.upsert(vec![point(2, 2)]).expect("a commit").seqno, both(3));
    for (seqno, of_a, of_b) in [(first, 1, 1), (alone, 2, 1), (last, 2, 1)] {
        let count = |collection: &Collection| {
            collection.as_of(seqno).expect("a state").count(&Filter::default()).expect("a count")
        };
        assert_eq!((count(&a), count(&b)), (of_a, of_b), "as of {seqno}");
    }
    let n =
        |seqno| b.as_of(seqno).expect("a state").get(&[PointId::Num(1)], &Select::all()).expect("a point");
    assert_eq!((n(alone), n(last)), (vec![point(1, 1)], vec![point(1, 3)]));
}

#[test]
fn pages_of_a_cursor_are_one_list_while_everything_is_replaced() {
    const POINTS: u64 = 700;
    let segments = Segments { seal_rows: 200, ..Segments::default() };
    let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
    let collection = db.create_collection("c", Schema { history_s: 0, ..schema() }).expect("a collection");
    let all = |n: i64| (0..POINTS).map(|id| point(id, n)).collect::<Vec<_>>();
    collection.upsert(all(1)).expect("points");
    collection.optimize(true).expect("a segment");
    let queries = [
        Query::Nearest { vector: Input::from(vec![300.0, 1.0]), using: String::new() },
        Query::Keyword(KeywordQuery::new("w1")),
        Query::ById,
        Query::Sample { seed: None },
        Query::Order(kithdb::Order { path: "n".parse().expect("a path"), is_descending: true, from: None }),
    ];
    let mut late = 0;
    for query in queries {
        let name = format!("{query:?}");
        let request = Request { query, limit: 1, ..Request::default() };
        let mut cursor = collection.reading().expect("the present").cursor(request).expect("a cursor");
        let mut found = Vec::new();
        for turn in 0.. {
            // What comes too late takes nothing away: the page can be asked for again.
            let page = cursor.next_until(90, &Select::all(), Some(Instant::now())).or_else(|error| {
                assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{name}: {error}");
                late += 1;
                cursor.next(90, &Select::all())
            });
            let page = page.expect("a page");
            assert_eq!(page.is_empty(), found.len() == POINTS as usize, "{name}");
            if page.is_empty() {
                break;
            }
            assert!(page.iter().all(|hit| hit.payload["n"] == 1), "{name}: it reads one state");
            found.extend(page.into_iter().map(|hit| hit.id));
            if turn == 2 {
                collection.upsert(all(2)).expect("points");
                collection.delete((0..POINTS / 2).map(PointId::Num).collect()).expect("deleted");
                collection.optimize(true).expect("a segment");
            }
        }
        assert!(cursor.is_at_end(), "{name}");
        let count = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!(
            (count, found.len()),
            (POINTS as usize, POINTS as usize),
            "{name}: each once, none passed over"
        );
        collection.upsert(all(1)).expect("points");
    }
    assert!(late > 0, "deadlines are looked at");
}

#[test]
fn a_client_pages_and_reads_the_past() {
    let server = Running::over(database());
    let ask = |method: &str, path: &str, body: Value| server.ask(method, path, Some(&body));
    let schema = json!({"vectors": {"size": 1, "distance": "Euclid"}, "history_s": 60});
    assert_eq!(ask("PUT", "/collections/c", schema).status, 200);
    let points = |ids: std::ops::Range<u64>| {
        let points: Vec<Value> =
            ids.map(|id| json!({"id": id, "vector": [id], "payload": {"n": id}})).collect();
        let written = ask("PUT", "/collections/c/points", json!({"points": points}));
        written.body["result"]["operation_id"].as_u64().expect("a seqno")
    };
    let (first, second) = (points(0..5), points(5..9));
    let query = json!({"query": [0.0], "limit": 2, "as_of": first});
    let mut page = ask("POST", "/api/v1/collections/c/cursors", query).body["result"].clone();
    assert_eq!(page["seqno"], json!(first));
    let mut sizes = Vec::new();
    loop {
        sizes.push(page["points"].as_array().expect("points").len());
        let Some(cursor) = page["cursor"].as_str() else { break };
        page = ask("POST", &format!("/api/v1/cursors/{cursor}"), json!({"limit": 2})).body["result"].clone();
    }
    assert_eq!(sizes, [2, 2, 1]);
    for (as_of, count) in [(first, 5), (second, 9)] {
        let counted = ask("POST", "/collections/c/points/count", json!({"as_of": as_of}));
        assert_eq!(counted.body["result"]["count"], json!(count));
        let scrolled = ask("POST", "/collections/c/points/scroll", json!({"as_of": as_of, "limit": 100}));
        assert_eq!(scrolled.body["result"]["points"].as_array().expect("points").len(), count);
        let body = json!({"as_of": as_of, "group_by": "n", "query": [0.0], "limit": 100});
        let grouped = ask("POST", "/collections/c/points/query/groups", body);
        assert_eq!(grouped.body["result"]["groups"].as_array().expect("groups").len(), count);
        let body = json!({"as_of": as_of, "sample": 100, "limit": 1});
        let compared = ask("POST", "/collections/c/points/search/matrix/offsets", body);
        assert_eq!(compared.body["result"]["ids"].as_array().expect("ids").len(), count);
    }
    let future = ask("POST", "/collections/c/points/query", json!({"query": [0.0], "as_of": second + 9}));
    assert_eq!((future.status, future.field.as_deref()), (400, Some("as_of")));
    let begun = ask("POST", "/api/v1/collections/c/cursors", json!({"query": [0.0], "limit": 2}));
    let name = format!("/api/v1/cursors/{}", begun.body["result"]["cursor"].as_str().expect("a cursor"));
    let close = || server.ask("DELETE", &name, None).body["result"].clone();
    assert_eq!((close(), close()), (json!(true), json!(false)));
    assert_eq!(server.ask("POST", &name, None).status, 404);
}
