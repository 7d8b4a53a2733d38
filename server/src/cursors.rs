//! The queries that are being answered page by page.
//!
//! Each holds a state of its collection and the hits that were found so far, so there are few, and one that nobody asks
//! for a while is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kithdb::{Cursor, Error, ErrorKind, Hit, Result, Select};
use parking_lot::Mutex;
use uuid::Uuid;

/// Open at the same time.
const OPEN_MAX: usize = 256;

/// Hits that all of them hold together; of each some 50 bytes.
const HELD_MAX: usize = 8_000_000;

/// A cursor that was not asked for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The open cursors of a server.
#[derive(Default)]
pub(crate) struct Cursors {
    open: Mutex<HashMap<Uuid, Entry>>,
}

struct Entry {
    collection: String,
    open: Arc<Mutex<Open>>,
    asked: Instant,
    /// Hits that it held when it was asked last.
    held: usize,
}

/// A cursor, and what is read of its hits.
pub(crate) struct Open {
    /// What it reads, as it was called: rights may be of that name.
    pub(crate) collection: String,
    pub(crate) cursor: Cursor,
    pub(crate) select: Select,
    /// Hits of a page.
    pub(crate) limit: usize,
}

/// A page, and whether more may follow.
pub(crate) struct Paged {
    pub(crate) hits: Vec<Hit>,
    pub(crate) is_last: bool,
}

impl Cursors {
    /// Keeps a cursor; its name.
    ///
    /// # Errors
    /// `Busy` when too many are open, or hold too much.
    pub(crate) fn keep(&self, open: Open) -> Result<Uuid> {
        self.sweep();
        let mut all = self.open.lock();
        if all.len() >= OPEN_MAX {
            let message =
                format!("{OPEN_MAX} cursors are open; close one, or wait until one is idle for 60 s");
            return Err(Error::new(ErrorKind::Busy, message).with_field("cursor"));
        }
        let held = open.cursor.held();
        check_held(&all, held)?;
        let name = Uuid::new_v4();
        let (collection, asked) = (open.collection.clone(), Instant::now());
        all.insert(name, Entry { collection, open: Arc::new(Mutex::new(open)), asked, held });
        Ok(name)
    }

    /// The next page, found until a deadline. Behind the last page the cursor is closed.
    ///
    /// # Errors
    /// `NotFound` when it is closed; `Busy` when all hold too much, and what reading says: then it stays open.
    pub(crate) fn next(
        &self,
        name: &str,
        limit: Option<usize>,
        deadline: Instant,
    ) -> Result<(Paged, Select)> {
        let closed = || {
            let message =
                "Not found: a cursor of that name; it is closed after its last page, and when idle for 60 s";
            Error::new(ErrorKind::NotFound, message).with_field("cursor")
        };
        let name: Uuid = name.parse().map_err(|_| closed())?;
        let open = {
            let mut all = self.open.lock();
            let entry = all.get_mut(&name).ok_or_else(closed)?;
            entry.asked = Instant::now();
            let open = Arc::clone(&entry.open);
            check_held(&all, 0)?;
            open
        };
        let mut open = open.lock();
        let page = open.next(limit, Some(deadline));
        let mut all = self.open.lock();
        if let Some(entry) = all.get_mut(&name) {
            entry.held = open.cursor.held();
        }
        let page = page?;
        if page.is_last {
            all.remove(&name);
        }
        drop(all);
        Ok((page, open.select.clone()))
    }

    /// The collection that a cursor reads.
    pub(crate) fn collection(&self, name: &str) -> Option<String> {
        let name: Uuid = name.parse().ok()?;
        self.open.lock().get(&name).map(|entry| entry.collection.clone())
    }

    /// Closes a cursor; whether there was one.
    pub(crate) fn close(&self, name: &str) -> bool {
        name.parse().is_ok_and(|name: Uuid| self.open.lock().remove(&name).is_some())
    }

    /// Closes those that nobody asks.
    pub(crate) fn sweep(&self) {
        self.open.lock().retain(|_, entry| entry.asked.elapsed() < IDLE_MAX);
    }
}

/// Whether the hits of all that are open leave room for so many more.
fn check_held(all: &HashMap<Uuid, Entry>, more: usize) -> Result<()> {
    let held = all.values().map(|entry| entry.held).sum::<usize>() + more;
    if held <= HELD_MAX {
        return Ok(());
    }
    let message = format!(
        "the cursors that are open hold {held} hits, and together may hold {HELD_MAX}; close one, or wait until one is \
         idle for 60 s"
    );
    Err(Error::new(ErrorKind::Busy, message).with_field("cursor"))
}

impl Open {
    /// The next page, found until a deadline.
    ///
    /// # Errors
    /// What reading says.
    pub(crate) fn next(&mut self, limit: Option<usize>, deadline: Option<Instant>) -> Result<Paged> {
        let hits = self.cursor.next_until(limit.unwrap_or(self.limit), &self.select, deadline)?;
        Ok(Paged { hits, is_last: self.cursor.is_at_end() })
    }
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, Point, Request, Schema};

    use super::*;

    #[test]
    fn what_all_cursors_hold_together_has_an_end() {
        let db = Database::in_memory().expect("a database");
        let points = db.create_collection("c", Schema::new()).expect("a collection");
        points.upsert((0..200).map(Point::new).collect()).expect("points");
        let begun = || {
            let request = Request { limit: 1, ..Request::default() };
            let cursor = points.reading().and_then(|reading| reading.cursor(request)).expect("a cursor");
            let mut open = Open { collection: "c".to_owned(), cursor, select: Select::none(), limit: 1 };
            open.next(None, None).expect("a page");
            open
        };
        let cursors = Cursors::default();
        let name = cursors.keep(begun()).expect("there is room");
        let next = || cursors.next(&name.to_string(), Some(2), Instant::now() + IDLE_MAX);
        assert_eq!(next().expect("a page").0.hits.len(), 2);
        assert!(cursors.open.lock()[&name].held > 2, "what was found beyond the page is held too");
        cursors.open.lock().get_mut(&name).expect("it is open").held = HELD_MAX + 1;
        assert_eq!(next().err().expect("refused").kind(), ErrorKind::Busy);
        assert_eq!(cursors.keep(begun()).expect_err("refused").kind(), ErrorKind::Busy);
        assert!(cursors.close(&name.to_string()));
        cursors.keep(begun()).expect("there is room again");
    }
}
