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
use rag::answer::{Answer, Told};
use rag::engine::Cancel;
use rag::shelf::RESPONSES;
use serde_json::json;

use super::super::{Call, call};
use super::answering::{Answering, answered, asked_by, made};
use super::{shelf, used};
use crate::access::Need;
use crate::lanes::Lane;
use crate::sse::{Events, Fail};
use crate::wire::openai::cited::Places;
use crate::wire::openai::page::{LIMIT, PageIn};
use crate::wire::openai::responses::{AgainIn, Asking, ResponsesIn, failed, record, turns};
use crate::{State, error};

pub(super) async fn create(Shared(state): Shared<State>, request: Request) -> Response {
    let began = Instant::now();
    let understood = match call::read(state, request).await {
        Ok(call) => {
            let state = Arc::clone(&call.state);
            let understand = move || understand(&call).map(|asking| Responding { call, asking });
            state.lanes.run(Lane::Waits, understand).await
        }
        Err(error) => Err(error),
    };
    match understood {
        Ok(responding) => answered(responding, began).await,
        Err(error) => error::respond(&error, began),
    }
}

/// What is asked, with what was said before it.
fn understand(call: &Call) -> Result<Asking> {
    let mut asking = call.parse::<ResponsesIn>()?.into_asking()?;
    let db = &call.state.db;
    call.rights.check_of(db, &asking.store, Need::Read)?;
    used(call, &asking.store)?;
    asking.is_kept &= call.rights.check_of(db, RESPONSES, Need::Write).is_ok();
    if let Some(previous) = asking.previous.clone() {
        call.rights.check_of(db, RESPONSES, Need::Read)?;
        let before = shelf(call)
            .kept(RESPONSES, &previous)?
            .ok_or_else(|| missing(&previous).with_field("previous_response_id"))?;
        let history = turns(&before);
        asking.asked.history.splice(0..0, history);
    }
    Ok(asking)
}

/// A question that was understood.
struct Responding {
    call: Call,
    asking: Asking,
}

impl Responding {
    fn made(&self, cancel: &Cancel, tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>) -> Result<Answer> {
        let Asking { id, store, asked, manner, .. } = &self.asking;
        let made = made(&self.call, (id.as_str(), store.as_str()), (asked, manner), cancel, tell);
        made.map_err(|error| asked_by(error, "input"))
    }

    /// The whole answer, kept if it is to be.
    fn done(&self, made: &Answer) -> Result<Value> {
        let Self { call, asking } = self;
        let base = call.base();
        let whole = asking.whole(made, &Places { base: &base, collection: &asking.store });
        if asking.is_kept {
            shelf(call).keep(RESPONSES, &asking.id, record(asking, &whole))?;
        }
        Ok(whole)
    }
}

impl Answering for Responding {
    fn call(&self) -> &Call {
        &self.call
    }

    fn stream(&self) -> Option<Fail> {
        let fail: Fail = failed;
        self.asking.is_stream.then_some(fail)
    }

    fn whole(&self, cancel: &Cancel) -> Result<Vec<u8>> {
        let made = self.made(cancel, &mut |_| ControlFlow::Continue(()))?;
        call::json(&self.done(&made)?)
    }

    fn write(&self, cancel: &Cancel, events: &Events) -> Result<()> {
        let asking = &self.asking;
        let mut number = 0_u64;
        let mut send = |mut event: Value| {
            event["sequence_number"] = number.into();
            number += 1;
            let name = event["type"].as_str().unwrap_or_default().to_owned();
            events.send(Some(&name), &event)
        };
        let (mut documents, mut cited, mut has_begun) = (Vec::new(), 0, false);
        let made = self.made(cancel, &mut |told| match told {
            Told::Documents(found) => {
                documents = found.to_vec();
                ControlFlow::Continue(())
            }
            Told::Text(text, citations) => {
                if !std::mem::replace(&mut has_begun, true) {
                    asking.beginning(&documents).into_iter().try_for_each(&mut send)?;
                }
                send(asking.delta(text))?;
                for citation in citations {
                    send(asking.annotation(&documents, citation, cited))?;
                    cited += 1;
                }
                ControlFlow::Continue(())
            }
        })?;
        let whole = self.done(&made)?;
        // An answer may be empty: then nothing has begun yet.
        let before = if has_begun { Vec::new() } else { asking.beginning(&made.documents) };
        // Who has gone needs no end.
        let _ = before.into_iter().chain(asking.ending(&made, &whole)).try_for_each(send);
        Ok(())
    }
}

fn missing(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Not found: there is no response `{id}`"))
        .with_field("response_id")
}

fn kept(call: &Call) -> Result<kithdb::Payload> {
    call.rights.check_of(&call.state.db, RESPONSES, Need::Read)?;
    let id = call.part("response")?;
    shelf(call).kept(RESPONSES, id)?.ok_or_else(|| missing(id))
}

pub(super) fn get(call: &Call) -> Result<Value> {
    call.query::<AgainIn>()?.check()?;
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
