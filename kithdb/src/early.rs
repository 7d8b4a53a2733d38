//! What the filters of a write match, found before its turn: while a write has its turn, every other waits.
//!
//! Invariant: what a write changes is decided in its turn, by the newest state. What was found before is where the
//! writer begins: it judges what has changed since, and looks for all of it where nothing was found before.
//! Cost: that of the filters that read payloads, one at a time; 8 bytes for each point that matches, and of no more
//! points than a commit may delete.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use query::Matched;
use types::{Error, ErrorKind, Filter, Limits, Op, Result, Selection};

use crate::engine::{Engine, Shared};
use crate::stage::{Target, placed};

/// How long the filters of one write may look for points in its turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);

/// What was found, by target and operation.
#[derive(Default)]
pub(crate) struct Early(HashMap<(usize, usize), Matched>);

/// The turn of a write.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) early: &'a Early,
    /// Until when its filters may look for points.
    pub(crate) until: Instant,
}

impl<'a> Turn<'a> {
    /// One that begins now.
    pub(crate) fn new(limits: &'a Limits, early: &'a Early, deadline: Option<Instant>) -> Self {
        let latest = Instant::now() + TURN_TIME_MAX;
        Self { limits, early, until: deadline.map_or(latest, |deadline| deadline.min(latest)) }
    }
}

impl Early {
    /// Looks for what filters match; until a deadline, if there is one.
    ///
    /// # Errors
    /// `DeadlineExceeded` on `filter`, behind its target and operation; from look-ups.
    pub(crate) fn of(engine: &Engine, targets: &[Target], deadline: Option<Instant>) -> Result<Self> {
        let (mut found, mut room) = (HashMap::new(), engine.limits.delete_points_max);
        for (target, (shared, ops)) in targets.iter().enumerate() {
            for (position, op) in ops.iter().enumerate() {
                let (Op::DeleteWhere(filter) | Op::Change(Selection::Where(filter), _)) = op else {
                    continue;
                };
                let matched = look((engine, shared), filter, room, deadline);
                // Rows go with their collection.
                let matched = shared
                    .check_exists()
                    .and(matched)
                    .map_err(|error| placed(placed(late(error), "ops", position), "targets", target))?;
                if let Some(matched) = matched {
                    room -= matched.points();
                    found.insert((target, position), matched);
                }
            }
        }
        Ok(Self(found))
    }

    /// What the filter of an operation matched, if it was looked for.
    pub(crate) fn get(&self, target: usize, position: usize) -> Option<&Matched> {
        self.0.get(&(target, position))
    }
}

/// What a filter matches now; nothing where the writer knows it soon enough, and where it is too much to keep.
fn look(
    (engine, shared): (&Engine, &Arc<Shared>),
    filter: &Filter,
    room: usize,
    deadline: Option<Instant>,
) -> Result<Option<Matched>> {
    if query::is_decided_by_indexes(&shared.view.load_full(), filter, deadline)? {
        return Ok(None);
    }
    // As one writer did it: many at once would leave nothing to the searches. Where it is too late, that is told below.
    let _one = match deadline {
        Some(deadline) => engine.looking.try_lock_until(deadline),
        None => Some(engine.looking.lock()),
    };
    query::matched(&shared.view.load_full(), filter, room, deadline)
}

/// The error of a filter whose points were not found in time.
pub(crate) fn late(error: Error) -> Error {
    if error.kind() != ErrorKind::DeadlineExceeded {
        return error;
    }
    let message = "its points were not found in time, and nothing was changed; index the fields that it asks for, \
                   narrow it, or give the request more time (timeout)";
    Error::new(ErrorKind::DeadlineExceeded, message).with_field("filter").with_source(error)
}

#[cfg(test)]
mod tests {
    use types::{Change, Condition, Metric, Point, PointId, Schema, VectorSpec};

    use super::*;
    use crate::{Collection, Database, Options, Select, Transaction};

    fn ids(collection: &Collection) -> Vec<PointId> {
        let page = collection.scroll(&Filter::default(), None, 100, &Select::none()).expect("a page");
        page.points.iter().map(|point| point.id).collect()
    }

    fn point(id: u64, is_old: bool) -> Point {
        Point::new(id).with("old", is_old)
    }

    fn old() -> Filter {
        Filter::must(Condition::equals("old", true).expect("a path"))
    }

    fn found(notes: &Collection, op: Op) -> Early {
        Early::of(&notes.engine, &[(Arc::clone(&notes.shared), vec![op])], None).expect("looked for")
    }

    /// What is carried to the present, by id; nothing where all has to be looked at.
    fn now(notes: &Collection, early: &Early) -> Option<Vec<PointId>> {
        let derived = notes.shared.derived.lock();
        let (view, end) = (derived.view(), derived.state.next_version);
        let slots = early.get(0, 0)?.at(&view, &old(), end, None).expect("read")?;
        let mut ids: Vec<PointId> = slots.iter().map(|slot| view.id(*slot)).collect();
        ids.sort_unstable();
        Some(ids)
    }

    #[test]
    fn a_point_that_changes_before_the_turn_is_judged_by_its_newest_state() {
        let db = Database::in_memory().expect("a database");
        let schema = Schema::new().named_vector("v", VectorSpec::new(1, Metric::Dot));
        let notes = db.create_collection("notes", schema).expect("a collection");
        notes.upsert((1..=6).map(|id| point(id, id % 2 == 1)).collect()).expect("points");
        let early = found(&notes, Op::DeleteWhere(old()));
        assert_eq!(now(&notes, &early), Some(vec![1.into(), 3.into(), 5.into()]));
        // One no longer matches, two do now, one is the same in a new version, one is gone; one went and came back.
        notes.upsert(vec![point(1, false), point(2, true), point(3, true), point(7, true)]).expect("points");
        notes.delete(vec![5.into(), 6.into()]).expect("deleted");
        notes.upsert(vec![point(6, true)]).expect("a point");
        let expected: Vec<PointId> = [2, 3, 6, 7].map(PointId::Num).to_vec();
        assert_eq!(now(&notes, &early), Some(expected.clone()));
        notes.optimize(true).expect("a segment");
        assert_eq!(now(&notes, &early), Some(expected), "wherever the rows lie");
        let configured = notes.configure(|schema| {
            schema.vectors.remove("v");
            Ok(())
        });
        configured.expect("another schema");
        assert_eq!(now(&notes, &early), None, "what it means may be another thing");
        assert!(found(&notes, Op::DeleteWhere(Filter::default())).get(0, 0).is_none(), "known at once");
    }

    /// The filter is looked for while another write has its turn, which changes what it matches.
    #[test]
    fn what_another_write_changes_meanwhile_is_seen() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", Schema::new()).expect("a collection");
        notes.upsert((1..=4).map(|id| point(id, id % 2 == 1)).collect()).expect("points");
        let held = notes.shared.derived.lock();
        std::thread::scope(|scope| {
            let writers: [Vec<Op>; 2] = [
                [point(1, false), point(2, true), point(5, true)].map(Op::Upsert).to_vec(),
                vec![Op::DeleteWhere(old())],
            ];
            for ops in writers {
                let notes = &notes;
                scope.spawn(move || notes.apply(ops).expect("a write"));
                // Long enough that the first waits for the lock, and the second behind it.
                std::thread::sleep(Duration::from_millis(200));
            }
            drop(held);
        });
        assert_eq!(ids(&notes), [1, 4].map(PointId::Num));
        assert_eq!(db.verify().expect("a walk").faults, []);
    }

    #[test]
    fn a_filter_that_takes_too_long_changes_nothing() {
        let db = Database::in_memory().expect("a database");
        let notes = db.create_collection("notes", Schema::new()).expect("a collection");
        let seqno = notes.upsert((1..=50).map(|id| point(id, true)).collect()).expect("points").seqno;
        let hasty = notes.clone().until(Instant::now());
        for op in [Op::DeleteWhere(old()), Op::Change(Selection::Where(old()), Change::ClearPayload)] {
            let ops = || vec![Op::Upsert(point(99, false)), op.clone()];
            let error = hasty.apply(ops()).expect_err("too late");
            let at = (error.kind(), error.field());
            assert_eq!(at, (ErrorKind::DeadlineExceeded, Some("ops[1].filter")), "{op:?}");
            let transaction = Transaction::new().on("notes", ops()).until(Instant::now());
            let error = db.commit(transaction).expect_err("too late");
            let at = (error.kind(), error.field());
            assert_eq!(at, (ErrorKind::DeadlineExceeded, Some("notes.ops[1].filter")), "{op:?}");
        }
        assert_eq!((notes.status().seqno, ids(&notes).len()), (seqno, 50));
        let ids_alone = Selection::Ids(vec![1.into()]);
        hasty.change(ids_alone, Change::ClearPayload).expect("nothing is looked for");
        notes.clone().until(Instant::now() + Duration::from_secs(600)).delete_where(old()).expect("in time");
        assert_eq!(ids(&notes), [PointId::Num(1)]);
    }

    /// More than may be kept: the writer looks for it, and has as much time as the write.
    #[test]
    fn a_filter_that_is_late_in_its_turn_changes_nothing() {
        let limits = Limits { delete_points_max: 10, ..Limits::default() };
        let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
        let notes = db.create_collection("notes", Schema::new()).expect("a collection");
        notes.upsert((1..=50).map(|id| point(id, true)).collect()).expect("points");
        let held = notes.shared.derived.lock();
        let error = std::thread::scope(|scope| {
            let hasty = notes.clone().until(Instant::now() + Duration::from_millis(200));
            let writer = scope.spawn(move || hasty.delete_where(old()).expect_err("too late"));
            std::thread::sleep(Duration::from_millis(500));
            drop(held);
            writer.join().expect("no panic")
        });
        assert_eq!((error.kind(), error.field()), (ErrorKind::DeadlineExceeded, Some("ops[0].filter")));
        assert_eq!(ids(&notes).len(), 50);
    }
}
