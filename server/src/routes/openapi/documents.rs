//! Documents, the jobs that ingest them, how well questions find them, and what answers were worth.

use kithdb::Value;
use serde_json::json;

use super::super::{documents, eval};
use super::operation::Operation;
use crate::wire::answers::AnswersIn;
use crate::wire::documents::UploadIn;
use crate::wire::eval::{EvalIn, LearnIn, QuestionsIn};
use crate::wire::feedback::FeedbackIn;
use crate::wire::schema::{Shown, flag, free, many, nullable, object, text, whole, words};

const TAG: &str = "Documents";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = texts();
    all.extend(questions());
    all.extend(feedback());
    all
}

fn at(method: &'static str, rest: &str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, &format!("/api/v1/collections/{{collection}}{rest}"), id, TAG, summary).reads()
}

/// What a form or a text may be read as besides.
fn page() -> Shown {
    object([("documents", many(free())), ("next_offset", nullable(text()))]).shown()
}

fn texts() -> Vec<Operation> {
    let example =
        json!({"documents": [{"path": "notes/tides.md", "text": "# Tides\n\nThe moon pulls the sea."}]});
    vec![
        at("POST", "/documents", "upload_documents", "Ingest documents: as JSON, or as a form of files")
            .saying("A job is made and answered; `GET /api/v1/jobs/{job}` says how far it is.")
            .takes("wait", flag(), "Answer when the job is at its end")
            .body::<UploadIn>(example)
            .or_file("multipart/form-data")
            .answers(documents::upload)
            .elsewhere(),
        at("GET", "/documents", "documents", "The documents of a collection")
            .takes("set", text(), "Only those of this set")
            .takes("offset", text(), "The document from which on")
            .takes("limit", whole(1), "How many")
            .answers_with(page())
            .elsewhere(),
        at("GET", "/documents/{document}", "document", "A document").answers_with(free()).elsewhere(),
        at("DELETE", "/documents/{document}", "remove_document", "Remove a document, with its passages")
            .answers(documents::remove)
            .elsewhere(),
        at("GET", "/jobs", "jobs", "The jobs of a collection").answers(documents::jobs_of).elsewhere(),
        Operation::new("GET", "/api/v1/jobs/{job}", "job", TAG, "How far a job is")
            .reads()
            .answers(documents::job)
            .elsewhere(),
    ]
}

fn questions() -> Vec<Operation> {
    let asked: Value =
        json!({"questions": [{"question": "What pulls the sea?", "sources": ["notes/tides.md"]}]});
    vec![
        at("PUT", "/eval/questions", "keep_questions", "Keep questions whose answers are known")
            .body::<QuestionsIn>(asked)
            .answers_with(whole(0))
            .elsewhere(),
        at("GET", "/eval/questions", "questions", "The questions that are kept")
            .answers_with(many(free()))
            .elsewhere(),
        at("POST", "/eval", "evaluate", "Ask them, in one or two configurations, and compare")
            .body::<EvalIn>(json!({"a": {"mode": "keyword"}}))
            .answers_with(free())
            .elsewhere(),
        at("POST", "/eval/answers", "evaluate_answers", "Have them answered, and measure the answers")
            .body::<AnswersIn>(json!({"rag": {"top_k": 8}, "judge": false}))
            .answers_with(free())
            .elsewhere(),
        at("POST", "/eval/learn", "learn_weights", "Learn from questions what words weigh in hybrid queries")
            .saying(
                "What is learned is kept as the collection's `hybrid_weights` if questions that did not choose it are \
                 ranked better by it than by the default, by more than chance.",
            )
            .body::<LearnIn>(json!({"filter": "folder = 'ops'"}))
            .answers(eval::learn)
            .elsewhere(),
        at("DELETE", "/eval/questions", "clear_questions", "Forget them").answers_with(flag()).elsewhere(),
    ]
}

fn feedback() -> Vec<Operation> {
    let said = json!({"id": "chatcmpl-000651e3a0b1c2d3a1b2c3d4e5f60718", "helpful": false, "comment": "Not the tides."});
    vec![
        at("POST", "/feedback", "say_feedback", "Say what an answer was worth")
            .saying("Refused unless the server keeps feedback.")
            .body::<FeedbackIn>(said)
            .answers_with(free())
            .elsewhere(),
        at(
            "GET",
            "/feedback",
            "feedback",
            "Questions that were answered badly, and what was said of answers",
        )
        .takes("reason", words(&["nothing_found", "low_confidence"]), "Only what is kept for this")
        .takes("helpful", flag(), "Only what was found helpful, or not")
        .takes("offset", text(), "The entry from which on")
        .takes("limit", whole(1), "How many")
        .answers_with(object([("entries", many(free())), ("next_offset", nullable(text()))]).shown())
        .elsewhere(),
        at(
            "GET",
            "/feedback/questions",
            "feedback_questions",
            "The questions of an evaluation that it makes",
        )
        .answers_with(many(free()))
        .elsewhere(),
        at("DELETE", "/feedback", "clear_feedback", "Forget it").answers_with(flag()).elsewhere(),
    ]
}
