//! What all handles and all threads of one open database share.
//!
//! Invariant: a collection's [`Derived`] state is touched only under its lock, which the sequencer holds from the
//! staging of a commit to the publication of its view, and maintenance for moments. Queries never take it; the status
//! of a collection and the doctor do, to look at the keyword index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use index::{Body, KeywordIndex};
use parking_lot::{Condvar, Mutex, RwLock};
use query::View;
use storage::Store;
use types::{CollectionId, Durability, Error, ErrorKind, Limits, Result, Seqno};

use crate::Options;
use crate::budget::{HeadBytes, OwnHeads, Segments};
use crate::building::Building;
use crate::bulk::Imports;
use crate::derived::Derived;
use crate::drift::Drifts;
use crate::files::Files;
use crate::history::History;
use crate::meters::Meters;
use crate::monitor::Monitor;
use crate::slow::SlowLog;

/// An open database.
pub(crate) struct Engine {
    pub(crate) store: Arc<Store>,
    pub(crate) folder: Folder,
    pub(crate) limits: Limits,
    pub(crate) durability: Durability,
    pub(crate) segments: Segments,
    /// The last handle is gone: what is being built is not needed.
    pub(crate) is_closing: Arc<AtomicBool>,
    pub(crate) room: Room,
    pub(crate) heads: Arc<HeadBytes>,
    /// Maintenance cannot go on, for want of room as a rule: nobody waits for it.
    pub(crate) is_failing: AtomicBool,
    pub(crate) monitor: Monitor,
    pub(crate) meters: Meters,
    pub(crate) slow: SlowLog,
    /// By name; the lock is held for a look-up or a change of the map only.
    pub(crate) collections: RwLock<BTreeMap<String, Arc<Shared>>>,
    /// Further names, each with that of its collection. Changed by the sequencer alone.
    pub(crate) aliases: RwLock<BTreeMap<String, String>>,
    /// Held by a write whose filter reads payloads, before its turn.
    pub(crate) looking: Mutex<()>,
    /// Collections that are gone, and whose room is to be given back.
    pub(crate) dropped: Mutex<Vec<CollectionId>>,
}

/// Where writers wait for a build to end.
#[derive(Default)]
pub(crate) struct Room {
    lock: Mutex<()>,
    changed: Condvar,
}

impl Room {
    pub(crate) fn wait(&self, time_max: Duration) {
        self.changed.wait_for(&mut self.lock.lock(), time_max);
    }

    pub(crate) fn notify_all(&self) {
        self.changed.notify_all();
    }
}

/// Where index files lie.
pub(crate) enum Folder {
    Kept(PathBuf),
    /// Removed with the database: it lives in memory.
    Temporary(tempfile::TempDir),
}

impl Folder {
    /// The folder of everything.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// The folder of all index files.
    pub(crate) fn indexes(&self) -> PathBuf {
        self.path().join("index")
    }

    /// The folder of snapshots.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path().join("snapshots")
    }

    /// The folder of one collection's index files.
    pub(crate) fn collection(&self, id: CollectionId) -> PathBuf {
        self.indexes().join(id.0.to_string())
    }
}

/// One collection, as handles and threads see it.
pub(crate) struct Shared {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    pub(crate) view: ArcSwap<View>,
    /// Held across every commit, and while a field is indexed: who only looks takes it never.
    pub(crate) derived: Mutex<Derived>,
    /// The keyword index of `derived`, for who looks at its figures.
    pub(crate) keyword: ArcSwapOption<KeywordIndex>,
    pub(crate) is_dropped: AtomicBool,
    pub(crate) heads: OwnHeads,
    /// Nothing is left to purge up to this commit, as far as is known.
    pub(crate) purged: AtomicU64,
    /// Writes of points that were committed since it was opened.
    pub(crate) writes: AtomicU64,
    pub(crate) building: Building,
    /// Held from when the list of segments is worked out until it is written, while other rows about indexes are, and
    /// while the collection is dropped. Taken before `derived`.
    pub(crate) listing: Mutex<()>,
    pub(crate) imports: Imports,
    pub(crate) drifts: Drifts,
    /// The last lock that is taken.
    pub(crate) history: Mutex<History>,
}

impl Shared {
    pub(crate) fn new(derived: Derived, heads: &Arc<HeadBytes>) -> Arc<Self> {
        let heads = OwnHeads::new(heads);
        heads.set(derived.held_bytes());
        let view = Arc::new(derived.view());
        let history = Mutex::new(History::new(&view, derived.state.next_version));
        let building = Building::default();
        building.verify_later(view.rows.parts().iter().filter_map(|part| match &part.body {
            Body::Segment(segment) => Some(Arc::clone(segment)),
            Body::Head(_) => None,
        }));
        Arc::new(Self {
            id: derived.entry.id,
            name: derived.entry.name.clone(),
            view: ArcSwap::new(view),
            keyword: ArcSwapOption::new(derived.keyword.clone()),
            derived: Mutex::new(derived),
            is_dropped: AtomicBool::new(false),
            heads,
            purged: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            building,
            listing: Mutex::new(()),
            imports: Imports::default(),
            drifts: Drifts::default(),
            history,
        })
    }

    /// Publishes the state that the caller holds the lock of, unless it has what is not to be shown.
    pub(crate) fn publish(&self, derived: &Derived) {
        self.heads.set(derived.held_bytes());
        if derived.is_ahead {
            return;
        }
        let view = Arc::new(derived.view());
        self.history.lock().publish(&self.view.load(), &view);
        self.view.store(view);
        let (shown, held) = (self.keyword.load(), &derived.keyword);
        if shown.as_ref().map(Arc::as_ptr) != held.as_ref().map(Arc::as_ptr) {
            self.keyword.store(held.clone());
        }
    }

    /// The state at a commit.
    ///
    /// # Errors
    /// `InvalidArgument` naming `as_of` when that is not retained.
    pub(crate) fn view_at(&self, seqno: Seqno) -> Result<Arc<View>> {
        let view = self.view.load_full();
        if seqno >= view.seqno {
            return Ok(view);
        }
        self.history.lock().view(seqno, &view)
    }

    /// # Errors
    /// `NotFound` once the collection was dropped.
    pub(crate) fn check_exists(&self) -> Result<()> {
        if self.is_dropped.load(Ordering::Acquire) { Err(Error::no_collection(&self.name)) } else { Ok(()) }
    }
}

impl Engine {
    pub(crate) fn new(
        store: Arc<Store>,
        folder: Folder,
        options: Options,
        monitor: Monitor,
        heads: Arc<HeadBytes>,
        collections: BTreeMap<String, Arc<Shared>>,
        aliases: BTreeMap<String, String>,
    ) -> Self {
        let Options { durability, limits, segments, slow_queries, .. } = options;
        let (meters, slow) = (Meters::default(), SlowLog::new(slow_queries));
        let (is_closing, room) = (Arc::default(), Room::default());
        let (collections, aliases) = (RwLock::new(collections), RwLock::new(aliases));
        Self {
            store,
            folder,
            limits,
            durability,
            segments,
            is_closing,
            room,
            heads,
            is_failing: AtomicBool::new(false),
            monitor,
            meters,
            slow,
            collections,
            aliases,
            looking: Mutex::default(),
            dropped: Mutex::default(),
        }
    }

    /// The files of a collection's segments.
    pub(crate) fn files(&self, id: CollectionId) -> Files {
        Files::new(&self.folder.collection(id))
    }

    /// By name or alias.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn collection(&self, name: &str) -> Result<Arc<Shared>> {
        // Held until the end: a collection may be dropped as soon as its alias names another one.
        let aliases = self.aliases.read();
        self.named(aliases.get(name).map_or(name, String::as_str))
    }

    /// By name alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<Shared>> {
        self.collections.read().get(name).cloned().ok_or_else(|| Error::no_collection(name))
    }

    /// # Errors
    /// `StorageFull` when only what makes room may be written; `Io`.
    pub(crate) fn check_room(&self) -> Result<()> {
        self.store.check_room(self.limits.disk_free_bytes_min)
    }

    /// As [`check_room`](Self::check_room), before something that takes so many bytes itself.
    ///
    /// # Errors
    /// As for [`check_room`](Self::check_room).
    pub(crate) fn check_room_for(&self, bytes: u64) -> Result<()> {
        self.check_room()?;
        let least = self.limits.disk_free_bytes_min.saturating_add(bytes);
        self.store.check_room(least).map_err(|error| match error.kind() {
            ErrorKind::StorageFull => {
                let message = format!(
                    "it takes about {} MiB of the disk, and there is less beside what is kept \
                     (`disk_free_bytes_min`): make room",
                    bytes >> 20
                );
                Error::new(ErrorKind::StorageFull, message)
            }
            _ => error,
        })
    }

    pub(crate) fn all(&self) -> Vec<Arc<Shared>> {
        self.collections.read().values().cloned().collect()
    }
}
