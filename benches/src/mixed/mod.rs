//! Reads while points are upserted and deleted, of the embedded database; and recall after everything was replaced.
//!
//! `kithdb-bench mixed --data DIR --rows 100000 --seconds 30` loads, seals, asks alone, then asks and writes at once;
//! with `--turnover` it replaces every point, deletes half, and prints recall after each step. The set stays in memory
//! beside the database, and a run takes the time of the load and of some builds on top of what is asked for.
//! A head is sealed when it is full: to see seals and merges in a short run, take `--write-share 0.95`, or fewer
//! `--seal-rows`. `benches/compare/mixed.py` puts the same load on other databases.
//!
//! Not for the speed of writes alone: readers and writers keep a share and wait for one another. `engine` has those.

mod bench;
mod questions;
mod states;
mod traffic;
mod turnover;
mod watch;
mod writers;

use std::path::PathBuf;
use std::time::Duration;

use kithdb::{Durability, Result, Segments};

use crate::ann::dataset::{Dataset, Shape};
use bench::Bench;

/// Nothing has moved for so long: nothing will. Longer than a head rests before it is sealed.
const REST: Duration = Duration::from_secs(4);

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Arguments {
    /// A folder with base.fbin, query.fbin, gt.u32, meta.json, as for `ann`.
    #[arg(long, required_unless_present = "synthetic")]
    data: Option<PathBuf>,
    /// Instead of a folder: clustered vectors from a seed, ROWSxDIM, cosine.
    #[arg(long, conflicts_with = "data")]
    synthetic: Option<Shape>,
    /// Points that are loaded; two thirds of the set if absent. What is written later are the rows that were not
    /// loaded; where there are none or no more, rows with noise.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rows: Option<u32>,
    /// How long reads and writes last.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Which part of all operations are writes; an operation is a query, or a point that is upserted or deleted.
    #[arg(long, default_value_t = 0.5, value_parser = parse_share)]
    write_share: f64,
    /// Half of them ask, half of them write.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// fsync, wal or none.
    #[arg(long, default_value_t)]
    durability: Durability,
    /// Rows of a head before it is sealed.
    #[arg(long, default_value_t = Segments::default().seal_rows)]
    seal_rows: u32,
    /// Instead of a mixed load: replaces every point, then deletes half of them.
    #[arg(long)]
    turnover: bool,
    /// Where the database is made, in a folder that is removed afterwards; the system's place for temporary files if
    /// absent. Latency of writes is that of the disk under it.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// # Errors
/// What reading the set and the database return; `Io`.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    measure(arguments, REST)
}

fn measure(arguments: &Arguments, rest: Duration) -> Result<String> {
    let (set, rows) = arguments.set()?;
    let folder = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let bench = Bench::begin(&set, rows, folder.path(), arguments)?;
    let tables = if arguments.turnover {
        turnover::measure(&bench, rest)?
    } else {
        traffic::measure(&bench, Duration::from_secs_f64(arguments.seconds), arguments.write_share)?
    };
    let described = format!(
        "{}: {rows} points of {} elements, {}; durability {}; {} rows make a segment.",
        set.name,
        set.dim,
        set.metric.name(),
        arguments.durability,
        arguments.seal_rows,
    );
    Ok(format!("{described}\n\n{}", tables.join("\n\n")))
}

impl Arguments {
    /// The set, and how many points of it are loaded.
    fn set(&self) -> Result<(Dataset, usize)> {
        let mut set = Dataset::of(self.data.as_deref(), self.synthetic, self.threads)?;
        let rows = self.rows.map_or(set.rows() * 2 / 3, |rows| rows as usize).max(1);
        if rows > set.rows() {
            set.resize_without_truth(rows, self.threads)?;
        }
        Ok((set, rows))
    }
}

/// A share with something left on both sides: who waits for the other must not wait for ever.
fn parse_share(text: &str) -> std::result::Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.01..=0.99).contains(share));
    share.ok_or_else(|| "expected a number from 0.01 to 0.99".to_owned())
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

    fn report(line: &str) -> String {
        let words = std::iter::once("mixed").chain(line.split(' '));
        let arguments = Line::try_parse_from(words).expect("parses").arguments;
        measure(&arguments, Duration::from_millis(100)).expect("runs")
    }

    fn row<'a>(report: &'a str, name: &str) -> Vec<&'a str> {
        let line = report.lines().find(|line| line.starts_with(&format!("| {name} ")));
        line.unwrap_or_else(|| panic!("no row {name:?} in\n{report}")).split('|').map(str::trim).collect()
    }

    #[test]
    fn a_quick_run_measures_everything() {
        let report = report("--synthetic 3000x16 --seconds 0.5 --threads 4 --durability wal --seal-rows 500");
        for name in [
            "all reads",
            "without filter",
            "filter passes 10 %",
            "upsert of 100 points",
            "delete of 50 points",
            "all writes",
            "writes, of all operations",
            "seals",
            "merges",
            "segments at most",
            "memory after the load",
            "right after",
        ] {
            row(&report, name);
        }
        assert_eq!(row(&report, "loaded, optimised")[2..4], ["2000", "1"]);
        let share: f64 =
            row(&report, "writes, of all operations")[2].trim_end_matches(" %").parse().expect("a number");
        assert!((30.0..70.0).contains(&share), "{share}");
        let recall: f64 = row(&report, "right after, optimised")[7].parse().expect("a number");
        assert!(recall > 0.9, "{recall}");
    }

    #[test]
    fn a_turnover_leaves_as_many_points_and_then_half() {
        let report = report("--synthetic 1500x16 --durability none --turnover --seal-rows 300");
        assert_eq!(row(&report, "loaded, optimised")[2..4], ["1000", "1"]);
        assert_eq!(row(&report, "replaced, optimised")[2..5], ["1000", "1", "0"]);
        for name in ["loaded", "replaced", "replaced, at rest", "deleted", "deleted, at rest"] {
            row(&report, name);
        }
        assert_eq!(row(&report, "deleted, optimised")[2..5], ["500", "1", "0"]);
    }

    #[test]
    fn a_share_leaves_something_to_both() {
        assert_eq!(parse_share("0.5"), Ok(0.5));
        assert!(["0", "1", "x", "NaN"].iter().all(|text| parse_share(text).is_err()));
    }
}
