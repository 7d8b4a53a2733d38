//! The walk of `doctor` over storage: every row is read, its checksum checked, and the tables held against each other.
//!
//! Invariant: damage of a row is a fault in what is found, and ends the walk of nothing else.
//! Cost: one pass over every row; the ids and versions of one collection in memory. Exact only while nobody writes.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use types::{Result, Seqno, Version};

use crate::format::point::Space;
use crate::format::{self, keys, point};
use crate::rows::Table;
use crate::{CatalogEntry, Store};

/// What the walk found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Collections walked.
    pub collections: usize,
    /// Points that exist.
    pub points: u64,
    /// Vectors read.
    pub vectors: u64,
    /// What is wrong; empty when all is well.
    pub faults: Vec<Fault>,
}

/// Something in storage that is not as it should be. It cannot be healed: storage is the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The collection.
    pub collection: String,
    /// What is wrong.
    pub message: String,
}

impl Store {
    /// Reads everything and holds the tables against each other.
    ///
    /// # Errors
    /// When the catalog cannot be read at all, or the engine fails; damage of rows is reported, not returned.
    pub fn verify(&self) -> Result<Verification> {
        let catalog = self.catalog()?;
        let mut found = Verification { collections: catalog.collections.len(), ..Verification::default() };
        for entry in &catalog.collections {
            let mut walk = Walk { store: self, entry, found: &mut found, current: BTreeMap::new() };
            walk.points()?;
            walk.payloads()?;
            walk.vectors()?;
            walk.counters(catalog.seqno);
        }
        Ok(found)
    }
}

struct Walk<'a> {
    store: &'a Store,
    entry: &'a CatalogEntry,
    found: &'a mut Verification,
    current: BTreeMap<Version, (types::PointId, bool)>,
}

impl Walk<'_> {
    fn fault(&mut self, message: impl Into<String>) {
        let collection = self.entry.name.clone();
        self.found.faults.push(Fault { collection, message: message.into() });
    }

    /// Calls `check` for every sealed row of a table; its error, or a broken seal, becomes a fault.
    fn rows(
        &mut self,
        table: Table,
        mut check: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (from, to) = keys::collection(self.entry.id);
        self.store.rows.scan(table, &from, &to, &mut |key, value| {
            let checked = format::unseal(table, key, value).and_then(|body| check(self, key, body));
            if let Err(error) = checked {
                self.fault(error.to_string());
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn points(&mut self) -> Result<()> {
        self.rows(Table::Points, |walk, key, body| {
            let (id, version) = (keys::point_id(key)?, point::decode_version(body)?);
            if let Some((other, _)) = walk.current.insert(version, (id, false)) {
                walk.fault(format!("points {other} and {id} share version {}", version.0));
            }
            walk.found.points += 1;
            Ok(())
        })
    }

    fn payloads(&mut self) -> Result<()> {
        let unlinked = match self.store.unlinked(self.entry.id) {
            Ok(unlinked) => unlinked,
            Err(error) => {
                self.fault(error.to_string());
                return Ok(());
            }
        };
        self.rows(Table::Payloads, |walk, key, body| {
            let version = Version(keys::last_number(Table::Payloads, key)?);
            let (id, _) = point::decode_payload(body)?;
            match walk.current.get_mut(&version) {
                Some((owner, has_payload)) if *owner == id => *has_payload = true,
                Some((owner, _)) => {
                    let owner = *owner;
                    walk.fault(format!("version {} of point {owner} holds the payload of {id}", version.0));
                }
                None if unlinked.contains(&version) => {}
                None => {
                    walk.fault(format!(
                        "version {} of point {id} is neither current nor unlinked",
                        version.0
                    ));
                }
            }
            Ok(())
        })?;
        let bare: Vec<_> = self.current.values().filter(|(_, has)| !has).map(|(id, _)| *id).collect();
        bare.into_iter().for_each(|id| self.fault(format!("point {id} has no payload row")));
        Ok(())
    }

    fn vectors(&mut self) -> Result<()> {
        let entry = self.entry;
        let spaces: HashMap<u16, Space<'_>> =
            entry.spaces.keys().filter_map(|name| entry.space(name)).collect();
        self.rows(Table::Vectors, |walk, key, body| {
            let space = key.get(4..6).and_then(|space| space.try_into().ok()).map(u16::from_be_bytes);
            let version = keys::last_number(Table::Vectors, key)?;
            let space = space.and_then(|number| spaces.get(&number));
            match space.map(|space| point::decode_vector(*space, body)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => walk.fault(format!("version {version}: {error}")),
                None => walk.fault(format!("a vector of version {version} is of no space")),
            }
            walk.found.vectors += 1;
            Ok(())
        })
    }

    fn counters(&mut self, last: Seqno) {
        match self.store.state(self.entry.id) {
            Err(error) => self.fault(error.to_string()),
            Ok(state) => {
                let points = self.current.len() as u64;
                if state.points != points {
                    self.fault(format!("{} points are counted, {points} exist", state.points));
                }
                if state.seqno > last {
                    self.fault(format!("seqno {} is ahead of the last commit, {last}", state.seqno));
                }
                let newest = self.current.keys().next_back().copied();
                if newest.is_some_and(|newest| newest >= state.next_version) {
                    self.fault("a version is as large as the next one to be given");
                }
            }
        }
    }
}
