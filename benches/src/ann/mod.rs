//! Approximate nearest neighbours without the database around them: recall, speed, memory and disk of a sealed segment,
//! and of the head's graph beside it.
//!
//! Each engine is measured in a process of its own: it reads queries and true hits, then opens the engine. Keys and
//! rules are those of the peers' harness, but queries are asked from Rust, where a call costs nothing.
//!
//! Not for comparing with figures of another run: a machine differs from itself by a fifth. Put all engines that are
//! compared into one run.

mod arrays;
mod cores;
pub(crate) mod dataset;
mod filters;
mod head;
mod job;
mod measure;
mod report;
mod sealed;
mod truth;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use index::graph::{Nav, Options};
use kithdb::{Error, ErrorKind, Memory, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine;
use cores::Cores;
use dataset::{Dataset, HITS, Shape};
use job::Job;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// A folder with base.fbin, query.fbin, gt.u32, meta.json, as the peers' make_datasets.py leaves it.
    #[arg(long, required_unless_present = "synthetic")]
    data: Option<PathBuf>,
    /// Instead of a folder: clustered vectors from a seed, ROWSxDIM, cosine.
    #[arg(long, conflicts_with = "data")]
    synthetic: Option<Shape>,
    /// Cuts the set to so many rows, or grows it by repeating its rows with noise; true hits are found anew.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rows: Option<u32>,
    #[arg(long, value_delimiter = ',', default_value = "sealed")]
    engines: Vec<Engine>,
    /// What walks of a segment read: nibbles, bits, vectors; a segment for each that is named.
    #[arg(long, value_delimiter = ',', default_value = "nibbles", value_parser = sealed::parse_nav)]
    nav: Vec<Nav>,
    /// Where vectors are while segments are searched: cold (read when they are needed), cached (mapped).
    #[arg(long, default_value = "cold")]
    memory: Memory,
    /// Links of a row of a segment.
    #[arg(long, default_value_t = Options::default().degree)]
    degree: usize,
    /// The window when a segment is built.
    #[arg(long, default_value_t = Options::default().window)]
    window: usize,
    /// Threads that build.
    #[arg(long, default_value_t = Options::default().threads)]
    threads: usize,
    /// How often everything is measured; the best counts.
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Measures segments under filters too.
    #[arg(long)]
    filters: bool,
    /// Measures in this process: for a profiler, or where none can be started. Memory has the set in it then, and no
    /// core is kept to.
    #[arg(long)]
    one_process: bool,
    /// Writes all figures to a file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where segments are written, in a folder that is removed afterwards; the system's place for temporary files if
    /// absent.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// What is measured.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// A sealed segment.
    Sealed,
    /// The head's graph.
    Head,
}

/// What the process of one engine is told.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EngineArguments {
    /// Where the task lies.
    #[arg(long)]
    job: PathBuf,
    /// The segment; the head if absent.
    #[arg(long)]
    segment: Option<PathBuf>,
    /// Where its vectors are.
    #[arg(long, default_value = "cold")]
    memory: Memory,
}

/// # Errors
/// What reading the set, writing and opening segments return; `Io`.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let load = machine::load();
    let (set, described) = arguments.set()?;
    let filters = if arguments.filters { filters::of(&set, arguments.threads)? } else { Vec::new() };
    let folder = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    Job::write(folder.path(), &set, &filters, arguments.passes.max(1))?;
    let engines = arguments.measure(&set, &folder)?;
    let all = json!({ "machine": machine::line(), "load": load, "set": described, "engines": engines });
    if let Some(path) = &arguments.json {
        fs::write(path, format!("{all:#}\n"))?;
    }
    let mut parts = vec![described, arguments.rules(&engines, load)];
    parts.extend([report::summary(&engines), report::sweep(&engines)]);
    parts.extend(report::filtered(&engines));
    Ok(parts.join("\n\n"))
}

/// The figures of one engine, as JSON for the process that asked.
///
/// # Errors
/// What opening it returns; `Io`.
pub(crate) fn run_engine(arguments: &EngineArguments) -> Result<String> {
    measure(arguments, &Cores::of_process()).map(|figures| figures.to_string())
}

fn measure(arguments: &EngineArguments, cores: &Cores) -> Result<Value> {
    let job = Job::read(&arguments.job)?;
    match &arguments.segment {
        Some(path) => sealed::measure(path, arguments.memory, &job, cores),
        None => head::measure(&arguments.job, &job, cores),
    }
}

impl Arguments {
    /// The set, and what it is.
    fn set(&self) -> Result<(Dataset, String)> {
        let mut set = Dataset::of(self.data.as_deref(), self.synthetic, self.threads)?;
        let own_rows = set.rows();
        let rows = self.rows.map_or(own_rows, |rows| rows as usize);
        if rows != own_rows {
            eprintln!("{own_rows} rows become {rows}");
            set.resize(rows, self.threads)?;
        }
        let mut described =
            format!("{}: {rows} rows of {} elements, {}.", set.name, set.dim, set.metric.name());
        if rows > own_rows {
            described += &format!(
                " Rows after the first {own_rows} repeat them with Gaussian noise, about {} of the mean distance \
                 between nearest neighbours long.",
                dataset::NOISE
            );
        }
        Ok((set, described))
    }

    /// Every engine's figures.
    fn measure(&self, set: &Dataset, folder: &TempDir) -> Result<Vec<Value>> {
        let mut engines = Vec::new();
        for engine in &self.engines {
            match engine {
                Engine::Sealed => {
                    for nav in &self.nav {
                        engines.push(self.sealed(set, folder.path(), *nav)?);
                    }
                }
                Engine::Head => {
                    eprintln!("head");
                    arrays::write_floats(&job::base_path(folder.path()), &set.base)?;
                    let figures = self.process(folder.path(), None)?;
                    engines.push(joined(self.named("head", set), figures));
                }
            }
        }
        engines.iter_mut().for_each(report::interpolate);
        Ok(engines)
    }

    fn sealed(&self, set: &Dataset, folder: &Path, nav: Nav) -> Result<Value> {
        let place = if self.memory == Memory::Cached { ", cached" } else { "" };
        let name = format!("sealed {}{place}", sealed::nav_name(nav));
        eprintln!("{name}");
        let path = folder.join("segment");
        let options = Options {
            nav,
            degree: self.degree,
            window: self.window,
            threads: self.threads,
            ..Options::default()
        };
        let built = sealed::build(&path, set, &options)?;
        let figures = self.process(folder, Some(path.clone()))?;
        fs::remove_file(path)?;
        let mut named = self.named(&name, set);
        named["degree"] = json!(self.degree);
        named["build_window"] = json!(self.window);
        named["build_threads"] = json!(self.threads);
        Ok(joined(joined(named, built), figures))
    }

    /// What an engine's figures begin with.
    fn named(&self, engine: &str, set: &Dataset) -> Value {
        json!({
            "engine": engine, "dataset": set.name, "n": set.rows(), "dim": set.dim, "passes": self.passes,
            "load_before": machine::load(),
        })
    }

    /// Measures one engine in a process of its own.
    fn process(&self, job: &Path, segment: Option<PathBuf>) -> Result<Value> {
        let told = EngineArguments { job: job.to_owned(), segment, memory: self.memory };
        if self.one_process {
            return measure(&told, &Cores::shared());
        }
        let mut command = Command::new(env::current_exe()?);
        command.arg("ann-engine").arg("--job").arg(&told.job);
        if let Some(path) = &told.segment {
            command.args(["--memory", told.memory.name(), "--segment"]).arg(path);
        }
        let output = command.stderr(Stdio::inherit()).output()?;
        let failed = |why: String| Error::new(ErrorKind::Internal, format!("an engine's process {why}"));
        if !output.status.success() {
            return Err(failed(format!("ended with {}", output.status)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("wrote no figures: {error}")))
    }

    /// How it was measured.
    fn rules(&self, engines: &[Value], load: Option<f64>) -> String {
        let mut points = engines.iter().flat_map(report::points);
        let is_pinned = points.all(|point| point["is_pinned"] == json!(true));
        let queries = engines.iter().flat_map(report::points).find_map(|point| point["nq"].as_u64());
        format!(
            "{} queries of {HITS} hits; the best of {} passes. Segments have {} links a row and were built with window \
             {} on {} threads. 1T is one thread, {}, all queries in one call (\"calls\": one query a call); 2T is two \
             threads with half of the queries each. QPS at a recall are interpolated between windows by their logarithm \
             (n.r.: not reached; ≥, ≤: the least window finds more). RSS is what opening and one pass of the queries add. \
             Load before: {}.",
            queries.unwrap_or(0),
            self.passes.max(1),
            self.degree,
            self.window,
            self.threads,
            if is_pinned { "kept on one core" } else { "not kept on one core" },
            load.map_or_else(|| "unknown".to_owned(), |load| load.to_string()),
        )
    }
}

/// Two objects as one.
fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(line: &str) -> Arguments {
        Line::try_parse_from(std::iter::once("ann").chain(line.split(' '))).expect("parses").arguments
    }

    #[test]
    fn a_quick_run_measures_everything() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("figures.json");
        let line = "--synthetic 2000x32 --engines sealed,head --nav nibbles,bits,vectors --passes 1 --filters \
                    --one-process --json";
        let mut line: Vec<&str> = line.split_whitespace().collect();
        let path_text = path.to_str().expect("UTF-8");
        line.push(path_text);
        let report = run(&arguments(&line.join(" "))).expect("runs");
        let text = fs::read_to_string(&path).expect("figures");
        let figures: Value = serde_json::from_str(&text).expect("JSON");
        let engines = figures["engines"].as_array().expect("engines");
        assert_eq!(engines.len(), 4);
        for (name, figures) in ["sealed nibbles", "sealed bits", "sealed vectors", "head"].iter().zip(engines)
        {
            assert_eq!(
                report.matches(&format!("\n| {name} ")).count(),
                if *name == "head" { 16 } else { 37 }
            );
            let points = report::points(figures);
            let last = points.last().expect("a point");
            assert!(last["recall"].as_f64().expect("a recall") >= 0.98, "{name}: {last}");
            for key in ["qps1", "qps1_call", "qps2", "p50_us", "p99_us"] {
                assert!(points.iter().all(|point| point[key].as_f64() > Some(0.0)), "{name}: {key}");
            }
            let scans = figures["filtered"].as_array().into_iter().flatten();
            let scans: Vec<&Value> = scans.filter(|cell| cell["way"] == "scan of codes").collect();
            assert_eq!(scans.len(), if *name == "head" { 0 } else { 7 });
            assert!(
                scans.iter().all(|cell| cell["recall"].as_f64() >= Some(0.98) || cell["hits_wanted"] == 0.0)
            );
        }
        assert!(engines[0]["disk_mb"].as_f64() > Some(0.25) && engines[0]["hops"].is_null());
    }

    #[test]
    fn one_set_is_named() {
        for wrong in
            ["--passes 2", "--data a --synthetic 10x2", "--synthetic 10x2 --nav bytes", "--data a --rows 0"]
        {
            let line = std::iter::once("ann").chain(wrong.split(' '));
            assert!(Line::try_parse_from(line).is_err(), "{wrong}");
        }
    }
}
