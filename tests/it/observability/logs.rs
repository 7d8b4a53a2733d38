//! The log: one object a line, each with the id of its request, and no secret at any level.

use std::time::{Duration, Instant};

use kithdb::Value;
use serde_json::json;

use super::child::Served;

const KEY: &str = "hush-the-key-of-all";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.hush.hush";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The field of the spans of a line, wherever it stands.
fn of_span<'a>(line: &'a Value, field: &str) -> Option<&'a str> {
    line["spans"].as_array()?.iter().find_map(|span| span[field].as_str())
}

#[test]
fn lines_are_objects_with_the_id_of_their_request() {
    let server = Served::start(&["--log", "info", "--log-format", "json", "--slow-query-ms", "0"]);
    let made =
        server.http.ask("PUT", "/collections/c", Some(&json!({"vectors": {"size": 1, "distance": "Dot"}})));
    let count =
        |line: &str| server.http.ask_with(line, "POST", "/collections/c/points/count", Some(&json!({})));
    let given = count(&format!("x-request-id: mine-7\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-01"));
    let bad = count("x-request-id: \"quoted\"");
    assert_eq!((made.status, given.status, bad.status), (200, 200, 200));
    assert_eq!(given.id.as_deref(), Some("mine-7"));
    let snapshots = "/collections/c/snapshots";
    let later = format!("{snapshots}?wait=false");
    let later = server.http.ask_with("x-request-id: later-9", "POST", &later, Some(&json!({})));
    assert_eq!(later.status, 202, "{later:?}");
    let began = Instant::now();
    while server.http.ask("GET", snapshots, None).body["result"] == json!([]) {
        assert!(began.elapsed() < Duration::from_secs(20), "no snapshot is made");
        std::thread::sleep(Duration::from_millis(10));
    }
    let slow = server.http.ask("GET", "/api/v1/slow-queries", None).body;
    let (made, bad) = (made.id.expect("an id"), bad.id.expect("an id"));
    assert!(made != bad && !bad.contains('"'), "{made} {bad}");
    let lines: Vec<Value> = server
        .end()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let of = |id: &str, message: &str| {
        let is_it = |line: &&Value| of_span(line, "request_id") == Some(id) && line["message"] == message;
        lines.iter().find(is_it).unwrap_or_else(|| panic!("{message} of {id} is not in {lines:#?}"))
    };
    of("later-9", "what was accepted is done");
    for id in [&made, "mine-7", &bad] {
        let line = of(id, "answered");
        assert_eq!((&line["status"], &line["level"]), (&json!(200), &json!("INFO")));
        assert!(line["elapsed_us"].is_u64() && line["timestamp"].is_string(), "{line}");
    }
    assert_eq!(of_span(of("mine-7", "answered"), "trace_id"), Some(TRACE));
    let line = of("mine-7", "a slow query");
    assert_eq!((&line["operation"], &line["collection"]), (&json!("count"), &json!("c")));
    let kept = slow["result"]["queries"].as_array().expect("a list");
    assert!(kept.iter().any(|query| query["request_id"] == "mine-7"), "{slow}");
}

#[test]
fn no_secret_is_logged_at_any_level() {
    for format in ["text", "json"] {
        let server = Served::start(&[
            "--log",
            "trace",
            "--log-format",
            format,
            "--api-key",
            KEY,
            "--slow-query-ms",
            "0",
        ]);
        let ask = |line: &str, method: &str, path: &str, body: &Value| {
            server.http.ask_with(line, method, path, Some(body)).status
        };
        let key = format!("api-key: {KEY}");
        let schema = json!({"vectors": {"size": 2, "distance": "Dot"}});
        assert_eq!(ask(&key, "PUT", "/collections/c", &schema), 200);
        let point = json!({"id": 1, "vector": [0.123_456_78, 2.0], "payload": {"text": "hush-payload"}});
        assert_eq!(ask(&key, "PUT", "/collections/c/points?wait=true", &json!({"points": [point]})), 200);
        let filter = json!({"must": [{"key": "text", "match": {"value": "hush-payload"}}]});
        let query = json!({"query": [0.123_456_78, 1.0], "filter": filter, "with_payload": true});
        assert_eq!(ask(&key, "POST", "/collections/c/points/query", &query), 200);
        assert_eq!(ask(&format!("Authorization: Bearer {TOKEN}"), "GET", "/collections", &json!({})), 401);
        assert_eq!(ask("api-key: hush-wrong", "GET", "/collections", &json!({})), 401);
        let lines = server.end();
        assert!(lines.len() > 6, "there is a log: {lines:?}");
        for secret in ["hush", "0.12345", "eyJhbGci"] {
            let found = lines.iter().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret} is logged as {format}");
        }
    }
}
