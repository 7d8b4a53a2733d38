//! A reranker between the search and the answer: what it changes, how it fails, and who may do without it.

use std::sync::Arc;
use std::time::Duration;

use kithdb::Value;
use rag::engine::Secret;
use rag::{RerankOptions, RerankProtocol, Reranker};
use serde_json::json;
use server::ServeOptions;

use super::{Act, DOCUMENTS, Fake, Site};

/// Both bridges are found for it, by words of either language.
const LONG: &str = "Wie lang ist die Brücke, how long is the bridge?";

fn site(fake: &Fake, change: impl FnOnce(&mut RerankOptions)) -> Site {
    let mut options = RerankOptions {
        key: Secret::new("sk-secret"),
        model: Some("m".into()),
        ..RerankOptions::new(&fake.url)
    };
    change(&mut options);
    let reranker = Some(Arc::new(Reranker::new(options).expect("a reranker")));
    Site::with(&DOCUMENTS, ServeOptions { reranker, ..ServeOptions::default() })
}

fn paths(rag: &Value) -> Vec<&str> {
    let documents = rag["documents"].as_array().expect("documents");
    documents.iter().filter_map(|document| document["path"].as_str()).collect()
}

#[test]
fn the_reranker_says_what_is_best_in_either_protocol() {
    for protocol in [RerankProtocol::Cohere, RerankProtocol::Tei] {
        let fake = Fake::start(100, &[Act::Rank("Rhein"), Act::Rank("1280")]);
        let site = site(&fake, |options| {
            options.protocol = protocol;
            if protocol == RerankProtocol::Tei {
                options.url = fake.url.trim_end_matches("/v1").to_owned();
            }
        });
        for (path, words) in [("notes.txt", "Rhein"), ("bridges/golden.md", "1280")] {
            let answer =
                site.ask(LONG, &json!({"rag": {"top_k": 1, "rerank_candidates": 20, "min_coverage": 0}}));
            let rag = &answer.body["rag"];
            assert_eq!(paths(rag), [path], "{answer:?}");
            assert!(
                rag["citations"][0]["quote"].as_str().is_some_and(|quote| quote.contains(words)),
                "{rag}"
            );
            let score = rag["documents"][0]["score"].as_f64().expect("a score");
            assert!((score - 0.9).abs() < 1e-6, "{score}");
            assert_eq!((&rag["rerank"]["model"], &rag["rerank"]["error"]), (&json!("m"), &Value::Null));
        }
        let asked = &fake.questions()[0];
        let texts = if protocol == RerankProtocol::Tei { "texts" } else { "documents" };
        assert_eq!((&asked["query"], &asked["model"]), (&json!(LONG), &json!("m")));
        assert!(asked[texts].as_array().is_some_and(|texts| texts.len() > 1), "{asked}");
        assert!(fake.heads().iter().all(|head| head.to_lowercase().contains("bearer sk-secret")));
    }
}

#[test]
fn many_passages_go_in_several_requests() {
    let fake = Fake::start(100, &[Act::Rank("Rhein"); 9]);
    let site = site(&fake, |options| options.batch_texts_max = 1);
    let rag = site.ask(LONG, &json!({"rag": {"top_k": 1, "min_coverage": 0}})).body["rag"].clone();
    assert_eq!(
        (paths(&rag), &rag["rerank"]["candidates"]),
        (vec!["notes.txt"], &json!(fake.questions().len()))
    );
    assert!(fake.questions().len() > 1);
}

#[test]
fn a_question_may_do_without_it_and_cannot_have_what_there_is_not() {
    let fake = Fake::start(100, &[]);
    let own = site(&fake, |_| ());
    let plain = own.ask(LONG, &json!({"rag": {"rerank": false}}));
    assert_eq!((plain.status, &plain.body["rag"]["rerank"]), (200, &Value::Null));
    let search = json!({"query": LONG, "ranking_options": {"ranker": "none"}});
    assert_eq!(own.server.ask("POST", "/v1/vector_stores/documents/search", Some(&search)).status, 200);
    assert!(fake.questions().is_empty());
    for (more, field) in [
        (json!({"rerank_candidates": 0}), "rag.rerank_candidates"),
        (json!({"rerank_candidates": 201}), "rag.rerank_candidates"),
    ] {
        assert_eq!(own.ask(LONG, &json!({"rag": more})).field.as_deref(), Some(field));
    }
    let refused = Site::new(None).ask(LONG, &json!({"rag": {"rerank": true}}));
    assert_eq!((refused.status, refused.field.as_deref()), (400, Some("rag.rerank")));
}

#[test]
fn searches_of_stores_are_ranked_too() {
    let fake = Fake::start(100, &[Act::Rank("Rhein")]);
    let site = site(&fake, |_| ());
    let search = json!({"query": LONG, "max_num_results": 1});
    let found = site.server.ask("POST", "/v1/vector_stores/documents/search", Some(&search)).body;
    assert_eq!(
        (&found["data"][0]["filename"], &found["rag"]["rerank"][0]["error"]),
        (&json!("notes.txt"), &Value::Null)
    );
}

#[test]
fn every_failure_is_told_apart_and_no_answer_is_made_without_it() {
    let error = r#"{"error": "no such key: sk-secret"}"#;
    for (act, status, kind) in [
        (Act::Refuse(401, "", error), 502, "unauthorized"),
        (Act::Refuse(404, "", "{}"), 502, "not_found"),
        (
            Act::Refuse(422, "", r#"{"error":"batch size 40 > maximum allowed batch size 32"}"#),
            502,
            "refused",
        ),
        (Act::Refuse(429, "retry-after: 60\r\n", "{}"), 429, "rate_limited"),
        (Act::Refuse(503, "retry-after: 60\r\n", "{}"), 503, "overloaded"),
        (Act::Refuse(200, "", r#"{"results": []}"#), 502, "garbled"),
        (Act::Wait(Duration::from_secs(3), "late"), 504, "timed_out"),
    ] {
        let fake = Fake::start(100, std::slice::from_ref(&act));
        let site = site(&fake, |options| options.request_time_max = Duration::from_millis(500));
        let answer = site.ask(LONG, &json!({}));
        let told = &answer.body["error"];
        assert_eq!((answer.status, told["param"].as_str()), (status, Some("rerank")), "{act:?} {answer:?}");
        assert!(told["message"].as_str().is_some_and(|text| text.contains("the reranker")), "{told}");
        assert!(!answer.body.to_string().contains("sk-secret"), "{answer:?}");
        let metrics = site.server.ask("GET", "/metrics", None).body;
        let line = format!("kithdb_answer_failures_total{{reason=\"rerank_{kind}\"}} 1");
        assert!(metrics.as_str().is_some_and(|text| text.contains(&line)), "{act:?}: {metrics}");
    }
}

#[test]
fn what_passes_is_tried_again() {
    let busy = Act::Refuse(503, "", "{}");
    let fake = Fake::start(100, &[busy, busy, Act::Rank("Rhein")]);
    let answer = site(&fake, |_| ()).ask(LONG, &json!({}));
    assert_eq!((answer.status, fake.questions().len()), (200, 3));
}

#[test]
fn where_it_is_said_to_be_optional_an_answer_without_it_says_so() {
    let fake = Fake::start(100, &[Act::Refuse(401, "", "{}"), Act::Refuse(401, "", "{}")]);
    let site = site(&fake, |options| options.is_optional = true);
    let rag = site.ask(LONG, &json!({"rag": {"top_k": 1, "min_coverage": 0}})).body["rag"].clone();
    assert_eq!((&rag["outcome"], paths(&rag).len()), (&json!("extractive"), 1));
    assert!(rag["rerank"]["error"].as_str().is_some_and(|text| text.contains("refuses its key")), "{rag}");
    let search = json!({"query": LONG});
    let found = site.server.ask("POST", "/v1/vector_stores/documents/search", Some(&search)).body;
    assert!(found["rag"]["rerank"][0]["error"].is_string(), "{found}");
}
