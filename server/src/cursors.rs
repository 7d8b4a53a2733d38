//! The queries that are being answered page by page.
//!
//! Each holds a state of its collection, so there are few, and one that nobody asks for a while is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kithdb::{Cursor, Error, ErrorKind, Hit, Result, Select};
use parking_lot::Mutex;
use uuid::Uuid;

/// Open at the same time.
const OPEN_MAX: usize = 256;

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
    /// `Busy` when too many are open.
    pub(crate) fn keep(&self, open: Open) -> Result<Uuid> {
        self.sweep();
        let mut all = self.open.lock();
        if all.len() >= OPEN_MAX {
            let message =
                format!("{OPEN_MAX} cursors are open; close one, or wait until one is idle for 60 s");
            return Err(Error::new(ErrorKind::Busy, message).with_field("cursor"));
        }
        let name = Uuid::new_v4();
        let collection = open.collection.clone();
        all.insert(name, Entry { collection, open: Arc::new(Mutex::new(open)), asked: Instant::now() });
        Ok(name)
    }

    /// The next page, found until a deadline. Behind the last page the cursor is closed.
    ///
    /// # Errors
    /// `NotFound` when it is closed; what reading says, and then it stays open.
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
            Arc::clone(&entry.open)
        };
        let mut open = open.lock();
        let page = open.next(limit, Some(deadline))?;
        if page.is_last {
            self.open.lock().remove(&name);
        }
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
