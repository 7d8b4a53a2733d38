//! Things by their ids, kept as payloads in a collection of their own that is made when it is needed first.

use kithdb::{
    Change, Collection, Error, ErrorKind, FieldPath, Filter, Payload, PayloadSelect, Point, PointId, Result,
    Schema, Select, Selection, Value, VectorSelect,
};

use super::Shelf;
use crate::collections::{all, find, or_create};

/// The collection of answers that were asked to be kept.
pub const RESPONSES: &str = "openai.responses";

/// The point of a thing.
fn point_id(id: &str) -> PointId {
    PointId::from_name(&format!("record\n{id}"))
}

/// That there is no such thing.
pub(super) fn missing(what: &str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Not found: there is no {what} `{id}`")).with_field("id")
}

impl Shelf<'_> {
    /// Keeps a thing, in place of the one with its id.
    ///
    /// # Errors
    /// What the database returns.
    pub fn keep(&self, kind: &str, id: &str, record: Payload) -> Result<()> {
        let point = Point::new(point_id(id)).payload(record).with("id", id);
        or_create(self.db, kind, || Ok(Schema::new()))?.upsert(vec![point]).map(drop)
    }

    /// Merges members into a thing that is there.
    pub(super) fn amend(&self, kind: &str, id: &str, members: Payload) -> Result<()> {
        let change = Change::SetPayload { payload: members, path: None };
        self.db.collection(kind)?.change(Selection::Ids(vec![point_id(id)]), change).map(drop)
    }

    /// A thing; nothing if there is none of that id.
    ///
    /// # Errors
    /// What the database returns.
    pub fn kept(&self, kind: &str, id: &str) -> Result<Option<Payload>> {
        let Some(collection) = find(self.db, kind)? else { return Ok(None) };
        let found = collection.get(&[point_id(id)], &select(&[])?)?;
        Ok(found.into_iter().next().map(|point| point.payload))
    }

    /// Forgets a thing; whether there was one.
    ///
    /// # Errors
    /// What the database returns.
    pub fn forget(&self, kind: &str, id: &str) -> Result<bool> {
        let Some(collection) = find(self.db, kind)? else { return Ok(false) };
        let was_there = !collection.get(&[point_id(id)], &Select::none())?.is_empty();
        collection.delete(vec![point_id(id)])?;
        Ok(was_there)
    }

    /// Every thing of a kind.
    pub(super) fn all(&self, kind: &str) -> Result<Vec<Payload>> {
        let Some(collection) = find(self.db, kind)? else { return Ok(Vec::new()) };
        Ok(every(&collection, &Filter::default(), &[])?.into_iter().map(|point| point.payload).collect())
    }
}

/// Every point that matches, without some members of its payload.
pub(super) fn every(collection: &Collection, filter: &Filter, without: &[&str]) -> Result<Vec<Point>> {
    all(collection, filter, &select(without)?)
}

fn select(without: &[&str]) -> Result<Select> {
    let paths: Result<Vec<FieldPath>> = without.iter().map(|path| path.parse()).collect();
    Ok(Select { payload: PayloadSelect::Except(paths?), vectors: VectorSelect::None, highlight: None })
}

pub(super) fn text(payload: &Payload, key: &str) -> String {
    payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn number(payload: &Payload, key: &str) -> u64 {
    payload.get(key).and_then(Value::as_u64).unwrap_or_default()
}
