//! Questions about a collection, and how well they are answered.

use kithdb::{Result, Value};
use rag::{eval, feedback};

use super::Call;
use crate::wire::eval::{EvalIn, LearnIn, LearnedOut, QuestionsIn, ReportOut};

/// `PUT /api/v1/collections/{collection}/eval/questions`: how many are kept then.
pub(super) fn put(call: &Call) -> Result<usize> {
    let (db, name) = (&call.state.db, call.part("collection")?);
    let questions = call.parse::<QuestionsIn>()?.into_questions()?;
    eval::store(db, name, &questions)?;
    Ok(eval::load(db, name)?.len())
}

/// `GET /api/v1/collections/{collection}/eval/questions`.
pub(super) fn list(call: &Call) -> Result<Vec<Value>> {
    let questions = eval::load(&call.state.db, call.part("collection")?)?;
    Ok(questions.iter().map(eval::Question::to_value).collect())
}

/// `DELETE /api/v1/collections/{collection}/eval/questions`: whether there were any.
pub(super) fn clear(call: &Call) -> Result<bool> {
    eval::clear(&call.state.db, call.part("collection")?)
}

/// `POST /api/v1/collections/{collection}/eval/learn`: what words weigh, by the questions of the body or those that are
/// kept, and by what was said of answers if that is to count.
pub(super) fn learn(call: &Call) -> Result<LearnedOut> {
    let collection = call.collection()?;
    let asked = call.parse::<LearnIn>()?;
    let has_feedback = asked.feedback;
    let (given, lesson) = asked.into_lesson(&call.translator(&collection))?;
    let (db, name) = (&call.state.db, collection.name());
    let mut questions = given.map_or_else(|| eval::load(db, name), Ok)?;
    if has_feedback {
        questions = feedback::beside(db, name, questions)?;
    }
    eval::learn(&collection, call.state.embedder.as_deref(), &questions, &lesson).map(Into::into)
}

/// `POST /api/v1/collections/{collection}/eval`.
pub(super) fn run(call: &Call) -> Result<ReportOut> {
    let collection = call.collection()?;
    let asked = call.parse::<EvalIn>()?.into_eval(&call.translator(&collection))?;
    let questions = eval::load(&call.state.db, collection.name())?;
    let embedder = call.state.embedder.as_deref();
    let runs: Vec<eval::Run> = asked
        .configs
        .iter()
        .map(|config| eval::run(&collection, embedder, &questions, config, asked.as_of))
        .collect::<Result<_>>()?;
    Ok(ReportOut::new(&runs, asked.with_questions))
}
