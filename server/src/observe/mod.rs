//! What is seen of each request: its id, its span, its counts.
//!
//! Invariant: outermost. Every answer has the id of its request, and every line of the log that it causes stands in
//! its span, whichever thread writes it. Neither has anything of a body, or of a header but the two that name a
//! request.
//! Cost: an id, a span and a count a request.

mod context;
mod logs;
mod otlp;

use std::time::Instant;

use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::metrics::Answered;
use crate::routes::v1;
use crate::{State, VERSION, error};
pub(crate) use context::RequestId;
use context::{REQUEST_ID_HEADER, TraceParent};
pub use logs::{LogFormat, Logging, log};
pub use otlp::Tracing;

/// The header with the version of KithDB; the body of `GET /` has the version of the dialect.
const VERSION_HEADER: HeaderName = HeaderName::from_static("kithdb-version");

/// Sees a request to its answer.
pub(crate) async fn observe(Shared(state): Shared<State>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let collection = collection(&mut request).await;
    let id = RequestId::of(request.headers());
    // An address that does not exist is not kept: there is no end of them.
    let (method, route) = route.as_ref().map_or(("", ""), |route| (method.as_str(), route.as_str()));
    let span = span(&id, TraceParent::of(request.headers()), method, route);
    request.extensions_mut().insert(id.clone());
    let is_openai = request.uri().path().starts_with(v1::PREFIX);
    let mut response = next.run(request).instrument(span.clone()).await;
    if is_openai {
        response = error::into_openai(response);
    }
    let (status, took) = (response.status(), began.elapsed());
    response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID_HEADER, id);
    }
    // OTLP has signed numbers alone.
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
    span.in_scope(|| {
        tracing::info!(status = status.as_u16(), elapsed_us = took.as_micros() as u64, "answered");
    });
    let answered = Answered { method, route, collection: collection.as_deref(), status, took };
    state.requests().record(&answered, response.headers());
    response
}

/// The collection that the path names.
async fn collection(request: &mut Request) -> Option<String> {
    let params = request.extract_parts::<RawPathParams>().await.ok()?;
    params.iter().find(|(name, _)| *name == "collection").map(|(_, value)| value.to_owned())
}

/// The span of a request. It is there for the log whether traces are sent or not; attributes are those of
/// OpenTelemetry.
fn span(id: &RequestId, parent: Option<TraceParent>, method: &str, route: &str) -> Span {
    let is_traced = otlp::is_on();
    let name = is_traced.then(|| format!("{method} {route}"));
    let trace_id = parent.map(|parent| format!("{:032x}", parent.trace_id));
    let span = tracing::error_span!(
        "request",
        request_id = &*id.0,
        trace_id = trace_id,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        otel.name = name,
        otel.kind = is_traced.then_some("server"),
        otel.status_code = Empty,
        "error.type" = Empty,
    );
    if is_traced {
        match parent {
            Some(parent) => otlp::put_below(&span, parent),
            None => {
                span.record("trace_id", otlp::trace_id(&span));
            }
        }
    }
    span
}
