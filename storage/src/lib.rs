//! The truth: what is stored is the database, everything in `index` is derived from it.
//!
//! Here is a version, give me its point. [`Store`] speaks of collections, points and seqnos; below it, [`rows`] is
//! the one narrow interface to the engine (atomic batch, get, ordered scan), with RocksDB behind it, or a map in
//! memory for databases without a directory.
//!
//! Architecture invariant: the only crate that knows RocksDB. It knows no index: whoever derives something reads
//! points by version and the journal by seqno.
//! Invariant: one [`Commit`] is one atomic batch; vectors, payload and journal of a point change together or not at
//! all.
//! Invariant: a version's rows never change. A replaced version is unlinked by the commit and removed by
//! [`Store::purge`] once no reader needs it.

mod catalog;
mod commit;
pub mod format;
#[cfg(test)]
mod hostile;
pub mod rows;
mod scan;
mod snapshot;
mod store;
mod tar;
mod verify;

pub use catalog::Catalog;
pub use commit::Commit;
pub use format::catalog::CatalogEntry;
pub use format::journal::{JournalEntry, JournalOp};
pub use format::manifest::{CollectionState, SegmentList, SegmentRecord};
pub use rows::Figures;
pub use scan::StoredPoint;
pub use snapshot::{SnapshotReader, SnapshotWriter};
pub use store::Store;
pub use verify::{Fault, Verification};
