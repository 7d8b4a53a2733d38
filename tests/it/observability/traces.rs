//! Traces: each request one, with the stages below it, sent to the collector that is configured and never waited for.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::child::Served;
use super::collector::{Collector, Sent};
use super::{ask, fill};

const PARENT: &str = "b7ad6b7169203331";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn endpoint(collector: &Collector) -> String {
    format!("http://{}", collector.address)
}

/// The names below a span, each with those below it.
fn tree(all: &[Sent], of: &Sent) -> String {
    let mut below: Vec<&Sent> =
        all.iter().filter(|span| span.parent == of.id && span.trace == of.trace).collect();
    below.sort_by_key(|span| span.start_ns);
    let names: Vec<String> = below.into_iter().map(|span| tree(all, span)).collect();
    if names.is_empty() { of.name.clone() } else { format!("{}({})", of.name, names.join(" ")) }
}

#[test]
fn a_request_is_a_trace_with_its_stages() {
    let collector = Collector::start();
    let server = Served::start(&["--otlp-endpoint", &endpoint(&collector)]);
    fill(&server.http);
    ask(&server.http);
    assert_eq!(server.http.ask("GET", "/metrics", None).status, 200);
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    assert_eq!(server.http.ask_with(&parent, "GET", "/collections", None).status, 200);
    let all = collector.wait(|sent| sent.iter().any(|span| span.parent == PARENT));
    let roots: Vec<&Sent> = all.iter().filter(|span| span.kind == 2).collect();
    let trees: Vec<String> = roots.iter().map(|root| tree(&all, root)).collect();
    let query = "POST /collections/{collection}/points/query";
    for expected in [
        "PUT /collections/{collection}/points(commit(stage storage publish))".to_owned(),
        format!("{query}(search(plan vector fetch(storage)))"),
        format!("{query}(search(filter plan vector(filter(storage)) fetch))"),
        format!("{query}(search(filter plan keyword vector fuse fetch(storage)))"),
        format!("{query}(search(plan vector rescore fetch))"),
        "POST /collections/{collection}/points/scroll(scroll(fetch(storage)))".to_owned(),
    ] {
        assert!(trees.contains(&expected), "{expected} is not in {trees:#?}");
    }
    assert!(!trees.iter().any(|tree| tree.contains("/metrics")), "scrapes are not traced");
    let lost = all.iter().filter(|span| span.kind != 2 && !all.iter().any(|other| other.id == span.parent));
    assert_eq!(
        lost.map(|span| &span.name).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "nothing in the background"
    );
    check_attributes(&all, &roots);
    server.end();
}

fn check_attributes(all: &[Sent], roots: &[&Sent]) {
    let has =
        |span: &Sent, name: &str, value: &str| span.attributes.get(name).is_some_and(|found| found == value);
    for root in roots {
        assert!(
            root.attributes.contains_key("request_id") && root.attributes.contains_key("http.route"),
            "{root:?}"
        );
        assert!(root.attributes.contains_key("http.response.status_code"), "{root:?}");
        assert!(root.end_ns >= root.start_ns, "{root:?}");
    }
    let remote = roots.iter().find(|span| span.parent == PARENT).expect("it was waited for");
    assert_eq!(remote.trace, TRACE);
    let named = |name: &'static str| all.iter().filter(move |span| span.name == name);
    for (name, attribute, value) in [
        ("search", "db.system.name", "kithdb"),
        ("search", "db.collection.name", "notes"),
        ("search", "db.operation.name", "search"),
        ("plan", "kithdb.strategy", "fuse"),
        ("vector", "kithdb.strategy", "scan"),
        ("commit", "db.operation.name", "write"),
        ("storage", "kithdb.durability", "fsync"),
        ("storage", "kithdb.table", "payloads"),
    ] {
        assert!(named(name).any(|span| has(span, attribute, value)), "{name} {attribute}={value}");
    }
    assert!(named("keyword").all(|span| has(span, "kithdb.found", "9")), "what a leg found is told");
    let told = format!("{all:?}");
    assert!(!told.contains("fox") && !told.contains("'en'"), "nothing that people wrote");
}

#[test]
fn a_share_of_traces_is_sent_and_a_parent_decides_for_its_own() {
    let collector = Collector::start();
    let server = Served::start(&["--otlp-endpoint", &endpoint(&collector), "--trace-share", "0"]);
    let get = |flag: &str, span: &str| {
        let line = format!("traceparent: 00-{TRACE}-{span}-{flag}");
        assert_eq!(server.http.ask_with(&line, "GET", "/collections", None).status, 200);
    };
    assert_eq!(server.http.ask("GET", "/collections", None).status, 200);
    get("00", "00000000000000aa");
    get("01", PARENT);
    server.end();
    let parents: Vec<String> = collector.all().into_iter().map(|span| span.parent).collect();
    assert_eq!(parents, [PARENT]);
}

#[test]
fn a_collector_that_is_silent_or_gone_harms_no_request() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for address in [address, gone] {
        let server = Served::start(&["--otlp-endpoint", &format!("http://{address}")]);
        let began = Instant::now();
        for _ in 0..300 {
            assert_eq!(server.http.ask("GET", "/collections", None).status, 200);
        }
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        if address == gone {
            let lines = server.end();
            let warned = lines.iter().filter(|line| line.contains("the collector takes no traces")).count();
            assert_eq!(warned, 1, "once for a series: {lines:?}");
        }
    }
}
