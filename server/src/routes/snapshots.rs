//! Snapshots: made, listed, sent, taken back. Those of the one shard of a collection are those of the collection.

use std::fs::File;
use std::io::BufReader;
use std::io::ErrorKind::{FileTooLarge, UnexpectedEof};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::HeaderName;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use kithdb::{Database, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::call::accepted;
use crate::State;
use crate::error::{self, Refusal};
use crate::incoming::Incoming;
use crate::lanes::Lane;
use crate::wire::snapshot::{Described, Recover, Source, check_sum};
use crate::{body, multipart, stream};

pub(super) fn list(call: &Call) -> Result<Vec<Described>> {
    let (state, of) = (&call.state, of(call)?);
    let snapshots = match &state.bucket {
        Some(bucket) => bucket.list(&state.db, of),
        None => state.db.snapshots(of),
    };
    Ok(snapshots?.into_iter().map(Described::from).collect())
}

pub(super) fn create(call: &Call) -> Result<Described> {
    let (state, of) = (&call.state, of(call)?);
    let made = match &state.bucket {
        Some(bucket) => bucket.create(&state.db, of),
        None => state.db.create_snapshot(of),
    };
    made.map(Described::from)
}

pub(super) fn delete(call: &Call) -> Result<bool> {
    let (state, of, name) = (&call.state, of(call)?, call.part("snapshot")?);
    let deleted = match &state.bucket {
        Some(bucket) => bucket.delete(&state.db, of, name),
        None => state.db.delete_snapshot(of, name),
    };
    deleted.map(|()| true)
}

/// Whether there is what a snapshot is to be made of.
pub(super) fn may_create(call: &Call) -> Result<()> {
    of(call)?.map_or(Ok(()), |_| call.collection().map(drop))
}

/// Whether there is a snapshot to be deleted.
pub(super) fn may_delete(call: &Call) -> Result<()> {
    let (state, of, name) = (&call.state, of(call)?, call.part("snapshot")?);
    match &state.bucket {
        Some(bucket) => bucket.path(&state.db, of, name).map(drop),
        None => state.db.snapshot_path(of, name).map(drop),
    }
}

/// Whether a collection may be made of what is named.
pub(super) fn may_recover(call: &Call) -> Result<()> {
    check_shard_of(call)?;
    let body: Recover = call.parse()?;
    body.source(&call.state.db.snapshots_folder()).map(drop)
}

/// The collection of the path; nothing where the route is of everything.
fn of(call: &Call) -> Result<Option<&str>> {
    call.part("shard").map_or(Ok(()), check_shard)?;
    Ok(call.part("collection").ok())
}

/// The one shard of a collection.
const SHARD: &str = "0";

/// # Errors
/// `NotFound` for a shard that no collection has.
fn check_shard(shard: &str) -> Result<()> {
    match shard {
        SHARD => Ok(()),
        other => {
            let message = format!("Not found: Shard {other} not found; a collection has one, {SHARD}");
            Err(Error::new(ErrorKind::NotFound, message).with_field("shard_id"))
        }
    }
}

/// What takes the place of a shard takes that of a collection, which must be there.
///
/// # Errors
/// `NotFound`.
fn check_shard_of(call: &Call) -> Result<()> {
    match call.part("shard") {
        Ok(shard) => check_shard(shard).and_then(|()| call.collection().map(drop)),
        Err(_) => Ok(()),
    }
}

pub(super) fn recover(call: &Call) -> Result<bool> {
    check_shard_of(call)?;
    let (db, body): (&Database, Recover) = (&call.state.db, call.parse()?);
    let collection = call.part("collection")?;
    let recover = |path: &std::path::Path| {
        db.recover_collection(collection, path, body.checksum.as_deref()).map_err(unsound)
    };
    let incoming = incoming(db)?;
    match body.source(&db.snapshots_folder())? {
        Source::File(path) => recover(&path)?,
        Source::Kept(name) => match &call.state.bucket {
            Some(bucket) => {
                let path = bucket.path(db, Some(collection), &name)?;
                bucket.fetch_from(&path, &mut incoming.create()?).map_err(faulted)?;
                recover(incoming.path())?;
            }
            None => recover(&db.snapshot_path(Some(collection), &name)?)?,
        },
        Source::Url(url) => {
            call.state.hosts.fetch(&url, &mut incoming.create()?).map_err(faulted)?;
            recover(incoming.path())?;
        }
        Source::Bucket(location) => {
            let none =
                || Error::invalid("location", "is in a bucket, and this server has none (snapshot_store)");
            let bucket = call.state.bucket.as_ref().ok_or_else(none)?;
            bucket.fetch(&location, &mut incoming.create()?).map_err(faulted)?;
            recover(incoming.path())?;
        }
    }
    call.state.rates.recount(collection);
    Ok(true)
}

pub(super) async fn download_of(
    Shared(state): Shared<State>,
    Path((collection, name)): Path<(String, String)>,
) -> Response {
    download(state, Some(collection), name).await
}

pub(super) async fn download_of_shard(
    Shared(state): Shared<State>,
    Path((collection, shard, name)): Path<(String, String, String)>,
) -> Response {
    match check_shard(&shard) {
        Ok(()) => download(state, Some(collection), name).await,
        Err(error) => error::respond(&error, Instant::now()),
    }
}

pub(super) async fn download_of_all(Shared(state): Shared<State>, Path(name): Path<String>) -> Response {
    download(state, None, name).await
}

async fn download(state: State, of: Option<String>, name: String) -> Response {
    let began = Instant::now();
    let inner = Arc::clone(&state.inner);
    if let Some(bucket) = inner.bucket.clone() {
        let path =
            state.inner.lanes.run(Lane::Waits, move || bucket.path(&inner.db, of.as_deref(), &name)).await;
        return match path {
            Ok(path) => sent(&state, &path).await.unwrap_or_else(|error| error::respond(&error, began)),
            Err(error) => error::respond(&error, began),
        };
    }
    let open = move || {
        let file = File::open(inner.db.snapshot_path(of.as_deref(), &name)?)?;
        let bytes = file.metadata()?.len();
        Ok::<_, Error>((file, bytes, name))
    };
    match state.inner.lanes.run(Lane::Waits, open).await {
        Ok((file, bytes, name)) => (head(bytes, &name), stream::of_file(file)).into_response(),
        Err(error) => error::respond(&error, began),
    }
}

/// A snapshot of the bucket, passed on as it comes.
async fn sent(state: &State, path: &object_store::path::Path) -> Result<Response> {
    let none = || Error::new(ErrorKind::Internal, "the server has no bucket");
    let (bytes, blocks) = state.inner.bucket.as_ref().ok_or_else(none)?.open_stream(path).await?;
    Ok((head(bytes, path.filename().unwrap_or_default()), Body::from_stream(blocks)).into_response())
}

fn head(bytes: u64, name: &str) -> [(HeaderName, String); 3] {
    let name: String = name.chars().map(|c| if c.is_ascii_graphic() && c != '"' { c } else { '_' }).collect();
    [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ]
}

#[derive(Deserialize)]
pub(super) struct Upload {
    checksum: Option<String>,
    wait: Option<bool>,
}

/// `POST /collections/{collection}/snapshots/upload`: a form whose part `snapshot` is the file, or the file itself.
/// With `wait=false` it is answered when the file is there.
pub(super) async fn upload(
    Shared(state): Shared<State>,
    Path(collection): Path<String>,
    query: std::result::Result<Query<Upload>, QueryRejection>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let query = query.map_err(|error| Error::invalid("query", error.body_text()).with_source(error));
    let query = query.and_then(|Query(query)| {
        check_sum(query.checksum.as_deref(), Refusal::Query)?;
        Ok(query)
    });
    let Upload { checksum, wait } = match query {
        Ok(query) => query,
        Err(error) => {
            body::discard(body);
            return error::respond(&error, began);
        }
    };
    let incoming = match receive(&state, &parts, body).await {
        Ok(incoming) => incoming,
        Err(error) => return error::respond(&error, began),
    };
    let inner = Arc::clone(&state.inner);
    let recover = move || {
        let recovered = inner.db.recover_collection(&collection, incoming.path(), checksum.as_deref());
        inner.rates.recount(&collection);
        recovered.map_err(unsound)
    };
    if wait == Some(false) {
        return accepted(state.inner, parts.uri.path().to_owned(), began, recover);
    }
    match state.inner.lanes.run(Lane::Receives, recover).await {
        Ok(()) => {
            let body = json!({"result": true, "status": "ok", "time": began.elapsed().as_secs_f64()});
            axum::Json(body).into_response()
        }
        Err(error) => error::respond(&error, began),
    }
}

/// As [`upload`], of the one shard of a collection that is there.
pub(super) async fn upload_to_shard(
    Shared(state): Shared<State>,
    Path((collection, shard)): Path<(String, String)>,
    query: std::result::Result<Query<Upload>, QueryRejection>,
    request: Request,
) -> Response {
    let there = check_shard(&shard).and_then(|()| state.inner.db.collection(&collection).map(drop));
    if let Err(error) = there {
        body::discard(request.into_body());
        return error::respond(&error, Instant::now());
    }
    upload(Shared(state), Path(collection), query, request).await
}

/// The file of an upload, put aside as it comes.
async fn receive(state: &State, parts: &Parts, body: Body) -> Result<Incoming> {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = multipart::boundary(kind.unwrap_or_default());
    let (sender, reading) = stream::to_reader();
    let inner = Arc::clone(&state.inner);
    let take = move || -> Result<Incoming> {
        let incoming = incoming(&inner.db)?;
        let mut from = BufReader::with_capacity(256 << 10, reading);
        match boundary {
            Some(boundary) => multipart::part(&mut from, &boundary, "snapshot", &mut incoming.create()?)?,
            None => incoming.take(&mut from)?,
        }
        // What is behind the file is read, so that the client sees the answer.
        std::io::copy(&mut from, &mut std::io::sink())?;
        Ok(incoming)
    };
    let pumped = stream::pump(body, sender, state.inner.limits.body_time_max);
    let (taken, rest) = tokio::join!(state.inner.lanes.run(Lane::Receives, take), pumped);
    rest.map(|rest| tokio::spawn(body::drain(rest)));
    taken.map_err(faulted)
}

/// A place for a snapshot that comes from elsewhere.
fn incoming(db: &Database) -> Result<Incoming> {
    Incoming::new(db, db.limits().snapshot_bytes_max)
}

/// A file that was sent or named and is damaged, or of a later version, is no fault of the server.
fn unsound(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupted | ErrorKind::UnsupportedFormat => {
            let message = format!("cannot be recovered, and nothing was changed: {}", error.message());
            Error::invalid("snapshot", message).with_source(error)
        }
        _ => error,
    }
}

/// A body that broke off, or has no end, is no fault of the disk.
fn faulted(error: Error) -> Error {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let refused = |kind, why| Error::new(kind, why).with_field("snapshot");
    match source.map(std::io::Error::kind) {
        Some(UnexpectedEof) => refused(ErrorKind::InvalidArgument, "broke off before its end"),
        Some(FileTooLarge) => {
            refused(ErrorKind::LimitExceeded, "is larger than the limit snapshot_bytes_max")
        }
        _ => error,
    }
}
