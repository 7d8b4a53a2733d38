//! `POST /v1/chat/completions`.

use std::ops::ControlFlow;
use std::time::Instant;

use axum::extract::{Request, State as Shared};
use axum::response::Response;
use kithdb::Result;
use rag::answer::{Answer, Told};
use rag::engine::Cancel;
use serde_json::{Value, json};

use super::super::Call;
use super::super::call;
use super::answering::{Answering, answered, asked_by, made};
use crate::access::Need;
use crate::sse::{Events, Fail, failed};
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
        call.state.db.collection(&asked.collection).map_err(|error| error.with_field(asked.named_by))?;
        Ok(Chat { call, asked, id: fresh("chatcmpl-") })
    });
    match understood {
        Ok(chat) => answered(chat, began).await,
        Err(error) => error::respond(&error, began),
    }
}

/// A question of a conversation.
struct Chat {
    call: Call,
    asked: ChatAsked,
    /// Of the answer.
    id: String,
}

impl Chat {
    fn made(
        &self,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Told<'_>) -> ControlFlow<()>,
    ) -> Result<(Answer, String)> {
        let ChatAsked { collection, asked, manner, .. } = &self.asked;
        let place = (self.id.as_str(), collection.as_str());
        let made = made(&self.call, place, (asked, manner), cancel, tell);
        let made = made.map_err(|error| asked_by(error, "messages"))?;
        let behind = if self.asked.lists_sources { list(&made.cited()) } else { String::new() };
        Ok((made, behind))
    }
}

impl Answering for Chat {
    fn call(&self) -> &Call {
        &self.call
    }

    fn stream(&self) -> Option<Fail> {
        let fail: Fail = failed;
        self.asked.is_stream.then_some(fail)
    }

    fn whole(&self, cancel: &Cancel) -> Result<Vec<u8>> {
        let (made, behind) = self.made(cancel, &mut |_| ControlFlow::Continue(()))?;
        let base = self.call.base();
        let places = Places { base: &base, collection: &self.asked.collection };
        let head = Head { id: &self.id, created_s: now_s(), asked: &self.asked };
        call::json(&head.whole(&made, &behind, &places))
    }

    fn write(&self, cancel: &Cancel, events: &Events) -> Result<()> {
        let base = self.call.base();
        let places = Places { base: &base, collection: &self.asked.collection };
        let head = Head { id: &self.id, created_s: now_s(), asked: &self.asked };
        let (mut documents, mut has_begun) = (Vec::new(), false);
        let mut send = |delta: Value| {
            let mut delta = delta;
            // The first piece says who speaks.
            if !std::mem::replace(&mut has_begun, true) {
                delta["role"] = "assistant".into();
            }
            events.send(None, &head.piece(&delta, None))
        };
        let (made, behind) = self.made(cancel, &mut |told| match told {
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
        // An answer may be empty: who speaks is told all the same.
        if (made.text.is_empty() || !behind.is_empty()) && send(json!({"content": behind})).is_break() {
            return Ok(());
        }
        let mut last = head.piece(&json!({}), Some(finish(made.finish)));
        last["rag"] = told::told(&made, &places);
        let mut is_open = events.send(None, &last).is_continue();
        if self.asked.includes_usage {
            is_open = is_open && events.send(None, &head.usage(&made)).is_continue();
        }
        if is_open {
            events.done();
        }
        Ok(())
    }
}
