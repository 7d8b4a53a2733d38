//! Metrics of our own, `kithdb_*`: what the dialect has no names for.
//!
//! Gauges of a collection's state have its name as a label, as the dialect's have; counters and times never do.

use kithdb::{Database, Disk, Drift, Figures, MeasuredRecall, Measures, Status, Times};

use super::exposition::Exposition;
use super::requests::{Requests, Routes};
use crate::VERSION;
use crate::jobs::JobFigures;
use crate::lanes::Lanes;

/// What the database as a whole is.
pub(super) fn database(out: &mut Exposition, db: &Database, storage: &Figures) {
    let start = db.start();
    out.gauge("kithdb_build_info", "The version that runs; always 1.", |family| {
        family.put(&[("version", VERSION)], 1);
    });
    let gauges: [(&'static str, &str, f64); 4] = [
        ("kithdb_poisoned", "1 once a write failed and the database takes no more.", db.is_poisoned().into()),
        ("kithdb_start_seconds", "How long opening the database took.", start.elapsed_ms as f64 / 1e3),
        (
            "kithdb_indexes_rebuilt",
            "Indexes that opening the database had to make anew.",
            start.rebuilt.len() as f64,
        ),
        ("kithdb_storage_stalled", "1 while writes wait for compaction.", storage.is_stalled.into()),
    ];
    gauges.into_iter().for_each(|(name, help, value)| out.gauge(name, help, |family| family.put(&[], value)));
    if let Some(made) = db.last_snapshot_micros() {
        let help = "When the newest snapshot was made that is still there, in seconds since 1970.";
        out.gauge("kithdb_last_snapshot_timestamp_seconds", help, |family| {
            family.put(&[], made as f64 / 1e6);
        });
    }
    if let Some(Disk { total_bytes, free_bytes }) = db.disk() {
        out.gauge("kithdb_disk_bytes", "Size of the disk that the database is on.", |family| {
            family.put(&[], total_bytes);
        });
        out.gauge("kithdb_disk_free_bytes", "Bytes that may still be written to it.", |family| {
            family.put(&[], free_bytes);
        });
    }
}

/// How storage is doing.
pub(super) fn storage(out: &mut Exposition, figures: &Figures) {
    out.gauge("kithdb_storage_bytes", "Size of storage, by where it lies.", |family| {
        let memory = figures.buffer_bytes + figures.cache_bytes + figures.index_bytes;
        family.put(&[("place", "disk")], figures.disk_bytes);
        family.put(&[("place", "memory")], memory);
    });
    let gauges: [(&'static str, &str, u64); 4] = [
        (
            "kithdb_compaction_pending_bytes",
            "Bytes that compaction has to rewrite.",
            figures.compaction_pending_bytes,
        ),
        ("kithdb_compactions_running", "Compactions of storage that run.", figures.compactions),
        ("kithdb_flushes_running", "Flushes of storage that run.", figures.flushes),
        ("kithdb_uncompacted_files", "Files that no compaction has taken up yet.", figures.uncompacted_files),
    ];
    gauges.into_iter().for_each(|(name, help, value)| out.gauge(name, help, |family| family.put(&[], value)));
    let help = "Errors of storage in the background.";
    out.counter("kithdb_storage_errors_total", help, |family| family.put(&[], figures.background_errors));
    let help = "Time of a batch that was written, with its durability; of a large one, without the disk.";
    out.histogram("kithdb_storage_write_seconds", help, |family| family.put_times(&[], &figures.writes));
    let help = "Time that the disk took to make the log durable.";
    out.histogram("kithdb_fsync_seconds", help, |family| family.put_times(&[], &figures.syncs));
}

/// What was asked and written.
pub(super) fn measures(out: &mut Exposition, measures: &Measures) {
    type Labelled<'a> = (&'static str, &'a str, &'static str, &'a [(&'static str, Times)]);
    let labelled: [Labelled<'_>; 4] = [
        (
            "kithdb_operation_seconds",
            "Time of questions and writes in the engine, by operation.",
            "operation",
            &measures.operations,
        ),
        ("kithdb_search_seconds", "Time of searches, by the kind of their plan.", "plan", &measures.plans),
        ("kithdb_search_stage_seconds", "Time of searches, by stage.", "stage", &measures.stages),
        ("kithdb_build_seconds", "Time of builds of segments, by kind.", "build", &measures.builds),
    ];
    for (name, help, label, all) in labelled {
        out.histogram(name, help, |family| {
            all.iter().for_each(|(value, times)| family.put_times(&[(label, *value)], times));
        });
    }
    let help = "Time that writes waited to be taken up.";
    out.histogram("kithdb_write_wait_seconds", help, |family| family.put_times(&[], &measures.write_waits));
    let help = "Time of commits, each of a group of writes: staged, stored, published.";
    out.histogram("kithdb_commit_seconds", help, |family| family.put_times(&[], &measures.commits));
    let gauges: [(&'static str, &str, usize); 2] = [
        ("kithdb_writes_waiting", "Writes that wait to be taken up.", measures.writes_waiting),
        ("kithdb_writes_waiting_max", "Writes that may wait.", measures.writes_waiting_max),
    ];
    gauges.into_iter().for_each(|(name, help, value)| out.gauge(name, help, |family| family.put(&[], value)));
    let counters: [(&'static str, &str, u64); 5] = [
        ("kithdb_distances_total", "Distances that searches estimated or computed.", measures.distances),
        ("kithdb_hops_total", "Rows whose links searches followed.", measures.hops),
        ("kithdb_empty_results_total", "Searches that found nothing.", measures.empty),
        (
            "kithdb_partial_results_total",
            "Searches that were answered in part, for want of time.",
            measures.partial,
        ),
        ("kithdb_slow_queries_total", "Queries that were slow.", measures.slow),
    ];
    counters
        .into_iter()
        .for_each(|(name, help, value)| out.counter(name, help, |family| family.put(&[], value)));
}

/// All collections together.
pub(super) fn totals(out: &mut Exposition, all: &[(String, Status)], opened: u64) {
    out.gauge("kithdb_collections", "Collections.", |family| family.put(&[], all.len()));
    let commits = all.iter().map(|(_, status)| status.seqno.0).fold(opened, u64::max);
    out.counter("kithdb_commits_total", "Number of the last commit that a collection shows.", |family| {
        family.put(&[], commits);
    });
}

/// Where each collection stands.
pub(super) fn collections(out: &mut Exposition, all: &[(String, Status)]) {
    type Gauge = (&'static str, &'static str, fn(&Status) -> u64);
    let gauges: [Gauge; 14] = [
        ("kithdb_points", "Points.", |status| status.points as u64),
        ("kithdb_vectors", "Vectors, dead ones included until their segment is merged.", |status| {
            status.vectors as u64
        }),
        ("kithdb_vectors_linked", "Vectors that the graphs cover.", |status| status.vectors_linked as u64),
        ("kithdb_keyword_pending", "Documents that the keyword index has not committed.", |status| {
            status.keyword_pending as u64
        }),
        ("kithdb_keyword_lag_commits", "Commits that the durable keyword index lags behind.", |status| {
            status.keyword_lag
        }),
        ("kithdb_segments", "Segments.", |status| status.segments.len() as u64),
        ("kithdb_segment_bytes", "Bytes of segments, which are mapped.", |status| {
            status.segments.iter().map(|segment| segment.bytes).sum()
        }),
        ("kithdb_heads", "Heads.", |status| status.heads as u64),
        ("kithdb_head_rows", "Rows that no segment holds.", |status| status.head_rows as u64),
        ("kithdb_waiting_rows", "Rows that wait to become a segment.", |status| status.waiting_rows as u64),
        ("kithdb_dead_rows", "Rows, in segments and heads, that are dead.", |status| status.dead_rows as u64),
        ("kithdb_index_bytes", "Memory of the indexes, about.", |status| status.index_bytes as u64),
        ("kithdb_builds_running", "Segments that are being made.", |status| {
            u64::from(status.build.is_some())
        }),
        ("kithdb_build_failed", "1 while the last build of a segment has failed.", |status| {
            u64::from(status.failure.is_some())
        }),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, |family| {
            all.iter().for_each(|(name, status)| family.put(&[("collection", name.as_str())], value(status)));
        });
    }
    recalls(out, all);
    drifts(out, all);
}

/// Memory of all of it, by what it is for.
pub(super) fn memory(out: &mut Exposition, all: &[(String, Status)], storage: &Figures) {
    let sum = |of: fn(&Status) -> usize| all.iter().map(|(_, status)| of(status) as u64).sum::<u64>();
    let mapped =
        all.iter().flat_map(|(_, status)| &status.segments).map(|segment| segment.bytes).sum::<u64>();
    let components = [
        ("heads", sum(|status| status.head_bytes)),
        ("fields", sum(|status| status.field_bytes)),
        ("sparse", sum(|status| status.sparse_bytes)),
        ("storage_buffers", storage.buffer_bytes),
        ("storage_cache", storage.cache_bytes),
        ("storage_index", storage.index_bytes),
    ];
    out.gauge("kithdb_memory_bytes", "Memory by what it is for, about.", |family| {
        components.iter().for_each(|(component, bytes)| family.put(&[("component", *component)], bytes));
    });
    let help = "Bytes of segments that are mapped; the system keeps of them in RAM what is used.";
    out.gauge("kithdb_mapped_bytes", help, |family| family.put(&[], mapped));
}

/// What live queries have found of the true hits, by vector and by what their filters let through.
fn recalls(out: &mut Exposition, all: &[(String, Status)]) {
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
        out.gauge(name, help, |family| {
            for (collection, status) in all {
                for measured in &status.recall {
                    let (vector, share) = (measured.space.as_str(), measured.share.name());
                    let labels = [("collection", collection.as_str()), ("vector", vector), ("share", share)];
                    family.put(&labels, value(measured));
                }
            }
        });
    }
}

/// How far what comes in and what is asked with differs from the collections, by vector.
fn drifts(out: &mut Exposition, all: &[(String, Status)]) {
    type Gauge = (&'static str, &'static str, fn(&Drift) -> f64);
    let gauges: [Gauge; 3] = [
        ("kithdb_drift", "How far vectors differ from their collection, from -1 to 1.", |drift| {
            drift.difference.into()
        }),
        ("kithdb_drift_least", "How far they do at least.", |drift| drift.least.into()),
        ("kithdb_drifted", "1 while that is more than chance and more than what is usual.", |drift| {
            f64::from(u8::from(drift.has_drifted))
        }),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, |family| {
            for (collection, status) in all {
                for drift in &status.drift {
                    let (vector, of) = (drift.space.as_str(), drift.of.name());
                    let labels = [("collection", collection.as_str()), ("vector", vector), ("of", of)];
                    family.put(&labels, value(drift));
                }
            }
        });
    }
}

/// Requests, by what is ours of them.
pub(super) fn requests(out: &mut Exposition, requests: &Requests, routes: &Routes) {
    out.counter("kithdb_requests_total", "Requests answered, by route and status.", |family| {
        for (method, route, statuses) in routes.iter() {
            for (status, answers) in statuses {
                let labels = [("method", method), ("route", route), ("status", &*status.to_string())];
                family.put(&labels, answers.times.count());
            }
        }
    });
    let help = "Time from a request's head to its answer, by route.";
    out.histogram("kithdb_request_seconds", help, |family| {
        for (method, route, statuses) in routes.iter() {
            let mut times = Times::default();
            statuses.values().for_each(|answers| times.add_all(&answers.times));
            family.put_times(&[("method", method), ("route", route)], &times);
        }
    });
    out.counter("kithdb_rejected_total", "Requests that were refused, by reason.", |family| {
        requests.refused().for_each(|(reason, count)| family.put(&[("reason", reason)], count));
    });
}

/// Uploads that wait to be ingested, and what became of them.
pub(super) fn jobs(out: &mut Exposition, figures: JobFigures) {
    let JobFigures { waiting, done, failed } = figures;
    out.gauge("kithdb_jobs_waiting", "Jobs of uploads that have not ended.", |family| {
        family.put(&[], waiting);
    });
    out.counter("kithdb_jobs_total", "Jobs of uploads that ended, by how.", |family| {
        family.put(&[("outcome", "done")], done);
        family.put(&[("outcome", "failed")], failed);
    });
}

/// Where requests wait.
pub(super) fn lanes(out: &mut Exposition, lanes: &Lanes, in_progress: usize, in_progress_max: usize) {
    out.gauge("kithdb_requests_in_progress", "Requests in progress.", |family| family.put(&[], in_progress));
    out.gauge("kithdb_requests_in_progress_max", "Requests that may be in progress.", |family| {
        family.put(&[], in_progress_max);
    });
    let all = lanes.figures();
    type Gauge = (&'static str, &'static str, fn(&crate::lanes::Figures) -> usize);
    let gauges: [Gauge; 3] = [
        ("kithdb_lane_waiting", "Calls that wait for a place in their lane.", |figures| figures.waiting),
        ("kithdb_lane_running", "Calls that have one.", |figures| figures.running),
        ("kithdb_lane_places", "Places of a lane.", |figures| figures.places),
    ];
    for (name, help, value) in gauges {
        out.gauge(name, help, |family| {
            all.iter().for_each(|figures| family.put(&[("lane", figures.name)], value(figures)));
        });
    }
    let help = "Time that calls waited for a place in their lane.";
    out.histogram("kithdb_lane_wait_seconds", help, |family| {
        all.iter().for_each(|figures| family.put_times(&[("lane", figures.name)], &figures.waits));
    });
}
