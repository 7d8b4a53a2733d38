//! Rows on RocksDB, one column family a table.
//!
//! Invariant: the write-ahead log is flushed by hand (`set_manual_wal_flush`), so the three durabilities are one
//! path: the same log, handed on not at all, to the operating system, or to the disk. That is what makes every crash
//! leave a prefix. RocksDB itself syncs closed logs before it installs flushed tables, of all families at once.
//! Cost: one `write` is one log append and one memtable insert a row; `Fsync` adds one fdatasync.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, FlushOptions, IteratorMode, Range, ReadOptions, WriteBatch,
    WriteOptions,
};
use types::{Durability, Error, ErrorKind, Histogram, Result, waypoint};

use super::{Change, Figures, Rows, Table, Visit, tuning};

/// Rows in a RocksDB directory, locked against other processes while the value lives.
pub struct RocksRows {
    db: Arc<DB>,
    path: PathBuf,
    /// The directory itself, wherever it is now.
    folder: File,
    writes: Histogram,
    syncs: Histogram,
    /// A write failed: what the log has of it is unknown.
    has_failed: AtomicBool,
    is_closed: AtomicBool,
}

impl RocksRows {
    /// Opens a directory, or makes it.
    ///
    /// # Errors
    /// `Busy` when another process (or another handle) has it open; `Corrupted` or `Io` otherwise.
    pub fn open(path: &Path) -> Result<Self> {
        check_begun(path)?;
        let tuning = tuning::Tuning::new();
        let families =
            Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), tuning.family(table)));
        let db = DB::open_cf_descriptors(&tuning.database(), path, families)
            .map_err(|error| translate_open(path, error))?;
        waypoint::pass("storage.opened");
        let (writes, syncs) = (Histogram::default(), Histogram::default());
        let (has_failed, is_closed) = (AtomicBool::new(false), AtomicBool::new(false));
        let folder = File::open(path)?;
        Ok(Self { db: Arc::new(db), path: path.to_owned(), folder, writes, syncs, has_failed, is_closed })
    }

    /// RocksDB makes tables by their path, and names them in a list that it has open: where the path leads elsewhere
    /// by now, the list would name what is not there, and another database would get the tables.
    fn check_place(&self) -> Result<()> {
        let ours = self.folder.metadata()?;
        let here = std::fs::metadata(&self.path);
        if here.is_ok_and(|here| (here.dev(), here.ino()) == (ours.dev(), ours.ino())) {
            return Ok(());
        }
        let message = format!(
            "the folder {} was moved or replaced while the database is open, so nothing more is written; put it back, \
             or stop and open it where it is now: all that was acknowledged is in it",
            self.path.display()
        );
        Err(Error::new(ErrorKind::Io, message))
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        self.db.cf_handle(table.name()).expect("every table is opened as a family in `open`")
    }

    fn sync(&self) -> std::result::Result<(), rocksdb::Error> {
        let began = Instant::now();
        let synced = self.db.flush_wal(true);
        self.syncs.observe(began.elapsed());
        synced
    }

    /// The error of a write.
    fn failed(&self, error: rocksdb::Error) -> Error {
        self.has_failed.store(true, Ordering::Release);
        self.translate(error)
    }

    fn translate(&self, error: rocksdb::Error) -> Error {
        let kind = kind(&error);
        let what = if kind == ErrorKind::Corrupted { "is damaged" } else { "could not be read or written" };
        Error::new(kind, format!("the storage in {} {what}: {error}", self.path.display())).with_source(error)
    }
}

/// RocksDB takes a directory without the file `CURRENT` for a new one, and removes tables that it does not know.
fn check_begun(path: &Path) -> Result<()> {
    if path.join("CURRENT").exists() {
        return Ok(());
    }
    let Ok(found) = std::fs::read_dir(path) else { return Ok(()) };
    for file in found {
        let file = file?.path();
        let kind = file.extension().and_then(|kind| kind.to_str());
        if matches!(kind, Some("sst" | "blob" | "log")) {
            let why = format!("`CURRENT` is missing, although there is {}; restore a backup", file.display());
            return Err(Error::corrupted(format!("the storage in {}", path.display()), why));
        }
    }
    Ok(())
}

fn translate_open(path: &Path, error: rocksdb::Error) -> Error {
    let place = path.display();
    let text = error.to_string();
    // RocksDB has no kind for it. Not just "lock": a damaged block is no lock.
    if text.contains("lock hold by current process") {
        let message = format!(
            "{place} is open in this process already; share that handle, or drop it first, with all that reads from it"
        );
        return Error::new(ErrorKind::Busy, message).with_source(error);
    }
    if text.contains("While lock file") {
        let message = format!(
            "{place} is open in another process; a database has one writing process at a time. Stop it, or talk to it over HTTP"
        );
        return Error::new(ErrorKind::Busy, message).with_source(error);
    }
    let kind = kind(&error);
    let remedy = match kind {
        ErrorKind::Corrupted => "; restore a snapshot, or a copy of the directory",
        _ => "",
    };
    Error::new(kind, format!("the storage in {place} could not be opened: {text}{remedy}")).with_source(error)
}

fn kind(error: &rocksdb::Error) -> ErrorKind {
    match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupted,
        // RocksDB has a kind for it that its binding does not tell.
        _ if error.as_ref().contains("No space left on device") => ErrorKind::StorageFull,
        _ => ErrorKind::Io,
    }
}

/// What a batch begins with: its sequence number, and the number of its changes.
const BATCH_HEADER_BYTES: usize = 12;

/// Bytes that a change takes in a batch, at most: a batch of megabytes that grows by doubling is copied about twice.
fn batch_bytes(change: &Change) -> usize {
    /// Beside key and value: a tag, the number of the family, two lengths.
    const AROUND_BYTES: usize = 1 + 5 + 5 + 5;
    let (key, value) = match change {
        Change::Put(_, key, value) => (key.len(), value.len()),
        Change::Remove(_, key) => (key.len(), 0),
        Change::RemoveRange(_, from, to) => (from.len(), to.len()),
    };
    AROUND_BYTES + key + value
}

impl Rows for RocksRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.db.get_cf(self.family(table), key).map_err(|error| self.translate(error))
    }

    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let values = self.db.batched_multi_get_cf(self.family(table), keys, false);
        values
            .into_iter()
            .map(|value| match value {
                Ok(slice) => Ok(slice.map(|slice| slice.to_vec())),
                Err(error) => Err(self.translate(error)),
            })
            .collect()
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        // A scan passes over rows once: it must not push the hot ones out of the cache.
        options.fill_cache(false);
        options.set_readahead_size(tuning::SCAN_READAHEAD_BYTES);
        for row in self.db.iterator_cf_opt(self.family(table), options, IteratorMode::Start) {
            let (key, value) = row.map_err(|error| self.translate(error))?;
            if visit(&key, &value)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: Vec<Change>, durability: Durability) -> Result<()> {
        let began = Instant::now();
        let bytes = changes.iter().map(batch_bytes).sum::<usize>() + BATCH_HEADER_BYTES;
        let mut batch = WriteBatch::with_capacity_bytes(bytes);
        // Looked up by name once, not once a row.
        let families = Table::ALL.map(|table| self.family(table));
        // Each is given back as soon as it is copied: a commit of megabytes is not held twice.
        for change in changes {
            match change {
                Change::Put(table, key, value) => batch.put_cf(families[table as usize], key, value),
                Change::Remove(table, key) => batch.delete_cf(families[table as usize], key),
                Change::RemoveRange(table, from, to) if from < to => {
                    batch.delete_range_cf(families[table as usize], from, to);
                }
                Change::RemoveRange(..) => {}
            }
        }
        waypoint::pass("storage.write");
        self.db.write_opt(batch, &WriteOptions::default()).map_err(|error| self.failed(error))?;
        waypoint::pass("storage.written");
        let flushed = match durability {
            Durability::None => Ok(()),
            Durability::Wal => self.db.flush_wal(false),
            Durability::Fsync => self.sync(),
        };
        self.writes.observe(began.elapsed());
        flushed.map_err(|error| self.failed(error))?;
        waypoint::pass("storage.synced");
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        waypoint::pass("storage.flush");
        self.sync().map_err(|error| self.failed(error))?;
        waypoint::pass("storage.flushed");
        Ok(())
    }

    fn figures(&self) -> Figures {
        let of = |property: &str| self.db.property_int_value(property).ok().flatten().unwrap_or(0);
        let sum = |property: &str| {
            let of = |table: Table| self.db.property_int_value_cf(self.family(table), property);
            Table::ALL.into_iter().filter_map(|table| of(table).ok().flatten()).sum::<u64>()
        };
        let files = |table: Table| {
            let count =
                self.db.property_value_cf(self.family(table), "rocksdb.num-files-at-level0").ok()??;
            count.parse::<u64>().ok()
        };
        let buffer_bytes = sum("rocksdb.cur-size-all-mem-tables");
        Figures {
            disk_bytes: sum("rocksdb.total-sst-files-size") + sum("rocksdb.total-blob-file-size"),
            buffer_bytes,
            // The buffers are charged to the cache (see `tuning`).
            cache_bytes: of("rocksdb.block-cache-usage").saturating_sub(buffer_bytes),
            index_bytes: sum("rocksdb.estimate-table-readers-mem"),
            compaction_pending_bytes: sum("rocksdb.estimate-pending-compaction-bytes"),
            compactions: of("rocksdb.num-running-compactions"),
            flushes: of("rocksdb.num-running-flushes"),
            uncompacted_files: Table::ALL.into_iter().filter_map(files).sum(),
            background_errors: of("rocksdb.background-errors"),
            is_stalled: of("rocksdb.is-write-stopped") > 0 || of("rocksdb.actual-delayed-write-rate") > 0,
            writes: self.writes.times(),
            syncs: self.syncs.times(),
        }
    }

    fn bytes(&self, table: Table, from: &[u8], to: &[u8]) -> u64 {
        self.db.get_approximate_sizes_cf(self.family(table), &[Range::new(from, to)]).iter().sum()
    }

    fn reclaim(&self, from: &[u8], to: &[u8]) {
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
            if self.is_closed.load(Ordering::Acquire) {
                return;
            }
            self.db.compact_range_cf(self.family(table), Some(from), Some(to));
        }
    }

    /// A clean close leaves nothing that only the log holds: recovery takes a log that is damaged later for one that
    /// ends there, and could not tell. After a write that failed no table is made here: the log decides what is there
    /// of it, or RocksDB where it goes on by itself (see `tuning`).
    fn close(&self) {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        waypoint::pass("storage.close");
        if !self.has_failed.load(Ordering::Acquire) {
            let synced = self.db.flush_wal(true).map_err(|error| self.translate(error));
            let closed = synced.and_then(|()| self.check_place()).and_then(|()| {
                let families: Vec<&ColumnFamily> =
                    Table::ALL.into_iter().map(|table| self.family(table)).collect();
                let flushed = self.db.flush_cfs_opt(&families, &FlushOptions::default());
                flushed.map_err(|error| self.translate(error))
            });
            if let Err(error) = closed {
                tracing::error!(%error, "the storage could not be closed cleanly; the log keeps what is not in tables");
            }
            waypoint::pass("storage.closed");
        }
        // What a compaction has written so far is removed; it is not waited for. No table is made from now on.
        self.db.cancel_all_background_work(false);
    }

    fn free_bytes(&self) -> Result<Option<u64>> {
        self.check_place()?;
        let found = rustix::fs::statvfs(&self.path).map_err(std::io::Error::from)?;
        Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
    }
}

impl Drop for RocksRows {
    fn drop(&mut self) {
        self.close();
        // RocksDB ends by writing its list of tables by the path, where it no longer finds its own, over that of
        // another database: then it does not end.
        if self.path.exists() && self.check_place().is_err() {
            std::mem::forget(Arc::clone(&self.db));
        }
    }
}
