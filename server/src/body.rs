//! The body of a request, read up to the limit.
//!
//! Invariant: never more than the limit is held. A body that is larger is answered at once; the rest of it is read and
//! thrown away for a while, because a client that is still sending when the connection closes may never see the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use kithdb::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::BODY;

/// Bytes of a block: what bodies are counted in, and the room for a body before anything of it has come.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

/// What is thrown away of a body that is too large, at most, and for how long.
const DRAIN_BYTES_MAX: usize = 1 << 30;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// What a body may take.
pub(crate) struct Allowance {
    /// Bytes of the body.
    pub(crate) bytes_max: usize,
    /// Until it is there.
    pub(crate) time_max: Duration,
    /// What all bodies together may hold: a place is a block. The first block of each is free.
    pub(crate) blocks: Arc<Semaphore>,
}

/// A body, and its places among all of them.
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    /// Given back when the body has been answered.
    pub(crate) blocks: Option<OwnedSemaphorePermit>,
}

/// Reads a body.
///
/// # Errors
/// `LimitExceeded` on `body`; `DeadlineExceeded` when the client is too slow; `InvalidArgument` when it breaks off;
/// `Busy` when all bodies together are too large.
pub(crate) async fn read(headers: &HeaderMap, body: Body, allowance: &Allowance) -> Result<Held> {
    let Allowance { bytes_max, time_max, .. } = *allowance;
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match announced {
        Some(bytes) if bytes > bytes_max => {
            tokio::spawn(drain(body));
            Err(too_large(bytes, bytes_max))
        }
        _ => timeout(time_max, collect(body, announced.unwrap_or(0), allowance)).await.unwrap_or_else(|_| {
            let seconds = time_max.as_secs();
            let message =
                format!("did not arrive in {seconds} s, the limit body_max_s; send it faster, or less of it");
            Err(Error::new(ErrorKind::DeadlineExceeded, message).with_field(BODY))
        }),
    }
}

async fn collect(mut body: Body, announced: usize, allowance: &Allowance) -> Result<Held> {
    let bytes_max = allowance.bytes_max;
    // What is announced is believed as it comes.
    let mut held = Held { bytes: Vec::with_capacity(announced.min(BLOCK_BYTES)), blocks: None };
    while let Some(chunk) = next(&mut body).await {
        let chunk = chunk.map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, "broke off before its end")
                .with_field(BODY)
                .with_source(error)
        })?;
        let bytes = held.bytes.len() + chunk.len();
        let refused = match bytes > bytes_max {
            true => Some(too_large(bytes, bytes_max)),
            false => held.grow(bytes, &allowance.blocks).err(),
        };
        if let Some(error) = refused {
            tokio::spawn(drain(body));
            return Err(error);
        }
        held.bytes.extend_from_slice(&chunk);
    }
    Ok(held)
}

impl Held {
    /// Takes places for so many bytes in all.
    fn grow(&mut self, bytes: usize, blocks: &Arc<Semaphore>) -> Result<()> {
        let before = self.blocks.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (bytes / BLOCK_BYTES).saturating_sub(before);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = Arc::clone(blocks).try_acquire_many_owned(missing).map_err(|_| {
            let message = "and those of other requests in progress are more than bodies_bytes_max allows; try again \
                           in a moment, or send less at once";
            Error::new(ErrorKind::Busy, message).with_field(BODY)
        })?;
        match &mut self.blocks {
            Some(blocks) => blocks.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

fn too_large(bytes: usize, bytes_max: usize) -> Error {
    let message = format!(
        "is at least {bytes} bytes, the limit body_bytes_max is {bytes_max}; send it in several requests"
    );
    Error::new(ErrorKind::LimitExceeded, message).with_field(BODY)
}

/// Throws away the body of a request that is refused unread.
pub(crate) fn discard(body: Body) {
    if !body.is_end_stream() {
        tokio::spawn(drain(body));
    }
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

    fn allowance(bytes_max: usize, blocks: usize) -> Allowance {
        Allowance { bytes_max, time_max: Duration::from_secs(60), blocks: Arc::new(Semaphore::new(blocks)) }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let (none, eight) = (HeaderMap::new(), allowance(8, 0));
        assert_eq!(read(&none, Body::from("12345678"), &eight).await.expect("fits").bytes, b"12345678");
        let error = read(&none, Body::from("123456789"), &eight).await.err().expect("too large");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("body")));
        let mut announced = HeaderMap::new();
        announced.insert(CONTENT_LENGTH, HeaderValue::from_static("104857600"));
        let error = read(&announced, Body::empty(), &eight).await.err().expect("announced too large");
        assert!(error.message().contains("104857600"));
    }

    #[tokio::test]
    async fn all_bodies_together_have_so_much_room() {
        let (none, room) = (HeaderMap::new(), allowance(usize::MAX, 5));
        let body = |blocks: usize| Body::from(vec![b' '; blocks * BLOCK_BYTES + 1]);
        let small = read(&none, Body::from("{}"), &room).await.expect("the first block is free");
        let first = read(&none, body(3), &room).await.expect("there is room");
        let error = read(&none, body(3), &room).await.err().expect("there is none");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert_eq!(room.blocks.available_permits(), 2, "what was refused holds nothing");
        let second = read(&none, body(2), &room).await.expect("there is just enough");
        drop((small, first, second));
        assert_eq!(room.blocks.available_permits(), 5);
    }
}
