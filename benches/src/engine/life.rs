//! The life of a database: made, filled, linked, closed, opened again.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use kithdb::{Collection, Database, Result};

use super::Sizes;
use super::synthetic::Synthetic;
use crate::figures::{Timings, megabytes, milliseconds, rate, seconds};
use crate::machine;
use crate::table::Table;

/// Points of one commit of the ingest.
pub(super) const BATCH_POINTS: usize = 1_000;

const COLLECTION: &str = "points";

/// How often the graph is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Without progress for so long, there will be none.
const STALL_MAX: Duration = Duration::from_secs(5);

/// A database in use.
pub(super) struct Life {
    folder: PathBuf,
    pub(super) sizes: Sizes,
    database: Database,
    pub(super) collection: Collection,
    resident_bytes_before: Option<u64>,
}

impl Life {
    /// An empty database with one collection.
    pub(super) fn begin(folder: &Path, sizes: Sizes) -> Result<Self> {
        let resident_bytes_before = machine::memory().map(|memory| memory.resident_bytes);
        let database = Database::open(folder)?;
        let collection = database.create_collection(COLLECTION, Synthetic::new(sizes.dim).schema()?)?;
        Ok(Self { folder: folder.to_owned(), sizes, database, collection, resident_bytes_before })
    }

    /// Fills it and waits for the graph; a table of how long that took and what it takes.
    pub(super) fn ingest(&mut self) -> Result<String> {
        let mut source = Synthetic::new(self.sizes.dim);
        let mut upserts = Timings::default();
        let began = Instant::now();
        for batch in ids(self.sizes.rows as u64) {
            let points = batch.map(|id| source.point(id)).collect();
            upserts.time(|| self.collection.upsert(points))?;
        }
        let acknowledged = Instant::now();
        eprintln!("{} points written", self.sizes.rows);
        let settled = wait_until_settled(&self.collection);
        let mut table = Table::new(["ingest, 1,000 points a commit, fsync", ""]);
        let mut row = |name: &str, figure: String| table.row([name.to_owned(), figure]);
        row("vectors and documents a second", rate(self.sizes.rows, upserts.sum()));
        row("until all were acknowledged", seconds(upserts.sum()));
        row("from then until the graph covered all", seconds(settled.duration_since(acknowledged)));
        row("points a second, searchable by the graph", rate(self.sizes.rows, settled.duration_since(began)));
        row("vectors that the graph covers", self.collection.status().vectors_linked.to_string());
        self.footprint(&mut row)?;
        Ok(table.to_text())
    }

    fn footprint(&self, row: &mut dyn FnMut(&str, String)) -> Result<()> {
        let shown = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), megabytes);
        let memory = machine::memory();
        let vectors_bytes = (self.sizes.rows * self.sizes.dim * size_of::<f32>()) as u64;
        row("the vectors alone, as f32", megabytes(vectors_bytes));
        row("memory of the process before", shown(self.resident_bytes_before));
        row("memory of the process after", shown(memory.map(|memory| memory.resident_bytes)));
        row("memory of the process at most", shown(memory.map(|memory| memory.peak_bytes)));
        row(
            "memory of the indexes, by their own count",
            megabytes(self.collection.status().index_bytes as u64),
        );
        self.database.flush()?;
        row("on disk", megabytes(machine::disk_bytes(&self.folder)?));
        Ok(())
    }

    /// Closes and opens it; a table of how long that took.
    pub(super) fn end(self) -> Result<String> {
        let Self { folder, sizes, database, collection, .. } = self;
        drop((database, collection));
        let began = Instant::now();
        let database = Database::open(&folder)?;
        let opened = began.elapsed();
        let collection = database.collection(COLLECTION)?;
        let vector = Synthetic::new(sizes.dim).vector();
        let mut first = Timings::default();
        first.time(|| collection.query().nearest(vector).run())?;
        let linked = wait_until_settled(&collection).duration_since(began);
        let mut table = Table::new(["opening", ""]);
        table.row(["points".to_owned(), database.start().points.to_string()]);
        table.row(["time to open".to_owned(), seconds(opened)]);
        table.row(["the first vector query after it".to_owned(), milliseconds(first.sum())]);
        table.row(["until the graph covered all".to_owned(), seconds(linked)]);
        Ok(table.to_text())
    }
}

fn ids(end: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..end).step_by(BATCH_POINTS).map(move |start| start..end.min(start + BATCH_POINTS as u64))
}

/// Waits until graphs cover every row and the keyword index is committed, or nothing moves any more, as in a collection
/// that is too small for a graph. When the last progress was seen.
pub(super) fn wait_until_settled(collection: &Collection) -> Instant {
    let mut progress = None;
    let mut at = Instant::now();
    loop {
        let status = collection.status();
        let now = Some((status.vectors_linked, status.keyword_pending, status.segments.len(), status.build));
        if now != progress {
            (progress, at) = (now, Instant::now());
        }
        let is_built = status.vectors_linked >= status.vectors && status.waiting_rows == 0;
        let is_settled = is_built && status.keyword_pending == 0;
        if is_settled || at.elapsed() > STALL_MAX {
            eprintln!("{} of {} vectors linked", status.vectors_linked, status.vectors);
            return at;
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
