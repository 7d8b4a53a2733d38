//! The database: one directory, its collections, and the threads that serve it.
//!
//! ```text
//! <directory>/storage/               RocksDB: the truth
//! <directory>/index/<n>/keyword/     the keyword index of collection n: derived, may be deleted while nothing runs
//! <directory>/index/<n>/segments/    the segments of collection n: likewise
//! <directory>/snapshots/             snapshots; whatever lies there may be taken away
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use storage::rows::CACHE_BYTES;
use storage::{Figures, Store};
use types::{Durability, Error, Limits, Op, Result, Schema};

use crate::asked::{Asked, Operation};
use crate::budget::{HeadBytes, Segments};
use crate::collection::{Collection, Receipt};
use crate::engine::{Engine, Folder, Shared};
use crate::files::create_folder;
use crate::loading::{self, Start};
use crate::meters::Measures;
use crate::monitor::Monitor;
use crate::sequencer::{Order, QUEUE_WRITES_MAX};
use crate::slow::{SlowQueries, SlowQuery};
use crate::snapshots;
use crate::workers::Workers;

/// An open database. Clones are cheap and share it; it closes when the last clone and the last [`Collection`] are gone:
/// then nothing is written any more. A [`Reading`](crate::Reading), a [`Cursor`](crate::Cursor) and an
/// [`Export`](crate::bulk::Export) that are left still read; the directory can be opened again when they are gone, too.
#[derive(Clone)]
pub struct Database {
    pub(crate) engine: Arc<Engine>,
    pub(crate) workers: Arc<Workers>,
    start: Arc<Start>,
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    /// What an acknowledgement promises, unless a write says otherwise.
    pub durability: Durability,
    /// The limits.
    pub limits: Limits,
    /// How rows become segments.
    pub segments: Segments,
    /// The share of queries whose approximate searches are compared with exact ones, in the background and as far as
    /// 2 % of one core go: what [`Status::recall`](crate::Status::recall) is measured by.
    pub sampled: f64,
    /// Which queries are slow, and what is kept of them.
    pub slow_queries: SlowQueries,
}

impl Default for Options {
    fn default() -> Self {
        let (durability, limits, segments) = <(Durability, Limits, Segments)>::default();
        Self { durability, limits, segments, sampled: 0.001, slow_queries: SlowQueries::default() }
    }
}

/// Memory that has a limit is given out in so many parts: heads that take rows, heads that wait, keywords that wait,
/// two builds, a batch of an import, the answers that the cores make, and one for all else.
const MEMORY_PARTS: usize = 8;

/// How often an answer is in memory until it is sent: as it was read, and as JSON, whose numbers take more room.
const ANSWER_COPIES: usize = 4;

/// What a commit holds for each point that it deletes by a filter, about.
const DELETE_BYTES: usize = 512;

/// No part is smaller.
const MEMORY_PART_MIN: usize = 1 << 20;

impl Options {
    /// For so many bytes of memory: limits of heads, keywords, builds, imports, answers and deletes by a filter that
    /// allow more are lowered, and none is raised. The caches of storage are counted in; the pages of segments are not,
    /// which the system keeps where there is room.
    #[must_use]
    pub fn within(self, memory_bytes: usize) -> Self {
        self.within_for(memory_bytes, std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The same where so many answers are made at once.
    fn within_for(mut self, memory_bytes: usize, answers: usize) -> Self {
        let bytes = memory_bytes.saturating_sub(CACHE_BYTES).max(memory_bytes / 2);
        let part = (bytes / MEMORY_PARTS).max(MEMORY_PART_MIN);
        for limit in [
            &mut self.segments.waiting_bytes_max,
            &mut self.segments.build_bytes_max,
            &mut self.limits.record_batch_bytes_max,
        ] {
            *limit = part.min(*limit);
        }
        let answer = (part / (ANSWER_COPIES * answers)).max(MEMORY_PART_MIN);
        self.limits.answer_bytes_max = answer.min(self.limits.answer_bytes_max);
        let points_max = &mut self.limits.delete_points_max;
        *points_max = (part / DELETE_BYTES).min(*points_max);
        self
    }
}

/// Writes to several collections that commit together or not at all.
///
/// ```
/// use kithdb::{Database, Filter, Op, Point, Schema, Transaction};
///
/// let db = Database::in_memory()?;
/// db.create_collection("orders", Schema::new())?;
/// let stock = db.create_collection("stock", Schema::new())?;
/// let order = Transaction::new()
///     .on("orders", vec![Op::Upsert(Point::new(7).with("item", 3))])
///     .on("stock", vec![Op::Upsert(Point::new(3).with("left", 41))]);
/// db.commit(order)?;
/// assert_eq!(stock.count(&Filter::default())?, 1);
/// # Ok::<(), kithdb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    targets: Vec<(Whose, Vec<Op>)>,
    deadline: Option<Instant>,
}

/// The collection that operations are on.
#[derive(Clone, Debug)]
enum Whose {
    /// The one that has this name then.
    Named(String),
    /// This one.
    Held(Collection),
}

impl Transaction {
    /// A transaction without writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds operations on a collection.
    #[must_use]
    pub fn on(mut self, collection: &str, ops: Vec<Op>) -> Self {
        self.targets.push((Whose::Named(collection.to_owned()), ops));
        self
    }

    /// Adds operations on the collection of a handle, and never on another one that has its name by then: where it was
    /// dropped, the transaction fails with `NotFound`.
    #[must_use]
    pub fn on_collection(mut self, collection: &Collection, ops: Vec<Op>) -> Self {
        self.targets.push((Whose::Held(collection.clone()), ops));
        self
    }

    /// With filters that have found their points by then, or it changes nothing.
    #[must_use]
    pub fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl Database {
    /// Opens the database in a directory, or makes it, with the default options.
    ///
    /// # Errors
    /// `Busy` when another process has it open, or something of this one, `UnsupportedFormat` when a newer version
    /// wrote it, `Corrupted` when storage itself is damaged (a damaged index is rebuilt), `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// Opens the database in a directory, or makes it.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        create_folder(path)?;
        check_whole(path)?;
        let storage = path.join("storage");
        create_folder(&storage)?;
        Self::over(Store::open(&storage)?, Folder::Kept(path.to_owned()), options)
    }

    /// A database that is gone when its last handle is. Indexes use a temporary directory.
    ///
    /// # Errors
    /// `Io` when there is no place for temporary files.
    pub fn in_memory() -> Result<Self> {
        Self::in_memory_with(Options::default())
    }

    /// As [`Database::in_memory`], with options.
    ///
    /// # Errors
    /// As for [`Database::in_memory`].
    pub fn in_memory_with(options: Options) -> Result<Self> {
        let folder = Folder::Temporary(tempfile::tempdir()?);
        Self::over(Store::in_memory()?, folder, options)
    }

    pub(crate) fn over(store: Store, folder: Folder, options: Options) -> Result<Self> {
        let began = Instant::now();
        let store = Arc::new(store);
        let catalog = store.catalog()?;
        remove_orphans(&folder, &catalog);
        snapshots::remove_parts(&folder.snapshots());
        let mut start = Start { seqno: catalog.seqno, ..Start::default() };
        let (mut collections, heads) = (BTreeMap::new(), Arc::new(HeadBytes::default()));
        for entry in &catalog.collections {
            let folder = folder.collection(entry.id);
            let entry = Arc::new(entry.clone());
            let source = loading::Source {
                store: &store,
                entry: &entry,
                folder: &folder,
                segments: &options.segments,
                limits: &options.limits,
                first_number: 0,
                progress: &(),
            };
            let loaded = source.load()?;
            start.points += loaded.derived.alive.len() as u64;
            start.points_read += loaded.points_read;
            start.rebuilt.extend(loaded.rebuilt);
            collections.insert(entry.name.clone(), Shared::new(loaded.derived, &heads));
        }
        start.collections = collections.len();
        let (monitor, jobs) = Monitor::new(options.sampled);
        let aliases = catalog.aliases.clone();
        let engine = Arc::new(Engine::new(store, folder, options, monitor, heads, collections, aliases));
        let workers = Arc::new(Workers::start(&engine, &catalog, jobs)?);
        start.elapsed_ms = began.elapsed().as_millis() as u64;
        Ok(Self { engine, workers, start: Arc::new(start) })
    }

    /// What happened while it was opened: what it holds, and which indexes had to be rebuilt.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.engine.limits
    }

    /// Makes a collection, durably.
    ///
    /// # Errors
    /// `AlreadyExists`, `InvalidArgument` naming the part of the schema at fault, `LimitExceeded`.
    pub fn create_collection(&self, name: &str, schema: Schema) -> Result<Collection> {
        let (name, schema) = (name.to_owned(), Box::new(schema));
        let shared = self.workers.order(|reply| Order::Create { name, schema, reply })?;
        Ok(self.handle(shared))
    }

    /// The collection of a name, or of an alias.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        self.engine.collection(name).map(|shared| self.handle(shared))
    }

    /// All collections, by name.
    pub fn collections(&self) -> Vec<Collection> {
        self.engine.all().into_iter().map(|shared| self.handle(shared)).collect()
    }

    /// Drops a collection with everything in it and its aliases; `false` if there is none of that name. An alias is no
    /// name here.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.workers.order(|reply| Order::Drop { name, only: None, reply })
    }

    /// Drops this collection if it has no points, and never another one of its name.
    ///
    /// # Errors
    /// As for [`Database::drop_collection`].
    pub(crate) fn drop_empty(&self, collection: &Collection) -> Result<bool> {
        let (name, only) = (collection.name().to_owned(), Some(collection.shared.id));
        self.workers.order(|reply| Order::Drop { name, only, reply })
    }

    /// Commits writes to several collections in one batch: after a crash all of them are there or none. Operations on
    /// the same collection apply in their order. Every view of a collection shows all of a commit to it or nothing; the
    /// collections of a commit are published one after the other, so until the call returns a reader may find it in
    /// one and not yet in another.
    ///
    /// # Errors
    /// As for [`Collection::apply`], behind the name of the collection (`notes.ops[3].vector`); then nothing of the
    /// transaction was applied.
    pub fn commit(&self, transaction: Transaction) -> Result<Receipt> {
        let mut merged: Vec<(String, Collection, Vec<Op>)> = Vec::with_capacity(transaction.targets.len());
        for (whose, ops) in transaction.targets {
            let (name, collection) = self.named(whose)?;
            // By what a name means: a collection and its alias are one target.
            let is_same = |known: &Collection| Arc::ptr_eq(&known.shared, &collection.shared);
            match merged.iter_mut().find(|(_, known, _)| is_same(known)) {
                Some((_, _, before)) => before.extend(ops),
                None => merged.push((name, collection, ops)),
            }
        }
        let (mut targets, mut names) = (Vec::with_capacity(merged.len()), Vec::with_capacity(merged.len()));
        for (name, collection, ops) in merged {
            let ops = collection.checked(ops).map_err(|error| error.within(&name))?;
            targets.push((collection.shared, ops));
            names.push(name);
        }
        let name = names.first().map(String::as_str).unwrap_or_default();
        let asked = Asked::of(&self.engine, name, Operation::Write);
        let (durability, deadline) = (self.engine.durability, transaction.deadline);
        let written = self.workers.write(targets, durability, deadline, asked.span());
        let seqno =
            written.map_err(|error| error.relocated("targets", |position| names[position].clone()))?;
        asked.answered(0);
        Ok(Receipt { seqno })
    }

    fn named(&self, whose: Whose) -> Result<(String, Collection)> {
        match whose {
            Whose::Named(name) => self.collection(&name).map(|collection| (name, collection)),
            Whose::Held(collection) if Arc::ptr_eq(&collection.engine, &self.engine) => {
                Ok((collection.name().to_owned(), collection))
            }
            Whose::Held(collection) => {
                let message = format!("`{}` is a handle of another database", collection.name());
                Err(Error::invalid("collection", message))
            }
        }
    }

    /// Makes every acknowledged write durable, whatever durability it was written with.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn flush(&self) -> Result<()> {
        self.workers.order(|reply| Order::Flush { reply })
    }

    /// What storage takes, and how it is doing.
    pub fn storage(&self) -> Figures {
        self.engine.store.figures()
    }

    /// What was counted since it was opened.
    pub fn measures(&self) -> Measures {
        self.engine.meters.measures(self.workers.waiting(), QUEUE_WRITES_MAX)
    }

    /// The last queries that were slow, newest first.
    pub fn slow_queries(&self) -> Vec<SlowQuery> {
        self.engine.slow.last()
    }

    /// Whether a write failed since it was opened, so that it takes no more.
    pub fn is_poisoned(&self) -> bool {
        self.engine.store.is_poisoned()
    }

    fn handle(&self, shared: Arc<Shared>) -> Collection {
        let (engine, workers) = (Arc::clone(&self.engine), Arc::clone(&self.workers));
        Collection { engine, workers, shared, deadline: None }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.engine.folder.path()).finish_non_exhaustive()
    }
}

/// Indexes without storage: that was taken away, or is not mounted. A new one would have their files removed, and
/// hide it.
fn check_whole(path: &Path) -> Result<()> {
    let storage = path.join("storage");
    let Ok(mut indexes) = std::fs::read_dir(path.join("index")) else { return Ok(()) };
    if storage.exists() || indexes.next().is_none() {
        return Ok(());
    }
    let why =
        "it is missing, although there are indexes of collections; restore it, or remove `index` as well";
    Err(Error::corrupted(storage.display(), why))
}

/// Removes index files of collections that no longer exist: a crash came between their drop and its end. What cannot be
/// removed stays: it stops no start.
fn remove_orphans(folder: &Folder, catalog: &storage::Catalog) {
    let known: BTreeSet<String> = catalog.collections.iter().map(|entry| entry.id.0.to_string()).collect();
    let Ok(found) = std::fs::read_dir(folder.indexes()) else { return };
    for entry in found.flatten() {
        let name = entry.file_name();
        // Only folders that we name: a number.
        let is_ours = name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        if is_ours
            && !name.to_str().is_some_and(|name| known.contains(name))
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            let folder = entry.path();
            tracing::warn!(%error, folder = %folder.display(), "indexes that nobody needs stay until the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{ErrorKind, Point};

    use super::*;

    #[test]
    fn memory_lowers_limits_and_raises_none() {
        const MEMORY: usize = 512 << 20;
        let Options { segments, limits, .. } = Options::default().within_for(MEMORY, 2);
        let given = 3 * segments.waiting_bytes_max + 2 * segments.build_bytes_max;
        let given = given + limits.record_batch_bytes_max + CACHE_BYTES;
        let given = given + 2 * ANSWER_COPIES * limits.answer_bytes_max;
        assert!((MEMORY / 2..=MEMORY).contains(&given), "{given}");
        assert!((1..=MEMORY / MEMORY_PARTS / DELETE_BYTES).contains(&limits.delete_points_max), "{limits:?}");
        let (plenty, default) = (Options::default().within(1 << 40), Options::default());
        assert_eq!((plenty.segments, plenty.limits), (default.segments, default.limits));
        assert!(Options::default().within(0).limits.answer_bytes_max >= MEMORY_PART_MIN);
    }

    #[test]
    fn operations_on_a_handle_are_on_no_other_collection_of_its_name() {
        let (db, other) = (Database::in_memory().expect("one"), Database::in_memory().expect("another"));
        let make = |name: &str| db.create_collection(name, Schema::new()).expect("a collection");
        let (first, log) = (make("notes"), make("log"));
        let put = |id: u64| vec![Op::Upsert(Point::new(id))];
        let both = || Transaction::new().on_collection(&first, put(1)).on("log", put(2)).on("notes", put(3));
        db.commit(both()).expect("a commit");
        let points = |collection: &Collection| collection.status().points;
        assert_eq!((points(&first), points(&log)), (2, 1));
        let error = other.commit(Transaction::new().on_collection(&first, put(1))).expect_err("refused");
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("collection")));
        db.drop_collection("notes").expect("dropped");
        let again = make("notes");
        let held = Transaction::new().on_collection(&first, put(1)).on("log", put(4));
        assert_eq!(db.commit(held).expect_err("it is gone").kind(), ErrorKind::NotFound);
        assert_eq!((points(&again), points(&log)), (0, 1));
    }
}
