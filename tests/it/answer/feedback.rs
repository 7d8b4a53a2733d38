//! What is kept of answers where the configuration says so: bad ones, and what people say of them.

use kithdb::Value;
use serde_json::json;
use server::ServeOptions;

use super::{Act, DOCUMENTS, Fake, Site, body};
use crate::http::Answer;

const AT: &str = "/api/v1/collections/documents/feedback";

const UNKNOWN: &str = "Which mushrooms grow in Siberian forests?";

const KNOWN: &str = "Where does the Eiffel tower stand?";

impl Site {
    fn keeping(feedback_max: usize) -> Self {
        Self::with(&DOCUMENTS, ServeOptions { feedback_max: Some(feedback_max), ..ServeOptions::default() })
    }

    /// Asks a question; the id of the answer.
    fn answered(&self, question: &str) -> String {
        let answer = self.ask(question, &json!({}));
        answer.body["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    fn say(&self, said: &Value) -> Answer {
        self.server.ask("POST", AT, Some(said))
    }

    fn kept(&self, query: &str) -> Vec<Value> {
        let answer = self.server.ask("GET", &format!("{AT}{query}"), None);
        answer.body["result"]["entries"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
    }
}

#[test]
fn nothing_is_kept_unless_the_configuration_says_so() {
    let site = Site::new(None);
    let id = site.answered(UNKNOWN);
    let refused = site.say(&json!({"id": id, "helpful": true}));
    assert_eq!((refused.status, refused.field.as_deref()), (400, Some("feedback")));
    assert!(site.kept("").is_empty() && site.db.collection("documents.feedback").is_err());
}

#[test]
fn bad_answers_are_kept_and_what_is_said_of_them_becomes_an_evaluation() {
    let site = Site::keeping(100);
    let (unknown, known) = (site.answered(UNKNOWN), site.answered(KNOWN));
    let kept = site.kept("");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&kept[0]["reason"], &kept[0]["question"]), (&json!("nothing_found"), &json!(UNKNOWN)));
    let said = site.say(&json!({"id": known, "helpful": true, "comment": "Good."}));
    assert_eq!((said.status, &said.body["result"]["question"]), (200, &json!(KNOWN)), "{said:?}");
    let expected = json!([{"path": "notes.txt"}]);
    assert_eq!(site.say(&json!({"id": unknown, "helpful": false, "expected": expected})).status, 200);
    let unhelpful = site.kept("?helpful=false");
    assert_eq!((unhelpful.len(), &unhelpful[0]["reason"]), (1, &json!("nothing_found")), "{unhelpful:?}");
    assert_eq!(unhelpful[0]["expected"][0]["path"], "notes.txt");
    assert_eq!(site.kept("?reason=nothing_found&limit=1").len(), 1);
    assert!(site.kept("?reason=low_confidence").is_empty());
    let questions = site.server.ask("GET", &format!("{AT}/questions"), None).body["result"].clone();
    assert_eq!(questions.as_array().map(Vec::len), Some(2), "{questions}");
    let eval = "/api/v1/collections/documents/eval";
    let put = json!({"questions": questions});
    assert_eq!(site.server.ask("PUT", &format!("{eval}/questions"), Some(&put)).body["result"], 2);
    let report = site.server.ask("POST", eval, Some(&json!({"with_questions": true}))).body["result"].clone();
    let rows = report["runs"][0]["rows"].as_array().expect("rows").clone();
    let known = rows.iter().find(|row| row["question"] == KNOWN).expect("it is asked");
    assert_eq!(known["measures"]["recall"], 1.0, "{known}");
    assert_eq!(site.server.ask("DELETE", AT, None).body["result"], true);
    assert!(site.kept("").is_empty());
}

#[test]
fn answers_of_little_support_are_kept_and_those_of_responses_are_known_too() {
    let fake = Fake::start(2_000, &[Act::Say("I don't know.")]);
    let site = Site::of(&DOCUMENTS, Some(&fake));
    let engine = rag::Engine::new(rag::EngineOptions::new(&fake.url)).expect("an engine");
    let engine = Some(std::sync::Arc::new(engine));
    let options = ServeOptions { engine, feedback_max: Some(9), ..ServeOptions::default() };
    let server = crate::http::Running::with(site.db, options);
    assert_eq!(server.ask("POST", "/v1/chat/completions", Some(&body(KNOWN, &json!({})))).status, 200);
    let kept = server.ask("GET", AT, None).body["result"]["entries"].clone();
    assert_eq!((&kept[0]["reason"], &kept[0]["outcome"]), (&json!("low_confidence"), &json!("generated")));
    let asked = json!({"model": "rag:documents", "input": UNKNOWN});
    let id = server.ask("POST", "/v1/responses", Some(&asked)).body["id"].clone();
    let said = server.ask("POST", AT, Some(&json!({"id": id, "helpful": false})));
    assert_eq!((said.status, &said.body["result"]["answer"]), (200, &id), "{said:?}");
}

#[test]
fn no_more_is_kept_than_is_allowed_and_the_latest_stays() {
    let site = Site::keeping(2);
    let ids: Vec<String> = (0..4).map(|_| site.answered(UNKNOWN)).collect();
    let kept: Vec<Value> = site.kept("").iter().map(|entry| entry["answer"].clone()).collect();
    assert_eq!(json!(kept), json!(ids[2..]));
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let site = Site::keeping(9);
    let id = site.answered(KNOWN);
    let strange = "chatcmpl-00000000000000010000000000000001";
    for (said, status, field) in [
        (json!({"helpful": true}), 400, "body"),
        (json!({"id": id}), 400, "body"),
        (json!({"id": id, "helpful": true, "more": 1}), 400, "more"),
        (json!({"id": "1", "helpful": true}), 400, "id"),
        (json!({"id": strange, "helpful": true}), 404, "id"),
        (json!({"id": id, "helpful": true, "expected": [{"start": 1}]}), 400, "expected[0].path"),
        (json!({"id": id, "helpful": true, "comment": "x".repeat(4_001)}), 400, "comment"),
    ] {
        let refused = site.say(&said);
        assert_eq!((refused.status, refused.field.as_deref()), (status, Some(field)), "{refused:?}");
    }
    assert!(site.kept("").is_empty(), "nothing was kept");
    let told = site.say(&json!({"id": strange, "helpful": true, "question": KNOWN}));
    assert_eq!((told.status, site.kept("").len()), (200, 1), "{told:?}");
    site.db.create_collection("other", kithdb::Schema::new()).expect("a collection");
    let elsewhere = "/api/v1/collections/other/feedback";
    let refused = site.server.ask("POST", elsewhere, Some(&json!({"id": id, "helpful": true})));
    assert_eq!(refused.status, 404, "an answer of one collection is none of another");
    for (query, field) in [("?reason=bored", "reason"), ("?limit=0", "limit"), ("?offset=x", "offset")] {
        let refused = site.server.ask("GET", &format!("{AT}{query}"), None);
        assert_eq!((refused.status, refused.field.as_deref()), (400, Some(field)), "{refused:?}");
    }
}
