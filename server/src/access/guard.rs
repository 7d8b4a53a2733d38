//! What stands before every route: who calls, and may they?
//!
//! Invariant: outermost. Nothing of a body is read, and nothing is computed, for who has no right to it. Who needs no
//! key is let through whatever else is in progress: health is told at full load.

use std::time::Instant;

use axum::RequestExt;
use axum::body::{Body, HttpBody as _};
use axum::extract::{RawPathParams, Request, State as Shared};
use axum::http::header::{CONTENT_ENCODING, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::middleware::Next;
use kithdb::{Error, ErrorKind, Result};
use tokio::sync::SemaphorePermit;

use super::keys::Shown;
use super::{Need, Rights, page};
use crate::lanes::Lane;
use crate::{State, body, error, limits};

/// What a route asks, and what it is asked with.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) state: State,
    pub(crate) need: Need,
}

/// Lets a request through that may pass, with its rights beside it.
pub(crate) async fn guard(Shared(gate): Shared<Gate>, mut request: Request, next: Next) -> Response<Body> {
    let began = Instant::now();
    let is_open = gate.need == Need::Metrics && gate.state.inner.are_metrics_open;
    if gate.need == Need::Nothing || is_open {
        return next.run(request).await;
    }
    match gate.admit(&mut request).await {
        Ok((rights, place)) => {
            request.extensions_mut().insert(rights);
            let response = next.run(request).await;
            drop(place);
            response
        }
        Err(error) => {
            body::discard(request.into_body());
            let mut response = error::respond(&error, began);
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

impl Gate {
    /// The rights of the caller, and a place among the requests in progress.
    async fn admit(&self, request: &mut Request) -> Result<(Rights, SemaphorePermit<'_>)> {
        let inner = &self.state.inner;
        check_head(request, inner.limits.head_bytes_max)?;
        if inner.keys.is_empty() && !inner.is_open_to_all {
            page::check(request.headers(), &inner.cors_origins)?;
        }
        let shown = inner.keys.shown(request.headers())?;
        // Who shows nothing takes no place; what a token needs looked up is a part of the request.
        let limit = inner.limits.requests_max;
        let full = |_| limits::busy("requests_max", "requests are in progress", limit);
        let place = inner.requests.try_acquire().map_err(full)?;
        let rights = self.rights(shown, request).await?;
        check_encoding(request)?;
        Ok((rights, place))
    }

    async fn rights(&self, shown: Shown, request: &mut Request) -> Result<Rights> {
        let inner = &self.state.inner;
        let collection = collection(request).await?;
        let (rights, point) = match shown {
            Shown::Anyone => return Ok(Rights::Manage),
            Shown::Rights(rights, point) => (rights, point),
        };
        if let Some(point) = point {
            let (state, deadline) = (self.state.clone(), Instant::now() + inner.limits.request_time_max);
            let check = move || point.check(&state.inner.db, deadline);
            inner.lanes.run_until(Lane::Computes, deadline, check).await??;
        }
        match collection {
            Some(collection) => rights.check_of(&inner.db, &collection, self.need)?,
            None => rights.check(self.need)?,
        }
        Ok(rights)
    }
}

fn check_head(request: &Request, bytes_max: usize) -> Result<()> {
    let fields: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let uri = request.uri();
    let bytes = fields + uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!(
        "has {bytes} bytes, the limit head_bytes_max is {bytes_max}; shorten the address or the header"
    );
    Err(Error::new(ErrorKind::LimitExceeded, message).with_field(error::HEAD))
}

/// A body is read as it comes: what is packed would be taken for something else.
fn check_encoding(request: &Request) -> Result<()> {
    let is_plain = |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    match request.headers().get(CONTENT_ENCODING).filter(|encoding| !is_plain(encoding)) {
        Some(encoding) if !request.body().is_end_stream() => {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            let why = format!("`{encoding}` is not read here; send the body as it is");
            Err(Error::invalid(error::ENCODING, why))
        }
        _ => Ok(()),
    }
}

/// The collection that the path names.
///
/// # Errors
/// `InvalidArgument` on `path` when a part of it is no text.
async fn collection(request: &mut Request) -> Result<Option<String>> {
    let params = request.extract_parts::<RawPathParams>().await;
    let params = params
        .map_err(|error| Error::invalid("path", format!("is not readable: {error}")).with_source(error))?;
    Ok(params.iter().find(|(name, _)| *name == "collection").map(|(_, value)| value.to_owned()))
}
