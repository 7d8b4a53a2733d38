//! A job at work.
//!
//! Invariant: a commit that ingests documents takes their bytes out of `<name>.jobs` and moves the job on by as many:
//! the job's place is what is stored, never what a process remembers.

use std::collections::HashSet;

use kithdb::{Collection, Database, Op, PointId, Result};

use super::super::document::{Document, Shape};
use super::super::library::Library;
use super::super::writer::{Ops, Writer, put};
use super::super::{GROUP_CHUNKS, IngestReport};
use super::{Job, State, Upload, root_of, store};
use crate::{Embedder, Metadata, parse};

/// Documents of a commit, even if all of them are as they are stored.
const GROUP_DOCUMENTS: usize = GROUP_CHUNKS;

/// Goes on with a job to its end, or until `is_stopped`, which is asked before each group. How far it is then.
///
/// # Errors
/// What ends it for now: it may be run again, and the job says what it was. A job whose collection is of another model,
/// or gone, fails for good.
pub fn run(
    db: &Database,
    id: PointId,
    embedder: Option<&Embedder>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Job> {
    let (jobs, job) = store::held(db, id)?;
    if job.state != State::Running {
        return Ok(job);
    }
    let library = Library::reopen(db, &job.collection, embedder)?;
    let writer = Writer::new(db, library, embedder, &job.order.folder_field, IngestReport::default());
    let mut run = Run { db, jobs, embedder, before: &job, job: job.clone(), writer };
    while run.job.documents < run.job.documents_total {
        if is_stopped() {
            return Ok(run.job);
        }
        run.group()?;
    }
    run.end()?;
    Ok(run.job)
}

struct Run<'a> {
    db: &'a Database,
    jobs: Collection,
    embedder: Option<&'a Embedder>,
    /// As it was when this run began.
    before: &'a Job,
    /// As it is stored now.
    job: Job,
    writer: Writer<'a>,
}

impl Run<'_> {
    /// Reads documents until there are enough for a commit, and commits.
    fn group(&mut self) -> Result<()> {
        let begin = self.job.documents;
        let mut end = begin;
        let mut seen = HashSet::new();
        while end < self.job.documents_total && end - begin < GROUP_DOCUMENTS && !self.writer.is_full() {
            let upload = store::read_upload(&self.jobs, self.job.id, end)?;
            // Two of the same name are two revisions: the second waits for the first.
            if upload.as_ref().is_some_and(|upload| !seen.insert(upload.path.clone())) {
                break;
            }
            if let Some(upload) = upload {
                self.document(upload)?;
            }
            end += 1;
        }
        let mut job = self.job.clone();
        job.documents = end;
        job.error = None;
        let ids = (begin..end).map(|nth| store::upload_id(job.id, nth)).collect();
        let (before, jobs) = (self.before, self.jobs.clone());
        let mut moved = None;
        self.writer.commit(|report| {
            job.add(before, report);
            let ops = vec![Op::Delete(ids), Op::Upsert(store::point(&job))];
            moved = Some(job);
            vec![(jobs, ops)]
        })?;
        self.job = moved.unwrap_or_else(|| self.job.clone());
        Ok(())
    }

    fn document(&mut self, upload: Upload) -> Result<()> {
        let shape = Shape {
            size_max: self.job.order.chunk_size_max,
            overlap: self.job.order.chunk_overlap,
            metadata: Metadata::default(),
        };
        let root = root_of(&self.job.order.set);
        let read = parse::parse(&upload.path, upload.bytes);
        match read.and_then(|source| Document::new(&root, source, &upload.metadata, &shape, self.embedder)) {
            Ok(document) => {
                let known = self.writer.library.known_one(document.id)?;
                self.writer.offer(document, known.as_ref())
            }
            Err(reason) => {
                self.writer.pass_over(&upload.path, reason);
                Ok(())
            }
        }
    }

    /// Removes what a mirror no longer has, and closes the job.
    fn end(&mut self) -> Result<()> {
        if self.job.order.is_mirror {
            let kept = store::mirrored(&self.jobs, &self.job)?;
            let known = self.writer.library.known(&root_of(&self.job.order.set))?;
            let mut gone: Vec<PointId> = known.into_keys().filter(|id| !kept.contains(id)).collect();
            gone.sort();
            for id in gone {
                let (before, job, jobs) = (self.before, &mut self.job, &self.jobs);
                let also = |report: &IngestReport| -> Ops {
                    job.add(before, report);
                    vec![put(jobs, store::point(job))]
                };
                self.writer.remove(id, also)?;
            }
        }
        self.job.state = State::Done;
        self.job.error = None;
        let mut ops = vec![Op::Upsert(store::point(&self.job))];
        if self.job.order.is_mirror {
            ops.push(Op::Delete(vec![store::mirror_id(self.job.id)]));
        }
        self.db.commit(kithdb::Transaction::new().on_collection(&self.jobs, ops)).map(drop)
    }
}

/// Says of a job what went wrong; of one that cannot be ended, drops what it had not ingested.
///
/// # Errors
/// What the database returns.
pub fn note(db: &Database, id: PointId, error: &kithdb::Error, is_final: bool) -> Result<()> {
    let (jobs, mut job) = store::held(db, id)?;
    job.error = Some(error.to_string());
    let mut ops = Vec::new();
    if is_final {
        job.state = State::Failed;
        let left = job.documents..job.documents_total;
        let mut ids: Vec<PointId> = left.map(|nth| store::upload_id(id, nth)).collect();
        if job.order.is_mirror {
            ids.push(store::mirror_id(id));
        }
        if !ids.is_empty() {
            ops.push(Op::Delete(ids));
        }
    }
    ops.push(Op::Upsert(store::point(&job)));
    db.commit(kithdb::Transaction::new().on_collection(&jobs, ops)).map(drop)
}
