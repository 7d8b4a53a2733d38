//! `POST /v1/chat/completions`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use kithdb::Result;
use rag::answer::{Answer, Library, Told, answer};
use rag::engine::Cancel;
use serde_json::{Value, json};

use super::super::Call;
use super::super::call;
use crate::access::Need;
use crate::lanes::Lane;
use crate::sse::{CancelOnDrop, Events, events};
use crate::wire::openai::chat::{ChatAsked, ChatIn, Head, finish};
use crate::wire::openai::cited::{Places, list};
use crate::wire::openai::rag as told;
use crate::wire::openai::{fresh, now_s};
use crate::{State, error};

pub(super) async fn complete(Shared(state): Shared<State>, request: Request) -> Response {
    let began = Instant::now();
    let read = call::read(state, request).await;
    let understood = read.and_then(|call| {
        let asked = call.parse::<ChatIn>()?.into_asked()?;
        call.rights.check_of(&call.state.db, &asked.collection, Need::Read)?;
        Ok((call, asked))
    });
    let (call, asked) = match understood {
        Ok(understood) => understood,
        Err(error) => return error::respond(&error, began),
    };
    let (state, deadline, cancel) = (Arc::clone(&call.state), call.deadline(), Cancel::new());
    let guard = CancelOnDrop(cancel.clone());
    if !asked.is_stream {
        let whole = move || whole(&call, &asked, &cancel);
        let made = state.lanes.run_until(Lane::Generates, deadline, whole).await.and_then(|made| made);
        drop(guard);
        return made.map_or_else(|error| error::respond(&error, began), call::of_json);
    }
    let (events, written) = events();
    tokio::spawn(async move {
        let events = Arc::new(events);
        let own = Arc::clone(&events);
        let write = move || write(&call, &asked, &cancel, &own);
        if let Err(error) =
            state.lanes.run_until(Lane::Generates, deadline, write).await.and_then(|made| made)
        {
            let fail = move || events.fail(error);
            // It ends early only with the runtime.
            let _ = tokio::task::spawn_blocking(fail).await;
        }
    });
    written.respond(guard, began).await
}

/// Answers; the counters know of it.
fn made(
    call: &Call,
    asked: &ChatAsked,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
) -> Result<Answer> {
    let state = &call.state;
    let chunks = state.db.collection(&asked.collection)?;
    let (embedder, engine) = (state.embedder.as_deref(), state.engine.as_deref());
    let library = Library { db: &state.db, chunks: &chunks, embedder, engine };
    let made = answer(&library, &asked.asked, &asked.manner, cancel, tell);
    state.metrics.answered(&made);
    made
}

fn whole(call: &Call, asked: &ChatAsked, cancel: &Cancel) -> Result<Vec<u8>> {
    let made = made(call, asked, cancel, &mut |_| ControlFlow::Continue(()))?;
    let base = call.base();
    let places = Places { base: &base, collection: &asked.collection };
    let head = Head { id: &fresh("chatcmpl-"), created_s: now_s(), model: &asked.model };
    let behind = if asked.lists_sources { list(&made.cited()) } else { String::new() };
    call::json(&head.whole(&made, &behind, &places))
}

fn write(call: &Call, asked: &ChatAsked, cancel: &Cancel, events: &Events) -> Result<()> {
    let base = call.base();
    let places = Places { base: &base, collection: &asked.collection };
    let id = fresh("chatcmpl-");
    let head = Head { id: &id, created_s: now_s(), model: &asked.model };
    let (mut documents, mut has_begun) = (Vec::new(), false);
    let mut send = |delta: Value| {
        let mut delta = delta;
        // The first piece says who speaks.
        if !std::mem::replace(&mut has_begun, true) {
            delta["role"] = "assistant".into();
        }
        events.send(None, &head.piece(&delta, None))
    };
    let made = made(call, asked, cancel, &mut |told| match told {
        Told::Documents(found) => {
            documents = found.to_vec();
            ControlFlow::Continue(())
        }
        Told::Text(text, citations) => {
            let mut delta = json!({"content": text});
            if !citations.is_empty() {
                let annotation = |citation| places.url_citation(&documents, citation);
                delta["annotations"] = citations.iter().map(annotation).collect();
            }
            send(delta)
        }
    })?;
    let behind = if asked.lists_sources { list(&made.cited()) } else { String::new() };
    if !behind.is_empty() && send(json!({"content": behind})).is_break() {
        return Ok(());
    }
    let mut last = head.piece(&json!({}), Some(finish(made.finish)));
    last["rag"] = told::told(&made, &places);
    let mut is_open = events.send(None, &last).is_continue();
    if asked.includes_usage {
        is_open = is_open && events.send(None, &head.usage(&made)).is_continue();
    }
    if is_open {
        events.done();
    }
    Ok(())
}
