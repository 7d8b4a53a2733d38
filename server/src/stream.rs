//! Bytes that are too many to hold: a file on its way to a client, a body on its way to a file.
//!
//! Invariant: what is on its way is bounded; who sends waits for who takes. A side that goes away ends the other.

use std::fs::File;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::Span;

/// Blocks on their way, at most.
const BLOCKS_MAX: usize = 8;

/// Bytes of a block that is read from a file.
const BLOCK_BYTES: usize = 256 << 10;

type Block = std::io::Result<Bytes>;

/// A file as a body. No thread waits for a client that reads slowly: one is taken for each block, and given back.
pub(crate) fn of_file(mut file: File) -> Body {
    let (sender, receiver) = channel::<Block>(BLOCKS_MAX);
    tokio::spawn(async move {
        loop {
            let read = spawn_blocking(move || {
                let mut block = vec![0; BLOCK_BYTES];
                let read = file.read(&mut block).map(|bytes| {
                    block.truncate(bytes);
                    Bytes::from(block)
                });
                (file, read)
            });
            // It ends early only with the runtime.
            let Ok((rest, block)) = read.await else { return };
            file = rest;
            let is_over = block.as_ref().map_or(true, Bytes::is_empty);
            if block.as_ref().is_ok_and(Bytes::is_empty) || sender.send(block).await.is_err() || is_over {
                return;
            }
        }
    });
    Body::from_stream(Blocks(receiver))
}

/// What a thread writes, as a body. An error breaks the body off, so that nobody takes what came for all.
pub(crate) fn of_writer(write: impl FnOnce(&mut Writing) -> std::io::Result<()> + Send + 'static) -> Body {
    let (sender, receiver) = channel::<Block>(BLOCKS_MAX);
    let span = Span::current();
    spawn_blocking(move || {
        let _entered = span.entered();
        let mut writing = Writing { sender, block: Vec::with_capacity(BLOCK_BYTES) };
        if let Err(error) = write(&mut writing).and_then(|()| writing.flush()) {
            tracing::warn!(%error, "an answer breaks off");
            // Who has gone away needs no telling.
            let _ = writing.sender.blocking_send(Err(error));
        }
    });
    Body::from_stream(Blocks(receiver))
}

/// Where a body is written.
pub(crate) struct Writing {
    sender: Sender<Block>,
    block: Vec<u8>,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        let gone = |_| std::io::Error::new(ErrorKind::BrokenPipe, "nobody takes the answer any more");
        self.sender.blocking_send(Ok(block.into())).map_err(gone)
    }
}

struct Blocks(Receiver<Block>);

impl Stream for Blocks {
    type Item = Block;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Block>> {
        self.0.poll_recv(context)
    }
}

/// The two ends of a body that is read on a blocking thread.
pub(crate) fn to_reader() -> (Sender<Block>, Reading) {
    let (sender, receiver) = channel(BLOCKS_MAX);
    (sender, Reading { receiver, block: Bytes::new(), is_over: false })
}

/// Sends a body until its end, or until nobody takes it: then what is left of it is given back. A client that sends
/// nothing for `idle_max` has broken off.
pub(crate) async fn pump(mut body: Body, sender: Sender<Block>, idle_max: Duration) -> Option<Body> {
    loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = match timeout(idle_max, next).await {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(_) => return None,
        };
        let block = frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(std::io::Error::other);
        let is_over = block.is_err();
        // Trailers count as none, and an empty block as the end.
        if block.as_ref().is_ok_and(Bytes::is_empty) {
            continue;
        }
        if sender.send(block).await.is_err() || is_over {
            return Some(body);
        }
    }
    // Without it the end could not be told from a sender that went away.
    let _ = sender.send(Ok(Bytes::new())).await;
    None
}

/// A body, for threads that may wait. Ends with an empty block.
pub(crate) struct Reading {
    receiver: Receiver<Block>,
    block: Bytes,
    /// Its end was seen: who asks again is told so again.
    is_over: bool,
}

impl Read for Reading {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if self.block.is_empty() && !self.is_over {
            let broken = || std::io::Error::new(ErrorKind::UnexpectedEof, "the body broke off");
            self.block = self.receiver.blocking_recv().ok_or_else(broken)??;
            self.is_over = self.block.is_empty();
        }
        let taken = self.block.split_to(self.block.len().min(bytes.len()));
        bytes[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_has_one_end_however_often_it_is_asked_for() {
        let (sender, mut reading) = to_reader();
        let read = spawn_blocking(move || {
            let mut all = Vec::new();
            let counts = [(); 3].map(|()| reading.read_to_end(&mut all).expect("no break"));
            (all, counts)
        });
        assert!(pump(Body::from("abc"), sender, Duration::MAX).await.is_none());
        assert_eq!(read.await.expect("no panic"), (b"abc".to_vec(), [3, 0, 0]));
    }

    #[tokio::test]
    async fn a_sender_that_goes_away_is_no_end() {
        let (sender, mut reading) = to_reader();
        sender.send(Ok(Bytes::from_static(b"abc"))).await.expect("there is room");
        drop(sender);
        let read = spawn_blocking(move || reading.read_to_end(&mut Vec::new()));
        assert_eq!(read.await.expect("no panic").expect_err("cut").kind(), ErrorKind::UnexpectedEof);
    }
}
