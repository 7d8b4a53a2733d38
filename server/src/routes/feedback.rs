//! What people say of answers: taken, listed, made into questions of an evaluation, dropped.

use kithdb::{Error, Payload, Result, Value};
use rag::eval::Question;
use rag::feedback;

use super::Call;
use crate::wire::feedback::{FeedbackIn, FeedbackOut, FeedbackQuery};

/// Entries of a page unless the request says otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// `POST /api/v1/collections/{collection}/feedback`: what is kept then.
pub(super) fn give(call: &Call) -> Result<Payload> {
    let collection = call.collection()?;
    let kept = call.state.feedback.as_ref().ok_or_else(|| {
        Error::invalid("feedback", "is not kept by this server; the setting of that name would keep it")
    })?;
    let given: FeedbackIn = call.parse()?;
    let (db, name) = (&call.state.db, collection.name());
    let known = match feedback::get(db, name, &given.id)? {
        Some(entry) => Some(entry),
        None => kept.remembered(name, &given.id),
    };
    let entry = given.over(known)?;
    feedback::keep(db, name, &entry, kept.kept_max)?;
    Ok(entry.to_payload())
}

/// `GET /api/v1/collections/{collection}/feedback`.
pub(super) fn list(call: &Call) -> Result<FeedbackOut> {
    let query: FeedbackQuery = call.query()?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Error::invalid("limit", format!("is {limit}; it must be from 1 to {PAGE_MAX}")));
    }
    let from = query.offset.as_deref().map(str::parse).transpose();
    let from = from.map_err(|error: Error| error.with_field("offset"))?;
    let page = feedback::list(&call.state.db, call.part("collection")?, query.only()?, from, limit)?;
    Ok(page.into())
}

/// `GET /api/v1/collections/{collection}/feedback/questions`: as `PUT …/eval/questions` takes them.
pub(super) fn questions(call: &Call) -> Result<Vec<Value>> {
    let questions = feedback::questions(&call.state.db, call.part("collection")?)?;
    Ok(questions.iter().map(Question::to_value).collect())
}

/// `DELETE /api/v1/collections/{collection}/feedback`: whether there was any.
pub(super) fn clear(call: &Call) -> Result<bool> {
    feedback::clear(&call.state.db, call.part("collection")?)
}
