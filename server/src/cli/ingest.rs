//! `kithdb ingest`: a folder of documents into a collection, again and again: only what changed is done anew.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use kithdb::{Error, ErrorKind, Options, Result};
use rag::{IngestOptions, IngestReport, Metadata, Progress};
use serde_json::{Value, json};

use super::open::{DataArgs, ModelArgs, say_no_model};
use super::terminal::{counted, grouped, print, table};

/// Read a folder into a collection.
#[derive(Args)]
pub(super) struct Ingest {
    /// The folder, or a single file
    #[arg(value_name = "DIR")]
    path: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// The collection; made if it does not exist
    #[arg(long, short, value_name = "NAME", default_value = "documents")]
    collection: String,
    /// The payload field that gets the first folder of a document's path, to filter by
    #[arg(long, value_name = "FIELD", default_value = "folder")]
    folder_field: String,
    /// Begin no further documents after so many seconds; the next run goes on from there
    #[arg(long, value_name = "N")]
    time_limit_s: Option<u64>,
    /// Tokens of a chunk, or characters without a model
    #[arg(long, value_name = "N")]
    chunk_size: Option<usize>,
    /// Of them, those that a chunk repeats of the one before
    #[arg(long, value_name = "N", default_value_t = 0)]
    chunk_overlap: usize,
    /// An access label of every document, for filters on `labels`; may be said several times
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// The author of every document
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

impl Ingest {
    pub(super) fn run(self) -> Result<ExitCode> {
        let embedder = self.model.open()?;
        if embedder.is_none() {
            say_no_model();
        }
        let db = self.data.open(Options::default())?;
        let options = IngestOptions {
            collection: self.collection.clone(),
            folder_field: self.folder_field.clone(),
            time_max: self.time_limit_s.map(Duration::from_secs),
            chunk_size_max: self.chunk_size,
            chunk_overlap: self.chunk_overlap,
            metadata: Metadata {
                labels: self.label.clone(),
                author: self.author.clone(),
                ..Metadata::default()
            },
            ..IngestOptions::default()
        };
        let bar = bar()?;
        let report =
            rag::ingest(&db, &self.path, &options, embedder.as_ref(), &|progress| show(&bar, progress))?;
        bar.finish_and_clear();
        if self.json {
            print(&format!("{}\n", self.to_json(&report)));
        } else {
            print(&self.to_text(&report));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn to_text(&self, report: &IngestReport) -> String {
        let seconds = report.elapsed.as_secs_f64();
        let documents = format!(
            "{} added, {} changed, {} unchanged, {} removed",
            grouped(report.added),
            grouped(report.changed),
            grouped(report.unchanged),
            grouped(report.removed)
        );
        let chunks = format!("{} written, {} embedded", grouped(report.chunks), grouped(report.embedded));
        let rate = report.embedded as f64 / seconds.max(1e-3);
        let rate =
            if report.embedded > 0 { format!(", {rate:.0} chunks embedded a second") } else { String::new() };
        let mut rows =
            vec![("documents", documents), ("chunks", chunks), ("time", format!("{seconds:.1} s{rate}"))];
        if report.left > 0 {
            rows.push(("left", format!("{}; run it again to go on", counted(report.left, "document"))));
        }
        if !report.has_vectors {
            rows.push(("vectors", "none: keyword search only".to_owned()));
        }
        if let Some(first) = report.duplicates.first() {
            let count = counted(report.duplicates.len(), "document");
            let share = (first.similarity * 100.0).round();
            let what = format!("{count}, such as {} ({share} % of {})", first.path, first.of);
            rows.push(("duplicates", what));
        }
        if let Some(first) = report.skipped.first() {
            let count = counted(report.skipped.len(), "path");
            let what = format!("{count}, such as {} ({})", first.path, first.reason);
            rows.push(("passed over", what));
        }
        format!("{} into `{}`\n{}", self.path.display(), self.collection, table(&rows))
    }

    fn to_json(&self, report: &IngestReport) -> Value {
        let skipped: Vec<Value> = report
            .skipped
            .iter()
            .map(|skipped| json!({"path": skipped.path, "reason": skipped.reason.to_string()}))
            .collect();
        let duplicates: Vec<Value> = report
            .duplicates
            .iter()
            .map(|found| json!({"path": found.path, "of": found.of, "similarity": found.similarity}))
            .collect();
        json!({
            "collection": self.collection,
            "added": report.added,
            "changed": report.changed,
            "unchanged": report.unchanged,
            "removed": report.removed,
            "left": report.left,
            "chunks": report.chunks,
            "embedded": report.embedded,
            "bytes": report.bytes,
            "has_vectors": report.has_vectors,
            "elapsed_ms": report.elapsed.as_millis() as u64,
            "skipped": skipped,
            "duplicates": duplicates,
        })
    }
}

/// A bar on standard error; nothing where that is no terminal.
pub(super) fn bar() -> Result<ProgressBar> {
    let template = "{bar:32} {pos}/{len} documents, {msg}  {elapsed}, {eta} left";
    let style = ProgressStyle::with_template(template).map_err(|error| {
        Error::new(ErrorKind::Internal, "the progress bar has a bad template").with_source(error)
    })?;
    Ok(ProgressBar::new(0).with_style(style))
}

/// Shows how far it is.
pub(super) fn show(bar: &ProgressBar, progress: Progress) -> ControlFlow<()> {
    bar.set_length(progress.documents_total as u64);
    bar.set_message(counted(progress.chunks, "chunk"));
    bar.set_position(progress.documents as u64);
    ControlFlow::Continue(())
}
