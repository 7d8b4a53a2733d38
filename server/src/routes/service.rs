//! What is asked about the server itself, and what is answered where no route fits.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use kithdb::Value;
use serde_json::json;

use crate::State;
use crate::error::envelope;
use crate::lanes::Lane;

/// The version of the dialect. Clients compare it with their own and warn when it is far off.
pub(super) const DIALECT_VERSION: &str = "1.19.0";

/// `GET /`.
pub(super) async fn version() -> Json<Value> {
    let commit = option_env!("KITHDB_COMMIT").unwrap_or("unknown");
    Json(json!({"title": "kithdb - vector database", "version": DIALECT_VERSION, "commit": commit}))
}

/// `GET /healthz`, `/livez`: the process answers.
pub(super) async fn health() -> &'static str {
    "healthz check passed"
}

/// `GET /readyz`: it takes reads and writes.
pub(super) async fn ready(Shared(state): Shared<State>) -> Response {
    if state.inner.db.is_poisoned() {
        let text =
            "not ready: a write failed, and the database takes no more until the server is started anew";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    "all shards are ready".into_response()
}

/// `GET /metrics`.
pub(super) async fn metrics(Shared(state): Shared<State>) -> Response {
    let inner = Arc::clone(&state.inner);
    let text = state.inner.lanes.run(Lane::Waits, move || inner.metrics.expose(&inner.db)).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// No such address.
pub(super) async fn no_route(request: Request) -> Response {
    let text = format!("Not found: there is no route `{}`", request.uri().path());
    envelope(StatusCode::NOT_FOUND, &text, Instant::now())
}

/// The address exists, not with this method.
pub(super) async fn no_method(request: Request) -> Response {
    let text = format!("Method not allowed: `{}` does not take {}", request.uri().path(), request.method());
    envelope(StatusCode::METHOD_NOT_ALLOWED, &text, Instant::now())
}

/// A defect of ours. What the panic says is in the log, not in the answer.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = text, "a request panicked");
    let told = "Service internal error: a defect of the server stopped this request; its log says more";
    envelope(StatusCode::INTERNAL_SERVER_ERROR, told, Instant::now())
}
