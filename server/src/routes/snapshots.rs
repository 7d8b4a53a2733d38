//! Snapshots: made, listed, sent, taken back.

use std::fs::File;
use std::io::BufReader;
use std::io::ErrorKind::{FileTooLarge, UnexpectedEof};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use kithdb::{Database, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;

use super::Call;
use crate::State;
use crate::error;
use crate::incoming::Incoming;
use crate::lanes::Lane;
use crate::wire::snapshot::{Described, Recover, Source};
use crate::{body, multipart, stream};

pub(super) fn list(call: &Call) -> Result<Vec<Described>> {
    let snapshots = call.state.db.snapshots(of(call))?;
    Ok(snapshots.into_iter().map(Described::from).collect())
}

pub(super) fn create(call: &Call) -> Result<Described> {
    call.state.db.create_snapshot(of(call)).map(Described::from)
}

pub(super) fn delete(call: &Call) -> Result<bool> {
    call.state.db.delete_snapshot(of(call), call.part("snapshot")?).map(|()| true)
}

/// The collection of the path; nothing where the route is of everything.
fn of(call: &Call) -> Option<&str> {
    call.part("collection").ok()
}

pub(super) fn recover(call: &Call) -> Result<bool> {
    let (db, body): (&Database, Recover) = (&call.state.db, call.parse()?);
    let collection = call.part("collection")?;
    let recover = |path: &std::path::Path| db.recover_collection(collection, path, body.checksum.as_deref());
    match body.source(&db.snapshots_folder(), call.host.as_deref())? {
        Source::File(path) => recover(&path)?,
        Source::Own { collection, name } => recover(&db.snapshot_path(collection.as_deref(), &name)?)?,
        Source::Url(url) => {
            let mut found = call.state.hosts.fetch(&url)?;
            let incoming = incoming(db)?;
            incoming.take(&mut found.as_reader()).map_err(faulted)?;
            recover(incoming.path())?;
        }
    }
    Ok(true)
}

pub(super) async fn download_of(
    Shared(state): Shared<State>,
    Path((collection, name)): Path<(String, String)>,
) -> Response {
    download(state, Some(collection), name).await
}

pub(super) async fn download_of_all(Shared(state): Shared<State>, Path(name): Path<String>) -> Response {
    download(state, None, name).await
}

async fn download(state: State, of: Option<String>, name: String) -> Response {
    let began = Instant::now();
    let inner = Arc::clone(&state.inner);
    let open = move || {
        let file = File::open(inner.db.snapshot_path(of.as_deref(), &name)?)?;
        let bytes = file.metadata()?.len();
        Ok::<_, Error>((file, bytes, name))
    };
    match state.inner.lanes.run(Lane::Waits, open).await {
        Ok((file, bytes, name)) => {
            let name: String =
                name.chars().map(|c| if c.is_ascii_graphic() && c != '"' { c } else { '_' }).collect();
            let head = [
                (CONTENT_TYPE, "application/octet-stream".to_owned()),
                (CONTENT_LENGTH, bytes.to_string()),
                (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
            ];
            (head, stream::of_file(file)).into_response()
        }
        Err(error) => error::respond(&error, began),
    }
}

#[derive(Deserialize)]
pub(super) struct Upload {
    checksum: Option<String>,
}

/// `POST /collections/{collection}/snapshots/upload`: a form with one file, or the file itself.
pub(super) async fn upload(
    Shared(state): Shared<State>,
    Path(collection): Path<String>,
    Query(Upload { checksum }): Query<Upload>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let content_type =
        parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multipart::boundary(content_type);
    let (sender, reading) = stream::to_reader();
    let inner = Arc::clone(&state.inner);
    let take = move || {
        let incoming = incoming(&inner.db)?;
        let mut from = BufReader::with_capacity(256 << 10, reading);
        match boundary {
            Some(boundary) => multipart::first_part(&mut from, &boundary, &mut incoming.create()?)?,
            None => incoming.take(&mut from)?,
        }
        // What is behind the file is read, so that the client sees the answer.
        std::io::copy(&mut from, &mut std::io::sink())?;
        inner.db.recover_collection(&collection, incoming.path(), checksum.as_deref())
    };
    let pumped = stream::pump(body, sender, state.inner.limits.body_time_max);
    let (taken, rest) = tokio::join!(state.inner.lanes.run(Lane::Receives, take), pumped);
    rest.map(|rest| tokio::spawn(body::drain(rest)));
    match taken.map_err(faulted) {
        Ok(()) => {
            let body = json!({"result": true, "status": "ok", "time": began.elapsed().as_secs_f64()});
            axum::Json(body).into_response()
        }
        Err(error) => error::respond(&error, began),
    }
}

/// A place for a snapshot that comes from elsewhere.
fn incoming(db: &Database) -> Result<Incoming> {
    Incoming::new(db, db.limits().snapshot_bytes_max)
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
