//! What is asked about the server itself, and what is answered where no route fits.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Query, Request, State as Shared};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use kithdb::{Error, Value};
use serde::Deserialize;
use serde_json::json;

use crate::State;
use crate::error::{self, envelope};
use crate::lanes::Lane;
use crate::metrics::{self, Detail};

/// The version of the dialect. Clients compare it with their own and warn when it is far off.
pub(crate) const DIALECT_VERSION: &str = "1.19.0";

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

/// What a scrape may ask for.
#[derive(Deserialize)]
struct Scrape {
    anonymize: Option<bool>,
    per_collection: Option<bool>,
}

/// `GET /metrics`.
pub(super) async fn metrics(Shared(state): Shared<State>, request: Request) -> Response {
    let began = Instant::now();
    let detail = match Query::<Scrape>::try_from_uri(request.uri()) {
        Ok(Query(Scrape { anonymize, per_collection })) => {
            Detail { is_per_collection: per_collection == Some(true), is_anonymous: anonymize == Some(true) }
        }
        Err(error) => {
            let error = Error::invalid("query", error.body_text()).with_source(error);
            return error::respond(&error, began);
        }
    };
    let inner = Arc::clone(&state.inner);
    let text = state.inner.lanes.run(Lane::Waits, move || metrics::expose(&inner, detail)).await;
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
