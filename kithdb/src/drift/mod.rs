//! Whether what comes into a collection, and what is asked of it, is still distributed as the collection is: vectors of
//! another model, a prefix that was left out, documents of another kind, questions about something else.
//!
//! Incoming vectors are the newest of each space, held against all before; queries are the last dense vectors that
//! were asked with. What is compared, and how sure it is, stands in [`statistic`].
//!
//! Invariants: nothing waits for it: a query that finds the samples taken is passed over, and comparing is done on the
//! thread of the monitor, within as much time as that has for itself. Of a space no more than [`QUERIES_MAX`] queries
//! are kept, in memory alone; incoming vectors are read where they lie, and nothing is kept of them.
//! Cost: of a query, a lock that is never waited for and a copy of its vector; beyond the first [`QUERIES_MAX`] that of
//! one query a second. A comparison is some 1.5 million distances for each space of a collection that has changed.

mod statistic;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use query::{Input, Query, Request, View};
use types::{Result, Seqno, Slot};

use crate::engine::{Engine, Shared};
use statistic::Compared;

/// Queries of a space that are kept.
const QUERIES_MAX: usize = statistic::WINDOW;

/// Once there are so many, one is replaced after so long: the last ones are then of some minutes, not of one caller.
const QUERY_EVERY: Duration = Duration::from_secs(1);

/// A collection that has changed is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What comes in has drifted from here on, if it also differs by more than it ever did.
const INCOMING_MIN: f32 = 0.2;

/// Queries have drifted from here on. They are no documents: of six labelled collections they differed by 0.64 at most,
/// of a seventh, which is asked by identifiers, by 0.90; turned at random, as if by another model, by 0.98 at least.
/// See docs/operating.md.
const QUERIES_MIN: f32 = 0.5;

/// What is held against a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftOf {
    /// The newest vectors of the collection.
    Incoming,
    /// The last vectors that it was asked with.
    Queries,
}

impl DriftOf {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Queries => "queries",
        }
    }
}

/// How far vectors differ from those of their collection: by how near they are to the nearest of some of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The vector space.
    pub space: String,
    /// What was compared.
    pub of: DriftOf,
    /// Vectors that were.
    pub vectors: usize,
    /// The statistic of Kolmogorov and Smirnov, from 0 to 1; negative where they are nearer than the collection's own.
    pub difference: f32,
    /// What it is at least without its sign, 999 times of 1,000.
    pub least: f32,
    /// The largest of 19 earlier stretches as long as this one, without its sign; nothing for queries.
    pub usual: Option<f32>,
    /// Whether that is more than chance and more than what is usual.
    pub has_drifted: bool,
}

impl Drift {
    fn new(space: &str, of: DriftOf, compared: Compared) -> Self {
        let Compared { vectors, difference, least, usual } = compared;
        let has_drifted = match of {
            DriftOf::Incoming => least > INCOMING_MIN && usual.is_some_and(|usual| difference.abs() > usual),
            // Those that ask about a part of it are nearer to it than it is to itself.
            DriftOf::Queries => least > QUERIES_MIN && difference > 0.0,
        };
        Self { space: space.to_owned(), of, vectors, difference, least, usual, has_drifted }
    }
}

/// The last queries of a space.
#[derive(Default)]
struct Asked {
    vectors: VecDeque<Vec<f32>>,
    last: Option<Instant>,
}

/// What was seen of it when a collection was last looked at.
#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    seqno: Seqno,
    taken: u64,
    found: Vec<Drift>,
}

/// The samples of one collection, and what was found in them.
#[derive(Default)]
pub(crate) struct Drifts {
    asked: Mutex<BTreeMap<String, Asked>>,
    /// Queries that were taken.
    taken: AtomicU64,
    looked: Mutex<Looked>,
}

impl Drifts {
    /// Takes the vectors of a request that was checked.
    pub(crate) fn ask(&self, request: &Request) {
        let Some(mut asked) = self.asked.try_lock() else { return };
        each(request, &mut |space, vector| {
            let is_taken = match asked.get_mut(space) {
                Some(known) => known.take(vector),
                None => asked.entry(space.to_owned()).or_default().take(vector),
            };
            self.taken.fetch_add(u64::from(is_taken), Ordering::Relaxed);
        });
    }

    /// What was found when it was last looked at.
    pub(crate) fn found(&self) -> Vec<Drift> {
        self.looked.lock().found.clone()
    }

    /// Compares what there is now, and keeps what was found.
    ///
    /// # Errors
    /// `Io`, `Corrupted`: a vector cannot be read.
    pub(crate) fn look(&self, view: &View) -> Result<Vec<Drift>> {
        let taken = self.taken.load(Ordering::Relaxed);
        let found = self.compare(view)?;
        *self.looked.lock() =
            Looked { at: Some(Instant::now()), seqno: view.seqno, taken, found: found.clone() };
        Ok(found)
    }

    fn compare(&self, view: &View) -> Result<Vec<Drift>> {
        let alive = view.alive.to_bitmap();
        let mut found = Vec::new();
        for (space, spec) in &view.entry.schema.vectors {
            let read = |at: usize| match alive.select(at as u32) {
                Some(slot) => view.rows.vector(Slot(slot), space),
                None => Ok(None),
            };
            let incoming = statistic::incoming(view.points(), spec.metric, &read)?;
            let queries = self.queries(space, spec.dim);
            let queries = statistic::queries(view.points(), spec.metric, &read, &queries)?;
            let both = [(DriftOf::Incoming, incoming), (DriftOf::Queries, queries)];
            found.extend(both.into_iter().filter_map(|(of, told)| Some(Drift::new(space, of, told?))));
        }
        Ok(found)
    }

    /// Those of a space that has this dimension now.
    fn queries(&self, space: &str, dim: usize) -> Vec<Vec<f32>> {
        let asked = self.asked.lock();
        let vectors = asked.get(space).into_iter().flat_map(|asked| &asked.vectors);
        vectors.filter(|vector| vector.len() == dim).cloned().collect()
    }

    /// Whether there is something that was not looked at, and it is time to.
    fn is_due(&self, seqno: Seqno) -> bool {
        let looked = self.looked.lock();
        let is_news = (looked.seqno, looked.taken) != (seqno, self.taken.load(Ordering::Relaxed));
        is_news && looked.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
    }
}

impl Asked {
    /// Keeps a vector, unless it is the last one again or too soon; whether it did.
    fn take(&mut self, vector: &[f32]) -> bool {
        let is_full = self.vectors.len() >= QUERIES_MAX;
        let is_soon = is_full && self.last.is_some_and(|last| last.elapsed() < QUERY_EVERY);
        if is_soon || self.vectors.back().is_some_and(|last| last == vector) {
            return false;
        }
        if is_full {
            self.vectors.pop_front();
        }
        self.vectors.push_back(vector.to_vec());
        self.last = Some(Instant::now());
        true
    }
}

/// The dense vectors that a request brings, with their spaces.
fn each(request: &Request, take: &mut dyn FnMut(&str, &[f32])) {
    if let Query::Nearest { vector, using } | Query::Diverse { vector, using, .. } = &request.query
        && let Input::Vector(vector) = vector
        && let Some(elements) = vector.dense()
    {
        take(using, elements);
    }
    request.prefetch.iter().for_each(|leg| each(leg, take));
}

/// Looks at one collection that has changed; how long that took, if there is one.
pub(crate) fn look_around(engine: &Engine) -> Option<Duration> {
    let is_due = |shared: &Arc<Shared>| shared.drifts.is_due(shared.view.load().seqno);
    let shared = engine.all().into_iter().find(is_due)?;
    let began = Instant::now();
    let view = shared.view.load_full();
    if let Err(error) = shared.drifts.look(&view) {
        tracing::debug!(%error, collection = shared.name, "its vectors could not be compared");
        shared.drifts.looked.lock().at = Some(began);
    }
    Some(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(difference: f32, least: f32, usual: Option<f32>) -> Compared {
        Compared { vectors: 256, difference, least, usual }
    }

    #[test]
    fn an_alarm_is_more_than_chance_and_more_than_what_is_usual() {
        let cases = [
            (DriftOf::Incoming, compared(0.9, 0.6, Some(0.3)), true),
            (DriftOf::Incoming, compared(-0.9, 0.6, Some(0.3)), true),
            (DriftOf::Incoming, compared(0.9, 0.6, Some(0.95)), false),
            (DriftOf::Incoming, compared(0.4, 0.15, Some(0.3)), false),
            (DriftOf::Incoming, compared(0.9, 0.6, None), false),
            (DriftOf::Queries, compared(0.9, 0.6, None), true),
            (DriftOf::Queries, compared(-0.9, 0.6, None), false),
            (DriftOf::Queries, compared(0.7, 0.45, None), false),
        ];
        for (of, compared, has_drifted) in cases {
            assert_eq!(Drift::new("", of, compared).has_drifted, has_drifted, "{of:?} {compared:?}");
        }
    }

    fn nearest(vector: &[f32]) -> Request {
        let query = Query::Nearest { vector: vector.into(), using: String::new() };
        Request { query, limit: 1, ..Request::default() }
    }

    #[test]
    fn the_vectors_of_all_legs_are_taken_and_of_many_queries_the_first_and_then_one_a_second() {
        let drifts = Drifts::default();
        let other = Query::Nearest { vector: vec![9.0_f32].into(), using: "other".to_owned() };
        let leg = Request { query: other, ..Request::default() };
        let by_id = Query::Nearest { vector: Input::Point(1.into()), using: String::new() };
        let legs = vec![nearest(&[1.0]), leg, Request { query: by_id, ..Request::default() }];
        drifts.ask(&Request { prefetch: legs, ..Request::default() });
        assert_eq!(drifts.queries("", 1), [[1.0]]);
        assert_eq!(drifts.queries("other", 1), [[9.0]]);
        assert!(drifts.queries("other", 2).is_empty() && drifts.queries("none", 1).is_empty());
        drifts.ask(&nearest(&[1.0]));
        assert_eq!(drifts.queries("", 1).len(), 1, "the same again");
        (0..2 * QUERIES_MAX).for_each(|nth| drifts.ask(&nearest(&[nth as f32 + 2.0])));
        let kept = drifts.queries("", 1);
        assert_eq!((kept.len(), &kept[0]), (QUERIES_MAX, &vec![1.0]));
        let taken = drifts.taken.load(Ordering::Relaxed);
        assert_eq!(taken, QUERIES_MAX as u64 + 1);
        assert!(drifts.is_due(Seqno(0)), "queries are news");
    }
}
