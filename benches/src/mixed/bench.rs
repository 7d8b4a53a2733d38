//! The database that is measured: one collection with vectors and an integer field, loaded in batches.

use std::collections::HashSet;
use std::path::Path;

use kithdb::{
    Collection, Database, Error, ErrorKind, FieldKind, Options, Point, PointId, Result, Schema, Segments,
};

use super::Arguments;
use super::questions::Questions;
use crate::ann::dataset::{Dataset, LABELS, add_noise};
use crate::clusters::Random;
use crate::figures::{Timings, rate};
use crate::machine::{self, Memory};

/// The field of the filters: integers from 0 to 999, evenly.
pub(super) const FIELD: &str = "number";

/// Points of one commit of the load.
const BATCH_POINTS: usize = 1_000;

/// A loaded database, and what else there is to write into it.
pub(super) struct Bench<'a> {
    pub(super) set: &'a Dataset,
    /// Rows of the set from 0 on, shuffled: the first are loaded under their place as id, the others are fresh.
    order: Vec<usize>,
    pub(super) rows: usize,
    /// Half of the threads there are to be.
    pub(super) readers: usize,
    pub(super) writers: usize,
    noise_spread: f32,
    pub(super) memory_before: Option<Memory>,
    pub(super) collection: Collection,
    /// Dropped after the collection; nothing is asked of it.
    _database: Database,
}

impl<'a> Bench<'a> {
    /// Makes the database and loads the points.
    pub(super) fn begin(set: &'a Dataset, rows: usize, folder: &Path, asked: &Arguments) -> Result<Self> {
        let mut order: Vec<usize> = (0..set.rows()).collect();
        shuffle(&mut order, &mut Random::new(0x6f72_6465));
        let memory_before = machine::memory();
        let options = Options {
            durability: asked.durability,
            segments: Segments { seal_rows: asked.seal_rows, ..Segments::default() },
            ..Options::default()
        };
        let database = Database::open_with(folder, options)?;
        let schema = Schema::new().vector(set.dim, set.metric).field(FIELD.parse()?, FieldKind::Integer);
        let bench = Self {
            set,
            order,
            rows,
            readers: asked.threads.div_ceil(2).max(1),
            writers: (asked.threads / 2).max(1),
            noise_spread: set.noise_spread(asked.threads),
            memory_before,
            collection: database.create_collection("points", schema)?,
            _database: database,
        };
        bench.load()?;
        Ok(bench)
    }

    fn load(&self) -> Result<()> {
        let mut timings = Timings::default();
        for start in (0..self.rows).step_by(BATCH_POINTS) {
            let ids = start..self.rows.min(start + BATCH_POINTS);
            let points = ids.map(|id| self.point(id as u64, self.order[id])).collect();
            timings.time(|| self.collection.upsert(points))?;
        }
        eprintln!("{} points loaded, {} a second", self.rows, rate(self.rows, timings.sum()));
        Ok(())
    }

    /// A point with the vector and the number of a row of the set.
    fn point(&self, id: u64, row: usize) -> Point {
        let number = self.set.labels.numbers[row];
        Point::new(id).vector(self.set.vector(row)).with(FIELD, i64::from(number))
    }

    /// A loaded point with what was loaded for another.
    pub(super) fn exchanged(&self, id: u64, with: usize) -> Point {
        self.point(id, self.order[with])
    }

    /// A point that was never loaded, the same one for the same number but for noise.
    pub(super) fn fresh(&self, id: u64, number: usize, random: &mut Random) -> Point {
        let held_back = &self.order[self.rows..];
        let (rows, is_new) =
            if held_back.is_empty() { (&*self.order, false) } else { (held_back, number < held_back.len()) };
        let row = rows[number % rows.len()];
        if is_new {
            return self.point(id, row);
        }
        let mut vector = self.set.vector(row).to_vec();
        add_noise(&mut vector, self.noise_spread, random);
        Point::new(id).vector(vector).with(FIELD, random.below(LABELS) as i64)
    }

    pub(super) fn questions(&self) -> Result<Questions<'_>> {
        Questions::new(&self.collection, self.set)
    }

    /// Waits until one segment holds everything.
    pub(super) fn optimize(&self) -> Result<()> {
        eprintln!("optimizing");
        self.collection.optimize(true)
    }

    /// Fails unless the collection has as many points as were left in it: figures of another collection say nothing.
    pub(super) fn check_points(&self, alive: &HashSet<PointId>) -> Result<()> {
        let points = self.collection.status().points;
        if points == alive.len() {
            return Ok(());
        }
        let message = format!("the collection has {points} points, but {} were left in it", alive.len());
        Err(Error::new(ErrorKind::Internal, message))
    }
}

/// Fisher, Yates 1938.
pub(super) fn shuffle<T>(all: &mut [T], random: &mut Random) {
    for end in (2..=all.len()).rev() {
        all.swap(end - 1, random.below(end));
    }
}
