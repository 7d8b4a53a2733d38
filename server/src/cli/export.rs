//! `kithdb export`: a collection, of a directory or of a server, into a file.
//!
//! Invariant: the file has its name only when all is in it, and there is nothing of it when the command is interrupted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use kithdb::arrow::array::RecordBatchReader;
use kithdb::bulk::files::{self, Format};
use kithdb::bulk::{Export as Rows, ExportOptions};
use kithdb::{Error, ErrorKind, Result};
use serde_json::json;

use super::import::{bar, batches};
use super::interrupt::Interrupt;
use super::place::PlaceArgs;
use super::search::{filter, with_names};
use super::terminal::{grouped, print, say, table};
use crate::address::encoded;

/// Export a collection: .parquet, .arrow, .jsonl.
#[derive(Args)]
pub(super) struct Export {
    /// The collection
    collection: String,
    /// The file; `-` is standard output (with --format)
    file: PathBuf,
    /// What the file becomes, if its name does not say it: arrow, parquet, jsonl
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Only where a filter holds, such as "year >= 2020 AND tags IN ('a', 'b')" (docs/filters.md)
    #[arg(long = "where", value_name = "FILTER")]
    condition: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode> {
        let began = Instant::now();
        let format = match self.format {
            Some(format) => format,
            None if self.file == Path::new("-") => {
                return Err(Error::invalid(
                    "format",
                    "is not known of standard output; say --format arrow or jsonl",
                ));
            }
            None => Format::of_path(&self.file).map_err(|error| {
                let message = format!(
                    "`{}` ends as no kind of file that is written: .parquet, .arrow and .jsonl are",
                    self.file.display()
                );
                Error::invalid("format", message).with_source(error)
            })?,
        };
        let (interrupt, is_gone) = (Interrupt::listen()?, AtomicBool::new(false));
        let written = if self.file == Path::new("-") {
            self.write(format, Piped { to: io::stdout(), is_gone: &is_gone }, &interrupt)
        } else {
            self.to_file(format, &interrupt)
        };
        let rows = match written {
            Err(_) if interrupt.is_wanted() => return Ok(Interrupt::code()),
            // Who reads has what it wanted.
            Err(_) if is_gone.load(Ordering::Relaxed) => return Ok(ExitCode::SUCCESS),
            written => written?,
        };
        let (name, seconds) = (self.file.display().to_string(), began.elapsed().as_secs_f64());
        if self.place.json {
            let summary = json!({
                "collection": self.collection, "file": name, "rows": rows, "seconds": seconds,
            });
            self.tell(&format!("{summary}\n"));
        } else {
            let told = [("rows", grouped(rows)), ("time", format!("{seconds:.1} s"))];
            self.tell(&format!("`{}` into {name}\n{}", self.collection, table(&told)));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is said stands beside what was asked for, where that goes to standard output.
    fn tell(&self, text: &str) {
        if self.file == Path::new("-") { say(text.trim_end()) } else { print(text) }
    }

    fn to_file(&self, format: Format, interrupt: &Interrupt) -> Result<u64> {
        let mut part = self.file.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let written = File::create(&part).map_err(|error| {
            let message = format!("`{}` cannot be written: {error}", part.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        });
        let written = written.and_then(|file| {
            let kept = file.try_clone()?;
            let rows = self.write(format, file, interrupt)?;
            // Its name comes when its bytes are there to stay: what is said to be exported survives a loss of power.
            kept.sync_all()?;
            Ok(rows)
        });
        if written.is_ok() {
            std::fs::rename(&part, &self.file)?;
        } else {
            // What there is of it is of no use; if it was never there, all the better.
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    fn write(&self, format: Format, to: impl Write + Send, interrupt: &Interrupt) -> Result<u64> {
        let to = BufWriter::with_capacity(1 << 20, to);
        match self.place.unhurried_server() {
            Some(server) => {
                let filter = self.condition.as_deref().map(|text| format!("&filter={}", encoded(text)));
                let path = format!(
                    "/api/v1/collections/{}/export?format=arrow{}",
                    encoded(&self.collection),
                    filter.unwrap_or_default()
                );
                let source = batches(server.download(&path)?)?;
                copy(source.batches, None, format, to, interrupt)
            }
            None => {
                let db = self.place.open_existing()?;
                let filter = filter(&[], self.condition.as_deref())?;
                let collection = db.collection(&self.collection).map_err(|error| with_names(error, &db))?;
                let export: Rows = collection.export(&ExportOptions { filter })?;
                let rows = export.rows() as u64;
                copy(Box::new(export), Some(rows), format, to, interrupt)
            }
        }
    }
}

fn copy(
    batches: Box<dyn RecordBatchReader + Send>,
    rows: Option<u64>,
    format: Format,
    to: impl Write + Send,
    interrupt: &Interrupt,
) -> Result<u64> {
    let bar = bar(rows)?;
    let mut sink = files::write(to, format, &batches.schema())?;
    for batch in batches {
        interrupt.check()?;
        let batch = batch.map_err(files::refused)?;
        sink.write(&batch)?;
        bar.inc(batch.num_rows() as u64);
    }
    sink.finish()?;
    bar.finish_and_clear();
    Ok(bar.position())
}

/// Standard output, which knows whether its reader has gone away (`| head`).
struct Piped<'a> {
    to: io::Stdout,
    is_gone: &'a AtomicBool,
}

impl Piped<'_> {
    fn seen<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.is_gone.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Write for Piped<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = self.to.write(bytes);
        self.seen(outcome)
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = self.to.flush();
        self.seen(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use crate::{ServeOptions, Server};
    use clap::Parser as _;
    use kithdb::{Database, Filter, Point, Select};

    use super::super::{Cli, Command};
    use super::*;

    fn run(arguments: &[&str]) -> Result<()> {
        let cli = Cli::try_parse_from([&["kithdb"], arguments].concat()).expect("arguments");
        match cli.command {
            Command::Import(command) => command.run().map(drop),
            Command::Export(command) => command.run().map(drop),
            _ => panic!("another command"),
        }
    }

    fn points(db: &Database, name: &str) -> Vec<Point> {
        let collection = db.collection(name).expect("a collection");
        collection.scroll(&Filter::default(), None, 100, &Select::all()).expect("a page").points
    }

    const LINES: &str = "{\"id\": 1, \"vector\": [3, 4], \"payload\": {\"n\": 1}}\n\
                         {\"id\": 2, \"vector\": [0, 1], \"payload\": {\"n\": 2, \"tags\": [\"a\"]}}\n";

    #[test]
    fn a_file_goes_into_a_directory_and_out_and_through_a_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let (data, lines) = (place("data"), place("x.jsonl"));
        std::fs::write(&lines, LINES).expect("written");
        run(&["import", &lines, "-c", "a", "--data", &data, "--json"]).expect("imported");
        let formats = ["y.parquet", "y.arrow", "y.jsonl"];
        for name in formats {
            run(&["export", "a", &place(name), "--data", &data]).expect("exported");
            run(&["import", &place(name), "-c", name, "--data", &data]).expect("imported");
        }
        run(&["export", "a", &place("z.jsonl"), "--data", &data, "--where", "n = 2"]).expect("exported");
        let db = Database::open(&data).expect("a database");
        let before = points(&db, "a");
        assert_eq!(before[0], Point::new(1).vector([0.6, 0.8]).with("n", 1));
        formats.iter().for_each(|name| assert_eq!(points(&db, name), before, "{name}"));
        let some = std::fs::read_to_string(place("z.jsonl")).expect("read");
        assert_eq!(some.lines().count(), 1, "{some}");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = ServeOptions { listen, ..ServeOptions::default() };
        let server = Server::start(db.clone(), None, &options).expect("a server");
        let url = format!("http://{}", server.address());
        for name in formats {
            run(&["export", "a", &place("w.jsonl"), "--url", &url]).expect("exported");
            let remote = format!("remote {name}");
            run(&["import", &place(name), "-c", &remote, "--url", &url]).expect("imported");
            assert_eq!(points(&db, &remote), before, "{name}");
        }
        let error =
            run(&["import", &lines, "-c", "a", "--url", &url, "--id", "key"]).expect_err("no such key");
        assert!(error.to_string().contains("has no `key`"), "{error}");
        let missing =
            run(&["export", "nothing", &place("v.arrow"), "--url", &url]).expect_err("no such collection");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        server.stop().expect("stopped");
        assert!(!Path::new(&place("v.arrow")).exists() && !Path::new(&place("v.arrow.part")).exists());
    }

    #[test]
    fn what_is_wrong_is_said_before_a_database_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let data = place("data");
        std::fs::write(place("x.npy"), b"none").expect("written");
        for (name, said) in [("x.npy", "break"), ("y.npy", "cannot be read"), ("x.csv", "no kind of file")] {
            let error = run(&["import", &place(name), "-c", "a", "--data", &data]).expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
        }
        let error = run(&["export", "a", &place("y.csv"), "--data", &data]).expect_err("no such kind");
        assert!(error.to_string().ends_with("written: .parquet, .arrow and .jsonl are"), "{error}");
        let error = run(&["import", "-", "-c", "a", "--data", &data]).expect_err("of what kind");
        assert_eq!(error.field(), Some("format"));
        assert!(!Path::new(&data).exists());
    }
}
