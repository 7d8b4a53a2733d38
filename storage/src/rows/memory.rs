//! Rows in a map in memory: databases without a directory, and tests.
//!
//! Cost: a lock around a B-tree; a scan holds the read lock while it visits. Not for large collections.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;
use types::{Durability, Result};

use super::{Change, Figures, Rows, Table, Visit};

type Key = (Table, Vec<u8>);

/// Rows that are gone when the value is.
#[derive(Default)]
pub struct MemoryRows {
    rows: RwLock<BTreeMap<Key, Vec<u8>>>,
}

impl Rows for MemoryRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.rows.read().get(&(table, key.to_vec())).cloned())
    }

    fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let rows = self.rows.read();
        Ok(keys.iter().map(|key| rows.get(&(table, key.clone())).cloned()).collect())
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let range = (Bound::Included((table, from.to_vec())), Bound::Excluded((table, to.to_vec())));
        for ((_, key), value) in self.rows.read().range(range) {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: Vec<Change>, _durability: Durability) -> Result<()> {
        let mut rows = self.rows.write();
        for change in changes {
            match change {
                Change::Put(table, key, value) => drop(rows.insert((table, key), value)),
                Change::Remove(table, key) => drop(rows.remove(&(table, key))),
                Change::RemoveRange(table, from, to) if from < to => {
                    let range = (Bound::Included((table, from)), Bound::Excluded((table, to)));
                    let doomed: Vec<Key> = rows.range(range).map(|(key, _)| key.clone()).collect();
                    doomed.iter().for_each(|key| drop(rows.remove(key)));
                }
                Change::RemoveRange(..) => {}
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn figures(&self) -> Figures {
        let bytes = self.rows.read().iter().map(|((_, key), value)| key.len() + value.len()).sum::<usize>();
        Figures { buffer_bytes: bytes as u64, ..Figures::default() }
    }

    fn bytes(&self, table: Table, from: &[u8], to: &[u8]) -> u64 {
        let rows = self.rows.read();
        let is_within = |of: &Table, key: &[u8]| *of == table && from <= key && key < to;
        let rows = rows.iter().filter(|((of, key), _)| is_within(of, key));
        rows.map(|((_, key), value)| (key.len() + value.len()) as u64).sum()
    }
}
