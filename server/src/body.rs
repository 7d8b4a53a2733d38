//! The body of a request, read up to the limit.
//!
//! Invariant: never more than the limit is held. A body that is larger is answered at once; the rest of it is read and
//! thrown away for a while, because a client that is still sending when the connection closes may never see the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use kithdb::{Error, ErrorKind, Result};
use tokio::time::timeout;

use crate::error::BODY;

/// A client has so long to send its body.
const READ_TIME_MAX: Duration = Duration::from_secs(120);

/// What is thrown away of a body that is too large, at most, and for how long.
const DRAIN_BYTES_MAX: usize = 1 << 30;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// `LimitExceeded` on `body`; `InvalidArgument` on `body` when the client breaks off or is too slow.
pub(crate) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Vec<u8>> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match announced {
        Some(bytes) if bytes > bytes_max => {
            tokio::spawn(drain(body));
            Err(too_large(bytes, bytes_max))
        }
        _ => timeout(READ_TIME_MAX, collect(body, announced.unwrap_or(0), bytes_max)).await.unwrap_or_else(
            |_| Err(Error::invalid(BODY, "did not arrive in time; send it faster, or less of it")),
        ),
    }
}

async fn collect(mut body: Body, announced: usize, bytes_max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(announced);
    while let Some(chunk) = next(&mut body).await {
        let chunk = chunk.map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, "broke off before its end")
                .with_field(BODY)
                .with_source(error)
        })?;
        if bytes.len() + chunk.len() > bytes_max {
            let seen = bytes.len() + chunk.len();
            tokio::spawn(drain(body));
            return Err(too_large(seen, bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(bytes: usize, bytes_max: usize) -> Error {
    let message = format!(
        "is at least {bytes} bytes, the limit body_bytes_max is {bytes_max}; send it in several requests"
    );
    Error::new(ErrorKind::LimitExceeded, message).with_field(BODY)
}

/// Reads the rest of a body that is refused, for a while.
pub(crate) async fn drain(mut body: Body) {
    let throw_away = async {
        let mut seen = 0;
        while let Some(Ok(chunk)) = next(&mut body).await {
            seen += chunk.len();
            if seen > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    // Out of time is as good as at the end: the connection is closed.
    let _ = timeout(DRAIN_TIME_MAX, throw_away).await;
}

/// The next bytes; trailers count as none.
async fn next(body: &mut Body) -> Option<std::result::Result<Bytes, axum::Error>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let none = HeaderMap::new();
        assert_eq!(read(&none, Body::from("12345678"), 8).await.expect("fits"), b"12345678");
        let error = read(&none, Body::from("123456789"), 8).await.expect_err("too large");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("body")));
        let mut announced = HeaderMap::new();
        announced.insert(CONTENT_LENGTH, HeaderValue::from_static("104857600"));
        let error = read(&announced, Body::empty(), 8).await.expect_err("announced too large");
        assert!(error.message().contains("104857600"));
    }
}
