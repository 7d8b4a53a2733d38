//! Snapshots: a collection, or all of them, as of one commit, in one file below the directory of the database.
//!
//! ```text
//! <directory>/snapshots/all/<name>                      of everything
//! <directory>/snapshots/collections/<name>/<name>       of a collection
//! <snapshot>.sha256                                     its checksum, in hexadecimal
//! ```
//!
//! Invariant: a file has its name only when all of it is durable; what a crash leaves begins with a dot, or is the
//! checksum of nothing, and is removed at the next start. No name leads anywhere else. A collection is recovered
//! beside what there is, and takes its place in one commit: a crash leaves the old or the new.
//! Cost: making one reads every point once and keeps its view; recovering one is as long as opening a collection
//! without its indexes. Writers wait for the last commit of it only.

use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use query::View;
use sha2::{Digest as _, Sha256};
use storage::{CatalogEntry, CollectionState, Commit, SnapshotReader, SnapshotWriter};
use types::{CollectionId, Durability, Error, ErrorKind, Result, Slot, Version, datetime, schema, waypoint};

use crate::database::Database;
use crate::derived::Derived;
use crate::engine::{Engine, Shared};
use crate::files::{create_folder, remove};
use crate::keywords::remove_folder;
use crate::loading::Source;
use crate::sequencer::{Order, Sequencer};

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The name of its file.
    pub name: String,
    /// When it was made, in microseconds since 1970.
    pub created_micros: i64,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal; nothing if that is not known.
    pub checksum: Option<String>,
}

/// Collections as of one commit, each with its view.
pub(crate) type Views = Vec<(Arc<Shared>, Arc<View>)>;

/// What all names end with.
const ENDING: &str = ".snapshot";

/// What is added for the file of a checksum.
const CHECKSUM_ENDING: &str = ".sha256";

/// How often a snapshot of everything is begun.
const WHOLE_TRIES_MAX: usize = 8;

/// Points read at once.
const BLOCK_POINTS: usize = 4096;

impl Database {
    /// The snapshots of a collection, or of everything, by name.
    ///
    /// # Errors
    /// `NotFound` for a collection that does not exist; `Io`.
    pub fn snapshots(&self, of: Option<&str>) -> Result<Vec<Snapshot>> {
        let folder = self.snapshot_folder(of)?;
        let Ok(found) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let mut snapshots = Vec::new();
        for file in found {
            let name = file?.file_name().into_string().unwrap_or_default();
            if is_name(&name) {
                snapshots.push(described(&folder, name)?);
            }
        }
        snapshots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(snapshots)
    }

    /// Makes a snapshot of a collection, or of everything, durably. One of everything is begun anew where a collection
    /// was dropped before it was written: what has its place now must be in it.
    ///
    /// # Errors
    /// `NotFound` for a collection that does not exist; `Busy` when its vectors changed meanwhile, or collections were
    /// dropped each time; `Io`, `Corrupted`.
    pub fn create_snapshot(&self, of: Option<&str>) -> Result<Snapshot> {
        let mut made = self.create_once(of);
        for _ in 1..WHOLE_TRIES_MAX {
            if of.is_some() || !made.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                return made;
            }
            made = self.create_once(of);
        }
        made.map_err(|error| match error.kind() {
            ErrorKind::NotFound if of.is_none() => {
                let message = format!(
                    "collections were dropped while all were written, {WHOLE_TRIES_MAX} times; ask again"
                );
                Error::new(ErrorKind::Busy, message).with_source(error)
            }
            _ => error,
        })
    }

    fn create_once(&self, of: Option<&str>) -> Result<Snapshot> {
        let folder = self.snapshot_folder(of)?;
        let views = match of {
            Some(name) => {
                let shared = self.engine.collection(name)?;
                vec![(Arc::clone(&shared), shared.view.load_full())]
            }
            None => self.workers.order(|reply| Order::Views { reply })?,
        };
        self.engine.check_room()?;
        let _counted = Counted::begin(&self.engine, &views);
        create_folder(&folder)?;
        let seqno = views.iter().map(|(_, view)| view.seqno).max().unwrap_or_default();
        let now = datetime::format(now_micros()).replace([':', '.'], "-");
        let stem = views.first().filter(|_| of.is_some()).map_or("kithdb", |(shared, _)| &shared.name);
        let name = format!("{stem}-{}-{now}{ENDING}", seqno.0);
        let part = Part(folder.join(format!(".{name}")));
        let aliases = if of.is_none() { self.aliases() } else { Default::default() };
        let mut writer = SnapshotWriter::create(&part.0, seqno, &aliases)?;
        for (shared, view) in &views {
            write(&mut writer, shared, view, &|| self.engine.check_room())?;
        }
        writer.finish()?;
        let checksum = sha256(&part.0)?;
        let mut beside = File::create(folder.join(format!("{name}{CHECKSUM_ENDING}")))?;
        beside.write_all(checksum.as_bytes())?;
        beside.sync_all()?;
        waypoint::pass("snapshot.checksum");
        std::fs::rename(&part.0, folder.join(&name))?;
        waypoint::pass("snapshot.renamed");
        File::open(&folder)?.sync_all()?;
        for (shared, _) in &views {
            self.engine.meters.snapshot(&shared.name, |counts| counts.created += 1);
        }
        described(&folder, name)
    }

    /// Where the file of a snapshot is.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn snapshot_path(&self, of: Option<&str>, name: &str) -> Result<PathBuf> {
        let path = self.snapshot_folder(of)?.join(name);
        if is_name(name) && path.is_file() {
            return Ok(path);
        }
        let message = format!("Not found: Snapshot `{name}` doesn't exist!");
        Err(Error::new(ErrorKind::NotFound, message).with_field("snapshot_name"))
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    /// `NotFound`, `Io`.
    pub fn delete_snapshot(&self, of: Option<&str>, name: &str) -> Result<()> {
        let path = self.snapshot_path(of, name)?;
        std::fs::remove_file(&path)?;
        waypoint::pass("snapshot.removed");
        // Only the checksum of what is gone.
        let _ = std::fs::remove_file(path.with_file_name(format!("{name}{CHECKSUM_ENDING}")));
        // What was removed does not come back with the power.
        path.parent().map_or(Ok(()), |folder| Ok(File::open(folder)?.sync_all()?))
    }

    /// Where snapshots lie.
    pub fn snapshots_folder(&self) -> PathBuf {
        self.engine.folder.snapshots()
    }

    /// Makes a collection of what a file holds: of the only collection in it, or of the one with this name. It takes
    /// the place of the collection of this name, if there is one; aliases stay.
    ///
    /// # Errors
    /// `InvalidArgument` for a file that is no snapshot, has another checksum, or lacks the collection;
    /// `UnsupportedFormat`, `Corrupted`, `LimitExceeded`, `StorageFull`, `Io`, `Poisoned`. Then all is as before.
    pub fn recover_collection(&self, name: &str, file: &Path, checksum: Option<&str>) -> Result<()> {
        schema::check_name(name, &self.engine.limits)?;
        if let Some(expected) = checksum
            && !sha256(file)?.eq_ignore_ascii_case(expected)
        {
            return Err(Error::invalid("checksum", "is not that of the snapshot; load it anew"));
        }
        let id = self.workers.order(|reply| Order::Reserve { reply })?;
        self.engine.meters.snapshot(name, |counts| counts.recovering += 1);
        let recovered = self.recover(id, name, file);
        self.engine.meters.snapshot(name, |counts| counts.recovering -= 1);
        if recovered.is_err()
            && let Err(error) = self.workers.order(|reply| Order::Abandon { id, reply })
        {
            // The first error says why. What was read stays marked, and goes at the next start.
            tracing::warn!(%error, "rows of a snapshot that was not recovered remain until the next start");
        }
        recovered
    }

    /// When the newest snapshot was made that is still there, of a collection or of everything, in microseconds since
    /// 1970; nothing if there is none.
    pub fn last_snapshot_micros(&self) -> Option<i64> {
        newest(&self.snapshots_folder())
    }

    fn recover(&self, id: CollectionId, name: &str, file: &Path) -> Result<()> {
        let mut reader = SnapshotReader::open(BufReader::with_capacity(1 << 20, File::open(file)?))
            .map_err(|error| error.with_field("snapshot"))?;
        let mut restored: Option<(CatalogEntry, u64)> = None;
        let mut others = 0_usize;
        while let Some(entry) = reader.advance(id)? {
            let is_wanted = entry.name == name || restored.is_none() && others == 0;
            if !is_wanted {
                others += 1;
                continue;
            }
            if restored.take().is_some() {
                // The first one was another: its rows make room for those of the one that is named.
                self.workers.order(|reply| Order::Clear { id, reply })?;
                others += 1;
            }
            entry.schema.check(&self.engine.limits)?;
            let room = || self.engine.check_room();
            let points = self.engine.store.restore(&entry, &mut reader, &self.engine.limits, &room)?;
            waypoint::pass("restore.read");
            restored = Some((entry, points));
        }
        let (entry, points) = restored.ok_or_else(|| Error::invalid("snapshot", "has no collection"))?;
        if entry.name != name && others > 0 {
            return Err(Error::invalid("snapshot", format!("has several collections, and none is `{name}`")));
        }
        self.adopt(CatalogEntry { name: name.to_owned(), ..entry }, points)
    }

    fn adopt(&self, entry: CatalogEntry, points: u64) -> Result<()> {
        let engine = &self.engine;
        let state = CollectionState { next_version: Version(points), points, ..CollectionState::default() };
        engine.store.set_state(entry.id, &state)?;
        let folder = engine.folder.collection(entry.id);
        let Engine { store, segments, limits, .. } = &**engine;
        let (entry, folder) = (&Arc::new(entry), &*folder);
        let source = Source { store, entry, folder, segments, limits, first_number: 0, progress: &() };
        let derived = source.load()?.derived;
        waypoint::pass("restore.loaded");
        let derived = Box::new(derived);
        self.workers.order(|reply| Order::Adopt { derived, reply })
    }

    fn snapshot_folder(&self, of: Option<&str>) -> Result<PathBuf> {
        let folder = self.snapshots_folder();
        match of {
            Some(name) => Ok(folder.join("collections").join(&self.engine.collection(name)?.name)),
            None => Ok(folder.join("all")),
        }
    }
}

/// Collections whose snapshots are being made, as long as it lives.
struct Counted<'a>(&'a Engine, Vec<String>);

impl<'a> Counted<'a> {
    fn begin(engine: &'a Engine, views: &Views) -> Self {
        let names: Vec<String> = views.iter().map(|(shared, _)| shared.name.clone()).collect();
        names.iter().for_each(|name| engine.meters.snapshot(name, |counts| counts.creating += 1));
        Self(engine, names)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.1.iter().for_each(|name| self.0.meters.snapshot(name, |counts| counts.creating -= 1));
    }
}

/// The newest snapshot in a folder and those below. What cannot be read is none.
fn newest(folder: &Path) -> Option<i64> {
    let found = std::fs::read_dir(folder).ok()?;
    let made = |file: std::fs::DirEntry| {
        let name = file.file_name().into_string().unwrap_or_default();
        match file.file_type().ok()?.is_dir() {
            true => newest(&file.path()),
            false if is_name(&name) => described(folder, name).ok().map(|snapshot| snapshot.created_micros),
            false => None,
        }
    };
    found.filter_map(|file| made(file.ok()?)).max()
}

/// A file that goes unless it got another name.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Renamed, as a rule.
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn now_micros() -> i64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as i64
}

/// Whether it can be the name of a snapshot: of one file, not of a part of one.
fn is_name(name: &str) -> bool {
    name.ends_with(ENDING) && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn described(folder: &Path, name: String) -> Result<Snapshot> {
    let path = folder.join(&name);
    let found = std::fs::metadata(&path)?;
    let made = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let checksum = std::fs::read_to_string(folder.join(format!("{name}{CHECKSUM_ENDING}"))).ok();
    Ok(Snapshot { name, created_micros: made.as_micros() as i64, bytes: found.len(), checksum })
}

fn sha256(path: &Path) -> Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            bytes => hash.update(&block[..bytes]),
        }
    }
}

/// Writes a collection as its view shows it, as long as `check` passes.
fn write(
    writer: &mut SnapshotWriter,
    shared: &Shared,
    view: &View,
    check: &dyn Fn() -> Result<()>,
) -> Result<()> {
    writer.begin(&view.entry, view.points() as u64)?;
    let slots: Vec<Slot> = view.alive.iter().collect();
    for slots in slots.chunks(BLOCK_POINTS) {
        check()?;
        let versions: Vec<Version> = slots.iter().filter_map(|slot| view.rows.version(*slot)).collect();
        if let Err(error) = writer.put(&view.store, &view.entry, &versions) {
            // The rows go with their collection: then nothing is damaged.
            return shared.check_exists().and(Err(error));
        }
    }
    shared.check_exists()?;
    // Rows of a version stay while a view holds it, but not those of a vector that is gone.
    if view.entry.schema.has_vectors_of(&shared.view.load().entry.schema) {
        return Ok(());
    }
    let message = format!("the vectors of `{}` changed while they were written; ask again", shared.name);
    Err(Error::new(ErrorKind::Busy, message))
}

impl Sequencer {
    /// Gives a number to a collection that is being recovered.
    pub(crate) fn reserve(&mut self) -> Result<CollectionId> {
        self.engine.check_room()?;
        let id = self.next_collection;
        let (seqno, next) = (self.seqno.next(), CollectionId(id.0 + 1));
        let mut commit = Commit::new(seqno);
        commit.next_collection(next);
        commit.begin_restore(id);
        self.engine.store.commit(commit, Durability::Fsync)?;
        (self.seqno, self.next_collection) = (seqno, next);
        waypoint::pass("restore.reserved");
        Ok(id)
    }

    /// Removes what was read under a number; it may be read anew if it stays marked.
    pub(crate) fn clear(&mut self, id: CollectionId, is_over: bool) -> Result<()> {
        let mut commit = Commit::new(self.seqno.next());
        commit.remove_collection(id);
        if is_over {
            commit.end_restore(id);
        }
        self.engine.store.commit(commit, Durability::Fsync)?;
        self.seqno = self.seqno.next();
        if is_over {
            remove_folder(&self.engine.folder.collection(id))?;
        }
        Ok(())
    }

    /// Makes a collection of what was read, in the place of the one with its name.
    pub(crate) fn adopt(&mut self, mut derived: Derived) -> Result<()> {
        let engine = Arc::clone(&self.engine);
        let entry = Arc::clone(&derived.entry);
        self.check_alias(&entry.name)?;
        let old = engine.named(&entry.name).ok();
        // What is written of the old one meanwhile would stay for ever.
        let _listing = old.as_ref().map(|old| old.listing.lock());
        let mut held = old.as_ref().map(|old| old.derived.lock());
        let seqno = self.seqno.next();
        let mut commit = Commit::new(seqno);
        if let Some(old) = &old {
            commit.remove_collection(old.id);
        }
        derived.state = CollectionState { seqno, ..derived.state };
        commit.put_collection(&entry);
        commit.close_collection(entry.id, &[], &derived.state);
        commit.end_restore(entry.id);
        match &old {
            Some(old) => commit_drop(&engine, old, commit)?,
            None => engine.store.commit(commit, Durability::Fsync)?,
        }
        self.seqno = seqno;
        waypoint::pass("restore.stored");
        engine.collections.write().insert(entry.name.clone(), Shared::new(derived, &engine.heads));
        if let (Some(old), Some(derived)) = (&old, &mut held) {
            forget(&engine, old, derived);
        }
        Ok(())
    }

    /// Every collection as of the last commit: none is under way here.
    pub(crate) fn views(&self) -> Views {
        self.engine.all().into_iter().map(|shared| (Arc::clone(&shared), shared.view.load_full())).collect()
    }
}

/// Commits what takes the rows of a collection away. It counts as dropped before they go: who reads without them finds
/// that out.
pub(crate) fn commit_drop(engine: &Engine, shared: &Shared, commit: Commit) -> Result<()> {
    shared.is_dropped.store(true, Ordering::Release);
    let committed = engine.store.commit(commit, Durability::Fsync);
    if committed.is_err() {
        shared.is_dropped.store(false, Ordering::Release);
    }
    committed
}

/// What is to be done about a collection whose rows are gone. The files go with it; what fails here is removed when its
/// room is given back.
pub(crate) fn forget(engine: &Engine, shared: &Shared, derived: &mut Derived) {
    shared.is_dropped.store(true, Ordering::Release);
    derived.keyword = None;
    shared.keyword.store(None);
    shared.heads.set([0; 3]);
    engine.dropped.lock().push(shared.id);
    waypoint::pass("drop.files");
    let folder = engine.folder.collection(shared.id);
    if let Err(error) = remove_folder(&folder) {
        tracing::debug!(%error, folder = %folder.display(), "index files of a dropped collection remain for now");
    }
    waypoint::pass("drop.forgotten");
}

/// Removes what a crash left of snapshots that were being made. What cannot be removed stays: it stops no start.
pub(crate) fn remove_parts(folder: &Path) {
    let Ok(found) = std::fs::read_dir(folder) else { return };
    for file in found.flatten() {
        let (path, name) = (file.path(), file.file_name());
        if file.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_parts(&path);
            continue;
        }
        let Some(name) = name.to_str() else { continue };
        let of = name.strip_suffix(CHECKSUM_ENDING).filter(|of| is_name(of));
        if name.starts_with('.') || of.is_some_and(|of| !path.with_file_name(of).exists()) {
            remove(&path);
        }
    }
}
