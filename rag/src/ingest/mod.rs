//! A folder of documents into a collection, again and again: only what changed is done anew.
//!
//! Two collections hold a library: `<name>` has the chunks (vector, keywords, payload), `<name>.sources` the documents
//! they were cut from, whole, so that a chunk's span can be shown and checked.
//!
//! Invariants: a document becomes visible, changes or goes in one commit over both collections, never by halves. The
//! bytes `start..end` of the stored source are the text of the chunk. A document whose hash, model and chunk size are
//! those of its stored source is not touched; of a changed one, chunks whose text stayed keep their vector.
//!
//! Cost: embedding is nearly all of it. Documents are embedded in groups of about [`GROUP_CHUNKS`] chunks, so that a
//! batch has texts of like length; an interrupted run has lost at most one group and goes on from there.

mod document;
mod library;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use kithdb::{Database, Error, Op, Result, Transaction};

use crate::walk::FILE_BYTES_MAX;
use crate::{Embedder, Skip, Skipped, Walk, walk};
use document::Document;
pub use library::SOURCES_SUFFIX;
use library::{Known, Library};

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
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            collection: "documents".to_owned(),
            folder_field: "folder".to_owned(),
            time_max: None,
            file_bytes_max: FILE_BYTES_MAX,
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
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// Whether the chunks have vectors; without a model they have keywords only.
    pub has_vectors: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Ingests a folder (or one file). Documents that were ingested from the same folder before and are gone now are
/// removed. `progress` is called from this thread after every document; when it breaks off, the rest is for the next
/// run.
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
    let library = Library::open(db, options, embedder)?;
    let root = walk.root.canonicalize().map_err(|error| {
        Error::invalid("path", format!("`{}` cannot be read: {error}", walk.root.display()))
            .with_source(error)
    })?;
    let root = root.to_string_lossy().into_owned();
    let known = library.known(&root)?;
    let files = walk.files.clone();
    let report =
        IngestReport { skipped: walk.skipped.clone(), has_vectors: embedder.is_some(), ..Default::default() };
    let mut run = Run {
        db,
        library,
        options,
        embedder,
        progress,
        root,
        known,
        total: files.len(),
        began: Instant::now(),
        group: Vec::new(),
        report,
    };
    run.documents(&walk, &files)?;
    run.remove_gone(&walk)?;
    run.report.elapsed = run.began.elapsed();
    Ok(run.report)
}

/// Makes the two collections of a library that holds nothing yet, where they do not exist.
///
/// # Errors
/// As for [`ingest`].
pub fn prepare(db: &Database, options: &IngestOptions, embedder: Option<&Embedder>) -> Result<()> {
    Library::open(db, options, embedder).map(drop)
}

/// One ingestion at work.
struct Run<'a> {
    db: &'a Database,
    library: Library,
    options: &'a IngestOptions,
    embedder: Option<&'a Embedder>,
    progress: &'a dyn Fn(Progress) -> ControlFlow<()>,
    root: String,
    known: Known,
    total: usize,
    began: Instant,
    /// Documents that wait to be embedded and committed.
    group: Vec<Document>,
    report: IngestReport,
}

impl Run<'_> {
    fn documents(&mut self, walk: &Walk, files: &[String]) -> Result<()> {
        for (position, file) in files.iter().enumerate() {
            if self.options.time_max.is_some_and(|time_max| self.began.elapsed() >= time_max) {
                self.report.left = files.len() - position;
                break;
            }
            match walk.read(file) {
                Ok(source) => self.document(Document::new(&self.root, source, self.embedder))?,
                Err(reason) => self.pass_over(file, reason),
            }
            if self.group.iter().map(|document| document.chunks.len()).sum::<usize>() >= GROUP_CHUNKS {
                self.commit()?;
            }
            if self.tell(position + 1).is_break() {
                self.report.left = files.len() - position - 1;
                break;
            }
        }
        self.commit()?;
        // What is left is left already.
        let _ = self.tell(files.len() - self.report.left);
        Ok(())
    }

    fn tell(&self, documents: usize) -> ControlFlow<()> {
        let chunks = self.report.chunks;
        (self.progress)(Progress { documents, documents_total: self.total, chunks })
    }

    fn pass_over(&mut self, file: &str, reason: Skip) {
        self.report.skipped.push(Skipped { path: file.to_owned(), reason });
    }

    fn document(&mut self, document: Document) -> Result<()> {
        match self.known.fingerprint(document.id) {
            Some(fingerprint) if *fingerprint == document.fingerprint => self.report.unchanged += 1,
            known => {
                let is_new = known.is_none();
                self.report.added += usize::from(is_new);
                self.report.changed += usize::from(!is_new);
                self.report.bytes += document.source.text.len();
                self.group.push(document);
            }
        }
        Ok(())
    }

    /// Embeds the documents that wait, and commits each in one go over both collections.
    fn commit(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        let old: Result<Vec<_>> = group.iter().map(|document| self.library.chunks_of(document.id)).collect();
        let old = old?;
        let vectors = self.vectors(&group, &old)?;
        let mut vectors = vectors.into_iter();
        let (mut chunk_ops, mut source_ops) = (Vec::new(), Vec::new());
        for (document, old) in group.iter().zip(&old) {
            let mut points = document.points(&self.options.folder_field);
            if self.embedder.is_some() {
                points = points
                    .into_iter()
                    .zip(vectors.by_ref())
                    .map(|(point, vector)| point.vector(vector))
                    .collect();
            }
            self.report.chunks += points.len();
            let stale: Vec<_> =
                old.iter().map(|old| old.id).filter(|id| points.iter().all(|new| new.id != *id)).collect();
            chunk_ops.push(Op::Delete(stale));
            chunk_ops.extend(points.into_iter().map(Op::Upsert));
            source_ops.push(Op::Upsert(document.source_point()));
        }
        if source_ops.is_empty() {
            return Ok(());
        }
        let library = &self.library;
        let transaction =
            Transaction::new().on(library.chunks.name(), chunk_ops).on(library.sources.name(), source_ops);
        self.db.commit(transaction).map(drop)
    }

    /// The vectors of all chunks of a group, in order: kept where the text stayed, else made by the model.
    fn vectors(&mut self, group: &[Document], old: &[Vec<library::OldChunk>]) -> Result<Vec<Vec<f32>>> {
        let Some(embedder) = self.embedder else { return Ok(Vec::new()) };
        let mut vectors: Vec<Option<Vec<f32>>> = Vec::new();
        let mut texts: Vec<String> = Vec::new();
        for (document, old) in group.iter().zip(old) {
            for text in document.texts_to_embed() {
                let kept =
                    old.iter().find(|old| old.text_to_embed == text).and_then(|old| old.vector.clone());
                if kept.is_none() {
                    texts.push(text);
                }
                vectors.push(kept);
            }
        }
        let made =
            embedder.embed_documents(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &|_| ())?;
        self.report.embedded += made.len();
        let mut made = made.into_iter();
        Ok(vectors.into_iter().map(|kept| kept.or_else(|| made.next()).unwrap_or_default()).collect())
    }

    fn remove_gone(&mut self, walk: &Walk) -> Result<()> {
        let present: std::collections::HashSet<_> =
            walk.files.iter().map(|file| document::source_id(&self.root, file)).collect();
        for id in self.known.ids().filter(|id| !present.contains(id)) {
            let chunks: Vec<_> = self.library.chunks_of(id)?.into_iter().map(|chunk| chunk.id).collect();
            let transaction = Transaction::new()
                .on(self.library.chunks.name(), vec![Op::Delete(chunks)])
                .on(self.library.sources.name(), vec![Op::Delete(vec![id])]);
            self.db.commit(transaction)?;
            self.report.removed += 1;
        }
        Ok(())
    }
}
