//! The narrow row interface: all that KithDB asks of a storage engine.
//!
//! Six ordered tables of byte keys, one atomic batch over all of them, point reads, ordered scans. Snapshots are not
//! asked for: rows of a version never change, so readers pin versions instead. Key encodings are ours (`format::keys`),
//! so that an engine on object storage can stand where RocksDB stands. Both engines here pass the same suite (below).

mod memory;
mod rocks;
mod tuning;

use std::ops::ControlFlow;

use types::{Durability, Result, Times};

pub use memory::MemoryRows;
pub use rocks::RocksRows;
pub use tuning::CACHE_BYTES;

/// The tables, RocksDB's column families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Format version, database id, catalog.
    Meta,
    /// Collection and point id -> current version.
    Points,
    /// Collection and version -> point id and payload.
    Payloads,
    /// Collection, vector space and version -> elements.
    Vectors,
    /// Collection and seqno -> the operations of that commit.
    Journal,
    /// Collection -> counters and the watermarks of its indexes.
    Manifest,
}

impl Table {
    /// All tables, in the order in which they are created, and in which they are declared.
    pub const ALL: [Self; 6] =
        [Self::Meta, Self::Points, Self::Payloads, Self::Vectors, Self::Journal, Self::Manifest];

    /// The name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Points => "points",
            Self::Payloads => "payloads",
            Self::Vectors => "vectors",
            Self::Journal => "journal",
            Self::Manifest => "manifest",
        }
    }
}

/// One change of one row, or of a range of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a row.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Removes a row, if it is there.
    Remove(Table, Vec<u8>),
    /// Removes all rows from the first key up to, not including, the second.
    RemoveRange(Table, Vec<u8>, Vec<u8>),
}

/// What a scan calls for every row, key and value; it may stop the scan.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>;

/// An engine that keeps ordered rows.
pub trait Rows: Send + Sync {
    /// The value of a row.
    ///
    /// # Errors
    /// `Io` or `Corrupted`.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The values of many rows, in the order of the keys.
    ///
    /// # Errors
    /// `Io` or `Corrupted`.
    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Visits rows with `from <= key < to` in ascending order. Sees a state no older than the call.
    ///
    /// # Errors
    /// `Io`, `Corrupted`, or what `visit` returns.
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<()>;

    /// Applies the changes in order, all or none, and keeps them as safe as `durability` says. Batches survive a
    /// crash as a prefix of the order in which they were written, whatever their durability.
    ///
    /// # Errors
    /// `Io`. What is on the disk after an error is unknown: the caller must not write again.
    fn write(&self, changes: Vec<Change>, durability: Durability) -> Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// `Io`, as for `write`.
    fn flush(&self) -> Result<()>;

    /// What it takes, and how it is doing.
    fn figures(&self) -> Figures;

    /// Gives the room back that rows between two keys took which are removed, as far as the engine keeps it. It may
    /// take long, and ends early when the rows are closed.
    fn reclaim(&self, _from: &[u8], _to: &[u8]) {}

    /// Ends what runs in the background, and leaves nothing that only a log holds. Nothing may be written afterwards;
    /// reading goes on. What is dropped is closed.
    fn close(&self) {}

    /// Bytes that may still be written where the rows are kept; nothing where that has no end that could be told.
    ///
    /// # Errors
    /// `Io`.
    fn free_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Bytes of rows with `from <= key < to`, about, as far as files hold them.
    fn bytes(&self, table: Table, from: &[u8], to: &[u8]) -> u64;
}

/// What an engine takes, and how it is doing. What it does not know is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes on disk, about.
    pub disk_bytes: u64,
    /// Bytes of rows that are not on disk as files yet.
    pub buffer_bytes: u64,
    /// Bytes of the cache of blocks that were read.
    pub cache_bytes: u64,
    /// Bytes of what is kept of every file to find rows in it.
    pub index_bytes: u64,
    /// Bytes that compaction has to rewrite before its levels have their sizes.
    pub compaction_pending_bytes: u64,
    /// Compactions that run.
    pub compactions: u64,
    /// Flushes of buffers to files that run.
    pub flushes: u64,
    /// Files that no compaction has taken up yet: with many of them writes are slowed down.
    pub uncompacted_files: u64,
    /// Errors in the background since it was opened.
    pub background_errors: u64,
    /// Whether writes wait for compaction.
    pub is_stalled: bool,
    /// How long batches took, whatever was asked of them. What waits for the disk by itself is not in it.
    pub writes: Times,
    /// How long the disk took to make the log durable.
    pub syncs: Times,
}

#[cfg(test)]
mod conformance {
    //! One suite for every engine: random changes beside a plain map, then equal reads and scans.

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0_u8..4, 1..4)
    }

    fn change() -> impl Strategy<Value = Change> {
        let table = || prop_oneof![Just(Table::Points), Just(Table::Vectors)];
        prop_oneof![
            4 => (table(), key(), proptest::collection::vec(any::<u8>(), 0..600))
                .prop_map(|(table, key, value)| Change::Put(table, key, value)),
            2 => (table(), key()).prop_map(|(table, key)| Change::Remove(table, key)),
            1 => (table(), key(), key())
                .prop_map(|(table, a, b)| Change::RemoveRange(table, a.clone().min(b.clone()), a.max(b))),
        ]
    }

    fn apply(model: &mut Model, change: &Change) {
        match change.clone() {
            Change::Put(table, key, value) => drop(model.insert((table, key), value)),
            Change::Remove(table, key) => drop(model.remove(&(table, key))),
            Change::RemoveRange(table, from, to) => {
                model.retain(|(t, key), _| *t != table || *key < from || *key >= to);
            }
        }
    }

    fn check(rows: &dyn Rows, batches: &[Vec<Change>]) {
        let mut model = Model::new();
        for batch in batches {
            batch.iter().for_each(|change| apply(&mut model, change));
            rows.write(batch.clone(), Durability::None).expect("a write");
        }
        for table in [Table::Points, Table::Vectors] {
            let expected: Vec<_> = model
                .iter()
                .filter(|((t, _), _)| *t == table)
                .map(|((_, k), v)| (k.clone(), v.clone()))
                .collect();
            let mut seen = Vec::new();
            rows.scan(table, &[], &[9], &mut |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                Ok(ControlFlow::Continue(()))
            })
            .expect("a scan");
            assert_eq!(seen, expected);
            let keys: Vec<_> = expected.iter().map(|(key, _)| key.clone()).chain([vec![8]]).collect();
            let values = rows.get_many(table, &keys).expect("reads");
            assert!(expected.iter().zip(&values).all(|((_, value), read)| Some(value) == read.as_ref()));
            assert_eq!(values.last(), Some(&None));
        }
        rows.flush().expect("a flush");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn both_engines_keep_rows_as_a_map_does(
            batches in proptest::collection::vec(proptest::collection::vec(change(), 0..8), 0..8),
        ) {
            check(&MemoryRows::default(), &batches);
            let folder = tempfile::tempdir().expect("a folder");
            check(&RocksRows::open(folder.path()).expect("an engine"), &batches);
        }
    }

    #[test]
    fn a_table_has_its_place_among_all() {
        for (place, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, place, "{}", table.name());
        }
    }

    #[test]
    fn a_scan_stops_when_told() {
        let rows = MemoryRows::default();
        let puts = (0..9_u8).map(|n| Change::Put(Table::Meta, vec![n], vec![])).collect();
        rows.write(puts, Durability::Fsync).expect("a write");
        let mut seen = 0;
        rows.scan(Table::Meta, &[2], &[8], &mut |_, _| {
            seen += 1;
            Ok(if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .expect("a scan");
        assert_eq!(seen, 3);
    }

    #[test]
    fn what_is_closed_reclaims_nothing_and_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = RocksRows::open(folder.path()).expect("an engine");
        rows.write(vec![Change::Put(Table::Points, vec![1], vec![2])], Durability::None).expect("a write");
        rows.close();
        rows.reclaim(&[0], &[9]);
        assert_eq!(rows.get(Table::Points, &[1]).expect("a read"), Some(vec![2]));
        drop(rows);
        let rows = RocksRows::open(folder.path()).expect("an engine");
        assert_eq!(rows.get(Table::Points, &[1]).expect("a read"), Some(vec![2]));
    }

    #[test]
    fn a_second_opener_is_refused_in_plain_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = RocksRows::open(folder.path()).expect("the first");
        let Err(error) = RocksRows::open(folder.path()) else { panic!("two writers") };
        assert_eq!(error.kind(), types::ErrorKind::Busy);
        drop(first);
        RocksRows::open(folder.path()).expect("free again");
    }
}
