//! What the server tells of itself: counts of requests, and all that a scrape wants to know.
//!
//! Families of two kinds: the dialect's, by its names (`dialect`), and ours (`own`). A name of a client's choice is in
//! no label but those of collections that exist.
//! Cost: one short lock a request. A scrape looks at every collection once, and at a few files below `/proc`.

mod answers;
mod dialect;
mod exposition;
mod own;
mod process;
mod requests;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kithdb::Status;

use crate::state::Inner;
pub(crate) use answers::Took;
use exposition::Exposition;
pub(crate) use process::{machine_bytes, memory, resident_percent};
pub(crate) use requests::{Answered, CONNECTIONS, Requests};

/// Counters of one server.
pub(crate) struct Metrics {
    started_s: f64,
    pub(crate) requests: Requests,
    answers: answers::Answers,
}

/// What a scrape may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Detail {
    /// Requests by collection, instead of all together.
    pub(crate) is_per_collection: bool,
    /// Nothing that has the name of a collection.
    pub(crate) is_anonymous: bool,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started_s: started.as_secs_f64(),
            requests: Requests::default(),
            answers: answers::Answers::default(),
        }
    }

    /// Which process this is, among those on this machine.
    pub(crate) fn process(&self) -> String {
        format!("{}-{}", std::process::id(), self.started_micros())
    }

    /// When it started, in microseconds since 1970.
    pub(crate) fn started_micros(&self) -> i64 {
        (self.started_s * 1e6) as i64
    }
}

/// Everything, as a scrape wants it.
pub(crate) fn expose(inner: &Inner, detail: Detail) -> String {
    let began = Instant::now();
    let (db, metrics) = (&inner.db, &inner.metrics);
    let all: Vec<(String, Status)> = db
        .collections()
        .iter()
        .map(|collection| (collection.name().to_owned(), collection.status()))
        .collect();
    let (measures, storage, routes) = (db.measures(), db.storage(), metrics.requests.routes());
    let mut out = Exposition::default();
    let named = if detail.is_anonymous { &[][..] } else { &all[..] };
    dialect::expose(&mut out, &all);
    dialect::collections(&mut out, named, &measures);
    match detail.is_per_collection && !detail.is_anonymous {
        true => {
            let collections = metrics.requests.collections(|name| db.collection(name).is_ok());
            dialect::requests_by_collection(&mut out, &collections);
        }
        false => dialect::requests(&mut out, &routes),
    }
    process::expose(&mut out);
    let help = "When the process started, in seconds since 1970.";
    out.gauge("process_start_time_seconds", help, |family| family.put(&[], metrics.started_s));
    own::database(&mut out, db, &storage);
    own::storage(&mut out, &storage);
    own::memory(&mut out, &all, &storage);
    own::measures(&mut out, &measures);
    own::totals(&mut out, &all, db.start().seqno.0);
    own::collections(&mut out, named);
    metrics.answers.expose(&mut out);
    own::jobs(&mut out, inner.jobs.figures());
    own::requests(&mut out, &metrics.requests, &routes);
    let requests_max = inner.requests_max();
    own::lanes(&mut out, &inner.lanes, requests_max - inner.requests.available_permits(), requests_max);
    tracing::debug!(elapsed_us = began.elapsed().as_micros() as u64, "metrics scraped");
    out.into_text()
}
