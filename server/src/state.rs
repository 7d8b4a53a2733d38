//! What every request may look at.

use std::sync::Arc;

use kithdb::Database;
use rag::Embedder;

use tokio::sync::Semaphore;

use crate::body::BLOCK_BYTES;
use crate::cursors::Cursors;
use crate::lanes::Lanes;
use crate::metrics::Metrics;
use crate::strict::Rates;
use crate::{Hosts, Keys, ServeLimits, ServeOptions};

/// The state of a server, shared by its requests. Clones are cheap.
#[derive(Clone)]
pub struct State {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) embedder: Option<Arc<Embedder>>,
    pub(crate) keys: Keys,
    pub(crate) lanes: Lanes,
    pub(crate) cursors: Cursors,
    pub(crate) metrics: Metrics,
    pub(crate) rates: Rates,
    pub(crate) limits: ServeLimits,
    /// Whom it may ask for snapshots.
    pub(crate) hosts: Hosts,
    /// Who scrapes needs no key.
    pub(crate) are_metrics_open: bool,
    /// A place for each request in progress.
    pub(crate) requests: Semaphore,
    /// A place for each block of their bodies.
    pub(crate) blocks: Arc<Semaphore>,
}

impl State {
    /// The state of a server over a database. With an embedder, queries may be given as text.
    pub fn new(db: Database, embedder: Option<Embedder>, options: &ServeOptions) -> Self {
        Self::over(db, embedder.map(Arc::new), options)
    }

    /// Another server's, over the same database and with the same model.
    #[must_use]
    pub fn under(&self, options: &ServeOptions) -> Self {
        Self::over(self.inner.db.clone(), self.inner.embedder.clone(), options)
    }

    fn over(db: Database, embedder: Option<Arc<Embedder>>, options: &ServeOptions) -> Self {
        let blocks = options.limits.bodies_bytes_max / BLOCK_BYTES;
        let inner = Inner {
            db,
            embedder,
            keys: options.keys.clone(),
            lanes: Lanes::new(),
            cursors: Cursors::default(),
            metrics: Metrics::new(),
            rates: Rates::default(),
            requests: Semaphore::new(options.limits.requests_max.min(Semaphore::MAX_PERMITS)),
            blocks: Arc::new(Semaphore::new(blocks.min(Semaphore::MAX_PERMITS))),
            limits: options.limits.clone(),
            hosts: options.hosts.clone(),
            are_metrics_open: options.are_metrics_open,
        };
        Self { inner: Arc::new(inner) }
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
