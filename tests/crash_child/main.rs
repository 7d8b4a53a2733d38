//! The process that `it/crash` kills: runs the script in a directory until it is dead.
//!
//! Arguments: directory, durability, seed, then for each thread the step it begins after; or `restore`, directory, and
//! snapshots to recover in turn. Writes a line to standard output for each thing the parent must know: `open`, and
//! `<thread> <number>` once a step was acknowledged.

mod restore;
#[path = "../it/crash/script.rs"]
mod script;

use std::io::Write as _;
use std::process::ExitCode;

use kithdb::{
    Change, Condition, Database, Datatype, Durability, Error, FieldKind, Filter, Language, Metric, Op,
    Options, Point, PointId, Predicate, Result, Schema, Segments, Selection, SparseSpec, Transaction,
    UpsertMode, VectorSpec,
};
use script::{COLLECTIONS, Step, point, step};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    if let [word, folder, files @ ..] = arguments
        && word == "restore"
    {
        return restore::run(folder, files);
    }
    let [folder, durability, seed, begun @ ..] = arguments else {
        return Err(Error::invalid("arguments", "are directory, durability, seed, steps done"));
    };
    let durability: Durability = durability.parse()?;
    let number = |text: &String| text.parse::<u64>().map_err(|_| Error::invalid("arguments", "a number"));
    let seed = number(seed)?;
    let begun: Vec<u64> = begun.iter().map(number).collect::<Result<_>>()?;
    // Small, so that it dies among seals and merges too.
    let segments = Segments { seal_rows: 64, ..Segments::default() };
    let db = Database::open_with(folder, Options { durability, segments, ..Options::default() })?;
    for name in COLLECTIONS {
        if db.collection(name).is_err() {
            db.create_collection(name, schema())?;
        }
    }
    say("open");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(begun)
            .map(|(thread, after)| {
                let db = &db;
                scope.spawn(move || write(db, seed, thread, after))
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err(Error::new(kithdb::ErrorKind::Internal, "a writer panicked")),
        })
    })
}

fn write(db: &Database, seed: u64, thread: u64, after: u64) -> Result<()> {
    for number in after + 1.. {
        db.commit(transaction(&step(seed, thread, number), thread, number))?;
        say(&format!("{thread} {number}"));
    }
    Ok(())
}

/// The schema of both collections: all that can be out of step with each other.
fn schema() -> Schema {
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

/// One write to the pipe a line: what was written is there although this process is not.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent has gone: nobody is left to tell, and nothing left to prove.
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
