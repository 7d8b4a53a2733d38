//! Staging: what a write does, worked out against the current versions, before anything is changed.
//!
//! Cost: one batched look-up of the ids of a write, but for those that are known to be new; what an operation must know
//! of the points themselves is read on the way (`changes`). A write that fails here leaves no trace: its part of the
//! overlay is dropped with it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use query::{Matched, Page, View};
use storage::{CollectionState, Commit, JournalOp};
use types::{
    CollectionId, Error, ErrorKind, Filter, Limits, Op, Point, PointId, Result, Schema, Seqno, Vector,
    VectorSpec, Version,
};

use crate::derived::{Derived, Effect};
use crate::early::{Turn, late};
use crate::engine::Shared;
use crate::prepared::Prepared;

/// A point as it is at some step of staging.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) version: Version,
    /// The point, if a write of this group put it: storage does not have it yet.
    pub(crate) staged: Option<Arc<Point>>,
}

/// Points by id; those that do not exist are `None`.
type Points = HashMap<PointId, Option<Current>>;

/// What earlier writes of the same group have staged and the published state does not show yet.
#[derive(Default)]
pub(crate) struct Overlay {
    collections: HashMap<CollectionId, Pending>,
}

struct Pending {
    state: CollectionState,
    current: Points,
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
    /// The texts of what it puts, if they are prepared.
    pub(crate) texts: Option<Prepared>,
    pub(crate) state: CollectionState,
    current: Points,
}

/// The operations of one write on one collection.
pub(crate) type Target = (Arc<Shared>, Vec<Op>);

impl Overlay {
    /// The counters of a collection after the writes staged so far.
    fn state(&self, derived: &Derived) -> CollectionState {
        self.collections.get(&derived.entry.id).map_or(derived.state, |pending| pending.state)
    }

    /// Whether none of the points that operations name exists or has been staged, as far as that is known without a
    /// look.
    pub(crate) fn are_new<'a>(
        &self,
        targets: &[Target],
        derived: impl Fn(CollectionId) -> Option<&'a Derived>,
    ) -> bool {
        targets.iter().all(|(shared, ops)| {
            let Some(derived) = derived(shared.id) else { return false };
            let staged = self.collections.get(&shared.id).map(|pending| &pending.current);
            let mut are_new = true;
            let mut look = |id: PointId| {
                are_new &= derived.is_new(id) && staged.is_none_or(|staged| !staged.contains_key(&id));
            };
            ops.iter().for_each(|op| op.each_id(&mut look));
            are_new
        })
    }

    /// Takes a staged write in: later ones see it.
    pub(crate) fn admit(&mut self, staged: &mut Staged) {
        for part in &mut staged.parts {
            let pending = self
                .collections
                .entry(part.shared.id)
                .or_insert_with(|| Pending { state: part.state, current: HashMap::new() });
            pending.state = part.state;
            pending.current.extend(std::mem::take(&mut part.current));
        }
    }
}

impl Staged {
    /// Forgets what later writes of the group would see, where there are none: points are then held by their effects
    /// alone.
    pub(crate) fn close(&mut self) {
        self.parts.iter_mut().for_each(|part| part.current = Points::new());
    }
}

/// Stages a write. `derived` gives the locked state of each collection it names, which is one target only.
///
/// # Errors
/// `NotFound` for a dropped collection; what an operation cannot do, naming it (`targets[1].ops[3]`); `Io` or
/// `Corrupted` from look-ups.
pub(crate) fn stage<'a>(
    targets: Vec<Target>,
    seqno: Seqno,
    overlay: &Overlay,
    turn: Turn<'_>,
    derived: impl Fn(CollectionId) -> Option<&'a Derived>,
) -> Result<Staged> {
    let mut commit = Commit::new(seqno);
    let mut parts: Vec<Part> = Vec::with_capacity(targets.len());
    for (position, (shared, ops)) in targets.into_iter().enumerate() {
        // Two targets would give the same versions.
        if parts.iter().any(|part| part.shared.id == shared.id) {
            return Err(Error::new(ErrorKind::Internal, "a write names a collection in two targets"));
        }
        let derived = derived(shared.id).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a write was staged without its collection's lock")
        })?;
        let stage = Stage::begin(&shared, seqno, overlay, turn, derived, &ops)?;
        let early = |op: usize| turn.early.get(position, op);
        let part = stage.run(ops, early, &mut commit);
        parts.push(part.map_err(|error| placed(error, "targets", position))?);
    }
    Ok(Staged { commit, parts })
}

/// The error of an element of a list, if it is about what the caller gave.
pub(crate) fn placed(error: Error, list: &str, position: usize) -> Error {
    if error.field().is_some() { error.within(&format!("{list}[{position}]")) } else { error }
}

/// The work on one collection of one write.
pub(crate) struct Stage<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) derived: &'a Derived,
    pub(crate) limits: &'a Limits,
    /// Until when filters may look for points.
    until: Instant,
    /// What the filter of the operation matched before.
    early: Option<&'a Matched>,
    state: CollectionState,
    /// Every id that the write names, or that an operation found.
    pub(crate) current: Points,
    ops: Vec<JournalOp>,
    effects: Vec<Effect>,
}

impl<'a> Stage<'a> {
    fn begin(
        shared: &'a Arc<Shared>,
        seqno: Seqno,
        overlay: &Overlay,
        turn: Turn<'a>,
        derived: &'a Derived,
        ops: &[Op],
    ) -> Result<Self> {
        shared.check_exists()?;
        let state = CollectionState { seqno, ..overlay.state(derived) };
        let pending = overlay.collections.get(&shared.id);
        let size: usize = ops.iter().map(Op::size).sum();
        let mut current = Points::with_capacity(size);
        let mut unknown = Vec::new();
        let mut look = |id: PointId| {
            // A point that is required and put is looked up once.
            let Entry::Vacant(place) = current.entry(id) else { return };
            let known = pending.and_then(|pending| pending.current.get(&id));
            if known.is_none() && !derived.is_new(id) {
                unknown.push(id);
            }
            place.insert(known.cloned().flatten());
        };
        ops.iter().for_each(|op| op.each_id(&mut look));
        let versions = derived.store.versions(shared.id, &unknown)?;
        // Those that do not exist are noted as that already.
        let found = unknown.into_iter().zip(versions).filter(|(_, version)| version.is_some());
        current.extend(found.map(|(id, version)| (id, stored(version))));
        let Turn { limits, until, .. } = turn;
        let (ops, effects) = (Vec::with_capacity(size), Vec::with_capacity(size));
        Ok(Self { shared, derived, limits, until, early: None, state, current, ops, effects })
    }

    fn run(
        mut self,
        ops: Vec<Op>,
        early: impl Fn(usize) -> Option<&'a Matched>,
        commit: &mut Commit,
    ) -> Result<Part> {
        // Two rows of a point, and one of each of its vectors.
        commit.reserve(ops.len() * (2 + self.derived.entry.schema.names().count()));
        for (position, op) in ops.into_iter().enumerate() {
            self.early = early(position);
            self.perform(op, commit).map_err(|error| placed(error, "ops", position))?;
        }
        commit.close_collection(self.shared.id, &self.ops, &self.state);
        let Self { shared, state, current, effects, .. } = self;
        Ok(Part { shared: Arc::clone(shared), effects, texts: None, state, current })
    }

    fn perform(&mut self, op: Op, commit: &mut Commit) -> Result<()> {
        match op {
            Op::Upsert(point) => self.put(point, commit)?,
            Op::UpsertWhere { points, mode, update_filter } => {
                self.upsert_where(points, mode, &update_filter, commit)?;
            }
            Op::UpdateVectors { points, update_filter } => {
                self.update_vectors(points, &update_filter, commit)?;
            }
            Op::Change(selection, change) => self.change(selection, &change, commit)?,
            Op::Delete(ids) => ids.into_iter().for_each(|id| self.remove(id, commit)),
            Op::DeleteWhere(filter) => {
                let ids = self.matching(&filter, self.limits.delete_points_max)?;
                // Lists of millions that grow by doubling take half as much again.
                self.ops.reserve_exact(ids.len());
                self.effects.reserve_exact(ids.len());
                commit.reserve(ids.len());
                ids.into_iter().for_each(|id| self.remove(id, commit));
            }
            Op::Require { id, if_version } => self.require(id, if_version)?,
        }
        Ok(())
    }

    /// Versions written and removed so far.
    pub(crate) fn written(&self) -> usize {
        self.ops.len()
    }

    /// # Errors
    /// `InvalidArgument` when the vectors of the collection have changed since the point was checked.
    pub(crate) fn put(&mut self, point: Point, commit: &mut Commit) -> Result<()> {
        fits(&point, &self.derived.entry.schema)?;
        let version = self.state.next_version;
        self.state.next_version = Version(version.0 + 1);
        let (id, point) = (point.id, Arc::new(point));
        let current = Current { version, staged: Some(Arc::clone(&point)) };
        let old = self.current.insert(id, Some(current)).flatten().map(|old| old.version);
        self.state.points += u64::from(old.is_none());
        commit.put_point(&self.derived.entry, version, &point);
        self.ops.push(JournalOp::Put { id, new: version, old });
        self.effects.push(Effect { new: Some((version, point)), old });
        Ok(())
    }

    fn remove(&mut self, id: PointId, commit: &mut Commit) {
        let Some(Current { version: old, .. }) = self.current.insert(id, None).flatten() else { return };
        self.state.points -= 1;
        commit.remove_point(self.shared.id, id);
        self.ops.push(JournalOp::Remove { id, old });
        self.effects.push(Effect { new: None, old: Some(old) });
    }

    /// The points that match now, ascending: of the published state, as far as this write has not touched them, and of
    /// what this write has put. (A write by filter is the first of its group, so the published state is the current
    /// one.) All of it is held in memory until it is written, so there is a limit on what the commit may write.
    ///
    /// # Errors
    /// `LimitExceeded` and `DeadlineExceeded` on `filter`; from look-ups.
    pub(crate) fn matching(&mut self, filter: &Filter, points_max: usize) -> Result<Vec<PointId>> {
        let view = self.derived.view();
        let refused = |count: usize| {
            Error::limit("filter", "the number of points to write in one commit", count, points_max)
        };
        // The published state has points that this write has touched as well.
        let most = points_max.saturating_add(self.current.len()).min(usize::MAX - 1);
        let page = self.page(&view, filter, most).map_err(late)?;
        if page.next.is_some() {
            return Err(refused(query::count(&view, filter, Some(self.until)).map_err(late)?));
        }
        if page.slots.len() > most {
            return Err(refused(page.slots.len()));
        }
        let filter = query::analysed(filter.normalised(), &view.entry.schema);
        let put =
            self.current.iter().filter_map(|(id, current)| Some((id, current.as_ref()?.staged.as_ref()?)));
        let mut ids: Vec<PointId> =
            put.filter(|(_, point)| filter.matches_point_normal(point)).map(|(id, _)| *id).collect();
        for (id, slot) in page.slots.iter().map(|slot| (view.id(*slot), *slot)) {
            let current = self.current.entry(id).or_insert_with(|| stored(view.rows.version(slot)));
            if current.as_ref().is_some_and(|current| current.staged.is_none()) {
                ids.push(id);
            }
        }
        let count = self.written() + ids.len();
        if count > points_max {
            return Err(refused(count));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The slots that a filter matches: what was found before its turn, brought up to date, or the first so many.
    fn page(&self, view: &View, filter: &Filter, most: usize) -> Result<Page> {
        let until = Some(self.until);
        if let Some(early) = self.early
            && let Some(slots) = early.at(view, filter, self.derived.state.next_version, until)?
        {
            return Ok(Page { slots, next: None });
        }
        query::scroll(view, filter, (None, most), until)
    }
}

fn stored(version: Option<Version>) -> Option<Current> {
    version.map(|version| Current { version, staged: None })
}

/// A point was checked against the schema of a moment ago: its vectors may be others by now.
fn fits(point: &Point, schema: &Schema) -> Result<()> {
    let is_other = |(name, vector): &&(String, Vector)| {
        let of = |spec: &VectorSpec, elements: &[f32]| spec.dim == elements.len();
        let dense = schema.vectors.get(name).map(|spec| vector.dense().is_some_and(|row| of(spec, row)));
        let multi = schema.multi.get(name);
        let multi = multi.map(|spec| vector.multi().is_some_and(|rows| rows.iter().all(|row| of(spec, row))));
        let sparse = schema.sparse.get(name).map(|_| vector.sparse().is_some());
        !dense.or(multi).or(sparse).unwrap_or(true)
    };
    point.vectors.iter().find(is_other).map_or(Ok(()), |(name, _)| {
        Err(Error::invalid(format!("vector.{name}"), "is another vector since a moment ago; write it anew"))
    })
}
