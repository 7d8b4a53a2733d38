//! What is said to a serving engine and what it says, as JSON.
//!
//! Engines differ: usage comes in a chunk of its own, with the last one, or not at all; a first delta has `null`, an
//! empty text or nothing; some never say `[DONE]`; some ignore that a stream was asked for; some have what a model
//! thinks in its answer ([`Thoughts`]). All of it is read here.

use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::{Failure, FailureKind};
use super::thought::Thoughts;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// A question, with the documents that belong to it.
    User,
    /// An answer of the model.
    Assistant,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// What a model is asked.
#[derive(Clone, Debug, Default)]
pub struct Chat {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tokens of the answer, at most.
    pub answer_tokens_max: usize,
    /// How freely tokens are chosen; the engine's own choice if absent.
    pub temperature: Option<f32>,
    /// The share of likely tokens that are chosen from.
    pub top_p: Option<f32>,
    /// What ends an answer.
    pub stop: Vec<String>,
    /// Equal seeds answer alike, where the engine can do that.
    pub seed: Option<i64>,
}

/// Tokens that were read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt.
    pub prompt: usize,
    /// Of these, those that the engine still had from an earlier prompt.
    pub cached: usize,
    /// Of the answer.
    pub completion: usize,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    #[default]
    Stop,
    /// There was no room for more tokens.
    Length,
    /// The engine suppressed it.
    Filtered,
}

/// What ended a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Why it ended.
    pub finish: Finish,
    /// What it took, where the engine tells.
    pub usage: Option<Usage>,
}

impl Role {
    /// Its word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            prompt: self.prompt + other.prompt,
            cached: self.cached + other.cached,
            completion: self.completion + other.completion,
        }
    }
}

impl Message {
    /// A message.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into() }
    }
}

/// The conversation as engines take it.
pub(super) fn messages(messages: &[Message]) -> Value {
    messages.iter().map(|message| json!({"role": message.role.name(), "content": message.text})).collect()
}

/// The body of a request.
pub(super) fn body(model: &str, chat: &Chat) -> String {
    let mut body = json!({
        "model": model,
        "messages": messages(&chat.messages),
        "max_tokens": chat.answer_tokens_max,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if let Some(temperature) = chat.temperature {
        body["temperature"] = temperature.into();
    }
    if let Some(top_p) = chat.top_p {
        body["top_p"] = top_p.into();
    }
    if let Some(seed) = chat.seed {
        body["seed"] = seed.into();
    }
    if !chat.stop.is_empty() {
        body["stop"] = chat.stop.clone().into();
    }
    body.to_string()
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<UsageIn>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    /// Of an answer that is no stream.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct UsageIn {
    prompt_tokens: Option<usize>,
    completion_tokens: Option<usize>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<usize>,
}

/// An answer on its way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    usage: Option<Usage>,
    finish: Option<Finish>,
    /// Whether there was a piece of an answer, be it an empty one.
    has_begun: bool,
    is_done: bool,
    thoughts: Thoughts,
}

impl Progress {
    /// Takes an event, or a whole answer; the text in it.
    ///
    /// # Errors
    /// `Garbled`; what an engine says went wrong.
    pub(super) fn take(&mut self, event: &str) -> Result<String, Failure> {
        if event.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(String::new());
        }
        let garbled = |error| Failure::new(FailureKind::Garbled, format!("{error} in an event"));
        let chunk: Chunk = serde_json::from_str(event).map_err(garbled)?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            let status = error["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
            return Err(Failure::of_answer(status, &json!({"error": error}).to_string(), None));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(Usage {
                prompt: usage.prompt_tokens.unwrap_or(0),
                completion: usage.completion_tokens.unwrap_or(0),
                cached: usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
            });
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(String::new()) };
        self.has_begun = true;
        self.finish = match choice.finish_reason.as_deref() {
            None => self.finish,
            Some("length") => Some(Finish::Length),
            Some("content_filter") => Some(Finish::Filtered),
            Some(_) => Some(Finish::Stop),
        };
        let said = choice.delta.or(choice.message).and_then(|delta| delta.content);
        Ok(said.map(|said| self.thoughts.take(&said)).unwrap_or_default())
    }

    /// Text that waited for what would follow it, when nothing does.
    pub(super) fn rest(&mut self) -> String {
        self.thoughts.end()
    }

    /// Whether nothing comes any more.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// What it was, at the end of the stream.
    ///
    /// # Errors
    /// `Cut` when the stream ended before the answer did; `Garbled` when it said to be at its end, and had none.
    pub(super) fn end(self) -> Result<Generated, Failure> {
        match self.finish {
            Some(finish) => Ok(Generated { finish, usage: self.usage }),
            None if self.is_done && !self.has_begun => {
                Err(Failure::new(FailureKind::Garbled, "the stream ended without an answer"))
            }
            None if self.is_done => Ok(Generated { finish: Finish::Stop, usage: self.usage }),
            None => Err(Failure::new(FailureKind::Cut, "the stream ended in the middle of the answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(events: &[&str]) -> Result<(String, Generated), Failure> {
        let mut progress = Progress::default();
        let mut text = String::new();
        for event in events {
            text.push_str(&progress.take(event)?);
        }
        text.push_str(&progress.rest());
        progress.end().map(|generated| (text, generated))
    }

    const FIRST: &str = r#"{"choices":[{"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#;
    const WORD: &str = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    const END: &str = r#"{"choices":[{"delta":{},"finish_reason":"length"}],"usage":null}"#;
    const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,
        "prompt_tokens_details":{"cached_tokens":5}}}"#;

    #[test]
    fn every_kind_of_stream_is_read() {
        let usage = Some(Usage { prompt: 9, cached: 5, completion: 2 });
        let length = |usage| Generated { finish: Finish::Length, usage };
        assert_eq!(read(&[FIRST, WORD, WORD, END, USAGE, "[DONE]"]), Ok(("aa".into(), length(usage))));
        assert_eq!(read(&[WORD, END]), Ok(("a".into(), length(None))), "without an end mark");
        let stop = Generated::default();
        assert_eq!(read(&[WORD, "[DONE]"]), Ok(("a".into(), stop)), "without a reason");
        let whole = r#"{"choices":[{"message":{"role":"assistant","content":"b"},"finish_reason":"stop"}]}"#;
        assert_eq!(read(&[whole]), Ok(("b".into(), stop)), "no stream at all");
        let [thought, rest] = ["<think>Is it a", "?</think>\\n\\n"]
            .map(|text| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#));
        assert_eq!(read(&[FIRST, &thought, &rest, WORD, "[DONE]"]), Ok(("a".into(), stop)), "thinks aloud");
    }

    #[test]
    fn what_breaks_off_or_is_no_answer_is_told() {
        let kind = |events: &[&str]| read(events).expect_err("refused").kind;
        assert_eq!(kind(&[FIRST, WORD]), FailureKind::Cut);
        assert_eq!(kind(&[USAGE, "[DONE]"]), FailureKind::Garbled, "it was told as an empty answer");
        assert_eq!(kind(&["{"]), FailureKind::Garbled);
        assert_eq!(kind(&[r#"{"choices": "none"}"#]), FailureKind::Garbled);
        let error = r#"{"error":{"message":"slot unavailable","code":503}}"#;
        assert_eq!(kind(&[WORD, error]), FailureKind::Overloaded);
    }
}
