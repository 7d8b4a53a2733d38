//! What readers ask: 10 hits with their payload, every second time of the tenth of all points that a filter passes.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kithdb::{Collection, Condition, Error, ErrorKind, PointId, QueryBuilder, Range, Result};

use super::bench::FIELD;
use super::traffic::Balance;
use crate::ann::dataset::{Dataset, HITS, LABELS};
use crate::figures::Timings;

/// Queries that recall is taken of, with and without the filter; an exact answer reads every vector.
const RECALL_QUERIES: usize = 200;

/// Queries of a set, to a collection.
pub(super) struct Questions<'a> {
    collection: &'a Collection,
    set: &'a Dataset,
    filter: Condition,
}

/// What a reader saw.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) plain: Timings,
    pub(super) filtered: Timings,
    /// For the writers.
    pub(super) waited: Duration,
}

/// How well and how fast some queries were answered.
pub(super) struct Answered {
    pub(super) p50: Duration,
    pub(super) recall: f64,
}

impl<'a> Questions<'a> {
    pub(super) fn new(collection: &'a Collection, set: &'a Dataset) -> Result<Self> {
        let tenth = Range { lt: Some(LABELS as f64 / 10.0), ..Range::default() };
        Ok(Self { collection, set, filter: Condition::range(FIELD, tenth)? })
    }

    fn query(&self, number: usize, is_filtered: bool) -> QueryBuilder<'a> {
        let at = number % self.set.query_count() * self.set.dim;
        let query = self.collection.query().limit(HITS).nearest(&self.set.queries[at..at + self.set.dim]);
        if is_filtered { query.filter(self.filter.clone()) } else { query }
    }

    /// Asks until then, from this query on; in a balance with writers if there are any.
    pub(super) fn ask(&self, first: usize, balance: Option<&Balance>, until: Instant) -> Result<Reads> {
        let mut reads = Reads::default();
        for number in first.. {
            if let Some(balance) = balance {
                reads.waited += balance.wait(until, |balance| balance.may_read());
            }
            if Instant::now() >= until {
                break;
            }
            let is_filtered = number % 2 == 1;
            // Both kinds ask every query, not one the even and one the odd ones.
            let query = self.query(number / 2, is_filtered);
            let timings = if is_filtered { &mut reads.filtered } else { &mut reads.plain };
            timings.time(|| query.run())?;
            if let Some(balance) = balance {
                balance.reads.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(reads)
    }

    /// Asks queries of one kind, and again exactly. No hit may be of a point that is not alive.
    pub(super) fn answered(&self, is_filtered: bool, alive: &HashSet<PointId>) -> Result<Answered> {
        let queries = self.set.query_count().min(RECALL_QUERIES);
        let mut timings = Timings::default();
        let mut answers = Vec::with_capacity(queries);
        for number in 0..queries {
            let query = self.query(number, is_filtered);
            answers.push(ids(timings.time(|| query.run())?, alive)?);
        }
        let (mut found, mut wanted) = (0, 0);
        for (number, answer) in answers.iter().enumerate() {
            let best = ids(self.query(number, is_filtered).exact().run()?, alive)?;
            found += best.intersection(answer).count();
            wanted += best.len();
        }
        Ok(Answered { p50: timings.percentile(0.5), recall: found as f64 / wanted.max(1) as f64 })
    }
}

fn ids(hits: Vec<kithdb::Hit>, alive: &HashSet<PointId>) -> Result<HashSet<PointId>> {
    let ids: HashSet<PointId> = hits.into_iter().map(|hit| hit.id).collect();
    match ids.difference(alive).next() {
        None => Ok(ids),
        Some(id) => Err(Error::new(ErrorKind::Internal, format!("a hit is {id}, which was deleted"))),
    }
}
