//! `kithdb export`: a collection, of a directory or of a server, into a file.
//!
//! Invariant: the file has its name only when all is in it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use kithdb::arrow::array::RecordBatchReader;
use kithdb::bulk::files::{self, Format};
use kithdb::bulk::{Export as Rows, ExportOptions};
use kithdb::{Error, ErrorKind, Result};
use serde_json::json;

use super::import::{bar, batches};
use super::open::DataArgs;
use super::remote::{Remote, encoded};
use super::terminal::{grouped, print, say, table};

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
    data: DataArgs,
    /// Export from a running server instead of a directory
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
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
            None => Format::of_path(&self.file)?,
        };
        let rows = if self.file == Path::new("-") {
            self.write(format, std::io::stdout())?
        } else {
            self.to_file(format)?
        };
        let (name, seconds) = (self.file.display().to_string(), began.elapsed().as_secs_f64());
        if self.json {
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

    fn to_file(&self, format: Format) -> Result<u64> {
        let mut part = self.file.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let written = File::create(&part).map_err(|error| {
            let message = format!("`{}` cannot be written: {error}", part.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        });
        let written = written.and_then(|file| self.write(format, file));
        if written.is_ok() {
            std::fs::rename(&part, &self.file)?;
        } else {
            // What there is of it is of no use; if it was never there, all the better.
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    fn write(&self, format: Format, to: impl Write + Send) -> Result<u64> {
        let to = BufWriter::with_capacity(1 << 20, to);
        match &self.url {
            Some(url) => {
                let filter = self.condition.as_deref().map(|text| format!("&filter={}", encoded(text)));
                let path = format!(
                    "/api/v1/collections/{}/export?format=arrow{}",
                    encoded(&self.collection),
                    filter.unwrap_or_default()
                );
                let source = batches(Remote::unhurried(url).download(&path)?)?;
                copy(source.batches, None, format, to)
            }
            None => {
                let db = self.data.open_existing()?;
                let filter = self.condition.as_deref().map(str::parse).transpose()?.unwrap_or_default();
                let export: Rows = db.collection(&self.collection)?.export(&ExportOptions { filter })?;
                let rows = export.rows() as u64;
                copy(Box::new(export), Some(rows), format, to)
            }
        }
    }
}

fn copy(
    batches: Box<dyn RecordBatchReader + Send>,
    rows: Option<u64>,
    format: Format,
    to: impl Write + Send,
) -> Result<u64> {
    let bar = bar(rows)?;
    let mut sink = files::write(to, format, &batches.schema())?;
    for batch in batches {
        let batch = batch.map_err(files::refused)?;
        sink.write(&batch)?;
        bar.inc(batch.num_rows() as u64);
    }
    sink.finish()?;
    bar.finish_and_clear();
    Ok(bar.position())
}
