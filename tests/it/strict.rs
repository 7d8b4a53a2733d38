//! Strict mode over HTTP: what a collection's own settings refuse, with the texts that clients of the dialect look for.

use kithdb::{Database, Value};
use serde_json::json;

use crate::http::{Answer, Running};

struct Site {
    server: Running,
}

const POINTS: &str = "/collections/c/points";

impl Site {
    fn new() -> Self {
        let server = Running::over(Database::in_memory().expect("a database"));
        let site = Self { server };
        let body = json!({
            "vectors": {"": {"size": 2, "distance": "Dot"},
                        "m": {"size": 1, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
            "sparse_vectors": {"s": {}},
        });
        site.done("PUT", "/collections/c", &body);
        let point = |id: u64| json!({"id": id, "vector": [1.0, id], "payload": {"city": "Berlin", "n": id}});
        site.done("PUT", POINTS, &json!({"points": (1..6).map(point).collect::<Vec<_>>()}));
        site
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.server.ask(method, path, Some(body))
    }

    fn done(&self, method: &str, path: &str, body: &Value) {
        let answer = self.ask(method, path, body);
        assert_eq!(answer.status, 200, "{method} {path} {body}: {answer:?}");
    }

    fn refused(&self, method: &str, path: &str, body: &Value, status: u16, says: &str) {
        let answer = self.ask(method, path, body);
        let text = answer.body["status"]["error"].as_str().unwrap_or_default();
        assert!(
            answer.status == status && text.contains(says),
            "{method} {path} {body}: {answer:?}, not {says}"
        );
    }

    fn set(&self, config: Value) {
        let body = Value::from_iter([("strict_mode_config", config)]);
        self.done("PATCH", "/collections/c", &body);
    }

    /// What is done without the setting, and while strict mode is off, and refused otherwise.
    fn only_without(&self, mut config: Value, method: &str, path: &str, body: &Value, says: &str) {
        self.done(method, path, body);
        config["enabled"] = false.into();
        self.set(config);
        self.done(method, path, body);
        self.set(json!({"enabled": true}));
        self.refused(method, path, body, 400, "Bad request: ");
        self.refused(method, path, body, 400, says);
        self.set(json!({}));
    }
}

fn at(rest: &str) -> String {
    format!("{POINTS}/{rest}")
}

/// A search with further members.
fn near(rest: &Value) -> Value {
    let mut body = json!({"query": [1.0, 0.0]});
    for (name, value) in rest.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[test]
fn searches_are_held_to_their_limits() {
    let site = Site::new();
    let legs = [near(&json!({"limit": 9})), near(&json!({"limit": 2}))];
    let fused = json!({"prefetch": legs, "query": {"fusion": "rrf"}, "limit": 2});
    let groups = near(&json!({"group_by": "n", "limit": 2, "group_size": 2}));
    let two = json!({"searches": [near(&json!({})), near(&json!({}))]});
    let oversampling = near(&json!({"params": {"quantization": {"oversampling": 2.0}}}));
    let exact = near(&json!({"params": {"exact": true}}));
    let effort = near(&json!({"params": {"hnsw_ef": 5}}));
    let older = json!({"vector": [1.0, 0.0], "limit": 4});
    let (three, seconds) = (json!({"max_query_limit": 3}), json!({"max_timeout": 2}));
    for (config, rest, body, says) in [
        (three.clone(), "query", near(&json!({"limit": 4})), "for \"limit\""),
        (three.clone(), "query", fused, "for \"limit\""),
        (three.clone(), "scroll", json!({}), "Limit exceeded 10 > 3 for \"limit\""),
        (three.clone(), "query/groups", groups, "Limit exceeded 4 > 3 for \"limit\""),
        (three, "search", older, "for \"limit\""),
        (seconds.clone(), "query?timeout=3", near(&json!({})), "for \"timeout\""),
        (seconds, "scroll?timeout=3", json!({}), "for \"timeout\""),
        (json!({"search_max_hnsw_ef": 4}), "query", effort, "hnsw_ef"),
        (json!({"search_allow_exact": false}), "query", exact, "Exact search disabled!"),
        (json!({"search_max_oversampling": 1.9}), "query", oversampling, "oversampling"),
        (json!({"search_max_batchsize": 1}), "query/batch", two, "batch size"),
    ] {
        site.only_without(config, "POST", &at(rest), &body, says);
    }
    site.set(json!({"enabled": true, "max_query_limit": 10}));
    site.refused("POST", "/api/v1/collections/c/cursors", &near(&json!({"limit": 11})), 400, "for \"limit\"");
}

#[test]
fn filters_are_held_to_their_limits_and_to_indexes() {
    let site = Site::new();
    let equals = |key: &str, value: Value| json!({"key": key, "match": {"value": value}});
    let city = json!({"must": [equals("city", "Berlin".into())]});
    let six = json!({"must": (0..6).map(|n| equals("n", n.into())).collect::<Vec<_>>()});
    let any = json!({"must": [{"key": "n", "match": {"any": [1, 2, 3]}}]});
    let inner = json!({"must": [equals("b", 1.into()), equals("c", 1.into())]});
    let nested = json!({"must": [{"nested": {"key": "a", "filter": inner}}]});
    let formula = json!({"prefetch": near(&json!({})), "query": {"formula": {"sum": ["n", "$score"]}}});
    let by = |filter: &Value| json!({"filter": filter});
    let indexed = json!({"unindexed_filtering_retrieve": false});
    for (config, rest, body, says) in [
        (indexed.clone(), "query", near(&by(&city)), "Index required but not found for \"city\""),
        (indexed.clone(), "scroll", by(&city), "\"city\" of one of the following types: [keyword, uuid]"),
        (indexed.clone(), "count", by(&city), "city"),
        (indexed.clone(), "count", by(&nested), "\"a.b\""),
        (indexed.clone(), "scroll", json!({"order_by": "n"}), "\"n\""),
        (indexed.clone(), "query", formula, "\"n\" in formula expression"),
        (indexed, "query/groups", near(&json!({"group_by": "city"})), "\"city\""),
        (json!({"filter_max_conditions": 5}), "count", by(&six), "Filter condition limit reached (6 > 5)"),
        (json!({"filter_max_conditions": 1}), "count", by(&nested), "Filter condition limit"),
        (json!({"condition_max_size": 2}), "count", by(&any), "Condition size limit reached (3 > 2)"),
    ] {
        site.only_without(config, "POST", &at(rest), &body, says);
    }
    // With an index, and within the limits, nothing is refused.
    site.set(json!({"enabled": true, "unindexed_filtering_retrieve": false, "filter_max_conditions": 5}));
    site.done("PUT", "/collections/c/index", &json!({"field_name": "city", "field_schema": "keyword"}));
    site.done("POST", &at("query"), &near(&by(&city)));
    site.done("POST", "/collections/c/facet", &json!({"key": "city", "filter": city}));
    site.refused("POST", "/collections/c/facet", &json!({"key": "n"}), 400, "\"n\"");
    // An index of integers that is not for looking up serves ranges alone.
    let params = json!({"type": "integer", "lookup": false, "range": true});
    site.done("PUT", "/collections/c/index", &json!({"field_name": "n", "field_schema": params}));
    site.refused("POST", &at("count"), &by(&any), 400, "\"n\"");
    site.done("POST", &at("count"), &json!({"filter": {"must": [{"key": "n", "range": {"gte": 1}}]}}));
}

#[test]
fn an_index_serves_what_it_was_made_for_and_an_empty_list_needs_none() {
    let site = Site::new();
    site.set(json!({"enabled": true, "unindexed_filtering_retrieve": false}));
    let by = |test: Value| json!({"filter": {"must": [{"key": "city", "match": test}]}});
    let index = |params: Value| json!({"field_name": "city", "field_schema": params});
    for empty in [json!({"any": []}), json!({"except": []})] {
        site.done("POST", &at("count"), &by(empty));
    }
    let beginning = by(json!({"prefix": "Ber"}));
    site.done("PUT", "/collections/c/index", &index(json!("keyword")));
    site.done("POST", &at("count"), &by(json!({"any": ["Berlin"]})));
    site.refused("POST", &at("count"), &beginning, 400, "Index required but not found for \"city\"");
    site.done("PUT", "/collections/c/index", &index(json!({"type": "keyword", "prefix": true})));
    site.done("POST", &at("count"), &beginning);
}

#[test]
fn a_search_without_a_graph_is_one_that_scans() {
    let site = Site::new();
    let graph = |own: Value| {
        let body = json!({"vectors": {"": {"hnsw_config": own}, "m": {"hnsw_config": {"m": 0}}}});
        site.done("PATCH", "/collections/c", &body);
    };
    let index = |params: Value| {
        let body = json!({"field_name": "city", "field_schema": params});
        site.done("PUT", "/collections/c/index", &body);
    };
    let in_city = near(&json!({"filter": {"must": [{"key": "city", "match": {"value": "Berlin"}}]}}));
    let rows = json!({"query": [[1.0]], "using": "m"});
    let (no_graph, none_at_all) = ("(hnsw_config.m = 0). Help: Use tenant", "and hnsw_config.payload_m = 0)");
    site.set(json!({"enabled": true, "search_allow_exact": false}));
    site.done("POST", &at("query"), &near(&json!({})));
    graph(json!({"m": 0, "payload_m": 0}));
    site.refused("POST", &at("query"), &rows, 400, "Request is forbidden on 'm' because global");
    for params in [json!("keyword"), json!({"type": "keyword", "is_tenant": false})] {
        site.refused("POST", &at("query"), &in_city, 400, no_graph);
        index(params);
    }
    index(json!({"type": "keyword", "is_tenant": true}));
    site.refused("POST", &at("query"), &near(&json!({})), 400, no_graph);
    site.refused("POST", &at("query"), &in_city, 400, none_at_all);
    graph(json!({"payload_m": 8}));
    site.done("POST", &at("query"), &in_city);
    // What its legs have found is not searched for again.
    let ranked = json!({"prefetch": {"query": {"sample": "random"}}, "query": [1.0, 0.0]});
    site.done("POST", &at("query"), &ranked);
    site.set(json!({"search_allow_exact": true}));
    site.done("POST", &at("query"), &rows);
}

#[test]
fn writes_are_held_to_their_limits() {
    let site = Site::new();
    let filter = json!({"must": [{"key": "city", "match": {"value": "nowhere"}}]});
    let batch = json!({"batch": {"ids": [1, 2, 3], "vectors": [[1, 2], [1, 2], [1, 2]]}});
    let vectors = json!({"points": [{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": [1, 2]}]});
    let rows = json!({"points": [{"id": 1, "vector": {"": [1, 2], "m": [[1], [2], [3]]}}]});
    let weights =
        json!({"points": [{"id": 1, "vector": {"s": {"indices": [1, 2, 3], "values": [1, 1, 1]}}}]});
    let operations = json!({"operations": [{"upsert": batch}]});
    let (upserts, unindexed) =
        (json!({"upsert_max_batchsize": 2}), json!({"unindexed_filtering_update": false}));
    let multi = json!({"multivector_config": {"m": {"max_vectors": 2}}});
    let sparse = json!({"sparse_config": {"s": {"max_length": 2}}});
    let transaction = json!({"operations": [{"collection": "c", "upsert": batch}]});
    for (config, method, path, body, says) in [
        (upserts.clone(), "PUT", POINTS.to_owned(), &batch, "Limit exceeded 3 > 2 for \"upsert limit\""),
        (upserts.clone(), "POST", at("batch"), &operations, "upsert limit"),
        (upserts, "POST", "/api/v1/transaction".to_owned(), &transaction, "upsert limit"),
        (json!({"upsert_max_batchsize": 1}), "PUT", at("vectors"), &vectors, "update limit"),
        (unindexed.clone(), "POST", at("delete"), &json!({"filter": filter}), "\"city\""),
        (unindexed, "POST", at("payload"), &json!({"payload": {"a": 1}, "filter": filter}), "\"city\""),
        (
            multi,
            "PUT",
            POINTS.to_owned(),
            &rows,
            "Multivector 'm' has a limit of 2 vectors, but 3 were provided!",
        ),
        (sparse, "PUT", POINTS.to_owned(), &weights, "Sparse vector 's' has a limit of 2 indices"),
        (
            json!({"max_payload_index_count": 0}),
            "PUT",
            "/collections/c/index".to_owned(),
            &json!({"field_name": "n", "field_schema": "integer"}),
            "maximum number of payload indices",
        ),
        (
            json!({"max_collection_vector_size_bytes": 12}),
            "PUT",
            POINTS.to_owned(),
            &batch,
            "Max vector storage size",
        ),
    ] {
        site.only_without(config, method, &path, body, says);
    }
}

#[test]
fn a_collection_grows_as_far_as_it_may() {
    let site = Site::new();
    site.set(json!({"enabled": true, "max_points_count": 6}));
    let upsert = |ids: &[u64]| {
        let points = ids.iter().map(|id| json!({"id": id, "vector": [1, 2]})).collect::<Vec<_>>();
        json!({"points": points})
    };
    site.refused("PUT", POINTS, &upsert(&[5, 6, 7]), 400, "Max points count limit of 6 reached!");
    let count = site.ask("POST", &at("count"), &json!({}));
    assert_eq!(count.body["result"]["count"], 5, "what is refused changes nothing");
    site.done("PUT", POINTS, &upsert(&[4, 5, 6]));
    for ids in [&[7][..], &[1, 2][..]] {
        site.refused("PUT", POINTS, &upsert(ids), 400, "Max points count limit of 6 reached!");
    }
    site.done("POST", &at("payload"), &json!({"payload": {"a": 1}, "points": [1]}));
    site.done("POST", &at("delete"), &json!({"points": [1]}));
    site.done("PUT", POINTS, &upsert(&[7]));
}

/// Neither looked at the collection's limits.
#[test]
fn imports_and_documents_end_where_a_collection_is_full() {
    let site = Site::new();
    site.done(
        "POST",
        "/collections/aliases",
        &json!({"actions": [
            {"create_alias": {"collection_name": "c", "alias_name": "a"}}
        ]}),
    );
    let line = |id: u64| format!("{{\"id\":{id},\"vector\":[1.0,2.0]}}\n");
    let import = |ids: std::ops::Range<u64>| {
        let lines: String = ids.map(line).collect();
        site.server.send_as("POST", "/api/v1/collections/a/import", "application/x-ndjson", lines.as_bytes())
    };
    let refused = |answer: Answer, says: &str| {
        let text = answer.body["status"]["error"].as_str().unwrap_or_default();
        assert!(answer.status == 400 && text.contains(says), "{answer:?}, not {says}");
    };
    site.set(json!({"enabled": true, "max_points_count": 7}));
    assert_eq!(import(6..8).status, 200, "it is full, and not beyond");
    refused(import(8..9), "Max points count limit of 7 reached!; nothing was imported");
    let upload = json!({"documents": [{"path": "a.md", "text": "a red fox"}]});
    let documents = "/api/v1/collections/c/documents";
    site.refused("POST", documents, &upload, 400, "Max points count limit of 7 reached!");
    site.set(json!({"max_points_count": 100, "max_collection_payload_size_bytes": 50}));
    refused(import(8..9), "Max payload storage size limit of");
    // Several batches: it ends within.
    site.set(json!({"max_points_count": 8, "max_collection_payload_size_bytes": 1 << 30}));
    let many = import(100..60_000);
    let text = many.body["status"]["error"].as_str().unwrap_or_default();
    assert!(many.status == 400 && text.contains("Max points count limit of 8"), "{many:?}");
}

#[test]
fn payloads_take_as_much_room_as_they_may() {
    let site = Site::new();
    let payload = json!({"text": "x".repeat(100)});
    let upsert = |id: u64| json!({"points": [{"id": id, "vector": [1, 2], "payload": payload}]});
    site.set(json!({"enabled": true, "max_collection_payload_size_bytes": 600}));
    // A point that is written again takes no further room, however often.
    for id in [6, 6, 6, 6, 6, 6, 7, 8] {
        site.done("PUT", POINTS, &upsert(id));
    }
    let full = "Max payload storage size limit of";
    for _ in 0..2 {
        site.refused("PUT", POINTS, &upsert(9), 400, full);
    }
    let everywhere = json!({"payload": {"more": "y".repeat(40)}, "filter": {}});
    site.refused("POST", &at("payload"), &everywhere, 400, full);
    site.done("POST", &at("delete"), &json!({"points": [6]}));
    site.done("PUT", POINTS, &upsert(9));
    site.refused("PUT", POINTS, &upsert(10), 400, full);
}

#[test]
fn a_collection_takes_so_many_operations_a_minute() {
    let site = Site::new();
    site.set(json!({"enabled": true, "read_rate_limit": 1, "write_rate_limit": 7}));
    let search = json!({"vector": [1.0, 0.0], "limit": 4});
    site.done("POST", &at("search"), &search);
    for (rest, body) in [("search", &search), ("scroll", &json!({})), ("count", &json!({}))] {
        let says = "Rate limiting exceeded: Read rate limit exceeded, retry later";
        site.refused("POST", &at(rest), body, 429, says);
    }
    site.done("PUT", "/collections/c/index", &json!({"field_name": "city", "field_schema": "keyword"}));
    let change = json!({"payload": {"a": 1}, "filter": {"must": [{"key": "city", "match": {"value": "x"}}]}});
    site.done("PUT", &at("payload"), &change);
    site.refused(
        "PUT",
        &at("payload"),
        &change,
        429,
        "Write rate limit exceeded: Operation requires 5 tokens but only",
    );
    let examples = json!({"query": {"recommend": {"positive": [1, 2], "strategy": "best_score"}}});
    let says = "request larger than rate limiter capacity, please try to split your request";
    site.refused("POST", &at("query"), &examples, 429, says);
    // What is absent takes nothing back.
    site.set(json!({"read_rate_limit": null}));
    site.refused("POST", &at("search"), &search, 429, "retry later");
    site.set(json!({"enabled": false}));
    for _ in 0..3 {
        site.done("POST", &at("search"), &search);
        site.done("PUT", &at("payload"), &change);
    }
}
