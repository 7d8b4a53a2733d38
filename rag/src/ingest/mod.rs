//! Documents into a collection, again and again: only what changed is done anew.
//!
//! Three collections hold a library: `<name>` has the chunks (vector, keywords, payload), `<name>.sources` the
//! documents they were cut from, whole, so that a chunk's span can be shown and checked; `<name>.jobs` what was
//! uploaded and is not yet ingested, and how far that is ([`jobs`]). Folders are read where they lie ([`ingest`]).
//!
//! Invariants: a document becomes visible, changes or goes in one commit over all of them, never by halves. The
//! bytes `start..end` of the stored source are the text of the chunk. A document whose hash, model, metadata and chunk
//! size are those of its stored source is not touched; of a changed one, chunks whose text stayed keep their vector.
//!
//! Cost: embedding is nearly all of it. Documents are embedded in groups of about [`GROUP_CHUNKS`] chunks, so that a
//! batch has texts of like length; an interrupted run has lost at most one group and goes on from there.

mod document;
pub mod documents;
pub mod jobs;
mod library;
pub mod reembed;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use kithdb::{Database, Error, PointId, Result};

use crate::dedup::Duplicate;
use crate::walk::FILE_BYTES_MAX;
use crate::{Embedder, Metadata, Skipped, Walk, walk};
use document::{Document, Shape};
use library::{Known, Library};
pub use library::{SOURCES_SUFFIX, forget_gone};
use writer::Writer;

/// Chunks that are embedded and committed together, about.
const GROUP_CHUNKS: usize = 128;

/// How to ingest.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// The collection; made if it does not exist.
    pub collection: String,
    /// The payload field that holds the first folder of a document's path, for filters.
    pub folder_field: String,
    /// Begin no further documents after so long; the rest is for the next run.
    pub time_max: Option<Duration>,
    /// Longer files are passed over.
    pub file_bytes_max: u64,
    /// Tokens of a chunk, or characters where there is no model.
    pub chunk_size_max: Option<usize>,
    /// Of them, those that a chunk may repeat of the one before.
    pub chunk_overlap: usize,
    /// What is said of every document.
    pub metadata: Metadata,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            collection: "documents".to_owned(),
            folder_field: "folder".to_owned(),
            time_max: None,
            file_bytes_max: FILE_BYTES_MAX,
            chunk_size_max: None,
            chunk_overlap: 0,
            metadata: Metadata::default(),
        }
    }
}

/// How far an ingestion is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Documents done, unchanged ones included.
    pub documents: usize,
    /// Documents there are.
    pub documents_total: usize,
    /// Chunks written.
    pub chunks: usize,
}

/// What an ingestion did.
#[derive(Clone, Debug, Default)]
pub struct IngestReport {
    /// Documents that were not there before.
    pub added: usize,
    /// Documents that had changed.
    pub changed: usize,
    /// Documents that were as they are stored.
    pub unchanged: usize,
    /// Documents that are gone from the folder, and so from the collection.
    pub removed: usize,
    /// Documents left for the next run, because the time was up or it was broken off.
    pub left: usize,
    /// Chunks written.
    pub chunks: usize,
    /// Chunks whose vector was made anew.
    pub embedded: usize,
    /// Bytes of text read for them.
    pub bytes: usize,
    /// Documents that say what another one of the library says.
    pub duplicates: Vec<Duplicate>,
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// Whether the chunks have vectors; without a model they have keywords only.
    pub has_vectors: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Ingests a folder (or one file). Documents that were ingested from the same folder before and are gone now are
/// removed; those that cannot be read (any more) stay as they were, and so do the neighbours of one file. `progress` is
/// called from this thread after every document; when it breaks off, the rest is for the next run.
///
/// # Errors
/// `InvalidArgument` on `path` when the folder cannot be read; on `model` when the collection belongs to another model;
/// what the database returns.
pub fn ingest(
    db: &Database,
    path: &Path,
    options: &IngestOptions,
    embedder: Option<&Embedder>,
    progress: &dyn Fn(Progress) -> ControlFlow<()>,
) -> Result<IngestReport> {
    let walk = walk(path, options.file_bytes_max)?;
    check_sizes(options.chunk_size_max, options.chunk_overlap)?;
    let library = Library::open(db, &options.collection, &options.folder_field, embedder)?;
    let root = walk.root.canonicalize().map_err(|error| {
        Error::invalid("path", format!("`{}` cannot be read: {error}", walk.root.display()))
            .with_source(error)
    })?;
    let root = root.to_string_lossy().into_owned();
    let known = library.known(&root)?;
    let report =
        IngestReport { skipped: walk.skipped.clone(), has_vectors: embedder.is_some(), ..Default::default() };
    let shape = Shape {
        size_max: options.chunk_size_max,
        overlap: options.chunk_overlap,
        metadata: options.metadata.clone().checked()?,
    };
    let writer = Writer::new(db, library, embedder, &options.folder_field, report);
    let mut run = Run { writer, options, embedder, progress, shape, root, known, began: Instant::now() };
    run.documents(&walk)?;
    // One file says nothing of its neighbours.
    if path.is_dir() {
        run.remove_gone(&walk)?;
    }
    let mut report = run.writer.report;
    report.elapsed = run.began.elapsed();
    Ok(report)
}

/// Makes the two collections of a library that holds nothing yet, where they do not exist.
///
/// # Errors
/// As for [`ingest`].
pub fn prepare(db: &Database, options: &IngestOptions, embedder: Option<&Embedder>) -> Result<()> {
    Library::open(db, &options.collection, &options.folder_field, embedder).map(drop)
}

/// Checks the sizes of chunks that were asked for.
///
/// # Errors
/// `InvalidArgument` naming the size.
fn check_sizes(size_max: Option<usize>, overlap: usize) -> Result<()> {
    let size = size_max.unwrap_or(usize::MAX);
    if size < CHUNK_SIZE_MIN {
        return Err(Error::invalid("chunk_size", format!("is {size}; {CHUNK_SIZE_MIN} is the least")));
    }
    if overlap > size / 2 {
        return Err(Error::invalid("chunk_overlap", format!("is {overlap}, more than half of a chunk")));
    }
    Ok(())
}

/// A smaller chunk says nothing.
const CHUNK_SIZE_MIN: usize = 16;

/// One ingestion of a folder at work.
struct Run<'a> {
    writer: Writer<'a>,
    options: &'a IngestOptions,
    embedder: Option<&'a Embedder>,
    progress: &'a dyn Fn(Progress) -> ControlFlow<()>,
    shape: Shape,
    root: String,
    known: HashMap<PointId, Known>,
    began: Instant,
}

impl Run<'_> {
    fn documents(&mut self, walk: &Walk) -> Result<()> {
        let total = walk.files.len();
        let none = |_: &IngestReport| Vec::new();
        for (position, file) in walk.files.iter().enumerate() {
            if self.options.time_max.is_some_and(|time_max| self.began.elapsed() >= time_max) {
                self.writer.report.left = total - position;
                break;
            }
            self.document(walk, file)?;
            if self.writer.is_full() {
                self.writer.commit(none)?;
            }
            if self.tell(position + 1, total).is_break() {
                self.writer.report.left = total - position - 1;
                break;
            }
        }
        self.writer.commit(none)?;
        // What is left is left already.
        let _ = self.tell(total - self.writer.report.left, total);
        Ok(())
    }

    fn tell(&self, documents: usize, documents_total: usize) -> ControlFlow<()> {
        (self.progress)(Progress { documents, documents_total, chunks: self.writer.report.chunks })
    }

    fn document(&mut self, walk: &Walk, file: &str) -> Result<()> {
        let none = Metadata::default();
        let read = walk.read(file);
        let document =
            read.and_then(|source| Document::new(&self.root, source, &none, &self.shape, self.embedder));
        match document {
            Ok(document) => {
                let known = self.known.get(&document.id);
                self.writer.offer(document, known)
            }
            Err(reason) => {
                self.writer.pass_over(file, reason);
                Ok(())
            }
        }
    }

    fn remove_gone(&mut self, walk: &Walk) -> Result<()> {
        let present: HashSet<_> =
            walk.files.iter().map(|file| document::source_id(&self.root, file)).collect();
        for (id, known) in &self.known {
            // What cannot be read, or no longer, is not gone: its last version stays.
            if !present.contains(id) && !walk.may_have(&known.path) {
                self.writer.remove(*id, |_| Vec::new())?;
            }
        }
        Ok(())
    }
}
