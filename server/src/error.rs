//! From an error of the engine to an answer: one table from kind to HTTP status, one envelope.
//!
//! The envelope is the dialect's: `{"status": {"error": "..."}, "time": ...}`. The text names the field at fault; for
//! programs it stands in the header `kithdb-error-field` as well, since clients refuse keys that they do not know.

use std::time::Instant;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use kithdb::{Error, ErrorKind};
use serde_json::json;

/// The header that names the field at fault.
pub(crate) const FIELD_HEADER: HeaderName = HeaderName::from_static("kithdb-error-field");

/// The header that names the kind of an error: several kinds share a status.
pub(crate) const KIND_HEADER: HeaderName = HeaderName::from_static("kithdb-error-kind");

/// The field of a body that is too large; the only limit that has a status of its own.
pub(crate) const BODY: &str = "body";

/// How the text begins where the dialect answers 422: a value of the right type that can never be.
pub(crate) const VALIDATION: &str = "Validation error in JSON body: ";

/// The HTTP status of each kind of error.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::LimitExceeded => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Busy | ErrorKind::Poisoned => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        // Io, Corrupted, UnsupportedFormat, Internal, and whatever is added without a line here.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a request that failed.
pub(crate) fn respond(error: &Error, began: Instant) -> Response<Body> {
    let status = match (error.kind(), error.field()) {
        (ErrorKind::LimitExceeded, Some(BODY)) => StatusCode::PAYLOAD_TOO_LARGE,
        (ErrorKind::InvalidArgument, _) if error.message().starts_with(VALIDATION) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        (kind, _) => status(kind),
    };
    if status.is_server_error() {
        tracing::error!(%error, source = ?std::error::Error::source(error), "a request failed");
    }
    let mut response = envelope(status, &text(error), began);
    // A field with other characters than a header may have is in the text only.
    if let Some(Ok(field)) = error.field().map(HeaderValue::from_str) {
        response.headers_mut().insert(FIELD_HEADER, field);
    }
    response.headers_mut().insert(KIND_HEADER, HeaderValue::from_static(error.kind().name()));
    if error.kind() == ErrorKind::Busy {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// An answer in the envelope of errors.
pub(crate) fn envelope(status: StatusCode, text: &str, began: Instant) -> Response<Body> {
    let body = json!({"status": {"error": text}, "time": began.elapsed().as_secs_f64()}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The text, beginning as clients expect it: several look for "Not found" and "already exists" there.
fn text(error: &Error) -> String {
    let message = error.message();
    match (error.kind(), error.field()) {
        (ErrorKind::NotFound | ErrorKind::AlreadyExists, _) => message.to_owned(),
        (ErrorKind::InvalidArgument | ErrorKind::LimitExceeded, field) => {
            let (start, rest) = ["Wrong input: ", "Format error in JSON body: ", VALIDATION]
                .into_iter()
                .find_map(|start| Some((start, message.strip_prefix(start)?)))
                .unwrap_or(("Wrong input: ", message));
            field.map_or_else(|| format!("{start}{rest}"), |field| format!("{start}{field}: {rest}"))
        }
        (ErrorKind::Busy | ErrorKind::Poisoned, _) => format!("Service unavailable: {error}"),
        (ErrorKind::Conflict, _) => format!("Version conflict: {error}"),
        (ErrorKind::DeadlineExceeded, _) => format!("Timeout error: {message}"),
        _ => format!("Service internal error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_status() {
        let table = [
            (ErrorKind::InvalidArgument, 400),
            (ErrorKind::LimitExceeded, 400),
            (ErrorKind::NotFound, 404),
            (ErrorKind::AlreadyExists, 409),
            (ErrorKind::Conflict, 412),
            (ErrorKind::Busy, 503),
            (ErrorKind::Poisoned, 503),
            (ErrorKind::DeadlineExceeded, 408),
            (ErrorKind::Io, 500),
            (ErrorKind::Corrupted, 500),
            (ErrorKind::UnsupportedFormat, 500),
            (ErrorKind::Internal, 500),
        ];
        for (kind, expected) in table {
            let response = respond(&Error::new(kind, "why"), Instant::now());
            assert_eq!(response.status().as_u16(), expected, "{kind:?}");
            assert_eq!(response.headers()[KIND_HEADER], kind.name());
        }
        let large = respond(&Error::limit(BODY, "its size", 9, 8), Instant::now());
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn the_text_begins_as_clients_expect_and_names_the_field() {
        let cases = [
            (Error::no_collection("a"), "Not found: Collection `a` doesn't exist!"),
            (Error::invalid("limit", "is 0"), "Wrong input: limit: is 0"),
            (Error::invalid("a[0]", "Wrong input: bad"), "Wrong input: a[0]: bad"),
            (
                Error::invalid("a.b", "Validation error in JSON body: 0"),
                "Validation error in JSON body: a.b: 0",
            ),
            (Error::invalid("a", "Format error in JSON body: bad"), "Format error in JSON body: a: bad"),
            (Error::new(ErrorKind::Internal, "bad"), "Service internal error: bad"),
        ];
        for (error, expected) in cases {
            assert_eq!(text(&error), expected);
        }
        let response = respond(&Error::invalid("points[3].vector", "is bad"), Instant::now());
        assert_eq!(response.headers()[FIELD_HEADER], "points[3].vector");
    }
}
