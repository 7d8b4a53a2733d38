//! Server-sent events: an answer that goes out while it is made.
//!
//! Invariants: a client that goes away cancels what makes the answer, within one event or one look of the engine's
//! connection. While nothing comes, a comment every [`HEARTBEAT`] tells proxies that the connection lives. An error
//! before the first event is an answer with its status; one after it is an event, and the end.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use futures_core::Stream;
use kithdb::{Error, Result};
use rag::engine::Cancel;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Interval, interval_at, timeout};

use crate::error;

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// So long is the head of the answer kept back for an error that may come: it would have a status of its own.
const FIRST_TIME_MAX: Duration = Duration::from_secs(10);

/// Events on their way.
const EVENTS_MAX: usize = 64;

/// How an error is told in the middle of a stream, behind so many events.
pub(crate) type Fail = fn(&Error, u64) -> String;

/// As streams do whose events have no type.
pub(crate) fn failed(error: &Error, _: u64) -> String {
    let told = error::openai(&error::Told::of(error), error::status_of(error));
    format!("data: {told}\n\n")
}

/// Cancels an answer when it is dropped: a client has gone away.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Where events are written, from a thread that may wait.
pub(crate) struct Events(Sender<Result<Bytes>>);

/// What has been written, to be read.
pub(crate) struct Written(Receiver<Result<Bytes>>);

/// The two ends of a stream of events.
pub(crate) fn events() -> (Events, Written) {
    let (sender, receiver) = channel(EVENTS_MAX);
    (Events(sender), Written(receiver))
}

impl Events {
    /// Sends an event, with a name if it has one. Breaks off when the client has gone.
    pub(crate) fn send(&self, name: Option<&str>, event: &impl Serialize) -> ControlFlow<()> {
        let Ok(json) = serde_json::to_string(event) else { return ControlFlow::Break(()) };
        self.text(name, &json)
    }

    /// Sends the mark of the end.
    pub(crate) fn done(&self) {
        // Who has gone needs no end.
        let _ = self.text(None, "[DONE]");
    }

    /// Sends an error, the last thing that is sent.
    pub(crate) fn fail(&self, error: Error) {
        // As above.
        let _ = self.0.blocking_send(Err(error));
    }

    fn text(&self, name: Option<&str>, data: &str) -> ControlFlow<()> {
        let name = name.map_or_else(String::new, |name| format!("event: {name}\n"));
        let event = Bytes::from(format!("{name}data: {data}\n\n"));
        if self.0.blocking_send(Ok(event)).is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

impl Written {
    /// The response: a stream, or the error that came before anything else.
    pub(crate) async fn respond(mut self, cancel: CancelOnDrop, began: Instant, fail: Fail) -> Response {
        let first = match timeout(FIRST_TIME_MAX, self.0.recv()).await {
            Ok(Some(Err(error))) => return error::respond(&error, began),
            Ok(first) => first.and_then(Result::ok),
            Err(_) => None,
        };
        let stream = Sending {
            first,
            receiver: self.0,
            sent: 0,
            fail,
            heartbeat: interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT),
            _cancel: cancel,
        };
        let mut response = Response::new(Body::from_stream(stream));
        let head = response.headers_mut();
        head.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        head.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // Proxies that hold back what is small would hold back all of it.
        head.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

struct Sending {
    first: Option<Bytes>,
    receiver: Receiver<Result<Bytes>>,
    /// Events that went out.
    sent: u64,
    fail: Fail,
    heartbeat: Interval,
    _cancel: CancelOnDrop,
}

impl Stream for Sending {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            self.sent += 1;
            return Poll::Ready(Some(Ok(first)));
        }
        match self.receiver.poll_recv(context) {
            Poll::Ready(Some(Ok(event))) => {
                self.heartbeat.reset();
                self.sent += 1;
                Poll::Ready(Some(Ok(event)))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Ok(Bytes::from((self.fail)(&error, self.sent)))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.heartbeat.poll_tick(context) {
                Poll::Ready(_) => Poll::Ready(Some(Ok(Bytes::from_static(b": still here\n\n")))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
