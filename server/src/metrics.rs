//! What the server counts, in the text format of Prometheus.
//!
//! Cost: one short lock a request. A scrape looks at every collection once.

mod answers;

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kithdb::{Database, MeasuredRecall, Status, Value};
use parking_lot::Mutex;
use serde_json::json;

use crate::VERSION;

/// Upper bounds of the latency buckets, in seconds: 0.5 ms to 10 s, three a decade.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Counters of requests.
pub(crate) struct Metrics {
    started_s: f64,
    requests: Mutex<Requests>,
    answers: answers::Answers,
}

#[derive(Default)]
struct Requests {
    /// By route and status.
    answered: BTreeMap<(Operation, u16), u64>,
    /// By route.
    latencies: BTreeMap<Operation, Histogram>,
}

/// A method and a route.
type Operation = (String, String);

#[derive(Clone, Copy, Default)]
struct Histogram {
    /// Observations by the first bucket that holds them; the last one is without bound.
    counts: [u64; BUCKETS.len() + 1],
    sum_s: f64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started_s: started.as_secs_f64(),
            requests: Mutex::default(),
            answers: answers::Answers::default(),
        }
    }

    /// Counts a request that was answered. `route` is a pattern, not a path: there are few of them.
    pub(crate) fn record(&self, method: &str, route: &str, status: u16, took: Duration) {
        let operation = (method.to_owned(), route.to_owned());
        let mut requests = self.requests.lock();
        *requests.answered.entry((operation.clone(), status)).or_default() += 1;
        requests.latencies.entry(operation).or_default().observe(took.as_secs_f64());
    }

    /// Which process this is, among those on this machine.
    pub(crate) fn process(&self) -> String {
        format!("{}-{}", std::process::id(), self.started_micros())
    }

    /// When it started, in microseconds since 1970.
    pub(crate) fn started_micros(&self) -> i64 {
        (self.started_s * 1e6) as i64
    }

    /// Answers by route and status, in the dialect's names. Times are those of all answers of the route.
    pub(crate) fn responses(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let requests = self.requests.lock();
        let mut told: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for ((operation, status), count) in &requests.answered {
            let (method, route) = operation;
            if route.is_empty() {
                continue;
            }
            let mean = requests.latencies.get(operation).map_or(0.0, Histogram::mean_s);
            let statistics = json!({"count": count, "avg_duration_micros": mean * 1e6});
            let name = format!("{method} {}", route.replace("{collection}", "{collection_name}"));
            told.entry(name).or_default().insert(status.to_string(), statistics);
        }
        told
    }

    /// Everything, as a scrape wants it.
    pub(crate) fn expose(&self, db: &Database) -> String {
        let began = Instant::now();
        let mut text = Exposition::default();
        text.family("kithdb_build_info", "gauge", "The version that runs; always 1.");
        text.sample("kithdb_build_info", &[("version", VERSION)], 1);
        text.family(
            "process_start_time_seconds",
            "gauge",
            "When the process started, in seconds since 1970.",
        );
        text.sample("process_start_time_seconds", &[], self.started_s);
        if let Some(bytes) = resident_bytes() {
            text.family("process_resident_memory_bytes", "gauge", "Memory that the process has in RAM.");
            text.sample("process_resident_memory_bytes", &[], bytes);
        }
        database(&mut text, db);
        collections(&mut text, db);
        self.requests(&mut text);
        self.answers.expose(&mut text);
        tracing::debug!(elapsed_us = began.elapsed().as_micros() as u64, "metrics scraped");
        text.0
    }

    fn requests(&self, text: &mut Exposition) {
        let requests = self.requests.lock();
        text.family("kithdb_requests_total", "counter", "Requests answered, by route and status.");
        for (((method, route), status), count) in &requests.answered {
            let labels = [("method", method.as_str()), ("route", route), ("status", &status.to_string())];
            text.sample("kithdb_requests_total", &labels, count);
        }
        text.family(
            "kithdb_request_seconds",
            "histogram",
            "Time from a request's head to its answer, by route.",
        );
        for ((method, route), histogram) in &requests.latencies {
            histogram.expose(text, "kithdb_request_seconds", &[("method", method), ("route", route)]);
        }
    }
}

fn database(text: &mut Exposition, db: &Database) {
    let (disk, memory) = db.storage_bytes();
    text.family("kithdb_storage_bytes", "gauge", "Size of storage, by where it lies.");
    text.sample("kithdb_storage_bytes", &[("place", "disk")], disk);
    text.sample("kithdb_storage_bytes", &[("place", "memory")], memory);
    text.family("kithdb_poisoned", "gauge", "1 once a write failed and the database takes no more.");
    text.sample("kithdb_poisoned", &[], u8::from(db.is_poisoned()));
    text.family("kithdb_start_seconds", "gauge", "How long opening the database took.");
    text.sample("kithdb_start_seconds", &[], db.start().elapsed_ms as f64 / 1e3);
    text.family("kithdb_indexes_rebuilt", "gauge", "Indexes that opening the database had to make anew.");
    text.sample("kithdb_indexes_rebuilt", &[], db.start().rebuilt.len());
}

fn collections(text: &mut Exposition, db: &Database) {
    let all: Vec<(String, Status)> = db
        .collections()
        .iter()
        .map(|collection| (collection.name().to_owned(), collection.status()))
        .collect();
    text.family("kithdb_collections", "gauge", "Collections.");
    text.sample("kithdb_collections", &[], all.len());
    let opened = db.start().seqno.0;
    let commits = all.iter().map(|(_, status)| status.seqno.0).fold(opened, u64::max);
    text.family("kithdb_commits_total", "counter", "Number of the last commit that a collection shows.");
    text.sample("kithdb_commits_total", &[], commits);
    type Gauge = (&'static str, &'static str, fn(&Status) -> usize);
    let gauges: [Gauge; 7] = [
        ("kithdb_points", "Points.", |status| status.points),
        ("kithdb_vectors", "Vectors, deleted ones included until their segment is merged.", |status| {
            status.vectors
        }),
        ("kithdb_vectors_linked", "Vectors that the graphs cover.", |status| status.vectors_linked),
        ("kithdb_keyword_pending", "Documents that the keyword index has not committed.", |status| {
            status.keyword_pending
        }),
        ("kithdb_segments", "Segments.", |status| status.segments.len()),
        ("kithdb_head_rows", "Rows that no segment holds.", |status| status.head_rows),
        ("kithdb_index_bytes", "Memory of the indexes, about.", |status| status.index_bytes),
    ];
    for (name, help, value) in gauges {
        text.family(name, "gauge", help);
        for (collection, status) in &all {
            text.sample(name, &[("collection", collection)], value(status));
        }
    }
    recalls(text, &all);
}

/// What live queries have found of the true hits, by vector and by what their filters let through.
fn recalls(text: &mut Exposition, all: &[(String, Status)]) {
    type Gauge = (&'static str, &'static str, fn(&MeasuredRecall) -> f64);
    let gauges: [Gauge; 4] = [
        ("kithdb_recall", "Mean recall of the last live queries that were compared.", |measured| {
            measured.recall.into()
        }),
        ("kithdb_recall_low", "Lower end of its 95 % interval.", |measured| measured.interval.0.into()),
        ("kithdb_recall_high", "Upper end of its 95 % interval.", |measured| measured.interval.1.into()),
        ("kithdb_recall_queries", "Queries that were compared, the last 1,024 at most.", |measured| {
            measured.queries as f64
        }),
    ];
    for (name, help, value) in gauges {
        text.family(name, "gauge", help);
        for (collection, status) in all {
            for measured in &status.recall {
                let labels = [
                    ("collection", collection.as_str()),
                    ("vector", measured.space.as_str()),
                    ("share", measured.share.name()),
                ];
                text.sample(name, &labels, value(measured));
            }
        }
    }
}

/// Memory of this process in RAM, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The share of the machine's memory that this process has, in percent, where the system tells.
pub(crate) fn resident_percent() -> Option<f64> {
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(resident_bytes()? as f64 / (kilobytes * 1024) as f64 * 100.0)
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        self.counts[bucket] += 1;
        self.sum_s += seconds;
    }

    fn mean_s(&self) -> f64 {
        self.sum_s / (self.counts.iter().sum::<u64>() as f64).max(1.0)
    }

    fn expose(&self, text: &mut Exposition, name: &str, labels: &[(&str, &str)]) {
        let mut total = 0;
        let bounds = BUCKETS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(self.counts) {
            total += count;
            let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            text.sample(&format!("{name}_bucket"), &labels, total);
        }
        text.sample(&format!("{name}_sum"), labels, self.sum_s);
        text.sample(&format!("{name}_count"), labels, total);
    }
}

/// The text that a scrape gets.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let open = if position == 0 { '{' } else { ',' };
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_a_scrape_reads() {
        let db = Database::in_memory().expect("a database");
        db.create_collection("a\"b\\c", kithdb::Schema::new()).err().expect("a quote is no name");
        db.create_collection("a b", kithdb::Schema::new()).expect("a collection");
        let metrics = Metrics::new();
        metrics.record("POST", "/x/{y}", 200, Duration::from_micros(700));
        metrics.record("POST", "/x/{y}", 400, Duration::from_secs(60));
        let text = metrics.expose(&db);
        for line in [
            "# TYPE kithdb_requests_total counter",
            "kithdb_requests_total{method=\"POST\",route=\"/x/{y}\",status=\"200\"} 1",
            "kithdb_request_seconds_bucket{method=\"POST\",route=\"/x/{y}\",le=\"0.0005\"} 0",
            "kithdb_request_seconds_bucket{method=\"POST\",route=\"/x/{y}\",le=\"0.001\"} 1",
            "kithdb_request_seconds_bucket{method=\"POST\",route=\"/x/{y}\",le=\"+Inf\"} 2",
            "kithdb_request_seconds_count{method=\"POST\",route=\"/x/{y}\"} 2",
            "kithdb_collections 1",
            "kithdb_points{collection=\"a b\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn the_share_of_memory_is_one() {
        let percent = resident_percent().expect("the system tells");
        assert!(percent > 0.0 && percent < 100.0, "{percent}");
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Exposition::default();
        text.sample("m", &[("l", "a\"b\\c\nd")], 1);
        assert_eq!(text.0, "m{l=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
