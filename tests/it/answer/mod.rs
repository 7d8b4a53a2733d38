//! Answers from documents: the client of the serving engine, and the dialect of OpenAI over HTTP.
//!
//! The engine is one of this process that fails as it is told, so that every way of failing is met in every run.

mod chat;
mod client;
mod dialect;
pub(crate) mod engine;
mod feedback;
mod injection;
mod judged;
mod rerank;
mod rewrite;
mod sections;
mod stores;

use std::ops::ControlFlow;
use std::sync::Arc;

use kithdb::{Change, Condition, Database, Filter, Payload, Selection, Value};
use rag::{Engine, EngineOptions, IngestOptions};
use serde_json::json;
use server::ServeOptions;

use self::engine::{Act, Fake};
use crate::http::{Answer, Running};

/// What the documents say.
const DOCUMENTS: [(&str, &str); 4] = [
    (
        "towers/eiffel.md",
        "# Eiffel tower\n\nThe Eiffel tower stands in Paris. It was built in 1889 by the company of Gustave Eiffel. It is 330 \
         metres high.\n",
    ),
    (
        "bridges/golden.md",
        "# Golden Gate\n\nThe Golden Gate bridge of San Francisco was opened in 1937. Its colour is orange.\n\n## Length\n\nThe \
         main span of the bridge is 1280 metres long.\n",
    ),
    (
        "secret/vault.md",
        "# Vault\n\nThe code of the vault is 7391. Only the keepers of the vault know the code.\n",
    ),
    ("notes.txt", "Größe: die Brücke über den Rhein ist 400 Meter lang. Eine zweite Brücke gibt es nicht.\n"),
];

/// A server over documents, perhaps with an engine.
struct Site {
    server: Running,
    db: Database,
    folder: tempfile::TempDir,
}

impl Site {
    fn new(engine: Option<&Fake>) -> Self {
        Self::of(&DOCUMENTS, engine)
    }

    fn of(documents: &[(&str, &str)], engine: Option<&Fake>) -> Self {
        let engine =
            engine.map(|fake| Arc::new(Engine::new(EngineOptions::new(&fake.url)).expect("an engine")));
        Self::with(documents, ServeOptions { engine, ..ServeOptions::default() })
    }

    fn with(documents: &[(&str, &str)], options: ServeOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in documents {
            let path = folder.path().join("documents").join(path);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
            std::fs::write(path, text).expect("written");
        }
        let db = Database::open(folder.path().join("data")).expect("a database");
        let ingest = || {
            let options = IngestOptions::default();
            let path = folder.path().join("documents");
            rag::ingest(&db, &path, &options, None, &|_| ControlFlow::Continue(())).expect("ingested")
        };
        ingest();
        let server = Running::with(db.clone(), options);
        Self { server, db, folder }
    }

    /// Gives the chunks of a document labels of who may see it.
    fn label(&self, path: &str, labels: &[&str]) {
        let filter = Filter::must(Condition::equals("path", path).expect("a path"));
        let mut payload = Payload::new();
        payload.insert("labels".to_owned(), json!(labels));
        let chunks = self.db.collection("documents").expect("ingested");
        let change = Change::SetPayload { payload, path: None };
        chunks.change(Selection::Where(filter), change).expect("labelled");
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("documents").join(path)).expect("a document")
    }

    fn ask(&self, question: &str, more: &Value) -> Answer {
        self.server.ask("POST", "/v1/chat/completions", Some(&body(question, more)))
    }

    /// The events of a streamed answer, without the mark of the end, which is checked.
    fn stream(&self, question: &str, more: &Value) -> Vec<Value> {
        let mut body = body(question, more);
        body["stream"] = true.into();
        let text = self.server.stream("POST", "/v1/chat/completions", &body);
        let events: Vec<&str> = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        let (last, events) = events.split_last().expect("events");
        assert_eq!(*last, "[DONE]", "{text}");
        events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
    }
}

fn body(question: &str, more: &Value) -> Value {
    let mut body = json!({"model": "rag:documents", "messages": [{"role": "user", "content": question}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body
}

fn content(answer: &Answer) -> &str {
    answer.body["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer:?}"))
}

/// Holds every citation of an answer against the documents, as they lie on disk.
fn check_citations(site: &Site, content: &str, rag: &Value) -> usize {
    let citations = rag["citations"].as_array().expect("citations");
    for citation in citations {
        let number = |key: &str| citation[key].as_u64().expect(key) as usize;
        let text = site.text(citation["path"].as_str().expect("a path"));
        assert_eq!(text.get(number("start")..number("end")), citation["quote"].as_str(), "{citation}");
        let marker: String = content
            .chars()
            .skip(number("start_index"))
            .take(number("end_index") - number("start_index"))
            .collect();
        assert_eq!(marker, format!("[{}]", citation["number"]), "{content}");
        let document = &rag["documents"][number("number") - 1];
        assert_eq!((&document["path"], &document["hash"]), (&citation["path"], &citation["hash"]));
        let path = format!(
            "/api/v1/collections/documents/sources/{}?start={}&end={}&hash={}",
            citation["source"].as_str().expect("a source"),
            number("start"),
            number("end"),
            citation["hash"].as_str().expect("a hash"),
        );
        let opened = site.server.ask("GET", &path, None);
        assert_eq!(opened.body["result"]["text"], citation["quote"], "{opened:?}");
    }
    citations.len()
}
