//! The writers: each runs its script, one step after the other, and says what was acknowledged.

use std::time::Instant;

use kithdb::{
    Change, Condition, Database, Datatype, FieldKind, Filter, Language, Metric, Op, Point, PointId,
    Predicate, Result, Schema, Selection, SparseSpec, Transaction, UpsertMode, VectorSpec,
};

use crate::script::{COLLECTIONS, Step, point, step};
use crate::{say, say_failed};

/// Writes without end.
pub(crate) fn write(db: &Database, seed: u64, thread: u64, after: u64) -> Result<()> {
    for number in after + 1.. {
        db.commit(transaction(&step(seed, thread, number), thread, number))?;
        say(&format!("{thread} {number}"));
    }
    Ok(())
}

/// Tries so often to write what could not be written.
const ATTEMPTS: usize = 3;

/// Writes until then, or until a step fails again and again; says what fails.
pub(crate) fn write_until(db: &Database, seed: u64, thread: u64, after: u64, end: Instant) {
    let (mut number, mut failures) = (after + 1, 0);
    while Instant::now() < end && failures <= ATTEMPTS {
        match db.commit(transaction(&step(seed, thread, number), thread, number)) {
            Ok(_) => {
                say(&format!("{thread} {number}"));
                number += 1;
            }
            Err(error) => {
                say_failed(thread, &error);
                failures += 1;
            }
        }
    }
}

/// The schema of both collections: all that can be out of step with each other.
pub(crate) fn schema() -> Schema {
    let space = |datatype| VectorSpec::new(3, Metric::Euclid).stored_as(datatype);
    Schema::new()
        .vector(5, Metric::Euclid)
        .named_vector("bytes", space(Datatype::Uint8))
        .named_vector("halves", space(Datatype::Float16))
        .sparse_vector("weights", SparseSpec::default())
        .multi_vector("rows", VectorSpec::new(2, Metric::Dot))
        .keyword(["text".parse().expect("a path")], Language::None)
        .field("mark".parse().expect("a path"), FieldKind::Keyword)
        .field("group".parse().expect("a path"), FieldKind::Integer)
}

/// The step as the database takes it.
fn transaction(step: &Step, thread: u64, number: u64) -> Transaction {
    let puts = |ids: &[u64]| ids.iter().map(|id| Op::Upsert(point(*id, number))).collect::<Vec<Op>>();
    let delete = |ids: &[u64]| Op::Delete(ids.iter().map(|id| PointId::Num(*id)).collect());
    match step {
        Step::Put(side, ids) => Transaction::new().on(COLLECTIONS[*side], puts(ids)),
        Step::Patch(side, ids) => Transaction::new().on(COLLECTIONS[*side], patch(ids, number)),
        Step::Delete(side, ids) => Transaction::new().on(COLLECTIONS[*side], vec![delete(ids)]),
        Step::DeleteGroup(side, group) => {
            let ops = vec![Op::DeleteWhere(group_of(thread, *group))];
            Transaction::new().on(COLLECTIONS[*side], ops)
        }
        Step::Both(puts_of, deletes) => COLLECTIONS.iter().fold(Transaction::new(), |all, name| {
            let mut ops = puts(puts_of);
            ops.push(delete(deletes));
            all.on(name, ops)
        }),
    }
}

/// Makes points what a put of the step would make them, in parts.
fn patch(ids: &[u64], number: u64) -> Vec<Op> {
    let points: Vec<Point> = ids.iter().map(|id| point(*id, number)).collect();
    let bare = points.iter().map(|point| Point::new(point.id)).collect();
    let everything = Filter::default();
    let mut ops = vec![Op::UpsertWhere {
        points: bare,
        mode: UpsertMode::InsertOnly,
        update_filter: everything.clone(),
    }];
    for Point { id, payload, .. } in &points {
        let change = Change::SetPayload { payload: payload.clone(), path: None };
        ops.push(Op::Change(Selection::Ids(vec![*id]), change));
    }
    let vectors = points.into_iter().map(|point| (point.id, point.vectors)).collect();
    ops.push(Op::UpdateVectors { points: vectors, update_filter: everything });
    ops
}

/// The points of a group that belong to a thread; `thread` is not indexed.
fn group_of(thread: u64, group: u64) -> Filter {
    let is = |path: &str, value: u64| {
        let value = i64::try_from(value).expect("small numbers");
        Condition::Field(path.parse().expect("a path"), Predicate::Any(vec![value.into()]))
    };
    Filter::must(is("group", group)).and(is("thread", thread))
}
