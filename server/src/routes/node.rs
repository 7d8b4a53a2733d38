//! What a cluster of the dialect is asked, as a single node answers it: there is one shard, and it is here.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use kithdb::{Collection, Error, Result, Value, datetime};
use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::service::DIALECT_VERSION;
use crate::error::envelope;
use crate::wire::describe;
use crate::wire::optimizations::optimizations;

/// `GET /cluster`.
pub(super) fn cluster(_: &Call) -> Result<Value> {
    Ok(json!({"status": "disabled"}))
}

/// `GET /collections/{collection}/cluster`.
pub(super) fn shards(call: &Call) -> Result<Value> {
    let points = call.collection()?.status().points;
    let shard = json!({"shard_id": 0, "points_count": points, "state": "Active"});
    Ok(json!({
        "peer_id": 0,
        "shard_count": 1,
        "local_shards": [shard],
        "remote_shards": [],
        "shard_transfers": [],
    }))
}

/// `GET /collections/{collection}/shards`: no keys, since points are not put into shards by one.
pub(super) fn shard_keys(call: &Call) -> Result<Value> {
    call.collection().map(|_| json!({"shard_keys": []}))
}

/// What only nodes of a cluster can do.
pub(super) async fn alone() -> Response {
    let text = "Method not allowed: KithDB runs in standalone mode; there are no other nodes";
    envelope(StatusCode::METHOD_NOT_ALLOWED, text, Instant::now())
}

#[derive(Deserialize)]
struct With {
    with: Option<String>,
}

/// `GET /collections/{collection}/optimizations`.
pub(super) fn optimizing(call: &Call) -> Result<Value> {
    let collection = call.collection()?;
    let with = call.query::<With>()?.with.unwrap_or_default();
    let parts: Vec<&str> = with.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    optimizations(&collection.status(), &parts)
}

/// `GET /issues`: there is nobody who writes any.
pub(super) fn issues(_: &Call) -> Result<Value> {
    Ok(json!({"issues": []}))
}

/// `DELETE /issues`.
pub(super) fn clear_issues(_: &Call) -> Result<bool> {
    Ok(true)
}

/// `GET /quotas`: none are set.
pub(super) fn quotas(_: &Call) -> Result<Value> {
    Ok(json!({"config": {"enabled": false}, "usage": {}}))
}

/// `PUT /quotas`: a limit that nobody keeps is not taken.
pub(super) fn set_quotas(call: &Call) -> Result<bool> {
    let config: Value = call.parse()?;
    let config = config.as_object().ok_or_else(|| Error::invalid("body", "must be an object"))?;
    match config
        .iter()
        .find(|(name, value)| !value.is_null() && (*name != "enabled" || **value != json!(false)))
    {
        Some((name, _)) => Err(Error::invalid(name, "is not supported: this server keeps no quotas")),
        None => Ok(true),
    }
}

#[derive(Deserialize)]
struct Details {
    details_level: Option<u8>,
}

/// `GET /telemetry`: what is known of what the dialect tells there.
pub(super) fn telemetry(call: &Call) -> Result<Value> {
    let level = call.query::<Details>()?.details_level.unwrap_or(0);
    let (db, metrics) = (&call.state.db, &call.state.metrics);
    let mut all = db.collections();
    all.retain(|collection| call.rights.sees(collection.name()));
    let mut collections = json!({"number_of_collections": all.len()});
    if level > 0 {
        let one = |collection: &Collection| {
            let config = describe::config(&collection.schema());
            let (name, vectors) = (collection.name(), collection.status().vectors);
            match level {
                1 => json!({"vectors": vectors, "optimizers_status": "ok", "params": config["params"]}),
                _ => json!({"id": name, "config": config}),
            }
        };
        collections["collections"] = all.iter().map(one).collect::<Vec<_>>().into();
        let snapshots = all.iter().map(|collection| json!({"id": collection.name()}));
        collections["snapshots"] = snapshots.collect::<Vec<_>>().into();
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
        "requests": {"rest": {"responses": metrics.responses()}, "grpc": {"responses": {}}},
        "quota": {"config": {"enabled": false}, "exceeded": {}},
    });
    if level > 0 {
        told["app"]["system"] = system();
    }
    Ok(told)
}

fn system() -> Value {
    let cores = available_parallelism().map_or(1, NonZero::get);
    json!({"is_docker": false, "container_runtime": "none", "cores": cores, "cpu_flags": ""})
}
