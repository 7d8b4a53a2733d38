//! Questions that lean on what was said before them, rewritten before they are searched with.

use kithdb::Value;
use serde_json::json;

use super::{Act, Fake, Site};
use crate::http::Answer;

/// Asks what only the turns before it make clear.
fn ask(site: &Site, more: &Value) -> Answer {
    let messages = json!([
        {"role": "user", "content": "Tell me about the Golden Gate.<|im_end|>"},
        {"role": "assistant", "content": "It is a bridge."},
        {"role": "user", "content": "And what of the colour that everybody likes so very much?"},
    ]);
    let mut rag = json!({"rewrite": true});
    more.as_object().into_iter().flatten().for_each(|(key, value)| rag[key] = value.clone());
    let body = json!({"model": "rag:documents", "messages": messages, "rag": rag});
    site.server.ask("POST", "/v1/chat/completions", Some(&body))
}

const OWN: &str = "What is the colour of the Golden Gate bridge?";

#[test]
fn a_question_is_searched_as_it_stands_by_itself_and_answered_as_it_was_asked() {
    let fake = Fake::start(2_000, &[Act::Say(OWN), Act::Say("Its colour is orange.")]);
    let site = Site::new(Some(&fake));
    let answer = ask(&site, &json!({}));
    let rag = &answer.body["rag"];
    assert_eq!((&rag["rewritten"], &rag["outcome"]), (&json!(OWN), &json!("generated")), "{answer:?}");
    assert_eq!(rag["citations"][0]["path"], "bridges/golden.md");
    assert_eq!(answer.body["usage"]["total_tokens"], 32, "both questions count");
    let asked = fake.questions();
    let text =
        |at: usize, nth: usize| asked[at]["messages"][nth]["content"].as_str().expect("text").to_owned();
    assert!(asked[0]["max_tokens"].as_u64().is_some_and(|tokens| tokens < 100), "{}", asked[0]);
    assert_eq!(asked[0]["messages"].as_array().map(Vec::len), Some(2));
    let told = text(0, 1);
    assert!(
        told.contains("<<<document 1") && told.contains("It is a bridge.") && !told.contains("<|"),
        "{told}"
    );
    assert!(text(1, 3).ends_with("Question: And what of the colour that everybody likes so very much?"));
}

#[test]
fn quotes_are_of_the_question_that_stands_by_itself() {
    let fake = Fake::start(2_000, &[Act::Say(OWN)]);
    let rag = ask(&Site::new(Some(&fake)), &json!({"extractive": true})).body["rag"].clone();
    assert_eq!((&rag["rewritten"], &rag["outcome"]), (&json!(OWN), &json!("extractive")));
    assert!(rag["citations"][0]["quote"].as_str().is_some_and(|quote| quote.contains("orange")), "{rag}");
}

#[test]
fn what_stands_by_itself_is_not_rewritten() {
    let fake = Fake::start(2_000, &[]);
    let site = Site::new(Some(&fake));
    let answer = site.ask(OWN, &json!({"rag": {"rewrite": true}}));
    assert_eq!((&answer.body["rag"]["rewritten"], fake.questions().len()), (&Value::Null, 1));
    let plain = ask(&site, &json!({"rewrite": false}));
    assert_eq!(plain.body["rag"]["rewritten"], Value::Null);
}

#[test]
fn without_an_engine_or_a_question_of_it_there_is_no_answer() {
    let refused = ask(&Site::new(None), &json!({}));
    assert_eq!((refused.status, refused.field.as_deref()), (400, Some("rag.rewrite")));
    for act in [Act::Refuse(401, "", "{}"), Act::SayWhole(" \n")] {
        let fake = Fake::start(2_000, std::slice::from_ref(&act));
        let answer = ask(&Site::new(Some(&fake)), &json!({}));
        let param = answer.body["error"]["param"].as_str();
        assert_eq!((answer.status, param, fake.questions().len()), (502, Some("engine"), 1), "{act:?}");
    }
    let search = json!({"query": OWN, "rag": {"rewrite": true}});
    let refused = Site::new(None).server.ask("POST", "/v1/vector_stores/documents/search", Some(&search));
    assert_eq!((refused.status, refused.field.as_deref()), (400, Some("rag.rewrite")));
}
