//! Walking a collection: all its points for a rebuild, its ids in order, its journal; and purging what is unlinked.
//!
//! Cost: one ordered pass over the rows concerned, in blocks of versions, so memory stays bounded.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use types::{CollectionId, Durability, Error, Payload, PointId, Result, Seqno, Vectors, Version, waypoint};

use crate::format::{self, journal, keys, point};
use crate::rows::{Change, Table};
use crate::{CatalogEntry, JournalEntry, Store};

/// A version of a point as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPoint {
    /// The version.
    pub version: Version,
    /// The point.
    pub id: PointId,
    /// Its payload.
    pub payload: Payload,
    /// Its vectors.
    pub vectors: Vectors,
}

/// Versions whose vectors are gathered at once.
const BLOCK_ROWS: usize = 1024;

impl Store {
    /// Visits every current version of a collection, ascending by version.
    ///
    /// # Errors
    /// `Corrupted`, `Io`, or what `visit` returns.
    pub fn for_each_point(
        &self,
        entry: &CatalogEntry,
        visit: &mut dyn FnMut(StoredPoint) -> Result<()>,
    ) -> Result<()> {
        self.for_each_point_from(entry, Version(0), visit)
    }

    /// Visits every current version of a collection that is no lower than `first`, ascending.
    ///
    /// # Errors
    /// `Corrupted`, `Io`, or what `visit` returns.
    pub fn for_each_point_from(
        &self,
        entry: &CatalogEntry,
        first: Version,
        visit: &mut dyn FnMut(StoredPoint) -> Result<()>,
    ) -> Result<()> {
        let unlinked = self.unlinked(entry.id)?;
        let mut block = Vec::with_capacity(BLOCK_ROWS);
        let (_, to) = keys::collection(entry.id);
        let from = keys::payload(entry.id, first);
        self.rows.scan(Table::Payloads, &from, &to, &mut |key, value| {
            let version = Version(keys::last_number(Table::Payloads, key)?);
            if unlinked.contains(&version) {
                return Ok(ControlFlow::Continue(()));
            }
            let (id, payload) = point::decode_payload(format::unseal(Table::Payloads, key, value)?)?;
            block.push(StoredPoint { version, id, payload, vectors: Vec::new() });
            if block.len() == BLOCK_ROWS {
                self.gather_vectors(entry, &mut block)?;
                block.drain(..).try_for_each(&mut *visit)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.gather_vectors(entry, &mut block)?;
        block.drain(..).try_for_each(visit)
    }

    fn gather_vectors(&self, entry: &CatalogEntry, block: &mut [StoredPoint]) -> Result<()> {
        let (Some(first), Some(last)) = (block.first(), block.last()) else { return Ok(()) };
        let (first, last) = (first.version, last.version);
        let rows: HashMap<Version, usize> = block.iter().map(|stored| stored.version).zip(0..).collect();
        for name in entry.schema.names() {
            let Some((number, space)) = entry.space(name) else { continue };
            let from = keys::vector(entry.id, number, first);
            let to = keys::vector(entry.id, number, Version(last.0 + 1));
            self.rows.scan(Table::Vectors, &from, &to, &mut |key, value| {
                let version = Version(keys::last_number(Table::Vectors, key)?);
                if let Some(row) = rows.get(&version) {
                    let vector = point::decode_vector(space, format::unseal(Table::Vectors, key, value)?)?;
                    block[*row].vectors.push((name.clone(), vector));
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// Visits the ids that exist, in order, from `from` on (or from the first), with their current versions.
    ///
    /// # Errors
    /// `Corrupted`, `Io`, or what `visit` returns.
    pub fn for_each_id(
        &self,
        collection: CollectionId,
        from: Option<PointId>,
        visit: &mut dyn FnMut(PointId, Version) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (first, to) = keys::collection(collection);
        let from = from.map_or(first, |id| keys::point(collection, id));
        self.rows.scan(Table::Points, &from, &to, &mut |key, value| {
            let version = point::decode_version(format::unseal(Table::Points, key, value)?)?;
            visit(keys::point_id(key)?, version)
        })
    }

    /// Visits the journal entries of a collection after `after`, in order.
    ///
    /// # Errors
    /// `Corrupted`, `Io`, or what `visit` returns.
    pub fn for_each_entry(
        &self,
        collection: CollectionId,
        after: Seqno,
        visit: &mut dyn FnMut(JournalEntry) -> Result<()>,
    ) -> Result<()> {
        let (_, to) = keys::collection(collection);
        let from = keys::journal(collection, after.next());
        self.rows.scan(Table::Journal, &from, &to, &mut |key, value| {
            let seqno = Seqno(keys::last_number(Table::Journal, key)?);
            let ops = journal::decode(format::unseal(Table::Journal, key, value)?)?;
            visit(JournalEntry { seqno, ops })?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The versions that are stored but no longer current.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn unlinked(&self, collection: CollectionId) -> Result<HashSet<Version>> {
        let mut unlinked = HashSet::new();
        self.for_each_entry(collection, Seqno(0), &mut |entry| {
            unlinked.extend(entry.ops.iter().filter_map(|op| op.old()));
            Ok(())
        })?;
        Ok(unlinked)
    }

    /// Removes the rows of versions that commits up to `upto` unlinked, and trims the journal to there. The caller
    /// vouches that no reader and no index needs them. Returns how many versions were removed. Interrupted, it has
    /// removed a prefix, and goes on from there the next time.
    ///
    /// # Errors
    /// `Corrupted`, `Io`, `Poisoned`.
    pub fn purge(&self, entry: &CatalogEntry, upto: Seqno) -> Result<usize> {
        let (mut removed, mut changes) = (0, Vec::new());
        let from = keys::journal(entry.id, Seqno(0));
        let to = keys::journal(entry.id, upto.next());
        let mut seen = Seqno(0);
        self.rows.scan(Table::Journal, &from, &to, &mut |key, value| {
            let ops = journal::decode(format::unseal(Table::Journal, key, value)?)?;
            for old in ops.iter().filter_map(|op| op.old()) {
                removed += 1;
                changes.push(Change::Remove(Table::Payloads, keys::payload(entry.id, old)));
                let vector =
                    |space: &u16| Change::Remove(Table::Vectors, keys::vector(entry.id, *space, old));
                changes.extend(entry.spaces.values().map(vector));
            }
            changes.push(Change::Remove(Table::Journal, key.to_vec()));
            seen = Seqno(keys::last_number(Table::Journal, key)?);
            // A bounded batch: the rest goes with the next call.
            Ok(if changes.len() < 100_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if seen > Seqno(0) {
            let key = keys::trimmed(entry.id);
            let value = format::seal(&key, format::manifest::encode_seqno(seen));
            changes.push(Change::Put(Table::Manifest, key, value));
            waypoint::pass("purge.read");
            self.write(changes, Durability::None)?;
            waypoint::pass("purge.written");
        }
        Ok(removed)
    }

    /// Reads one version whole.
    ///
    /// # Errors
    /// `Corrupted` or `Io`; `NotFound` when it is purged.
    pub fn point(&self, entry: &CatalogEntry, version: Version) -> Result<StoredPoint> {
        let gone = || Error::new(types::ErrorKind::NotFound, format!("version {} is purged", version.0));
        let (id, payload) = self.payloads(entry.id, &[version])?.remove(0).ok_or_else(gone)?;
        let mut block = [StoredPoint { version, id, payload, vectors: Vec::new() }];
        self.gather_vectors(entry, &mut block)?;
        let [stored] = block;
        Ok(stored)
    }
}
