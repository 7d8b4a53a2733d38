//! Large answers on their way: what all of them together may hold until their clients have taken them.
//!
//! Invariant: beyond the first block of each, and unless there is only one, no more bytes of answers wait for clients
//! than bodies of requests may have (`bodies_bytes_max`). An answer for which there is no room is refused, and its
//! client told to come back; so what cannot be had again, the further page of a cursor, is not counted.
//! Cost: how long an answer is shows when it is made; so beside those that count there is one for each call that
//! computes. An answer that is taken is not copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use kithdb::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::BLOCK_BYTES;
use crate::error::BODY;

/// What a connection is handed at once.
const FRAME_BYTES: usize = 256 << 10;

/// The room for answers.
#[derive(Debug)]
pub(crate) struct Answers {
    /// A place for each block.
    places: Arc<Semaphore>,
    count: usize,
}

impl Answers {
    /// Room for about so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let count = (bytes_max / BLOCK_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(count)), count }
    }

    /// An answer as a body, which has its places until it is taken or given up. One that is larger than all of them
    /// takes all.
    ///
    /// # Errors
    /// `Busy` when others have them.
    pub(crate) fn owe(&self, bytes: Vec<u8>) -> Result<Body> {
        let blocks = (bytes.len() / BLOCK_BYTES).min(self.count);
        if blocks == 0 {
            return Ok(Body::from(bytes));
        }
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        let places = Arc::clone(&self.places).try_acquire_many_owned(blocks).map_err(|_| {
            let message = "of the answer, and those of other answers that their clients have not taken yet, are more \
                           than bodies_bytes_max allows; try again in a moment, or ask for less at once";
            Error::new(ErrorKind::Busy, message).with_field(BODY)
        })?;
        Ok(Body::new(Owed { rest: bytes.into(), _places: places }))
    }
}

/// An answer that is being taken.
struct Owed {
    rest: Bytes,
    /// Given back with it.
    _places: OwnedSemaphorePermit,
}

impl HttpBody for Owed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.rest.len().min(FRAME_BYTES);
        let frame = Frame::data(self.rest.split_to(bytes));
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_one_answer_and_for_others_when_it_is_gone() {
        let answers = Answers::new(2 * BLOCK_BYTES);
        let answer = |blocks: usize| answers.owe(vec![b' '; blocks * BLOCK_BYTES + 1]);
        let large = answer(5).expect("a single one always has room");
        assert_eq!(large.size_hint().exact(), Some(5 * BLOCK_BYTES as u64 + 1));
        let error = answer(1).expect_err("no room");
        assert_eq!((error.kind(), error.field()), (ErrorKind::Busy, Some(BODY)));
        drop(answer(0).expect("the first block is free"));
        drop(large);
        let held = [answer(1).expect("room"), answer(1).expect("room")];
        assert!(answer(1).is_err());
        drop(held);
        assert!(answer(2).is_ok());
    }
}
