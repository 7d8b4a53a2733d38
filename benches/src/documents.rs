//! Documents a second from text files to searchable chunks: read, chunked, embedded, committed.
//!
//! The documents of a labelled collection are laid out as files, title and text, and ingested as a user would.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use kithdb::{Database, Error, Result};
use rag::{IngestOptions, IngestReport, ingest};

use crate::golden;
use crate::retrieval::Corpus;
use crate::table::Table;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of a collection in the layout of BEIR.
    #[arg(long)]
    data: PathBuf,
    /// The model directory; the default place if absent.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Documents at most.
    #[arg(long, default_value_t = 500)]
    documents: usize,
}

/// # Errors
/// When the collection or the model cannot be read; what ingestion returns.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let embedder = golden::open(arguments.model.as_deref())?;
    let corpus = Corpus::read(&arguments.data, "documents")?;
    let folder = tempfile::tempdir()?;
    let files = folder.path().join("files");
    fs::create_dir(&files)?;
    for (at, document) in corpus.documents.iter().take(arguments.documents).enumerate() {
        fs::write(files.join(format!("{at:05}.txt")), format!("{}\n\n{}\n", document.title, document.text))?;
    }
    let mut table =
        Table::new(["ingest of files", "documents/s", "chunks/s", "KB of text/s", "documents", "chunks"]);
    for (name, embedder) in [("with embedding", Some(&embedder)), ("keywords only", None)] {
        let database = Database::open(folder.path().join(name))?;
        let report =
            ingest(&database, &files, &IngestOptions::default(), embedder, &|_| ControlFlow::Continue(()))?;
        table.row(cells(name, &report)?);
    }
    Ok(table.to_text())
}

fn cells(name: &str, report: &IngestReport) -> Result<[String; 6]> {
    if report.added == 0 {
        return Err(Error::invalid("data", "holds no documents to ingest"));
    }
    let seconds = report.elapsed.as_secs_f64();
    let rate = |count: f64| format!("{:.1}", count / seconds);
    Ok([
        name.to_owned(),
        rate(report.added as f64),
        rate(report.chunks as f64),
        rate(report.bytes as f64 / 1e3),
        report.added.to_string(),
        report.chunks.to_string(),
    ])
}
