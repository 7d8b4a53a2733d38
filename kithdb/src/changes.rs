//! Staging of what reads before it writes: changes of parts of points, conditional upserts, required versions.
//!
//! A changed point is put whole, as a new version, so everything derived follows as it does from an upsert. Invariant:
//! each operation reads what the operations before it left, in this write and in those before it in the group.
//! Cost: a payload and every vector read for each point that is changed, or that a condition must know; the writer does
//! it, so other writes wait. Memory is that of an upsert of the same points.

use std::collections::{HashMap, HashSet};

use storage::Commit;
use types::{
    Change, Error, ErrorKind, Filter, Point, PointId, Result, Selection, UpsertMode, Vectors, Version,
    payload,
};

use crate::stage::{Current, Stage};

/// Points that are read at once.
const BLOCK: usize = 1_024;

/// Bytes that one change puts into all of its points: the commit holds each of them whole.
const PUT_BYTES_MAX: usize = 1 << 30;

/// A version as users see it; 0 is that of a point that does not exist.
pub(crate) fn shown(version: Option<Version>) -> u64 {
    version.map_or(0, |version| version.0 + 1)
}

impl Stage<'_> {
    /// # Errors
    /// `Conflict` when the point has another version.
    pub(crate) fn require(&self, id: PointId, if_version: u64) -> Result<()> {
        let found = shown(self.current_of(id).map(|current| current.version));
        if found == if_version {
            return Ok(());
        }
        let message = match (if_version, found) {
            (0, _) => format!("is 0, and point {id} exists, in version {found}"),
            (_, 0) => format!("is {if_version}, and there is no point {id}"),
            _ => {
                format!("is {if_version}, and point {id} has version {found}; read it again and decide anew")
            }
        };
        Err(Error::new(ErrorKind::Conflict, message).with_field("if_version"))
    }

    /// # Errors
    /// `NotFound` for an id that does not exist, `LimitExceeded` for a payload that would become too large and for a
    /// filter that matches too much.
    pub(crate) fn change(
        &mut self,
        selection: Selection,
        change: &Change,
        commit: &mut Commit,
    ) -> Result<()> {
        let ids: Vec<PointId> = match selection {
            Selection::Ids(ids) => {
                self.check_exist(&ids, "")?;
                let mut seen = HashSet::new();
                ids.into_iter().filter(|id| seen.insert(*id)).collect()
            }
            Selection::Where(filter) => self.matching(&filter, self.limits.batch_points_max)?,
        };
        let put = change.bytes_put();
        let all = put.saturating_mul(ids.len());
        if all > PUT_BYTES_MAX {
            let what = "the number of bytes that it puts into all of its points";
            return Err(Error::limit("payload", what, all, PUT_BYTES_MAX));
        }
        for block in ids.chunks(BLOCK) {
            for mut point in self.read(block)? {
                // A path may lead to more objects than there is room for, so that is known before they are made.
                let bytes = put.saturating_mul(change.objects(&point.payload));
                if bytes > self.limits.payload_bytes_max {
                    let (what, most) = ("the payload's size in bytes", self.limits.payload_bytes_max);
                    return Err(Error::limit("payload", what, bytes, most));
                }
                change.apply(&mut point);
                if change.can_grow_payload() {
                    payload::check(&point.payload, self.limits)?;
                }
                self.put(point, commit)?;
            }
        }
        Ok(())
    }

    /// # Errors
    /// `NotFound` for an id that does not exist.
    pub(crate) fn update_vectors(
        &mut self,
        points: Vec<(PointId, Vectors)>,
        update_filter: &Filter,
        commit: &mut Commit,
    ) -> Result<()> {
        let update_filter = query::analysed(update_filter.normalised(), &self.derived.entry.schema);
        let ids: Vec<PointId> = points.iter().map(|(id, _)| *id).collect();
        self.check_exist(&ids, ".id")?;
        let mut all: Vec<Point> = Vec::with_capacity(points.len());
        let mut places: HashMap<PointId, usize> = HashMap::new();
        for (id, vectors) in points {
            let place = *places.entry(id).or_insert_with(|| {
                all.push(Point::new(id));
                all.len() - 1
            });
            all[place].set_vectors(vectors);
        }
        for block in all.chunks_mut(BLOCK) {
            let ids: Vec<PointId> = block.iter().map(|point| point.id).collect();
            for (mut point, given) in self.read(&ids)?.into_iter().zip(block) {
                if update_filter.matches_point_normal(&point) {
                    point.set_vectors(std::mem::take(&mut given.vectors));
                    self.put(point, commit)?;
                }
            }
        }
        Ok(())
    }

    /// # Errors
    /// From look-ups.
    pub(crate) fn upsert_where(
        &mut self,
        points: Vec<Point>,
        mode: UpsertMode,
        update_filter: &Filter,
        commit: &mut Commit,
    ) -> Result<()> {
        let update_filter = query::analysed(update_filter.normalised(), &self.derived.entry.schema);
        let last: HashMap<PointId, usize> =
            points.iter().enumerate().map(|(place, point)| (point.id, place)).collect();
        let points = points.into_iter().enumerate();
        let mut points: Vec<Point> =
            points.filter(|(place, point)| last[&point.id] == *place).map(|(_, point)| point).collect();
        points.retain(|point| match (mode, self.current_of(point.id)) {
            (UpsertMode::Upsert, _) | (UpsertMode::InsertOnly, None) | (UpsertMode::UpdateOnly, Some(_)) => {
                true
            }
            (UpsertMode::InsertOnly, Some(_)) | (UpsertMode::UpdateOnly, None) => false,
        });
        let mut refused = HashSet::new();
        if !update_filter.is_empty() {
            let ids: Vec<PointId> = points.iter().map(|point| point.id).collect();
            let existing: Vec<PointId> =
                ids.into_iter().filter(|id| self.current_of(*id).is_some()).collect();
            for block in existing.chunks(BLOCK) {
                let read = self.read(block)?.into_iter();
                refused.extend(
                    read.filter(|point| !update_filter.matches_point_normal(point)).map(|point| point.id),
                );
            }
        }
        points.retain(|point| !refused.contains(&point.id));
        points.into_iter().try_for_each(|point| self.put(point, commit))
    }

    fn current_of(&self, id: PointId) -> Option<&Current> {
        self.current.get(&id).and_then(Option::as_ref)
    }

    fn check_exist(&self, ids: &[PointId], member: &str) -> Result<()> {
        match ids.iter().position(|id| self.current_of(*id).is_none()) {
            Some(position) => {
                Err(Error::no_point(ids[position]).with_field(format!("points[{position}]{member}")))
            }
            None => Ok(()),
        }
    }

    /// Points that exist, as they are now, in the order of the ids.
    fn read(&self, ids: &[PointId]) -> Result<Vec<Point>> {
        let mut points: Vec<Point> = Vec::with_capacity(ids.len());
        let (mut places, mut versions) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(Current { version, staged }) = self.current_of(*id) else { continue };
            points.push(staged.as_ref().map_or_else(
                || {
                    places.push(points.len());
                    versions.push(*version);
                    Point::new(*id)
                },
                |staged| Point::clone(staged),
            ));
        }
        let (store, entry) = (&self.derived.store, &self.derived.entry);
        for (place, row) in places.iter().zip(store.payloads(entry.id, &versions)?) {
            let point = &mut points[*place];
            let missing =
                || Error::corrupted(format!("the payload of point {}", point.id), "its row is missing");
            point.payload = row.ok_or_else(missing)?.1;
        }
        for name in entry.schema.names() {
            for (place, vector) in places.iter().zip(store.vectors(entry, name, &versions)?) {
                points[*place].vectors.extend(vector.map(|vector| (name.clone(), vector)));
            }
        }
        Ok(points)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use types::{Op, Payload, Schema};

    use super::*;
    use crate::{Database, Select};

    /// While one commit waits, the next writes form a group: what each leaves is known only from what it has staged.
    #[test]
    fn writes_of_one_group_see_each_other() {
        const WRITERS: u64 = 8;
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", Schema::new()).expect("a collection");
        notes.upsert(vec![Point::new(1).with("text", "kept")]).expect("a point");
        let held = notes.shared.derived.lock();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let notes = &notes;
                scope.spawn(move || {
                    let payload = Payload::from_iter([(writer.to_string(), writer.into())]);
                    let change = Change::SetPayload { payload, path: None };
                    let insert = Op::UpsertWhere {
                        points: vec![Point::new(2)],
                        mode: UpsertMode::InsertOnly,
                        update_filter: Filter::default(),
                    };
                    let points = Selection::Ids(vec![1.into(), 2.into()]);
                    notes.apply(vec![insert, Op::Change(points, change)]).expect("a change");
                });
            }
            // Long enough that they wait behind the first of them, which waits for the lock.
            std::thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        let points = notes.get(&[1.into(), 2.into()], &Select::all()).expect("both");
        assert_eq!(points[0].payload.len() as u64, WRITERS + 1);
        assert_eq!(points[1].payload.len() as u64, WRITERS);
        let versions: Vec<u64> = notes.query().run().expect("both").iter().map(|hit| hit.version).collect();
        // The points were put once each, then changed by every writer in turn.
        assert_eq!(versions, [2 * WRITERS + 1, 2 * WRITERS + 2]);
        assert_eq!(db.verify().expect("a walk").faults, []);
    }
}
