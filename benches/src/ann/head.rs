//! The head's graph, `hnsw_rs` as the database uses it: filled and linked in the process that is measured, for it has
//! no file to be opened from. Where it holds a scan for cheaper than its graph, a scan is what is measured.

use std::path::Path;
use std::time::Instant;

use index::Alive;
use index::graph::Found;
use index::head::{Space, SpaceView};
use kithdb::{Result, Slot};
use serde_json::{Value, json};

use super::arrays;
use super::cores::Cores;
use super::dataset::HITS;
use super::job::{self, Job};
use super::measure::{self, Searcher};
use crate::machine;

/// Rows linked between two lines of progress.
const LINK_ROWS: u32 = 20_000;

struct Linked {
    space: Space,
    alive: Alive,
}

/// Appends and links the vectors of a task, and measures. It has one inserter, so linking takes one core however many
/// there are.
///
/// # Errors
/// `Io`.
pub(super) fn measure(folder: &Path, job: &Job, cores: &Cores) -> Result<Value> {
    let before = machine::memory();
    let mut linked = Linked { space: Space::new(job.dim, job.metric), alive: Alive::new() };
    arrays::read_rows(&job::base_path(folder), job.dim, |row, vector| {
        linked.space.append(Some(vector.to_vec()));
        linked.alive.insert(Slot(row));
    })?;
    let began = Instant::now();
    while linked.space.link(&linked.alive, LINK_ROWS) {
        eprintln!("{} rows linked", linked.space.linked());
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut figures = measure::all(&linked, job, cores, before);
    figures["build_s"] = json!(seconds);
    figures["rows_per_s"] = json!(job.rows as f64 / seconds);
    Ok(figures)
}

impl Searcher for Linked {
    fn one(&self, query: &[f32], window: usize) -> Found {
        let view = SpaceView { alive: &self.alive, accept: None, slots_end: self.space.len() };
        let near = self.space.search(query, view, HITS, window);
        let near = near.into_iter().map(|near| (near.slot.0, near.distance)).collect();
        Found { near, ..Found::default() }
    }
}
