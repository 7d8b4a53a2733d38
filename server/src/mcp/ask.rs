//! Routes, asked by who calls a tool.
//!
//! Invariant: a request has the keys that the caller showed, and nothing else of its own.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, Method, Request};
use kithdb::{ErrorKind, Value};
use tower::ServiceExt as _;

use crate::State;
use crate::error::{FIELD_HEADER, KIND_HEADER};

/// The headers that show a key.
const KEYS: [HeaderName; 2] = [HeaderName::from_static("api-key"), AUTHORIZATION];

/// Who asks.
pub(super) struct Asker<'a> {
    pub(super) state: &'a State,
    routes: &'a Router,
    shown: HeaderMap,
    /// Whether the caller may write nothing.
    pub(super) is_read_only: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) kind: String,
    pub(super) field: Option<String>,
    pub(super) message: String,
}

impl Refused {
    /// A refusal of this room's own.
    pub(super) fn new(field: &str, message: impl Into<String>) -> Self {
        let kind = ErrorKind::InvalidArgument.name().to_owned();
        Self { kind, field: Some(field.to_owned()), message: message.into() }
    }

    /// Why, with the field at fault where the words do not begin with it.
    pub(super) fn told(&self) -> String {
        match self.field.as_ref().filter(|field| !self.message.starts_with(field.as_str())) {
            Some(field) => format!("{field}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether it is that something is not there.
    pub(super) fn is_missing(&self) -> bool {
        self.kind == ErrorKind::NotFound.name()
    }
}

impl From<kithdb::Error> for Refused {
    fn from(error: kithdb::Error) -> Self {
        let field = error.field().map(str::to_owned);
        Self { kind: error.kind().name().to_owned(), field, message: error.message().to_owned() }
    }
}

impl<'a> Asker<'a> {
    /// Who shows these headers.
    pub(super) fn new(state: &'a State, routes: &'a Router, headers: &HeaderMap, is_read_only: bool) -> Self {
        let shown = KEYS.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect();
        Self { state, routes, shown, is_read_only }
    }

    /// Asks a route for its result.
    ///
    /// # Errors
    /// What the route refuses.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let sent = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from(sent))
            .map_err(|error| Refused::new("path", error.to_string()))?;
        request.headers_mut().extend(self.shown.clone());
        let response = self.routes.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (parts, body) = response.into_parts();
        let bytes =
            to_bytes(body, usize::MAX).await.map_err(|error| Refused::new("body", error.to_string()))?;
        let mut envelope: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if parts.status.is_success() {
            return Ok(envelope["result"].take());
        }
        let header = |name: &HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
        let told = envelope["status"]["error"].as_str().map(str::to_owned);
        Err(Refused {
            kind: header(&KIND_HEADER).unwrap_or_else(|| parts.status.as_str().to_owned()),
            field: header(&FIELD_HEADER),
            message: told.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    /// What a collection is.
    ///
    /// # Errors
    /// What the route refuses.
    pub(super) async fn describe(&self, collection: &str) -> Result<Value, Refused> {
        self.ask(Method::GET, &format!("/api/v1{}", path(collection)), None).await
    }
}

/// The path of a collection.
pub(super) fn path(collection: &str) -> String {
    format!("/collections/{}", crate::address::encoded(collection))
}
