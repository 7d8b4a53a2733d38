//! `<name>.jobs`: jobs, and the documents that they have still to ingest.
//!
//! ```text
//! job       payload: kind "job", state, error, created_ms, set, is_mirror, folder_field, chunk_size_max,
//!           chunk_overlap,
//!                    documents_total, documents, the counters, skipped [[path, reason]], duplicates
//! mirror    payload: kind "mirror", kept; the documents that a job's set is to have, until the job is at its end
//! document  payload: kind "document", path, content (base64), metadata; id from the job's and its place in it
//! ```

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kithdb::{
    Collection, Condition, Database, Error, ErrorKind, FieldKind, Filter, Op, Payload, Point, PointId,
    Result, Schema, Select, Value,
};
use serde_json::json;

use super::{Job, Order, State, Upload, root_of};
use crate::Metadata;
use crate::collections::{find, or_create};
use crate::dedup::Duplicate;
use crate::ingest::document::source_id;

/// Behind the name of a collection of chunks, the name of the collection of its jobs.
pub const JOBS_SUFFIX: &str = ".jobs";

/// Jobs at their end that are kept to be asked for.
const ENDED_MAX: usize = 100;

/// Jobs read at once.
const PAGE: usize = 1_000;

/// Jobs of a collection that are not at their end: as many as are read at once.
const RUNNING_MAX: usize = PAGE;

/// Its fields.
pub(in crate::ingest) const JOB_FIELDS: [(&str, FieldKind); 2] =
    [("kind", FieldKind::Keyword), ("state", FieldKind::Keyword)];

pub(super) fn collection_of(db: &Database, name: &str) -> Result<Collection> {
    or_create(db, &format!("{name}{JOBS_SUFFIX}"), || {
        let mut schema = Schema::new();
        for (path, kind) in JOB_FIELDS {
            schema = schema.field(path.parse()?, kind);
        }
        Ok(schema)
    })
}

/// The job of an id, whatever its collection.
///
/// # Errors
/// `NotFound`.
pub fn get(db: &Database, id: PointId) -> Result<Job> {
    held(db, id).map(|(_, job)| job)
}

/// A job, and the collection that has it: what is written of it there comes into no other of that name.
///
/// # Errors
/// `NotFound`.
pub(super) fn held(db: &Database, id: PointId) -> Result<(Collection, Job)> {
    for (name, jobs) in all_collections(db) {
        if let Some(job) = read(&jobs, &name, id)? {
            return Ok((jobs, job));
        }
    }
    let message = format!("there is no job `{id}`; those at their end are kept for a while only");
    Err(Error::new(ErrorKind::NotFound, message).with_field("job"))
}

/// The jobs of a collection, the latest first.
///
/// # Errors
/// `NotFound` when there is no such collection.
pub fn list(db: &Database, collection: &str) -> Result<Vec<Job>> {
    let name = db.collection(collection)?.name().to_owned();
    match find(db, &format!("{name}{JOBS_SUFFIX}"))? {
        Some(jobs) => of_state(&jobs, &name, None),
        None => Ok(Vec::new()),
    }
}

/// The jobs of all collections that are not at their end, the earliest first.
///
/// # Errors
/// What the database returns.
pub fn unfinished(db: &Database) -> Result<Vec<Job>> {
    let mut found = Vec::new();
    for (name, jobs) in all_collections(db) {
        found.extend(of_state(&jobs, &name, Some(State::Running))?);
    }
    found.sort_by_key(|job| (job.created_ms, job.id));
    Ok(found)
}

fn all_collections(db: &Database) -> Vec<(String, Collection)> {
    let named = |jobs: Collection| {
        let name = jobs.name().strip_suffix(JOBS_SUFFIX)?.to_owned();
        // What somebody else called so is none of ours.
        db.collection(&name).is_ok().then_some((name, jobs))
    };
    db.collections().into_iter().filter_map(named).collect()
}

fn of_state(jobs: &Collection, name: &str, state: Option<State>) -> Result<Vec<Job>> {
    let filter = Filter::must(Condition::equals("kind", "job")?);
    let filter = match state {
        Some(state) => filter.and(Condition::equals("state", state.name())?),
        None => filter,
    };
    let points = jobs.scroll(&filter, None, PAGE, &Select::default())?.points;
    let mut found: Vec<Job> = points.iter().map(|point| job(name, point)).collect();
    found.sort_by_key(|job| std::cmp::Reverse((job.created_ms, job.id)));
    Ok(found)
}

/// Drops the oldest of the jobs at their end when there are many.
pub(super) fn forget_oldest(jobs: &Collection) -> Result<()> {
    let all = of_state(jobs, "", None)?;
    let ended = all.iter().filter(|job| job.state != State::Running).skip(ENDED_MAX);
    let ids: Vec<PointId> = ended.map(|job| job.id).collect();
    if ids.is_empty() { Ok(()) } else { jobs.delete(ids).map(drop) }
}

/// Refuses a further job where too many wait: there is one thread for those of all collections.
///
/// # Errors
/// `Busy` on `documents`; what the database returns.
pub(super) fn check_room(jobs: &Collection) -> Result<()> {
    let running = Filter::must(Condition::equals("kind", "job")?);
    let count = jobs.count(&running.and(Condition::equals("state", State::Running.name())?))?;
    if count < RUNNING_MAX {
        return Ok(());
    }
    let message = format!(
        "{count} jobs of this collection are not at their end, and {RUNNING_MAX} may be; try again when some are, or \
         upload more documents at once"
    );
    Err(Error::new(ErrorKind::Busy, message).with_field("documents"))
}

pub(super) fn read(jobs: &Collection, name: &str, id: PointId) -> Result<Option<Job>> {
    let points = jobs.get(&[id], &Select::default())?;
    let is_job = |point: &&Point| text(&point.payload, "kind") == "job";
    Ok(points.iter().find(is_job).map(|point| job(name, point)))
}

/// The id of a document that waits.
pub(super) fn upload_id(job: PointId, nth: usize) -> PointId {
    PointId::from_name(&format!("upload\n{job}\n{nth}"))
}

/// The document at a place of a job, if it still waits.
pub(super) fn read_upload(jobs: &Collection, job: PointId, nth: usize) -> Result<Option<Upload>> {
    let Some(point) = jobs.get(&[upload_id(job, nth)], &Select::default())?.pop() else { return Ok(None) };
    let bytes = STANDARD.decode(text(&point.payload, "content")).map_err(|error| {
        Error::new(ErrorKind::Corrupted, format!("upload {nth} of job `{job}` is not what was kept"))
            .with_source(error)
    })?;
    let metadata = point.payload.get("metadata").and_then(Value::as_object);
    let metadata = metadata.map(Metadata::of_payload).unwrap_or_default();
    Ok(Some(Upload { path: text(&point.payload, "path").to_owned(), bytes, metadata }))
}

/// What keeps a job and its documents.
pub(super) fn kept(job: &Job, uploads: &[Upload]) -> Vec<Op> {
    let document = |(nth, upload): (usize, &Upload)| {
        let point =
            Point::new(upload_id(job.id, nth)).with("kind", "document").with("path", upload.path.clone());
        let point = point.with("content", STANDARD.encode(&upload.bytes));
        Op::Upsert(point.with("metadata", upload.metadata.payload()))
    };
    let documents = uploads.iter().enumerate().map(document);
    let mirror = job.order.is_mirror.then(|| Op::Upsert(mirror(job, uploads)));
    std::iter::once(Op::Upsert(point(job))).chain(mirror).chain(documents).collect()
}

/// The id of the list of what a mirror keeps.
pub(super) fn mirror_id(job: PointId) -> PointId {
    PointId::from_name(&format!("mirror\n{job}"))
}

/// What a mirror keeps, apart from its job, which is written with each commit.
fn mirror(job: &Job, uploads: &[Upload]) -> Point {
    let root = root_of(&job.order.set);
    let kept = uploads.iter().map(|upload| source_id(&root, &upload.path).to_string());
    Point::new(mirror_id(job.id)).with("kind", "mirror").with("kept", kept.collect::<Vec<_>>())
}

/// The documents that a mirror keeps, by the ids of their sources.
///
/// # Errors
/// `Corrupted` when the list is not there: without it everything would be removed.
pub(super) fn mirrored(jobs: &Collection, job: &Job) -> Result<HashSet<PointId>> {
    let found = jobs.get(&[mirror_id(job.id)], &Select::default())?.pop();
    match found {
        Some(point) => Ok(ids(&point.payload)),
        None if job.kept.is_empty() && job.documents_total > 0 => {
            Err(Error::corrupted(format!("job `{}`", job.id), "the list of its mirror is missing"))
        }
        None => Ok(job.kept.iter().copied().collect()),
    }
}

fn ids<C: FromIterator<PointId>>(payload: &Payload) -> C {
    let kept = payload.get("kept").and_then(Value::as_array).into_iter().flatten();
    kept.filter_map(|id| id.as_str()?.parse().ok()).collect()
}

/// A job as it is stored.
pub(super) fn point(job: &Job) -> Point {
    let duplicate = |found: &Duplicate| json!([found.path, found.of, found.similarity]);
    let mut counters = json!({
        "kind": "job", "state": job.state.name(), "error": job.error, "created_ms": job.created_ms,
        "set": job.order.set, "is_mirror": job.order.is_mirror, "folder_field": job.order.folder_field,
        "chunk_size_max": job.order.chunk_size_max, "chunk_overlap": job.order.chunk_overlap,
        "documents_total": job.documents_total, "documents": job.documents, "added": job.added,
        "changed": job.changed, "unchanged": job.unchanged, "removed": job.removed, "chunks": job.chunks,
        "embedded": job.embedded, "skipped": job.skipped, "skipped_total": job.skipped_total,
        "duplicates": job.duplicates.iter().map(duplicate).collect::<Vec<_>>(),
        "duplicates_total": job.duplicates_total,
    });
    if !job.kept.is_empty() {
        counters["kept"] = json!(job.kept.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    let Value::Object(payload) = counters else { return Point::new(job.id) };
    Point::new(job.id).payload(payload)
}

fn job(collection: &str, point: &Point) -> Job {
    let payload = &point.payload;
    let number = |key: &str| payload.get(key).and_then(Value::as_u64).unwrap_or(0);
    let count = |key: &str| number(key) as usize;
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let list = |key: &str| payload.get(key).and_then(Value::as_array).into_iter().flatten();
    let pair = |value: &Value| <[String; 2]>::try_from(texts(value)).ok().map(|[path, why]| (path, why));
    let duplicate = |value: &Value| {
        let [path, of] = texts(value).try_into().ok()?;
        Some(Duplicate { path, of, similarity: value.get(2)?.as_f64()? as f32 })
    };
    Job {
        id: point.id,
        collection: collection.to_owned(),
        state: match text(payload, "state") {
            "done" => State::Done,
            "failed" => State::Failed,
            _ => State::Running,
        },
        error: payload.get("error").and_then(Value::as_str).map(str::to_owned),
        created_ms: number("created_ms"),
        order: Order {
            set: text(payload, "set").to_owned(),
            is_mirror: payload.get("is_mirror").and_then(Value::as_bool).unwrap_or(false),
            folder_field: text(payload, "folder_field").to_owned(),
            chunk_size_max: payload.get("chunk_size_max").and_then(Value::as_u64).map(|size| size as usize),
            chunk_overlap: count("chunk_overlap"),
        },
        documents_total: count("documents_total"),
        documents: count("documents"),
        added: count("added"),
        changed: count("changed"),
        unchanged: count("unchanged"),
        removed: count("removed"),
        chunks: count("chunks"),
        embedded: count("embedded"),
        skipped: list("skipped").filter_map(pair).collect(),
        // Jobs of an earlier version list all of them.
        skipped_total: count("skipped_total").max(list("skipped").count()),
        duplicates: list("duplicates").filter_map(duplicate).collect(),
        duplicates_total: count("duplicates_total").max(list("duplicates").count()),
        kept: ids(payload),
    }
}

fn text<'a>(payload: &'a Payload, key: &str) -> &'a str {
    payload.get(key).and_then(Value::as_str).unwrap_or_default()
}
