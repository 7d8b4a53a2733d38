//! `<name>.eval`: questions about a collection, and what is expected of their answers.
//!
//! ```text
//! {"question": "…", "expected": [{"path": "guide.md", "start": 10, "end": 80, "grade": 2}, {"id": 7}], "answer": "…",
//!  "vector": [0.1, …]}
//! ```
//!
//! What is expected is a document by its path, a span of its stored text by bytes, or a point by its id. A question
//! that expects nothing cannot be answered from the collection. One with a vector needs no model to be asked.

use std::ops::Range;

use kithdb::{Database, Error, ErrorKind, Filter, Payload, Point, PointId, Result, Schema, Select, Value};
use serde::Deserialize;
use serde_json::json;

use crate::collections::{all, beside, or_create};

/// Behind the name of a collection, the name of the collection of the questions about it.
pub const EVAL_SUFFIX: &str = ".eval";

/// Questions of a collection.
const QUESTIONS_MAX: usize = 100_000;

/// Questions written at once.
const PAGE: usize = 1_000;

/// A question and what is expected of its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The same for the same text.
    pub id: PointId,
    /// The question.
    pub text: String,
    /// What must be found; nothing for a question that cannot be answered.
    pub expected: Vec<Expected>,
    /// A right answer, in words.
    pub answer: Option<String>,
    /// Its vector, where no model is to make it.
    pub vector: Option<Vec<f32>>,
}

/// What must be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The document's path.
    pub path: Option<String>,
    /// The point's id.
    pub id: Option<PointId>,
    /// The bytes of the document's text.
    pub range: Option<Range<usize>>,
    /// How much it is worth, beside the others.
    pub grade: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    question: String,
    #[serde(default)]
    expected: Vec<ExpectedLine>,
    answer: Option<String>,
    vector: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedLine {
    path: Option<String>,
    id: Option<Value>,
    start: Option<usize>,
    end: Option<usize>,
    grade: Option<f64>,
}

/// The id of a question: that of its text.
pub(crate) fn id_of_question(text: &str) -> PointId {
    PointId::from_name(&format!("question\n{text}"))
}

impl Question {
    /// Questions, a JSON object a line.
    ///
    /// # Errors
    /// `InvalidArgument` on `questions`, naming the line.
    pub fn read_lines(text: &str) -> Result<Vec<Self>> {
        let line = |(number, line): (usize, &str)| {
            let value = serde_json::from_str(line).map_err(|error| {
                Error::invalid("questions", format!("line {number} is no JSON: {error}")).with_source(error)
            })?;
            Self::read(value).map_err(|error| {
                let field = error.field().unwrap_or_default();
                Error::invalid("questions", format!("line {number}: {field} {}", error.message()))
            })
        };
        (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
    }

    /// One question.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn read(value: Value) -> Result<Self> {
        let line: Line = serde_json::from_value(value)
            .map_err(|error| Error::invalid("question", error.to_string()).with_source(error))?;
        if line.question.trim().is_empty() {
            return Err(Error::invalid("question", "is empty"));
        }
        let vector: Option<Vec<f32>> =
            line.vector.map(serde_json::from_value).transpose().map_err(|error| {
                Error::invalid("vector", format!("must be numbers: {error}")).with_source(error)
            })?;
        if vector.iter().flatten().any(|element| !element.is_finite()) {
            return Err(Error::invalid("vector", "must be finite numbers"));
        }
        let expected = (0..).zip(line.expected).map(|(nth, expected): (usize, _)| {
            expected.check().map_err(|error| error.within(&format!("expected[{nth}]")))
        });
        Ok(Self {
            id: id_of_question(&line.question),
            expected: expected.collect::<Result<_>>()?,
            text: line.question,
            answer: line.answer,
            vector,
        })
    }

    /// As it is read.
    pub fn to_value(&self) -> Value {
        let expected = |expected: &Expected| {
            let mut value = Payload::new();
            let mut put =
                |key: &str, field: Option<Value>| value.extend(field.map(|field| (key.to_owned(), field)));
            put("path", expected.path.clone().map(Value::from));
            put(
                "id",
                expected.id.map(|id| match id {
                    PointId::Num(number) => number.into(),
                    PointId::Uuid(uuid) => uuid.to_string().into(),
                }),
            );
            put("start", expected.range.as_ref().map(|range| range.start.into()));
            put("end", expected.range.as_ref().map(|range| range.end.into()));
            put("grade", Some(expected.grade.into()));
            Value::Object(value)
        };
        let expected: Vec<Value> = self.expected.iter().map(expected).collect();
        let mut value = json!({"question": self.text, "expected": expected});
        if let Some(answer) = &self.answer {
            value["answer"] = json!(answer);
        }
        if let Some(vector) = &self.vector {
            value["vector"] = json!(vector);
        }
        value
    }
}

impl ExpectedLine {
    fn check(self) -> Result<Expected> {
        let id = match &self.id {
            None => None,
            Some(Value::Number(number)) => Some(number.as_u64().map(PointId::Num)),
            Some(Value::String(text)) => Some(text.parse().ok()),
            Some(_) => Some(None),
        };
        let id = match id {
            Some(None) => return Err(Error::invalid("id", "is neither an unsigned integer nor a UUID")),
            id => id.flatten(),
        };
        if self.path.is_none() && id.is_none() {
            return Err(Error::invalid("path", "is missing; name a `path` or an `id`"));
        }
        let range = match (self.start, self.end) {
            (None, None) => None,
            (Some(start), Some(end)) if start < end => Some(start..end),
            _ => return Err(Error::invalid("end", "must stand beside `start`, and be greater")),
        };
        let grade = self.grade.unwrap_or(1.0);
        if !(grade.is_finite() && grade > 0.0) {
            return Err(Error::invalid("grade", "must be greater than 0"));
        }
        Ok(Expected { path: self.path, id, range, grade })
    }
}

/// Keeps questions; one of the same text takes the place of the one before.
///
/// # Errors
/// `NotFound` when there is no such collection; `LimitExceeded` on `questions`.
pub fn store(db: &Database, collection: &str, questions: &[Question]) -> Result<()> {
    let name = format!("{}{EVAL_SUFFIX}", db.collection(collection)?.name());
    if questions.is_empty() {
        return Ok(());
    }
    let kept = or_create(db, &name, || Ok(Schema::new()))?;
    if questions.len() > QUESTIONS_MAX {
        let message = format!("has {} entries, the limit is {QUESTIONS_MAX}", questions.len());
        return Err(Error::new(ErrorKind::LimitExceeded, message).with_field("questions"));
    }
    let point = |question: &Question| match question.to_value() {
        Value::Object(payload) => Point::new(question.id).payload(payload),
        _ => Point::new(question.id),
    };
    for some in questions.chunks(PAGE) {
        kept.upsert(some.iter().map(point).collect())?;
    }
    Ok(())
}

/// The questions about a collection, by id.
///
/// # Errors
/// `NotFound` when there is no such collection.
pub fn load(db: &Database, collection: &str) -> Result<Vec<Question>> {
    let Some(kept) = beside(db, collection, EVAL_SUFFIX)? else { return Ok(Vec::new()) };
    let points = all(&kept, &Filter::default(), &Select::default())?;
    points.into_iter().map(|point| Question::read(Value::Object(point.payload))).collect()
}

/// Drops the questions about a collection; whether there were any.
///
/// # Errors
/// `NotFound` when there is no such collection.
pub fn clear(db: &Database, collection: &str) -> Result<bool> {
    match beside(db, collection, EVAL_SUFFIX)? {
        Some(kept) => db.drop_collection(kept.name()),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("{", "line 2 is no JSON"),
            (r#"{"question": " "}"#, "line 2: question is empty"),
            (r#"{"question": "q", "expected": [{}]}"#, "expected[0].path"),
            (r#"{"question": "q", "expected": [{"path": "a", "start": 3}]}"#, "expected[0].end"),
            (r#"{"question": "q", "expected": [{"id": -1}]}"#, "expected[0].id"),
            (r#"{"question": "q", "expected": [{"id": 1, "grade": 0}]}"#, "expected[0].grade"),
            (r#"{"question": "q", "more": 1}"#, "more"),
            (r#"{"question": "q", "vector": [1, "a"]}"#, "vector"),
            (r#"{"question": "q", "vector": [1e39]}"#, "vector"),
        ];
        for (line, expected) in cases {
            let error = Question::read_lines(&format!("\n{line}")).expect_err(line);
            assert_eq!(error.field(), Some("questions"));
            assert!(error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_question_comes_back_as_it_was() {
        let line = r#"{"question":"q","expected":[{"path":"a","start":1,"end":3,"grade":2.0},{"id":7,"grade":1.0}],"answer":"x","vector":[0.5,-2.0]}"#;
        let question = Question::read_lines(line).expect("a question").remove(0);
        assert_eq!(question.to_value().to_string(), line);
        assert_eq!(Question::read(question.to_value()).expect("the same"), question);
    }
}
