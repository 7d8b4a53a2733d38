//! Collections that a library comes to have: looked for, made where they are missing, read whole.
//!
//! Invariant: of several that make the same one at the same time, one does, and all of them get it.
//! When not to use: for what may be more than memory has room for; that is scrolled page by page.

use kithdb::{Collection, Database, ErrorKind, Filter, Point, Result, Schema, Select};

/// Points read at once.
pub(crate) const PAGE_POINTS: usize = 1_000;

/// The collection of a name; nothing if there is none.
pub(crate) fn find(db: &Database, name: &str) -> Result<Option<Collection>> {
    match db.collection(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The collection that stands beside another, under its name and a suffix; nothing if there is none. `NotFound` when
/// there is no such other.
pub(crate) fn beside(db: &Database, collection: &str, suffix: &str) -> Result<Option<Collection>> {
    find(db, &format!("{}{suffix}", db.collection(collection)?.name()))
}

/// The collection of a name, made if there is none.
pub(crate) fn or_create(
    db: &Database,
    name: &str,
    schema: impl FnOnce() -> Result<Schema>,
) -> Result<Collection> {
    match find(db, name)? {
        Some(found) => Ok(found),
        None => match db.create_collection(name, schema()?) {
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => db.collection(name),
            made => made,
        },
    }
}

/// Every point that matches, in the order of ids.
pub(crate) fn all(collection: &Collection, filter: &Filter, select: &Select) -> Result<Vec<Point>> {
    let (mut points, mut from) = (Vec::new(), None);
    loop {
        let page = collection.scroll(filter, from, PAGE_POINTS, select)?;
        points.extend(page.points);
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(points),
        }
    }
}
