//! What an engine tells of itself: its models, the room they have, and how it counts tokens.
//!
//! Cost: a question each for models and, where it has one, the tokenizer; models are asked for again after
//! [`KNOWN_TIME_MAX`]. An engine without a tokenizer is not asked for it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use types::Result;

use super::reply::{self, Message};
use super::{Engine, Failure, FailureKind, of_ureq, whole};

/// What is known of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The model that is asked.
    pub model: String,
    /// Every model that it lists.
    pub models: Vec<String>,
    /// Tokens of prompt and answer together, where it is told or set.
    pub context_tokens: Option<usize>,
}

/// A number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub tokens: usize,
    /// By the model's own tokenizer; otherwise it is an estimate that is too high rather than too low.
    pub is_exact: bool,
}

/// What was learnt.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<Option<(Instant, Known)>>,
    has_no_tokenizer: AtomicBool,
    has_no_template: AtomicBool,
}

/// After so long it may have another model.
const KNOWN_TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes of text that a token stands for at least, on the average, in any language but those of few bytes a
/// character.
pub(crate) const TOKEN_BYTES: usize = 3;

/// Tokens that a message takes beside its text, in the templates of chats.
const MESSAGE_TOKENS: usize = 8;

impl Engine {
    /// Its model, its models and its context.
    ///
    /// # Errors
    /// A [`Failure`] is the source of each.
    pub fn known(&self) -> Result<Known> {
        if let Some((at, known)) = &*self.memory.known.lock()
            && at.elapsed() < KNOWN_TIME_MAX
        {
            return Ok(known.clone());
        }
        let known = self.ask_models()?;
        *self.memory.known.lock() = Some((Instant::now(), known.clone()));
        Ok(known)
    }

    fn ask_models(&self) -> std::result::Result<Known, Failure> {
        let configured = self.options.model.clone();
        let listed = self.ask("models", None);
        let listed = match (listed, &configured) {
            (Ok(listed), _) => listed,
            // Some engines cannot list what they have.
            (Err(failure), Some(_)) if !failure.is_passing() && failure.kind != FailureKind::Unauthorized => {
                Value::Null
            }
            (Err(failure), _) => return Err(failure),
        };
        let entries = listed["data"].as_array().cloned().unwrap_or_default();
        let models: Vec<String> =
            entries.iter().filter_map(|entry| entry["id"].as_str()).map(str::to_owned).collect();
        let model = configured
            .or_else(|| models.first().cloned())
            .ok_or_else(|| Failure::new(FailureKind::NotFound, "it lists no model; set engine_model"))?;
        let told = entries.iter().find(|entry| entry["id"].as_str() == Some(&model)).or(entries.first());
        let number = |value: Option<&Value>| value.and_then(Value::as_u64).map(|number| number as usize);
        let told = number(told.and_then(|entry| entry.get("max_model_len")))
            .or_else(|| number(told.and_then(|entry| entry.pointer("/meta/n_ctx"))));
        let context_tokens = self.options.context_tokens.or(told).or_else(|| self.slot_tokens());
        Ok(Known { model, models, context_tokens })
    }

    /// The room that llama.cpp gives each answer.
    fn slot_tokens(&self) -> Option<usize> {
        let told = self.ask_root("props", None).ok()?;
        told.pointer("/default_generation_settings/n_ctx")?.as_u64().map(|number| number as usize)
    }

    /// How many tokens a text has: by the engine's tokenizer where it has one, else by an estimate.
    pub fn count(&self, text: &str) -> Counted {
        let exact = self.tokenized(text);
        let estimate = text.len().div_ceil(TOKEN_BYTES).max(text.split_whitespace().count());
        Counted { tokens: exact.unwrap_or(estimate), is_exact: exact.is_some() }
    }

    /// How many tokens a conversation has, with what its template adds.
    pub fn count_messages(&self, messages: &[Message]) -> Counted {
        if let Some(text) = self.templated(messages)
            && let Some(tokens) = self.tokenized(&text)
        {
            return Counted { tokens, is_exact: true };
        }
        let counts = messages.iter().map(|message| self.count(&message.text));
        let sum = |sum: Counted, next: Counted| Counted {
            tokens: sum.tokens + next.tokens + MESSAGE_TOKENS,
            is_exact: false,
        };
        counts.fold(Counted { tokens: MESSAGE_TOKENS, is_exact: false }, sum)
    }

    /// The conversation as the model sees it, where the engine tells.
    fn templated(&self, messages: &[Message]) -> Option<String> {
        if self.memory.has_no_template.load(Ordering::Relaxed) {
            return None;
        }
        let body = json!({"messages": reply::messages(messages)});
        match self.ask_root("apply-template", Some(&body)) {
            Ok(told) => told["prompt"].as_str().map(str::to_owned),
            Err(failure) => {
                self.memory.has_no_template.fetch_or(!failure.is_passing(), Ordering::Relaxed);
                None
            }
        }
    }

    fn tokenized(&self, text: &str) -> Option<usize> {
        if self.memory.has_no_tokenizer.load(Ordering::Relaxed) {
            return None;
        }
        let model = self.known().ok()?.model;
        // One engine reads `content`, the other `prompt` and `model`.
        let body = json!({"content": text, "prompt": text, "model": model, "add_special_tokens": false});
        match self.ask_root("tokenize", Some(&body)) {
            Ok(told) => {
                let count = told["count"].as_u64().map(|count| count as usize);
                count.or_else(|| told["tokens"].as_array().map(Vec::len))
            }
            Err(failure) => {
                self.memory.has_no_tokenizer.fetch_or(!failure.is_passing(), Ordering::Relaxed);
                None
            }
        }
    }

    fn ask_root(&self, path: &str, body: Option<&Value>) -> std::result::Result<Value, Failure> {
        let root = self.options.url.strip_suffix("/v1").unwrap_or(&self.options.url);
        self.ask_at(&format!("{root}/{path}"), body)
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> std::result::Result<Value, Failure> {
        self.ask_at(&format!("{}/{path}", self.options.url), body)
    }

    fn ask_at(&self, url: &str, body: Option<&Value>) -> std::result::Result<Value, Failure> {
        self.check_reach()?;
        let answered = match body {
            Some(body) => {
                let request = self.with_key(self.agent.post(url)).header("content-type", "application/json");
                request.send(body.to_string())
            }
            None => self.with_key(self.agent.get(url)).call(),
        };
        let answered = answered.map_err(of_ureq);
        self.note(answered.as_ref().err());
        let response = answered?;
        if !response.status().is_success() {
            return Err(self.refused(response));
        }
        let text = whole(response)?;
        serde_json::from_str(&text).map_err(|error| Failure::new(FailureKind::Garbled, error))
    }
}
