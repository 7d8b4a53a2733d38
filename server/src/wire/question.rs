//! A query that was read, and its answer. It may be answered more than once, with vectors that did not travel as JSON.
//!
//! An empty vector in the body, which asks for nothing by itself, is the place of the vector that is given apart.

use kithdb::{
    Error, ErrorKind, Input, Limits, Payload, PointId, Query, Reading, Request, Result, Select, Terms, Vector,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::id::Id;
use super::plan::PlanOut;
use super::point::ScoredPoint;

/// A query of one state of a collection.
pub struct Question {
    pub(super) reading: Reading,
    pub(super) request: Request,
    pub(super) select: Select,
    pub(super) terms: Terms,
    pub(super) is_explained: bool,
}

/// The hits of a query, and the plan if it was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueryResult)]
pub struct Found {
    points: Vec<ScoredPoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<Partial>,
    /// What it takes in memory, beside the answers before it.
    #[serde(skip)]
    #[schema(ignore)]
    bytes: usize,
}

/// A hit of which no more was asked for than its payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainHit<'a> {
    /// The point.
    pub id: PointId,
    /// The version that was found.
    pub version: u64,
    /// How well it answers.
    pub score: f32,
    /// Its payload, if it was asked for.
    pub payload: Option<&'a Payload>,
}

/// Why an answer that was welcome in part is one.
#[derive(Debug, Serialize, ToSchema)]
struct Partial {
    /// Of the rows to be looked at one after the other, the share that was. As much of the true hits is to be expected.
    seen_share: f32,
}

impl Question {
    /// Answers it, with a vector where the body left a place for one.
    ///
    /// # Errors
    /// As for the route; `InvalidArgument` on `query` when there is no place for the vector.
    pub fn answer(&self, vector: Option<&[f32]>) -> Result<Found> {
        let request = match vector {
            Some(vector) => self.with(vector)?,
            None => self.request.clone(),
        };
        let found = self.reading.search_on(request, &self.select, self.terms)?;
        Ok(Found::new(found, &self.select, self.is_explained))
    }

    /// The hits alone, best first: ids and scores.
    ///
    /// # Errors
    /// As for [`answer`](Self::answer).
    pub fn ranked(&self, vector: &[f32]) -> Result<Vec<(PointId, f32)>> {
        let found = self.reading.search_on(self.with(vector)?, &Select::none(), self.terms)?;
        Ok(found.hits.into_iter().map(|hit| (hit.id, hit.score)).collect())
    }

    fn with(&self, vector: &[f32]) -> Result<Request> {
        let mut request = self.request.clone();
        if put(&mut request, vector) == 0 {
            let message = "has no place for the vector given apart; leave it one by an empty vector";
            return Err(Error::invalid("query", message));
        }
        Ok(request)
    }
}

/// Room for the answers to several searches in one request: together they may have as many hits, and show as many
/// bytes, as one may.
pub(crate) struct Room {
    most: usize,
    left: usize,
    /// Bytes that the answers up to here show.
    bytes: usize,
}

impl Room {
    /// All of it.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { most: limits.hits_max, left: limits.hits_max, bytes: 0 }
    }

    /// Answers the next search, for which the body has all vectors.
    ///
    /// # Errors
    /// `LimitExceeded` when there is no room for it; as for [`Question::answer`]. Which search it is, is not told.
    pub(crate) fn answer(&mut self, question: Question) -> Result<Found> {
        let reading = question.reading.beside(self.bytes);
        let found = Question { reading, ..question }.answer(None)?;
        self.take(found.points.len())?;
        self.bytes = found.bytes;
        Ok(found)
    }

    fn take(&mut self, hits: usize) -> Result<()> {
        let left = self.left.checked_sub(hits).ok_or_else(|| {
            let message = format!(
                "the searches up to here have more hits together than the limit hits_max allows, {}; ask in several \
                 requests, or for fewer hits",
                self.most
            );
            Error::new(ErrorKind::LimitExceeded, message).with_field("limit")
        });
        self.left = left?;
        Ok(())
    }
}

/// Puts a vector into the places left for it; how many there were.
fn put(request: &mut Request, vector: &[f32]) -> usize {
    let below: usize = request.prefetch.iter_mut().map(|leg| put(leg, vector)).sum();
    let (Query::Nearest { vector: place, .. } | Query::Diverse { vector: place, .. }) = &mut request.query
    else {
        return below;
    };
    match place {
        Input::Vector(Vector::Dense(empty)) if empty.is_empty() => {
            *place = Input::Vector(Vector::Dense(vector.to_vec()));
            below + 1
        }
        _ => below,
    }
}

impl Found {
    fn new(found: kithdb::Found, select: &Select, is_explained: bool) -> Self {
        let kithdb::Found { hits, plan, actual, partial, bytes } = found;
        Self {
            points: hits.into_iter().map(|hit| ScoredPoint::new(hit, select)).collect(),
            plan: is_explained.then(|| PlanOut::new(&plan, actual.as_ref())),
            partial: partial.map(|seen_share| Partial { seen_share }),
            bytes,
        }
    }

    /// The hits, if there is nothing else to tell: for doors that make something else of them than JSON.
    pub fn plain(&self) -> Option<Vec<PlainHit<'_>>> {
        if self.plan.is_some() || self.partial.is_some() {
            return None;
        }
        self.points.iter().map(plain).collect()
    }

    /// The hits alone.
    pub(crate) fn into_points(self) -> Vec<ScoredPoint> {
        self.points
    }
}

fn plain(hit: &ScoredPoint) -> Option<PlainHit<'_>> {
    let ScoredPoint { id: Id(id), version, score, payload, order_value, vector, highlight } = hit;
    let is_plain = order_value.is_none() && vector.is_none() && highlight.is_none();
    is_plain.then_some(PlainHit { id: *id, version: *version, score: *score, payload: payload.as_ref() })
}
