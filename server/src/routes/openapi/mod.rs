//! `/openapi.json`: every route as OpenAPI 3.1 describes it, and `/docs`, the same to be read and tried.
//!
//! Made of three things that are there anyway: the table of routes, with what each asks of its caller; the types of
//! bodies and answers, with their schemas ([`wire::schema`](crate::wire::schema)); and a line a route below, which says
//! what the route is for, by an example. Answers are named by the handlers themselves.
//!
//! Invariant: no route is without an entry and no entry without a route, every example is understood by its route, and
//! every answer to it has the schema that it says. Tests hold all of it.
//! Cost: made once, when it is first asked for.

mod collections;
mod columns;
mod documents;
mod legacy;
mod node;
mod openai;
mod operation;
mod points;
mod service;
mod snapshots;
#[cfg(test)]
mod tests;
mod updates;

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use kithdb::Value;
use serde_json::{Map, json};

use super::service::DIALECT_VERSION;
use super::table::Routes;
use crate::VERSION;
use crate::wire::schema;
use operation::Operation;

/// The document as it is sent.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document(&super::all()).to_string());

/// `GET /openapi.json`.
pub(super) async fn sent() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

/// `GET /docs`: asks for nothing but the document.
pub(super) async fn page() -> impl IntoResponse {
    let head = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (head, include_str!("page.html"))
}

/// `GET /docs/page.js`.
pub(super) async fn script() -> impl IntoResponse {
    let head = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (head, include_str!("page.js"))
}

/// Every entry, in the order in which they are shown.
fn operations() -> Vec<Operation> {
    let all = [
        collections::operations(),
        points::operations(),
        updates::operations(),
        columns::operations(),
        documents::operations(),
        openai::operations(),
        snapshots::operations(),
        service::operations(),
        node::operations(),
        legacy::operations(),
    ];
    all.into_iter().flatten().collect()
}

fn document(routes: &Routes) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        // One without a route is found by a test.
        let Some(need) = routes.need(operation.method(), operation.path()) else { continue };
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        let method = operation.method().to_lowercase();
        path[method] = operation.told(need);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "KithDB",
            "version": VERSION,
            "description": format!(
                "A vector database over HTTP, in the dialect of Qdrant's REST API {DIALECT_VERSION}. What is ours stands \
                 in optional fields and below /api/v1. `null` is the same as absent."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": TAGS.map(|(name, what)| json!({"name": name, "description": what})),
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": operation::errors(),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

/// What routes are about.
const TAGS: [(&str, &str); 10] = [
    ("Collections", "Named sets of points, their vectors, indexes of fields, and further names."),
    ("Search", "Points by nearness, by words, by filters; why they are found, and why not."),
    ("Points", "Points written, changed and read by id. Each request is one commit."),
    ("Columns", "Points by the million: Arrow, Parquet, lines of JSON."),
    ("Documents", "Files that become passages, and questions whose answers are known."),
    ("OpenAI", "What the SDK of OpenAI speaks: answers, embeddings, files, vector stores."),
    ("Snapshots", "A collection, or all of them, as of one commit in one file."),
    ("Service", "The server itself: health, figures, this document."),
    ("Node", "What is asked of a cluster, as a single node answers it."),
    ("Before query", "What clients from before `points/query` ask. New ones have no need of it."),
];

fn schemas() -> Map<String, Value> {
    let mut all: Vec<(String, Value)> = schema::components()
        .into_iter()
        .map(|(name, shown)| (name, operation::value(shown)))
        .chain([
            ("Error".to_owned(), operation::error()),
            ("OpenAIError".to_owned(), operation::openai_error()),
        ])
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.iter_mut().for_each(|(_, shown)| close(shown));
    all.into_iter().collect()
}

/// No object has members that are not named, unless it says so: clients of the dialect refuse those.
fn close(shown: &mut Value) {
    match shown {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            members.iter_mut().for_each(|(_, member)| close(member));
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
