//! What writers write: 100 points upserted, half of them in the place of others, then as many deleted as were new.
//! So the number of points stays, and about a third of all written points each is new, replaced, deleted.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kithdb::{Point, PointId, Result};

use super::bench::Bench;
use super::traffic::Balance;
use crate::clusters::Random;
use crate::figures::Timings;

/// Points of an upsert.
pub(super) const UPSERT_POINTS: usize = 100;

/// Of these, how many take the place of others.
const REPLACED: usize = UPSERT_POINTS / 2;

/// Points of a delete.
pub(super) const DELETE_POINTS: usize = UPSERT_POINTS - REPLACED;

/// One of several writers. Each has points of its own, so that all know what is alive.
pub(super) struct Writer<'a> {
    bench: &'a Bench<'a>,
    /// What is alive of its own.
    ids: Vec<u64>,
    next_id: u64,
    /// How many fresh points it has taken, counted as all writers count.
    next_fresh: usize,
    random: Random,
}

/// What a writer saw.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) upserts: Timings,
    pub(super) deletes: Timings,
    pub(super) upserted: usize,
    pub(super) deleted: usize,
    /// For the readers.
    pub(super) waited: Duration,
    pub(super) alive: HashSet<PointId>,
}

impl<'a> Writer<'a> {
    /// The writer of this number, from 0.
    pub(super) fn new(bench: &'a Bench<'a>, number: usize) -> Self {
        let ids: Vec<u64> = (0..bench.rows as u64).skip(number).step_by(bench.writers).collect();
        let next_id = ids.last().map_or(number as u64, |last| last + bench.writers as u64);
        Self { bench, ids, next_id, next_fresh: number, random: Random::new(0x7772_6974 + number as u64) }
    }

    /// Writes until then, in a balance with readers.
    pub(super) fn write(mut self, balance: &Balance, until: Instant) -> Result<Writes> {
        let mut writes = Writes::default();
        loop {
            writes.waited += balance.wait(until, |balance| balance.may_write());
            if Instant::now() >= until {
                break;
            }
            let points = self.upsert();
            writes.upserted += points.len();
            let written = points.len() as u64;
            writes.upserts.time(|| self.bench.collection.upsert(points))?;
            balance.written.fetch_add(written, Ordering::Relaxed);
            let ids = self.delete();
            writes.deleted += ids.len();
            let written = ids.len() as u64;
            writes.deletes.time(|| self.bench.collection.delete(ids))?;
            balance.written.fetch_add(written, Ordering::Relaxed);
        }
        writes.alive = self.ids.into_iter().map(PointId::from).collect();
        Ok(writes)
    }

    fn upsert(&mut self) -> Vec<Point> {
        let replaced = REPLACED.min(self.ids.len());
        for at in 0..replaced {
            let other = at + self.random.below(self.ids.len() - at);
            self.ids.swap(at, other);
        }
        let mut ids: Vec<u64> = self.ids[..replaced].to_vec();
        while ids.len() < UPSERT_POINTS {
            ids.push(self.next_id);
            self.ids.push(self.next_id);
            self.next_id += self.bench.writers as u64;
        }
        ids.into_iter().map(|id| self.fresh(id)).collect()
    }

    fn fresh(&mut self, id: u64) -> Point {
        let number = self.next_fresh;
        self.next_fresh += self.bench.writers;
        self.bench.fresh(id, number, &mut self.random)
    }

    fn delete(&mut self) -> Vec<PointId> {
        let mut deleted = Vec::with_capacity(DELETE_POINTS);
        while deleted.len() < DELETE_POINTS && !self.ids.is_empty() {
            let at = self.random.below(self.ids.len());
            deleted.push(PointId::from(self.ids.swap_remove(at)));
        }
        deleted
    }
}
