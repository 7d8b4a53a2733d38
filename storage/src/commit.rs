//! One commit: the rows that one or more writes change, gathered, then written as one batch.
//!
//! Invariant: a commit carries its seqno, and every collection it touches gets a journal entry and new counters in
//! the same batch. There is no other way to change a point.

use types::{CollectionId, Point, PointId, Seqno, Version};

use crate::format::{self, keys, point};
use crate::rows::{Change, Table};
use crate::{CatalogEntry, CollectionState, JournalOp, SegmentList};

/// Changes that become visible and durable together.
#[derive(Debug)]
pub struct Commit {
    seqno: Seqno,
    changes: Vec<Change>,
}

impl Commit {
    /// An empty commit that will be the one of `seqno`.
    pub fn new(seqno: Seqno) -> Self {
        Self { seqno, changes: Vec::new() }
    }

    /// The seqno it was made for.
    pub fn seqno(&self) -> Seqno {
        self.seqno
    }

    /// Adds or replaces a catalog entry.
    pub fn put_collection(&mut self, entry: &CatalogEntry) {
        self.put(Table::Meta, keys::catalog(entry.id), format::catalog::encode(entry));
    }

    /// Gives a collection a further name, or another collection that name.
    pub fn put_alias(&mut self, alias: &str, collection: &str) {
        self.put(Table::Meta, keys::alias(alias), collection.as_bytes().to_vec());
    }

    /// Takes a further name away.
    pub fn remove_alias(&mut self, alias: &str) {
        self.changes.push(Change::Remove(Table::Meta, keys::alias(alias)));
    }

    /// Records the number that the next collection gets.
    pub fn next_collection(&mut self, id: CollectionId) {
        self.put(Table::Meta, keys::NEXT_COLLECTION.to_vec(), u64::from(id.0).to_le_bytes().to_vec());
    }

    /// Removes a collection: its catalog entry and every row of it.
    pub fn remove_collection(&mut self, id: CollectionId) {
        self.changes.push(Change::Remove(Table::Meta, keys::catalog(id)));
        let (from, to) = keys::collection(id);
        for table in Table::ALL.into_iter().filter(|table| *table != Table::Meta) {
            self.changes.push(Change::RemoveRange(table, from.clone(), to.clone()));
        }
    }

    /// Removes every vector of a space, of all versions.
    pub fn remove_space(&mut self, collection: CollectionId, space: u16) {
        let from = keys::vector_space(collection, space);
        let to = match space.checked_add(1) {
            Some(next) => keys::vector_space(collection, next),
            None => keys::collection(collection).1,
        };
        self.changes.push(Change::RemoveRange(Table::Vectors, from, to));
    }

    /// Forgets the segments of a collection: they are made anew from points.
    pub fn forget_segments(&mut self, collection: CollectionId) {
        let list = format::manifest::encode_segments(&SegmentList::default());
        self.put(Table::Manifest, keys::segments(collection), list);
    }

    /// Writes a version of a point and makes it the current one.
    pub fn put_point(&mut self, entry: &CatalogEntry, version: Version, point: &Point) {
        self.put(Table::Points, keys::point(entry.id, point.id), point::encode_version(version));
        let payload = point::encode_payload(point.id, &point.payload);
        self.put(Table::Payloads, keys::payload(entry.id, version), payload);
        for (name, vector) in &point.vectors {
            if let Some((number, space)) = entry.space(name) {
                let key = keys::vector(entry.id, number, version);
                self.put(Table::Vectors, key, point::encode_vector(space, vector));
            }
        }
    }

    /// Makes room for so many changes, and no more: for who knows that there will be many.
    pub fn reserve(&mut self, changes: usize) {
        self.changes.reserve_exact(changes);
    }

    /// Unlinks a point; the rows of its last version stay until they are purged.
    pub fn remove_point(&mut self, collection: CollectionId, id: PointId) {
        self.changes.push(Change::Remove(Table::Points, keys::point(collection, id)));
    }

    /// Ends the part of one collection: its journal entry and its counters.
    pub fn close_collection(&mut self, collection: CollectionId, ops: &[JournalOp], state: &CollectionState) {
        self.put(Table::Journal, keys::journal(collection, self.seqno), format::journal::encode(ops));
        self.put(Table::Manifest, keys::state(collection), format::manifest::encode(state));
    }

    /// Appends the changes of a later commit: the two become one batch, one fsync. The larger seqno counts.
    pub fn append(&mut self, later: Self) {
        self.changes.extend(later.changes);
        self.seqno = self.seqno.max(later.seqno);
    }

    pub(crate) fn into_changes(mut self) -> Vec<Change> {
        let seqno = format::manifest::encode_seqno(self.seqno);
        self.put(Table::Meta, keys::SEQNO.to_vec(), seqno);
        self.changes
    }

    pub(crate) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.changes.push(Change::Remove(table, key));
    }

    pub(crate) fn put(&mut self, table: Table, key: Vec<u8>, body: Vec<u8>) {
        let value = format::seal(&key, body);
        self.changes.push(Change::Put(table, key, value));
    }
}
