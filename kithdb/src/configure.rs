//! Another schema for a collection that lives: settings, codes, vectors that come and go.
//!
//! Invariant: what is stored is never read by a schema that it was not written under. A vector that goes takes its rows
//! with it in the same commit; a part may keep its index for a while, under a name that no schema has. Before a vector
//! of that name comes again, the parts are made anew from storage.
//! Cost: none for settings. A vector that comes or goes begins a new head; sparse ones are read from storage for every
//! part, and writers wait.

use std::sync::Arc;

use index::Body;
use storage::{CatalogEntry, CollectionState, Commit};
use types::{Durability, Error, Result, Schema, Seqno, waypoint};

use crate::derived::{Derived, Laid};
use crate::engine::{Engine, Shared};
use crate::files::StoredRows;
use crate::loading;
use crate::sequencer::Sequencer;

/// What makes one schema of another.
pub(crate) type Change = Box<dyn FnOnce(&mut Schema) -> Result<()> + Send>;

impl Sequencer {
    /// Changes the schema of a collection.
    ///
    /// # Errors
    /// What the change returns; `InvalidArgument` for what cannot be changed; `LimitExceeded`, `Io`, `Poisoned`.
    pub(crate) fn configure(&mut self, shared: &Shared, change: Change) -> Result<Seqno> {
        shared.check_exists()?;
        let engine = Arc::clone(&self.engine);
        let _listing = shared.listing.lock();
        let mut derived = shared.derived.lock();
        let before = Arc::clone(&derived.entry);
        let mut schema = before.schema.clone();
        change(&mut schema)?;
        if schema == before.schema {
            return Ok(self.seqno);
        }
        schema.check(&engine.limits)?;
        check(&before.schema, &schema)?;
        let entry = Arc::new(before.with(schema)?);
        let is_anew = comes_again(&derived, &entry);
        let (seqno, mut commit) = (self.seqno.next(), Commit::new(self.seqno.next()));
        commit.put_collection(&entry);
        for (_, number) in before.spaces.iter().filter(|(name, _)| !entry.spaces.contains_key(*name)) {
            commit.remove_space(entry.id, *number);
        }
        if is_anew {
            commit.forget_segments(entry.id);
        }
        let state = CollectionState { seqno, ..derived.state };
        commit.close_collection(entry.id, &[], &state);
        // Before the commit: what can fail leaves the schema as it was. The rows of a vector that goes are still there,
        // under a number that no other has.
        let anew = is_anew.then(|| loading::load_anew(&engine, shared, &mut derived, &entry)).transpose()?;
        let laid = if is_anew { Vec::new() } else { relaid(&engine, &derived, &entry)? };
        waypoint::pass("schema.laid");
        engine.store.commit(commit, Durability::Fsync)?;
        waypoint::pass("schema.stored");
        self.seqno = seqno;
        shared.history.lock().configure(&entry.schema);
        if let Some(mut loaded) = anew {
            loaded.state = state;
            return loading::replace(&engine, shared, &mut derived, loaded).map(|()| seqno);
        }
        if !before.schema.sparse.keys().eq(entry.schema.sparse.keys()) {
            engine.files(entry.id).adopt_sparse(derived.numbers(), !entry.schema.sparse.is_empty());
        }
        (derived.entry, derived.state) = (entry, state);
        shared.history.lock().commit(seqno, state.next_version, &[]);
        derived.lay(laid);
        shared.publish(&derived);
        Ok(seqno)
    }
}

/// Whether only that changes which can be changed.
fn check(before: &Schema, after: &Schema) -> Result<()> {
    if before.keyword != after.keyword || before.fields != after.fields {
        let message = "keywords cannot be changed, and fields only one by one";
        return Err(Error::invalid("fields", message));
    }
    let dense = |schema: &Schema| schema.vectors.clone().into_iter().chain(schema.multi.clone());
    for (name, spec) in dense(before) {
        let is_same = match (before.multi.contains_key(&name), after.names().any(|other| *other == name)) {
            (_, false) => true,
            (false, _) => after.vectors.get(&name).is_some_and(|other| other.is_stored_as(&spec)),
            (true, _) => after.multi.get(&name).is_some_and(|other| other.is_stored_as(&spec)),
        };
        if !is_same {
            let message = "cannot become another vector; delete it and create it anew";
            return Err(Error::invalid(format!("vectors.{name}"), message));
        }
    }
    Ok(())
}

/// Whether a vector comes that a part still has one of the name of.
fn comes_again(derived: &Derived, entry: &CatalogEntry) -> bool {
    let is_new = |name: &&String| !derived.entry.schema.vectors.contains_key(*name);
    let parts = || derived.rows.parts().iter().filter(|part| part.body.rows() > 0);
    entry.schema.vectors.keys().filter(is_new).any(|name| parts().any(|part| part.body.has_space(name)))
}

/// The parts under another entry, the head that takes rows a new one if there are other vectors.
fn relaid(engine: &Engine, derived: &Derived, entry: &Arc<CatalogEntry>) -> Result<Vec<Laid>> {
    let (before, after) = (&derived.entry.schema, &entry.schema);
    let mut laid = derived.laid();
    if before.has_vectors_of(after) {
        return Ok(laid);
    }
    // An empty head would stand before one with rows.
    laid.retain(|part| part.body.rows() > 0);
    if !before.sparse.keys().eq(after.sparse.keys()) {
        let names: Vec<String> = after.sparse.keys().cloned().collect();
        let stored = StoredRows { store: &engine.store, entry: Arc::clone(entry), progress: &() };
        let files = engine.files(entry.id);
        for part in &mut laid {
            part.sparse = match (&part.body, part.number) {
                (Body::Segment(segment), Some(number)) => {
                    files.write_next_sparse((number, segment), &stored)?
                }
                _ => stored.sparse(&part.body, &names)?,
            };
        }
    }
    laid.push(derived.new_head(entry));
    Ok(laid)
}
