//! `responses`: a question that is answered by searching a vector store, and the events of its answer.

use kithdb::{Error, Payload, Result};
use rag::answer::{Answer, Asked, Manner, Passage, Retrieval};
use rag::engine::{Finish, Message, Role};
use rag::{Citation, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{self, FilterIn};
use super::chat::{MODEL_PREFIX, check_format, check_sampling, refuse_unless};
use super::cited::Places;
use super::rag::RagIn;
use super::stores::{RankingIn, file_id, retrieval};
use super::{Content, fresh, now_s};
use crate::error;

/// A request.
#[derive(Debug, Deserialize)]
pub(crate) struct ResponsesIn {
    model: Option<String>,
    input: Input,
    instructions: Option<String>,
    stream: Option<bool>,
    store: Option<bool>,
    previous_response_id: Option<String>,
    max_output_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    metadata: Option<Payload>,
    tools: Option<Vec<ToolIn>>,
    include: Option<Vec<String>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    text: Option<TextIn>,
    background: Option<bool>,
    conversation: Option<Value>,
    prompt: Option<Value>,
    top_logprobs: Option<usize>,
    rag: Option<RagIn>,
}

/// A response that is asked for again.
#[derive(Debug, Deserialize)]
pub(crate) struct AgainIn {
    stream: Option<bool>,
}

impl AgainIn {
    /// Refuses what would be waited for in vain.
    ///
    /// # Errors
    /// `InvalidArgument` on `stream`.
    pub(crate) fn check(&self) -> Result<()> {
        let message = "is done while an answer is made; what is kept is whole, leave it out";
        refuse_unless(self.stream != Some(true), "stream", message)
    }
}

/// How an answer is written.
#[derive(Debug, Deserialize)]
struct TextIn {
    format: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text, or a list of items, each an object with its `type` or `role`")]
enum Input {
    Text(String),
    Items(Vec<ItemIn>),
}

#[derive(Debug, Deserialize)]
struct ItemIn {
    role: Option<String>,
    content: Option<Content>,
}

#[derive(Clone, Debug, Deserialize)]
struct ToolIn {
    r#type: String,
    vector_store_ids: Option<Vec<String>>,
    max_num_results: Option<usize>,
    filters: Option<FilterIn>,
    ranking_options: Option<RankingIn>,
    /// What was sent, to be told again.
    #[serde(flatten)]
    rest: Payload,
}

/// A request that was understood.
pub(crate) struct Asking {
    pub(crate) id: String,
    pub(crate) store: String,
    pub(crate) asked: Asked,
    pub(crate) manner: Manner,
    pub(crate) is_stream: bool,
    pub(crate) is_kept: bool,
    pub(crate) previous: Option<String>,
    /// What was sent, to be told again.
    input: Vec<Message>,
    model: String,
    created_s: u64,
    message: String,
    call: String,
    instructions: Option<String>,
    metadata: Payload,
    tool: Value,
    tool_choice: Value,
    calls_in_parallel: bool,
    answer_tokens: Option<usize>,
    /// Whether what was found is told in full.
    tells_results: bool,
}

impl ResponsesIn {
    /// What is asked.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn into_asking(self) -> Result<Asking> {
        self.check_effects()?;
        let metadata = self.metadata.unwrap_or_default();
        attributes::check_metadata(&metadata)?;
        let model = self.model.unwrap_or_default();
        let plain = plain_manner(self.rag.unwrap_or_default())?;
        let (store, manner, tool) = manner(&model, self.tools.unwrap_or_default(), plain)?;
        let (asked, instructions) = (asked(self.input, self.instructions.as_deref())?, self.instructions);
        let question = Message::new(Role::User, asked.question.clone());
        let input = asked.history.iter().cloned().chain([question]).collect();
        let mut manner = manner;
        manner.answer_tokens_max = self.max_output_tokens.filter(|tokens| *tokens > 0);
        (manner.temperature, manner.top_p) = (self.temperature, self.top_p);
        check_sampling(&manner)?;
        Ok(Asking {
            id: fresh("resp_"),
            store,
            asked,
            manner,
            is_stream: self.stream.unwrap_or(false),
            is_kept: self.store.unwrap_or(true),
            previous: self.previous_response_id,
            input,
            model,
            created_s: now_s(),
            message: fresh("msg_"),
            call: fresh("fs_"),
            instructions,
            metadata,
            tool,
            tool_choice: self.tool_choice.unwrap_or_else(|| "auto".into()),
            calls_in_parallel: self.parallel_tool_calls.unwrap_or(true),
            answer_tokens: self.max_output_tokens,
            tells_results: self.include.iter().flatten().any(|what| what == "file_search_call.results"),
        })
    }
}

impl ResponsesIn {
    /// Refuses what would be expected to have an effect that it has not. The store is always searched, once: who
    /// leaves that open, or wants it, gets it.
    fn check_effects(&self) -> Result<()> {
        let wants_search = |choice: &Value| {
            ["auto", "required"].iter().any(|one| choice == one) || choice["type"] == "file_search"
        };
        let is_fine = self.tool_choice.as_ref().is_none_or(wants_search);
        refuse_unless(
            is_fine,
            "tool_choice",
            "must be auto, required or file_search: there is no other tool",
        )?;
        check_format(self.text.as_ref().and_then(|text| text.format.as_ref()), "text.format.type")?;
        let message = "is not done: a response is answered whole, or streamed";
        refuse_unless(self.background != Some(true), "background", message)?;
        let message = "is not kept; name the response before by previous_response_id, or send what was said";
        refuse_unless(self.conversation.is_none(), "conversation", message)?;
        let message = "is not kept; send what it says as instructions and input";
        refuse_unless(self.prompt.is_none(), "prompt", message)?;
        let message = "are not known: checked sentences have none";
        let asks = self.include.iter().flatten().any(|what| what == "message.output_text.logprobs");
        refuse_unless(!asks, "include", &format!("logprobs {message}"))?;
        refuse_unless(self.top_logprobs.is_none_or(|top| top == 0), "top_logprobs", message)
    }
}

/// How it is answered where the tool says nothing.
fn plain_manner(rag: RagIn) -> Result<Manner> {
    let message = "stands beside a store; name the collection by that, or by the model";
    refuse_unless(rag.collection.is_none(), "rag.collection", message)?;
    let message = "is not done here: what is cited stands in the annotations";
    refuse_unless(rag.list_sources != Some(true), "rag.list_sources", message)?;
    rag.into_manner(Retrieval::default())
}

/// The store, how it is searched, and the tool that said so.
fn manner(model: &str, tools: Vec<ToolIn>, mut manner: Manner) -> Result<(String, Manner, Value)> {
    if let Some(at) = tools.iter().position(|tool| tool.r#type != "file_search") {
        let message =
            format!("`{}` is not file_search, the only tool that this server has", tools[at].r#type);
        return Err(Error::invalid(format!("tools[{at}].type"), message));
    }
    let Some(tool) = tools.into_iter().next() else {
        let store = model.strip_prefix(MODEL_PREFIX).ok_or_else(|| {
            let message =
                "has no file_search; name a vector store by it, or by the model, as rag:<collection>";
            Error::invalid("tools", message)
        })?;
        return Ok((store.to_owned(), manner, Value::Null));
    };
    let field = |error: Error| error.within("tools[0]");
    let ids = tool.vector_store_ids.unwrap_or_default();
    let [store] = ids.as_slice() else {
        let message = "must name one vector store; an answer is made from one";
        return Err(Error::invalid("tools[0].vector_store_ids", message));
    };
    let (filters, plain) = (tool.filters.clone(), manner.retrieval);
    manner.retrieval =
        retrieval(tool.max_num_results, filters, tool.ranking_options, plain).map_err(field)?;
    let mut told = json!({
        "type": "file_search", "vector_store_ids": ids, "max_num_results": manner.retrieval.limit,
        "filters": tool.filters,
        "ranking_options": {"ranker": "auto", "score_threshold": manner.retrieval.score_min.unwrap_or(0.0)},
    });
    for (key, value) in tool.rest {
        told[key.as_str()] = value;
    }
    Ok((store.clone(), manner, told))
}

fn asked(input: Input, instructions: Option<&str>) -> Result<Asked> {
    let mut asked = Asked { instructions: instructions.unwrap_or_default().to_owned(), ..Asked::default() };
    let items = match input {
        Input::Text(text) => {
            vec![ItemIn { role: Some("user".to_owned()), content: Some(Content::Text(text)) }]
        }
        Input::Items(items) => items,
    };
    for (at, item) in items.into_iter().enumerate() {
        // Calls of tools, and what they gave, are items without a content of this kind.
        let Some(content) = item.content else { continue };
        let text = content.into_text();
        match item.role.as_deref() {
            Some("system" | "developer") => {
                asked.instructions.push('\n');
                asked.instructions.push_str(&text);
            }
            Some("assistant") => asked.history.push(Message::new(Role::Assistant, text)),
            Some("user") => asked.history.push(Message::new(Role::User, text)),
            // What a model thought was said by nobody.
            None => {}
            Some(other) => {
                let message = format!("`{other}` is none of system, developer, user, assistant");
                return Err(Error::invalid(format!("input[{at}].role"), message));
            }
        }
    }
    match asked.history.pop() {
        Some(last) if last.role == Role::User && !last.text.trim().is_empty() => {
            Ok(Asked { question: last.text, ..asked })
        }
        _ => Err(Error::invalid("input", "must end with a text of the user, which is the question")),
    }
}

impl Asking {
    /// The answer as it stands: in progress, or done.
    fn response(&self, status: &str, output: &Value, usage: &Value) -> Value {
        let tools = if self.tool.is_null() { json!([]) } else { json!([self.tool]) };
        json!({
            "id": self.id, "object": "response", "created_at": self.created_s, "status": status, "error": null,
            "incomplete_details": null, "instructions": self.instructions, "max_output_tokens": self.answer_tokens,
            "metadata": self.metadata, "model": self.model, "output": output,
            "parallel_tool_calls": self.calls_in_parallel,
            "previous_response_id": self.previous, "temperature": self.manner.temperature,
            "top_p": self.manner.top_p, "tool_choice": self.tool_choice, "tools": tools, "truncation": "disabled",
            "text": {"format": {"type": "text"}}, "usage": usage, "store": self.is_kept,
        })
    }

    fn search(&self, status: &str, found: Option<&[Passage]>) -> Value {
        let result = |passage: &Passage| {
            json!({
                "file_id": file_id(passage), "filename": passage.about.path, "score": passage.score.clamp(0.0, 1.0),
                "text": passage.text, "attributes": attributes::told(&passage.about.attributes),
            })
        };
        let results = found.filter(|_| self.tells_results);
        let results = results.map(|found| found.iter().map(result).collect::<Vec<_>>());
        json!({
            "id": self.call, "type": "file_search_call", "status": status, "queries": [self.asked.question],
            "results": results,
        })
    }

    fn text(text: &str, annotations: &[Value]) -> Value {
        json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
    }

    fn message(&self, status: &str, content: &[Value]) -> Value {
        json!({"id": self.message, "type": "message", "role": "assistant", "status": status, "content": content})
    }

    /// What an answer says, with what it cites.
    fn content(made: &Answer) -> Value {
        let annotations: Vec<Value> =
            made.citations.iter().map(|citation| file_citation(&made.documents, citation)).collect();
        Self::text(&made.text, &annotations)
    }

    /// The whole answer.
    pub(crate) fn whole(&self, made: &Answer, places: &Places<'_>) -> Value {
        let usage = made.usage.unwrap_or_default();
        let usage = json!({
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.completion, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt + usage.completion,
        });
        let is_cut = made.outcome == Outcome::Generated && made.finish != Finish::Stop;
        let status = if is_cut { "incomplete" } else { "completed" };
        let output = json!([
            self.search("completed", Some(made.documents.as_slice())),
            self.message(status, &[Self::content(made)])
        ]);
        let mut whole = self.response(status, &output, &usage);
        if is_cut {
            let reason = if made.finish == Finish::Length { "max_output_tokens" } else { "content_filter" };
            whole["incomplete_details"] = json!({"reason": reason});
        }
        whole["rag"] = super::rag::told(made, places);
        whole
    }

    /// The events before the first text, which is made from these documents.
    pub(crate) fn beginning(&self, documents: &[Passage]) -> Vec<Value> {
        let response = self.response("in_progress", &json!([]), &Value::Null);
        let call = |kind: &str| json!({"type": kind, "output_index": 0, "item_id": self.call});
        vec![
            json!({"type": "response.created", "response": response}),
            json!({"type": "response.in_progress", "response": response}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.search("in_progress", None)}),
            call("response.file_search_call.in_progress"),
            call("response.file_search_call.searching"),
            call("response.file_search_call.completed"),
            json!({"type": "response.output_item.done", "output_index": 0, "item": self.search("completed", Some(documents))}),
            json!({"type": "response.output_item.added", "output_index": 1, "item": self.message("in_progress", &[])}),
            json!({
                "type": "response.content_part.added", "output_index": 1, "content_index": 0, "item_id": self.message,
                "part": Self::text("", &[]),
            }),
        ]
    }

    /// The next sentences.
    pub(crate) fn delta(&self, text: &str) -> Value {
        json!({
            "type": "response.output_text.delta", "output_index": 1, "content_index": 0, "item_id": self.message,
            "delta": text, "logprobs": [],
        })
    }

    /// What they cite.
    pub(crate) fn annotation(&self, documents: &[Passage], citation: &Citation, index: usize) -> Value {
        json!({
            "type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0,
            "item_id": self.message, "annotation_index": index, "annotation": file_citation(documents, citation),
        })
    }

    /// The events behind the last text.
    pub(crate) fn ending(&self, made: &Answer, whole: &Value) -> Vec<Value> {
        let content = Self::content(made);
        let status = whole["status"].as_str().unwrap_or("completed");
        vec![
            json!({
                "type": "response.output_text.done", "output_index": 1, "content_index": 0, "item_id": self.message,
                "text": made.text, "logprobs": [],
            }),
            json!({
                "type": "response.content_part.done", "output_index": 1, "content_index": 0, "item_id": self.message,
                "part": content,
            }),
            json!({
                "type": "response.output_item.done", "output_index": 1, "item": self.message(status, &[content]),
            }),
            json!({"type": format!("response.{status}"), "response": whole}),
        ]
    }
}

/// How an error is told in the middle of a stream: as the event that it is, and in the member that clients look for.
pub(crate) fn failed(error: &Error, number: u64) -> String {
    let mut told = error::openai(&error::Told::of(error), error::status_of(error));
    for key in ["message", "code", "param"] {
        told[key] = told["error"][key].clone();
    }
    told["type"] = "error".into();
    told["sequence_number"] = number.into();
    format!("event: error\ndata: {told}\n\n")
}

fn file_citation(documents: &[Passage], citation: &Citation) -> Value {
    let passage = &documents[citation.passage];
    json!({
        "type": "file_citation", "file_id": file_id(passage), "filename": passage.about.path, "index": citation.at.start,
    })
}

/// What is kept of an answer: itself, what was asked, and the turns that a next question follows.
pub(crate) fn record(asking: &Asking, whole: &Value) -> Payload {
    let mut turns: Vec<&Message> = asking.asked.history.iter().collect();
    let question = Message::new(Role::User, asking.asked.question.clone());
    let said = whole["output"][1]["content"][0]["text"].as_str().unwrap_or_default();
    let answer = Message::new(Role::Assistant, said);
    turns.extend([&question, &answer]);
    let turns: Vec<Value> = turns.iter().map(|turn| json!([turn.role.name(), turn.text])).collect();
    let item = |message: &Message| {
        let content = match message.role {
            Role::Assistant => Asking::text(&message.text, &[]),
            Role::System | Role::User => json!({"type": "input_text", "text": message.text}),
        };
        json!({
            "id": fresh("msg_"), "type": "message", "role": message.role.name(), "status": "completed",
            "content": [content],
        })
    };
    let input: Vec<Value> = asking.input.iter().map(item).collect();
    let mut record = Payload::new();
    record.insert("response".to_owned(), whole.clone());
    record.insert("input".to_owned(), json!(input));
    record.insert("turns".to_owned(), json!(turns));
    record
}

/// The turns of an answer that was kept.
pub(crate) fn turns(record: &Payload) -> Vec<Message> {
    let turns = record.get("turns").and_then(Value::as_array).into_iter().flatten();
    let turn = |turn: &Value| {
        let role = if turn[0] == Role::User.name() { Role::User } else { Role::Assistant };
        Some(Message::new(role, turn[1].as_str()?))
    };
    turns.filter_map(turn).collect()
}
