//! What a client may get wrong over HTTP: always a 4xx in the envelope, naming the field, and nothing changed.
//!
//! What every door refuses alike is in `cases/bad.json`; here is what only bytes on a wire can get wrong.

use kithdb::{Database, Filter, Language, Metric, Point, Schema, Select, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::folder::files;
use crate::http::{Answer, Running};

/// A server over a collection of three points, which nothing here may change.
struct Site {
    folder: tempfile::TempDir,
    db: Database,
    server: Running,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::open(folder.path().join("db")).expect("a database");
        let schema = Schema::new()
            .vector(2, Metric::Cosine)
            .keyword(["text".parse().expect("a path")], Language::English);
        let notes = db.create_collection("notes", schema).expect("a collection");
        let point = |id: u64| Point::new(id).vector([1.0, id as f32]).with("text", "word").with("n", id);
        notes.upsert((1..4).map(point).collect()).expect("points");
        Self { folder, server: Running::over(db.clone()), db }
    }

    fn state(&self) -> String {
        let collections = self.db.collections();
        let points = |collection: &kithdb::Collection| {
            let page = collection.scroll(&Filter::default(), None, 1_000, &Select::all()).expect("a page");
            format!("{} {:?} {:?}", collection.name(), collection.schema(), page)
        };
        collections.iter().map(points).collect()
    }

    /// Sends it; the answer must be an error of the client in the envelope, and nothing may have changed.
    fn refused(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let before = self.state();
        let answer = self.server.send(method, path, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        assert!((400..500).contains(&answer.status), "{method} {path} {shown}: {answer:?}");
        assert!(answer.body["status"]["error"].is_string(), "{method} {path} {shown}: {answer:?}");
        assert_eq!(self.state(), before, "{method} {path} {shown} changed something");
        answer
    }

    /// As above, and the error names this field.
    fn names(&self, method: &str, path: &str, body: &Value, field: &str) {
        let answer = self.refused(method, path, body.to_string().as_bytes());
        let text = answer.body["status"]["error"].as_str().unwrap_or_default();
        let is_named = answer.field.as_deref() == Some(field) && text.contains(field);
        assert!(is_named, "{method} {path} {body}: {answer:?} does not name {field}");
    }
}

/// How the dialect tells of a vector that there is not; the name is behind it.
const UNKNOWN: &str = "Wrong input: Not existing vector name error: ";

const POINTS: &str = "/collections/notes/points";
const QUERY: &str = "/collections/notes/points/query";
const SCROLL: &str = "/collections/notes/points/scroll";

#[test]
fn bad_points_are_refused_by_their_place() {
    let site = Site::new();
    let cases = [
        (json!({"points": [{"id": 9, "vector": [1.0]}]}), "points[0].vector"),
        (json!({"points": [{"id": 8, "vector": [1.0, 1.0]}, {"id": 9, "vector": []}]}), "points[1].vector"),
        (json!({"points": [{"id": 9, "vector": [1.0, "x"]}]}), "points[0].vector[1]"),
        (json!({"points": [{"id": 9, "vector": [1.0, null]}]}), "points[0].vector[1]"),
        (json!({"points": [{"id": 9, "vector": {"nope": [1.0, 1.0]}}]}), "points[0].vector.nope"),
        (
            json!({"points": [{"id": 9, "vector": {"s": {"indices": [1.5], "values": [1]}}}]}),
            "points[0].vector.s.indices[0]",
        ),
        (json!({"points": [{"id": 9, "vector": {"s": {"indices": [1]}}}]}), "points[0].vector.s"),
        (json!({"points": [{"id": -1, "vector": [1.0, 1.0]}]}), "points[0].id"),
        (json!({"points": [{"id": 1.5, "vector": [1.0, 1.0]}]}), "points[0].id"),
        (json!({"points": [{"id": "forty-two", "vector": [1.0, 1.0]}]}), "points[0].id"),
        (json!({"points": [{"id": null, "vector": [1.0, 1.0]}]}), "points[0].id"),
        (json!({"points": [{"id": 1, "vector": [1.0, 1.0], "payload": [1]}]}), "points[0].payload"),
    ];
    for (body, field) in cases {
        site.names("PUT", POINTS, &body, field);
    }
    for body in [json!({}), json!([]), json!(null), json!({"points": 1}), json!({"points": [{}]})] {
        site.refused("PUT", POINTS, body.to_string().as_bytes());
    }
}

#[test]
fn bad_questions_are_refused_by_their_field() {
    let site = Site::new();
    let nearest = |rest: Value| {
        let mut body = json!({"query": [1.0, 0.0]});
        body.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        body
    };
    let cases = [
        (json!({"query": [1.0]}), "query"),
        (json!({"query": []}), "query"),
        (nearest(json!({"limit": 0})), "limit"),
        (nearest(json!({"limit": -1})), "limit"),
        (nearest(json!({"limit": "x"})), "limit"),
        (nearest(json!({"nonsense": 1})), "nonsense"),
        (nearest(json!({"filter": {"must": [{"key": "a[", "match": {"value": 1}}]}})), "filter.must[0].key"),
        (nearest(json!({"filter": {"must": [{"key": "a"}]}})), "filter.must[0].key"),
        (
            nearest(json!({"filter": {"must": [{"key": "n", "range": {"gt": "x"}}]}})),
            "filter.must[0].range.gt",
        ),
        (nearest(json!({"filter": {"nust": []}})), "filter.nust"),
        (nearest(json!({"score_threshold": "high"})), "score_threshold"),
        (json!({"query": {"fusion": "rrf"}}), "prefetch"),
        (json!({"query": {"keyword": 5}}), "query.keyword"),
        (json!({"query": {"indices": [1], "values": [1.0]}}), "using"),
        (json!({"query": {"indices": [-1], "values": [1.0]}}), "query.indices[0]"),
        (json!({"query": {"indices": [1], "values": ["x"]}}), "query.values[0]"),
        (json!({"query": {"indices": [1]}}), "query"),
        (nearest(json!({"params": {"idf": {"corpus": {}}}})), "params.idf"),
        (json!({"prefetch": [{"query": [1.0]}], "query": {"fusion": "rrf"}}), "prefetch[0].query"),
    ];
    for (body, field) in cases {
        site.names("POST", QUERY, &body, field);
    }
    site.names("POST", SCROLL, &json!({"offset": "nowhere"}), "offset");
    site.names("POST", SCROLL, &json!({"limit": 0}), "limit");
    site.names(
        "PUT",
        "/collections/notes/index",
        &json!({"field_name": "n", "field_schema": "place"}),
        "field_schema",
    );
}

/// Clients compare these texts whole, so that no place stands behind the name unless it is one of a list.
#[test]
fn a_vector_that_there_is_not_is_told_in_the_words_of_the_dialect() {
    let site = Site::new();
    let cases = [
        ("POST", QUERY, json!({"query": [1.0, 0.0], "using": "nope"}), "using"),
        ("POST", POINTS, json!({"ids": [1], "with_vector": ["nope"]}), "with_vector"),
        ("PATCH", "/collections/notes", json!({"vectors": {"nope": {"on_disk": true}}}), "vectors.nope"),
        (
            "POST",
            QUERY,
            json!({"query": 1, "lookup_from": {"collection": "notes", "vector": "nope"}}),
            "lookup_from.vector",
        ),
    ];
    for (method, path, body, field) in cases {
        let answer = site.refused(method, path, body.to_string().as_bytes());
        assert_eq!(answer.body["status"]["error"], format!("{UNKNOWN}nope"), "{body}");
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(field)), "{body}");
    }
    let listed = json!({"points": [{"id": 9, "vector": {"nope": [1.0, 1.0]}}]});
    let answer = site.refused("PUT", POINTS, listed.to_string().as_bytes());
    let expected = format!("{UNKNOWN}nope (`points[0].vector.nope`)");
    assert_eq!(answer.body["status"]["error"], expected);
}

#[test]
fn bad_changes_are_refused_by_their_place() {
    let site = Site::new();
    let deep = vec!["a"; 100_000].join(".");
    let cases = [
        ("POST", "payload", json!({"points": [1]}), "body"),
        ("POST", "payload", json!({"payload": {}}), "points"),
        ("POST", "payload", json!({"payload": {}, "points": [1], "filter": {}}), "filter"),
        ("POST", "payload", json!({"payload": [], "points": [1]}), "payload"),
        ("POST", "payload", json!({"payload": {}, "points": [1, -1]}), "points[1]"),
        ("POST", "payload", json!({"payload": {}, "points": [1], "keys": "a"}), "keys"),
        ("POST", "payload", json!({"payload": {}, "points": [1], "key": ""}), "key"),
        ("POST", "payload", json!({"payload": {"x": 1}, "points": [1], "key": deep}), "key"),
        ("POST", "payload", json!({"payload": {}, "filter": {"nust": []}}), "filter.nust"),
        ("PUT", "payload", json!({"payload": {}, "points": [1], "key": "a"}), "key"),
        ("POST", "payload/delete", json!({"points": [1]}), "body"),
        ("POST", "payload/delete", json!({"keys": ["a", "b["], "points": [1]}), "keys[1]"),
        ("POST", "payload/clear", json!({}), "points"),
        ("POST", "payload/clear", json!({"points": [1], "all": true}), "all"),
        ("PUT", "vectors", json!({"points": [{"id": 1}]}), "points[0]"),
        ("PUT", "vectors", json!({"points": [{"id": 1, "vector": [1.0]}]}), "points[0].vector"),
        ("PUT", "vectors", json!({"points": [{"id": 1, "vector": []}]}), "points[0].vector"),
        (
            "PUT",
            "vectors",
            json!({"points": [{"id": 1, "vector": [1, 1], "payload": {}}]}),
            "points[0].payload",
        ),
        ("PUT", "vectors", json!({"points": [], "update_filter": {"nust": []}}), "update_filter.nust"),
        ("POST", "vectors/delete", json!({"points": [1], "vector": ["nope"]}), "vector[0]"),
    ];
    for (method, path, body, field) in cases {
        site.names(method, &format!("{POINTS}/{path}"), &body, field);
    }
    let filter = json!({"must": [{"key": "a"}]});
    site.names("PUT", POINTS, &json!({"points": [], "update_filter": filter}), "update_filter.must[0].key");
    site.names("PUT", POINTS, &json!({"points": [{"id": 1, "if_version": "x"}]}), "points[0].if_version");
}

#[test]
fn bad_operations_are_refused_by_their_place() {
    let site = Site::new();
    let cases = [
        (json!({"operations": [{}]}), "operations[0]"),
        (json!({"operations": [{"upset": {}}]}), "operations[0].upset"),
        (
            json!({"operations": [{"clear_payload": {"points": [1]}, "delete": {"points": [1]}}]}),
            "operations[0]",
        ),
        (
            json!({"operations": [{"clear_payload": {"points": [1]}}, {"set_payload": {"points": [1]}}]}),
            "operations[1].set_payload",
        ),
        (
            json!({"operations": [{"collection": "notes", "delete": {"points": [1]}}]}),
            "operations[0].collection",
        ),
        (
            json!({"operations": [{"delete": {"points": [1]}}, {"upsert": {"points": [{"id": 7, "vector": [1]}]}}]}),
            "operations[1].upsert.points[0].vector",
        ),
    ];
    for (body, field) in cases {
        site.names("POST", &format!("{POINTS}/batch"), &body, field);
    }
    let transaction = |operations: Value| json!({ "operations": operations });
    let delete = json!({"points": [1]});
    let cases = [
        (transaction(json!([])), "operations"),
        (transaction(json!([{"delete": delete}])), "operations[0].collection"),
        (transaction(json!([{"collection": "notes"}])), "operations[0]"),
        (transaction(json!([{"collection": "notes", "query": {}}])), "operations[0].query"),
        (json!({"operations": [], "collection": "notes"}), "collection"),
    ];
    for (body, field) in cases {
        site.names("POST", "/api/v1/transaction", &body, field);
    }
}

#[test]
fn a_version_that_is_not_there_is_a_precondition_that_failed() {
    let site = Site::new();
    let body = json!({"points": [{"id": 9, "vector": [1, 1]}, {"id": 1, "vector": [1, 1], "if_version": 7}]});
    let answer = site.refused("PUT", POINTS, body.to_string().as_bytes());
    assert_eq!((answer.status, answer.field.as_deref()), (412, Some("points[1].if_version")), "{answer:?}");
    let found = site.server.ask("POST", QUERY, Some(&json!({"filter": {"must": [{"has_id": [1]}]}})));
    let version = &found.body["result"]["points"][0]["version"];
    let body = json!({"points": [{"id": 1, "vector": [1, 1], "if_version": version}]});
    assert_eq!(site.server.ask("PUT", POINTS, Some(&body)).status, 200, "{version}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let site = Site::new();
    let body = json!({"points": [{"id": 1, "vector": [1.0, 1.0]}]}).to_string();
    for (method, path) in [
        ("PUT", "/collections/nowhere/points"),
        ("POST", "/collections/nowhere/points/query"),
        ("GET", "/collections/nowhere"),
        ("GET", "/collections/notes/points/99"),
        ("GET", "/nowhere"),
    ] {
        let answer = site.refused(method, path, if method == "PUT" { body.as_bytes() } else { b"{}" });
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    assert_eq!(site.refused("PATCH", POINTS, b"").status, 405);
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let site = Site::new();
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"{\"points\": [",
        b"{\"points\": [{\"id\": 1, \"vector\": [NaN, 1]}]}",
        b"{\"points\": [{\"id\": 1, \"vector\": [Infinity, 1]}]}",
        b"{\"points\": []} and more",
        b"{\"points\": [], \"points\": []}",
        b"\xff\xfe",
        b"{'points': []}",
    ];
    for body in bodies {
        site.refused("PUT", POINTS, body);
    }
}

#[test]
fn a_body_of_100_mb_is_refused_before_it_is_read() {
    let site = Site::new();
    let head = |length: &str| {
        format!(
            "PUT {POINTS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
        )
    };
    let before = site.state();
    let began = std::time::Instant::now();
    let declared = site.server.exchange(head("content-length: 104857600").as_bytes(), b"{\"points\": [");
    assert_eq!((declared.status, declared.field.as_deref()), (413, Some("body")), "{declared:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "it waited for the body");
    let all = site.server.send("PUT", POINTS, &vec![b' '; 100 << 20]);
    assert_eq!(all.status, 413, "{all:?}");
    // Without a length it is read up to the limit, and no further.
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    let endless: Vec<u8> = chunk.repeat(40);
    let chunked = site.server.exchange(head("transfer-encoding: chunked").as_bytes(), &endless);
    assert_eq!(chunked.status, 413, "{chunked:?}");
    assert_eq!(site.state(), before);
}

#[test]
fn depth_is_refused_and_never_a_crash() {
    let site = Site::new();
    let nested = |open: &str, close: &str, levels: usize, inner: &str| {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    for levels in [33, 127, 128, 1_000, 100_000] {
        let filter = nested(r#"{"must":["#, "]}", levels, r#"{"has_id":[1]}"#);
        for path in [SCROLL, QUERY, "/collections/notes/points/count", "/collections/notes/points/delete"] {
            site.refused("POST", path, format!(r#"{{"filter": {filter}}}"#).as_bytes());
        }
        let legs = nested(r#"{"query":{"fusion":"rrf"},"prefetch":["#, "]}", levels, r#"{"query":[1,0]}"#);
        if levels > 64 {
            site.refused("POST", QUERY, legs.as_bytes());
        }
        let deep = nested("[", "]", levels + 64, "");
        let point = format!(r#"{{"points": [{{"id": 9, "vector": [1, 0], "payload": {{"a": {deep}}}}}]}}"#);
        site.refused("PUT", POINTS, point.as_bytes());
    }
}

#[test]
fn names_that_are_paths_lead_nowhere() {
    let site = Site::new();
    let before: Vec<_> = files(site.folder.path());
    for name in [
        "..",
        "%2e%2e",
        "..%2f..%2fescape",
        "%2fetc%2fpasswd",
        "a%2fb",
        "a%5cb",
        "a%00b",
        "%0a",
        "%ff",
        "%3a",
    ] {
        for method in ["PUT", "GET", "POST"] {
            site.refused(method, &format!("/collections/{name}"), b"{}");
        }
        // As in Qdrant, there is nothing to delete, and that is an answer.
        let deleted = site.server.send("DELETE", &format!("/collections/{name}"), b"");
        assert!(deleted.status >= 400 || deleted.body["result"] == false, "{name}: {deleted:?}");
    }
    let long = "x".repeat(256);
    site.refused("PUT", &format!("/collections/{long}"), b"{}");
    let outside = |file: &std::path::PathBuf| !file.starts_with(site.folder.path().join("db"));
    assert!(!files(site.folder.path()).iter().any(outside));
    assert!(before.iter().all(|file| !outside(file)));
}

/// A body that nearly is one.
fn mangled() -> impl Strategy<Value = (usize, Vec<(usize, u8)>, usize)> {
    (0..BODIES.len(), prop::collection::vec((0..400_usize, any::<u8>()), 1..4), 0..400_usize)
}

const BODIES: [(&str, &str, &str); 3] = [
    (
        "POST",
        QUERY,
        r#"{"query":{"nearest":[0.5,1]},"filter":{"must":[{"key":"n","range":{"gte":1}}]},"limit":3}"#,
    ),
    ("POST", SCROLL, r#"{"filter":{"min_should":{"conditions":[{"has_id":[1]}],"min_count":1}},"offset":2}"#),
    (
        "POST",
        QUERY,
        r#"{"prefetch":[{"query":[1,0]},{"query":{"keyword":"word"}}],"query":{"rrf":{"k":60}}}"#,
    ),
];

#[test]
fn mangled_questions_never_fail_the_server() {
    let site = Site::new();
    let before = site.state();
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((body, edits, cut) in mangled())| {
        let (method, path, text) = BODIES[body];
        let mut bytes = text.as_bytes().to_vec();
        for (place, byte) in edits {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        bytes.truncate(cut.max(20));
        let answer = site.server.send(method, path, &bytes);
        prop_assert!(answer.status < 500, "{answer:?}");
    });
    assert_eq!(site.state(), before);
}

#[test]
fn an_address_that_is_no_text_is_refused_on_every_route() {
    let site = Site::new();
    let before = site.state();
    let of_parts = server::addresses().into_iter().filter(|(_, path)| path.contains('{'));
    for (method, path) in of_parts {
        let mut parts: Vec<&str> = path.split('/').collect();
        for part in &mut parts {
            if part.starts_with('{') {
                *part = "%ff";
            }
        }
        let answer = site.server.send(&method, &parts.join("/"), b"");
        assert_eq!(
            (answer.status, answer.field.as_deref()),
            (400, Some("path")),
            "{method} {path}: {answer:?}"
        );
        let error =
            if path.starts_with("/v1/") { &answer.body["error"] } else { &answer.body["status"]["error"] };
        assert!(error.is_string() || error["message"].is_string(), "{method} {path}: {answer:?}");
    }
    assert_eq!(site.state(), before);
}

#[test]
fn values_that_can_never_be_are_told_apart_from_those_that_are_not_understood() {
    let site = Site::new();
    let mmr = |diversity: f64| json!({"query": {"nearest": [1.0, 0.0], "mmr": {"diversity": diversity}}});
    let given = |mut body: Value| {
        body["query"] = json!([1.0, 0.0]);
        body
    };
    let oversampled = given(json!({"params": {"quantization": {"oversampling": 0.5}}}));
    let naive = json!({"naive": {"a": 1, "b": 1, "c": 1}});
    let feedback = json!({"query": {"relevance_feedback": {"target": 1, "feedback": [], "strategy": naive}}});
    let defaults = |name: &str, value: Value| {
        let formula = json!({"formula": "$score", "defaults": {name: value}});
        json!({"prefetch": {}, "query": formula})
    };
    for (method, path, body, field) in [
        ("POST", "notes/points/query", mmr(1.5), "query.mmr.diversity"),
        ("POST", "notes/points/query", mmr(-0.1), "query.mmr.diversity"),
        ("POST", "notes/points/query", json!({"prefetch": {}, "query": {"rrf": {"k": 0}}}), "query.rrf.k"),
        ("POST", "notes/points/query", given(json!({"params": {"hnsw_ef": 0}})), "params.hnsw_ef"),
        ("POST", "notes/points/query", oversampled, "params.quantization.oversampling"),
        ("POST", "notes/points/query", feedback, "query.relevance_feedback.feedback"),
        ("POST", "notes/points/query", defaults("$score", json!("x")), "query.defaults.$score"),
        ("POST", "notes/points/query", defaults("$scores", json!(1)), "query.defaults.$scores"),
        ("POST", "notes/points/search/matrix/pairs", json!({"sample": 1}), "sample"),
        ("POST", "notes/points/search/matrix/offsets", json!({"limit": 0}), "limit"),
        ("PUT", "notes/points", json!({"batch": {"ids": [1, 2], "vectors": [[1, 0]]}}), "batch.vectors"),
        (
            "PUT",
            "notes/points",
            json!({"batch": {"ids": [], "vectors": [], "payloads": [{}]}}),
            "batch.payloads",
        ),
        ("PUT", "notes/points/vectors", json!({"points": []}), "points"),
        ("POST", "notes/points/vectors/delete", json!({"points": [1], "vector": []}), "vector"),
        ("PUT", "new", json!({"hnsw_config": {"full_scan_threshold": 9}}), "hnsw_config.full_scan_threshold"),
        ("PUT", "no%2Ftes", json!({}), "collection_name"),
        ("PUT", "%20%3A", json!({}), "collection_name"),
    ] {
        let answer = site.refused(method, &format!("/collections/{path}"), body.to_string().as_bytes());
        assert_eq!((answer.status, answer.field.as_deref()), (422, Some(field)), "{path} {body}: {answer:?}");
    }
}

#[test]
fn a_body_that_is_packed_is_refused_by_its_header() {
    let site = Site::new();
    let body = json!({"points": [{"id": 9, "vector": [1.0, 0.0]}]});
    for path in ["/collections/notes/points?wait=true", "/api/v1/collections/notes/import"] {
        let method = if path.ends_with("import") { "POST" } else { "PUT" };
        let answer = site.server.ask_with("content-encoding: gzip", method, path, Some(&body));
        assert_eq!((answer.status, answer.field.as_deref()), (415, Some("content-encoding")), "{answer:?}");
    }
    let identity = site.server.ask_with("content-encoding: identity", "GET", "/collections", None);
    assert_eq!(identity.status, 200);
}
