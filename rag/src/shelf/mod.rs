//! Uploaded files, and the stores of documents that they are put into: what OpenAI calls files and vector stores.
//!
//! A store is a collection of chunks with its collection of sources, as an ingestion makes them; so whatever was
//! ingested is a store as well. Files lie in a collection of their own, as they came. What the schema of a
//! collection has no place for (names, metadata, times) is a point of a further one.
//!
//! Invariants: a file is in a store whole or not at all, in one commit over chunks and sources; it says there
//! whether it could be read. A file that is deleted is in no store any more, as in that dialect.
//! Cost: to put a file into a store is to embed it, and is waited for.

mod files;
mod members;
mod records;
mod stores;

use kithdb::Database;

use crate::Embedder;

pub use files::{CONTENTS, FILES, File};
pub use members::{Chunking, Holdings, Member, State};
pub use records::RESPONSES;
pub use stores::{BATCHES, Batch, STORES, Store, Wanted};

/// Files and stores of a database.
#[derive(Clone, Copy)]
pub struct Shelf<'a> {
    /// The database.
    pub db: &'a Database,
    /// What embeds documents.
    pub embedder: Option<&'a Embedder>,
}
