//! The oracle: opens what the killed process left, and finds every point on every way there is.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use kithdb::{Collection, Condition, Database, Filter, Hit, Point, PointId, Predicate, Select, SparseVector};

use super::chores::{COPY, Chore, chore};
use super::house::{House, check_files};
use super::script::{COLLECTIONS, GROUPS, Step, mark, owner, point, step};

/// Writers at work at once. Behind them stands the keeper.
const WRITERS: usize = 4;

/// What the points of one thread should be: the step that wrote each, by collection and id.
type Expected = [BTreeMap<u64, u64>; 2];

type Checked<T> = Result<T, String>;

/// The points of one collection: the step that wrote each.
type Side = BTreeMap<u64, u64>;

/// What must be there of what writers were told is done. What the keeper was told always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    All,
    /// What was there before, and the first steps since then.
    Prefix,
}

/// How far the scripts have got, and what that should have left.
pub(super) struct Progress {
    seed: u64,
    pub(super) done: Vec<u64>,
    expected: Vec<Expected>,
    /// What the first collection was after each step since the last examination, for each writer.
    trails: Vec<Vec<Side>>,
    /// The same for the time in which its snapshot was made that is there now.
    trails_of_snapshot: Vec<Vec<Side>>,
    /// The copy, as it was found last.
    copy: Option<Side>,
    house: House,
    /// Segments seen so far.
    pub(super) segments: usize,
    /// Copies of a collection held against its states so far.
    pub(super) copies: usize,
    /// Of all starts after a death.
    pub(super) start_ms_max: u64,
}

impl Progress {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            done: vec![0; WRITERS + 1],
            expected: vec![Expected::default(); WRITERS],
            trails: vec![Vec::new(); WRITERS],
            trails_of_snapshot: vec![Vec::new(); WRITERS],
            copy: None,
            house: House::default(),
            segments: 0,
            copies: 0,
            start_ms_max: 0,
        }
    }

    /// Goes on to the step that left just these points, at least to the step `least` and at most to `most`. Returns
    /// that step.
    fn advance(&mut self, thread: usize, found: &Expected, least: u64, most: u64) -> Checked<u64> {
        let mut expected = self.expected[thread].clone();
        let mut fits = None;
        self.trails[thread].clear();
        for number in self.done[thread]..=most {
            if number > self.done[thread] {
                apply(&step(self.seed, thread as u64, number), number, &mut expected);
            }
            self.trails[thread].push(expected[0].clone());
            if number >= least && expected == *found {
                fits = Some((number, expected.clone()));
            }
        }
        let (number, expected) = fits.ok_or_else(|| {
            format!(
                "thread {thread}: no step from {least} to {most} leaves what is there\nfound    {found:?}\nexpected \
                 {expected:?}\nafter {:?}",
                step(self.seed, thread as u64, most)
            )
        })?;
        (self.done[thread], self.expected[thread]) = (number, expected);
        Ok(number)
    }

    /// Holds what the keeper left against its chores; the number of the last one that is done.
    fn keep(&mut self, db: &Database, acknowledged: u64) -> Checked<u64> {
        let house = House::read(db).map_err(|error| error.to_string())?;
        let reached = house.reached(acknowledged)?;
        let began = std::mem::replace(&mut self.done[WRITERS], reached);
        let copy = db.collection(COPY).ok().filter(|_| house.has_copy);
        let copy = copy.map(|copy| self.check_copy(&copy)).transpose()?;
        let is_snapshot_new = (began + 1..=reached).any(|number| chore(number) == Chore::Snapshot);
        if house.snapshots > 0 && (is_snapshot_new || self.house.snapshots == 0) {
            self.trails_of_snapshot = self.trails.clone();
        }
        (self.copy, self.house) = (copy, house);
        Ok(reached)
    }

    /// The copy shows the first collection as it was at one commit: each writer's points after one of its steps.
    fn check_copy(&mut self, copy: &Collection) -> Checked<Side> {
        let points = read(copy)?;
        find_all(copy, &points)?;
        let numbers = points.values().map(|point| (point.id, point.payload["number"].as_u64().unwrap_or(0)));
        let found: Side = numbers
            .filter_map(|(id, number)| match id {
                PointId::Num(id) => Some((id, number)),
                PointId::Uuid(_) => None,
            })
            .collect();
        if self.copy.as_ref() == Some(&found) {
            return Ok(found);
        }
        for thread in 0..WRITERS {
            let of_thread: Side = found
                .iter()
                .filter(|(id, _)| owner(**id) == thread as u64)
                .map(|(id, n)| (*id, *n))
                .collect();
            let mut states = self.trails[thread].iter().chain(&self.trails_of_snapshot[thread]);
            if !states.any(|state| *state == of_thread) {
                return Err(format!(
                    "the copy has points of thread {thread} as no step left them: {of_thread:?}"
                ));
            }
        }
        self.copies += 1;
        Ok(found)
    }
}

/// Opens the directory and holds it against the script. Returns how many operations were found that had not been
/// acknowledged.
pub(super) fn examine(
    folder: &Path,
    promise: Promise,
    acks: &[u64],
    progress: &mut Progress,
) -> Checked<u64> {
    let began = Instant::now();
    let db = Database::open(folder).map_err(|error| format!("it does not open: {error}"))?;
    progress.start_ms_max = progress.start_ms_max.max(began.elapsed().as_millis() as u64);
    // A crash leaves no segment that has to be made anew. (A keyword index may be killed while it is created.)
    if db.start().rebuilt.iter().any(|rebuilt| rebuilt.index != "keyword") {
        return Err(format!("{:?}", db.start().rebuilt));
    }
    let sides: Vec<Collection> = COLLECTIONS.iter().filter_map(|name| db.collection(name).ok()).collect();
    if sides.len() < COLLECTIONS.len() {
        // Killed before both were made: then nothing can have been written.
        return if acks.iter().all(|ack| *ack == 0) { Ok(0) } else { Err("a collection is gone".into()) };
    }
    check_files(folder, &db)?;
    progress.segments += sides.iter().map(|side| side.status().segments.len()).sum::<usize>();
    let found = [read(&sides[0])?, read(&sides[1])?];
    let mut unacknowledged = 0;
    for (thread, ack) in acks[..WRITERS].iter().enumerate() {
        let of_thread = found.each_ref().map(|side| {
            let own = side.iter().filter(|(_, point)| point.payload["thread"] == thread as u64);
            own.map(|(id, point)| (*id, point.payload["number"].as_u64().unwrap_or(0))).collect()
        });
        let least = if promise == Promise::All { *ack } else { progress.done[thread] };
        let reached = progress.advance(thread, &of_thread, least, ack + 1)?;
        unacknowledged += u64::from(reached > *ack);
    }
    unacknowledged += u64::from(progress.keep(&db, acks[WRITERS])? > acks[WRITERS]);
    for (collection, points) in sides.iter().zip(&found) {
        find_all(collection, points)?;
    }
    let health = db.verify().map_err(|error| format!("it cannot be verified: {error}"))?;
    if health.faults.is_empty() { Ok(unacknowledged) } else { Err(format!("{:?}", health.faults)) }
}

/// Every point of a collection, each of which must be whole: all of it from one step.
fn read(collection: &Collection) -> Checked<BTreeMap<u64, Point>> {
    let page =
        collection.scroll(&Filter::default(), None, 100_000, &Select::all()).map_err(|e| e.to_string())?;
    let count = collection.count(&Filter::default()).map_err(|e| e.to_string())?;
    if count != page.points.len() {
        return Err(format!("{count} points are counted, {} are listed", page.points.len()));
    }
    let whole = |found: Point| {
        let number = found.payload.get("number").and_then(kithdb::Value::as_u64).unwrap_or(0);
        match found.id {
            PointId::Num(id) if found == point(id, number) => Ok((id, found)),
            _ => Err(format!("a point is not as any step wrote it: {found:?}")),
        }
    };
    page.points.into_iter().map(whole).collect()
}

/// Finds each point by id, by its vector, by the word only it has, and by the value only it has.
fn find_all(collection: &Collection, points: &BTreeMap<u64, Point>) -> Checked<()> {
    let fault = |error: kithdb::Error| error.to_string();
    for (id, point) in points {
        let own = mark(*id, point.payload["number"].as_u64().unwrap_or(0));
        let by_id = collection.get(&[PointId::Num(*id)], &Select::all()).map_err(fault)?;
        if by_id != [point.clone()] {
            return Err(format!("by its id, {id} is {by_id:?}"));
        }
        let vector = point.vector_named("").unwrap_or_default().to_vec();
        let near = collection.query().nearest(vector).exact().limit(2).run().map_err(fault)?;
        only(*id, &near[..near.len().min(1)], "its vector")?;
        if near[0].score != 0.0 || near.get(1).is_some_and(|second| second.score == 0.0) {
            return Err(format!("by its vector, {id} is found as {near:?}"));
        }
        let weights = SparseVector::of([(*id as u32, 1.0)]);
        only(*id, &collection.query().nearest_in("weights", weights).run().map_err(fault)?, "its index")?;
        only(*id, &collection.query().keyword(&own).run().map_err(fault)?, "its word")?;
        for path in ["mark", "text"] {
            let value = point.payload[path].as_str().unwrap_or_default();
            let is = Predicate::Any(vec![value.into()]);
            let filter = Condition::Field(path.parse().map_err(fault)?, is);
            only(*id, &collection.query().filter(filter).run().map_err(fault)?, path)?;
        }
    }
    // What every point says, deleted ones too.
    let all = collection.query().keyword("point").limit(100_000).run().map_err(fault)?;
    if all.len() == points.len() {
        Ok(())
    } else {
        Err(format!("{} texts, {} points", all.len(), points.len()))
    }
}

fn only(id: u64, hits: &[Hit], way: &str) -> Checked<()> {
    match hits {
        [hit] if hit.id == PointId::Num(id) => Ok(()),
        _ => Err(format!("by {way}, {id} is found as {hits:?}")),
    }
}

/// What the step makes of what is there.
fn apply(step: &Step, number: u64, expected: &mut Expected) {
    match step {
        Step::Put(side, ids) | Step::Patch(side, ids) => {
            expected[*side].extend(ids.iter().map(|id| (*id, number)));
        }
        Step::Delete(side, ids) => expected[*side].retain(|id, _| !ids.contains(id)),
        Step::DeleteGroup(side, group) => expected[*side].retain(|id, _| id % GROUPS != *group),
        Step::Both(puts, deletes) => {
            for side in expected {
                side.extend(puts.iter().map(|id| (*id, number)));
                side.retain(|id, _| !deletes.contains(id));
            }
        }
    }
}

#[test]
fn the_oracle_notices_what_is_lost_and_what_is_half() {
    let mut whole = Expected::default();
    (1..=5).for_each(|number| apply(&step(7, 0, number), number, &mut whole));
    let fits = |found: &Expected, least, most| Progress::new(7).advance(0, found, least, most);
    assert_eq!(fits(&whole, 5, 6), Ok(5));
    assert!(fits(&whole, 6, 7).is_err(), "a lost operation");
    let number = (1..).find(|number| matches!(step(7, 0, *number), Step::Both(..)));
    let number = number.expect("a script has transactions");
    let mut half = Expected::default();
    (1..number).for_each(|number| apply(&step(7, 0, number), number, &mut half));
    let mut torn = half.clone();
    apply(&step(7, 0, number), number, &mut torn);
    torn[1] = half[1].clone();
    assert!(fits(&torn, number - 1, number).is_err(), "half a transaction");
}
