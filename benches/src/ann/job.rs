//! What an engine's process is told: a folder with queries, their true hits and filters, but no vectors.
//!
//! The process that measures reads nothing else before it opens the engine, so that memory grows by the engine alone.

use std::fs;
use std::path::{Path, PathBuf};

use kithdb::{Error, Metric, Result};
use serde_json::{Value, json};

use super::arrays;
use super::dataset::Dataset;
use super::filters::Filter;

/// A task.
pub(super) struct Job {
    pub(super) metric: Metric,
    pub(super) dim: usize,
    pub(super) rows: usize,
    /// How often everything is measured; the best counts.
    pub(super) passes: usize,
    queries: Vec<f32>,
    /// `HITS` rows a query.
    pub(super) truth: Vec<u32>,
    pub(super) filters: Vec<Filter>,
}

impl Job {
    /// Writes the task for a set.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn write(folder: &Path, set: &Dataset, filters: &[Filter], passes: usize) -> Result<()> {
        let names: Vec<&str> = filters.iter().map(|filter| filter.name.as_str()).collect();
        let told = json!({
            "metric": set.metric.name(), "dim": set.dim, "rows": set.rows(), "passes": passes, "filters": names,
        });
        fs::write(folder.join("job.json"), told.to_string())?;
        arrays::write_floats(&folder.join("queries"), &set.queries)?;
        arrays::write_words(&folder.join("truth"), &set.truth)?;
        filters.iter().try_for_each(|filter| filter.write(folder))
    }

    /// Reads a task.
    ///
    /// # Errors
    /// `Io`, `Corrupted`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let wrong = |what: &str| Error::corrupted(folder.display(), format!("its job has no `{what}`"));
        let told: Value = serde_json::from_str(&fs::read_to_string(folder.join("job.json"))?)
            .map_err(|error| Error::corrupted(folder.display(), error))?;
        let number = |key: &str| told[key].as_u64().map(|number| number as usize).ok_or_else(|| wrong(key));
        let names = told["filters"].as_array().ok_or_else(|| wrong("filters"))?;
        let names = names.iter().filter_map(Value::as_str);
        Ok(Self {
            metric: told["metric"].as_str().ok_or_else(|| wrong("metric"))?.parse()?,
            dim: number("dim")?,
            rows: number("rows")?,
            passes: number("passes")?,
            queries: arrays::read_floats(&folder.join("queries"))?,
            truth: arrays::read_words(&folder.join("truth"))?,
            filters: names.map(|name| Filter::read(folder, name)).collect::<Result<_>>()?,
        })
    }

    /// The queries.
    pub(super) fn queries(&self) -> Vec<&[f32]> {
        self.queries.chunks_exact(self.dim).collect()
    }
}

/// Where the vectors lie for an engine that is not opened from a file of its own.
pub(super) fn base_path(folder: &Path) -> PathBuf {
    folder.join("base")
}
