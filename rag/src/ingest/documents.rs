//! The documents of a library: listed, read, removed.

use kithdb::{
    Condition, Database, Error, ErrorKind, FieldPath, Filter, Payload, PayloadSelect, Point, PointId, Result,
    Select,
};

use super::jobs;
use super::library::Library;

/// Some documents, and where the next ones begin.
pub struct Page {
    /// Their sources without the texts, by id.
    pub documents: Vec<(PointId, Payload)>,
    /// The first id of the next page.
    pub next: Option<PointId>,
}

/// What only an ingestion reads.
const INNER: [&str; 3] = ["signature", "bands", "fingerprint"];

/// Documents in the order of their ids, of one set of uploads if it is named.
///
/// # Errors
/// `NotFound` when the collection has no documents.
pub fn list(
    db: &Database,
    collection: &str,
    set: Option<&str>,
    from: Option<PointId>,
    limit: usize,
) -> Result<Page> {
    let sources = sources(db, collection)?;
    let filter = match set {
        Some(set) => Filter::must(Condition::equals("root", jobs::root_of(set).as_str())?),
        None => Filter::default(),
    };
    let left_out = INNER.into_iter().chain(["text"]).map(str::parse).collect::<Result<Vec<FieldPath>>>()?;
    let select = Select { payload: PayloadSelect::Except(left_out), ..Select::default() };
    let page = sources.scroll(&filter, from, limit, &select)?;
    let documents = page.points.into_iter().map(|point| (point.id, point.payload)).collect();
    Ok(Page { documents, next: page.next })
}

/// A document with its text.
///
/// # Errors
/// `NotFound`.
pub fn get(db: &Database, collection: &str, id: PointId) -> Result<Point> {
    let left_out = INNER.into_iter().map(str::parse).collect::<Result<Vec<FieldPath>>>()?;
    let select = Select { payload: PayloadSelect::Except(left_out), ..Select::default() };
    let found = sources(db, collection)?.get(&[id], &select)?.pop();
    found.ok_or_else(|| absent(collection, id))
}

/// Removes a document and its chunks, in one commit.
///
/// # Errors
/// `NotFound`.
pub fn remove(db: &Database, collection: &str, id: PointId) -> Result<()> {
    let library = Library::existing(db, collection)?;
    if library.known_one(id)?.is_none() {
        return Err(absent(collection, id));
    }
    db.commit(library.removal(id)?).map(drop)
}

fn sources(db: &Database, collection: &str) -> Result<kithdb::Collection> {
    Library::existing(db, collection).map(|library| library.sources)
}

fn absent(collection: &str, id: PointId) -> Error {
    let message = format!("collection `{collection}` has no document `{id}`");
    Error::new(ErrorKind::NotFound, message).with_field("document")
}
