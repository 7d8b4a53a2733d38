//! A question on its way to an answer: whole, or as events while it is made.
//!
//! Invariant: who has gone away cancels what makes the answer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use axum::response::Response;
use kithdb::{Error, Result};
use rag::answer::{Answer, Asked, Library, Manner, QUESTION, Told, answer};
use rag::engine::Cancel;
use tracing::{Instrument as _, Span};

use super::super::{Call, call};
use crate::error;
use crate::lanes::Lane;
use crate::metrics::Took;
use crate::sse::{CancelOnDrop, Events, Fail, events};

/// A question that was understood.
pub(super) trait Answering: Send + 'static {
    /// The request.
    fn call(&self) -> &Call;

    /// How an error is told in the middle of a stream; nothing where there is none.
    fn stream(&self) -> Option<Fail>;

    /// Makes the whole answer.
    ///
    /// # Errors
    /// As for [`answer`].
    fn whole(&self, cancel: &Cancel) -> Result<Vec<u8>>;

    /// Makes the answer, and writes its events.
    ///
    /// # Errors
    /// As for [`answer`].
    fn write(&self, cancel: &Cancel, events: &Events) -> Result<()>;
}

/// Answers a question.
pub(super) async fn answered(asking: impl Answering, began: Instant) -> Response {
    let (state, deadline) = (Arc::clone(&asking.call().state), asking.call().deadline());
    let (stream, cancel) = (asking.stream(), Cancel::new());
    let guard = CancelOnDrop(cancel.clone());
    let Some(fail) = stream else {
        let whole = move || asking.whole(&cancel);
        let made = state.lanes.run_until(Lane::Generates, deadline, whole).await.and_then(|made| made);
        drop(guard);
        return made.map_or_else(|error| error::respond(&error, began), call::of_json);
    };
    let (events, written) = events();
    let writing = async move {
        let events = Arc::new(events);
        let own = Arc::clone(&events);
        let write = move || asking.write(&cancel, &own);
        if let Err(error) =
            state.lanes.run_until(Lane::Generates, deadline, write).await.and_then(|made| made)
        {
            // It ends early only with the runtime.
            let _ = tokio::task::spawn_blocking(move || events.fail(error)).await;
        }
    };
    // The request is over when the stream is: its trace and its log have what is written meanwhile.
    tokio::spawn(writing.instrument(Span::current()));
    written.respond(guard, began, fail).await
}

/// An error of the question, told by the field of the request that asks it.
pub(super) fn asked_by(error: Error, field: &str) -> Error {
    if error.field() == Some(QUESTION) { error.with_field(field) } else { error }
}

/// Makes an answer from a collection, under an id; the counters know of it, and who keeps what answers were worth.
///
/// # Errors
/// As for [`answer`].
pub(super) fn made(
    call: &Call,
    (id, collection): (&str, &str),
    (asked, manner): (&Asked, &Manner),
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
) -> Result<Answer> {
    let state = &call.state;
    let chunks = state.db.collection(collection)?;
    let (embedder, engine) = (state.embedder.as_deref(), state.engine.as_deref());
    let reranker = state.reranker.as_deref();
    let library = Library { db: &state.db, chunks: &chunks, embedder, engine, reranker };
    let mut manner = manner.clone();
    manner.retrieval.deadline = Some(call.deadline());
    let (began, mut first) = (Instant::now(), None);
    let mut tell = |told: Told<'_>| {
        if matches!(told, Told::Text(..)) {
            first.get_or_insert_with(|| began.elapsed());
        }
        tell(told)
    };
    let made = call.on_behalf(|| answer(&library, asked, &manner, cancel, &mut tell));
    state.metrics.answered(&made, Took { first, whole: began.elapsed() });
    if let (Ok(answer), Some(feedback)) = (&made, &state.feedback) {
        feedback.answered(&state.db, chunks.name(), (id, asked.question.as_str()), answer);
    }
    made
}
