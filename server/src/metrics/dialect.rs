//! Metrics by the names that operators of the dialect graph already: the same names, labels and kinds.
//!
//! What only nodes of a cluster have is told as a single node tells it. The label `id` is the name of a collection;
//! requests have it, as `collection`, only if that was asked for.

use std::collections::BTreeMap;

use kithdb::{Measures, SnapshotCounts, Status};

use super::exposition::{Exposition, Family};
use super::requests::{Answers, Routes, endpoint};
use crate::routes::DIALECT_VERSION;

/// Endpoints that are told of, as patterns of the dialect below `/collections/{collection_name}`.
const ENDPOINTS: [&str; 26] = [
    "/index",
    "/points",
    "/points/batch",
    "/points/count",
    "/points/delete",
    "/points/discover",
    "/points/discover/batch",
    "/facet",
    "/points/payload",
    "/points/payload/clear",
    "/points/payload/delete",
    "/points/query",
    "/points/query/batch",
    "/points/query/groups",
    "/points/recommend",
    "/points/recommend/batch",
    "/points/recommend/groups",
    "/points/scroll",
    "/points/search",
    "/points/search/batch",
    "/points/search/groups",
    "/points/search/matrix/offsets",
    "/points/search/matrix/pairs",
    "/points/vectors",
    "/points/vectors/delete",
    "/vectors/{vector_name}",
];

const PREFIX: &str = "/collections/{collection_name}";

/// Answers with this status have their times told.
const TIMED_STATUS: u16 = 200;

/// What the server is, and all collections together.
pub(super) fn expose(out: &mut Exposition, all: &[(String, Status)]) {
    out.gauge("app_info", "information about qdrant server", |family| {
        family.put(&[("name", "kithdb"), ("version", DIALECT_VERSION)], 1);
    });
    let single: [(&'static str, &str, u8); 5] = [
        ("app_status_recovery_mode", "1 in recovery mode, which there is none of", 0),
        ("cluster_enabled", "is cluster support enabled", 0),
        ("collection_active_replicas_min", "minimum number of active replicas across all shards", 1),
        ("collection_active_replicas_max", "maximum number of active replicas across all shards", 1),
        ("collection_dead_replicas", "total amount of shard replicas in non-active state", 0),
    ];
    for (name, help, value) in single {
        let is_of_replicas = name.starts_with("collection_active");
        let value = if is_of_replicas && all.is_empty() { 0 } else { value };
        out.gauge(name, help, |family| family.put(&[], value));
    }
    out.gauge("collections_total", "number of collections", |family| family.put(&[], all.len()));
    let vectors = all.iter().flat_map(|(_, status)| status.spaces.values()).map(|space| space.vectors);
    let total: usize = vectors.sum();
    out.gauge("collections_vector_total", "total number of vectors in all collections", |family| {
        family.put(&[], total);
    });
}

/// What each collection is.
pub(super) fn collections(out: &mut Exposition, all: &[(String, Status)], measures: &Measures) {
    vectors(out, all);
    type Gauge = (&'static str, &'static str, fn(&Status) -> usize);
    let gauges: [Gauge; 3] = [
        ("collection_points", "approximate amount of points per collection", |status| status.points),
        (
            "collection_running_optimizations",
            "number of currently running optimization tasks per collection",
            |status| usize::from(status.build.is_some()),
        ),
        (
            "collection_update_queue_deferred_points",
            "number of points hidden from reads until they are optimized: none are",
            |_| 0,
        ),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, |family| {
            all.iter().for_each(|(id, status)| family.put(&[("id", id.as_str())], value(status)));
        });
    }
    snapshots(out, all, measures);
}

fn vectors(out: &mut Exposition, all: &[(String, Status)]) {
    out.gauge("collection_vectors", "amount of vectors grouped by vector name", |family| {
        for (collection, status) in all {
            for (vector, space) in &status.spaces {
                family
                    .put(&[("collection", collection.as_str()), ("vector", vector.as_str())], space.vectors);
            }
        }
    });
    let help = "amount of points excluded in indexed_only requests";
    out.gauge("collection_indexed_only_excluded_points", help, |family| {
        for (id, status) in all {
            for (vector, space) in &status.spaces {
                family.put(&[("id", id.as_str()), ("vector", vector.as_str())], space.vectors - space.linked);
            }
        }
    });
}

fn snapshots(out: &mut Exposition, all: &[(String, Status)], measures: &Measures) {
    let of = |id: &str| measures.snapshots.get(id).copied().unwrap_or_default();
    let each = |family: &mut Family<'_>, value: fn(&SnapshotCounts) -> u64| {
        all.iter().for_each(|(id, _)| family.put(&[("id", id.as_str())], value(&of(id))));
    };
    let help = "amount of snapshot creations that are currently running";
    out.gauge("snapshot_creation_running", help, |family| each(family, |counts| counts.creating as u64));
    let help = "amount of snapshot recovery operations currently running";
    out.gauge("snapshot_recovery_running", help, |family| each(family, |counts| counts.recovering as u64));
    let help = "total amount of snapshots created";
    out.counter("snapshot_created_total", help, |family| each(family, |counts| counts.created));
}

/// Requests of all collections together.
pub(super) fn requests(out: &mut Exposition, routes: &Routes) {
    families(out, &[(None, routes)]);
}

/// Requests of each collection.
pub(super) fn requests_by_collection(out: &mut Exposition, collections: &BTreeMap<String, Routes>) {
    let all: Vec<(Option<&str>, &Routes)> =
        collections.iter().map(|(name, routes)| (Some(name.as_str()), routes)).collect();
    families(out, &all);
}

fn families(out: &mut Exposition, all: &[(Option<&str>, &Routes)]) {
    type Put<'a> = &'a dyn Fn(&mut Family<'_>, &[(&str, &str)], &Answers);
    let each = |family: &mut Family<'_>, is_timed: bool, put: Put<'_>| {
        for (collection, routes) in all {
            for (method, route, statuses) in routes.iter() {
                let endpoint = endpoint(route);
                if endpoint.strip_prefix(PREFIX).is_none_or(|rest| !ENDPOINTS.contains(&rest)) {
                    continue;
                }
                for (status, answers) in statuses {
                    if is_timed && *status != TIMED_STATUS {
                        continue;
                    }
                    let status = status.to_string();
                    let mut labels = vec![("method", method), ("endpoint", &*endpoint), ("status", &*status)];
                    labels.extend(collection.map(|name| ("collection", name)));
                    put(family, &labels, answers);
                }
            }
        }
    };
    out.counter("rest_responses_total", "total number of responses", |family| {
        each(family, false, &|family, labels, answers| family.put(labels, answers.times.count()));
    });
    type Gauge = (&'static str, &'static str, fn(&Answers) -> f64);
    let gauges: [Gauge; 3] = [
        ("rest_responses_avg_duration_seconds", "average response duration", Answers::mean_s),
        ("rest_responses_min_duration_seconds", "minimum response duration", |answers| {
            answers.min.as_secs_f64()
        }),
        ("rest_responses_max_duration_seconds", "maximum response duration", |answers| {
            answers.max.as_secs_f64()
        }),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, |family| {
            each(family, true, &|family, labels, answers| family.put(labels, value(answers)));
        });
    }
    out.histogram("rest_responses_duration_seconds", "response duration histogram", |family| {
        each(family, true, &|family, labels, answers| family.put_times(labels, &answers.times));
    });
}
