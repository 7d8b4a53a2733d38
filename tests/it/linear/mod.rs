//! Histories of calls that many threads make at once: each point behaves as if they came one after the other, and each
//! view shows one commit, whatever is asked of it, then and later.
//!
//! Heads are small, so that segments are made and merged underneath. `KITHDB_LINEAR_HISTORIES` sets how many histories
//! there are in memory, and as many on the disk.

mod check;
mod views;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use kithdb::{
    Change, Collection, Condition, Database, Durability, ErrorKind, Filter, Metric, Op, Options, Payload,
    Point, PointId, Schema, Segments, Select, Selection, UpsertMode, VectorSelect,
};

use crate::crash::Random;
use check::{Call, Event, Outcome, Row, is_linearizable};

const THREADS: u64 = 6;
const POINTS: u64 = 5;
const CALLS: u64 = 300;

fn options() -> Options {
    let segments = Segments { seal_rows: 64, ..Segments::default() };
    Options { segments, durability: Durability::Wal, ..Options::default() }
}

/// The value stands in the payload and in the vector: what is half of one write and half of another is seen.
fn point(id: u64, value: u64) -> Point {
    Point::new(id).vector([id as f32, value as f32]).with("n", value)
}

fn row(id: u64, payload: &Payload, vector: Option<&[f32]>) -> Row {
    let number = |key: &str| payload.get(key).and_then(kithdb::Value::as_u64);
    let value = number("n").expect("every put has a value");
    assert_eq!(vector, Some(&[id as f32, value as f32][..]), "another vector than that of {value}");
    Row { value, part: number("p") }
}

/// Makes a call on a point.
fn make(notes: &Collection, id: u64, call: Call) -> Outcome {
    let key: PointId = id.into();
    let put = |value: u64| Op::Upsert(point(id, value));
    let required = |if_version: u64, value: u64| vec![Op::Require { id: key, if_version }, put(value)];
    let written = match call {
        Call::Put(value) => notes.apply(vec![put(value)]),
        Call::Patch(part) => {
            let payload = Payload::from_iter([("p".to_owned(), part.into())]);
            notes.change(Selection::Ids(vec![key]), Change::SetPayload { payload, path: None })
        }
        Call::Delete => notes.delete(vec![key]),
        Call::Create(value) => notes.apply(required(0, value)),
        Call::Replace { version, to } => notes.apply(required(version, to)),
        Call::Swap { from, to } => {
            let update_filter = Filter::must(Condition::equals("n", from as i64).expect("a path"));
            let (points, mode) = (vec![point(id, to)], UpsertMode::UpdateOnly);
            notes.apply(vec![Op::UpsertWhere { points, mode, update_filter }])
        }
        Call::Get => {
            let found = notes.get(&[key], &Select::all()).expect("it reads");
            let found = found.first().map(|point| row(id, &point.payload, point.vector_named("")));
            return Outcome::Seen(found);
        }
        Call::Find => {
            let asked = notes.query().filter(Condition::HasId(vec![key])).with_vectors(VectorSelect::All);
            let hits = asked.limit(1).run().expect("it finds");
            let vector = |hit: &kithdb::Hit| {
                hit.vectors.first().and_then(|(_, vector)| vector.dense().map(<[f32]>::to_vec))
            };
            let found = hits.first().map(|hit| (row(id, &hit.payload, vector(hit).as_deref()), hit.version));
            return Outcome::Found(found);
        }
    };
    match written {
        Ok(_) => Outcome::Done,
        Err(error) if error.kind() == ErrorKind::Conflict => Outcome::Conflict,
        Err(error) if error.kind() == ErrorKind::NotFound => Outcome::Missing,
        Err(error) => panic!("{call:?}: {error}"),
    }
}

/// What a thread chooses next; conditions are on what it has seen of the point before.
fn choose(last: Option<(Row, u64)>, next: u64, random: &mut Random) -> Call {
    match (random.below(16), last) {
        (0..=3, _) => Call::Get,
        (4..=6, _) => Call::Put(next),
        (7..=8, _) => Call::Patch(next),
        (9, _) => Call::Delete,
        (10, _) => Call::Create(next),
        (11, Some((row, _))) => Call::Swap { from: row.value, to: next },
        (12..=13, Some((_, version))) => Call::Replace { version, to: next },
        _ => Call::Find,
    }
}

/// One thread's calls, each with its point.
fn work(notes: &Collection, seed: u64, (values, clock): (&AtomicU64, &AtomicU64)) -> Vec<(u64, Event)> {
    let mut random = Random(seed);
    let mut last: BTreeMap<u64, (Row, u64)> = BTreeMap::new();
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let mut events = Vec::new();
    for _ in 0..CALLS {
        let id = random.below(POINTS);
        let next = values.fetch_add(1, Ordering::Relaxed);
        let call = choose(last.get(&id).copied(), next, &mut random);
        let began = tick();
        let outcome = make(notes, id, call);
        events.push((id, Event { call, outcome, began, ended: tick() }));
        if let Outcome::Found(Some(found)) = outcome {
            last.insert(id, found);
        }
    }
    events
}

/// What all threads did, by point.
fn history(notes: &Collection, seed: u64) -> BTreeMap<u64, Vec<Event>> {
    let (values, clock) = (AtomicU64::new(1), AtomicU64::new(0));
    let mut events: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let shared = (&values, &clock);
                scope.spawn(move || work(notes, seed.wrapping_add(thread), shared))
            })
            .collect();
        notes.optimize(false).expect("asked for");
        for thread in threads {
            let made = thread.join().expect("a thread that works");
            made.into_iter().for_each(|(id, event)| events.entry(id).or_default().push(event));
        }
    });
    events.values_mut().for_each(|events| events.sort_unstable_by_key(|event| event.began));
    events
}

fn behaves_as_if_calls_came_one_after_the_other(db: &Database) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = now.as_nanos() as u64;
    let notes = db.create_collection("notes", Schema::new().vector(2, Metric::Euclid)).expect("a collection");
    let (mut conflicts, mut meetings) = (0, 0);
    for (id, events) in history(&notes, seed) {
        assert!(is_linearizable(&events), "seed {seed}: no order explains what point {id} did: {events:#?}");
        conflicts += events.iter().filter(|event| event.outcome == Outcome::Conflict).count();
        meetings += events.windows(2).filter(|pair| pair[1].began < pair[0].ended).count();
    }
    println!("seed {seed}: {conflicts} conflicts, {meetings} calls met another on their point");
    assert!(conflicts > 0 && meetings > 0, "nobody met anybody: this shows nothing");
    assert_eq!(db.verify().expect("a walk").faults, []);
}

#[test]
fn each_point_behaves_as_if_calls_came_one_after_the_other() {
    let histories = std::env::var("KITHDB_LINEAR_HISTORIES").ok();
    let histories =
        histories.map_or(1, |count| count.parse::<u64>().expect("KITHDB_LINEAR_HISTORIES is a number"));
    for _ in 0..histories {
        behaves_as_if_calls_came_one_after_the_other(
            &Database::in_memory_with(options()).expect("a database"),
        );
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::open_with(folder.path(), options()).expect("a database");
        behaves_as_if_calls_came_one_after_the_other(&db);
    }
    println!("{} histories of {} calls: an order explains each", 2 * histories, THREADS * CALLS);
}
