//! Spans of what models do: named as tools for traces of language models know them, and with nothing that people wrote.

use kithdb::Value;
use serde_json::json;

use super::child::Served;
use super::collector::{Collector, Sent};
use crate::answer::engine::{Act, Fake};

const CHAT: &str = "/v1/chat/completions";

/// What each span has, whatever was asked: span, attribute, value.
const EXPECTED: [(&str, &str, &str); 27] = [
    ("retrieval", "openinference.span.kind", "RETRIEVER"),
    ("retrieval", "gen_ai.operation.name", "retrieval"),
    ("retrieval", "gen_ai.provider.name", "kithdb"),
    ("retrieval", "gen_ai.data_source.id", "documents"),
    ("retrieval", "gen_ai.retrieval.top_k", "8"),
    ("rerank", "openinference.span.kind", "RERANKER"),
    ("rerank", "gen_ai.operation.name", "rerank"),
    ("rerank", "gen_ai.request.model", "judge"),
    ("rerank", "reranker.model_name", "judge"),
    ("rerank", "reranker.top_k", "8"),
    ("rerank", "server.address", "127.0.0.1"),
    ("chat fake", "openinference.span.kind", "LLM"),
    ("chat fake", "gen_ai.operation.name", "chat"),
    ("chat fake", "gen_ai.provider.name", "openai"),
    ("chat fake", "gen_ai.request.model", "fake"),
    ("chat fake", "gen_ai.request.max_tokens", "64"),
    ("chat fake", "gen_ai.request.seed", "7"),
    ("chat fake", "gen_ai.usage.input_tokens", "11"),
    ("chat fake", "gen_ai.usage.output_tokens", "5"),
    ("chat fake", "gen_ai.usage.cache_read.input_tokens", "7"),
    ("chat fake", "server.address", "127.0.0.1"),
    ("chat fake", "llm.model_name", "fake"),
    ("chat fake", "llm.finish_reason", "stop"),
    ("chat fake", "llm.token_count.prompt", "11"),
    ("chat fake", "llm.token_count.completion", "5"),
    ("chat fake", "llm.token_count.total", "16"),
    ("chat fake", "llm.token_count.prompt_details.cache_read", "7"),
];

/// Attributes that tools add up.
const INTEGERS: [(&str, &str); 6] = [
    ("retrieval", "gen_ai.retrieval.top_k"),
    ("rerank", "server.port"),
    ("chat fake", "server.port"),
    ("chat fake", "gen_ai.usage.input_tokens"),
    ("chat fake", "gen_ai.usage.output_tokens"),
    ("chat fake", "llm.token_count.total"),
];

/// The spans below the request that was answered with this status.
fn below(all: &[Sent], status: &str) -> Vec<Sent> {
    let is_it = |span: &&Sent| {
        span.kind == 2
            && span.attributes.get("http.route").is_some_and(|route| route == CHAT)
            && span.attributes.get("http.response.status_code").is_some_and(|of| of == status)
    };
    let root = all.iter().find(is_it).unwrap_or_else(|| panic!("no request with {status}: {all:#?}"));
    assert!(root.integers.contains("http.response.status_code"), "{root:?}");
    let error = root.attributes.get("error.type").map(String::as_str);
    assert_eq!(error, Some(status).filter(|status| status.starts_with('5')));
    all.iter().filter(|span| span.trace == root.trace && span.id != root.id).cloned().collect()
}

fn named<'a>(spans: &'a [Sent], name: &str) -> &'a Sent {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

/// A server over a document, with an engine and a reranker, that sends its traces.
fn served(fake: &Fake, collector: &Collector) -> Served {
    let endpoint = format!("http://{}", collector.address);
    let (own, url) = (endpoint.as_str(), fake.url.as_str());
    let places = ["--otlp-endpoint", own, "--engine-url", url, "--rerank-url", url];
    let rest = ["--rerank-model", "judge", "--slow-query-ms", "0"];
    let server = Served::start(&[&places[..], &rest[..]].concat());
    let text = "# Eiffel tower\n\nThe Eiffel tower stands in Paris.\n";
    let uploads = json!({"documents": [{"path": "eiffel.md", "text": text}]});
    let upload = "/api/v1/collections/documents/documents?wait=true";
    assert_eq!(server.http.ask("POST", upload, Some(&uploads)).status, 200);
    server
}

#[test]
fn a_question_is_a_trace_of_retrieval_ranking_and_generation() {
    let said = "The Eiffel tower stands in Paris [1].";
    let acts = [
        Act::Rank("Eiffel"),
        Act::Say(said),
        Act::Rank("Eiffel"),
        Act::Say(said),
        Act::Rank("Eiffel"),
        Act::Refuse(400, "", "{\"error\": \"no\"}"),
    ];
    let (fake, collector) = (Fake::start(2_000, &acts), Collector::start());
    let server = served(&fake, &collector);
    let mut question = json!({
        "model": "rag:documents", "max_tokens": 64, "seed": 7, "temperature": 0.5,
        "messages": [{"role": "user", "content": "Where does the Eiffel tower stand?"}],
    });
    let answer = server.http.ask("POST", CHAT, Some(&question));
    assert_eq!(answer.status, 200, "{answer:?}");
    let slow = server.http.ask("GET", "/api/v1/slow-queries", None).body["result"]["queries"].take();
    let is_of_it = |query: &Value| query["request_id"].as_str() == answer.id.as_deref();
    assert!(slow.as_array().is_some_and(|all| all.iter().any(is_of_it)), "{slow}");
    question["stream"] = true.into();
    assert!(server.http.stream("POST", CHAT, &question).contains("[DONE]"));
    question["stream"] = false.into();
    assert_eq!(server.http.ask("POST", CHAT, Some(&question)).status, 502);
    server.end();
    let all = collector.all();
    let spans = below(&all, "200");
    for (name, attribute, value) in EXPECTED {
        let found = named(&spans, name).attributes.get(attribute).map(String::as_str);
        assert_eq!(found, Some(value), "{attribute} of {name}");
    }
    for (name, attribute) in INTEGERS {
        assert!(named(&spans, name).integers.contains(attribute), "{attribute} of {name}");
    }
    check_shape(&spans);
    for asking in ["rerank", "chat fake"] {
        let Sent { trace, id, .. } = named(&spans, asking);
        let line = format!("traceparent: 00-{trace}-{id}-01");
        assert!(fake.heads().iter().any(|head| head.contains(&line)), "{line}: {:?}", fake.heads());
    }
    let chats = all.iter().filter(|span| span.name == "chat fake");
    assert_eq!(chats.count(), 3, "that of the streamed answer too: {all:#?}");
    let failed = below(&all, "502");
    assert_eq!(named(&failed, "chat fake").attributes.get("error.type").map(String::as_str), Some("refused"));
    let told = format!("{all:?}");
    assert!(!told.contains("Eiffel") && !told.contains("Paris"), "nothing that people wrote: {told}");
}

/// What was found is told in both ways, and spans lie below each other and are of their kinds.
fn check_shape(spans: &[Sent]) {
    let (retrieval, rerank, chat) =
        (named(spans, "retrieval"), named(spans, "rerank"), named(spans, "chat fake"));
    assert_eq!((retrieval.kind, rerank.kind, chat.kind), (1, 3, 3));
    assert_eq!(rerank.parent, retrieval.id);
    assert_eq!(named(spans, "search").parent, retrieval.id);
    assert_eq!(chat.parent, retrieval.parent, "both are of the request");
    let documents = retrieval.attributes.get("gen_ai.retrieval.documents").expect("documents");
    let documents: Value = serde_json::from_str(documents).expect("JSON");
    let id = documents[0]["id"].as_str().expect("an id");
    assert!(documents[0]["score"].is_number(), "{documents}");
    assert_eq!(retrieval.attributes["retrieval.documents.0.document.id"], id);
    assert_eq!(rerank.attributes["reranker.output_documents.0.document.id"], id);
    assert!(retrieval.attributes.contains_key("retrieval.documents.0.document.score"));
    assert!(chat.attributes.contains_key("gen_ai.response.time_to_first_chunk"));
}
