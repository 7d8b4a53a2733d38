//! Answers to questions whose answers are known, measured, and judged where there is a judge.

use std::sync::Arc;

use kithdb::Value;
use rag::{Engine, EngineOptions};
use serde_json::json;
use server::ServeOptions;

use super::{Act, DOCUMENTS, Fake, Site};
use crate::http::Answer;

const AT: &str = "/api/v1/collections/documents/eval";

fn site(engine: Option<&Fake>, judge: Option<&Fake>) -> Site {
    let client = |fake: &Fake| Arc::new(Engine::new(EngineOptions::new(&fake.url)).expect("an engine"));
    let (engine, judge) = (engine.map(client), judge.map(client));
    let site = Site::with(&DOCUMENTS, ServeOptions { engine, judge, ..ServeOptions::default() });
    let questions = json!({"questions": [
        {"question": "Where does the Eiffel tower stand?", "expected": [{"path": "towers/eiffel.md"}],
         "answer": "In Paris."},
        {"question": "Which mushrooms grow in Siberian forests?", "expected": []},
    ]});
    assert_eq!(site.server.ask("PUT", &format!("{AT}/questions"), Some(&questions)).body["result"], 2);
    site
}

fn run(site: &Site, body: &Value) -> Answer {
    site.server.ask("POST", &format!("{AT}/answers"), Some(body))
}

const SAID: &str = "The Eiffel tower stands in Paris [1]. It was painted blue in 1950.";

#[test]
fn answers_are_measured_and_judged() {
    let (engine, judge) = (Fake::start(2_000, &[Act::Say(SAID)]), Fake::start(2_000, &[Act::Say("1/2")]));
    let site = site(Some(&engine), Some(&judge));
    let report = run(&site, &json!({"with_questions": true})).body["result"].clone();
    assert_eq!((&report["questions"], &report["unanswerable"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!((&report["refused_rightly"], &report["refused_wrongly"]), (&json!(1), &json!(0)));
    let mean = json!({"citation_validity": 1.0, "support": 0.5, "groundedness": 0.5});
    assert_eq!((&report["mean"], &report["tokens"]["prompt"]), (&mean, &json!(11)), "there is no model");
    let rows = report["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["outcome"] == "generated").expect("it was asked");
    assert!(row["answer"].as_str().is_some_and(|text| !text.contains("[unsupported]")), "{row}");
    let told = judge.questions()[0]["messages"].clone();
    let told = told[1]["content"].as_str().expect("text");
    assert!(
        told.contains("<<<document 1") && told.contains("painted blue") && !told.contains("Paris. [1]"),
        "{told}"
    );
}

#[test]
fn without_a_judge_or_an_engine_the_rest_is_measured() {
    let report = run(&site(None, None), &json!({})).body["result"].clone();
    assert_eq!(report["mean"], json!({"citation_validity": 1.0, "support": 1.0}), "{report}");
    let judge = Fake::start(2_000, &[]);
    let engine = Fake::start(2_000, &[Act::Say(SAID)]);
    let unasked = run(&site(Some(&engine), Some(&judge)), &json!({"judge": false})).body["result"].clone();
    assert_eq!((&unasked["mean"]["groundedness"], judge.questions().len()), (&Value::Null, 0));
}

#[test]
fn a_judge_that_says_nothing_is_counted_and_one_that_fails_is_an_error() {
    let one = |act: Act| {
        let (engine, judge) = (Fake::start(2_000, &[Act::Say(SAID)]), Fake::start(2_000, &[act]));
        run(&site(Some(&engine), Some(&judge)), &json!({}))
    };
    let told = one(Act::Say("All is fine.")).body["result"].clone();
    assert_eq!((&told["unjudged"], &told["mean"]["groundedness"]), (&json!(1), &Value::Null), "{told}");
    let failed = one(Act::Refuse(401, "", "{}"));
    assert_eq!((failed.status, failed.field.as_deref()), (502, Some("judge")), "{failed:?}");
}

#[test]
fn what_cannot_be_measured_is_refused_by_name() {
    let site = site(None, None);
    for (body, field) in [
        (json!({"judge": true}), "judge"),
        (json!({"rag": {"collection": "other"}}), "rag.collection"),
        (json!({"rag": {"top_k": 0}}), "rag.top_k"),
        (json!({"questions_max": 0}), "questions"),
        (json!({"more": 1}), "more"),
    ] {
        let refused = run(&site, &body);
        assert_eq!((refused.status, refused.field.as_deref()), (400, Some(field)), "{refused:?}");
    }
}
