//! What is shipped to look at a server, the dashboard and the alerts: every metric and label that they use is exposed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use kithdb::{Database, Metric, Options, Point, Schema, Value};

use super::exposition::Scrape;
use super::metrics::scrape;
use super::{ask, fill};
use crate::http::Running;

/// What Prometheus adds by itself.
const ADDED: [&str; 2] = ["instance", "job"];

/// What stands in an expression for a word of its language.
const WORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "group_left"];

/// What a list of labels follows.
const LISTS: [&str; 4] = ["by", "without", "on", "ignoring"];

/// What an expression names: metrics, each with the labels that it is selected by, and labels that it is summed by.
#[derive(Debug, Default)]
struct Names {
    metrics: BTreeMap<String, BTreeSet<String>>,
    by: BTreeSet<String>,
}

fn names(expr: &str) -> Names {
    let (mut names, mut last) = (Names::default(), String::new());
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => rest[1..].find('"').expect("an end") + 2,
            '[' => rest.find(']').expect("an end") + 1,
            '{' => {
                let end = closing(rest);
                let labels = names.metrics.get_mut(&last).unwrap_or_else(|| panic!("no metric: {expr}"));
                labels.extend(words(&rest[1..end]));
                end + 1
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (word, behind) = (&rest[..end], rest[end..].trim_start());
                if LISTS.contains(&word) {
                    let close = behind.find(')').expect("an end");
                    names.by.extend(words(&behind[..close]));
                    end + rest[end..].find(')').expect("an end") + 1
                } else {
                    let is_function =
                        ["(", "by ", "by(", "without"].iter().any(|next| behind.starts_with(next));
                    if !is_function && !WORDS.contains(&word) {
                        names.metrics.entry(word.to_owned()).or_default();
                        last = word.to_owned();
                    }
                    end
                }
            }
            c if c.is_ascii_digit() => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        rest = &rest[end..];
    }
    names
}

/// Where the brace closes that a text begins with; one in quotes is none.
fn closing(text: &str) -> usize {
    let mut is_text = false;
    let end = text.char_indices().find(|(_, c)| {
        is_text ^= *c == '"';
        *c == '}' && !is_text
    });
    end.expect("an end").0
}

/// The names in a list of labels, with what they are compared with or without.
fn words(list: &str) -> Vec<String> {
    let (mut plain, mut is_text) = (String::new(), false);
    for c in list.chars() {
        is_text ^= c == '"';
        plain.push(if is_text || c == '"' { ' ' } else { c });
    }
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What an expression names that no scrape has.
fn missing(expr: &str, scrape: &Scrape) -> Vec<String> {
    let names = names(expr);
    let mut missing = Vec::new();
    let mut all: BTreeSet<&str> = ADDED.into_iter().collect();
    for (metric, labels) in names.metrics.iter().filter(|(metric, _)| *metric != "up") {
        let known = scrape.labels(metric);
        if !scrape.samples.contains_key(metric) {
            missing.push(format!("{metric} in {expr}"));
        }
        let unknown =
            labels.iter().filter(|label| !known.contains(label.as_str()) && !ADDED.contains(&label.as_str()));
        missing.extend(unknown.map(|label| format!("{label} of {metric} in {expr}")));
        all.extend(known);
    }
    missing.extend(
        names
            .by
            .iter()
            .filter(|label| !all.contains(label.as_str()))
            .map(|label| format!("{label} in {expr}")),
    );
    missing
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability").join(name);
    std::fs::read_to_string(path).expect("it is shipped")
}

/// A server that has all there is to be told: also recall that was measured, vectors that were compared, and a build
/// that has ended.
fn whole() -> Scrape {
    let options = Options { sampled: 1.0, ..Options::default() };
    let db = Database::in_memory_with(options).expect("a database");
    let schema = Schema::new().vector(8, Metric::Euclid);
    let collection = db.create_collection("c", schema).expect("a collection");
    let vector = |id: u64| (1..9).map(|at| (id.wrapping_mul(at * 7919) % 1009) as f32).collect::<Vec<_>>();
    collection.upsert((0..6_000).map(|id| Point::new(id).vector(vector(id))).collect()).expect("points");
    collection.optimize(true).expect("a segment");
    let began = Instant::now();
    while collection.status().recall.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is compared");
        collection.query().nearest(vector(7)).ef(10).limit(3).run().expect("hits");
    }
    assert!(!collection.drift().expect("a comparison").is_empty());
    let server = Running::over(db);
    fill(&server);
    ask(&server);
    scrape(&server, "/metrics")
}

#[test]
fn every_metric_and_label_that_is_used_is_exposed() {
    let scrape = whole();
    let dashboard: Value = serde_json::from_str(&shipped("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut exprs: Vec<String> =
        targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect();
    let panels_shown = exprs.len();
    let alerts = shipped("alerts.yml");
    exprs.extend(alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    assert!(panels_shown > 40 && exprs.len() > panels_shown + 15, "{panels_shown} {}", exprs.len());
    assert_eq!(
        alerts.matches("- alert: ").count(),
        exprs.len() - panels_shown,
        "an expression stands in one line"
    );
    let missing: Vec<String> = exprs.iter().flat_map(|expr| missing(expr, &scrape)).collect();
    assert_eq!(missing, Vec::<String>::new());
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        let query = variable["query"].as_str().expect("a query");
        if let Some((metric, label)) =
            query.strip_prefix("label_values(").and_then(|rest| rest.split_once(", "))
        {
            let label = label.trim_end_matches(')');
            assert!(scrape.labels(metric).contains(label) || label == "instance", "{query}");
            assert!(scrape.samples.contains_key(metric), "{query}");
        }
    }
}

#[test]
fn panels_have_places_and_units_of_their_own() {
    let dashboard: Value = serde_json::from_str(&shipped("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title} has the id of another");
        let number =
            |name: &str| panel["gridPos"][name].as_u64().unwrap_or_else(|| panic!("{title}: {name}"));
        let (x, y) = (number("x"), number("y"));
        assert!(x + number("w") <= 24, "{title} stands out");
        for place in (x..x + number("w")).flat_map(|x| (y..y + number("h")).map(move |y| (x, y))) {
            assert!(places.insert(place), "{title} lies on another");
        }
        if panel["type"] != "row" {
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
            let targets = panel["targets"].as_array().expect("targets");
            let refs: BTreeSet<&str> = targets.iter().filter_map(|target| target["refId"].as_str()).collect();
            assert!(!targets.is_empty() && refs.len() == targets.len(), "{title}: {refs:?}");
        }
    }
}

#[test]
fn expressions_are_read_right() {
    let found = names(
        "sum by (le, a) (rate(x_bucket{b=\"by {c}\",d=~\"$e\"}[5m])) / (time() - y) > 1e9 and z == 0.5 unless on (a) y",
    );
    let metrics: Vec<&str> = found.metrics.keys().map(String::as_str).collect();
    assert_eq!(metrics, ["x_bucket", "y", "z"]);
    assert_eq!(found.metrics["x_bucket"].iter().collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(found.by.iter().collect::<Vec<_>>(), ["a", "le"]);
}
