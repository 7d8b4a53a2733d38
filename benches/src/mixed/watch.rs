//! Looks at the collection while others work on it: builds, segments, memory. A build that lasts less than the
//! interval between two looks may be missed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kithdb::{BuildStatus, Collection};

use crate::machine;

const INTERVAL: Duration = Duration::from_millis(20);

/// What was seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) seals: usize,
    pub(super) merges: usize,
    pub(super) segments_max: usize,
    pub(super) head_rows_max: usize,
    pub(super) resident_bytes_max: u64,
    /// The last failure of a build.
    pub(super) failure: Option<String>,
}

impl Seen {
    /// Counts a build that is another than that of the look before.
    fn count(&mut self, before: Option<&BuildStatus>, now: &BuildStatus) {
        let is_same = before.is_some_and(|before| {
            (before.what, before.rows) == (now.what, now.rows) && before.vectors_built <= now.vectors_built
        });
        match now.what {
            _ if is_same => {}
            "seal" => self.seals += 1,
            _ => self.merges += 1,
        }
    }
}

/// Looks until that is set.
pub(super) fn watch(collection: &Collection, is_over: &AtomicBool) -> Seen {
    let (mut seen, mut before) = (Seen::default(), None);
    while !is_over.load(Ordering::Acquire) {
        let status = collection.status();
        if let Some(now) = &status.build {
            seen.count(before.as_ref(), now);
        }
        before = status.build;
        seen.segments_max = seen.segments_max.max(status.segments.len());
        seen.head_rows_max = seen.head_rows_max.max(status.head_rows);
        seen.failure = status.failure.or(seen.failure);
        let resident = machine::memory().map_or(0, |memory| memory.resident_bytes);
        seen.resident_bytes_max = seen.resident_bytes_max.max(resident);
        thread::sleep(INTERVAL);
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_counted_once() {
        let build = |what, rows, vectors_built| BuildStatus { what, rows, vectors: 9, vectors_built };
        let looks = [
            Some(build("seal", 9, 0)),
            Some(build("seal", 9, 5)),
            Some(build("seal", 9, 1)),
            Some(build("merge", 9, 2)),
            None,
            Some(build("merge", 9, 3)),
        ];
        let (mut seen, mut before) = (Seen::default(), None);
        for look in &looks {
            if let Some(now) = look {
                seen.count(before, now);
            }
            before = look.as_ref();
        }
        assert_eq!((seen.seals, seen.merges), (2, 2));
    }
}
