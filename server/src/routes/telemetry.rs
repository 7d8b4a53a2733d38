//! What a server tells of itself: the dialect's telemetry, and the queries that were slow.
//!
//! Invariant: telemetry has the members that the dialect has at each level, and no other. What there is nothing to say
//! of is empty or 0, not left out, since clients look for it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::thread::available_parallelism;

use kithdb::{Collection, Datatype, Measures, Result, Schema, SlowQuery, Status, Value, datetime};
use serde::Deserialize;
use serde_json::{Map, json};

use super::{Call, DIALECT_VERSION};
use crate::metrics;
use crate::wire::describe;
use crate::wire::plan::PlanOut;

#[derive(Deserialize)]
struct Asked {
    details_level: Option<u64>,
    /// Nothing of a collection, then: no names, no settings.
    anonymize: Option<bool>,
    per_collection: Option<bool>,
}

/// `GET /telemetry`.
pub(super) fn telemetry(call: &Call) -> Result<Value> {
    let asked = call.query::<Asked>()?;
    let is_anonymous = asked.anonymize == Some(true);
    let level = if is_anonymous { 0 } else { asked.details_level.unwrap_or(0) };
    let (db, metrics) = (&call.state.db, &call.state.metrics);
    let mut all = db.collections();
    all.retain(|collection| call.rights.sees(collection.name()));
    let measures = db.measures();
    let mut collections = json!({"number_of_collections": all.len()});
    if level > 0 {
        let start_ms = db.start().elapsed_ms;
        let one = |collection: &Collection| told(collection, &measures, start_ms, level);
        collections["collections"] = all.iter().map(one).collect::<Vec<_>>().into();
        let snapshots = all.iter().map(|collection| snapshots(collection.name(), &measures));
        collections["snapshots"] = snapshots.collect::<Vec<_>>().into();
    }
    let mut rest = json!({"responses": metrics.requests.responses()});
    if asked.per_collection == Some(true) && !is_anonymous {
        let is_seen = |name: &str| call.rights.sees(name) && db.collection(name).is_ok();
        let told = metrics.requests.responses_by_collection(is_seen);
        if !told.is_empty() {
            rest["per_collection_responses"] = json!(told);
        }
    }
    let mut told = json!({
        "id": metrics.process(),
        "app": {
            "name": "kithdb",
            "version": DIALECT_VERSION,
            "startup": datetime::format(metrics.started_micros()),
        },
        "collections": collections,
        "cluster": {"enabled": false},
        "requests": {"rest": rest, "grpc": {"responses": {}}},
        "quota": {"config": {"enabled": false}, "exceeded": {}},
    });
    if level > 0 {
        told["app"]["system"] = system(call);
        told["app"]["features"] = json!({
            "debug": cfg!(debug_assertions),
            "service_debug_feature": false,
            "recovery_mode": false,
            "gpu": false,
            "rocksdb": true,
            "staging": false,
        });
        told["memory"] = memory();
        told["hardware"] = json!({"collection_data": {}});
        let [computes, waits, ..] = call.state.lanes.figures();
        told["search_pool"] = json!({
            "mode": "high_cpu", "high_cpu_threads": computes.places, "high_io_threads": waits.places,
        });
    }
    Ok(told)
}

fn system(call: &Call) -> Value {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let mut told = json!({"is_docker": false, "cores": cores, "cpu_flags": ""});
    if let Some(bytes) = metrics::machine_bytes() {
        told["ram_size"] = (bytes / 1024).into();
    }
    if let Some(disk) = call.state.db.disk() {
        told["disk_size"] = (disk.total_bytes / 1024).into();
    }
    told
}

fn memory() -> Value {
    let memory = metrics::memory().unwrap_or_default();
    json!({
        "active_bytes": memory.active_bytes,
        "allocated_bytes": memory.allocated_bytes,
        "metadata_bytes": memory.metadata_bytes,
        "resident_bytes": memory.resident_bytes,
        "retained_bytes": memory.retained_bytes,
    })
}

fn snapshots(name: &str, measures: &Measures) -> Value {
    let counts = measures.snapshots.get(name).copied().unwrap_or_default();
    json!({
        "id": name,
        "running_snapshots": counts.creating,
        "running_snapshot_recovery": counts.recovering,
        "total_snapshot_creations": counts.created,
    })
}

fn told(collection: &Collection, measures: &Measures, start_ms: u64, level: u64) -> Value {
    let (schema, status) = (collection.schema(), collection.status());
    let config = describe::config(&schema);
    if level == 1 {
        let (vectors, health) = (status.vectors, health(&status));
        return json!({"vectors": vectors, "optimizers_status": health, "params": config["params"]});
    }
    let mut told = json!({"id": collection.name(), "init_time_ms": start_ms, "config": config});
    if level > 2 {
        let local = local(&schema, &status, collection.payload_bytes_stored(), measures, level);
        told["shards"] = json!([{
            "id": 0,
            "key": null,
            "local": local,
            "remote": [],
            "replicate_states": {"0": "Active"},
            "partial_snapshot": {
                "ongoing_create_snapshot_requests": 0, "is_recovering": false, "recovery_timestamp": 0,
            },
        }]);
        told["transfers"] = json!([]);
        told["resharding"] = json!([]);
    }
    told
}

fn health(status: &Status) -> Value {
    status.failure.as_ref().map_or_else(|| json!("ok"), |failure| json!({"error": failure}))
}

fn local(schema: &Schema, status: &Status, payload_bytes: u64, measures: &Measures, level: u64) -> Value {
    let is_building = status.build.is_some() || status.waiting_rows > 0;
    let by_name: BTreeMap<&String, usize> =
        status.spaces.iter().map(|(name, space)| (name, space.vectors)).collect();
    let mut told = json!({
        "variant_name": null,
        "status": if is_building { "yellow" } else { "green" },
        "total_optimized_points": status.segments.iter().map(|segment| segment.rows).sum::<usize>(),
        "vectors_size_bytes": vector_bytes(schema, status),
        "payloads_size_bytes": payload_bytes,
        "num_points": status.points,
        "num_vectors": by_name.values().sum::<usize>(),
        "num_vectors_by_name": by_name,
        "optimizations": {"status": health(status), "optimizations": builds(status)},
        "async_scorer": false,
        "update_queue": {"length": measures.writes_waiting, "op_num": status.writes},
    });
    if level > 3 {
        let excluded = |(name, space): (&String, &kithdb::SpaceStatus)| {
            (name.clone(), Value::from(space.vectors - space.linked))
        };
        let excluded: Map<String, Value> = status.spaces.iter().map(excluded).collect();
        told["indexed_only_excluded_vectors"] = excluded.into();
        told["segments"] = segments(status).into();
    }
    told
}

fn builds(status: &Status) -> Value {
    let count = status.builds.count();
    let mean = status.builds.sum_s() / (count as f64).max(1.0) * 1e6;
    json!({"count": count, "avg_duration_micros": mean, "total_duration_micros": status.builds.sum_ns / 1_000})
}

/// Bytes of the elements of dense vectors.
fn vector_bytes(schema: &Schema, status: &Status) -> usize {
    let bytes = |(name, space): (&String, &kithdb::SpaceStatus)| {
        let spec = schema.vectors.get(name);
        spec.map_or(0, |spec| spec.dim * Datatype::bytes(spec.datatype) * space.vectors)
    };
    status.spaces.iter().map(bytes).sum()
}

/// Segments as they stand, and behind them what no segment holds.
fn segments(status: &Status) -> Vec<Value> {
    let one = |number: usize, rows: usize, dead: usize, ram: usize, disk: u64| {
        let is_head = disk == 0;
        json!({
            "info": {
                "uuid": format!("00000000-0000-0000-0000-{number:012x}"),
                "segment_type": if is_head { "plain" } else { "indexed" },
                "num_vectors": rows,
                "num_points": rows - dead,
                "num_indexed_vectors": if is_head { 0 } else { rows },
                "num_deleted_vectors": dead,
                "vectors_size_bytes": 0,
                "payloads_size_bytes": 0,
                "ram_usage_bytes": ram,
                "disk_usage_bytes": disk,
                "is_appendable": is_head,
                "index_schema": {},
                "vector_data": {},
            },
            "config": {"vector_data": {}, "payload_storage_type": {"type": "mmap"}},
            "vector_index_searches": [],
            "payload_field_indices": [],
        })
    };
    let sealed = (1..).zip(&status.segments);
    let mut told: Vec<Value> = sealed
        .map(|(number, segment)| one(number, segment.rows, segment.dead_rows, 0, segment.bytes))
        .collect();
    let dead: usize = status.segments.iter().map(|segment| segment.dead_rows).sum();
    let dead = status.dead_rows.saturating_sub(dead).min(status.head_rows);
    told.push(one(0, status.head_rows, dead, status.head_bytes, 0));
    told
}

/// `GET /api/v1/slow-queries`: the last queries that were slow, newest first, of collections that the caller sees.
pub(super) fn slow_queries(call: &Call) -> Result<Value> {
    let mut slow = call.state.db.slow_queries();
    slow.retain(|query| call.rights.sees(&query.collection));
    Ok(json!({"queries": slow.iter().map(entry).collect::<Vec<_>>()}))
}

fn entry(query: &SlowQuery) -> Value {
    let stages: Map<String, Value> = query
        .effort
        .stages
        .iter()
        .map(|(stage, took)| (stage.name().to_owned(), Value::from(took.as_micros() as u64)))
        .collect();
    let mut told = json!({
        "at": datetime::format(query.at_micros),
        "request_id": query.request_id.as_deref(),
        "collection": query.collection,
        "operation": query.operation,
        "elapsed_us": query.elapsed.as_micros() as u64,
        "rows": query.rows,
    });
    if let Some(plan) = &query.plan {
        let work = query.effort.work;
        told["stages_us"] = stages.into();
        told["distances"] = work.distances.into();
        told["hops"] = work.hops.into();
        told["plan"] = json!(PlanOut::new(plan, None));
    }
    if let Some(text) = &query.text {
        told["text"] = text.as_str().into();
    }
    told
}
