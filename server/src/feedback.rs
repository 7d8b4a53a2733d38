//! What is remembered of answers, so that who was answered can say what they were worth; and what is kept of it.
//!
//! Invariant: without the setting there is none of this, and nothing of a question outlives its answer.
//! Cost: a question and its citations for each of the last answers, in memory.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use kithdb::Database;
use parking_lot::Mutex;
use rag::Answer;
use rag::feedback::{Entry, keep};

/// Answers that are remembered.
const RECENT_MAX: usize = 2_000;

/// Entries that are kept of a collection unless it is said otherwise.
pub(crate) const KEPT_MAX: usize = 10_000;

/// What is remembered of answers, by their collections.
pub(crate) struct Feedback {
    /// Entries that are kept of a collection.
    pub(crate) kept_max: usize,
    recent: Mutex<VecDeque<(String, Entry)>>,
}

impl Feedback {
    pub(crate) fn new(kept_max: usize) -> Self {
        Self { kept_max, recent: Mutex::default() }
    }

    /// Remembers an answer, and keeps it if it was a bad one.
    pub(crate) fn answered(
        &self,
        db: &Database,
        collection: &str,
        (id, question): (&str, &str),
        made: &Answer,
    ) {
        let entry = Entry::of(id, question, made, now_ms());
        // Who was answered is answered all the same.
        if entry.reason.is_some()
            && let Err(error) = keep(db, collection, &entry, self.kept_max)
        {
            tracing::warn!(%error, collection, "a question that was answered badly could not be kept");
        }
        let mut recent = self.recent.lock();
        recent.push_back((collection.to_owned(), entry));
        if recent.len() > RECENT_MAX {
            recent.pop_front();
        }
    }

    /// What is remembered of an answer from a collection.
    pub(crate) fn remembered(&self, collection: &str, id: &str) -> Option<Entry> {
        let recent = self.recent.lock();
        let found = recent.iter().rev().find(|(own, entry)| own == collection && entry.answer == id);
        found.map(|(_, entry)| entry.clone())
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
