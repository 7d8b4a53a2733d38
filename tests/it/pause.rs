//! Waiting for background work, with an end.

use std::time::{Duration, Instant};

use kithdb::Collection;

/// Background work that takes longer has stopped.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Waits until all keywords of a collection lie on disk.
pub(crate) fn until_keywords_are_committed(collection: &Collection) {
    let began = Instant::now();
    while collection.status().keyword_pending > 0 {
        assert!(began.elapsed() < WAIT_MAX, "keywords are not committed");
        std::thread::sleep(Duration::from_millis(20));
    }
}
