//! Spans of what models do, named as tools for traces of language models know them: by OpenTelemetry's conventions for
//! generative AI, release 0.1.0, and by OpenInference's.
//!
//! Invariant: names of models, ids, scores and numbers. What people ask, and what documents and answers say, stands in
//! no span.
//! Cost: where nobody listens, a comparison a span. Else a few microseconds, beside a model's milliseconds.
//! Source: `gen_ai.*` as of open-telemetry/semantic-conventions-genai; the rest as of Arize-ai/openinference. The list
//! `gen_ai.response.finish_reasons` is left out: fields of spans are no lists, and `llm.finish_reason` says the same.

use std::sync::OnceLock;

use serde_json::{Value, json};
use tracing::Span;
use tracing::field::Empty;
use types::{ModelIdentity, Result};
use ureq::http::Uri;

use crate::answer::Passage;
use crate::engine::{Chat, Failure, Finish, Generated};

/// Who a model in this process belongs to, and a search.
const OWN: &str = "kithdb";

/// Documents that have fields of their own, as OpenInference has it; `gen_ai.retrieval.documents` has all.
const DOCUMENTS_NAMED: usize = 8;

/// How the current span is named to a server that is asked.
static TRACEPARENT: OnceLock<fn() -> Option<String>> = OnceLock::new();

/// Has serving engines, rerankers and embedding servers told which span asks them, in the header `traceparent` of W3C's
/// Trace Context, so that their own spans stand below it. The first call counts.
pub fn tell_traceparent(of_current: fn() -> Option<String>) {
    // Whoever was first sends the traces of this process.
    let _ = TRACEPARENT.set(of_current);
}

/// The current span as a server is told of it, if it is.
pub(crate) fn traceparent() -> Option<String> {
    TRACEPARENT.get().and_then(|of_current| of_current())
}

/// Of a search for passages.
pub(crate) fn retrieval(collection: &str, limit: usize) -> Span {
    tracing::info_span!(
        "retrieval",
        gen_ai.operation.name = "retrieval",
        gen_ai.provider.name = OWN,
        gen_ai.data_source.id = collection,
        gen_ai.retrieval.top_k = number(limit),
        gen_ai.retrieval.documents = Empty,
        openinference.span.kind = "RETRIEVER",
        otel.status_code = Empty,
        "error.type" = Empty,
        "retrieval.documents.0.document.id" = Empty,
        "retrieval.documents.0.document.score" = Empty,
        "retrieval.documents.1.document.id" = Empty,
        "retrieval.documents.1.document.score" = Empty,
        "retrieval.documents.2.document.id" = Empty,
        "retrieval.documents.2.document.score" = Empty,
        "retrieval.documents.3.document.id" = Empty,
        "retrieval.documents.3.document.score" = Empty,
        "retrieval.documents.4.document.id" = Empty,
        "retrieval.documents.4.document.score" = Empty,
        "retrieval.documents.5.document.id" = Empty,
        "retrieval.documents.5.document.score" = Empty,
        "retrieval.documents.6.document.id" = Empty,
        "retrieval.documents.6.document.score" = Empty,
        "retrieval.documents.7.document.id" = Empty,
        "retrieval.documents.7.document.score" = Empty,
    )
}

/// Tells what a search found, best first.
pub(crate) fn retrieved(span: &Span, passages: &[Passage]) {
    if span.is_disabled() {
        return;
    }
    let told = |passage: &Passage| json!({"id": passage.source.to_string(), "score": passage.score});
    let all = Value::Array(passages.iter().map(told).collect());
    span.record("gen_ai.retrieval.documents", all.to_string());
    documents(span, "retrieval.documents", passages);
}

/// Of passages that a reranker ranks.
pub(crate) fn rerank(url: &str, model: Option<&str>, limit: usize, candidates: usize) -> Span {
    let (address, port) = place(url);
    tracing::info_span!(
        "rerank",
        otel.kind = "client",
        gen_ai.operation.name = "rerank",
        gen_ai.request.model = model,
        server.address = address,
        server.port = port,
        kithdb.candidates = number(candidates),
        openinference.span.kind = "RERANKER",
        reranker.model_name = model,
        reranker.top_k = number(limit),
        otel.status_code = Empty,
        "error.type" = Empty,
        "reranker.output_documents.0.document.id" = Empty,
        "reranker.output_documents.0.document.score" = Empty,
        "reranker.output_documents.1.document.id" = Empty,
        "reranker.output_documents.1.document.score" = Empty,
        "reranker.output_documents.2.document.id" = Empty,
        "reranker.output_documents.2.document.score" = Empty,
        "reranker.output_documents.3.document.id" = Empty,
        "reranker.output_documents.3.document.score" = Empty,
        "reranker.output_documents.4.document.id" = Empty,
        "reranker.output_documents.4.document.score" = Empty,
        "reranker.output_documents.5.document.id" = Empty,
        "reranker.output_documents.5.document.score" = Empty,
        "reranker.output_documents.6.document.id" = Empty,
        "reranker.output_documents.6.document.score" = Empty,
        "reranker.output_documents.7.document.id" = Empty,
        "reranker.output_documents.7.document.score" = Empty,
    )
}

/// Tells what is best by a reranker.
pub(crate) fn ranked(span: &Span, passages: &[Passage]) {
    if !span.is_disabled() {
        documents(span, "reranker.output_documents", passages);
    }
}

fn documents(span: &Span, list: &str, passages: &[Passage]) {
    for (at, passage) in passages.iter().take(DOCUMENTS_NAMED).enumerate() {
        let (id, score) = (format!("{list}.{at}.document.id"), format!("{list}.{at}.document.score"));
        span.record(id.as_str(), passage.source.to_string());
        span.record(score.as_str(), passage.score);
    }
}

/// Of texts that become vectors: in this process, or by a server, of which protocol and address are given.
pub(crate) fn embeddings(model: &ModelIdentity, server: Option<(&'static str, &str)>, texts: usize) -> Span {
    let name = format!("embeddings {}", model.name);
    let (address, port) = server.map_or((None, None), |(_, url)| place(url));
    tracing::info_span!(
        "embeddings",
        otel.name = name,
        otel.kind = server.map(|_| "client"),
        gen_ai.operation.name = "embeddings",
        gen_ai.provider.name = server.map_or(OWN, |(protocol, _)| protocol),
        gen_ai.request.model = model.name,
        gen_ai.embeddings.dimension.count = number(model.dim),
        server.address = address,
        server.port = port,
        kithdb.texts = number(texts),
        openinference.span.kind = "EMBEDDING",
        embedding.model_name = model.name,
        otel.status_code = Empty,
        "error.type" = Empty,
    )
}

/// Of an answer that a serving engine makes.
pub(crate) fn chat(url: &str, model: &str, chat: &Chat) -> Span {
    let (name, (address, port)) = (format!("chat {model}"), place(url));
    tracing::info_span!(
        "chat",
        otel.name = name,
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        // Whose API it is: who serves behind it is not known.
        gen_ai.provider.name = "openai",
        gen_ai.request.model = model,
        gen_ai.request.max_tokens = number(chat.answer_tokens_max),
        gen_ai.request.temperature = chat.temperature,
        gen_ai.request.top_p = chat.top_p,
        gen_ai.request.seed = chat.seed,
        gen_ai.request.stream = true,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        server.address = address,
        server.port = port,
        openinference.span.kind = "LLM",
        llm.model_name = model,
        llm.finish_reason = Empty,
        llm.token_count.prompt = Empty,
        llm.token_count.completion = Empty,
        llm.token_count.total = Empty,
        llm.token_count.prompt_details.cache_read = Empty,
        otel.status_code = Empty,
        "error.type" = Empty,
    )
}

/// Tells what became of it.
pub(crate) fn generated(span: &Span, outcome: &Result<Generated>) {
    failed(span, outcome);
    let Ok(Generated { finish, usage }) = outcome else { return };
    let reason = match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    };
    span.record("llm.finish_reason", reason);
    let Some(usage) = usage else { return };
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", usage.prompt),
        ("gen_ai.usage.output_tokens", usage.completion),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached),
        ("llm.token_count.prompt", usage.prompt),
        ("llm.token_count.completion", usage.completion),
        ("llm.token_count.total", usage.prompt + usage.completion),
        ("llm.token_count.prompt_details.cache_read", usage.cached),
    ] {
        span.record(name, number(tokens));
    }
}

/// Tells that it failed, if it did, and by which kind of failure.
pub(crate) fn failed<T>(span: &Span, outcome: &Result<T>) {
    let Err(error) = outcome else { return };
    let kind = Failure::of(error).map_or(error.kind().name(), |failure| failure.kind.name());
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

/// OTLP has signed numbers alone: others would go as text.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The host and the port of an address.
fn place(url: &str) -> (Option<String>, Option<i64>) {
    let Ok(uri) = url.parse::<Uri>() else { return (None, None) };
    let port = uri.port_u16().map(i64::from).or(match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    (uri.host().map(str::to_owned), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        let of = |url: &str| {
            let (host, port) = place(url);
            (host.unwrap_or_default(), port)
        };
        assert_eq!(of("http://127.0.0.1:8080/v1"), ("127.0.0.1".to_owned(), Some(8080)));
        assert_eq!(of("https://models.example/v1"), ("models.example".to_owned(), Some(443)));
        assert_eq!(of("http://models.example"), ("models.example".to_owned(), Some(80)));
        assert_eq!(of("no address"), (String::new(), None));
    }
}
