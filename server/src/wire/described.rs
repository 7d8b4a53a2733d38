//! The schemas of what is told of collections and of the server: answers that are put together as JSON, where no type
//! stands for them.

use super::hybrid::HybridWeightsJson;
use super::schema::{
    Shown, any_of, anything, declare, flag, free, many, map, named, null, nullable, number, object, text,
    whole, words,
};
use super::shapes;
use super::sparse::SparseIn;

/// Any object.
pub(crate) enum Anything {}

/// `GET /`.
pub(crate) enum Version {}

/// `GET collections`.
pub(crate) enum Collections {}

/// `GET collections/{name}`.
pub(crate) enum CollectionTold {}

/// `GET /api/v1/collections/{name}`.
pub(crate) enum CollectionDetails {}

/// `GET collections/{name}/exists`.
pub(crate) enum Exists {}

/// `GET collections/{name}/optimizations`.
pub(crate) enum Optimizations {}

/// `GET /cluster`.
pub(crate) enum Cluster {}

/// `GET collections/{name}/cluster`.
pub(crate) enum Shards {}

/// `GET collections/{name}/shards`.
pub(crate) enum ShardKeys {}

/// `GET /issues`.
pub(crate) enum Issues {}

/// `GET /quotas`.
pub(crate) enum Quotas {}

/// `GET /telemetry`.
pub(crate) enum Telemetry {}

declare!(Anything as "Anything": free());
declare!(Version as "Version": object([("title", text()), ("version", text()), ("commit", text())]).shown());
declare!(Collections as "Collections": object([("collections", many(object([("name", text())]).shown()))]).shown());
declare!(CollectionTold as "CollectionInfo": collection(), SparseIn);
declare!(CollectionDetails as "CollectionDetails": details(), SparseIn, HybridWeightsJson);
declare!(Exists as "Exists": object([("exists", flag())]).shown());
declare!(Optimizations as "Optimizations": optimizations());
declare!(Cluster as "Cluster": object([("status", words(&["disabled"]))]).shown());
declare!(Shards as "Shards": shards());
declare!(ShardKeys as "ShardKeys": object([("shard_keys", many(anything()))]).shown());
declare!(Issues as "Issues": object([("issues", many(anything()))]).shown());
declare!(Quotas as "Quotas": object([("config", object([("enabled", flag())]).shown()), ("usage", free())]).shown());
declare!(Telemetry as "Telemetry": free());

fn collection() -> Shown {
    let optimizer = any_of([words(&["ok"]), object([("error", text())]).shown()]);
    let field = object([("data_type", text()), ("points", whole(0))]).may("params", free()).shown();
    object([
        ("status", words(&["green", "yellow"])),
        ("optimizer_status", optimizer),
        ("indexed_vectors_count", whole(0)),
        ("points_count", whole(0)),
        ("segments_count", whole(0)),
        ("config", config()),
        ("payload_schema", map(field)),
        ("update_queue", object([("length", whole(0))]).shown()),
    ])
    .may("warnings", many(object([("message", text())]).shown()))
    .shown()
}

fn config() -> Shown {
    object([
        ("params", params()),
        ("hnsw_config", shapes::told_setting("hnsw_config")),
        ("optimizer_config", shapes::told_setting("optimizers_config")),
        ("wal_config", shapes::told_setting("wal_config")),
        ("quantization_config", nullable(shapes::told_setting("quantization_config"))),
    ])
    .may("strict_mode_config", shapes::told_setting("strict_mode_config"))
    .may("metadata", free())
    .shown()
}

fn params() -> Shown {
    let vectors = any_of([shapes::told_vector(), map(shapes::told_vector())]);
    let told = ["shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload"];
    let unset = ["sharding_method", "read_fan_out_factor", "read_fan_out_delay_ms", "payload", "id_tracker"];
    let params = object([("vectors", vectors)]).may("sparse_vectors", map(named::<SparseIn>()));
    told.iter()
        .chain(&unset)
        .fold(params, |params, name| params.may(name, shapes::told_setting(name)))
        .shown()
}

fn details() -> Shown {
    let space = object([
        ("size", whole(1)),
        ("distance", text()),
        ("datatype", text()),
        ("codes", text()),
        ("model", nullable(free())),
    ]);
    let keyword = object([("paths", many(text())), ("language", text())]).shown();
    let segment = object([("rows", whole(0)), ("dead_rows", whole(0)), ("bytes", whole(0))]).shown();
    let build =
        object([("what", text()), ("rows", whole(0)), ("vectors", whole(0)), ("vectors_built", whole(0))]);
    object([
        ("vectors", map(space.shown())),
        ("sparse_vectors", map(named::<SparseIn>())),
        ("multivectors", many(text())),
        ("keyword", nullable(keyword)),
        ("fields", map(text())),
        ("recall", nullable(number())),
        ("hybrid_weights", nullable(named::<HybridWeightsJson>())),
        ("history_s", whole(0)),
        ("points", whole(0)),
        ("seqno", whole(0)),
        ("vectors_linked", whole(0)),
        ("vectors_count", whole(0)),
        ("keyword_pending", whole(0)),
        ("index_bytes", whole(0)),
        ("segments", many(segment)),
        ("head_rows", whole(0)),
        ("waiting_rows", whole(0)),
        ("build", nullable(build.shown())),
        ("build_failure", any_of([text(), null()])),
        ("measured_recall", many(measured())),
        ("drift", many(drift())),
    ])
    .shown()
}

fn measured() -> Shown {
    object([
        ("vector", text()),
        ("share", text()),
        ("queries", whole(0)),
        ("recall", number()),
        ("interval", many(number())),
        ("expected", nullable(number())),
        ("misses", number()),
    ])
    .shown()
}

fn drift() -> Shown {
    object([
        ("vector", text()),
        ("of", text()),
        ("vectors", whole(0)),
        ("difference", number()),
        ("least", number()),
        ("usual", nullable(number())),
        ("has_drifted", flag()),
    ])
    .shown()
}

fn optimizations() -> Shown {
    let segment = || object([("uuid", text()), ("points_count", whole(0))]).shown();
    let queued = object([("optimizer", text()), ("segments", many(segment()))]).shown();
    let progress = object([("name", text()), ("done", whole(0)), ("total", whole(0))]).shown();
    let running = object([
        ("uuid", text()),
        ("optimizer", text()),
        ("status", text()),
        ("segments", many(segment())),
        ("progress", progress),
    ]);
    let summary = object([
        ("queued_optimizations", whole(0)),
        ("queued_segments", whole(0)),
        ("queued_points", whole(0)),
        ("idle_segments", whole(0)),
    ]);
    object([("summary", summary.shown()), ("running", many(running.shown()))])
        .may("queued", many(queued))
        .may("completed", many(anything()))
        .may("idle_segments", many(segment()))
        .shown()
}

fn shards() -> Shown {
    let shard = object([("shard_id", whole(0)), ("points_count", whole(0)), ("state", text())]).shown();
    object([
        ("peer_id", whole(0)),
        ("shard_count", whole(0)),
        ("local_shards", many(shard)),
        ("remote_shards", many(anything())),
        ("shard_transfers", many(anything())),
    ])
    .shown()
}
