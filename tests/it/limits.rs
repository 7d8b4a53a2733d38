//! Limits of the server: each with an error that names it; and who is slow, or too many, harms nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use kithdb::{Database, Limits, Metric, Options, Point, Schema};
use serde_json::json;
use server::{ServeLimits, ServeOptions};

use crate::http::{Answer, Running};

const QUERY: &str = "/collections/c/points/query";

/// A server over some points, with limits of its own.
fn site(points: u64, limits: Limits, serve: ServeLimits) -> Running {
    let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
    let collection =
        db.create_collection("c", Schema::new().vector(64, Metric::Euclid)).expect("a collection");
    let point = |id: u64| {
        let vector: Vec<f32> = (0..64).map(|place| ((id * 31 + place * 17) % 101) as f32).collect();
        Point::new(id).vector(vector).with("n", id)
    };
    collection.upsert((0..points).map(point).collect()).expect("points");
    Running::with(db, ServeOptions { limits: serve, ..ServeOptions::default() })
}

fn query() -> serde_json::Value {
    json!({"query": vec![1.0; 64], "limit": 3})
}

fn error(answer: &Answer) -> &str {
    answer.body["status"]["error"].as_str().unwrap_or_else(|| panic!("no error: {answer:?}"))
}

/// What comes back on a connection until it ends.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn every_limit_is_named_by_its_error() {
    let limits =
        Limits { body_bytes_max: 4_096, hits_max: 50, filter_conditions_max: 20, ..Limits::default() };
    let serve = ServeLimits { head_bytes_max: 2_048, ..ServeLimits::default() };
    let server = site(3, limits, serve);
    let large = json!({"query": vec![1.0; 64], "filter": {"must": vec![json!({"key": "n", "match": {"value": 1}}); 500]}});
    let many = json!({"query": vec![1.0; 64], "filter": {"must": vec![json!({"key": "n", "match": {"value": 1}}); 21]}});
    for (body, status, field, says) in [
        (large, 413, "body", "body_bytes_max is 4096"),
        (many, 400, "filter", "the limit is 20"),
        (json!({"query": {"order_by": "n"}, "limit": 51}), 400, "limit", "50"),
        (json!({"query": vec![1.0; 64], "limit": 1, "offset": 50}), 400, "limit", "50"),
        (json!({"query": vec![1.0; 64], "limit": u64::MAX, "offset": u64::MAX}), 400, "limit", "50"),
    ] {
        let answer = server.ask("POST", QUERY, Some(&body));
        assert_eq!((answer.status, answer.field.as_deref()), (status, Some(field)), "{answer:?}");
        assert!(error(&answer).contains(says), "{answer:?}");
    }
    let all = server.ask("POST", "/collections/c/points/scroll", Some(&json!({"limit": u64::MAX})));
    assert_eq!(all.body["result"]["points"].as_array().map(Vec::len), Some(3), "{all:?}");
    let deep = format!("{{\"filter\": {}{}}}", "{\"must\": [".repeat(200), "]}".repeat(200));
    let answer = server.send("POST", QUERY, deep.as_bytes());
    assert!(
        answer.status == 400 && answer.field.is_some_and(|field| field.starts_with("filter.must")),
        "{deep}"
    );
    let long = server.ask("GET", &format!("/collections/{}", "x".repeat(3_000)), None);
    assert_eq!((long.status, long.field.as_deref()), (431, Some("head")));
    assert!(error(&long).contains("head_bytes_max is 2048"), "{long:?}");
    let wide = server.ask_with(&format!("x-filler: {}", "x".repeat(3_000)), "GET", "/collections", None);
    assert_eq!(wide.status, 431, "{wide:?}");
    // Beyond what is read of a head at all, there is no envelope.
    let huge = server.ask_with(&format!("x-filler: {}", "x".repeat(1 << 20)), "GET", "/collections", None);
    assert_eq!(huge.status, 431, "{huge:?}");
    for (timeout, status) in [("0", 422), ("-1", 400), ("soon", 400), ("1.5", 400)] {
        let answer = server.ask("POST", &format!("{QUERY}?timeout={timeout}"), Some(&query()));
        assert_eq!((answer.status, answer.field.as_deref()), (status, Some("timeout")), "{timeout}");
    }
    assert_eq!(server.ask("POST", &format!("{QUERY}?timeout=5"), Some(&query())).status, 200);
}

/// It decides nothing on one node, but a word that is misspelled is refused as it is in a cluster.
#[test]
fn what_is_said_of_replicas_and_of_waiting_is_checked() {
    let server = site(3, Limits::default(), ServeLimits::default());
    for (given, status, field) in [
        ("consistency=majority", 200, None),
        ("consistency=2", 200, None),
        ("consistency=", 200, None),
        ("ordering=medium", 200, None),
        ("consistency=most", 400, Some("consistency")),
        ("consistency=0", 422, Some("consistency")),
        ("consistency=-1", 400, Some("consistency")),
        ("ordering=Strong", 400, Some("ordering")),
        ("wait=false", 200, None),
        ("wait=no", 400, Some("wait")),
    ] {
        let answer = server.ask("POST", &format!("{QUERY}?{given}"), Some(&query()));
        assert_eq!((answer.status, answer.field.as_deref()), (status, field), "{given}");
    }
}

#[test]
fn what_takes_too_long_is_given_up() {
    let serve = ServeLimits { request_time_max: Duration::from_millis(1), ..ServeLimits::default() };
    let server = site(20_000, Limits::default(), serve);
    // Every pair of 1,000 points is more than a millisecond's work.
    let body = json!({"sample": 1_000, "limit": 100});
    let answer = server.ask("POST", "/collections/c/points/search/matrix/pairs", Some(&body));
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(error(&answer).starts_with("Timeout error: "), "{answer:?}");
    assert_eq!(server.ask("GET", "/healthz", None).status, 200);
}

/// Every other write waited for it, however long it took.
#[test]
fn a_write_whose_filter_takes_too_long_changes_nothing() {
    let db = Database::in_memory().expect("a database");
    let collection = db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    let point = |id: u64| Point::new(id).vector([1.0]).with("n", id).with("text", "x".repeat(200));
    let seqno = collection.upsert((0..20_000).map(point).collect()).expect("points").seqno;
    let limits = ServeLimits { request_time_max: Duration::from_millis(1), ..ServeLimits::default() };
    let server = Running::with(db, ServeOptions { limits, ..ServeOptions::default() });
    // 20,000 payloads are more than a millisecond's work.
    let filter = json!({"must": [{"key": "n", "range": {"gte": 0}}]});
    let set = json!({"payload": {"new": 1}, "filter": filter});
    let operations = json!({"operations": [{"collection": "c", "set_payload": set}]});
    for (path, body) in [
        ("/collections/c/points/delete", json!({"filter": filter})),
        ("/collections/c/points/payload", set),
        ("/api/v1/transaction", operations),
    ] {
        let answer = server.ask("POST", path, Some(&body));
        assert_eq!(answer.status, 408, "{path}: {answer:?}");
    }
    assert_eq!((collection.status().points, collection.status().seqno), (20_000, seqno));
}

#[test]
fn half_a_request_holds_nobody_up_and_is_ended_in_time() {
    let serve = ServeLimits {
        head_time_max: Duration::from_secs(2),
        body_time_max: Duration::from_secs(2),
        ..ServeLimits::default()
    };
    let server = site(100, Limits::default(), serve);
    let halves = [
        "",
        "POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\ncontent-le",
        "POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{\"query\": [1",
        "PUT /collections/c/points HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"poi\r\n",
        "POST /collections/c/snapshots/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nabc",
    ];
    let began = Instant::now();
    let mut held: Vec<(usize, TcpStream)> = Vec::new();
    for _ in 0..60 {
        for (kind, half) in halves.iter().enumerate() {
            let mut stream = server.connect();
            stream.write_all(half.as_bytes()).expect("sent");
            held.push((kind, stream));
        }
    }
    // 300 clients hold half a request: everyone else is served as if they were not there.
    for _ in 0..20 {
        assert_eq!(server.ask("POST", QUERY, Some(&query())).status, 200);
        assert_eq!(server.ask("GET", "/collections", None).status, 200);
    }
    for (kind, stream) in &mut held {
        let answer = rest(stream);
        match kind {
            2 | 3 => assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_max_s"), "{answer}"),
            4 => assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}"),
            _ => assert_eq!(answer, ""),
        }
        if *kind < 4 {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "half {kind} was held for {:?}",
                began.elapsed()
            );
        }
    }
    assert_eq!(server.ask("GET", "/healthz", None).status, 200);
}

#[test]
fn a_connection_that_idles_is_closed_and_one_that_works_is_kept() {
    let serve = ServeLimits { head_time_max: Duration::from_secs(1), ..ServeLimits::default() };
    let server = site(3, Limits::default(), serve);
    let mut stream = server.connect();
    let mut block = [0; 4096];
    for _ in 0..4 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("it is kept");
        assert!(stream.read(&mut block).expect("an answer") > 0);
        thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(rest(&mut stream), "", "it ends by itself");
}

#[test]
fn more_connections_than_there_may_be_are_told_to_come_back() {
    let serve = ServeLimits { connections_max: 3, ..ServeLimits::default() };
    let server = site(3, Limits::default(), serve);
    let mut held: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    let answer = rest(&mut server.connect());
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    assert!(answer.contains("connections_max"), "{answer}");
    held.pop();
    let until = Instant::now() + Duration::from_secs(10);
    let is_served = || {
        let mut stream = server.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
        rest(&mut stream).starts_with("HTTP/1.1 200")
    };
    while !is_served() {
        assert!(Instant::now() < until, "a place that is free again is given again");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn more_requests_than_there_may_be_are_told_to_come_back() {
    let serve = ServeLimits { requests_max: 2, ..ServeLimits::default() };
    let server = site(3, Limits::default(), serve);
    let half = "POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{";
    let begin = || {
        let mut stream = server.connect();
        stream.write_all(half.as_bytes()).expect("sent");
        stream
    };
    let until = Instant::now() + Duration::from_secs(20);
    let (held, answer) = loop {
        let held = [begin(), begin()];
        // They are in progress once the server has read their heads.
        thread::sleep(Duration::from_millis(200));
        let answer = server.ask("POST", QUERY, Some(&query()));
        if answer.status != 200 {
            break (held, answer);
        }
        assert!(Instant::now() < until, "both places are taken soon");
    };
    assert_eq!((answer.status, answer.field.as_deref()), (503, Some("requests_max")), "{answer:?}");
    assert_eq!(server.ask("GET", "/healthz", None).status, 200, "health is told whatever is in progress");
    drop(held);
    while server.ask("POST", QUERY, Some(&query())).status != 200 {
        assert!(Instant::now() < until, "the places are free again");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn who_takes_nothing_of_an_answer_does_not_get_it() {
    let serve = ServeLimits { send_time_max: Duration::from_secs(2), ..ServeLimits::default() };
    let server = site(40_000, Limits::default(), serve);
    // More than the system holds for a client that does not read.
    let body = json!({"limit": 40_000, "with_vector": true}).to_string();
    let head = format!(
        "POST /collections/c/points/scroll HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).expect("sent");
    thread::sleep(Duration::from_secs(12));
    let answer = rest(&mut stream);
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head was sent");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let length: usize = length.expect("it was announced");
    assert!(length > 8 << 20 && body.len() < length, "{} of {length} bytes came", body.len());
}

/// Each held its answer for as long as it liked, and all of them together what there was of memory.
#[test]
fn answers_that_are_not_taken_hold_no_more_than_bodies_may() {
    const AT: &str = "/collections/c/points/scroll";
    let serve = ServeLimits { bodies_bytes_max: 16 << 20, ..ServeLimits::default() };
    let server = site(40_000, Limits::default(), serve);
    let large = json!({"limit": 40_000, "with_vector": true});
    let first = json!({"limit": 1, "with_vector": true});
    let cursor = server.ask("POST", "/api/v1/collections/c/cursors", Some(&first));
    let cursor = cursor.body["result"]["cursor"].as_str().expect("more pages").to_owned();
    let body = large.to_string();
    let head = format!("POST {AT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).expect("sent");
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).expect("the answer begins");
    assert_eq!(&begun, b"HTTP/1.1 200");
    let refused = server.ask("POST", AT, Some(&large));
    assert!(refused.status == 503 && error(&refused).contains("bodies_bytes_max"), "{}", refused.status);
    assert_eq!(server.ask("POST", QUERY, Some(&query())).status, 200);
    let page = server.ask("POST", &format!("/api/v1/cursors/{cursor}"), Some(&json!({"limit": 20_000})));
    let found = page.body["result"]["points"].as_array().map(Vec::len);
    assert_eq!((page.status, found), (200, Some(20_000)), "a page that was refused would be passed over");
    drop(stream);
    let until = Instant::now() + Duration::from_secs(30);
    while server.ask("POST", AT, Some(&large)).status != 200 {
        assert!(Instant::now() < until, "an answer that nobody takes any more has its places still");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Two megabytes of small numbers became seventy, and thirty more than a gigabyte, before anything of them was counted.
#[test]
fn what_a_body_becomes_is_bounded_and_given_back() {
    const AT: &str = "/collections/c/points?wait=true";
    let serve = ServeLimits { bodies_bytes_max: 16 << 20, ..ServeLimits::default() };
    let server = site(3, Limits::default(), serve);
    let body = |numbers: usize| {
        let payload = json!({"a": vec![1; numbers]});
        json!({"points": [{"id": 7, "vector": vec![1.0; 64], "payload": payload}]})
    };
    let refused = server.ask("PUT", AT, Some(&body(1_000_000)));
    assert_eq!((refused.status, refused.field.as_deref()), (413, Some("body")), "{refused:?}");
    assert!(error(&refused).contains("bodies_bytes_max"), "{refused:?}");
    let tool =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"a": vec![1; 1_000_000]}});
    assert_eq!(server.ask("POST", "/mcp", Some(&tool)).status, 413);
    let read = server.ask("POST", "/collections/c/points", Some(&json!({"ids": [7]})));
    assert_eq!(read.body["result"], json!([]), "nothing of it was written");
    for _ in 0..3 {
        let written = server.ask("PUT", AT, Some(&body(200_000)));
        assert_eq!(written.status, 200, "what one took, the next may take: {written:?}");
    }
}

#[test]
fn health_is_told_while_every_core_searches() {
    let server = site(40_000, Limits::default(), ServeLimits::default());
    let exact =
        json!({"query": vec![1.0; 64], "limit": 100, "params": {"exact": true}, "with_payload": true});
    let until = Instant::now() + Duration::from_secs(3);
    let times = thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while Instant::now() < until {
                    assert_eq!(server.ask("POST", QUERY, Some(&exact)).status, 200);
                }
            });
        }
        thread::sleep(Duration::from_millis(300));
        let mut times = Vec::new();
        while Instant::now() < until {
            let began = Instant::now();
            assert_eq!(server.ask("GET", "/healthz", None).status, 200);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        times
    });
    // The clients that saturate the server share its cores, and so may others: the median holds what is promised, and
    // no answer is far from it.
    assert!(times[times.len() / 2] < Duration::from_millis(50), "{:?}", times[times.len() / 2]);
    assert!(times[times.len() - 1] < Duration::from_millis(1_000), "{:?}", times[times.len() - 1]);
}

/// A name wherever one may stand. Characters that a name may have are a name like any other: what counts is where it
/// leads.
fn ask_with_name(server: &Running, name: &str) {
    let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let of = |rest: &str| format!("/collections/{escaped}{rest}");
    let alias = json!({"actions": [{"create_alias": {"alias_name": name, "collection_name": "c"}}]});
    let elsewhere = json!({"location": "file:///etc/passwd"});
    let vector = json!({"dense": {"size": 0, "distance": "Dot"}});
    for (method, path, body) in [
        ("GET", format!("/collections/c/snapshots/{escaped}"), json!({})),
        ("DELETE", format!("/collections/c/snapshots/{escaped}"), json!({})),
        ("GET", format!("/snapshots/{escaped}"), json!({})),
        ("DELETE", format!("/snapshots/{escaped}"), json!({})),
        ("GET", of("/snapshots"), json!({})),
        ("POST", of("/snapshots"), json!({})),
        ("PUT", of("/snapshots/recover"), elsewhere),
        ("PUT", of(""), json!({})),
        ("PUT", format!("/collections/c/vectors/{escaped}"), vector),
        ("POST", "/collections/aliases".to_owned(), alias),
    ] {
        let answer = server.ask(method, &path, Some(&body));
        let may_be_done = path == of("") || path == "/collections/aliases";
        assert!((400..500).contains(&answer.status) || may_be_done, "{method} {path}: {answer:?}");
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
    }
}

#[test]
fn names_lead_nowhere_wherever_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Database::open(folder.path().join("db")).expect("a database");
    db.create_collection("c", Schema::new()).expect("a collection");
    let server = Running::over(db);
    assert_eq!(server.ask("POST", "/collections/c/snapshots", None).status, 200);
    let before = crate::folder::files(folder.path());
    let hostile = [
        "..",
        ".",
        "../..",
        "../../escape",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..\\..\\x",
        "a\0b",
        "\u{202e}x/..",
    ];
    let long = "x".repeat(5_000);
    for name in hostile.iter().copied().chain([long.as_str()]) {
        ask_with_name(&server, name);
    }
    let outside = |file: &std::path::PathBuf| !file.starts_with(folder.path().join("db"));
    assert!(!crate::folder::files(folder.path()).iter().any(outside));
    assert!(
        before.iter().all(|file| file.exists() || !file.ends_with("snapshot")),
        "no snapshot was deleted"
    );
}
