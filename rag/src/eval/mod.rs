//! How well questions find what answers them: sets of questions with what is expected, kept beside the data, asked in
//! one or two configurations, at the present state of the collection or a past one; or to learn from them what words
//! weigh in its hybrid queries.
//!
//! Invariants: measures are pure functions of a ranking and what was expected; a comparison is of the same questions at
//! the same commit, and its resampling has a fixed seed: the same data give the same report.
//! What is retrieved for answers is measured by [`run`], answers themselves by [`run_answers`].

mod answers;
mod compare;
mod learn;
mod measure;
mod page;
mod plot;
mod question;

use std::time::Instant;

use kithdb::{
    Collection, DEFAULT_VECTOR, Error, ErrorKind, FieldPath, Filter, Payload, PayloadSelect, PointId, Result,
    Select, Seqno, Value,
};

use crate::search::{Asking, request};
use crate::{Embedder, Mode};
pub use answers::{ANSWER_MEASURES, AnswerMeasure, AnswerMeasures, AnswerRow, AnswerRun, run_answers};
pub use compare::{Comparison, compare};
pub use learn::{Learned, Lesson, QUESTIONS_MIN, learn};
pub use measure::{MEASURES, Measure, Measures, Passage, measure};
pub use page::html;
pub(crate) use question::id_of_question;
pub use question::{EVAL_SUFFIX, Expected, Question, clear, load, store};

/// How questions are asked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What reports call it.
    pub name: String,
    /// By meaning, by words, or both.
    pub mode: Mode,
    /// Passages of an answer: the `k` of every measure.
    pub limit: usize,
    /// Only among these.
    pub filter: Filter,
    /// No further question is asked then, and the run fails.
    pub deadline: Option<Instant>,
}

/// One question, asked.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its id.
    pub id: PointId,
    /// The question.
    pub question: String,
    /// How well it went.
    pub measures: Measures,
    /// The paths or ids of what was found, best first.
    pub found: Vec<String>,
    /// Which of them were expected.
    pub is_expected: Vec<bool>,
    /// How long it took, the question's embedding included.
    pub elapsed_ms: f64,
}

/// A configuration, over all questions that expect something.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was asked for.
    pub config: Config,
    /// The mode that was used: not the one asked for where there was no model.
    pub mode: Mode,
    /// The commit that was read.
    pub seqno: u64,
    /// In the order of the questions.
    pub rows: Vec<Row>,
    /// Over all rows.
    pub mean: Measures,
    /// Questions that expect nothing, and are not among the rows.
    pub unanswerable: usize,
}

/// Asks all questions.
///
/// # Errors
/// `InvalidArgument` when there are none, or the limit is 0; on `model` as a search does; `DeadlineExceeded`; what the
/// database returns.
pub fn run(
    collection: &Collection,
    embedder: Option<&Embedder>,
    questions: &[Question],
    config: &Config,
    as_of: Option<u64>,
) -> Result<Run> {
    if config.limit == 0 {
        return Err(Error::invalid("limit", "is 0; it must be 1 at least"));
    }
    let reading = as_of.map_or_else(|| collection.reading(), |seqno| collection.as_of(Seqno(seqno)))?;
    let select = places()?;
    let mut mode = config.mode;
    let mut rows = Vec::with_capacity(questions.len());
    for question in questions.iter().filter(|question| !question.expected.is_empty()) {
        let began = Instant::now();
        if config.deadline.is_some_and(|deadline| began >= deadline) {
            let message = format!("{} of {} questions were asked in time", rows.len(), questions.len());
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        }
        let asking = Asking {
            question: &question.text,
            vector: question.vector.as_deref(),
            using: DEFAULT_VECTOR,
            mode: config.mode,
            filter: config.filter.clone(),
            limit: config.limit,
        };
        let (used, asked) = request(collection, embedder, asking)?;
        mode = used;
        let (hits, _) = reading.search(asked, &select)?;
        let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
        let passages: Vec<Passage> = hits.iter().map(|hit| passage(hit.id, &hit.payload)).collect();
        let (measures, is_expected) = measure(&passages, &question.expected);
        let found = passages.into_iter().map(|passage| passage.path.unwrap_or(passage.id.to_string()));
        let (id, text) = (question.id, question.text.clone());
        rows.push(Row { id, question: text, measures, found: found.collect(), is_expected, elapsed_ms });
    }
    if rows.is_empty() {
        let name = collection.name();
        let message =
            format!("there are no questions about `{name}` that expect something; store some first");
        return Err(Error::invalid("questions", message));
    }
    let mean = Measures::mean(rows.iter().map(|row| &row.measures));
    let unanswerable = questions.len() - rows.len();
    Ok(Run { config: config.clone(), mode, seqno: reading.seqno().0, rows, mean, unanswerable })
}

/// Selects what says where hits stand.
fn places() -> Result<Select> {
    let paths: Result<Vec<FieldPath>> = ["path", "start", "end"].into_iter().map(str::parse).collect();
    Ok(Select { payload: PayloadSelect::Only(paths?), ..Select::default() })
}

fn passage(id: PointId, payload: &Payload) -> Passage {
    let place = |key: &str| payload.get(key).and_then(Value::as_u64).map(|place| place as usize);
    let range = place("start").zip(place("end")).map(|(start, end)| start..end);
    let path = payload.get("path").and_then(Value::as_str).map(str::to_owned);
    Passage { id, path, range }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::ControlFlow::Continue;

    use kithdb::Database;

    use super::*;
    use crate::{IngestOptions, ingest};

    #[test]
    fn questions_are_kept_beside_the_data_and_asked_at_a_commit() {
        let db = Database::in_memory().expect("a database");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.md"), "# Install\n\nRun the installer twice.\n").expect("a file");
        fs::write(folder.path().join("b.md"), "# Remove\n\nDelete the folder.\n").expect("a file");
        let options = IngestOptions::default();
        ingest(&db, folder.path(), &options, None, &|_| Continue(())).expect("ingested");
        let lines = r#"{"question": "How do I run the installer?", "expected": [{"path": "a.md", "start": 11, "end": 35}]}

            {"question": "How is the folder deleted?", "expected": [{"path": "b.md"}], "answer": "By hand."}
            {"question": "Who wrote this?", "expected": []}"#;
        let questions = Question::read_lines(lines).expect("questions");
        store(&db, "documents", &questions).expect("stored");
        let chunks = db.collection("documents").expect("the chunks");
        let kept = load(&db, "documents").expect("loaded");
        assert_eq!(kept.len(), 3);
        let deleted = kept.iter().find(|question| question.text.contains("deleted")).expect("kept");
        assert_eq!(deleted.answer.as_deref(), Some("By hand."));
        let (mode, filter) = (Mode::Keyword, Filter::default());
        let config = Config { name: "k".into(), mode, limit: 2, filter, deadline: None };
        let found = run(&chunks, None, &kept, &config, None).expect("a run");
        assert_eq!((found.rows.len(), found.unanswerable), (2, 1));
        assert_eq!((found.mean.recall, found.mean.mrr), (1.0, 1.0), "{:?}", found.rows);
        let other = Config { name: "other".into(), limit: 1, ..config };
        let beside = run(&chunks, None, &kept, &other, None).expect("a run");
        let report = html("documents", &[&found, &beside], None);
        assert!(report.contains("<svg") && report.contains("other"), "both configurations are drawn");
        let late = Config { deadline: Some(Instant::now()), ..other.clone() };
        let error = run(&chunks, None, &kept, &late, None).expect_err("no time");
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        clear(&db, "documents").expect("cleared");
        assert!(load(&db, "documents").expect("loaded").is_empty());
        let error = run(&chunks, None, &[], &other, None).expect_err("no questions");
        assert_eq!(error.field(), Some("questions"));
    }
}
