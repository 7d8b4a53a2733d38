//! What a server tells of itself: metrics, telemetry, its log, slow queries, traces; and what is shipped to look at
//! them.

mod child;
mod collector;
mod exposition;
mod generated;
mod logs;
mod metrics;
mod shipped;
mod slow;
mod telemetry;
mod traces;

use kithdb::{Database, Options};
use serde_json::json;

use crate::http::Running;

/// A server over a collection with vectors, words and a field, in which something was asked of every kind.
fn busy(options: Options) -> Running {
    let server = Running::over(Database::in_memory_with(options).expect("a database"));
    fill(&server);
    ask(&server);
    server
}

const NAME: &str = "notes";

fn fill(server: &Running) {
    let schema = json!({
        "vectors": {"size": 4, "distance": "Dot"},
        "sparse_vectors": {"s": {}},
        "keyword": {"paths": ["text"], "language": "english"},
    });
    let made = server.ask("PUT", "/collections/notes", Some(&schema));
    assert_eq!(made.status, 200, "{made:?}");
    let field = json!({"field_name": "lang", "field_schema": "keyword"});
    assert_eq!(server.ask("PUT", "/collections/notes/index", Some(&field)).status, 200);
    let point = |id: u64| {
        let sparse = json!({"indices": [id % 7], "values": [1.0]});
        json!({
            "id": id,
            "vector": {"": [id as f32, 1.0, 0.0, 0.5], "s": sparse},
            "payload": {"text": format!("the fox {id} runs"), "lang": if id.is_multiple_of(2) { "en" } else { "de" }, "n": id},
        })
    };
    let points = json!({"points": (1..=60).map(point).collect::<Vec<_>>()});
    let put = server.ask("PUT", "/collections/notes/points?wait=true", Some(&points));
    assert_eq!(put.status, 200, "{put:?}");
    let gone = json!({"points": [60]});
    assert_eq!(server.ask("POST", "/collections/notes/points/delete", Some(&gone)).status, 200);
}

fn ask(server: &Running) {
    let lang = json!({"must": [{"key": "lang", "match": {"value": "en"}}]});
    let unindexed = json!({"must": [{"key": "n", "range": {"gte": 5}}]});
    let near = json!([1.0, 0.0, 0.0, 0.0]);
    let hybrid = json!({
        "prefetch": [
            {"query": near, "filter": lang, "limit": 9},
            {"query": {"keyword": "fox"}, "limit": 9},
        ],
        "query": {"fusion": "rrf"},
        "with_payload": true,
        "limit": 5,
    });
    let asked = [
        ("points/query", json!({"query": near, "limit": 3, "with_payload": true})),
        ("points/query", json!({"query": near, "filter": unindexed, "limit": 3})),
        ("points/query", hybrid),
        ("points/query", json!({"query": {"indices": [1], "values": [1.0]}, "using": "s"})),
        ("points/query", json!({"prefetch": [{"query": near, "limit": 9}], "query": [0.0, 1.0, 0.0, 0.0]})),
        ("points/query", json!({"query": near, "score_threshold": 1e9})),
        ("points/query/groups", json!({"query": near, "group_by": "lang", "limit": 2})),
        ("points/scroll", json!({"filter": lang, "limit": 3})),
        ("points/count", json!({"filter": lang})),
        ("facet", json!({"key": "lang"})),
        ("points", json!({"ids": [1, 2]})),
        ("points/search/matrix/pairs", json!({"sample": 10, "limit": 2})),
    ];
    for (path, body) in asked {
        let answer = server.ask("POST", &format!("/collections/notes/{path}"), Some(&body));
        assert_eq!(answer.status, 200, "{path} {answer:?}");
    }
    assert_eq!(server.ask("POST", "/collections/notes/snapshots", Some(&json!({}))).status, 200);
    assert_eq!(server.ask("POST", "/collections/none/points/count", Some(&json!({}))).status, 404);
    let wrong = json!({"query": [1.0]});
    assert_eq!(server.ask("POST", "/collections/notes/points/query", Some(&wrong)).status, 400);
}
