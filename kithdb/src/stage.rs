//! Staging: what a write does, worked out against the current versions, before anything is changed.
//!
//! Cost: one batched look-up of the ids of a write. A write that fails here leaves no trace: its part of the overlay
//! is dropped with it.

use std::collections::HashMap;
use std::sync::Arc;

use storage::{CollectionState, Commit, JournalOp};
use types::{CollectionId, Error, ErrorKind, Filter, Op, Point, PointId, Result, Seqno, Version};

use crate::derived::{Derived, Effect};
use crate::engine::Shared;

/// What earlier writes of the same group have staged and the published state does not show yet.
#[derive(Default)]
pub(crate) struct Overlay {
    collections: HashMap<CollectionId, Pending>,
}

#[derive(Clone)]
struct Pending {
    state: CollectionState,
    current: HashMap<PointId, Option<Version>>,
}

/// One write, staged: its rows, and what it will do to derived state.
pub(crate) struct Staged {
    pub(crate) commit: Commit,
    pub(crate) parts: Vec<Part>,
}

/// The part of a staged write that concerns one collection.
pub(crate) struct Part {
    pub(crate) shared: Arc<Shared>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) state: CollectionState,
    current: HashMap<PointId, Option<Version>>,
}

/// The operations of one write on one collection.
pub(crate) type Target = (Arc<Shared>, Vec<Op>);

impl Overlay {
    /// The counters of a collection after the writes staged so far.
    fn state(&self, derived: &Derived) -> CollectionState {
        self.collections.get(&derived.entry.id).map_or(derived.state, |pending| pending.state)
    }

    /// Takes a staged write in: later ones see it.
    pub(crate) fn admit(&mut self, staged: &Staged) {
        for part in &staged.parts {
            let pending = self
                .collections
                .entry(part.shared.id)
                .or_insert_with(|| Pending { state: part.state, current: HashMap::new() });
            pending.state = part.state;
            pending.current.extend(&part.current);
        }
    }
}

/// Stages a write. `derived` gives the locked state of each collection it names.
///
/// # Errors
/// `NotFound` for a dropped collection; `Io` or `Corrupted` from look-ups.
pub(crate) fn stage<'a>(
    targets: Vec<Target>,
    seqno: Seqno,
    overlay: &Overlay,
    derived: impl Fn(CollectionId) -> Option<&'a Derived>,
) -> Result<Staged> {
    let mut commit = Commit::new(seqno);
    let mut parts: Vec<Part> = Vec::with_capacity(targets.len());
    for (shared, ops) in targets {
        let derived = derived(shared.id).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a write was staged without its collection's lock")
        })?;
        parts.push(Stage::begin(&shared, seqno, overlay, derived, &ops)?.run(ops, &mut commit)?);
    }
    Ok(Staged { commit, parts })
}

/// The work on one collection of one write.
struct Stage<'a> {
    shared: &'a Arc<Shared>,
    derived: &'a Derived,
    state: CollectionState,
    /// Current versions of every id that the write names, or that an earlier operation of it changed.
    current: HashMap<PointId, Option<Version>>,
    ops: Vec<JournalOp>,
    effects: Vec<Effect>,
}

impl<'a> Stage<'a> {
    fn begin(
        shared: &'a Arc<Shared>,
        seqno: Seqno,
        overlay: &Overlay,
        derived: &'a Derived,
        ops: &[Op],
    ) -> Result<Self> {
        shared.check_exists()?;
        let state = CollectionState { seqno, ..overlay.state(derived) };
        let pending = overlay.collections.get(&shared.id);
        let mut current = HashMap::new();
        let mut unknown = Vec::new();
        for id in ops.iter().flat_map(named_ids) {
            match pending.and_then(|pending| pending.current.get(&id)) {
                Some(version) => drop(current.insert(id, *version)),
                None => unknown.push(id),
            }
        }
        let versions = derived.store.versions(shared.id, &unknown)?;
        current.extend(unknown.into_iter().zip(versions));
        Ok(Self { shared, derived, state, current, ops: Vec::new(), effects: Vec::new() })
    }

    fn run(mut self, ops: Vec<Op>, commit: &mut Commit) -> Result<Part> {
        for op in ops {
            match op {
                Op::Upsert(point) => self.put(point, commit),
                Op::Delete(ids) => ids.into_iter().for_each(|id| self.remove(id, commit)),
                Op::DeleteWhere(filter) => {
                    self.matching(&filter)?.into_iter().for_each(|id| self.remove(id, commit));
                }
            }
        }
        commit.close_collection(self.shared.id, &self.ops, &self.state);
        let Self { shared, state, current, effects, .. } = self;
        Ok(Part { shared: Arc::clone(shared), effects, state, current })
    }

    fn put(&mut self, point: Point, commit: &mut Commit) {
        let version = self.state.next_version;
        self.state.next_version = Version(version.0 + 1);
        let old = self.current.insert(point.id, Some(version)).flatten();
        self.state.points += u64::from(old.is_none());
        commit.put_point(&self.derived.entry, version, &point);
        self.ops.push(JournalOp::Put { id: point.id, new: version, old });
        self.effects.push(Effect { new: Some((version, point)), old });
    }

    fn remove(&mut self, id: PointId, commit: &mut Commit) {
        let Some(old) = self.current.insert(id, None).flatten() else { return };
        self.state.points -= 1;
        commit.remove_point(self.shared.id, id);
        self.ops.push(JournalOp::Remove { id, old });
        self.effects.push(Effect { new: None, old: Some(old) });
    }

    /// The points that match now: of the published state, as far as this write has not touched them, and of what this
    /// write has put. (A write with a filter is the first of its group, so the published state is the current one.)
    fn matching(&mut self, filter: &Filter) -> Result<Vec<PointId>> {
        let view = self.derived.view();
        let page = query::scroll(&view, filter, None, usize::MAX - 1)?;
        let filter = query::analysed(filter.clone(), &view.entry.schema);
        let touched: HashMap<PointId, bool> = self
            .effects
            .iter()
            .filter_map(|effect| effect.new.as_ref())
            .map(|(_, point)| (point.id, filter.matches_point(point)))
            .collect();
        let removed = |id: &PointId| self.current.get(id) == Some(&None);
        let stored: Vec<(PointId, Option<Version>)> = page
            .slots
            .iter()
            .map(|slot| (view.id(*slot), view.rows.version(*slot)))
            .filter(|(id, _)| !touched.contains_key(id) && !removed(id))
            .collect();
        let mut ids: Vec<PointId> = stored.iter().map(|(id, _)| *id).collect();
        self.current.extend(stored);
        ids.extend(touched.into_iter().filter_map(|(id, matches)| matches.then_some(id)));
        Ok(ids)
    }
}

fn named_ids(op: &Op) -> Vec<PointId> {
    match op {
        Op::Upsert(point) => vec![point.id],
        Op::Delete(ids) => ids.clone(),
        Op::DeleteWhere(_) => Vec::new(),
    }
}
