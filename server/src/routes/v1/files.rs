//! `/v1/files`: what was uploaded. Who may read or write files has that right on the collection that they lie in.

use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use kithdb::{Error, Result, Value};
use rag::Shelf;
use rag::shelf::FILES;
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

use super::super::{Call, call};
use super::shelf;
use crate::access::{Need, Rights};
use crate::lanes::Lane;
use crate::wire::openai::page::PageIn;
use crate::wire::openai::{files, fresh, now_s};
use crate::{State, error, multipart};

/// Files of a list, unless it is said otherwise, and at most.
const LIMIT: (usize, usize) = (10_000, 10_000);

/// How fields of a form begin that would take a file away after a while.
const EXPIRES: &str = "expires_after";

/// `POST /v1/files`: a form.
pub(super) async fn upload(Shared(state): Shared<State>, request: Request) -> Response {
    let began = Instant::now();
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multipart::boundary(kind);
    let inner = Arc::clone(&state.inner);
    let read = call::read(state, request).await;
    let taken = match read {
        Ok(call) => inner.lanes.run(Lane::Waits, move || take(&call, boundary.as_deref())).await,
        Err(error) => Err(error),
    };
    taken.map_or_else(|error| error::respond(&error, began), call::of_json)
}

fn take(call: &Call, boundary: Option<&str>) -> Result<Vec<u8>> {
    call.rights.check_of(&call.state.db, FILES, Need::Write)?;
    let boundary = boundary.ok_or_else(|| {
        Error::invalid(error::BODY, "must be a form (multipart/form-data) with the fields purpose and file")
    })?;
    let parts = multipart::parts(call.bytes(), boundary)?;
    let part = |name: &str| {
        let found = parts.iter().find(|part| part.name == name);
        found.ok_or_else(|| Error::invalid(name, "is missing in the form"))
    };
    if let Some(part) = parts.iter().find(|part| part.name.starts_with(EXPIRES)) {
        let message = format!("({}) is not kept: files stay until they are deleted", part.name);
        return Err(Error::invalid(EXPIRES, message));
    }
    let purpose = String::from_utf8_lossy(part("purpose")?.content).into_owned();
    files::check_purpose(&purpose)?;
    let file = part("file")?;
    let name =
        file.file_name.as_deref().ok_or_else(|| Error::invalid("file", "must be a file, with a name"))?;
    let file = shelf(call).upload(&fresh("file-"), name, &purpose, file.content, now_s())?;
    call::json(&files::told(&file))
}

pub(super) fn list(call: &Call) -> Result<Value> {
    call.rights.check_of(&call.state.db, FILES, Need::Read)?;
    let page: PageIn = call.query()?;
    let all = shelf(call).files()?.into_iter();
    let wanted = all.filter(|file| page.purpose.as_ref().is_none_or(|purpose| *purpose == file.purpose));
    page.of(wanted.map(|file| (file.id.clone(), files::told(&file))).collect(), LIMIT)
}

pub(super) fn get(call: &Call) -> Result<Value> {
    call.rights.check_of(&call.state.db, FILES, Need::Read)?;
    shelf(call).file(call.part("file")?).map(|file| files::told(&file))
}

pub(super) fn delete(call: &Call) -> Result<Value> {
    call.rights.check_of(&call.state.db, FILES, Need::Write)?;
    let id = call.part("file")?;
    // It goes from the stores as well: who may not write to one of them keeps it there.
    let check = |store: &str| call.rights.check_of(&call.state.db, store, Need::Write);
    shelf(call).delete_file(id, check)?;
    Ok(json!({"id": id, "object": "file", "deleted": true}))
}

/// `GET /v1/files/{file}/content`: the file as it came.
pub(super) async fn content(
    Shared(state): Shared<State>,
    axum::Extension(rights): axum::Extension<Rights>,
    Path(id): Path<String>,
) -> Response {
    let began = Instant::now();
    let inner = Arc::clone(&state.inner);
    let read = move || {
        rights.check_of(&inner.db, FILES, Need::Read)?;
        Shelf { db: &inner.db, embedder: None }.content(&id)
    };
    match state.inner.lanes.run(Lane::Waits, read).await {
        Ok(bytes) => {
            // What was uploaded is never shown as a page of this server.
            let head = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment")];
            (head, Body::from(bytes)).into_response()
        }
        Err(error) => error::respond(&error, began),
    }
}
