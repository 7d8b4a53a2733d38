//! Questions about a collection, answered, and what the answers are worth.

use kithdb::{Error, Result, Value};
use rag::answer::Library;
use rag::eval;

use super::Call;
use crate::wire::answers::{AnswersIn, told};

/// `POST /api/v1/collections/{collection}/eval/answers`.
pub(super) fn run(call: &Call) -> Result<Value> {
    let collection = call.collection()?;
    let mut asked: AnswersIn = call.parse()?;
    let manner = asked.manner()?;
    let state = &call.state;
    let judge = match (asked.judge, state.judge.as_deref()) {
        (Some(true), None) => {
            return Err(Error::invalid("judge", "is not configured; judge_url names one"));
        }
        (Some(false), _) => None,
        (_, judge) => judge,
    };
    let mut questions = eval::load(&state.db, collection.name())?;
    questions.truncate(asked.questions_max.unwrap_or(usize::MAX));
    let library = Library {
        db: &state.db,
        chunks: &collection,
        embedder: state.embedder.as_deref(),
        engine: state.engine.as_deref(),
        reranker: state.reranker.as_deref(),
    };
    let run = eval::run_answers(&library, &questions, &manner, judge, Some(call.deadline()))?;
    Ok(told(&run, asked.with_questions))
}
