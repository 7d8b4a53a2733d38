//! A scrape: valid, with the names that operators graph, and with what is ours.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kithdb::Options;
use serde_json::json;

use super::exposition::Scrape;
use super::{NAME, busy};
use crate::http::Running;

pub(super) fn scrape(server: &Running, path: &str) -> Scrape {
    Scrape::read(&String::from_utf8(server.fetch(path)).expect("text"))
}

/// Of the dialect: name, kind and labels.
const DIALECT: [(&str, &str, &[&str]); 38] = [
    ("app_info", "gauge", &["name", "version"]),
    ("app_status_recovery_mode", "gauge", &[]),
    ("collections_total", "gauge", &[]),
    ("collections_vector_total", "gauge", &[]),
    ("collection_vectors", "gauge", &["collection", "vector"]),
    ("collection_indexed_only_excluded_points", "gauge", &["id", "vector"]),
    ("collection_active_replicas_min", "gauge", &[]),
    ("collection_active_replicas_max", "gauge", &[]),
    ("collection_running_optimizations", "gauge", &["id"]),
    ("collection_points", "gauge", &["id"]),
    ("collection_dead_replicas", "gauge", &[]),
    ("snapshot_creation_running", "gauge", &["id"]),
    ("snapshot_recovery_running", "gauge", &["id"]),
    ("snapshot_created_total", "counter", &["id"]),
    ("collection_update_queue_deferred_points", "gauge", &["id"]),
    ("cluster_enabled", "gauge", &[]),
    ("rest_responses_total", "counter", &["endpoint", "method", "status"]),
    ("rest_responses_avg_duration_seconds", "gauge", &["endpoint", "method", "status"]),
    ("rest_responses_min_duration_seconds", "gauge", &["endpoint", "method", "status"]),
    ("rest_responses_max_duration_seconds", "gauge", &["endpoint", "method", "status"]),
    ("rest_responses_duration_seconds", "histogram", &["endpoint", "method", "status"]),
    ("memory_active_bytes", "gauge", &[]),
    ("memory_allocated_bytes", "gauge", &[]),
    ("memory_metadata_bytes", "gauge", &[]),
    ("memory_resident_bytes", "gauge", &[]),
    ("memory_retained_bytes", "gauge", &[]),
    ("process_threads", "gauge", &[]),
    ("process_open_mmaps", "gauge", &[]),
    ("system_max_mmaps", "gauge", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_max_fds", "gauge", &[]),
    ("process_minor_page_faults_total", "counter", &[]),
    ("process_major_page_faults_total", "counter", &[]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_start_time_seconds", "gauge", &[]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_virtual_memory_bytes", "gauge", &[]),
    ("kithdb_requests_total", "counter", &["method", "route", "status"]),
];

#[test]
fn a_scrape_is_valid_and_has_the_names_of_the_dialect() {
    let server = busy(Options::default());
    let found = scrape(&server, "/metrics");
    for (name, kind, labels) in DIALECT {
        assert_eq!(found.kinds.get(name).map(String::as_str), Some(kind), "{name}");
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        assert_eq!(found.labels(&sample), labels.iter().copied().collect::<BTreeSet<_>>(), "{name}");
    }
    let of = |name: &str, labels: &[(&str, &str)]| found.value(name, labels);
    assert_eq!(of("collections_total", &[]), Some(1.0));
    assert_eq!(of("collection_points", &[("id", NAME)]), Some(59.0));
    assert_eq!(of("collection_vectors", &[("collection", NAME), ("vector", "s")]), Some(60.0));
    assert_eq!(of("collections_vector_total", &[]), Some(120.0));
    assert_eq!(of("snapshot_created_total", &[("id", NAME)]), Some(1.0));
    let endpoint = "/collections/{collection_name}/points/query";
    let query = |status| [("method", "POST"), ("endpoint", endpoint), ("status", status)];
    assert_eq!(of("rest_responses_total", &query("200")), Some(6.0));
    assert_eq!(of("rest_responses_total", &query("400")), Some(1.0));
    assert_eq!(of("rest_responses_duration_seconds_count", &query("200")), Some(6.0));
    assert_eq!(of("rest_responses_duration_seconds_count", &query("400")), None, "only answers are timed");
}

#[test]
fn what_is_ours_is_counted() {
    let server = busy(Options::default());
    let found = scrape(&server, "/metrics");
    let at_least = [
        ("kithdb_operation_seconds_count", ("operation", "search"), 6.0),
        ("kithdb_operation_seconds_count", ("operation", "groups"), 1.0),
        ("kithdb_operation_seconds_count", ("operation", "scroll"), 1.0),
        ("kithdb_operation_seconds_count", ("operation", "count"), 1.0),
        ("kithdb_operation_seconds_count", ("operation", "facets"), 1.0),
        ("kithdb_operation_seconds_count", ("operation", "matrix"), 1.0),
        ("kithdb_operation_seconds_count", ("operation", "get"), 1.0),
        ("kithdb_operation_seconds_count", ("operation", "write"), 2.0),
        ("kithdb_search_seconds_count", ("plan", "scan"), 3.0),
        ("kithdb_search_seconds_count", ("plan", "fuse"), 1.0),
        ("kithdb_search_seconds_count", ("plan", "sparse"), 1.0),
        ("kithdb_search_seconds_count", ("plan", "rescore"), 1.0),
        ("kithdb_search_stage_seconds_count", ("stage", "plan"), 6.0),
        ("kithdb_search_stage_seconds_count", ("stage", "filter"), 2.0),
        ("kithdb_search_stage_seconds_count", ("stage", "vector"), 4.0),
        ("kithdb_search_stage_seconds_count", ("stage", "keyword"), 1.0),
        ("kithdb_search_stage_seconds_count", ("stage", "fuse"), 1.0),
        ("kithdb_search_stage_seconds_count", ("stage", "rescore"), 1.0),
        ("kithdb_search_stage_seconds_count", ("stage", "fetch"), 6.0),
        ("kithdb_lane_wait_seconds_count", ("lane", "computes"), 10.0),
        ("kithdb_lane_places", ("lane", "waits"), 64.0),
        ("kithdb_memory_bytes", ("component", "heads"), 1.0),
        ("kithdb_points", ("collection", NAME), 59.0),
        ("kithdb_dead_rows", ("collection", NAME), 1.0),
        ("kithdb_head_rows", ("collection", NAME), 60.0),
        ("kithdb_heads", ("collection", NAME), 1.0),
    ];
    for (name, label, least) in at_least {
        let value = found.value(name, &[label]);
        assert!(value.is_some_and(|value| value >= least), "{name} {label:?}: {value:?}");
    }
    for name in [
        "kithdb_commit_seconds_count",
        "kithdb_write_wait_seconds_count",
        "kithdb_distances_total",
        "kithdb_empty_results_total",
        "kithdb_disk_free_bytes",
        "kithdb_last_snapshot_timestamp_seconds",
        "kithdb_requests_in_progress_max",
        "kithdb_requests_in_progress",
    ] {
        let value = found.value(name, &[]);
        assert!(value.is_some_and(|value| value > 0.0), "{name}: {value:?}");
    }
}

#[test]
fn uploads_are_counted_as_they_end() {
    let server = busy(Options::default());
    let before = scrape(&server, "/metrics");
    let of = |found: &Scrape, outcome| found.value("kithdb_jobs_total", &[("outcome", outcome)]);
    assert_eq!((of(&before, "done"), of(&before, "failed")), (Some(0.0), Some(0.0)));
    let body = json!({"documents": [{"path": "a.md", "text": "# A\n\nSome text.\n"}]});
    let upload = "/api/v1/collections/docs/documents?wait=true";
    assert_eq!(server.ask("POST", upload, Some(&body)).status, 200);
    let began = Instant::now();
    loop {
        let found = scrape(&server, "/metrics");
        if (of(&found, "done"), found.value("kithdb_jobs_waiting", &[])) == (Some(1.0), Some(0.0)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", found.samples.get("kithdb_jobs_waiting"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_name_of_a_clients_choice_is_told_of_requests_only_if_that_is_asked_for() {
    let server = busy(Options::default());
    let names = ["rest_responses_total", "rest_responses_duration_seconds_count"];
    let all = scrape(&server, "/metrics");
    assert!(names.iter().all(|name| !all.labels(name).contains("collection")));
    let each = scrape(&server, "/metrics?per_collection=true");
    for name in names {
        let collections = each.samples[name].iter().map(|(labels, _)| labels["collection"].as_str());
        assert_eq!(collections.collect::<BTreeSet<_>>(), BTreeSet::from([NAME]), "{name}");
    }
    let hidden =
        String::from_utf8(server.fetch("/metrics?per_collection=true&anonymize=true")).expect("text");
    assert!(!hidden.contains(NAME) && hidden.contains("\ncollections_total 1\n"), "{hidden}");
    let wrong = server.ask("GET", "/metrics?per_collection=perhaps", None);
    assert_eq!((wrong.status, wrong.field.as_deref()), (400, Some("query")), "{wrong:?}");
    assert_eq!(server.ask("DELETE", "/collections/notes", None).status, 200);
    let gone = String::from_utf8(server.fetch("/metrics?per_collection=true")).expect("text");
    assert!(!gone.contains(NAME), "{gone}");
}

#[test]
fn who_is_turned_away_is_counted_by_reason() {
    let keys = server::Keys::new().full("secret").expect("a key");
    let options = server::ServeOptions { keys, are_metrics_open: true, ..server::ServeOptions::default() };
    let server = Running::with(kithdb::Database::in_memory().expect("a database"), options);
    assert_eq!(server.ask("GET", "/collections", None).status, 401);
    let long = format!("api-key: secret\r\nx-long: {}", "x".repeat(70_000));
    assert_eq!(server.ask_with(&long, "GET", "/collections", Some(&json!({}))).status, 431);
    let found = scrape(&server, "/metrics");
    let of = |reason| found.value("kithdb_rejected_total", &[("reason", reason)]);
    assert_eq!(
        (of("unauthorized"), of("head_bytes_max"), of("forbidden")),
        (Some(1.0), Some(1.0), Some(0.0))
    );
}
