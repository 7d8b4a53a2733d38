//! `/v1/responses`: a question answered by searching vector stores.
//!
//! Answers are kept, unless a request says `store: false`, in a collection of their own; who may read them has that
//! right on it. Who has no right to write there gets answers that are not kept.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use kithdb::{Error, ErrorKind, Result, Value};
use rag::answer::{Answer, Library, Told, answer};
use rag::engine::Cancel;
use rag::shelf::RESPONSES;
use serde_json::json;

use super::super::{Call, call};
use super::shelf;
use crate::access::Need;
use crate::lanes::Lane;
use crate::sse::{CancelOnDrop, Events, events};
use crate::wire::openai::cited::Places;
use crate::wire::openai::now_s;
use crate::wire::openai::page::{LIMIT, PageIn};
use crate::wire::openai::responses::{Asking, ResponsesIn, record, turns};
use crate::{State, error};

pub(super) async fn create(Shared(state): Shared<State>, request: Request) -> Response {
    let began = Instant::now();
    let understood = match call::read(state, request).await {
        Ok(call) => {
            let state = Arc::clone(&call.state);
            state.lanes.run(Lane::Waits, move || understand(&call).map(|asking| (call, asking))).await
        }
        Err(error) => Err(error),
    };
    let (call, asking) = match understood {
        Ok(understood) => understood,
        Err(error) => return error::respond(&error, began),
    };
    let (state, deadline, cancel) = (Arc::clone(&call.state), call.deadline(), Cancel::new());
    let guard = CancelOnDrop(cancel.clone());
    if !asking.is_stream {
        let whole = move || {
            let made = made(&call, &asking, &cancel, &mut |_| ControlFlow::Continue(()))?;
            let base = call.base();
            call::json(&done(&call, &asking, &made, &base)?)
        };
        let made = state.lanes.run_until(Lane::Generates, deadline, whole).await.and_then(|made| made);
        drop(guard);
        return made.map_or_else(|error| error::respond(&error, began), call::of_json);
    }
    let (events, written) = events();
    tokio::spawn(async move {
        let events = Arc::new(events);
        let own = Arc::clone(&events);
        let write = move || write(&call, &asking, &cancel, &own);
        if let Err(error) =
            state.lanes.run_until(Lane::Generates, deadline, write).await.and_then(|made| made)
        {
            // It ends early only with the runtime.
            let _ = tokio::task::spawn_blocking(move || events.fail(error)).await;
        }
    });
    written.respond(guard, began).await
}

/// What is asked, with what was said before it.
fn understand(call: &Call) -> Result<Asking> {
    let mut asking = call.parse::<ResponsesIn>()?.into_asking()?;
    let db = &call.state.db;
    call.rights.check_of(db, &asking.store, Need::Read)?;
    shelf(call).store(&asking.store)?.check_alive(now_s())?;
    asking.is_kept &= call.rights.check_of(db, RESPONSES, Need::Write).is_ok();
    if let Some(previous) = asking.previous.clone() {
        call.rights.check_of(db, RESPONSES, Need::Read)?;
        let before = shelf(call).kept(RESPONSES, &previous, &[])?.ok_or_else(|| missing(&previous))?;
        let history = turns(&before);
        asking.asked.history.splice(0..0, history);
    }
    Ok(asking)
}

fn made(
    call: &Call,
    asking: &Asking,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
) -> Result<Answer> {
    let state = &call.state;
    let chunks = state.db.collection(&asking.store)?;
    let (embedder, engine) = (state.embedder.as_deref(), state.engine.as_deref());
    let library = Library { db: &state.db, chunks: &chunks, embedder, engine };
    let made = answer(&library, &asking.asked, &asking.manner, cancel, tell);
    state.metrics.answered(&made);
    made
}

/// The whole answer, kept if it is to be.
fn done(call: &Call, asking: &Asking, made: &Answer, base: &str) -> Result<Value> {
    let places = Places { base, collection: &asking.store };
    let whole = asking.whole(made, &places);
    if asking.is_kept {
        shelf(call).keep(RESPONSES, &asking.id, record(asking, &whole))?;
    }
    Ok(whole)
}

fn write(call: &Call, asking: &Asking, cancel: &Cancel, events: &Events) -> Result<()> {
    let base = call.base();
    let mut number = 0_u64;
    let mut send = |mut event: Value| {
        event["sequence_number"] = number.into();
        number += 1;
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        events.send(Some(&name), &event)
    };
    let mut begin = asking.beginning();
    let (mut documents, mut cited) = (Vec::new(), 0);
    let made = made(call, asking, cancel, &mut |told| match told {
        Told::Documents(found) => {
            documents = found.to_vec();
            ControlFlow::Continue(())
        }
        Told::Text(text, citations) => {
            for event in begin.drain(..) {
                send(event)?;
            }
            send(asking.delta(text))?;
            for citation in citations {
                send(asking.annotation(&documents, citation, cited))?;
                cited += 1;
            }
            ControlFlow::Continue(())
        }
    })?;
    let whole = done(call, asking, &made, &base)?;
    for event in asking.ending(&made, &whole) {
        if send(event).is_break() {
            break;
        }
    }
    Ok(())
}

fn missing(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Not found: there is no response `{id}`"))
        .with_field("response_id")
}

fn kept(call: &Call) -> Result<kithdb::Payload> {
    call.rights.check_of(&call.state.db, RESPONSES, Need::Read)?;
    let id = call.part("response")?;
    shelf(call).kept(RESPONSES, id, &[])?.ok_or_else(|| missing(id))
}

pub(super) fn get(call: &Call) -> Result<Value> {
    Ok(kept(call)?.remove("response").unwrap_or_default())
}

pub(super) fn delete(call: &Call) -> Result<Value> {
    call.rights.check_of(&call.state.db, RESPONSES, Need::Write)?;
    let id = call.part("response")?;
    if !shelf(call).forget(RESPONSES, id)? {
        return Err(missing(id));
    }
    Ok(json!({"id": id, "object": "response", "deleted": true}))
}

/// An answer that is kept is whole: there is nothing to cancel.
pub(super) fn cancel(call: &Call) -> Result<Value> {
    kept(call)?;
    Err(Error::invalid("response_id", "is answered already; only a stream is cancelled, by closing it"))
}

pub(super) fn input_items(call: &Call) -> Result<Value> {
    let page: PageIn = call.query()?;
    let items = kept(call)?.remove("input").unwrap_or_default();
    let items = items.as_array().cloned().unwrap_or_default().into_iter();
    page.of(items.map(|item| (item["id"].as_str().unwrap_or_default().to_owned(), item)).collect(), LIMIT)
}
