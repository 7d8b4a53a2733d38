//! Stores of documents: made, described, dropped.

use kithdb::{Error, ErrorKind, Payload, Result, Value};
use serde_json::json;

use super::Shelf;
use super::records::{missing, number, text};
use crate::answer::sources_of;
use crate::eval::EVAL_SUFFIX;
use crate::feedback::FEEDBACK_SUFFIX;
use crate::ingest::jobs::JOBS_SUFFIX;
use crate::ingest::{IngestOptions, SOURCES_SUFFIX, prepare};

/// The collection of what is known of stores beside their documents.
pub const STORES: &str = "openai.stores";

/// The collection of batches of files.
pub const BATCHES: &str = "openai.batches";

/// A store of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Its id: the name of its collection.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whatever else is to be kept with it.
    pub metadata: Payload,
    /// When it was made, in seconds since 1970; 0 of one that was ingested.
    pub created_s: u64,
    /// When it was last written or asked.
    pub active_s: u64,
    /// After so many days in which nobody used it, it is expired.
    pub expires_days: Option<u64>,
}

/// What is to be changed of a store; absent members stay.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What people call it.
    pub name: Option<String>,
    /// In place of what was there.
    pub metadata: Option<Payload>,
    /// In place of what was there; `None` within it takes it away.
    pub expires_days: Option<Option<u64>>,
}

/// Files that were put into a store together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// The store.
    pub store: String,
    /// When.
    pub created_s: u64,
    /// The ids of the files.
    pub files: Vec<String>,
}

const DAY_S: u64 = 24 * 3600;

/// Between two notes that a store was used.
const TOUCH_S: u64 = 60;

impl Store {
    /// When it expires, if it does.
    pub fn expires_s(&self) -> Option<u64> {
        self.expires_days.map(|days| self.active_s + days * DAY_S)
    }

    /// Checks that it may be asked.
    ///
    /// # Errors
    /// `NotFound` when it is expired.
    pub fn check_alive(&self, now_s: u64) -> Result<()> {
        match self.expires_s() {
            Some(expires_s) if now_s > expires_s => {
                let message =
                    format!("Not found: vector store `{}` is expired; change its expires_after", self.id);
                Err(Error::new(ErrorKind::NotFound, message).with_field("vector_store_id"))
            }
            _ => Ok(()),
        }
    }
}

impl Shelf<'_> {
    /// Makes a store.
    ///
    /// # Errors
    /// What the database returns.
    pub fn create_store(&self, id: &str, wanted: Wanted, now_s: u64) -> Result<Store> {
        let options = IngestOptions { collection: id.to_owned(), ..IngestOptions::default() };
        prepare(self.db, &options, self.embedder)?;
        let store = Store {
            id: id.to_owned(),
            name: wanted.name.unwrap_or_default(),
            metadata: wanted.metadata.unwrap_or_default(),
            created_s: now_s,
            active_s: now_s,
            expires_days: wanted.expires_days.flatten(),
        };
        self.keep(STORES, id, store.record())?;
        Ok(store)
    }

    /// A store: one that was made, or a collection that was ingested.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn store(&self, id: &str) -> Result<Store> {
        let chunks = self.db.collection(id).map_err(|_| missing("vector store", id))?;
        sources_of(self.db, &chunks).map_err(|_| missing("vector store", id))?;
        let record = self.kept(STORES, chunks.name())?.unwrap_or_default();
        Ok(Store::of(chunks.name(), &record))
    }

    /// Every store, the oldest first.
    ///
    /// # Errors
    /// What the database returns.
    pub fn stores(&self) -> Result<Vec<Store>> {
        let all = self.db.collections();
        let stores = all.iter().filter(|chunks| sources_of(self.db, chunks).is_ok());
        let mut stores: Vec<Store> = stores.map(|chunks| self.store(chunks.name())).collect::<Result<_>>()?;
        stores.sort_by(|a, b| (a.created_s, &a.id).cmp(&(b.created_s, &b.id)));
        Ok(stores)
    }

    /// Changes a store.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn change_store(&self, id: &str, wanted: Wanted, now_s: u64) -> Result<Store> {
        let mut store = self.store(id)?;
        let Wanted { name, metadata, expires_days } = wanted;
        let mut members = Payload::from_iter([("active_s".to_owned(), now_s.into())]);
        members.extend(name.clone().map(|name| ("name".to_owned(), name.into())));
        members.extend(metadata.clone().map(|metadata| ("metadata".to_owned(), Value::Object(metadata))));
        members.extend(expires_days.map(|days| ("expires_days".to_owned(), days.into())));
        store.name = name.unwrap_or(store.name);
        store.metadata = metadata.unwrap_or(store.metadata);
        store.expires_days = expires_days.unwrap_or(store.expires_days);
        store.active_s = now_s;
        // Merged into what is there: another thread may change other members at the same time.
        match self.kept(STORES, &store.id)? {
            Some(_) => self.amend(STORES, &store.id, members)?,
            None => self.keep(STORES, &store.id, store.record())?,
        }
        self.store(&store.id)
    }

    /// Notes that a store was used, where its expiry hangs on that; at most once a minute.
    ///
    /// # Errors
    /// What the database returns.
    pub fn touch(&self, store: &Store, now_s: u64) -> Result<()> {
        if store.expires_days.is_none() || now_s < store.active_s + TOUCH_S {
            return Ok(());
        }
        self.amend(STORES, &store.id, Payload::from_iter([("active_s".to_owned(), now_s.into())]))
    }

    /// Drops a store with its documents.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn drop_store(&self, id: &str) -> Result<()> {
        // An alias takes nothing away with it.
        if self.store(id)?.id != id {
            return Err(missing("vector store", id));
        }
        for suffix in ["", SOURCES_SUFFIX, JOBS_SUFFIX, EVAL_SUFFIX, FEEDBACK_SUFFIX] {
            self.db.drop_collection(&format!("{id}{suffix}"))?;
        }
        self.forget(STORES, id).map(drop)
    }

    /// Keeps which files were put into a store together.
    ///
    /// # Errors
    /// What the database returns.
    pub fn keep_batch(&self, batch: &Batch) -> Result<()> {
        let record = json!({"store": batch.store, "created_s": batch.created_s, "files": batch.files});
        let Value::Object(record) = record else { return Ok(()) };
        self.keep(BATCHES, &batch.id, record)
    }

    /// Files that were put into a store together.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn batch(&self, store: &str, id: &str) -> Result<Batch> {
        let record = self.kept(BATCHES, id)?.filter(|record| text(record, "store") == store);
        let record = record.ok_or_else(|| missing("batch of files", id))?;
        let files = record.get("files").and_then(Value::as_array).into_iter().flatten();
        let files = files.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Batch {
            id: id.to_owned(),
            store: store.to_owned(),
            created_s: number(&record, "created_s"),
            files,
        })
    }
}

impl Store {
    fn of(id: &str, record: &Payload) -> Self {
        let name = text(record, "name");
        Self {
            id: id.to_owned(),
            name: if record.is_empty() { id.to_owned() } else { name },
            metadata: record.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            created_s: number(record, "created_s"),
            active_s: number(record, "active_s"),
            expires_days: record.get("expires_days").and_then(Value::as_u64),
        }
    }

    fn record(&self) -> Payload {
        let mut record = Payload::new();
        record.insert("name".to_owned(), self.name.clone().into());
        record.insert("metadata".to_owned(), Value::Object(self.metadata.clone()));
        record.insert("created_s".to_owned(), self.created_s.into());
        record.insert("active_s".to_owned(), self.active_s.into());
        record.insert("expires_days".to_owned(), self.expires_days.into());
        record
    }
}

#[cfg(test)]
mod tests {
    use kithdb::Database;

    use super::*;

    /// Each has read the store as it was before.
    #[test]
    fn two_that_change_a_store_at_once_both_have_their_way() {
        let db = Database::in_memory().expect("a database");
        let shelf = Shelf { db: &db, embedder: None };
        shelf.create_store("store", Wanted::default(), 1).expect("a store");
        for round in 0..50_u64 {
            let metadata = Payload::from_iter([("round".to_owned(), round.into())]);
            let named = Wanted { name: Some(round.to_string()), ..Wanted::default() };
            let described = Wanted { metadata: Some(metadata.clone()), ..Wanted::default() };
            std::thread::scope(|scope| {
                for wanted in [named, described] {
                    let shelf = &shelf;
                    scope.spawn(move || shelf.change_store("store", wanted, round).expect("changed"));
                }
            });
            let store = shelf.store("store").expect("it");
            assert_eq!((store.name, store.metadata, store.active_s), (round.to_string(), metadata, round));
        }
        let never = Wanted { expires_days: Some(None), ..Wanted::default() };
        let once = Wanted { expires_days: Some(Some(3)), ..Wanted::default() };
        assert_eq!(shelf.change_store("store", once, 9).expect("changed").expires_days, Some(3));
        assert_eq!(shelf.change_store("store", never, 9).expect("changed").expires_days, None);
    }
}
