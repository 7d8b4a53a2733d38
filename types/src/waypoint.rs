//! Named places on the ways of a write, at which a test may end the process: the proof that nothing is lost at any of
//! them, not only at random moments.
//!
//! Invariant: in a process that nobody [`watch`]es, passing one does nothing; no file and no variable of the
//! environment can make it do something. Every name is in [`ALL`], and the crash campaign ends a process at each.
//! Cost: one load and one branch that is never taken.
//! When not to use: for what a user may want to observe; that is logged.

use std::sync::OnceLock;

static WATCH: OnceLock<fn(&'static str)> = OnceLock::new();

/// Every waypoint, by the part of the house that passes it.
pub const ALL: [&str; 60] = [
    // storage: the log and its tables, the rows that are no commit
    "storage.opened",
    "storage.write",
    "storage.written",
    "storage.synced",
    "storage.flush",
    "storage.flushed",
    "storage.close",
    "storage.closed",
    "list.write",
    "list.written",
    "watermark.written",
    "purge.listed",
    "purge.read",
    "purge.written",
    // the sequencer: commits of points, and of everything else
    "commit.staged",
    "commit.stored",
    "commit.published",
    "create.stored",
    "create.loaded",
    "drop.stored",
    "drop.files",
    "drop.forgotten",
    "field.laid",
    "field.stored",
    "field.replaced",
    "schema.laid",
    "schema.stored",
    "alias.stored",
    "import.committed",
    // files of indexes, and the segments that they make up
    "file.created",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.durable",
    "seal.built",
    "seal.published",
    "seal.listed",
    "merge.built",
    "merge.published",
    "merge.listed",
    "merge.replaced",
    "reload.removed",
    "reload.published",
    "reload.listed",
    "load.cleaned",
    // keywords
    "keyword.begun",
    "keyword.flushed",
    "keyword.added",
    "keyword.prepared",
    "keyword.committed",
    // snapshots, made and recovered
    "snapshot.points",
    "snapshot.durable",
    "snapshot.checksum",
    "snapshot.renamed",
    "snapshot.removed",
    "restore.reserved",
    "restore.block",
    "restore.read",
    "restore.loaded",
    "restore.stored",
];

/// Says that the process has come to this place.
#[inline]
pub fn pass(name: &'static str) {
    if let Some(watch) = WATCH.get() {
        watch(name);
    }
}

/// Has every waypoint told that is passed from now on; the first caller counts. For tests.
#[doc(hidden)]
pub fn watch(tell: fn(&'static str)) {
    // A second watcher would take the place of the first in the middle of what that one watches.
    let _ = WATCH.set(tell);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_who_is_not_watched_passes() {
        let mut names = ALL.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        pass(ALL[0]);
    }
}
