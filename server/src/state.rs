//! What every request may look at.

use std::sync::Arc;

use kithdb::Database;
use rag::Embedder;

use crate::cursors::Cursors;
use crate::lanes::Lanes;
use crate::metrics::Metrics;

/// The state of a server, shared by its requests. Clones are cheap.
#[derive(Clone)]
pub struct State {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) embedder: Option<Embedder>,
    pub(crate) lanes: Lanes,
    pub(crate) cursors: Cursors,
    pub(crate) metrics: Metrics,
}

impl State {
    /// The state of a server over a database. With an embedder, queries may be given as text.
    pub fn new(db: Database, embedder: Option<Embedder>) -> Self {
        let inner =
            Inner { db, embedder, lanes: Lanes::new(), cursors: Cursors::default(), metrics: Metrics::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.inner.db
    }

    /// The model that embeds text, if there is one.
    pub fn embedder(&self) -> Option<&Embedder> {
        self.inner.embedder.as_ref()
    }
}
