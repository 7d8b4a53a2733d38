//! A small request takes little: whatever one part of it multiplies, the product has a bound, and what is beyond it is
//! refused by name before anything of it is made.

use kithdb::{
    Database, FieldKind, Language, Limits, Metric, Options, Point, Schema, Select, Value, VectorSelect,
    VectorSpec,
};
use serde_json::json;

use crate::http::{Answer, Running};

const C: &str = "/collections/c/points";

fn site() -> (Database, Running) {
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new()
        .vector(2, Metric::Dot)
        .named_vector("v", VectorSpec::new(1, Metric::Dot))
        .keyword(["text".parse().expect("a path")], Language::English);
    let collection = db.create_collection("c", schema).expect("a collection");
    let point =
        |id: u64| Point::new(id).vector([1.0, 0.0]).named_vector("v", [2.0]).with("text", "a red fox");
    collection.upsert((1..4).map(point).collect()).expect("points");
    (db.clone(), Running::over(db))
}

fn post(server: &Running, path: &str, body: &Value) -> Answer {
    server.ask("POST", path, Some(body))
}

#[test]
fn what_is_multiplied_beyond_its_bound_is_refused_by_name() {
    let (_db, server) = site();
    let query = format!("{C}/query");
    let legs = Limits::default().legs_max;
    let ids: Vec<u64> = (0..200_000).collect();
    let filter = json!({"must": {"has_id": ids}});
    let fused = |legs: usize| json!({"filter": filter, "prefetch": vec![json!({}); legs], "query": {"fusion": "rrf"}});
    let examples: Vec<Value> = (0..3_000).map(|score| json!({"example": 1, "score": score})).collect();
    let naive = json!({"naive": {"a": 1, "b": 1, "c": 1}});
    let feedback = json!({"relevance_feedback": {"target": 1, "feedback": examples, "strategy": naive}});
    let tag = "x".repeat(10_000);
    let terms = json!({"sum": vec![1; 5_000]});
    let keys = vec!["a"; 2_000];
    for (path, body, status, field) in [
        // A copy of the filter for each leg.
        (query.clone(), fused(legs + 1), 400, "prefetch"),
        (query.clone(), fused(legs), 400, "filter"),
        // Every two examples, and each of them read from storage.
        (query.clone(), json!({"query": feedback}), 400, "query"),
        (query.clone(), json!({"query": {"recommend": {"positive": vec![1; 3_000]}}}), 400, "query"),
        // Each term for each candidate.
        (query.clone(), json!({"prefetch": {}, "query": {"formula": terms}}), 400, "query.formula"),
        // A tag beside each word of each hit.
        (
            query,
            json!({"query": {"keyword": "fox"}, "highlight": {"pre_tag": tag}}),
            400,
            "highlight.pre_tag",
        ),
        // Each key of each point.
        (format!("{C}/scroll"), json!({"with_payload": keys}), 400, "with_payload"),
        (format!("{C}/payload/delete"), json!({"keys": keys, "filter": {}}), 400, "keys"),
        // A query for each of many cursors.
        ("/api/v1/collections/c/cursors".to_owned(), json!({"filter": filter, "limit": 1}), 413, "body"),
    ] {
        let answer = post(&server, &path, &body);
        assert_eq!((answer.status, answer.field.as_deref()), (status, Some(field)), "{path}: {answer:?}");
    }
}

/// Each search alone is within its limit.
#[test]
fn searches_of_one_request_have_room_for_as_many_hits_as_one() {
    let limits = Limits { hits_max: 50, ..Limits::default() };
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let points = db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    points.upsert((0..30).map(|id| Point::new(id).vector([1.0])).collect()).expect("points");
    let server = Running::over(db);
    let ask = |path: &str, search: Value, count: usize| {
        post(&server, &format!("{C}/{path}"), &json!({"searches": vec![search; count]}))
    };
    for (path, search) in
        [("query/batch", json!({"limit": 30})), ("search/batch", json!({"vector": [1.0], "limit": 30}))]
    {
        assert_eq!(ask(path, search.clone(), 1).status, 200, "{path}");
        let refused = ask(path, search, 1_000);
        let field = refused.field.as_deref();
        assert_eq!((refused.status, field), (400, Some("searches[1].limit")), "{path}: {refused:?}");
    }
}

/// A request of a few bytes got as many payloads as there may be hits, of 16 MiB each.
#[test]
fn what_one_answer_shows_has_an_end() {
    let limits = Limits { answer_bytes_max: 100_000, ..Limits::default() };
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let points = db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    let point = |id: u64| Point::new(id).vector([1.0]).with("text", "x".repeat(1_000)).with("n", id % 3);
    points.upsert((0..200).map(point).collect()).expect("points");
    let server = Running::over(db);
    let ids: Vec<u64> = (0..200).collect();
    let query = |limit: u64| json!({"limit": limit, "with_payload": true});
    let groups = |size: u64| {
        let mut body = json!({"group_by": "n", "limit": 3, "group_size": size, "with_payload": true});
        body["query"] = json!([1.0]);
        body
    };
    for (path, few, many, field) in [
        ("/scroll", json!({"limit": 60}), json!({"limit": 200}), "limit"),
        ("/query", query(60), query(200), "limit"),
        // Each group by itself would fit.
        ("/query/groups", groups(20), groups(60), "limit"),
        ("", json!({"ids": ids[..60]}), json!({"ids": ids}), "ids"),
    ] {
        let shown = post(&server, &format!("{C}{path}"), &few);
        assert_eq!(shown.status, 200, "{path}: {shown:?}");
        let refused = post(&server, &format!("{C}{path}"), &many);
        assert_eq!((refused.status, refused.field.as_deref()), (400, Some(field)), "{path}: {refused:?}");
        assert!(refused.body.to_string().contains("answer_bytes_max"), "{path}: {refused:?}");
    }
    let bare = post(&server, &format!("{C}/scroll"), &json!({"limit": 200, "with_payload": ["n"]}));
    assert_eq!(bare.status, 200, "what is not asked for takes no room: {bare:?}");
}

/// A point that was written under a limit of memory could not be read, nor a document be ingested that was uploaded.
#[test]
fn one_point_can_be_read_whatever_it_takes() {
    let limits = Limits { answer_bytes_max: 100_000, ..Limits::default() };
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let points = db.create_collection("c", Schema::new()).expect("a collection");
    points.upsert(vec![Point::new(1).with("text", "x".repeat(200_000)), Point::new(2)]).expect("points");
    let server = Running::over(db);
    let read = |path: &str, body: serde_json::Value| post(&server, &format!("{C}{path}"), &body).status;
    assert_eq!([read("", json!({"ids": [1]})), read("/scroll", json!({"limit": 1}))], [200, 200]);
    assert_eq!([read("", json!({"ids": [1, 2]})), read("/scroll", json!({"limit": 2}))], [400, 400]);
}

/// Each search of a batch had room for as much.
#[test]
fn searches_of_one_request_have_room_for_as_many_bytes_as_one() {
    let limits = Limits { answer_bytes_max: 100_000, ..Limits::default() };
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let points = db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    let point = |id: u64| Point::new(id).vector([1.0]).with("text", "x".repeat(1_000));
    points.upsert((0..50).map(point).collect()).expect("points");
    let server = Running::over(db);
    for (path, query, place) in [
        ("query/batch", json!({}), "query"),
        ("search/batch", json!([1.0]), "vector"),
        ("recommend/batch", json!([1]), "positive"),
    ] {
        let ask = |count: usize, is_shown: bool| {
            let mut search = json!({"limit": 30, "with_payload": is_shown});
            if place != "query" {
                search[place] = query.clone();
            }
            post(&server, &format!("{C}/{path}"), &json!({"searches": vec![search; count]}))
        };
        assert_eq!(ask(2, true).status, 200, "{path}: there is room for two");
        assert_eq!(ask(20, false).status, 200, "{path}: what is not shown takes none");
        let refused = ask(20, true);
        let field = refused.field.as_deref().unwrap_or_default();
        assert!(field.starts_with("searches[") && field.ends_with("].limit"), "{path}: {refused:?}");
        assert!(!field.starts_with("searches[0]") && refused.status == 400, "{path}: {refused:?}");
        assert!(refused.body.to_string().contains("answer_bytes_max"), "{path}: {refused:?}");
    }
}

#[test]
fn what_is_named_many_times_is_read_once() {
    let (db, server) = site();
    let points = post(&server, C, &json!({"ids": vec![2; 50_000], "with_vector": ["v", "v"]}));
    let found = points.body["result"].as_array().unwrap_or_else(|| panic!("{points:?}"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["vector"], json!({"v": [2.0]}));
    let named = VectorSelect::Named(vec!["v".to_owned(), String::new(), "v".to_owned()]);
    let select = Select { vectors: named, ..Select::none() };
    let point = db.collection("c").and_then(|c| c.get(&[2.into()], &select)).expect("a point").remove(0);
    let names: Vec<&str> = point.vectors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["v", ""]);
}

/// Every value was held, however many and long they were.
#[test]
fn the_values_of_a_facet_have_an_end() {
    let limits = Limits { answer_bytes_max: 100_000, ..Limits::default() };
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let collection = db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    let text = |id: u64| format!("{id} {}", "x".repeat(500));
    let point =
        |id: u64| Point::new(id).vector([1.0]).with("text", text(id)).with("even", id.is_multiple_of(2));
    collection.upsert((0..1_000).map(point).collect()).expect("points");
    let server = Running::over(db);
    let facet = |key: &str| {
        let answer = post(&server, "/collections/c/facet", &json!({"key": key, "limit": 3}));
        (answer.status, answer.field, answer.body)
    };
    let (status, _, body) = facet("even");
    assert!(status == 200 && body["result"]["hits"][0]["count"] == 500, "{body}");
    let (status, field, body) = facet("text");
    let said = body["status"]["error"].as_str().unwrap_or_default();
    assert!(status == 400 && field.as_deref() == Some("key") && said.contains("answer_bytes_max"), "{body}");
    collection.create_field("text".parse().expect("a path"), FieldKind::Keyword).expect("an index");
    assert_eq!(facet("text").0, 400, "by the index as well");
}
