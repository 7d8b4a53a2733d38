//! What a cluster of the dialect is asked, as a single node answers it: there is one shard, and it is here.

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::Response;
use kithdb::{Error, Result, Value};
use serde::Deserialize;
use serde_json::json;

use super::Call;
use crate::error::envelope;
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
