//! The checker: whether one order of the calls explains what each of them answered, where a call that ended before
//! another began comes before it (Wing and Gong 1993), and what was tried is not tried again (Lowe 2017).
//!
//! The state is that of one point, since histories are linearizable together if those of each point are.
//! Cost: about the square of the calls where few of them overlap; exponential in how many do, at worst.

use std::collections::HashSet;

/// What was asked. Values are those of no other call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Replaces the point, or makes it.
    Put(u64),
    /// Changes a part of it, if it is there.
    Patch(u64),
    /// Removes it, if it is there.
    Delete,
    /// Makes it, if it is not there; else a conflict.
    Create(u64),
    /// Replaces it if it has a value; says nothing of whether it did.
    Swap { from: u64, to: u64 },
    /// Replaces it if it has a version, which was found before; else a conflict.
    Replace { version: u64, to: u64 },
    /// Reads it by id.
    Get,
    /// Finds it, with its version.
    Find,
}

/// What is in a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) value: u64,
    pub(super) part: Option<u64>,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// There is no such point.
    Missing,
    Conflict,
    Seen(Option<Row>),
    /// With its version.
    Found(Option<(Row, u64)>),
}

/// A call, from its beginning to its end, on a clock that all threads share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) call: Call,
    pub(super) outcome: Outcome,
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// A point between two calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    row: Option<Row>,
    /// Known since somebody has found it.
    version: Option<u64>,
    /// The last version that is known: each later one is larger.
    floor: u64,
}

impl State {
    fn written(self, row: Option<Row>) -> Self {
        Self { row, version: None, ..self }
    }

    /// The state behind a call; nothing if it cannot have answered so here.
    fn after(self, call: Call, outcome: Outcome) -> Option<Self> {
        let whole = |value| Some(self.written(Some(Row { value, part: None })));
        let same = |is_so: bool| is_so.then_some(self);
        match (call, outcome) {
            (Call::Put(value), Outcome::Done) => whole(value),
            (Call::Patch(part), Outcome::Done) => {
                self.row.map(|row| self.written(Some(Row { part: Some(part), ..row })))
            }
            (Call::Patch(_), Outcome::Missing) => same(self.row.is_none()),
            (Call::Delete, Outcome::Done) if self.row.is_none() => Some(self),
            (Call::Delete, Outcome::Done) => Some(self.written(None)),
            (Call::Create(value), Outcome::Done) if self.row.is_none() => whole(value),
            (Call::Create(_), Outcome::Conflict) => same(self.row.is_some()),
            (Call::Swap { from, to }, Outcome::Done) => match self.row {
                Some(row) if row.value == from => whole(to),
                _ => Some(self),
            },
            // Who names a version has found it, and a version that nobody has found since is a later one.
            (Call::Replace { version, to }, Outcome::Done) if self.version == Some(version) => whole(to),
            (Call::Replace { version, .. }, Outcome::Conflict) => same(self.version != Some(version)),
            (Call::Get, Outcome::Seen(row)) => same(self.row == row),
            (Call::Find, Outcome::Found(None)) => same(self.row.is_none()),
            (Call::Find, Outcome::Found(Some((row, version)))) => {
                let is_known = self.version.map_or(version > self.floor, |known| known == version);
                let found = Self { version: Some(version), floor: version, ..self };
                (self.row == Some(row) && is_known).then_some(found)
            }
            _ => None,
        }
    }
}

struct Search<'a> {
    events: &'a [Event],
    /// Which of them are in the order so far.
    done: Vec<bool>,
    tried: HashSet<(Vec<bool>, State)>,
}

impl Search<'_> {
    fn goes_on(&mut self, state: State) -> bool {
        let left = self.events.iter().zip(&self.done).filter(|(_, done)| !**done);
        // Whatever began after this has to wait for it.
        let Some(first_end) = left.map(|(event, _)| event.ended).min() else { return true };
        let next: Vec<usize> = (0..self.events.len())
            .filter(|number| !self.done[*number] && self.events[*number].began < first_end)
            .collect();
        for number in next {
            let Event { call, outcome, .. } = self.events[number];
            let Some(after) = state.after(call, outcome) else { continue };
            self.done[number] = true;
            if self.tried.insert((self.done.clone(), after)) && self.goes_on(after) {
                return true;
            }
            self.done[number] = false;
        }
        false
    }
}

/// Whether the calls on one point, which was not there before them, can have happened one after the other.
pub(super) fn is_linearizable(events: &[Event]) -> bool {
    let mut search = Search { events, done: vec![false; events.len()], tried: HashSet::new() };
    search.goes_on(State::default())
}

fn seen(value: u64, part: Option<u64>) -> Outcome {
    Outcome::Seen(Some(Row { value, part }))
}

fn found(value: u64, version: u64) -> Outcome {
    Outcome::Found(Some((Row { value, part: None }, version)))
}

/// What it shows, calls with when they begin and end, and whether an order explains them.
type Case = (&'static str, Vec<(u64, u64, Call, Outcome)>, bool);

fn put(at: u64, value: u64) -> (u64, u64, Call, Outcome) {
    (at, at + 1, Call::Put(value), Outcome::Done)
}

fn cases() -> Vec<Case> {
    use Call::{Create, Delete, Get, Patch, Put};
    use Outcome::{Conflict, Done, Missing, Seen};
    vec![
        ("one after the other", vec![put(0, 1), put(2, 2), (4, 5, Get, seen(2, None))], true),
        ("a value that was replaced", vec![put(0, 1), put(2, 2), (4, 5, Get, seen(1, None))], false),
        ("a value that nobody wrote", vec![put(0, 1), (2, 3, Get, seen(9, None))], false),
        ("before a write under way", vec![put(0, 1), (2, 5, Put(2), Done), (3, 4, Get, seen(1, None))], true),
        ("after a write under way", vec![put(0, 1), (2, 5, Put(2), Done), (3, 4, Get, seen(2, None))], true),
        (
            "a write under way, seen and then not",
            vec![put(0, 1), (2, 9, Put(2), Done), (3, 4, Get, seen(2, None)), (5, 6, Get, seen(1, None))],
            false,
        ),
        ("made twice", vec![(0, 3, Create(1), Done), (1, 4, Create(2), Done)], false),
        ("made once", vec![(0, 3, Create(1), Conflict), (1, 4, Create(2), Done)], true),
        ("a conflict with nobody", vec![(0, 1, Create(1), Conflict)], false),
        ("a part", vec![put(0, 1), (2, 3, Patch(7), Done), (4, 5, Get, seen(1, Some(7)))], true),
        ("a part that is lost", vec![put(0, 1), (2, 3, Patch(7), Done), (4, 5, Get, seen(1, None))], false),
        (
            "a part that outlives a put",
            vec![put(0, 1), (2, 3, Patch(7), Done), put(4, 2), (6, 7, Get, seen(2, Some(7)))],
            false,
        ),
        ("a part of nothing", vec![(0, 1, Patch(7), Done)], false),
        ("missing although it is there", vec![put(0, 1), (2, 3, Patch(7), Missing)], false),
        ("deleted", vec![put(0, 1), (2, 3, Delete, Done), (4, 5, Get, Seen(None))], true),
        ("deleted, and back", vec![put(0, 1), (2, 3, Delete, Done), (4, 5, Get, seen(1, None))], false),
    ]
}

/// Of calls that look at what is there.
fn cases_of_conditions() -> Vec<Case> {
    use Call::{Find, Get, Replace, Swap};
    use Outcome::{Conflict, Done};
    vec![
        (
            "one of two swaps",
            vec![
                put(0, 1),
                (2, 5, Swap { from: 1, to: 2 }, Done),
                (3, 6, Swap { from: 1, to: 3 }, Done),
                (7, 8, Get, seen(3, None)),
            ],
            true,
        ),
        (
            "none of two swaps",
            vec![
                put(0, 1),
                (2, 5, Swap { from: 1, to: 2 }, Done),
                (3, 6, Swap { from: 1, to: 3 }, Done),
                (7, 8, Get, seen(1, None)),
            ],
            false,
        ),
        (
            "a version that is gone is taken",
            vec![
                put(0, 1),
                (2, 3, Find, found(1, 5)),
                put(4, 2),
                (6, 7, Replace { version: 5, to: 3 }, Done),
            ],
            false,
        ),
        (
            "a version that is gone is refused",
            vec![
                put(0, 1),
                (2, 3, Find, found(1, 5)),
                put(4, 2),
                (6, 7, Replace { version: 5, to: 3 }, Conflict),
            ],
            true,
        ),
        (
            "a version that is there is refused",
            vec![put(0, 1), (2, 3, Find, found(1, 5)), (4, 5, Replace { version: 5, to: 3 }, Conflict)],
            false,
        ),
        (
            "a version of two writes",
            vec![put(0, 1), (2, 3, Find, found(1, 5)), put(4, 2), (6, 7, Find, found(2, 5))],
            false,
        ),
    ]
}

#[test]
fn a_wrong_history_is_refused_and_a_right_one_is_not() {
    for (name, calls, expected) in cases().into_iter().chain(cases_of_conditions()) {
        let event = |(began, ended, call, outcome)| Event { call, outcome, began, ended };
        let events: Vec<Event> = calls.into_iter().map(event).collect();
        assert_eq!(is_linearizable(&events), expected, "{name}: {events:?}");
    }
}
