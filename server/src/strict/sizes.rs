//! How many bytes the payloads of collections have, for those that limit it.
//!
//! Counting reads every payload, so it is done seldom: once, and then the payloads that are written are added, as if
//! none of them took the place of another. Only when that sum reaches the limit is it counted anew, and not while
//! nothing was committed since.
//! Invariant: what is refused is over the limit by a count, not by the sum.

use std::collections::HashMap;

use kithdb::{Collection, Payload, Result, Seqno};
use parking_lot::Mutex;

/// What is known of collections by name.
#[derive(Default)]
pub(crate) struct Sizes(Mutex<HashMap<String, Known>>);

#[derive(Clone, Copy)]
struct Known {
    /// What there are at most.
    sum: u64,
    /// When it was counted.
    counted_at: Seqno,
}

impl Sizes {
    /// Whether a collection may take these payloads; they are added if it may.
    ///
    /// # Errors
    /// `Corrupted`, `Io`.
    pub(super) fn may_take(&self, collection: &Collection, added: u64, limit: u64) -> Result<bool> {
        let known = self.0.lock().get(collection.name()).copied();
        if let Some(known) = known.filter(|known| known.sum + added <= limit) {
            self.keep(collection, Known { sum: known.sum + added, ..known });
            return Ok(true);
        }
        let is_same = known.is_some_and(|known| known.counted_at == collection.status().seqno);
        let counted = match known.filter(|_| is_same) {
            Some(known) => known,
            None => {
                let (sum, counted_at) = collection.payload_bytes()?;
                Known { sum, counted_at }
            }
        };
        let may_take = counted.sum + added <= limit;
        let sum = if may_take { counted.sum + added } else { counted.sum };
        self.keep(collection, Known { sum, ..counted });
        Ok(may_take)
    }

    /// Forgets a collection that goes.
    pub(crate) fn forget(&self, collection: &str) {
        self.0.lock().remove(collection);
    }

    fn keep(&self, collection: &Collection, known: Known) {
        self.0.lock().insert(collection.name().to_owned(), known);
    }
}

/// Bytes of a payload as it is stored.
pub(super) fn bytes(payload: &Payload) -> u64 {
    serde_json::to_vec(payload).map_or(0, |text| text.len() as u64)
}
