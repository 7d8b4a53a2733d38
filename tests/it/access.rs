//! Keys and tokens over HTTP: every address, with every kind of right. The table is that of Qdrant, and what is ours.

use kithdb::{Database, Metric, Point, Schema, Value};
use serde_json::json;
use server::{Keys, ServeOptions};

use crate::http::{Answer, Running};

/// Who asks, in the order of the marks below.
const WHO: [&str; 8] = ["nobody", "unknown", "full", "reads", "a_reads", "a_points", "a_writes", "b_writes"];

/// What each gets: `0` a 401, `3` a 403, `+` neither. Collections are `a` but for those that are made or go.
const TABLE: &[(&str, &str)] = &[
    ("GET /", "++++++++"),
    ("GET /healthz", "++++++++"),
    ("GET /livez", "++++++++"),
    ("GET /readyz", "++++++++"),
    ("GET /metrics", "00++3333"),
    ("GET /openapi.json", "++++++++"),
    ("GET /docs", "++++++++"),
    ("GET /docs/page.js", "++++++++"),
    ("POST /mcp", "00++++++"),
    ("GET /telemetry", "00++++++"),
    ("GET /api/v1/slow-queries", "00++++++"),
    ("GET /collections", "00++++++"),
    ("POST /collections/aliases", "00+33333"),
    ("GET /aliases", "00++++++"),
    ("GET /collections/{collection}", "00+++++3"),
    ("PUT /collections/{collection}", "00+33333"),
    ("PATCH /collections/{collection}", "00+33333"),
    ("DELETE /collections/{collection}", "00+33333"),
    ("GET /collections/{collection}/aliases", "00+++++3"),
    ("GET /collections/{collection}/exists", "00+++++3"),
    ("PUT /collections/{collection}/vectors/{vector}", "00+333+3"),
    ("DELETE /collections/{collection}/vectors/{vector}", "00+333+3"),
    ("PUT /collections/{collection}/index", "00+333+3"),
    ("DELETE /collections/{collection}/index/{field}", "00+333+3"),
    ("GET /api/v1/collections/{collection}", "00+++++3"),
    ("PUT /collections/{collection}/points", "00+33++3"),
    ("POST /collections/{collection}/points", "00+++++3"),
    ("GET /collections/{collection}/points/{id}", "00+++++3"),
    ("POST /collections/{collection}/points/delete", "00+33++3"),
    ("POST /collections/{collection}/points/scroll", "00+++++3"),
    ("POST /collections/{collection}/points/count", "00+++++3"),
    ("POST /collections/{collection}/points/query", "00+++++3"),
    ("POST /collections/{collection}/points/query/batch", "00+++++3"),
    ("POST /collections/{collection}/points/query/groups", "00+++++3"),
    ("POST /collections/{collection}/points/search/matrix/pairs", "00+++++3"),
    ("POST /collections/{collection}/points/search/matrix/offsets", "00+++++3"),
    ("POST /collections/{collection}/facet", "00+++++3"),
    ("POST /api/v1/collections/{collection}/documents", "00+33++3"),
    ("GET /api/v1/collections/{collection}/documents", "00+++++3"),
    ("GET /api/v1/collections/{collection}/documents/{document}", "00+++++3"),
    ("DELETE /api/v1/collections/{collection}/documents/{document}", "00+33++3"),
    ("GET /api/v1/collections/{collection}/jobs", "00+++++3"),
    ("GET /api/v1/jobs/{job}", "00++++++"),
    ("PUT /api/v1/collections/{collection}/eval/questions", "00+33++3"),
    ("GET /api/v1/collections/{collection}/eval/questions", "00+++++3"),
    ("DELETE /api/v1/collections/{collection}/eval/questions", "00+33++3"),
    ("POST /api/v1/collections/{collection}/eval", "00+++++3"),
    ("POST /api/v1/collections/{collection}/eval/answers", "00+++++3"),
    ("POST /api/v1/collections/{collection}/feedback", "00+++++3"),
    ("GET /api/v1/collections/{collection}/feedback", "00+33++3"),
    ("DELETE /api/v1/collections/{collection}/feedback", "00+33++3"),
    ("GET /api/v1/collections/{collection}/feedback/questions", "00+33++3"),
    ("POST /api/v1/collections/{collection}/eval/learn", "00+333+3"),
    ("POST /api/v1/collections/{collection}/why-not", "00+++++3"),
    ("POST /api/v1/collections/{collection}/cursors", "00+++++3"),
    ("POST /api/v1/cursors/{cursor}", "00++++++"),
    ("DELETE /api/v1/cursors/{cursor}", "00++++++"),
    ("POST /collections/{collection}/points/payload", "00+33++3"),
    ("PUT /collections/{collection}/points/payload", "00+33++3"),
    ("POST /collections/{collection}/points/payload/delete", "00+33++3"),
    ("POST /collections/{collection}/points/payload/clear", "00+33++3"),
    ("PUT /collections/{collection}/points/vectors", "00+33++3"),
    ("POST /collections/{collection}/points/vectors/delete", "00+33++3"),
    ("POST /collections/{collection}/points/batch", "00+33++3"),
    ("POST /api/v1/transaction", "00++++++"),
    ("POST /collections/{collection}/points/search", "00+++++3"),
    ("POST /collections/{collection}/points/search/batch", "00+++++3"),
    ("POST /collections/{collection}/points/search/groups", "00+++++3"),
    ("POST /collections/{collection}/points/recommend", "00+++++3"),
    ("POST /collections/{collection}/points/recommend/batch", "00+++++3"),
    ("POST /collections/{collection}/points/recommend/groups", "00+++++3"),
    ("POST /collections/{collection}/points/discover", "00+++++3"),
    ("POST /collections/{collection}/points/discover/batch", "00+++++3"),
    ("GET /cluster", "00++3333"),
    ("GET /cluster/telemetry", "00++++++"),
    ("POST /cluster/recover", "00+33333"),
    ("PUT /cluster/recover", "00+33333"),
    ("DELETE /cluster/recover", "00+33333"),
    ("POST /cluster/peer/{peer}", "00+33333"),
    ("PUT /cluster/peer/{peer}", "00+33333"),
    ("DELETE /cluster/peer/{peer}", "00+33333"),
    ("GET /issues", "00++++++"),
    ("DELETE /issues", "00+33333"),
    ("GET /quotas", "00++3333"),
    ("PUT /quotas", "00+33333"),
    ("GET /collections/{collection}/cluster", "00+++++3"),
    ("POST /collections/{collection}/cluster", "00+33333"),
    ("GET /collections/{collection}/shards", "00+++++3"),
    ("PUT /collections/{collection}/shards", "00+33333"),
    ("POST /collections/{collection}/shards/delete", "00+33333"),
    ("PUT /collections/{collection}/shards/delete", "00+33333"),
    ("DELETE /collections/{collection}/shards/delete", "00+33333"),
    ("GET /collections/{collection}/optimizations", "00+++++3"),
    ("GET /snapshots", "00++3333"),
    ("POST /snapshots", "00+33333"),
    ("GET /snapshots/{snapshot}", "00++3333"),
    ("DELETE /snapshots/{snapshot}", "00+33333"),
    ("GET /collections/{collection}/snapshots", "00+++3+3"),
    ("POST /collections/{collection}/snapshots", "00+333+3"),
    ("PUT /collections/{collection}/snapshots/recover", "00+33333"),
    ("POST /collections/{collection}/snapshots/upload", "00+33333"),
    ("GET /collections/{collection}/snapshots/{snapshot}", "00+++3+3"),
    ("DELETE /collections/{collection}/snapshots/{snapshot}", "00+333+3"),
    ("GET /collections/{collection}/shards/{shard}/snapshots", "00+++3+3"),
    ("POST /collections/{collection}/shards/{shard}/snapshots", "00+333+3"),
    ("PUT /collections/{collection}/shards/{shard}/snapshots/recover", "00+33333"),
    ("POST /collections/{collection}/shards/{shard}/snapshots/upload", "00+33333"),
    ("GET /collections/{collection}/shards/{shard}/snapshots/{snapshot}", "00+++3+3"),
    ("DELETE /collections/{collection}/shards/{shard}/snapshots/{snapshot}", "00+333+3"),
    ("POST /api/v1/collections/{collection}/optimize", "00+333+3"),
    ("GET /api/v1/collections/{collection}/import", "00+++3+3"),
    ("POST /api/v1/collections/{collection}/import", "00+333+3"),
    ("GET /api/v1/collections/{collection}/export", "00+++3+3"),
    ("GET /api/v1/collections/{collection}/sources/{source}", "00+++++3"),
    ("GET /v1/models", "00++++++"),
    ("GET /v1/models/{model}", "00++++++"),
    ("POST /v1/embeddings", "00++++++"),
    ("POST /v1/chat/completions", "00++++++"),
    ("POST /v1/responses", "00++++++"),
    ("GET /v1/responses/{response}", "00++3333"),
    ("DELETE /v1/responses/{response}", "00+33333"),
    ("POST /v1/responses/{response}/cancel", "00++3333"),
    ("GET /v1/responses/{response}/input_items", "00++3333"),
    ("GET /v1/files", "00++3333"),
    ("POST /v1/files", "00+33333"),
    ("GET /v1/files/{file}", "00++3333"),
    ("DELETE /v1/files/{file}", "00+33333"),
    ("GET /v1/files/{file}/content", "00++3333"),
    ("GET /v1/vector_stores", "00++++++"),
    ("POST /v1/vector_stores", "00+33333"),
    ("GET /v1/vector_stores/{collection}", "00+++++3"),
    ("POST /v1/vector_stores/{collection}", "00+333+3"),
    ("DELETE /v1/vector_stores/{collection}", "00+33333"),
    ("POST /v1/vector_stores/{collection}/search", "00+++++3"),
    ("GET /v1/vector_stores/{collection}/files", "00+++++3"),
    ("POST /v1/vector_stores/{collection}/files", "00+33++3"),
    ("GET /v1/vector_stores/{collection}/files/{file}", "00+++++3"),
    ("POST /v1/vector_stores/{collection}/files/{file}", "00+33++3"),
    ("DELETE /v1/vector_stores/{collection}/files/{file}", "00+33++3"),
    ("GET /v1/vector_stores/{collection}/files/{file}/content", "00+++++3"),
    ("POST /v1/vector_stores/{collection}/file_batches", "00+33++3"),
    ("GET /v1/vector_stores/{collection}/file_batches/{batch}", "00+++++3"),
    ("POST /v1/vector_stores/{collection}/file_batches/{batch}/cancel", "00+33++3"),
    ("GET /v1/vector_stores/{collection}/file_batches/{batch}/files", "00+++++3"),
];

const FULL: &str = "secret of all";

/// Two collections, of three points each, behind keys.
struct Site {
    _folder: tempfile::TempDir,
    server: Running,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::open(folder.path()).expect("a database");
        for name in ["a", "b"] {
            let schema = Schema::new().vector(2, Metric::Dot);
            let collection = db.create_collection(name, schema).expect("a collection");
            let point = |id: u64| Point::new(id).vector([1.0, id as f32]).with("n", id);
            collection.upsert((1..4).map(point).collect()).expect("points");
        }
        let of = |key: &str, collection: &str, access: &str| {
            json!({"key": key, "access": [{"collection": collection, "access": access}]}).to_string()
        };
        let keys = Keys::new().full(FULL).and_then(|keys| keys.read_only("reads"));
        let keys = keys.and_then(|keys| keys.with(&of("a_reads", "a", "r")));
        let keys = keys.and_then(|keys| keys.with(&of("a_points", "a", "prw")));
        let keys = keys.and_then(|keys| keys.with(&of("a_writes", "a", "rw")));
        let keys = keys.and_then(|keys| keys.with(&of("b_writes", "b", "rw"))).expect("keys");
        let server = Running::with(db, ServeOptions { keys, ..ServeOptions::default() });
        Self { _folder: folder, server }
    }

    fn ask(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let answer = match key {
            "nobody" => self.server.ask(method, path, Some(body)),
            "full" => self.server.ask_with(&format!("api-key: {FULL}"), method, path, Some(body)),
            _ => self.server.ask_with(&format!("api-key: {key}"), method, path, Some(body)),
        };
        if [401, 403].contains(&answer.status) {
            let text = answer.body["status"]["error"].as_str();
            let text = text.or(answer.body["error"]["message"].as_str()).unwrap_or_default();
            let start = if answer.status == 401 { "Unauthorized: " } else { "Forbidden: " };
            assert!(text.starts_with(start), "{method} {path} as {key}: {answer:?}");
        }
        answer
    }

    fn bearer(&self, token: &str, path: &str) -> u16 {
        self.server.ask_with(&format!("Authorization: Bearer {token}"), "GET", path, None).status
    }
}

#[test]
fn the_table_has_every_address() {
    let mut declared: Vec<String> =
        server::addresses().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let mut known: Vec<String> = TABLE.iter().map(|(address, _)| (*address).to_owned()).collect();
    declared.sort();
    known.sort();
    assert_eq!(known, declared, "a new route needs a line here that says who may use it");
}

#[test]
fn every_address_asks_for_the_right_that_it_needs() {
    let site = Site::new();
    for (address, marks) in TABLE {
        let (method, pattern) = address.split_once(' ').expect("a method and a path");
        let collection = if *address == "DELETE /collections/{collection}" { "gone" } else { "a" };
        let path = pattern.replace("{collection}", collection);
        let path = [
            "{id}",
            "{vector}",
            "{field}",
            "{cursor}",
            "{snapshot}",
            "{shard}",
            "{peer}",
            "{model}",
            "{source}",
            "{file}",
            "{batch}",
            "{response}",
        ]
        .iter()
        .fold(path, |path, part| path.replace(part, "1"));
        for (who, mark) in WHO.iter().zip(marks.chars()) {
            let answer = site.ask(who, method, &path, &json!({}));
            let got = match answer.status {
                401 => '0',
                403 => '3',
                _ => '+',
            };
            assert_eq!(got, mark, "{method} {path} as {who}: {answer:?}");
        }
    }
    for path in ["/nowhere", "/collections/a/points/query"] {
        assert_eq!(site.ask("nobody", "GET", path, &json!({})).status, 401, "{path}");
    }
}

#[test]
fn collections_named_in_bodies_need_their_rights_too() {
    let site = Site::new();
    let alias = json!({"actions": [{"create_alias": {"alias_name": "of_b", "collection_name": "b"}}]});
    assert_eq!(site.ask("full", "POST", "/collections/aliases", &alias).status, 200);
    let query = "/collections/a/points/query";
    let lookup = |name: &str| json!({"query": 1, "lookup_from": {"collection": name}});
    let leg = |name: &str| {
        let leg = json!({"query": 1, "lookup_from": {"collection": name}});
        json!({"prefetch": [{"prefetch": leg, "query": [1.0, 0.0]}], "query": {"fusion": "rrf"}})
    };
    let older = |name: &str| json!({"positive": [1], "limit": 3, "lookup_from": {"collection": name}});
    let group = |name: &str| json!({"query": [1.0, 0.0], "group_by": "n", "with_lookup": name});
    let upsert = |name: &str| {
        let point = json!({"upsert": {"points": [{"id": 9, "vector": [1.0, 0.0]}]}, "collection": name});
        json!({"operations": [{"delete": {"points": [77]}, "collection": "a"}, point]})
    };
    for (path, body) in [
        (query, &lookup as &dyn Fn(&str) -> Value),
        (query, &leg),
        ("/collections/a/points/recommend", &older),
        ("/collections/a/points/query/groups", &group),
        ("/api/v1/transaction", &upsert),
    ] {
        for (name, expected) in [("a", 200), ("b", 403), ("of_b", 403), ("none", 403)] {
            let answer = site.ask("a_writes", "POST", path, &body(name));
            assert_eq!(answer.status, expected, "{path} {}: {answer:?}", body(name));
            assert!(expected == 200 || answer.body.to_string().contains(name), "{answer:?}");
        }
        assert_eq!(site.ask("full", "POST", path, &body("of_b")).status, 200, "{path}");
    }
    assert_eq!(site.ask("a_reads", "POST", "/api/v1/transaction", &upsert("a")).status, 403);
    let count = site.ask("full", "POST", "/collections/b/points/count", &json!({}));
    assert_eq!(count.body["result"]["count"], 4, "only who may write to b did");
}

#[test]
fn what_is_not_seen_is_not_told() {
    let site = Site::new();
    let alias = |alias: &str, of: &str| json!({"create_alias": {"alias_name": alias, "collection_name": of}});
    let actions = json!({"actions": [alias("of_a", "a"), alias("of_b", "b")]});
    assert_eq!(site.ask("full", "POST", "/collections/aliases", &actions).status, 200);
    for (who, collections, aliases) in
        [("full", vec!["a", "b"], 2), ("a_reads", vec!["a"], 1), ("b_writes", vec!["b"], 1)]
    {
        let list = site.ask(who, "GET", "/collections", &json!({})).body;
        let names: Vec<&str> = list["result"]["collections"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert_eq!(names, collections, "{who}");
        let told = site.ask(who, "GET", "/aliases", &json!({})).body;
        assert_eq!(told["result"]["aliases"].as_array().map(Vec::len), Some(aliases), "{who}");
        let told = site.ask(who, "GET", "/telemetry?details_level=3", &json!({})).body;
        assert_eq!(told["result"]["collections"]["number_of_collections"], collections.len(), "{who}");
    }
    assert_eq!(site.ask("a_reads", "GET", "/collections/of_a", &json!({})).status, 200);
    assert_eq!(site.ask("a_reads", "GET", "/collections/of_b", &json!({})).status, 403);
}

#[test]
fn a_cursor_needs_the_right_that_it_was_begun_with() {
    let site = Site::new();
    let begun = site.ask("a_reads", "POST", "/api/v1/collections/a/cursors", &json!({"limit": 1}));
    let path = format!("/api/v1/cursors/{}", begun.body["result"]["cursor"].as_str().expect("more pages"));
    assert_eq!(site.ask("b_writes", "POST", &path, &json!({})).status, 403);
    assert_eq!(site.ask("b_writes", "DELETE", &path, &json!({})).status, 403);
    assert_eq!(site.ask("reads", "POST", &path, &json!({})).status, 200);
    assert_eq!(site.ask("a_reads", "DELETE", &path, &json!({})).body["result"], true);
}

/// Tokens that another implementation made, signed with the full key but for the last two.
const READS: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJhY2Nlc3MiOiAiciJ9.Cr2JLU-jAudj6VW7YwpQ1_l0dQVY_iswmkQ12F8uvlc";
const WRITES_A: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJhY2Nlc3MiOiBbeyJjb2xsZWN0aW9uIjogImEiLCAiYWNjZXNzIjogInJ3In1dfQ.XlhSWUfzwvX4YSlCPB9LJlEXJm_5gBjCv8G20tT5vqk";
const EXPIRED: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJhY2Nlc3MiOiAibSIsICJleHAiOiAxMDAwMDAwMDAwfQ.xQ38zRJeMZR57bWqgKtTl-ld5tpX-IM7LfiKlr61b6I";
const BY_PAYLOAD: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJhY2Nlc3MiOiBbeyJjb2xsZWN0aW9uIjogImEiLCAiYWNjZXNzIjogInIiLCAicGF5bG9hZCI6IHsieCI6IDF9fV19.uBOKb24Zm90bM4jYPgyQ7Rz_sdil51ke0P8bSvChWSs";
const WHILE_A_POINT_EXISTS: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJ2YWx1ZV9leGlzdHMiOiB7ImNvbGxlY3Rpb24iOiAiYiIsICJtYXRjaGVzIjogW3sia2V5IjogInNlc3Npb24iLCAidmFsdWUiOiAiczEifV19fQ.wYUh8T1_-krZHnogTMs-aOUyfeVSR0dRQqSMO2vAdeA";
const FORGED: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJhY2Nlc3MiOiAibSJ9.tPCtIICp_bnYXOtzsMbt3SxnmynNu95KyrCVBT1ryFQ";
const UNSIGNED: &str = "eyJhbGciOiJub25lIn0.eyJhY2Nlc3MiOiJtIn0.";

#[test]
fn a_token_gives_its_rights_while_it_counts() {
    let site = Site::new();
    for (token, path, status) in [
        (READS, "/collections/b", 200),
        (READS, "/snapshots", 200),
        (WRITES_A, "/collections/a", 200),
        (WRITES_A, "/collections/b", 403),
        (EXPIRED, "/collections/a", 401),
        (BY_PAYLOAD, "/collections/a", 401),
        (FORGED, "/collections/a", 401),
        (UNSIGNED, "/collections/a", 401),
        (WHILE_A_POINT_EXISTS, "/collections/a", 401),
        ("full", "/collections/a", 401),
        (FULL, "/collections/a", 200),
    ] {
        assert_eq!(site.bearer(token, path), status, "{token} {path}");
    }
    let point = json!({"points": [{"id": 7, "vector": [1.0, 0.0], "payload": {"session": "s1"}}]});
    assert_eq!(site.ask("full", "PUT", "/collections/b/points", &point).status, 200);
    assert_eq!(site.bearer(WHILE_A_POINT_EXISTS, "/collections/a"), 200);
    let gone = json!({"points": [7]});
    assert_eq!(site.ask("full", "POST", "/collections/b/points/delete", &gone).status, 200);
    assert_eq!(site.bearer(WHILE_A_POINT_EXISTS, "/collections/a"), 401);
}

/// A page in a browser of this machine reaches what listens there: by a form, or under a name that was made to lead
/// here (DNS rebinding).
#[test]
fn pages_of_other_sites_get_nothing_of_a_server_without_keys() {
    let site = |options: ServeOptions| {
        let db = Database::in_memory().expect("a database");
        let collection = db.create_collection("a", Schema::new()).expect("a collection");
        collection.upsert(vec![Point::new(1)]).expect("a point");
        Running::with(db, options)
    };
    let everything = json!({"filter": {}});
    let delete = |server: &Running, line: &str| {
        server.ask_with(line, "POST", "/collections/a/points/delete", Some(&everything)).status
    };
    let under = |server: &Running, host: &str| {
        let head = format!("GET /collections/a HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        server.exchange(head.as_bytes(), b"")
    };
    let server = site(ServeOptions::default());
    for line in ["origin: https://evil.example", "origin: null", "origin: http://127.0.0.1.evil.example:6333"]
    {
        assert_eq!(delete(&server, line), 403, "{line}");
    }
    let refused = under(&server, "evil.example:6333");
    assert_eq!((refused.status, refused.field.as_deref()), (403, Some("host")), "{refused:?}");
    let answer = under(&server, "localhost:6333");
    assert_eq!(answer.body["result"]["points_count"], 1, "nothing was deleted: {answer:?}");
    assert_eq!(delete(&server, "origin: http://localhost:3000"), 200);
    let named =
        ServeOptions { cors_origins: vec!["https://app.example".to_owned()], ..ServeOptions::default() };
    assert_eq!(delete(&site(named), "origin: https://app.example"), 200);
    let guarded = site(ServeOptions { is_open_to_all: true, ..ServeOptions::default() });
    assert_eq!(
        (under(&guarded, "db.example").status, delete(&guarded, "origin: https://a.example")),
        (200, 200)
    );
    let keyed = ServeOptions { keys: Keys::new().full("k").expect("a key"), ..ServeOptions::default() };
    assert_eq!(delete(&site(keyed), "origin: https://a.example\r\napi-key: k"), 200, "a key says enough");
}

#[test]
fn nothing_of_a_body_is_read_for_who_has_no_key() {
    use std::io::{Read as _, Write as _};
    let site = Site::new();
    let mut stream = site.server.connect();
    // No byte of the body is ever sent.
    let head = "PUT /collections/a/points HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 401");
}
