//! Telemetry: the members of the dialect at each level, and no other.

use std::collections::BTreeSet;

use kithdb::{Database, Metric, Options, Schema, Value};
use serde_json::json;

use super::{NAME, busy};
use crate::http::Running;

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

fn these(names: &str) -> BTreeSet<&str> {
    names.split(' ').collect()
}

#[test]
fn each_level_has_its_members() {
    let server = busy(Options::default());
    let told = |query: &str| {
        let answer = server.ask("GET", &format!("/telemetry{query}"), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["result"].clone()
    };
    let all = "id app collections cluster requests quota";
    for query in ["", "?details_level=0", "?details_level=9&anonymize=true"] {
        let told = told(query);
        assert_eq!(members(&told), these(all));
        assert_eq!(members(&told["collections"]), these("number_of_collections"));
        assert!(!told.to_string().contains(NAME), "{told}");
    }
    for level in 1..=10 {
        let told = told(&format!("?details_level={level}"));
        assert_eq!(members(&told), these(&format!("{all} memory hardware search_pool")));
        assert_eq!(members(&told["collections"]), these("number_of_collections collections snapshots"));
        assert_eq!(told["collections"]["snapshots"][0]["total_snapshot_creations"], 1);
        let collection = &told["collections"]["collections"][0];
        let expected = match level {
            1 => "vectors optimizers_status params",
            2 => "id init_time_ms config",
            _ => "id init_time_ms config shards transfers resharding",
        };
        assert_eq!(members(collection), these(expected), "{level}");
        if level > 2 {
            let shard = &collection["shards"][0];
            assert_eq!(members(shard), these("id key local remote replicate_states partial_snapshot"));
            let local = "variant_name status total_optimized_points vectors_size_bytes payloads_size_bytes num_points \
                         num_vectors num_vectors_by_name optimizations async_scorer update_queue";
            let more = if level > 3 { " segments indexed_only_excluded_vectors" } else { "" };
            assert_eq!(members(&shard["local"]), these(&format!("{local}{more}")));
            assert_eq!(
                (&shard["local"]["num_points"], &shard["local"]["num_vectors"]),
                (&59.into(), &120.into())
            );
        }
    }
    let query =
        &told("")["requests"]["rest"]["responses"]["POST /collections/{collection_name}/points/query"];
    assert_eq!(query["200"]["count"], 6);
    let times = "count avg_duration_micros min_duration_micros max_duration_micros total_duration_micros last_responded";
    assert_eq!(members(&query["200"]), these(times));
    let each = told("?per_collection=true");
    assert!(each["requests"]["rest"]["per_collection_responses"][NAME].is_object(), "{each}");
}

#[test]
fn writes_are_counted_for_each_collection_by_itself() {
    let db = Database::in_memory().expect("a database");
    for name in ["a", "b"] {
        db.create_collection(name, Schema::new().vector(1, Metric::Dot)).expect("a collection");
    }
    let server = Running::over(db);
    let counted = || {
        let told = server.ask("GET", "/telemetry?details_level=3", None).body;
        let all = told["result"]["collections"]["collections"].as_array().expect("collections").clone();
        let of = |name: &str| all.iter().find(|one| one["id"] == name).expect("it is there").clone();
        ["a", "b"].map(|name| of(name)["shards"][0]["local"]["update_queue"]["op_num"].clone())
    };
    let write = |name: &str| {
        let body = json!({"points": [{"id": 1, "vector": [1]}]});
        let answer = server.ask("PUT", &format!("/collections/{name}/points"), Some(&body));
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    assert_eq!(counted(), [0, 0]);
    ["a", "a", "b"].into_iter().for_each(write);
    assert_eq!(counted(), [2, 1]);
    server.ask("POST", "/collections/a/points/count", Some(&json!({})));
    assert_eq!(counted(), [2, 1], "reading is no write");
}
