//! What a query reads: one immutable state of one collection, at one seqno.
//!
//! Invariant: nothing that a view shows changes. Its last head may gain rows, which are not in `alive`. Slots mean
//! something only inside of one view: rows, `alive` and fields of the same view number them alike. The stored rows of
//! every alive version stay while the view lives (the purge waits for it).
//! Cost: a few reference counts to make; readers take it without a lock.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use index::{Alive, Fields, KeywordView, Rows, Sparse};
use roaring::RoaringBitmap;
use storage::{CatalogEntry, Store};
use types::{Filter, Payload, PointId, Result, Seqno, Slot, Subject, Vector, Version};

use crate::Observed;
use crate::pace::Pace;

/// One state of a collection.
pub struct View {
    /// The last commit it shows.
    pub seqno: Seqno,
    /// The collection.
    pub entry: Arc<CatalogEntry>,
    /// Where payloads and vectors are read.
    pub store: Arc<Store>,
    /// The parts, and which version of which point stands in each slot.
    pub rows: Rows,
    /// The slots that exist at this seqno.
    pub alive: Alive,
    /// The payload indexes.
    pub fields: Fields,
    /// The sparse vectors.
    pub sparse: Sparse,
    /// The keyword index, if the schema has one.
    pub keyword: Option<KeywordView>,
    /// What live queries have found: of the collection, and of all its views.
    pub observed: Arc<Observed>,
    /// `alive` as a bitmap, made when it is first needed.
    pub universe: OnceLock<RoaringBitmap>,
}

impl View {
    /// Points that exist.
    pub fn points(&self) -> usize {
        self.alive.len()
    }

    /// The alive slots as a bitmap.
    pub fn universe(&self) -> &RoaringBitmap {
        self.universe.get_or_init(|| self.alive.to_bitmap())
    }

    /// The slots of points by id, in the order of the ids; `None` for points that do not exist in this view.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn slots(&self, ids: &[PointId]) -> Result<Vec<Option<Slot>>> {
        let versions = self.store.versions(self.entry.id, ids)?;
        let visible = |version: Option<Version>| version.and_then(|version| self.visible(version));
        let mut slots: Vec<Option<Slot>> = versions.into_iter().map(visible).collect();
        if slots.contains(&None) && !self.is_current() {
            self.pass(ids, &mut slots);
        }
        Ok(slots)
    }

    /// The slot of a version, if the view shows it.
    pub(crate) fn visible(&self, version: Version) -> Option<Slot> {
        self.rows.slot_of(version).filter(|slot| self.alive.contains(*slot))
    }

    /// Looks for those that are missing where storage is newer than the view: one pass over all ids, which is rare.
    fn pass(&self, ids: &[PointId], slots: &mut [Option<Slot>]) {
        let missing = ids.iter().enumerate().filter(|(at, _)| slots[*at].is_none());
        let missing: HashSet<PointId> = missing.map(|(_, id)| *id).collect();
        let found: HashMap<PointId, Slot> = self
            .alive
            .iter()
            .filter_map(|slot| self.rows.id(slot).filter(|id| missing.contains(id)).map(|id| (id, slot)))
            .take(missing.len())
            .collect();
        for (slot, id) in slots.iter_mut().zip(ids) {
            *slot = slot.or_else(|| found.get(id).copied());
        }
    }

    /// Whether storage holds no later commit to this collection.
    pub(crate) fn is_current(&self) -> bool {
        self.store.state(self.entry.id).is_ok_and(|state| state.seqno <= self.seqno)
    }

    /// The id of a slot of this view.
    ///
    /// # Panics
    /// Never for a slot of the view: its row was appended before the view was made.
    pub fn id(&self, slot: Slot) -> PointId {
        self.rows.id(slot).expect("slots of a view have rows, see its invariant")
    }

    fn versions(&self, slots: &[Slot]) -> Vec<Version> {
        let version =
            |slot: &Slot| self.rows.version(*slot).expect("slots of a view have rows, see its invariant");
        slots.iter().map(version).collect()
    }

    /// The payloads of slots of this view, in their order.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn payloads(&self, slots: &[Slot]) -> Result<Vec<Payload>> {
        let rows = self.store.payloads(self.entry.id, &self.versions(slots))?;
        let payload = |(slot, row): (&Slot, Option<(PointId, Payload)>)| match row {
            Some((_, payload)) => Ok(payload),
            None => {
                let place = format!("the payload of point {}", self.id(*slot));
                Err(types::Error::corrupted(place, "its row is missing"))
            }
        };
        slots.iter().zip(rows).map(payload).collect()
    }

    /// The vectors of one space as they were written, to be shown: from storage, which checks what it reads. Those of a
    /// segment are checked in a quiet moment only.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn stored_vectors(&self, name: &str, slots: &[Slot]) -> Result<Vec<Option<Vector>>> {
        self.store.vectors(&self.entry, name, &self.versions(slots))
    }

    /// The vectors of one space at slots of this view, in their order, to be compared. Those that are sparse or have
    /// several rows are read from storage.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub fn vectors(&self, name: &str, slots: &[Slot]) -> Result<Vec<Option<Vector>>> {
        let schema = &self.entry.schema;
        if schema.sparse.contains_key(name) || schema.multi.contains_key(name) {
            return self.stored_vectors(name, slots);
        }
        slots.iter().map(|slot| Ok(self.rows.vector(*slot, name)?.map(Vector::Dense))).collect()
    }

    /// Which of the slots a filter in normal form holds for, by reading their payloads if these decide.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub(crate) fn verify(&self, filter: &Filter, slots: &[Slot], pace: &Pace) -> Result<Vec<bool>> {
        let payloads = match filter.reads_payload() {
            true => self.payloads(slots)?,
            false => vec![Payload::new(); slots.len()],
        };
        pace.took(&payloads);
        let holds = |(slot, payload): (&Slot, &Payload)| {
            self.subject(*slot, payload, |subject| Ok(filter.matches_normal(subject)))
        };
        slots.iter().zip(&payloads).map(holds).collect()
    }

    /// Asks something of the point in a slot, whose payload was read.
    pub(crate) fn subject<T>(
        &self,
        slot: Slot,
        payload: &Payload,
        ask: impl FnOnce(&Subject<'_>) -> Result<T>,
    ) -> Result<T> {
        let failure = RefCell::new(None);
        let has_vector = |name: &str| {
            self.has_vector(slot, name).unwrap_or_else(|error| {
                failure.replace(Some(error));
                false
            })
        };
        let answer = ask(&Subject { id: self.id(slot), payload, has_vector: &has_vector })?;
        failure.into_inner().map_or(Ok(answer), Err)
    }

    /// Whether the point in a slot has a vector of a name.
    ///
    /// # Errors
    /// `Corrupted` or `Io`.
    pub(crate) fn has_vector(&self, slot: Slot, name: &str) -> Result<bool> {
        let schema = &self.entry.schema;
        if schema.sparse.contains_key(name) || schema.multi.contains_key(name) {
            return Ok(self.vectors(name, &[slot])?.iter().any(Option::is_some));
        }
        // A part may hold vectors of a name that is gone.
        Ok(schema.vectors.contains_key(name) && self.rows.has_vector(slot, name))
    }
}
