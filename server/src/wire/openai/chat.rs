//! `chat/completions`: a conversation whose last question is answered from the documents of a collection.

use kithdb::{Error, Result};
use rag::answer::{Answer, Asked, Manner, Retrieval};
use rag::engine::{Finish, Message, Role, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cited::Places;
use super::rag::RagIn;
use super::{Content, Texts};

/// A request.
#[derive(Debug, Deserialize)]
pub(crate) struct ChatIn {
    model: String,
    messages: Vec<MessageIn>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    stop: Option<Texts>,
    seed: Option<i64>,
    n: Option<usize>,
    tool_choice: Option<Value>,
    response_format: Option<Value>,
    logprobs: Option<bool>,
    rag: Option<RagIn>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct MessageIn {
    role: String,
    content: Option<Content>,
}

/// A request that was understood.
pub(crate) struct ChatAsked {
    /// As it was named: told again.
    pub(crate) model: String,
    pub(crate) collection: String,
    /// The field that named it.
    pub(crate) named_by: &'static str,
    pub(crate) asked: Asked,
    pub(crate) manner: Manner,
    pub(crate) is_stream: bool,
    pub(crate) includes_usage: bool,
    pub(crate) lists_sources: bool,
}

/// How the name of a model begins that answers from a collection.
pub(crate) const MODEL_PREFIX: &str = "rag:";

/// Messages of a conversation, at most.
const MESSAGES_MAX: usize = 1_000;

impl ChatIn {
    /// What is asked, and of which collection.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn into_asked(self) -> Result<ChatAsked> {
        let mut rag = self.rag.unwrap_or_default();
        let named = self.model.strip_prefix(MODEL_PREFIX).unwrap_or(&self.model).to_owned();
        let named_by = if rag.collection.is_some() { "rag.collection" } else { "model" };
        let collection = rag.collection.take().unwrap_or(named);
        if self.n.is_some_and(|n| n != 1) {
            return Err(Error::invalid("n", "must be 1: one answer is made of a question"));
        }
        // No tool is called: who must have one called would wait for it in vain.
        let chosen =
            self.tool_choice.as_ref().filter(|choice| !["auto", "none"].iter().any(|one| *choice == one));
        refuse_unless(chosen.is_none(), "tool_choice", "must be auto or none: no tools are called")?;
        check_format(self.response_format.as_ref(), "response_format.type")?;
        refuse_unless(self.logprobs != Some(true), "logprobs", "are not known: checked sentences have none")?;
        let lists_sources = rag.list_sources.unwrap_or(true);
        let mut manner = rag.into_manner(Retrieval::default())?;
        manner.answer_tokens_max =
            self.max_completion_tokens.or(self.max_tokens).filter(|tokens| *tokens > 0);
        (manner.temperature, manner.top_p, manner.seed) = (self.temperature, self.top_p, self.seed);
        manner.stop = self.stop.map(Texts::into_vec).unwrap_or_default();
        check_sampling(&manner)?;
        Ok(ChatAsked {
            model: self.model,
            collection,
            named_by,
            asked: asked(self.messages)?,
            manner,
            is_stream: self.stream.unwrap_or(false),
            includes_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            lists_sources,
        })
    }
}

/// Refuses a field whose effect there is not, so that nobody relies on it.
///
/// # Errors
/// `InvalidArgument` naming the field, unless it is fine.
pub(crate) fn refuse_unless(is_fine: bool, field: &str, why: &str) -> Result<()> {
    if is_fine { Ok(()) } else { Err(Error::invalid(field, why)) }
}

/// Checks the format that an answer is asked for in.
///
/// # Errors
/// `InvalidArgument` naming the field, for any but text.
pub(crate) fn check_format(format: Option<&Value>, field: &str) -> Result<()> {
    let kind = format.and_then(|format| format.get("type")).filter(|kind| !kind.is_null());
    refuse_unless(
        kind.is_none_or(|kind| *kind == "text"),
        field,
        "must be text: answers are text with citations",
    )
}

/// What engines refuse in words of their own.
pub(crate) fn check_sampling(manner: &Manner) -> Result<()> {
    if manner.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
        return Err(Error::invalid("temperature", "must be between 0 and 2"));
    }
    if manner.top_p.is_some_and(|top_p| !(top_p > 0.0 && top_p <= 1.0)) {
        return Err(Error::invalid("top_p", "must be above 0 and at most 1"));
    }
    Ok(())
}

fn asked(messages: Vec<MessageIn>) -> Result<Asked> {
    if messages.len() > MESSAGES_MAX {
        return Err(Error::limit("messages", "the number of messages", messages.len(), MESSAGES_MAX));
    }
    let mut asked = Asked::default();
    for (position, message) in messages.into_iter().enumerate() {
        let text = message.content.map(Content::into_text).unwrap_or_default();
        let role = match message.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // What tools return was not asked by anyone.
            "tool" | "function" => continue,
            other => {
                let message = format!("`{other}` is none of system, developer, user, assistant, tool");
                return Err(Error::invalid(format!("messages[{position}].role"), message));
            }
        };
        if role == Role::System {
            asked.instructions.push_str(&text);
            asked.instructions.push('\n');
        } else if !text.trim().is_empty() {
            asked.history.push(Message::new(role, text));
        }
    }
    match asked.history.pop() {
        Some(last) if last.role == Role::User => Ok(Asked { question: last.text, ..asked }),
        _ => Err(Error::invalid("messages", "must end with a message of the user, which is the question")),
    }
}

/// The reason why an answer ended.
pub(crate) fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

/// What an answer took.
pub(crate) fn usage(usage: Option<Usage>) -> Value {
    let Usage { prompt, cached, completion } = usage.unwrap_or_default();
    json!({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    })
}

/// The head of an answer, or of its pieces.
pub(crate) struct Head<'a> {
    pub(crate) id: &'a str,
    pub(crate) created_s: u64,
    pub(crate) asked: &'a ChatAsked,
}

impl Head<'_> {
    /// A whole answer. `behind` is put behind its text.
    pub(crate) fn whole(&self, answer: &Answer, behind: &str, places: &Places<'_>) -> Value {
        let cited = answer.citations.iter();
        let annotations: Vec<Value> =
            cited.map(|citation| places.url_citation(&answer.documents, citation)).collect();
        let message = json!({
            "role": "assistant", "content": format!("{}{behind}", answer.text), "refusal": null,
            "annotations": annotations,
        });
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created_s, "model": self.asked.model,
            "choices": [{
                "index": 0, "message": message, "finish_reason": finish(answer.finish), "logprobs": null,
            }],
            "usage": usage(answer.usage),
            "rag": super::rag::told(answer, places),
        })
    }

    /// A piece of an answer.
    pub(crate) fn piece(&self, delta: &Value, finish: Option<&str>) -> Value {
        let mut piece = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created_s, "model": self.asked.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null}],
        });
        if self.asked.includes_usage {
            // It comes at the end, and every piece before says so.
            piece["usage"] = Value::Null;
        }
        piece
    }

    /// The last piece: what the answer took.
    pub(crate) fn usage(&self, answer: &Answer) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created_s, "model": self.asked.model,
            "choices": [], "usage": usage(answer.usage),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Result<ChatAsked> {
        crate::wire::parse::<ChatIn>(body.to_string().as_bytes())?.into_asked()
    }

    #[test]
    fn a_conversation_ends_with_its_question() {
        let parts =
            json!([{"type": "text", "text": "And"}, {"type": "image_url"}, {"type": "text", "text": "now?"}]);
        let read = read(&json!({
            "model": "rag:a", "unknown": 1, "max_tokens": 0, "stop": "x", "tool_choice": "auto", "logprobs": false,
            "response_format": {"type": "text"}, "parallel_tool_calls": false, "tools": [],
            "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "So."}, {"role": "tool", "content": "x", "tool_call_id": "y"},
                {"role": "user", "content": parts},
            ],
        }))
        .expect("understood");
        assert_eq!((read.collection.as_str(), read.asked.question.as_str()), ("a", "And\nnow?"));
        assert_eq!((read.asked.history.len(), read.asked.instructions.as_str()), (2, "Be kind.\n"));
        assert_eq!(
            (read.manner.answer_tokens_max, read.manner.stop.as_slice()),
            (None, &["x".to_owned()][..])
        );
    }

    #[test]
    fn what_cannot_be_asked_names_the_field() {
        let question = json!([{"role": "user", "content": "Why?"}]);
        let with = |key: &str, value: Value| {
            let mut body = json!({"model": "rag:a", "messages": question});
            body[key] = value;
            body
        };
        for (body, field) in [
            (json!({"messages": question}), "body"),
            (json!({"model": "rag:a"}), "body"),
            (with("messages", json!([])), "messages"),
            (with("messages", json!([{"role": "assistant", "content": "x"}])), "messages"),
            (with("messages", json!([{"role": "user", "content": " "}])), "messages"),
            (with("messages", json!([{"role": "friend", "content": "x"}])), "messages[0].role"),
            (with("n", json!(2)), "n"),
            (with("temperature", json!(-1)), "temperature"),
            (with("top_p", json!(0)), "top_p"),
            (with("max_tokens", json!("many")), "max_tokens"),
            (with("tool_choice", json!("required")), "tool_choice"),
            (with("tool_choice", json!({"type": "function", "function": {"name": "f"}})), "tool_choice"),
            (with("response_format", json!({"type": "json_object"})), "response_format.type"),
            (with("logprobs", json!(true)), "logprobs"),
            (with("rag", json!({"label": ["a"]})), "rag.label"),
            (with("rag", json!({"top_k": 0})), "rag.top_k"),
            (with("rag", json!({"top_k": 101})), "rag.top_k"),
            (with("rag", json!({"diversity": 2})), "rag.diversity"),
            (with("rag", json!({"mode": "guess"})), "rag.mode"),
            (with("rag", json!({"filter": "a ="})), "rag.filter"),
        ] {
            let error = read(&body).err().unwrap_or_else(|| panic!("{body} is understood"));
            assert_eq!(error.field(), Some(field), "{body}: {error}");
        }
    }
}
