//! Latency of commits of one point each, at every durability, for one caller and for many at once.
//!
//! Callers that wait at the same time share one write and one fsync (group commit): commits a second rise with callers
//! where the disk is what they wait for.

use std::thread;
use std::time::Instant;

use kithdb::{Collection, Durability, Error, ErrorKind, Op, Point, Result};

use super::life::Life;
use super::synthetic::Synthetic;
use crate::figures::{Timings, milliseconds, rate};
use crate::table::Table;

/// Callers at once.
const CALLERS: [usize; 2] = [1, 8];

/// A table with a row for each durability and number of callers.
///
/// # Errors
/// What the database returns.
pub(super) fn measure(life: &Life) -> Result<String> {
    let mut table = Table::new(["commit of 1 point", "callers", "p50", "p99", "commits a second"]);
    let mut source = Synthetic::new(life.sizes.dim);
    let mut next_id = life.sizes.rows as u64;
    for durability in Durability::ALL.into_iter().rev() {
        for callers in CALLERS {
            eprintln!("commits: {durability}, {callers} callers");
            let mut points = || {
                let ids = next_id..next_id + life.sizes.commits as u64;
                next_id = ids.end;
                ids.map(|id| source.point(id)).collect()
            };
            let loads: Vec<Vec<Point>> = (0..callers).map(|_| points()).collect();
            let began = Instant::now();
            let timings = together(&life.collection, loads, durability)?;
            let elapsed = began.elapsed();
            table.row([
                durability.to_string(),
                callers.to_string(),
                milliseconds(timings.percentile(0.5)),
                milliseconds(timings.percentile(0.99)),
                rate(timings.count(), elapsed),
            ]);
        }
    }
    Ok(table.to_text())
}

/// Commits each load point by point, all loads at the same time.
fn together(collection: &Collection, loads: Vec<Vec<Point>>, durability: Durability) -> Result<Timings> {
    let mut all = Timings::default();
    thread::scope(|scope| {
        let callers: Vec<_> = loads
            .into_iter()
            .map(|load| scope.spawn(move || one_by_one(collection, load, durability)))
            .collect();
        for caller in callers {
            let panicked = |_| Error::new(ErrorKind::Internal, "a caller panicked");
            all.extend(caller.join().map_err(panicked)??);
        }
        Ok(all)
    })
}

fn one_by_one(collection: &Collection, load: Vec<Point>, durability: Durability) -> Result<Timings> {
    let mut timings = Timings::default();
    for point in load {
        timings.time(|| collection.apply_with(vec![Op::Upsert(point)], durability))?;
    }
    Ok(timings)
}
