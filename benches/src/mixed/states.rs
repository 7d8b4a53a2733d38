//! A table of what the collection is made of at some moments, and how well it answers then.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use kithdb::{PointId, Result};

use super::bench::Bench;
use super::questions::Questions;
use crate::figures::milliseconds;
use crate::table::Table;

/// How often the collection is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

pub(super) struct States<'a> {
    bench: &'a Bench<'a>,
    questions: Questions<'a>,
    table: Table,
}

impl<'a> States<'a> {
    pub(super) fn new(bench: &'a Bench<'a>) -> Result<Self> {
        let table = Table::new([
            "state",
            "points",
            "segments",
            "dead rows in them",
            "rows of heads",
            "p50",
            "recall@10",
            "p50, filter",
            "recall@10, filter",
        ]);
        Ok(Self { bench, questions: bench.questions()?, table })
    }

    /// Adds a row of now.
    pub(super) fn add(&mut self, name: &str, alive: &HashSet<PointId>) -> Result<()> {
        eprintln!("{name}");
        self.bench.check_points(alive)?;
        let status = self.bench.collection.status();
        let plain = self.questions.answered(false, alive)?;
        let filtered = self.questions.answered(true, alive)?;
        self.table.row([
            name.to_owned(),
            status.points.to_string(),
            status.segments.len().to_string(),
            status.segments.iter().map(|segment| segment.dead_rows).sum::<usize>().to_string(),
            status.head_rows.to_string(),
            milliseconds(plain.p50),
            format!("{:.3}", plain.recall),
            milliseconds(filtered.p50),
            format!("{:.3}", filtered.recall),
        ]);
        Ok(())
    }

    /// Makes one segment of everything, and adds a row.
    pub(super) fn add_optimised(&mut self, name: &str, alive: &HashSet<PointId>) -> Result<()> {
        self.bench.optimize()?;
        self.add(&format!("{name}, optimised"), alive)
    }

    /// Waits until nothing has moved for so long, and adds a row.
    pub(super) fn add_at_rest(&mut self, name: &str, alive: &HashSet<PointId>, rest: Duration) -> Result<()> {
        let (mut seen, mut at) = (None, Instant::now());
        while at.elapsed() < rest {
            let status = self.bench.collection.status();
            let is_building = status.build.is_some();
            let now = Some((status.segments, status.head_rows, status.waiting_rows, status.vectors_linked));
            if is_building || now != seen {
                (seen, at) = (now, Instant::now());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        self.add(&format!("{name}, at rest"), alive)
    }

    pub(super) fn to_text(&self) -> String {
        self.table.to_text()
    }
}
