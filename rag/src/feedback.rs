//! `<name>.feedback`: questions that were answered badly, and what people say of answers. To learn from: what is said
//! of them becomes questions of an evaluation.
//!
//! ```text
//! point   id: the time in the id of the answer; payload: answer, question, outcome, created_ms; where there are such:
//!         reason, similarity, coverage, cited, helpful, comment, expected
//! ```
//!
//! Invariants: there are never more entries than are to be kept; the oldest go first. The same answer has one entry.
//! Who keeps none of it writes none of it: nothing here is called by answering itself.
//! When not to use: without the consent of those who ask. These are their words.

use std::collections::{BTreeMap, HashSet};

use kithdb::{
    Condition, Database, Error, FieldKind, Filter, Payload, Point, PointId, Result, Schema, Select, Value,
};
use serde_json::json;

use crate::answer::{Answer, Outcome};
use crate::collections::{self, or_create};
use crate::eval::{Expected, Question, id_of_question};

/// Behind the name of a collection, the name of the collection of what is kept of its answers.
pub const FEEDBACK_SUFFIX: &str = ".feedback";

/// Characters of a question that are kept.
const QUESTION_CHARS_MAX: usize = 4_000;

/// Characters of a comment.
const COMMENT_CHARS_MAX: usize = 4_000;

/// Places that are expected.
const EXPECTED_MAX: usize = 64;

/// Characters of the id of an answer, and of the path of a place that is expected: who may only read says both, and
/// they are kept.
const ID_CHARS_MAX: usize = 256;
const PATH_CHARS_MAX: usize = 4_000;

/// Entries read or dropped at once.
const PAGE: usize = 1_000;

/// Why an answer is kept that nobody said anything of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was nothing to answer from.
    NothingFound,
    /// A model wrote it, and no document supports any of it, or less of it than not.
    LowConfidence,
}

/// What is kept of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The id of the answer.
    pub answer: String,
    /// What was asked, as it was searched with.
    pub question: String,
    /// Why it is kept; nothing where somebody said something of it.
    pub reason: Option<Reason>,
    /// How it came about.
    pub outcome: String,
    /// What spoke for it: the nearest chunk's cosine.
    pub similarity: Option<f32>,
    /// The share of the question's words in the best passage.
    pub coverage: Option<f32>,
    /// The places that it cited.
    pub cited: Vec<Expected>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// What was said of it.
    pub helpful: Option<bool>,
    /// In words.
    pub comment: Option<String>,
    /// What should have been found, as somebody says; nothing in it where nothing answers the question.
    pub expected: Option<Vec<Expected>>,
}

impl Reason {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingFound => "nothing_found",
            Self::LowConfidence => "low_confidence",
        }
    }

    /// Of its word.
    ///
    /// # Errors
    /// `InvalidArgument` on `reason`.
    pub fn parse(word: &str) -> Result<Self> {
        let known = [Self::NothingFound, Self::LowConfidence].into_iter().find(|one| one.name() == word);
        let message = || format!("`{word}` is neither nothing_found nor low_confidence");
        known.ok_or_else(|| Error::invalid("reason", message()))
    }

    /// Why an answer should be kept, if it should.
    pub fn of(answer: &Answer) -> Option<Self> {
        let (cited, unsupported) = (answer.citations.len(), answer.unsupported.len());
        match answer.outcome {
            Outcome::NothingFound => Some(Self::NothingFound),
            Outcome::Generated if cited == 0 || unsupported > cited => Some(Self::LowConfidence),
            Outcome::Generated | Outcome::Extractive => None,
        }
    }
}

impl Entry {
    /// What is to be known of an answer.
    pub fn of(id: &str, question: &str, answer: &Answer, created_ms: u64) -> Self {
        let mut cited: Vec<Expected> = Vec::new();
        for citation in &answer.citations {
            let path = answer.documents[citation.passage].about.path.clone();
            let place =
                Expected { path: Some(path), id: None, range: Some(citation.span.clone()), grade: 1.0 };
            if !cited.contains(&place) && cited.len() < EXPECTED_MAX {
                cited.push(place);
            }
        }
        let question = answer.rewritten.as_deref().unwrap_or(question);
        Self {
            answer: id.to_owned(),
            question: question.chars().take(QUESTION_CHARS_MAX).collect(),
            reason: Reason::of(answer),
            outcome: answer.outcome.name().to_owned(),
            similarity: answer.evidence.similarity,
            coverage: Some(answer.evidence.coverage),
            cited,
            created_ms,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<()> {
        for (field, text, most) in [
            ("id", Some(&self.answer), ID_CHARS_MAX),
            ("question", Some(&self.question), QUESTION_CHARS_MAX),
            ("comment", self.comment.as_ref(), COMMENT_CHARS_MAX),
            ("expected", self.longest_path(), PATH_CHARS_MAX),
        ] {
            let chars = text.map_or(0, |text| text.chars().count());
            if chars > most {
                return Err(Error::limit(field, "the number of characters", chars, most));
            }
        }
        let count = self.expected.as_ref().map_or(0, Vec::len);
        if count > EXPECTED_MAX {
            return Err(Error::limit("expected", "the number of places", count, EXPECTED_MAX));
        }
        Ok(())
    }

    /// Of the places that somebody expects.
    fn longest_path(&self) -> Option<&String> {
        let paths = self.expected.iter().flatten().filter_map(|place| place.path.as_ref());
        paths.max_by_key(|path| path.len())
    }

    /// As it is kept, and told.
    pub fn to_payload(&self) -> Payload {
        let mut payload = Payload::new();
        let mut put =
            |key: &str, value: Option<Value>| payload.extend(value.map(|value| (key.to_owned(), value)));
        put("answer", Some(self.answer.clone().into()));
        put("question", Some(self.question.clone().into()));
        put("outcome", Some(self.outcome.clone().into()));
        put("created_ms", Some(self.created_ms.into()));
        put("reason", self.reason.map(|reason| reason.name().into()));
        put("similarity", self.similarity.map(Value::from));
        put("coverage", self.coverage.map(Value::from));
        put("cited", Some(places(&self.cited)).filter(|_| !self.cited.is_empty()));
        put("helpful", self.helpful.map(Value::from));
        put("comment", self.comment.clone().map(Value::from));
        put("expected", self.expected.as_deref().map(places));
        payload
    }

    fn of_payload(payload: &Payload) -> Self {
        let text = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| payload.get(key).and_then(Value::as_f64).map(|number| number as f32);
        // What is kept was read the same way when it came.
        let expected = |key: &str| payload.get(key).and_then(|value| read_places(value).ok());
        Self {
            answer: text("answer").unwrap_or_default(),
            question: text("question").unwrap_or_default(),
            reason: text("reason").and_then(|word| Reason::parse(&word).ok()),
            outcome: text("outcome").unwrap_or_default(),
            similarity: number("similarity"),
            coverage: number("coverage"),
            cited: expected("cited").unwrap_or_default(),
            created_ms: payload.get("created_ms").and_then(Value::as_u64).unwrap_or_default(),
            helpful: payload.get("helpful").and_then(Value::as_bool),
            comment: text("comment"),
            expected: expected("expected"),
        }
    }

    /// The question of an evaluation that it makes, if anybody said what is right: where it should be found, or that
    /// the answer was helpful, whose citations are right then.
    fn question(&self) -> Option<Question> {
        let expected = match (&self.expected, self.helpful) {
            (Some(expected), _) => expected,
            (None, Some(true)) if !self.cited.is_empty() => &self.cited,
            _ => return None,
        };
        Question::read(json!({"question": self.question, "expected": places(expected)})).ok()
    }
}

/// Places as questions of an evaluation have them.
fn places(expected: &[Expected]) -> Value {
    let (id, text, expected) = (PointId::Num(0), "-".to_owned(), expected.to_vec());
    let question = Question { id, text, expected, answer: None, vector: None };
    question.to_value()["expected"].take()
}

/// Reads places as questions of an evaluation have them.
///
/// # Errors
/// `InvalidArgument` naming the place.
pub fn read_places(value: &Value) -> Result<Vec<Expected>> {
    Question::read(json!({"question": "-", "expected": value})).map(|question| question.expected)
}

/// The point of an answer, by the time in its id.
fn point_id(answer: &str) -> Result<PointId> {
    let tail = answer.rsplit(['-', '_']).next().unwrap_or_default();
    let time = tail.get(..16).filter(|_| tail.len() == 32);
    let time = time.and_then(|time| u64::from_str_radix(time, 16).ok());
    time.map(PointId::Num).ok_or_else(|| {
        let message = format!("`{answer}` is not the id of an answer of this server, as its `id` tells it");
        Error::invalid("id", message)
    })
}

/// Keeps an entry in place of the one of the same answer, and drops the oldest where there are too many.
///
/// # Errors
/// `NotFound` when there is no such collection; `InvalidArgument`, `LimitExceeded` naming the field; what the database
/// returns.
pub fn keep(db: &Database, collection: &str, entry: &Entry, kept_max: usize) -> Result<()> {
    entry.check()?;
    let id = point_id(&entry.answer)?;
    let name = format!("{}{FEEDBACK_SUFFIX}", db.collection(collection)?.name());
    let kept = or_create(db, &name, || {
        let schema = Schema::new().field("reason".parse()?, FieldKind::Keyword);
        Ok(schema.field("helpful".parse()?, FieldKind::Bool))
    })?;
    kept.upsert(vec![Point::new(id).payload(entry.to_payload())])?;
    let over = kept.count(&Filter::default())?.saturating_sub(kept_max.max(1));
    if over > 0 {
        let others = Filter { must_not: vec![Condition::HasId(vec![id])], ..Filter::default() };
        let oldest = kept.scroll(&others, None, over.min(PAGE), &Select::none())?.points;
        kept.delete(oldest.into_iter().map(|point| point.id).collect())?;
    }
    Ok(())
}

/// What is kept of an answer.
///
/// # Errors
/// `NotFound` when there is no such collection; `InvalidArgument` on `id`; what the database returns.
pub fn get(db: &Database, collection: &str, answer: &str) -> Result<Option<Entry>> {
    let id = point_id(answer)?;
    let Some(kept) = collections::beside(db, collection, FEEDBACK_SUFFIX)? else { return Ok(None) };
    let found = kept.get(&[id], &Select::default())?.pop();
    let entry = found.map(|point| Entry::of_payload(&point.payload));
    Ok(entry.filter(|entry| entry.answer == answer))
}

/// Some entries, and where the next ones begin.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The oldest first.
    pub entries: Vec<Entry>,
    /// The first of the next page.
    pub next: Option<PointId>,
}

/// Entries, the oldest first: those of a reason, or that somebody found helpful or not.
///
/// # Errors
/// `NotFound` when there is no such collection; what the database returns.
pub fn list(
    db: &Database,
    collection: &str,
    (reason, helpful): (Option<Reason>, Option<bool>),
    from: Option<PointId>,
    limit: usize,
) -> Result<Page> {
    let Some(kept) = collections::beside(db, collection, FEEDBACK_SUFFIX)? else {
        return Ok(Page::default());
    };
    let mut filter = Filter::default();
    if let Some(reason) = reason {
        filter = filter.and(Condition::equals("reason", reason.name())?);
    }
    if let Some(helpful) = helpful {
        filter = filter.and(Condition::equals("helpful", helpful)?);
    }
    let page = kept.scroll(&filter, from, limit, &Select::default())?;
    let entries = page.points.iter().map(|point| Entry::of_payload(&point.payload)).collect();
    Ok(Page { entries, next: page.next })
}

/// The questions of an evaluation that entries make; of the same question the latest that says something counts. So one
/// that was answered helpfully once, and badly later, is none until somebody says what is right.
///
/// # Errors
/// As for [`list`].
pub fn questions(db: &Database, collection: &str) -> Result<Vec<Question>> {
    let (mut found, mut from) = (BTreeMap::new(), None);
    loop {
        let page = list(db, collection, (None, None), from, PAGE)?;
        for entry in page.entries {
            match entry.question() {
                Some(question) => drop(found.insert(question.id, question)),
                None if entry.helpful == Some(false) => drop(found.remove(&id_of_question(&entry.question))),
                None => {}
            }
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(found.into_values().collect()),
        }
    }
}

/// These questions, and those that entries make; of the same question what is given counts.
///
/// # Errors
/// As for [`list`].
pub fn beside(db: &Database, collection: &str, mut given: Vec<Question>) -> Result<Vec<Question>> {
    let known: HashSet<PointId> = given.iter().map(|question| question.id).collect();
    given.extend(questions(db, collection)?.into_iter().filter(|question| !known.contains(&question.id)));
    Ok(given)
}

/// Drops all of it; whether there was any.
///
/// # Errors
/// `NotFound` when there is no such collection; what the database returns.
pub fn clear(db: &Database, collection: &str) -> Result<bool> {
    match collections::beside(db, collection, FEEDBACK_SUFFIX)? {
        Some(kept) => db.drop_collection(kept.name()),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow::Continue;

    use super::*;
    use crate::embed::tiny;
    use crate::eval::{self, Lesson};
    use crate::{IngestOptions, ingest};

    fn entry(at: u64, question: &str) -> Entry {
        let answer = format!("chatcmpl-{at:016x}{:016x}", 7);
        Entry { answer, question: question.to_owned(), created_ms: at, ..Entry::default() }
    }

    fn database() -> Database {
        let db = Database::in_memory().expect("a database");
        db.create_collection("docs", Schema::new()).expect("a collection");
        db
    }

    fn place(path: &str) -> Expected {
        Expected { path: Some(path.to_owned()), id: None, range: Some(3..9), grade: 1.0 }
    }

    #[test]
    fn an_entry_comes_back_as_it_was_and_the_oldest_go() {
        let db = database();
        let full = Entry {
            reason: Some(Reason::LowConfidence),
            outcome: "generated".to_owned(),
            similarity: Some(0.5),
            coverage: Some(0.25),
            cited: vec![place("a.md")],
            helpful: Some(false),
            comment: Some("Wrong.".to_owned()),
            expected: Some(Vec::new()),
            ..entry(9, "Why?")
        };
        keep(&db, "docs", &full, 3).expect("kept");
        assert_eq!(get(&db, "docs", &full.answer).expect("read"), Some(full.clone()));
        for at in [5, 20, 30, 40] {
            keep(&db, "docs", &entry(at, "What?"), 3).expect("kept");
        }
        let times = |page: Page| page.entries.iter().map(|entry| entry.created_ms).collect::<Vec<_>>();
        let all = |only| times(list(&db, "docs", only, None, 10).expect("a list"));
        assert_eq!(all((None, None)), [20, 30, 40]);
        keep(&db, "docs", &full, 3).expect("kept, though it is old");
        assert_eq!(all((None, None)), [9, 30, 40]);
        assert_eq!(all((Some(Reason::LowConfidence), Some(false))), [9]);
        assert_eq!(all((Some(Reason::NothingFound), None)), [0_u64; 0]);
        assert_eq!(all((None, Some(true))), [0_u64; 0]);
        assert!(clear(&db, "docs").expect("cleared") && !clear(&db, "docs").expect("nothing is left"));
        assert_eq!(get(&db, "docs", &full.answer).expect("read"), None);
    }

    #[test]
    fn what_is_said_to_be_right_becomes_a_question() {
        let db = database();
        let cited = vec![place("a.md")];
        let said = Some(vec![place("b.md")]);
        for entry in [
            entry(1, "nobody said anything"),
            Entry {
                helpful: Some(false),
                cited: cited.clone(),
                ..entry(2, "wrong, and nobody says what is right")
            },
            Entry { helpful: Some(true), cited: cited.clone(), ..entry(3, "right") },
            Entry { helpful: Some(false), cited, expected: said.clone(), ..entry(4, "wrong") },
            Entry { helpful: Some(false), expected: Some(Vec::new()), ..entry(5, "nothing answers it") },
            Entry { helpful: Some(true), expected: said, ..entry(6, "right") },
        ] {
            keep(&db, "docs", &entry, 100).expect("kept");
        }
        // It was helpful, and is not any more.
        let was = Entry { helpful: Some(true), cited: vec![place("c.md")], ..entry(7, "nobody knows") };
        keep(&db, "docs", &was, 100).expect("kept");
        let is = Entry { helpful: Some(false), ..entry(8, "nobody knows") };
        keep(&db, "docs", &is, 100).expect("kept");
        let questions = questions(&db, "docs").expect("questions");
        let path = |question: &Question| question.expected.first().and_then(|place| place.path.clone());
        let mut told: Vec<(String, Option<String>)> =
            questions.iter().map(|question| (question.text.clone(), path(question))).collect();
        told.sort();
        let expected = [("nothing answers it", None), ("right", Some("b.md")), ("wrong", Some("b.md"))];
        let expected = expected.map(|(text, path)| (text.to_owned(), path.map(str::to_owned)));
        assert_eq!(told, expected);
    }

    /// Weights are learned from thumbs as from questions that say the same; what is known for certain goes before.
    #[test]
    fn thumbs_teach_as_questions_do() {
        let (_model, embedder) = tiny::open();
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::in_memory().expect("a database");
        let text = |at: u64| format!("the quick brown fox jumps over {at} lazy dogs");
        for at in 0..30 {
            std::fs::write(folder.path().join(format!("{at}.txt")), text(at)).expect("a file");
        }
        let options = IngestOptions { collection: "docs".to_owned(), ..IngestOptions::default() };
        ingest(&db, folder.path(), &options, Some(&embedder), &|_| Continue(())).expect("an ingestion");
        for at in 0..30 {
            let cited = vec![place(&format!("{at}.txt"))];
            let entry = Entry { helpful: Some(true), cited, ..entry(at + 1, &text(at)) };
            keep(&db, "docs", &entry, 100).expect("kept");
        }
        let docs = db.collection("docs").expect("the collection");
        let learned = |questions: &[Question]| {
            eval::learn(&docs, Some(&embedder), questions, &Lesson::default()).expect("learned")
        };
        let said = beside(&db, "docs", Vec::new()).expect("questions");
        let same = |at: u64| {
            let expected = json!([{"path": format!("{at}.txt"), "start": 3, "end": 9}]);
            Question::read(json!({"question": text(at), "expected": expected})).expect("a question")
        };
        assert_eq!(learned(&said), learned(&(0..30).map(same).collect::<Vec<_>>()));
        assert_eq!(learned(&said).questions, 30);
        let known = Question { expected: Vec::new(), ..same(7) };
        let both = beside(&db, "docs", vec![known.clone()]).expect("questions");
        assert_eq!((both.len(), &both[0]), (30, &known));
    }

    #[test]
    fn what_cannot_be_kept_names_its_field() {
        let db = database();
        let long = "x".repeat(COMMENT_CHARS_MAX + 1);
        let cases = [
            (Entry { answer: "chatcmpl-1".to_owned(), ..entry(1, "q") }, "id"),
            (Entry { answer: format!("x_{}", "g".repeat(32)), ..entry(1, "q") }, "id"),
            (Entry { comment: Some(long.clone()), ..entry(1, "q") }, "comment"),
            (entry(1, &long), "question"),
            (Entry { expected: Some(vec![place("a"); EXPECTED_MAX + 1]), ..entry(1, "q") }, "expected"),
            (Entry { expected: Some(vec![place("a"), place(&long)]), ..entry(1, "q") }, "expected"),
            (Entry { answer: format!("{long}-{}", "0".repeat(32)), ..entry(1, "q") }, "id"),
        ];
        for (entry, field) in cases {
            assert_eq!(keep(&db, "docs", &entry, 9).expect_err(field).field(), Some(field));
        }
        assert!(db.collection("docs.feedback").is_err(), "nothing was made");
        assert_eq!(
            read_places(&json!([{"start": 1}])).expect_err("no path").field(),
            Some("expected[0].path")
        );
    }
}
