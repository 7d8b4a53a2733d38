//! `kithdb ask`: a question answered from the documents of a collection, with what it rests on.
//!
//! Of a directory, by the engine that the flags name, or in quotes; or of a running server, which has its own. What
//! narrows the question down goes to the server too: no label is lost on the way.

use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::Args;
use console::style;
use kithdb::{Collection, Error, ErrorKind, Result, Value};
use rag::answer::{Answer, Asked, Library, Manner, Told, answer};
use rag::engine::{Cancel, Chat, Failure, FailureKind, Message, Role, Secret};
use rag::{Engine, EngineOptions, Outcome};
use serde_json::json;

use super::engine::EngineArgs;
use super::open::ModelArgs;
use super::place::PlaceArgs;
use super::remote::{Remote, condition};
use super::rerank::RerankArgs;
use super::search::{DEFAULT_URL, Equals, filter, with_names};
use super::terminal::{given, print, say};
use crate::wire::openai::chat::{MODEL_PREFIX, usage};
use crate::wire::openai::cited::{Places, list};
use crate::wire::openai::rag::told;

/// Ask a question, and get an answer with its citations.
#[derive(Args)]
pub(super) struct Ask {
    /// The question, in plain words; `-` is standard input
    question: String,
    /// The collection
    #[arg(long, short, value_name = "NAME", default_value = "documents")]
    collection: String,
    /// How many chunks are looked at
    #[arg(short = 'k', long, value_name = "N", default_value_t = LIMIT)]
    limit: usize,
    /// Only where a payload field has this value; may be said several times
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<Equals>,
    /// Only where a filter holds, such as "year >= 2020 AND tags IN ('a', 'b')" (docs/filters.md)
    #[arg(long = "where", value_name = "FILTER")]
    condition: Option<String>,
    /// Only what documents with one of these access labels, or without any, say; may be said several times
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Answer in quotes, also if there is a serving engine
    #[arg(long)]
    extractive: bool,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    rerank: RerankArgs,
}

/// Chunks that are looked at unless it is said otherwise.
const LIMIT: usize = 8;

impl Ask {
    pub(super) fn run(self) -> Result<ExitCode> {
        Self { question: given(self.question, "question")?, ..self }.asked()
    }

    fn asked(&self) -> Result<ExitCode> {
        if let Some(url) = &self.place.url {
            return self.of_server(url);
        }
        match self.place.data.open_existing() {
            Err(error) if error.kind() == ErrorKind::Busy => {
                let place = self.place.data.data.display();
                say(&format!("note: `{place}` is open in another process; asking {DEFAULT_URL}"));
                self.of_server(DEFAULT_URL)
            }
            opened => {
                let db = opened?;
                let collection = db.collection(&self.collection).map_err(|error| with_names(error, &db))?;
                self.of_collection(&db, &collection)
            }
        }
    }

    fn of_collection(&self, db: &kithdb::Database, chunks: &Collection) -> Result<ExitCode> {
        let (embedder, engine, reranker) = (self.model.open()?, self.engine.open()?, self.rerank.open()?);
        let (embedder, engine, reranker) = (embedder.as_ref(), engine.as_deref(), reranker.as_deref());
        let library = Library { db, chunks, embedder, engine, reranker };
        let asked = Asked { question: self.question.clone(), ..Asked::default() };
        let mut tell = |made: Told<'_>| {
            if let Told::Text(text, _) = made
                && !self.place.json
            {
                print(text);
            }
            ControlFlow::Continue(())
        };
        let made = answer(&library, &asked, &self.manner()?, &Cancel::new(), &mut tell)?;
        if self.place.json {
            let places = Places { base: "", collection: &self.collection };
            let answer = json!({
                "question": self.question, "collection": self.collection,
                "place": self.place.data.data.display().to_string(), "answer": made.text, "model": made.model,
                "usage": usage(made.usage), "rag": told(&made, &places),
            });
            print(&format!("{answer}\n"));
        } else {
            print(&format!("{}\n", list(&made.cited())));
            print(&format!("\n{}\n", style(closing(&made)).dim()));
        }
        if engine.is_none() {
            say(
                "note: quotes only; --engine-url names a serving engine (vLLM, llama.cpp, …) that writes answers",
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    fn manner(&self) -> Result<Manner> {
        let mut manner = Manner { is_extractive: self.extractive, ..Manner::default() };
        manner.retrieval.filter = filter(&self.filter, self.condition.as_deref())?;
        manner.retrieval.limit = self.limit;
        manner.retrieval.labels = Some(self.label.clone()).filter(|labels| !labels.is_empty());
        Ok(manner)
    }

    fn of_server(&self, url: &str) -> Result<ExitCode> {
        let is_plain = self.filter.is_empty() && self.condition.is_none() && self.label.is_empty();
        match is_plain && self.limit == LIMIT && !self.extractive && !self.place.json {
            true => self.streamed(url),
            false => self.whole(url),
        }
    }

    /// All of the question, and the answer in one piece.
    fn whole(&self, url: &str) -> Result<ExitCode> {
        let written = self.condition.iter().map(|text| json!({"filter": text}));
        let must: Vec<Value> = self.filter.iter().map(condition).chain(written).collect();
        let (limit, extractive, has_list) = (self.limit, self.extractive, !self.place.json);
        let mut rag = json!({"top_k": limit, "extractive": extractive, "list_sources": has_list});
        if !must.is_empty() {
            rag["filter"] = json!({"must": must});
        }
        if !self.label.is_empty() {
            rag["labels"] = json!(self.label);
        }
        let body = json!({
            "model": format!("{MODEL_PREFIX}{}", self.collection),
            "messages": [{"role": "user", "content": self.question}], "rag": rag,
        });
        let answer = Remote::unhurried(url, self.place.api_key.as_deref()).chat(&body)?;
        let text = &answer["choices"][0]["message"]["content"];
        if self.place.json {
            let whole = json!({
                "question": self.question, "collection": self.collection, "place": url, "answer": text,
                "model": answer["model"], "usage": answer["usage"], "rag": answer["rag"],
            });
            print(&format!("{whole}\n"));
        } else {
            print(&format!("{}\n", text.as_str().unwrap_or_default()));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A server is asked as any serving engine is.
    fn streamed(&self, url: &str) -> Result<ExitCode> {
        let engine = Engine::new(EngineOptions {
            model: Some(format!("{MODEL_PREFIX}{}", self.collection)),
            key: self.place.api_key.as_deref().and_then(Secret::new),
            attempts_max: 1,
            ..EngineOptions::new(&format!("{}/v1", url.trim_end_matches('/')))
        })?;
        let chat =
            Chat { messages: vec![Message::new(Role::User, self.question.clone())], ..Chat::default() };
        let mut tell = |text: &str| {
            print(text);
            ControlFlow::Continue(())
        };
        engine.chat(&chat, &Cancel::new(), &mut tell).map_err(|error| refused(url, error))?;
        print("\n");
        Ok(ExitCode::SUCCESS)
    }
}

/// What a server refuses, in the words of the other commands: to who asks it is no serving engine.
fn refused(url: &str, error: Error) -> Error {
    let Some(failure) = Failure::of(&error) else { return error };
    let (kind, message) = match failure.kind {
        FailureKind::Unavailable => (
            ErrorKind::Io,
            format!("{url} does not answer ({failure}); start a server with `kithdb serve`, or name another"),
        ),
        FailureKind::Unauthorized => (
            ErrorKind::InvalidArgument,
            format!("{url} answered {failure}; give a key by --api-key or KITHDB_API_KEY"),
        ),
        FailureKind::NotFound => (ErrorKind::NotFound, format!("{url} answered {failure}")),
        FailureKind::Refused if failure.said.starts_with('4') => {
            (ErrorKind::InvalidArgument, format!("{url} answered {failure}"))
        }
        FailureKind::Garbled | FailureKind::TimedOut | FailureKind::Cut | FailureKind::Cancelled => {
            (error.kind(), format!("the answer of {url} broke off ({failure})"))
        }
        _ => (error.kind(), format!("{url} answered {failure}")),
    };
    Error::new(kind, message).with_source(error)
}

fn closing(made: &Answer) -> String {
    let way = match made.outcome {
        Outcome::Generated => format!("written by {}", made.model.as_deref().unwrap_or("a model")),
        Outcome::Extractive => "quotes, no model was asked".to_owned(),
        Outcome::NothingFound => "no model was asked".to_owned(),
    };
    let tokens = made.usage.map_or_else(String::new, |usage| {
        format!(
            ", {} tokens read ({} of them cached), {} written",
            usage.prompt, usage.cached, usage.completion
        )
    });
    let unsupported = match made.unsupported.len() {
        0 => String::new(),
        count => format!(", {count} not supported by any document"),
    };
    let reranked = made.reranked.as_ref().map_or_else(String::new, |reranked| match &reranked.error {
        None => format!(", {} passages ranked", reranked.candidates),
        Some(error) => format!(", not ranked: {error}"),
    });
    let cited = made.citations.len();
    format!("{way}; {cited} cited, {} search{reranked}{tokens}{unsupported}", made.mode.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collection that is not there was told as a model that a serving engine does not know.
    #[test]
    fn a_server_that_refuses_is_told_as_by_other_commands() {
        let told = |kind, said: &str| {
            let failure = Failure { kind, said: said.to_owned(), retry_after: None };
            refused("http://x", failure.into())
        };
        let missing = told(FailureKind::NotFound, "404: no `a`");
        assert_eq!(
            (missing.kind(), missing.message()),
            (ErrorKind::NotFound, "http://x answered 404: no `a`")
        );
        let wrong = told(FailureKind::Refused, "400: no question");
        assert_eq!((wrong.kind(), wrong.field()), (ErrorKind::InvalidArgument, None));
        let failed = told(FailureKind::Refused, "500: a defect");
        assert_eq!(failed.kind(), ErrorKind::Io);
        assert!(told(FailureKind::Unavailable, "refused").message().contains("`kithdb serve`"));
        assert!(told(FailureKind::Unauthorized, "401: no key").message().contains("--api-key"));
    }
}
