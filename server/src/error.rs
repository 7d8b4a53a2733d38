//! From an error of the engine to an answer: one table from kind to HTTP status, one envelope.
//!
//! The envelope is the dialect's: `{"status": {"error": "..."}, "time": ...}`. The text names the field at fault; for
//! programs it stands in the header `kithdb-error-field` as well, since clients refuse keys that they do not know.

use std::fmt;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use kithdb::{Error, ErrorKind};
use rag::engine::{Failure, FailureKind};
use serde_json::{Value, json};

/// The header that names the field at fault.
pub(crate) const FIELD_HEADER: HeaderName = HeaderName::from_static("kithdb-error-field");

/// The header that names the kind of an error: several kinds share a status.
pub(crate) const KIND_HEADER: HeaderName = HeaderName::from_static("kithdb-error-kind");

/// Bytes of a field that the header names; clients refuse headers that are far longer.
const FIELD_BYTES_MAX: usize = 1_024;

/// The field of a body that is too large, and of a head: the limits that have a status of their own.
pub(crate) const BODY: &str = "body";
pub(crate) const HEAD: &str = "head";

/// The field of a body that is packed, which has a status of its own too.
pub(crate) const ENCODING: &str = "content-encoding";

/// Why a server refuses what the engine has no word for, as the source of the error: the status follows from it, and
/// how the text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A body that is not of the shape that it has to be.
    Malformed,
    /// A value of the right type that can never be, in a body.
    Body,
    /// The same in a body whose places the dialect begins with this.
    Below(&'static str),
    /// The same in a part of the path.
    Path,
    /// The same in a parameter behind the path.
    Query,
    /// No key was shown, or none that counts.
    Unauthorized,
    /// A key has not the right.
    Forbidden,
    /// The request makes no sense as a whole, or the settings of a collection rule it out.
    BadRequest,
    /// A collection has had its operations of a minute.
    Rate {
        /// Until there are enough again; nothing if there never will be.
        seconds: Option<u64>,
    },
}

impl Refusal {
    /// The error that names the field at fault.
    pub(crate) fn of(self, field: impl Into<String>, why: impl fmt::Display) -> Error {
        self.without_field(why).with_field(field)
    }

    /// The error, where the field is not known or not yet.
    pub(crate) fn without_field(self, why: impl fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidArgument, format!("{}{why}", self.start())).with_source(self)
    }

    /// The error of a body whose places the dialect begins with `part`, as its own types have it. Its field stays.
    pub(crate) fn below(error: Error, part: &'static str) -> Error {
        if Self::behind(&error) != Some(Self::Body) {
            return error;
        }
        let told = Error::new(error.kind(), error.message()).with_source(Self::Below(part));
        match error.field() {
            Some(field) => told.with_field(field),
            None => told,
        }
    }

    /// What is behind an error, if a server made it, also where it was told again with more words (an import says how
    /// many rows came before).
    pub(crate) fn behind(error: &Error) -> Option<Self> {
        let first = std::error::Error::source(error);
        let mut causes = std::iter::successors(first, |&cause| std::error::Error::source(cause));
        causes.find_map(|cause| cause.downcast_ref::<Self>()).copied()
    }

    /// How the text begins.
    fn start(self) -> &'static str {
        match self {
            Self::Malformed => "Format error in JSON body: ",
            Self::Body | Self::Below(_) => "Validation error in JSON body: ",
            Self::Path => "Validation error in path parameters: ",
            Self::Query => "Validation error in query parameters: ",
            Self::Unauthorized => "Unauthorized: ",
            Self::Forbidden => "Forbidden: ",
            Self::BadRequest => "Bad request: ",
            Self::Rate { .. } => "Rate limiting exceeded: ",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Body | Self::Below(_) | Self::Path | Self::Query => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Rate { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The text with the place in it, where the dialect tells one.
    fn text(self, message: &str, field: Option<&str>) -> String {
        let start = self.start();
        let why = message.strip_prefix(start).unwrap_or(message);
        match (self, field) {
            (Self::Below(part), Some(field)) => format!("{start}[{}: {why}]", below(part, field)),
            (Self::Body, Some(field)) => match unnamed(field, why) {
                Some(told) => format!("{start}[{told}] (`{field}`)"),
                None => format!("{start}[{field}: {why}]"),
            },
            (Self::Path | Self::Query, Some(field)) => format!("{start}[{field}: {why}]"),
            (Self::Malformed, Some(field)) => format!("{start}{field}: {why}"),
            // The others say all of it; the field is in the header.
            _ => message.to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.start().trim_end_matches(": "))
    }
}

impl std::error::Error for Refusal {}

/// A place as the dialect tells it, whose types have a further part there: in each search of several.
fn below(part: &str, field: &str) -> String {
    match field.split_once("].") {
        Some((search, rest)) if search.starts_with("searches[") => format!("{search}].{part}.{rest}"),
        _ => format!("{part}.{field}"),
    }
}

/// How our words on a vector begin, the part of it that the dialect names, and its words where they are others.
const VECTOR_FAULTS: [(&str, &str, Option<&str>); 4] = [
    ("must be the same length", "values", Some("Validation error: must be the same length as indices [{}]")),
    ("must be unique", "indices", Some("Validation error: must be unique [{}]")),
    ("all vectors must be non-empty", "data", Some("all vectors must be non-empty")),
    ("all vectors must have the same dimension", "data", None),
];

/// What the dialect says where a vector with a name is at fault: it has no word for the name, so that our place stands
/// behind it.
fn unnamed(field: &str, why: &str) -> Option<String> {
    let (points, _) = field.split_once("].vector.").filter(|(points, _)| points.starts_with("points["))?;
    let (_, part, words) = VECTOR_FAULTS.into_iter().find(|(start, ..)| why.starts_with(*start))?;
    // Where in the text it stands is said by no word of the dialect.
    let ours = why.rsplit_once(" at line ").map_or(why, |(ours, _)| ours);
    Some(format!("{points}].vector.?.{part}: {}", words.unwrap_or(ours)))
}

/// A value in a body that is of the right type and can never be.
pub(crate) fn invalid(field: &str, why: &str) -> Error {
    Refusal::Body.of(field, why)
}

/// What an error says, beside its answer: for a dialect that says it in another way.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) kind: Option<&'static str>,
}

impl Told {
    /// What an error says.
    pub(crate) fn of(error: &Error) -> Self {
        let kind = Some(error.kind().name());
        Self { message: error.message().to_owned(), field: error.field().map(str::to_owned), kind }
    }
}

/// The HTTP status of what the serving engine failed in.
fn engine_status(failure: &Failure) -> StatusCode {
    match failure.kind {
        FailureKind::ContextOverflow { .. } => StatusCode::BAD_REQUEST,
        FailureKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        FailureKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The HTTP status of an error.
pub(crate) fn status_of(error: &Error) -> StatusCode {
    if let Some(failure) = Failure::of(error) {
        return engine_status(failure);
    }
    if let Some(refusal) = Refusal::behind(error) {
        return refusal.status();
    }
    match (error.kind(), error.field()) {
        (ErrorKind::LimitExceeded, Some(BODY)) => StatusCode::PAYLOAD_TOO_LARGE,
        (ErrorKind::LimitExceeded, Some(HEAD)) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        (ErrorKind::InvalidArgument, Some(ENCODING)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (kind, _) => status(kind),
    }
}

/// The HTTP status of each kind of error.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::LimitExceeded => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Busy | ErrorKind::Poisoned => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        // Io, Corrupted, UnsupportedFormat, Internal, and whatever is added without a line here.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a request that failed.
pub(crate) fn respond(error: &Error, began: Instant) -> Response<Body> {
    let status = status_of(error);
    // Who is busy says so to each client: in the log it would only be noise.
    if status.is_server_error() && error.kind() != ErrorKind::Busy {
        tracing::error!(%error, source = ?std::error::Error::source(error), "a request failed");
    }
    let mut response = envelope(status, &text(error), began);
    // A field that is too long, or with other characters than a header may have, is in the text only.
    let field = error.field().filter(|field| field.len() <= FIELD_BYTES_MAX);
    if let Some(Ok(field)) = field.map(HeaderValue::from_str) {
        response.headers_mut().insert(FIELD_HEADER, field);
    }
    response.headers_mut().insert(KIND_HEADER, HeaderValue::from_static(error.kind().name()));
    let engine = Failure::of(error).and_then(|failure| failure.retry_after);
    let later = match Refusal::behind(error) {
        Some(Refusal::Rate { seconds }) => seconds,
        _ => engine.map(|later| later.as_secs().max(1)),
    };
    let later = later.or((error.kind() == ErrorKind::Busy).then_some(1));
    response.extensions_mut().insert(Told::of(error));
    if let Some(seconds) = later {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer in the envelope of errors.
pub(crate) fn envelope(status: StatusCode, text: &str, began: Instant) -> Response<Body> {
    let body = json!({"status": {"error": text}, "time": began.elapsed().as_secs_f64()}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(Told { message: text.to_owned(), field: None, kind: None });
    response
}

/// An error in the envelope of OpenAI's dialect.
pub(crate) fn openai(told: &Told, status: StatusCode) -> Value {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({"error": {"message": told.message, "type": kind, "param": told.field, "code": code(told, status)}})
}

/// The code of an error: of what clients branch on, OpenAI's own; of anything else its kind.
fn code(told: &Told, status: StatusCode) -> Option<&'static str> {
    match (status.as_u16(), told.field.as_deref(), told.kind) {
        (400, Some("engine"), Some("limit_exceeded")) => Some("context_length_exceeded"),
        (401, ..) => Some("invalid_api_key"),
        (404, Some("model"), _) => Some("model_not_found"),
        (404, None, None) => Some("unknown_url"),
        (429, ..) => Some("rate_limit_exceeded"),
        (_, _, kind) => kind,
    }
}

/// An answer of the dialect of OpenAI, where it is an error: the same in that envelope.
pub(crate) fn into_openai(response: Response<Body>) -> Response<Body> {
    let Some(told) = response.extensions().get::<Told>().cloned() else { return response };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let body = openai(&told, parts.status).to_string();
    Response::from_parts(parts, Body::from(body))
}

/// Whether the words of the dialect say without a place what to mend: they end with the name of a vector that there is
/// not, which does not stand in a list. Clients compare them whole; the place is in the header.
fn is_whole(message: &str, place: &str) -> bool {
    let name = message.strip_prefix("Wrong input: Not existing vector name error: ");
    name.is_some_and(|name| !name.is_empty()) && !place.contains('[')
}

/// The text, beginning as clients expect it: several look for "Not found" and "already exists" there. A message in the
/// words of the dialect stands as it is, with the place behind it unless they say all.
fn text(error: &Error) -> String {
    let message = error.message();
    if let Some(refusal) = Refusal::behind(error) {
        return refusal.text(message, error.field());
    }
    match (error.kind(), error.field()) {
        (ErrorKind::NotFound | ErrorKind::AlreadyExists, _) => message.to_owned(),
        (ErrorKind::InvalidArgument | ErrorKind::LimitExceeded, field) => match field {
            Some(place) if message.starts_with("Wrong input: ") && !is_whole(message, place) => {
                format!("{message} (`{place}`)")
            }
            _ if message.starts_with("Wrong input: ") => message.to_owned(),
            Some(field) => format!("Wrong input: {field}: {message}"),
            None => format!("Wrong input: {message}"),
        },
        (ErrorKind::Busy | ErrorKind::Poisoned, _) => format!("Service unavailable: {error}"),
        (ErrorKind::StorageFull, _) => format!("Insufficient storage: {error}"),
        (ErrorKind::Conflict, _) => format!("Version conflict: {error}"),
        (ErrorKind::DeadlineExceeded, _) => format!("Timeout error: {error}"),
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
            (ErrorKind::StorageFull, 507),
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
        for (refusal, expected) in [
            (Refusal::Malformed, 400),
            (Refusal::Body, 422),
            (Refusal::Below("internal"), 422),
            (Refusal::Path, 422),
            (Refusal::Query, 422),
            (Refusal::Unauthorized, 401),
            (Refusal::Forbidden, 403),
            (Refusal::BadRequest, 400),
            (Refusal::Rate { seconds: Some(7) }, 429),
        ] {
            let response = respond(&refusal.of("x", "why"), Instant::now());
            assert_eq!(response.status().as_u16(), expected, "{refusal}");
        }
        let long = respond(&Error::limit(HEAD, "its size", 9, 8), Instant::now());
        assert_eq!(long.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        let later = Refusal::Rate { seconds: Some(7) }.of("x", "why");
        assert_eq!(respond(&later, Instant::now()).headers()[RETRY_AFTER], "7");
        let never = respond(&Refusal::Rate { seconds: None }.of("x", "why"), Instant::now());
        assert_eq!((never.status().as_u16(), never.headers().get(RETRY_AFTER)), (429, None));
        let large = respond(&Error::limit(BODY, "its size", 9, 8), Instant::now());
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn the_text_begins_as_clients_expect_and_names_the_field() {
        let unknown = |place: &str, name: &str| {
            Error::invalid(place, format!("Wrong input: Not existing vector name error: {name}"))
        };
        let cases = [
            (Error::no_collection("a"), "Not found: Collection `a` doesn't exist!"),
            (Error::invalid("limit", "is 0"), "Wrong input: limit: is 0"),
            (Error::invalid("a[0]", "Wrong input: bad"), "Wrong input: bad (`a[0]`)"),
            (unknown("with_vector", "x"), "Wrong input: Not existing vector name error: x"),
            (unknown("using", ""), "Wrong input: Not existing vector name error:  (`using`)"),
            (
                unknown("points[3].vector.x", "x"),
                "Wrong input: Not existing vector name error: x (`points[3].vector.x`)",
            ),
            (invalid("a.b", "0"), "Validation error in JSON body: [a.b: 0]"),
            (
                Refusal::below(invalid("a.b", "0"), "internal"),
                "Validation error in JSON body: [internal.a.b: 0]",
            ),
            (
                Refusal::below(invalid("searches[1].a", "0"), "internal"),
                "Validation error in JSON body: [searches[1].internal.a: 0]",
            ),
            (Refusal::below(Error::invalid("limit", "is 0"), "internal"), "Wrong input: limit: is 0"),
            (
                invalid("points[0].vector.s.values", "must be the same length as indices at line 1 column 9"),
                "Validation error in JSON body: [points[0].vector.?.values: Validation error: must be the same length \
                 as indices [{}]] (`points[0].vector.s.values`)",
            ),
            (
                invalid(
                    "points[0].vector.m[1]",
                    "all vectors must have the same dimension, 3 at line 1 column 9",
                ),
                "Validation error in JSON body: [points[0].vector.?.data: all vectors must have the same dimension, \
                 3] (`points[0].vector.m[1]`)",
            ),
            (
                invalid("points[0].vector[1]", "all vectors must be non-empty"),
                "Validation error in JSON body: [points[0].vector[1]: all vectors must be non-empty]",
            ),
            (Refusal::Body.without_field("0"), "Validation error in JSON body: 0"),
            (Refusal::Query.of("a", "0"), "Validation error in query parameters: [a: 0]"),
            (Refusal::Malformed.of("a", "bad"), "Format error in JSON body: a: bad"),
            (Refusal::Forbidden.of("api-key", "no"), "Forbidden: no"),
            (Error::new(ErrorKind::Internal, "bad"), "Service internal error: bad"),
        ];
        for (error, expected) in cases {
            assert_eq!(text(&error), expected);
        }
        let response = respond(&Error::invalid("points[3].vector", "is bad"), Instant::now());
        assert_eq!(response.headers()[FIELD_HEADER], "points[3].vector");
    }

    /// A status once followed from how a text began, and what a client sends may begin so.
    #[test]
    fn what_a_text_says_decides_no_status() {
        for text in ["Unauthorized: x", "Forbidden: x", "Validation error in JSON body: x"] {
            let response = respond(&Error::invalid("x", text), Instant::now());
            assert_eq!(response.status().as_u16(), 400, "{text}");
        }
        let moved = Refusal::Forbidden.of("x", "no").within("body").with_field("y");
        assert_eq!(respond(&moved, Instant::now()).status().as_u16(), 403);
        let told = Error::invalid("x", "Rate limiting exceeded: no; 9 rows before it were imported");
        let told = told.with_source(Refusal::Rate { seconds: Some(7) }.of("x", "no"));
        let response = respond(&told, Instant::now());
        let later = &response.headers()[RETRY_AFTER];
        assert_eq!((response.status().as_u16(), later.as_bytes()), (429, &b"7"[..]));
        assert_eq!(text(&told), told.message());
    }

    #[test]
    fn codes_are_those_that_clients_of_openai_look_for() {
        let kind = FailureKind::ContextOverflow { prompt: None, context: None };
        let overflow = Failure { kind, said: "too long".to_owned(), retry_after: None };
        for (error, expected) in [
            (Error::from(overflow), "context_length_exceeded"),
            (Refusal::Unauthorized.of("api-key", "no"), "invalid_api_key"),
            (Refusal::Rate { seconds: Some(1) }.of("x", "why"), "rate_limit_exceeded"),
            (Error::new(ErrorKind::NotFound, "no").with_field("model"), "model_not_found"),
            (Error::new(ErrorKind::NotFound, "no").with_field("id"), "not_found"),
            (Error::invalid("n", "must be 1"), "invalid_argument"),
        ] {
            let told = openai(&Told::of(&error), status_of(&error));
            assert_eq!(told["error"]["code"], expected, "{told}");
        }
    }

    #[test]
    fn a_field_that_no_header_can_carry_stands_in_the_text_alone() {
        for field in ["x".repeat(FIELD_BYTES_MAX + 1), "a\r\nset-cookie: b".to_owned()] {
            let response = respond(&Error::invalid(field.as_str(), "is bad"), Instant::now());
            assert_eq!(response.status().as_u16(), 400);
            assert!(!response.headers().contains_key(FIELD_HEADER), "{:?}", response.headers());
            assert!(!response.headers().contains_key("set-cookie"));
        }
    }
}
