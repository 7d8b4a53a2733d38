//! Numbers of the schemas that collections had, so that who knows one can ask whether it is still so.
//!
//! Invariant: two schemas of a name that differ have different numbers.
//! Cost: a schema is copied and compared, about 2 µs; one is kept for each name that was asked of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use kithdb::Schema;
use parking_lot::Mutex;

/// Names that are kept; beyond that all are forgotten, and have further numbers.
const NAMES_MAX: usize = 1024;

/// The last schema of each name, and its number.
#[derive(Default)]
pub(crate) struct Schemas {
    known: Mutex<HashMap<String, (Schema, u64)>>,
    last: AtomicU64,
}

impl Schemas {
    /// The number of what is so now.
    pub(crate) fn mark(&self, collection: &str, schema: Schema) -> u64 {
        let mut known = self.known.lock();
        if let Some((_, mark)) = known.get(collection).filter(|(before, _)| *before == schema) {
            return *mark;
        }
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        let mark = self.last.fetch_add(1, Ordering::Relaxed);
        known.insert(collection.to_owned(), (schema, mark));
        mark
    }
}
