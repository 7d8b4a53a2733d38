//! Documents: uploaded, listed, read, removed; and the jobs that ingest them.

use std::thread;
use std::time::{Duration, Instant};

use kithdb::{Error, ErrorKind, PointId, Result};
use rag::documents;
use rag::jobs::{self, Job, State};

use super::Call;
use crate::access::Need;
use crate::wire::documents::{DocumentOut, DocumentsOut, JobOut, ListQuery, UploadQuery, read};

/// Between two looks at a job that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Documents of a page unless the request says otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 10_000;

/// `POST /api/v1/collections/{collection}/documents`.
pub(super) fn upload(call: &Call) -> Result<JobOut> {
    let name = call.part("collection")?;
    let db = &call.state.db;
    // An upload makes its collection where there is none, which not everybody may.
    let known = db.collection(name);
    if known.is_err() {
        call.rights.check(Need::Manage)?;
    }
    let query: UploadQuery = call.query()?;
    let (order, uploads) = read(call.content_type(), call.bytes(), call.tree())?;
    if let Ok(collection) = &known {
        let strict = call.strict(collection);
        strict.check_room()?;
        // Of how many points each will be nothing is known.
        strict.take_write(uploads.len())?;
    }
    let mut job = jobs::submit(db, name, &order, uploads, call.state.embedder.as_deref())?;
    call.state.jobs.wake();
    // What was accepted is kept: an answer in time, whatever its state, is better than none. Who finds too many waiting
    // is answered at once: writes would stand behind them.
    let end = call.deadline() - Duration::from_millis(500);
    let place = call.state.waiters.try_acquire().ok().filter(|_| query.wait);
    while place.is_some() && job.state == State::Running && job.error.is_none() && Instant::now() < end {
        thread::sleep(LOOK);
        job = jobs::get(db, job.id)?;
    }
    Ok(job.into())
}

/// `GET /api/v1/collections/{collection}/documents`.
pub(super) fn list(call: &Call) -> Result<DocumentsOut> {
    let query: ListQuery = call.query()?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Error::invalid("limit", format!("is {limit}; it must be from 1 to {PAGE_MAX}")));
    }
    let from = query.offset.as_deref().map(str::parse).transpose();
    let from = from.map_err(|error: Error| error.with_field("offset"))?;
    let page = documents::list(&call.state.db, call.part("collection")?, query.set.as_deref(), from, limit)?;
    let document = |(id, payload)| DocumentOut::new(id, payload);
    Ok(DocumentsOut {
        documents: page.documents.into_iter().map(document).collect(),
        next_offset: page.next.map(|id| id.to_string()),
    })
}

/// `GET /api/v1/collections/{collection}/documents/{document}`.
pub(super) fn get(call: &Call) -> Result<DocumentOut> {
    let point = documents::get(&call.state.db, call.part("collection")?, id(call, "document")?)?;
    Ok(DocumentOut::new(point.id, point.payload))
}

/// `DELETE /api/v1/collections/{collection}/documents/{document}`.
pub(super) fn remove(call: &Call) -> Result<bool> {
    documents::remove(&call.state.db, call.part("collection")?, id(call, "document")?)?;
    Ok(true)
}

/// `GET /api/v1/collections/{collection}/jobs`.
pub(super) fn jobs_of(call: &Call) -> Result<Vec<JobOut>> {
    let jobs = jobs::list(&call.state.db, call.part("collection")?)?;
    Ok(jobs.into_iter().map(Into::into).collect())
}

/// `GET /api/v1/jobs/{job}`.
pub(super) fn job(call: &Call) -> Result<JobOut> {
    let id = id(call, "job")?;
    let job: Job = jobs::get(&call.state.db, id)?;
    // Who may not read the collection learns nothing of its jobs.
    let hidden = || Error::new(ErrorKind::NotFound, format!("there is no job `{id}`")).with_field("job");
    let checked = call.rights.check_of(&call.state.db, &job.collection, Need::Read);
    checked.map_err(|_| hidden()).map(|()| job.into())
}

fn id(call: &Call, part: &str) -> Result<PointId> {
    call.part(part)?.parse().map_err(|error: Error| error.with_field(part))
}
