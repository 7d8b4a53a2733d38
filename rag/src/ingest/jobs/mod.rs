//! Uploads: documents that come as bytes, ingested by a job that survives whatever ends its process.
//!
//! [`submit`] keeps the bytes in `<name>.jobs`; from its return on they are as durable as the database promises.
//! [`run`] ingests them group by group, and each group's commit takes its bytes out again and moves the job on: a job
//! that is run again, by another process, goes on exactly behind its last commit.
//!
//! Uploads belong to a set. A job may mirror its set: what the set held before and was not uploaded now is removed, at
//! the end.
//!
//! Invariant: at every commit, a document of a job is either kept as bytes or ingested, never both, never neither.
//! Cost: an upload is written twice, as bytes and as a document.

mod run;
mod store;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kithdb::{Database, Error, PointId, Result, Transaction};

use super::check_sizes;
use super::library::Library;
use crate::dedup::Duplicate;
use crate::{Embedder, Metadata, Skipped, parse};
pub use run::{note, run};
pub(super) use store::JOB_FIELDS;
pub use store::{JOBS_SUFFIX, get, list, unfinished};

/// A document that comes as bytes.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// Its name within its set, parts separated by `/`; what it ends in decides how it is read.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// What is said of it.
    pub metadata: Metadata,
}

/// What a job does.
#[derive(Clone, Debug)]
pub struct Order {
    /// The set that the documents belong to.
    pub set: String,
    /// Documents of the set that are not among these are removed.
    pub is_mirror: bool,
    /// The payload field that holds the first folder of a document's path.
    pub folder_field: String,
    /// Tokens of a chunk, or characters where there is no model.
    pub chunk_size_max: Option<usize>,
    /// Of them, those that a chunk may repeat of the one before.
    pub chunk_overlap: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            set: "uploads".to_owned(),
            is_mirror: false,
            folder_field: "folder".to_owned(),
            chunk_size_max: None,
            chunk_overlap: 0,
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has documents to ingest; it goes on after a restart.
    Running,
    /// It is at its end.
    Done,
    /// It cannot be ended; what it had not ingested is dropped.
    Failed,
}

/// A job and how far it is.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: PointId,
    /// The collection that it ingests into.
    pub collection: String,
    /// How far it is.
    pub state: State,
    /// What went wrong last; of a job that runs, it is tried again.
    pub error: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// What it does.
    pub order: Order,
    /// Documents that it has.
    pub documents_total: usize,
    /// Documents done.
    pub documents: usize,
    /// Documents that were not there before.
    pub added: usize,
    /// Documents that had changed.
    pub changed: usize,
    /// Documents that were as they are stored.
    pub unchanged: usize,
    /// Documents of the set that were removed.
    pub removed: usize,
    /// Chunks written.
    pub chunks: usize,
    /// Chunks whose vector was made anew.
    pub embedded: usize,
    /// What was passed over, and why, in words; the first [`LISTED_MAX`].
    pub skipped: Vec<(String, String)>,
    /// Documents that were passed over, listed or not.
    pub skipped_total: usize,
    /// Documents that say what another one says; the first [`LISTED_MAX`].
    pub duplicates: Vec<Duplicate>,
    /// Such documents, listed or not.
    pub duplicates_total: usize,
    /// The documents of a mirror, by the ids of their sources, of a job from when they stood beside its counters.
    kept: Vec<PointId>,
}

/// Documents that a job lists of what it passed over, and of duplicates: it is written with each commit.
pub const LISTED_MAX: usize = 200;

/// Documents of a job.
pub const UPLOADS_MAX: usize = 10_000;

/// Bytes of a document that is uploaded: in base64 it must fit a payload.
pub const UPLOAD_BYTES_MAX: usize = 11 << 20;

/// Characters of a path or a set.
const NAME_CHARS_MAX: usize = 1_000;

/// Keeps documents to be ingested, and makes their collection if there is none. The job's id.
///
/// # Errors
/// `InvalidArgument` naming the document at fault, and then nothing is kept; `Busy` when too many jobs of the
/// collection wait; what the database returns.
pub fn submit(
    db: &Database,
    collection: &str,
    order: &Order,
    uploads: Vec<Upload>,
    embedder: Option<&Embedder>,
) -> Result<Job> {
    check_sizes(order.chunk_size_max, order.chunk_overlap)?;
    check_name(&order.set, "set")?;
    if uploads.len() > UPLOADS_MAX {
        let message = format!("has {} entries, a job has {UPLOADS_MAX} at most", uploads.len());
        return Err(Error::invalid("documents", message));
    }
    let uploads: Vec<Upload> = uploads
        .into_iter()
        .enumerate()
        .map(|(nth, upload)| check(upload).map_err(|error| error.within(&format!("documents[{nth}]"))))
        .collect::<Result<_>>()?;
    let library = Library::open(db, collection, &order.folder_field, embedder)?;
    let name = library.chunks.name().to_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let job = Job::new(PointId::random(), &name, order, uploads.len(), now.as_millis() as u64);
    let jobs = store::collection_of(db, &name)?;
    store::forget_oldest(&jobs)?;
    store::check_room(&jobs)?;
    let ops = store::kept(&job, &uploads);
    db.commit(Transaction::new().on(jobs.name(), ops))?;
    Ok(job)
}

/// The root of a set, as sources have it.
pub(super) fn root_of(set: &str) -> String {
    format!("set:{set}")
}

fn check(upload: Upload) -> Result<Upload> {
    check_name(&upload.path, "path")?;
    if parse::kind(&upload.path).is_none() {
        let message =
            format!("`{}` is no name of a kind that is read (docs/documents.md lists them)", upload.path);
        return Err(Error::invalid("path", message));
    }
    if upload.bytes.len() > UPLOAD_BYTES_MAX {
        let message = format!("has {} bytes, the limit is {UPLOAD_BYTES_MAX}", upload.bytes.len());
        return Err(Error::invalid("content", message));
    }
    let metadata = upload.metadata.checked().map_err(|error| error.within("metadata"))?;
    Ok(Upload { metadata, ..upload })
}

fn check_name(name: &str, field: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Error::invalid(field, format!("is longer than {NAME_CHARS_MAX} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(field, "has a control character"));
    }
    Ok(())
}

impl Job {
    fn new(id: PointId, collection: &str, order: &Order, documents_total: usize, created_ms: u64) -> Self {
        Self {
            id,
            collection: collection.to_owned(),
            state: State::Running,
            error: None,
            created_ms,
            order: order.clone(),
            documents_total,
            documents: 0,
            added: 0,
            changed: 0,
            unchanged: 0,
            removed: 0,
            chunks: 0,
            embedded: 0,
            skipped: Vec::new(),
            skipped_total: 0,
            duplicates: Vec::new(),
            duplicates_total: 0,
            kept: Vec::new(),
        }
    }

    /// Takes what a run has done since the job was read.
    fn add(&mut self, before: &Self, report: &super::IngestReport) {
        self.added = before.added + report.added;
        self.changed = before.changed + report.changed;
        self.unchanged = before.unchanged + report.unchanged;
        self.removed = before.removed + report.removed;
        self.chunks = before.chunks + report.chunks;
        self.embedded = before.embedded + report.embedded;
        let in_words = |skipped: &Skipped| (skipped.path.clone(), skipped.reason.to_string());
        let skipped = before.skipped.iter().cloned().chain(report.skipped.iter().map(in_words));
        self.skipped = skipped.take(LISTED_MAX).collect();
        self.skipped_total = before.skipped_total + report.skipped.len();
        let duplicates = before.duplicates.iter().chain(&report.duplicates);
        self.duplicates = duplicates.take(LISTED_MAX).cloned().collect();
        self.duplicates_total = before.duplicates_total + report.duplicates.len();
    }
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}
