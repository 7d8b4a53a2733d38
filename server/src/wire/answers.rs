//! Answers to questions whose answers are known, and what they are worth.

use kithdb::{Error, Result, Value};
use rag::answer::{Manner, Retrieval};
use rag::eval::{ANSWER_MEASURES, AnswerMeasure, AnswerMeasures, AnswerRow, AnswerRun};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::openai::rag::RagIn;

/// The body that has questions answered, and the answers measured.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EvaluateAnswers)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswersIn {
    /// How they are answered: the member of this name of `chat/completions`.
    #[schema(value_type = Option<Object>)]
    rag: Option<RagIn>,
    /// Whether the judge is asked; where there is one, unless it is said.
    pub(crate) judge: Option<bool>,
    /// The first so many questions.
    pub(crate) questions_max: Option<usize>,
    /// Tell of each question.
    #[serde(default)]
    pub(crate) with_questions: bool,
}

impl AnswersIn {
    /// How questions are answered.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn manner(&mut self) -> Result<Manner> {
        let rag = self.rag.take().unwrap_or_default();
        if rag.collection.is_some() {
            return Err(Error::invalid("rag.collection", "is that of the path"));
        }
        rag.into_manner(Retrieval::default())
    }
}

/// What answers are worth.
pub(crate) fn told(run: &AnswerRun, with_questions: bool) -> Value {
    let mut told = json!({
        "questions": run.rows.len(), "unanswerable": run.unanswerable, "refused_rightly": run.refused_rightly,
        "refused_wrongly": run.refused_wrongly, "unjudged": run.unjudged, "mean": measures(&run.mean),
        "tokens": {"prompt": run.usage.prompt, "cached": run.usage.cached, "completion": run.usage.completion},
    });
    if with_questions {
        told["rows"] = run.rows.iter().map(row).collect();
    }
    told
}

fn measures(measures: &AnswerMeasures) -> Value {
    let value = |(name, read): AnswerMeasure| read(measures).map(|value| (name.to_owned(), json!(value)));
    Value::Object(ANSWER_MEASURES.into_iter().filter_map(value).collect())
}

fn row(row: &AnswerRow) -> Value {
    json!({
        "id": row.id.to_string(), "question": row.question, "answer": row.text, "outcome": row.outcome.name(),
        "measures": measures(&row.measures), "elapsed_ms": row.elapsed_ms,
    })
}
