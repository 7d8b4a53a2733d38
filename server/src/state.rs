//! What every request may look at.

use std::sync::Arc;

use kithdb::Database;
use rag::{Embedder, Engine, Reranker};

use tokio::sync::Semaphore;

use crate::body::BLOCK_BYTES;
use crate::bucket::Bucket;
use crate::cursors::Cursors;
use crate::feedback::Feedback;
use crate::jobs::Jobs;
use crate::lanes::Lanes;
use crate::location::Hosts;
use crate::metrics::{Metrics, Requests};
use crate::owed::Answers;
use crate::strict::Rates;
use crate::weigh::Room;
use crate::{Keys, ServeLimits, ServeOptions};

/// The state of a server, shared by its requests. Clones are cheap.
#[derive(Clone)]
pub struct State {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) embedder: Option<Arc<Embedder>>,
    /// What writes answers.
    pub(crate) engine: Option<Arc<Engine>>,
    /// What ranks passages.
    pub(crate) reranker: Option<Arc<Reranker>>,
    /// What judges answers of an evaluation.
    pub(crate) judge: Option<Arc<Engine>>,
    /// What is remembered of answers, where that is wanted.
    pub(crate) feedback: Option<Feedback>,
    pub(crate) keys: Keys,
    pub(crate) lanes: Lanes,
    pub(crate) cursors: Cursors,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) metrics: Metrics,
    pub(crate) rates: Rates,
    /// Where snapshots are kept, if not in the folder of the database.
    pub(crate) bucket: Option<Bucket>,
    /// From where they may be fetched.
    pub(crate) hosts: Hosts,
    /// The origins of pages that may ask.
    pub(crate) cors_origins: Vec<String>,
    pub(crate) limits: ServeLimits,
    /// Connections are encrypted.
    pub(crate) has_tls: bool,
    /// Who scrapes needs no key.
    pub(crate) are_metrics_open: bool,
    /// There are no keys, and something in front guards the server.
    pub(crate) is_open_to_all: bool,
    /// A place for each request in progress.
    pub(crate) requests: Semaphore,
    /// A place for each block of their bodies.
    pub(crate) blocks: Arc<Semaphore>,
    /// Room for what their bodies become.
    pub(crate) trees: Arc<Room>,
    /// Room for answers that are on their way.
    pub(crate) answers: Answers,
    /// A place for each client that waits for what is done in the background: its documents, its segments.
    pub(crate) waiters: Semaphore,
    /// A place for each operation that takes long (a snapshot, a recovery), waited for or not.
    pub(crate) lingering: Arc<Semaphore>,
    /// A place for each export that is on its way.
    pub(crate) exports: Arc<Semaphore>,
}

/// Clients that wait for what is done in the background, and operations that take long, so many of each. Both have
/// places among the calls that wait, where writes are, and must leave most of them.
pub(crate) const LINGERING_MAX: usize = 16;

/// Exports on their way at the same time. Each holds a thread and a state of its collection for as long as its client
/// takes.
pub(crate) const EXPORTS_MAX: usize = 16;

fn requests_max(limits: &ServeLimits) -> usize {
    limits.requests_max.min(Semaphore::MAX_PERMITS)
}

impl Inner {
    /// Requests that may be in progress.
    pub(crate) fn requests_max(&self) -> usize {
        requests_max(&self.limits)
    }
}

impl State {
    /// The state of a server over a database. With an embedder, queries may be given as text.
    pub fn new(db: Database, embedder: Option<Embedder>, options: &ServeOptions) -> Self {
        let embedder = embedder.map(Arc::new);
        let jobs = Arc::new(Jobs::start(&db, embedder.clone()));
        Self::over(db, embedder, jobs, options)
    }

    /// Another server's, over the same database and with the same model.
    #[must_use]
    pub fn under(&self, options: &ServeOptions) -> Self {
        let Inner { db, embedder, jobs, .. } = &*self.inner;
        Self::over(db.clone(), embedder.clone(), Arc::clone(jobs), options)
    }

    fn over(db: Database, embedder: Option<Arc<Embedder>>, jobs: Arc<Jobs>, options: &ServeOptions) -> Self {
        let blocks = options.limits.bodies_bytes_max / BLOCK_BYTES;
        let trees = Room::beside(options.limits.bodies_bytes_max, db.limits().batch_points_max);
        let inner = Inner {
            db,
            embedder,
            engine: options.engine.clone(),
            reranker: options.reranker.clone(),
            judge: options.judge.clone(),
            feedback: options.feedback_max.map(Feedback::new),
            has_tls: options.tls.is_some(),
            keys: options.keys.clone(),
            lanes: Lanes::new(),
            cursors: Cursors::default(),
            jobs,
            metrics: Metrics::new(),
            rates: Rates::default(),
            bucket: options.bucket.clone(),
            hosts: Hosts::new(&options.snapshot_hosts),
            cors_origins: options.cors_origins.clone(),
            requests: Semaphore::new(requests_max(&options.limits)),
            blocks: Arc::new(Semaphore::new(blocks.min(Semaphore::MAX_PERMITS))),
            trees,
            answers: Answers::new(options.limits.bodies_bytes_max),
            waiters: Semaphore::new(LINGERING_MAX),
            lingering: Arc::new(Semaphore::new(LINGERING_MAX)),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            limits: options.limits.clone(),
            are_metrics_open: options.are_metrics_open,
            is_open_to_all: options.is_open_to_all,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What was counted.
    pub(crate) fn requests(&self) -> &Requests {
        &self.inner.metrics.requests
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.inner.db
    }

    /// The model that embeds text, if there is one.
    pub fn embedder(&self) -> Option<&Embedder> {
        self.inner.embedder.as_deref()
    }
}
