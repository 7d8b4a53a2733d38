//! What the keeper of the house does beside the writers of the crash test: one endless round of everything that is no
//! write of points. The child does it, the parent knows what it leaves.
//!
//! Each chore is durable when it is acknowledged, whatever durability the writers have, and whole or absent before;
//! only an import may have come in part, in whole blocks.

/// The collection that a snapshot of the first one is recovered as.
pub(crate) const COPY: &str = "copy";

/// A collection that comes and goes.
pub(crate) const SCRATCH: &str = "scratch";

/// Its further name.
pub(crate) const ALIAS: &str = "rough";

/// Rows of an import, and of each of its commits: so many that the disk is waited for beside the indexes
/// (`kithdb/src/applying.rs`), which no step of a writer has.
pub(crate) const IMPORT_ROWS: u64 = 3 * IMPORT_BLOCK_ROWS;
pub(crate) const IMPORT_BLOCK_ROWS: u64 = 512;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Makes the scratch collection.
    Make,
    /// Imports rows into it.
    Import,
    /// Gives it a vector more, and a sparse one, for which its segments get files.
    AddVector,
    /// Gives it its further name.
    Name,
    /// A snapshot of the first collection.
    Snapshot,
    /// Recovers that as the copy.
    Copy,
    /// Indexes a field of one collection, or ends that.
    Field(usize),
    /// Takes them away.
    RemoveVector,
    /// A snapshot of everything.
    SnapshotAll,
    /// One segment of everything in one collection.
    Optimize(usize),
    /// Every index made anew.
    Rebuild,
    Flush,
    /// Removes the snapshot of the first collection.
    RemoveSnapshot,
    /// Removes that of everything.
    RemoveSnapshotAll,
    /// Drops the scratch collection, and with it its further name.
    DropScratch,
    /// Drops the copy.
    DropCopy,
}

/// The chore of this number, from 1 on.
pub(crate) fn chore(number: u64) -> Chore {
    const LENGTH: u64 = 15;
    let (round, place) = (number / LENGTH, number % LENGTH);
    let side = (round % 2) as usize;
    match place {
        0 => Chore::Make,
        1 => Chore::Import,
        2 => Chore::AddVector,
        3 => Chore::Snapshot,
        4 => Chore::Name,
        5 => Chore::Copy,
        6 => Chore::Field(side),
        7 => Chore::RemoveVector,
        8 => Chore::SnapshotAll,
        9 => Chore::Optimize(side),
        10 => Chore::RemoveSnapshot,
        11 => Chore::RemoveSnapshotAll,
        12 => Chore::DropScratch,
        13 if round % 2 == 1 => Chore::DropCopy,
        14 if round % 2 == 1 => Chore::Rebuild,
        _ => Chore::Flush,
    }
}
