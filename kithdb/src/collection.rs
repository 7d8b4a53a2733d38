//! A collection: what is written to it, and where it stands. What it is asked stands in `asking`.
//!
//! Invariant: a write returns when its commit is as durable as was asked, and every view from then on shows it; one
//! that is refused changed nothing.
//! Cost: a write waits for the group that it is committed with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use index::Body;
use query::{MeasuredRecall, View};
use types::{
    Change, Durability, Error, FieldKind, FieldPath, Filter, Limits, Op, Payload, Point, PointId, Result,
    Schema, Selection, Seqno, Times, Value, Vectors, Version,
};

use crate::asked::{Asked, Operation};
use crate::building::BuildStatus;
use crate::drift::Drift;
use crate::engine::{Engine, Shared};
use crate::sequencer::Order;
use crate::workers::Workers;

/// Payloads read at once.
const BLOCK_POINTS: usize = 4096;

/// A handle on a collection. Clones are cheap and share it.
#[derive(Clone)]
pub struct Collection {
    pub(crate) engine: Arc<Engine>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) shared: Arc<Shared>,
    /// Until when filters of writes may look for points, if that is bound.
    pub(crate) deadline: Option<Instant>,
}

/// What an acknowledged write was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The commit that holds it. Every later view shows it.
    pub seqno: Seqno,
}

/// One page of points in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The points.
    pub points: Vec<Point>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<PointId>,
}

/// Where a collection stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Points that exist.
    pub points: usize,
    /// The last commit.
    pub seqno: Seqno,
    /// Writes of points that were committed since it was opened.
    pub writes: u64,
    /// Vectors that the graphs cover, over all spaces.
    pub vectors_linked: usize,
    /// Vectors there are, over all spaces.
    pub vectors: usize,
    /// The same by space: vectors, dead ones included, and those that a graph covers; of sparse vectors all are found
    /// by lists.
    pub spaces: BTreeMap<String, SpaceStatus>,
    /// Documents that the keyword index has not committed; they are searched all the same.
    pub keyword_pending: usize,
    /// Commits that the durable keyword index lags behind.
    pub keyword_lag: u64,
    /// Bytes of the indexes in memory, approximately. Segments are mapped, and not counted.
    pub index_bytes: usize,
    /// Of these, those of the heads.
    pub head_bytes: usize,
    /// And those of the fields.
    pub field_bytes: usize,
    /// And those of the sparse vectors.
    pub sparse_bytes: usize,
    /// Heads.
    pub heads: usize,
    /// Rows, in segments and heads, that are dead.
    pub dead_rows: usize,
    /// The segments, by version.
    pub segments: Vec<SegmentStatus>,
    /// Rows, dead ones included, that no segment holds.
    pub head_rows: usize,
    /// Of these, the rows that wait to become a segment.
    pub waiting_rows: usize,
    /// What is being built.
    pub build: Option<BuildStatus>,
    /// How long the builds took that have ended since it was opened.
    pub builds: Times,
    /// Why the last build failed, if it did; it is tried again.
    pub failure: Option<String>,
    /// What live queries have found of the true hits, by vector space and by what their filters let through.
    pub recall: Vec<MeasuredRecall>,
    /// How far what comes in, and what is asked with, differs from the collection, as far as that was looked at.
    pub drift: Vec<Drift>,
}

/// The vectors of a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceStatus {
    /// Vectors there are.
    pub vectors: usize,
    /// Vectors that need no scan to be found.
    pub linked: usize,
    /// Vectors that wait for nothing to be built over them: those, and the few that a scan finds faster.
    pub settled: usize,
}

/// A segment of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStatus {
    /// Its rows.
    pub rows: usize,
    /// Of these, the rows that are dead.
    pub dead_rows: usize,
    /// Bytes of its file.
    pub bytes: u64,
}

impl Collection {
    /// The same collection, where a write whose filter has not found its points by then changes nothing, and a
    /// [count](Self::count) fails. Without it a filter may look for as long as it likes beforehand, and for ten seconds
    /// while other writes wait for it.
    #[must_use]
    pub fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its schema as it is now.
    pub fn schema(&self) -> Schema {
        self.shared.view.load().entry.schema.clone()
    }

    /// One of the settings, if it was set (see [`Schema::settings`]); cheaper than the whole schema.
    pub fn setting(&self, name: &str) -> Option<Value> {
        self.shared.view.load().entry.schema.settings.get(name).cloned()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.engine.limits
    }

    /// Inserts points, or replaces those that exist: vectors, payload and keywords together.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field (`points[3].vector[2]`); then nothing was written.
    /// `NotFound` when the collection was dropped. `Io`, `Poisoned`.
    pub fn upsert(&self, points: Vec<Point>) -> Result<Receipt> {
        let receipt = self.apply(points.into_iter().map(Op::Upsert).collect());
        receipt.map_err(|error| error.relocated("ops", |position| format!("points[{position}]")))
    }

    /// Deletes points; ids that do not exist are passed over.
    ///
    /// # Errors
    /// As for [`Collection::upsert`].
    pub fn delete(&self, ids: Vec<PointId>) -> Result<Receipt> {
        self.apply(vec![Op::Delete(ids)])
    }

    /// Deletes every point that a filter matches, in one commit.
    ///
    /// # Errors
    /// As for [`Collection::upsert`]; `LimitExceeded` when it matches more than `delete_points_max` points: narrow it;
    /// `DeadlineExceeded` when these are not found in time.
    pub fn delete_where(&self, filter: Filter) -> Result<Receipt> {
        self.apply(vec![Op::DeleteWhere(filter)])
    }

    /// Changes a part of points: their payload, or which vectors they have.
    ///
    /// # Errors
    /// As for [`Collection::apply`], naming the part at fault (`points[2]`, `payload`, `filter`).
    pub fn change(&self, points: Selection, change: Change) -> Result<Receipt> {
        self.apply(vec![Op::Change(points, change)]).map_err(only_op)
    }

    /// Gives points that exist these vectors; their other vectors stay.
    ///
    /// # Errors
    /// As for [`Collection::change`].
    pub fn update_vectors(&self, points: Vec<(PointId, Vectors)>) -> Result<Receipt> {
        self.apply(vec![Op::UpdateVectors { points, update_filter: Filter::default() }]).map_err(only_op)
    }

    /// Applies operations in order, in one commit, all or none.
    ///
    /// # Errors
    /// As for [`Collection::upsert`], naming the operation (`ops[3].vector[2]`). `NotFound` for a point that is to be
    /// changed and does not exist, `Conflict` when a version is not the one required, `DeadlineExceeded` when a filter
    /// takes too long; then nothing was written.
    pub fn apply(&self, ops: Vec<Op>) -> Result<Receipt> {
        self.apply_with(ops, self.engine.durability)
    }

    /// As [`Collection::apply`], with a durability of its own.
    ///
    /// # Errors
    /// As for [`Collection::upsert`].
    pub fn apply_with(&self, ops: Vec<Op>, durability: Durability) -> Result<Receipt> {
        let asked = Asked::of(&self.engine, &self.shared.name, Operation::Write);
        self.shared.check_exists()?;
        let ops = self.checked(ops)?;
        let targets = vec![(Arc::clone(&self.shared), ops)];
        let written = self.workers.write(targets, durability, self.deadline, asked.span());
        let seqno = written.map_err(|error| error.relocated("targets", |_| String::new()))?;
        asked.answered(0);
        Ok(Receipt { seqno })
    }

    /// Indexes a payload field of the points that exist and of those to come. Writers wait while every payload is
    /// read once.
    ///
    /// # Errors
    /// `NotFound` when the collection was dropped, `Io`, `Poisoned`.
    pub fn create_field(&self, path: FieldPath, kind: FieldKind) -> Result<Receipt> {
        self.set_field(path, Some((kind, Payload::new())))
    }

    /// As [`create_field`](Self::create_field), with options: those of a text field decide which texts match, others
    /// are only kept. `params` are as in Qdrant's `field_schema`.
    ///
    /// # Errors
    /// As for [`Collection::create_field`]; `InvalidArgument` naming the option.
    pub fn create_field_with(&self, path: FieldPath, kind: FieldKind, params: Payload) -> Result<Receipt> {
        types::text::check_params(kind, &params).map_err(|error| error.within("field_schema"))?;
        self.set_field(path, Some((kind, params)))
    }

    /// Removes the index of a payload field; filters on it still work, by reading payloads.
    ///
    /// # Errors
    /// As for [`Collection::create_field`].
    pub fn drop_field(&self, path: FieldPath) -> Result<Receipt> {
        self.set_field(path, None)
    }

    fn set_field(&self, path: FieldPath, index: Option<(FieldKind, Payload)>) -> Result<Receipt> {
        let shared = Arc::clone(&self.shared);
        let seqno = self.workers.order(|reply| Order::SetField { shared, path, index, reply })?;
        Ok(Receipt { seqno })
    }

    /// Changes the schema in place: settings, recall, codes (of segments that are made from then on), what is said of
    /// sparse vectors, and which vectors there are. A vector that is gone from the schema is gone from every point.
    ///
    /// # Errors
    /// What `change` returns; `InvalidArgument` for what cannot be changed; `NotFound` when the collection was dropped;
    /// `LimitExceeded`, `Io`, `Poisoned`.
    pub fn configure(
        &self,
        change: impl FnOnce(&mut Schema) -> Result<()> + Send + 'static,
    ) -> Result<Receipt> {
        let (shared, change) = (Arc::clone(&self.shared), Box::new(change));
        let seqno = self.workers.order(|reply| Order::Configure { shared, change, reply })?;
        Ok(Receipt { seqno })
    }

    /// Makes one segment of all rows that there are now, without dead ones: the form that is fastest to search. With
    /// `wait` it returns when that is done; [`Collection::status`] tells how far it is. Rows that come meanwhile are
    /// not waited for.
    ///
    /// # Errors
    /// `NotFound` when the collection was dropped; with `wait`, `Io` when the segment could not be written.
    pub fn optimize(&self, wait: bool) -> Result<()> {
        self.shared.check_exists()?;
        let request = self.shared.building.ask();
        self.workers.merger.ring();
        if wait { self.shared.building.wait(request, || self.shared.check_exists()) } else { Ok(()) }
    }

    /// Bytes of all payloads as they are stored, and the commit that they are of. Every one of them is read.
    ///
    /// # Errors
    /// `Corrupted`, `Io`.
    pub fn payload_bytes(&self) -> Result<(u64, Seqno)> {
        let view = self.shared.view.load_full();
        let versions: Vec<Version> = view.alive.iter().filter_map(|slot| view.rows.version(slot)).collect();
        let count = |block: &[Version]| view.store.payload_bytes(view.entry.id, block);
        let bytes: Result<u64> = versions.chunks(BLOCK_POINTS).map(count).sum();
        Ok((bytes?, view.seqno))
    }

    /// Bytes of its payloads in storage, about; those of the last writes are not counted yet.
    pub fn payload_bytes_stored(&self) -> u64 {
        self.engine.store.payload_bytes_stored(self.shared.id)
    }

    /// Compares what has come in, and what the collection was asked with, with the collection as it is now.
    /// [`Status::drift`] tells what was found in the background, which looks when something has changed.
    ///
    /// # Errors
    /// `NotFound` when the collection was dropped; `Corrupted`, `Io`.
    pub fn drift(&self) -> Result<Vec<Drift>> {
        self.shared.check_exists()?;
        self.shared.drifts.look(&self.shared.view.load_full())
    }

    /// Where the collection stands.
    pub fn status(&self) -> Status {
        let view = self.shared.view.load_full();
        let keyword = self.shared.keyword.load_full();
        let parts = view.rows.parts();
        let (mut segments, mut heads) = (Vec::new(), Vec::new());
        for part in parts {
            match &part.body {
                Body::Segment(segment) => segments.push(SegmentStatus {
                    rows: segment.rows() as usize,
                    dead_rows: segment.rows() as usize - view.alive.count_in(part.slots()),
                    bytes: segment.bytes(),
                }),
                Body::Head(head) => heads.push(head),
            }
        }
        let spaces = spaces(&view);
        let dense = || view.entry.schema.vectors.keys().filter_map(|name| spaces.get(name));
        let head_rows = heads.iter().map(|head| head.rows() as usize).sum::<usize>();
        let rows = head_rows + segments.iter().map(|segment| segment.rows).sum::<usize>();
        let head_bytes = heads.iter().map(|head| head.bytes()).sum::<usize>();
        let (field_bytes, sparse_bytes) = (view.fields.bytes(), view.sparse.bytes());
        let waiting = heads.len().saturating_sub(1);
        Status {
            points: view.points(),
            seqno: view.seqno,
            writes: self.shared.writes.load(Ordering::Relaxed),
            vectors_linked: dense().map(|space| space.linked).sum(),
            vectors: dense().map(|space| space.vectors).sum(),
            keyword_pending: keyword.as_ref().map_or(0, |keyword| keyword.pending()),
            keyword_lag: keyword.map_or(0, |keyword| view.seqno.0.saturating_sub(keyword.seqno().0)),
            index_bytes: head_bytes + field_bytes + sparse_bytes,
            head_bytes,
            field_bytes,
            sparse_bytes,
            heads: heads.len(),
            dead_rows: rows.saturating_sub(view.points()),
            segments,
            head_rows,
            waiting_rows: heads[..waiting].iter().map(|head| head.rows() as usize).sum(),
            build: self.shared.building.status(),
            builds: self.shared.building.done(),
            failure: self.shared.building.failure(),
            recall: view.observed.measured(),
            drift: self.shared.drifts.found(),
            spaces,
        }
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// The vectors of each space, as far as parts count them.
fn spaces(view: &View) -> BTreeMap<String, SpaceStatus> {
    let mut spaces = BTreeMap::new();
    let heads = view.rows.parts().iter().filter(|part| matches!(part.body, Body::Head(_))).count();
    // Where there are several heads, all wait to become segments.
    let is_waiting = heads > 1;
    for (number, part) in view.rows.parts().iter().enumerate() {
        for name in view.entry.schema.vectors.keys() {
            let (vectors, linked) = (part.body.vectors(name) as usize, part.body.linked(name) as usize);
            let space: &mut SpaceStatus = spaces.entry(name.clone()).or_default();
            space.vectors += vectors;
            space.linked += linked.min(vectors);
            let settled = if is_waiting { linked } else { part.body.settled(name) as usize };
            space.settled += settled.min(vectors);
        }
        for name in view.entry.schema.sparse.keys() {
            let vectors = view.sparse.sizes(number, name, &[]).map_or(0, |(vectors, _)| vectors);
            let space: &mut SpaceStatus = spaces.entry(name.clone()).or_default();
            space.vectors += vectors;
            space.linked += vectors;
            space.settled += vectors;
        }
    }
    spaces
}

/// The error of the only operation of a write.
fn only_op(error: Error) -> Error {
    error.relocated("ops", |_| String::new())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use types::Language;

    use crate::{Database, Point, Schema};

    #[test]
    fn who_only_looks_waits_for_no_commit() {
        let db = Database::in_memory().expect("a database");
        let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::English);
        let notes = db.create_collection("notes", schema).expect("a collection");
        notes.upsert(vec![Point::new(1).with("text", "kept")]).expect("a point");
        let held = notes.shared.derived.lock();
        let (sender, looked) = mpsc::channel();
        let other = notes.clone();
        let looker = std::thread::spawn(move || drop(sender.send(other.status())));
        let status = looked.recv_timeout(Duration::from_secs(30)).expect("not held up");
        drop(held);
        looker.join().expect("no panic");
        assert_eq!(status.points, 1);
    }
}
