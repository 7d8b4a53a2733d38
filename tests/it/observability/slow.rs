//! Slow queries: kept with plan and stages, without what people wrote, as many as are to be kept.

use std::time::Duration;

use kithdb::{Options, SlowQueries, Value};
use serde_json::json;

use super::busy;

fn options(slow_queries: SlowQueries) -> Options {
    Options { slow_queries, ..Options::default() }
}

fn slow(options: Options) -> Vec<Value> {
    let server = busy(options);
    let answer = server.ask("GET", "/api/v1/slow-queries", None);
    assert_eq!(answer.status, 200);
    answer.body["result"]["queries"].as_array().expect("a list").clone()
}

#[test]
fn an_entry_has_plan_and_stages_and_nothing_that_people_wrote() {
    let every = SlowQueries { threshold: Duration::ZERO, ..SlowQueries::default() };
    let queries = slow(options(every.clone()));
    let hybrid = queries.iter().find(|query| query["plan"]["tree"]["step"] == "fuse").expect("it was asked");
    for stage in ["plan", "filter", "vector", "keyword", "fuse", "fetch"] {
        assert!(hybrid["stages_us"][stage].is_u64(), "{stage}: {hybrid}");
    }
    assert_eq!((&hybrid["collection"], &hybrid["operation"]), (&json!("notes"), &json!("search")));
    assert_eq!(hybrid["rows"], 5);
    assert!(hybrid["request_id"].as_str().is_some_and(|id| id.len() > 8), "{hybrid}");
    assert!(hybrid["elapsed_us"].is_u64() && hybrid["at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let operations: Vec<&str> = queries.iter().filter_map(|query| query["operation"].as_str()).collect();
    for operation in ["search", "groups", "scroll", "count", "facets", "get", "matrix"] {
        assert!(operations.contains(&operation), "{operation} is not in {operations:?}");
    }
    assert!(!operations.contains(&"write"), "a write is no query");
    let told = json!(queries).to_string();
    assert!(!told.contains("fox") && !told.contains("'en'"), "{told}");
    assert!(queries.iter().all(|query| query.get("text").is_none()), "{told}");
    let texts = slow(options(SlowQueries { has_texts: true, ..every }))
        .iter()
        .map(|query| query["text"].to_string())
        .collect::<Vec<_>>();
    assert!(texts.iter().any(|text| text.contains("lang = 'en'") && text.contains("fox")), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains("1.0")), "no vector: {texts:?}");
}

#[test]
fn what_is_fast_is_not_kept_and_of_what_is_slow_the_last() {
    assert_eq!(slow(options(SlowQueries::default())), Vec::<Value>::new());
    let few = SlowQueries { threshold: Duration::ZERO, kept: 2, has_texts: false };
    let operations: Vec<Value> = slow(options(few)).iter().map(|query| query["operation"].clone()).collect();
    assert_eq!(operations.len(), 2);
    let none = SlowQueries { threshold: Duration::ZERO, kept: 0, has_texts: true };
    assert_eq!(slow(options(none)), Vec::<Value>::new());
}
