//! Speed, memory and disk of the embedded database, on synthetic points: ingest, linking, queries, commits, opening.
//!
//! One database goes through all of it, in the order of its life, with default options. Queries are asked one after
//! another on one thread and return payloads, as they do by default. Queries are measured when the graph covers every
//! row, commits while it links what they add.

mod commits;
mod growth;
mod life;
mod queries;
mod synthetic;

use std::path::PathBuf;

use kithdb::Result;

pub(crate) use growth::{Arguments as GrowthArguments, run as run_growth};
use life::Life;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// Points.
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Elements of a vector.
    #[arg(long, default_value_t = 384)]
    dim: usize,
    /// 5,000 points and few queries: seconds, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Where the database is made, in a folder that is removed afterwards; the system's place for temporary files if
    /// absent. Commit latency is that of the disk under it.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    rows: usize,
    dim: usize,
    /// Queries of each kind.
    queries: usize,
    /// Commits of one caller at each durability.
    commits: usize,
}

/// # Errors
/// What the database returns; `Io`.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let sizes = if arguments.quick {
        Sizes { rows: 5_000, dim: arguments.dim, queries: 20, commits: 16 }
    } else {
        Sizes { rows: arguments.rows, dim: arguments.dim, queries: 1_000, commits: 400 }
    };
    let folder = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let mut life = Life::begin(folder.path(), sizes)?;
    let mut tables = vec![life.ingest()?];
    tables.push(queries::measure(&life)?);
    tables.push(commits::measure(&life)?);
    tables.push(life.end()?);
    Ok(format!(
        "{} points of {} elements and {} words each; {} queries of each kind.\n\n{}",
        sizes.rows,
        sizes.dim,
        synthetic::WORDS_PER_TEXT,
        sizes.queries,
        tables.join("\n\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_measures_everything() {
        let arguments = Arguments { rows: 0, dim: 32, quick: true, folder: None };
        let report = run(&arguments).expect("runs");
        for row in [
            "vectors and documents a second",
            "keyword",
            "hybrid",
            "fsync",
            "wal",
            "none",
            "time to open",
            "on disk",
        ] {
            assert!(report.contains(&format!("| {row} ")), "no row {row:?} in\n{report}");
        }
        let recall = report.lines().find(|line| line.starts_with("| vector, exact")).expect("a row");
        assert!(recall.contains("| 1.000"), "{recall}");
    }
}
