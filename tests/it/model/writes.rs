//! What writes do to the plain model, and which of them must be refused.

use std::collections::BTreeSet;

use kithdb::{Change as Part, ErrorKind, Op, Point, PointId, Selection, UpsertMode, Vectors};

use super::draft::{Change, Guess, PartDraft};
use super::plain::{MULTI, Plain, SPARSE, fault_of};

/// Why a write must be refused: the kind, and the field behind the operation.
pub(crate) type Fault = (ErrorKind, String);

impl Plain {
    /// What the database is asked for. Versions are looked up as they will be when their operation is reached.
    pub(crate) fn ops(&self, changes: &[Change]) -> Vec<Op> {
        let mut ahead = self.clone();
        let mut ops = Vec::new();
        for change in changes {
            let op = ahead.op(change);
            if ahead.refusal(&op).is_none() {
                ahead.perform(&op);
            }
            ops.push(op);
        }
        ops
    }

    fn op(&self, change: &Change) -> Op {
        match change {
            Change::Upsert(draft) => Op::Upsert(self.point(draft)),
            Change::UpsertWhere(drafts, mode, filter) => Op::UpsertWhere {
                points: drafts.iter().map(|draft| self.point(draft)).collect(),
                mode: *mode,
                update_filter: filter.clone(),
            },
            Change::UpdateVectors(drafts, filter) => Op::UpdateVectors {
                points: drafts.iter().map(|draft| (draft.id, self.point(draft).vectors)).collect(),
                update_filter: filter.clone(),
            },
            Change::Part(selection, part) => Op::Change(selection.clone(), self.part(part)),
            Change::Delete(ids) => Op::Delete(ids.clone()),
            Change::DeleteWhere(filter) => Op::DeleteWhere(filter.clone()),
            Change::Require(id, guess) => {
                let version = self.versions.get(id).copied().unwrap_or(0);
                let if_version = match guess {
                    Guess::Right => version,
                    Guess::Absent => 0,
                    Guess::Stale => version.saturating_sub(1),
                };
                Op::Require { id: *id, if_version }
            }
        }
    }

    fn part(&self, part: &PartDraft) -> Part {
        let path = |path: &&str| path.parse().expect("a path");
        match part {
            PartDraft::Set(payload, below) => {
                Part::SetPayload { payload: payload.clone(), path: below.as_ref().map(path) }
            }
            PartDraft::Overwrite(payload) => Part::OverwritePayload(payload.clone()),
            PartDraft::Delete(paths) => Part::DeletePayload(paths.iter().map(path).collect()),
            PartDraft::Clear => Part::ClearPayload,
            PartDraft::DeleteVectors(places) => {
                let names = self.spaces.iter().map(|(name, _)| *name);
                let names: Vec<&str> = names.chain([SPARSE, MULTI]).collect();
                Part::DeleteVectors(
                    places.iter().map(|place| names[place % names.len()].to_owned()).collect(),
                )
            }
        }
    }

    /// The first element that is no number, if there is one: then nothing is applied. All operations are looked at
    /// before any is applied.
    pub(crate) fn bad_vector(&self, ops: &[Op]) -> Option<Fault> {
        let bad = |place: String, vectors: &Vectors| {
            let point = Point { id: 0.into(), vectors: vectors.clone(), payload: kithdb::Payload::new() };
            // Vectors are checked in the order of the point.
            self.spaces.iter().find_map(|(name, _)| {
                let inner = fault_of(point.vector_named(name)?)?;
                let vector = if name.is_empty() { "vector".to_owned() } else { format!("vector.{name}") };
                Some((ErrorKind::InvalidArgument, format!("{place}.{vector}{inner}")))
            })
        };
        ops.iter().enumerate().find_map(|(at, op)| match op {
            Op::Upsert(point) => bad(format!("ops[{at}]"), &point.vectors),
            Op::UpsertWhere { points, .. } => (0..points.len())
                .find_map(|place| bad(format!("ops[{at}].points[{place}]"), &points[place].vectors)),
            Op::UpdateVectors { points, .. } => (0..points.len())
                .find_map(|place| bad(format!("ops[{at}].points[{place}]"), &points[place].1)),
            _ => None,
        })
    }

    /// Applies operations, or says which of them cannot be done; then this model is of no more use.
    pub(crate) fn apply(&mut self, ops: &[Op]) -> Option<Fault> {
        for (at, op) in ops.iter().enumerate() {
            if let Some((kind, field)) = self.refusal(op) {
                return Some((kind, format!("ops[{at}].{field}")));
            }
            self.perform(op);
        }
        None
    }

    fn refusal(&self, op: &Op) -> Option<Fault> {
        let missing = |id: &PointId| !self.points.contains_key(id);
        let absent = |place: usize, member: &str| (ErrorKind::NotFound, format!("points[{place}]{member}"));
        match op {
            Op::Change(Selection::Ids(ids), _) => ids.iter().position(missing).map(|place| absent(place, "")),
            Op::UpdateVectors { points, .. } => {
                points.iter().position(|(id, _)| missing(id)).map(|place| absent(place, ".id"))
            }
            Op::Require { id, if_version } => (self.versions.get(id).copied().unwrap_or(0) != *if_version)
                .then(|| (ErrorKind::Conflict, "if_version".to_owned())),
            _ => None,
        }
    }

    fn perform(&mut self, op: &Op) {
        match op {
            Op::Upsert(point) => self.put(self.kept(point)),
            Op::UpsertWhere { points, mode, update_filter } => {
                let before = self.points.clone();
                for (place, point) in points.iter().enumerate() {
                    let is_last = points[place + 1..].iter().all(|later| later.id != point.id);
                    let is_let_through = match before.get(&point.id) {
                        Some(old) => *mode != UpsertMode::InsertOnly && update_filter.matches_point(old),
                        None => *mode != UpsertMode::UpdateOnly,
                    };
                    if is_last && is_let_through {
                        self.put(self.kept(point));
                    }
                }
            }
            Op::UpdateVectors { points, update_filter } => self.update_vectors(points, update_filter),
            Op::Change(selection, part) => {
                let mut seen = BTreeSet::new();
                let ids = match selection {
                    Selection::Ids(ids) => ids.iter().copied().filter(|id| seen.insert(*id)).collect(),
                    Selection::Where(filter) => self.matching(filter),
                };
                for id in ids {
                    let mut point = self.points[&id].clone();
                    part.apply(&mut point);
                    self.put(point);
                }
            }
            Op::Delete(ids) => ids.iter().for_each(|id| self.remove(id)),
            Op::DeleteWhere(filter) => self.matching(filter).iter().for_each(|id| self.remove(id)),
            Op::Require { .. } => {}
        }
    }

    fn update_vectors(&mut self, points: &[(PointId, Vectors)], filter: &kithdb::Filter) {
        let mut seen = BTreeSet::new();
        for id in points.iter().map(|(id, _)| *id).filter(|id| seen.insert(*id)) {
            let mut point = self.points[&id].clone();
            if !filter.matches_point(&point) {
                continue;
            }
            for (_, vectors) in points.iter().filter(|(other, _)| *other == id) {
                let given = Point { vectors: vectors.clone(), ..Point::new(id) };
                for (name, vector) in self.kept(&given).vectors {
                    point = point.named_vector(&name, vector);
                }
            }
            self.put(point);
        }
    }

    fn put(&mut self, point: Point) {
        self.last_version += 1;
        self.versions.insert(point.id, self.last_version);
        self.points.insert(point.id, point);
    }

    fn remove(&mut self, id: &PointId) {
        self.versions.remove(id);
        self.points.remove(id);
    }
}
