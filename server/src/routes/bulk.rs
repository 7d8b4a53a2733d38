//! Points in columns: imported as they come, exported as they are read.
//!
//! An Arrow stream is imported while it comes, and held back when commits are slower. A Parquet file says at its end
//! what is in it, so it is put aside first.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use kithdb::arrow::array::{RecordBatch, RecordBatchReader};
use kithdb::arrow::datatypes::SchemaRef;
use kithdb::arrow::error::ArrowError;
use kithdb::bulk::files::{self, Format, Source};
use kithdb::bulk::{Export, ImportOptions, Imported};
use kithdb::{Error, Result};
use serde_json::json;

use super::Call;
use crate::State;
use crate::access::{Need, Rights};
use crate::incoming::{Arriving, Incoming};
use crate::lanes::Lane;
use crate::state::{EXPORTS_MAX, Inner};
use crate::strict::Strict;
use crate::wire::bulk::{ExportQuery, ImportQuery, ImportedOut, Running};
use crate::{body, error, limits, stream};

/// Types of bodies.
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
const ARROW_FILE: &str = "application/vnd.apache.arrow.file";
const PARQUET: &str = "application/vnd.apache.parquet";
const JSON_LINES: &str = "application/x-ndjson";

/// All of them.
pub(super) const KINDS: [&str; 4] = [ARROW_STREAM, ARROW_FILE, PARQUET, JSON_LINES];

/// Bytes that tell a format from another.
const MAGIC_BYTES: u64 = 8;

/// `GET /api/v1/collections/{collection}/import`: how far imports are.
pub(super) fn imports(call: &Call) -> Result<Running> {
    Ok(call.collection()?.imports().into())
}

/// `POST /api/v1/collections/{collection}/import`.
pub(super) async fn import(
    Shared(state): Shared<State>,
    Extension(rights): Extension<Rights>,
    Path(collection): Path<String>,
    query: std::result::Result<Query<ImportQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let began = Instant::now();
    let options = query.map_err(|error| Error::invalid("query", error.body_text()).with_source(error));
    let options = options.and_then(|Query(query)| query.into_options());
    let options = match options.and_then(|options| may_make(&state, &rights, &collection).map(|()| options)) {
        Ok(options) => options,
        Err(error) => {
            body::discard(request.into_body());
            return error::respond(&error, began);
        }
    };
    let (parts, body) = request.into_parts();
    let kind =
        parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let (sender, reading) = stream::to_reader();
    let inner = Arc::clone(&state.inner);
    let take = move || {
        let taken = take(&inner, &collection, &kind, reading, &options);
        // Its bytes are known by its own name, which may be another.
        if let Ok(found) = inner.db.collection(&collection) {
            inner.rates.recount(found.name());
        }
        taken
    };
    let pumped = stream::pump(body, sender, state.inner.limits.body_time_max);
    let (imported, rest) = tokio::join!(state.inner.lanes.run(Lane::Receives, take), pumped);
    // A client that is still sending when the connection closes may never see the answer.
    rest.map(|rest| tokio::spawn(body::drain(rest)));
    match imported {
        Ok(imported) => {
            let result = ImportedOut::from(imported);
            axum::Json(json!({"result": result, "status": "ok", "time": began.elapsed().as_secs_f64()}))
                .into_response()
        }
        Err(error) => error::respond(&error, began),
    }
}

/// An import makes its collection where there is none, which not everybody may.
fn may_make(state: &State, rights: &Rights, collection: &str) -> Result<()> {
    match state.inner.db.collection(collection) {
        Ok(_) => Ok(()),
        Err(_) => rights.check(Need::Manage),
    }
}

fn take(
    inner: &Inner,
    collection: &str,
    kind: &str,
    reading: stream::Reading,
    options: &ImportOptions,
) -> Result<Imported> {
    let mut from = BufReader::with_capacity(256 << 10, Arriving(reading));
    let mut magic = Vec::new();
    from.by_ref().take(MAGIC_BYTES).read_to_end(&mut magic).map_err(arrived)?;
    let format = format(kind, &magic)?;
    let from = Cursor::new(magic).chain(from);
    let limits = inner.db.limits();
    let import = |source: Source| {
        // Documents that wait for a library of this name that was dropped would come into what is made.
        rag::forget_gone(&inner.db, collection)?;
        let batches = Held { batches: source.batches, inner, collection };
        inner.db.import(collection, batches, options, &mut |_| ())
    };
    let imported = if format == Format::Parquet {
        let incoming = Incoming::new(&inner.db, limits.import_bytes_max)?;
        let mut from = from;
        incoming.take(&mut from).map_err(arrived)?;
        files::open_parquet(File::open(incoming.path())?, limits).and_then(import)
    } else {
        files::read(from, None, format, options, limits).and_then(import)
    };
    imported.map_err(|error| match error.field() {
        Some("batches" | "file") => error.with_field(error::BODY),
        _ => error,
    })
}

/// Batches until strict mode says that the collection is full. What is on its way then still comes in.
struct Held<'a> {
    batches: Box<dyn RecordBatchReader + Send>,
    inner: &'a Inner,
    collection: &'a str,
}

impl Held<'_> {
    fn check(&self) -> Result<()> {
        match self.inner.db.collection(self.collection) {
            Ok(collection) => Strict::of(&collection, &self.inner.rates).check_room(),
            // It is about to be made.
            Err(_) => Ok(()),
        }
    }
}

impl Iterator for Held<'_> {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.and_then(|batch| match self.check() {
            Ok(()) => Ok(batch),
            Err(error) => Err(ArrowError::ExternalError(Box::new(error))),
        }))
    }
}

impl RecordBatchReader for Held<'_> {
    fn schema(&self) -> SchemaRef {
        self.batches.schema()
    }
}

/// The error of bytes that did not arrive, or are too many.
fn arrived(error: impl Into<Error>) -> Error {
    let error = error.into();
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
    match source.map(std::io::Error::kind) {
        Some(ErrorKind::UnexpectedEof) => {
            Error::invalid(error::BODY, "broke off before its end; nothing was imported")
        }
        Some(ErrorKind::FileTooLarge) => {
            let message =
                "is larger than the limit import_bytes_max; send it in parts, or as an Arrow stream";
            Error::new(kithdb::ErrorKind::LimitExceeded, message).with_field(error::BODY)
        }
        _ => error,
    }
}

/// What a body is: what it says, or else how it begins.
fn format(kind: &str, magic: &[u8]) -> Result<Format> {
    let said = match kind.split(';').next().unwrap_or_default().trim() {
        ARROW_STREAM | ARROW_FILE => Some(Format::Arrow),
        PARQUET | "application/x-parquet" | "application/parquet" => Some(Format::Parquet),
        JSON_LINES | "application/jsonl" | "application/x-jsonlines" => Some(Format::JsonLines),
        _ => None,
    };
    said.or_else(|| Format::of_bytes(magic)).ok_or_else(|| {
        let message = format!(
            "is neither an Arrow stream nor a Parquet file; its content-type `{kind}` says nothing else \
             ({ARROW_STREAM}, {PARQUET} or {JSON_LINES} would)"
        );
        Error::invalid(error::BODY, message)
    })
}

/// `GET /api/v1/collections/{collection}/export`.
pub(super) async fn export(
    Shared(state): Shared<State>,
    Path(collection): Path<String>,
    query: std::result::Result<Query<ExportQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let began = Instant::now();
    let options = query.map_err(|error| Error::invalid("query", error.body_text()).with_source(error));
    let (format, options) = match options.and_then(|Query(query)| query.into_options()) {
        Ok(options) => options,
        Err(error) => return error::respond(&error, began),
    };
    let Ok(place) = Arc::clone(&state.inner.exports).try_acquire_owned() else {
        return error::respond(&limits::full("exports", "exports are on their way", EXPORTS_MAX), began);
    };
    let inner = Arc::clone(&state.inner);
    // The first pass, over payloads, decides the columns: what is wrong with the request shows here.
    let begin = move || inner.db.collection(&collection)?.export(&options);
    match state.inner.lanes.run(Lane::Computes, begin).await {
        Ok(export) => {
            let (kind, ending) = match format {
                Format::Parquet => (PARQUET, "parquet"),
                Format::JsonLines => (JSON_LINES, "jsonl"),
                _ => (ARROW_STREAM, "arrow"),
            };
            let disposition = format!("attachment; filename=\"export.{ending}\"");
            let head = [(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)];
            let body = stream::of_writer(move |to| {
                let written = write(export, format, to).map_err(std::io::Error::other);
                drop(place);
                written
            });
            (head, body).into_response()
        }
        Err(error) => error::respond(&error, began),
    }
}

fn write(export: Export, format: Format, to: &mut (dyn Write + Send)) -> Result<()> {
    let mut sink = files::write(to, format, &export.schema())?;
    for batch in export {
        sink.write(&batch.map_err(files::refused)?)?;
    }
    sink.finish()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use kithdb::{Database, Point, Schema};
    use tower::ServiceExt as _;

    use super::*;
    use crate::{ServeOptions, router};

    /// Each held a thread for as long as its client took, and there are no more than some hundred of these.
    #[tokio::test]
    async fn exports_on_their_way_have_an_end() {
        let db = Database::in_memory().expect("a database");
        let points = db.create_collection("c", Schema::new()).expect("a collection");
        points.upsert(vec![Point::new(1)]).expect("a point");
        let state = State::new(db, None, &ServeOptions::default());
        let status = || async {
            let request = Request::builder().uri("/api/v1/collections/c/export").body(Body::empty());
            let response = router(&state).oneshot(request.expect("a request")).await.expect("an answer");
            response.status().as_u16()
        };
        assert_eq!(status().await, 200);
        let all = u32::try_from(EXPORTS_MAX).expect("a number");
        let held = Arc::clone(&state.inner.exports).acquire_many_owned(all).await.expect("it is open");
        assert_eq!(status().await, 503);
        drop(held);
        assert_eq!(status().await, 200);
    }

    #[test]
    fn a_body_is_what_it_says_or_how_it_begins() {
        assert_eq!(format(PARQUET, b"").expect("said"), Format::Parquet);
        assert_eq!(format("application/octet-stream", b"PAR1..").expect("begun"), Format::Parquet);
        assert_eq!(format("", &[0xff, 0xff, 0xff, 0xff, 8]).expect("begun"), Format::Arrow);
        assert_eq!(format("application/json", b"[1,2]").expect_err("neither").field(), Some(error::BODY));
    }
}
