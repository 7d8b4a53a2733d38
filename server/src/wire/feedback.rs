//! What people say of answers, and what is kept of it.

use kithdb::{Error, ErrorKind, Payload, Result, Value};
use rag::feedback::{Entry, Page, Reason, read_places};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::feedback::now_ms;

/// The body that says something of an answer.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AnswerFeedback)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackIn {
    /// The id of the answer, as it was told with it.
    pub(crate) id: String,
    helpful: bool,
    comment: Option<String>,
    /// What should have been found, as questions of an evaluation have it; nothing in it where nothing answers the
    /// question.
    expected: Option<Vec<Value>>,
    /// The question, of an answer that is not remembered any more.
    question: Option<String>,
}

impl FeedbackIn {
    /// What is to be kept, over what is known of the answer.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field; `NotFound` on `id` when nothing is known of it and no question is given.
    pub(crate) fn over(self, known: Option<Entry>) -> Result<Entry> {
        let expected = self.expected.map(|expected| read_places(&Value::Array(expected))).transpose()?;
        let told = || -> Result<Entry> {
            let question = self.question.filter(|question| !question.trim().is_empty()).ok_or_else(|| {
                let message = "Not found: the answer is not remembered; send its `question` beside it";
                Error::new(ErrorKind::NotFound, message).with_field("id")
            })?;
            Ok(Entry { answer: self.id.clone(), question, created_ms: now_ms(), ..Entry::default() })
        };
        let entry = known.map_or_else(told, Ok)?;
        Ok(Entry {
            helpful: Some(self.helpful),
            comment: self.comment.or(entry.comment),
            expected: expected.or(entry.expected),
            ..entry
        })
    }
}

/// Which entries are listed.
#[derive(Debug, Deserialize)]
pub(crate) struct FeedbackQuery {
    reason: Option<String>,
    helpful: Option<bool>,
    pub(crate) offset: Option<String>,
    pub(crate) limit: Option<usize>,
}

impl FeedbackQuery {
    /// Why they are kept, and what was said of them.
    ///
    /// # Errors
    /// `InvalidArgument` on `reason`.
    pub(crate) fn only(&self) -> Result<(Option<Reason>, Option<bool>)> {
        Ok((self.reason.as_deref().map(Reason::parse).transpose()?, self.helpful))
    }
}

/// Entries, and where the next ones begin.
#[derive(Serialize)]
pub(crate) struct FeedbackOut {
    entries: Vec<Payload>,
    next_offset: Option<String>,
}

impl From<Page> for FeedbackOut {
    fn from(page: Page) -> Self {
        Self {
            entries: page.entries.iter().map(Entry::to_payload).collect(),
            next_offset: page.next.map(|id| id.to_string()),
        }
    }
}
