//! `kithdb import`: a file into a collection, of a directory or of a server.
//!
//! To a server everything goes as an Arrow stream, made here while it is sent.

use std::fs::File;
use std::io::{PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::Args;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use kithdb::bulk::files::{self, Format, Source};
use kithdb::bulk::{IdColumn, ImportOptions};
use kithdb::{Datatype, Durability, Error, ErrorKind, Limits, Metric, Result};
use serde_json::{Value, json};

use super::place::PlaceArgs;
use super::remote::Remote;
use super::terminal::{grouped, print, table};
use crate::address::encoded;

/// Import a file: .parquet, .arrow, .feather, .jsonl, .npy, .fvecs, .bvecs, .hdf5.
#[derive(Args)]
pub(super) struct Import {
    /// The file; `-` is standard input (with --format arrow or jsonl)
    file: PathBuf,
    /// The collection; made if it does not exist
    #[arg(long, short, value_name = "NAME")]
    collection: String,
    /// What the file is, if its name does not say it
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// The column of ids; without it `id`, if there is one
    #[arg(long, value_name = "COLUMN", conflicts_with = "no_id")]
    id: Option<String>,
    /// The ids are names: any texts, which stay in the payload
    #[arg(long, conflicts_with = "no_id")]
    names: bool,
    /// Give numbers as ids, from the one behind the largest on
    #[arg(long)]
    no_id: bool,
    /// A column with vectors, and the name of its vector if that is another; may be said several times
    #[arg(long, value_name = "COLUMN[=VECTOR]", value_parser = vector)]
    vector: Vec<(String, Option<String>)>,
    /// A column of JSON objects that are payload
    #[arg(long, value_name = "COLUMN")]
    payload: Option<String>,
    /// How vectors are compared, if the collection is made: Cosine, Dot, Euclid, Manhattan
    #[arg(long, value_name = "METRIC")]
    metric: Option<Metric>,
    /// What vectors are stored as, if the collection is made: float32, float16, uint8
    #[arg(long, value_name = "TYPE")]
    datatype: Option<Datatype>,
    /// What each commit survives: fsync (loss of power), wal (a crash of the process), none
    #[arg(long, value_name = "LEVEL")]
    durability: Option<Durability>,
    #[command(flatten)]
    place: PlaceArgs,
}

fn vector(text: &str) -> std::result::Result<(String, Option<String>), String> {
    match text.rsplit_once('=') {
        Some(("", _)) => Err("begins with the name of a column: COLUMN or COLUMN=VECTOR".to_owned()),
        Some((column, name)) => Ok((column.to_owned(), Some(name.to_owned()))),
        None => Ok((text.to_owned(), None)),
    }
}

/// What an import did, wherever it went.
struct Done {
    rows: u64,
    seqno: u64,
    seconds: f64,
}

impl Import {
    pub(super) fn run(self) -> Result<ExitCode> {
        let done = match self.place.unhurried_server() {
            Some(server) => self.to_server(&server)?,
            None => self.to_directory()?,
        };
        let Done { rows, seqno, seconds } = done;
        let (name, collection) = (self.file.display().to_string(), &self.collection);
        if self.place.json {
            let summary: Value = json!({
                "file": name, "collection": collection, "rows": rows, "seqno": seqno, "seconds": seconds,
            });
            print(&format!("{summary}\n"));
        } else {
            let rate = grouped((rows as f64 / seconds.max(1e-3)) as u64);
            let told = [("rows", grouped(rows)), ("time", format!("{seconds:.1} s, {rate} rows a second"))];
            print(&format!("{name} into `{collection}`\n{}", table(&told)));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn to_directory(&self) -> Result<Done> {
        let options = self.options();
        // What is wrong with the file is told before a database is made.
        let source = self.source(&options, &Limits::default())?;
        let db = self.place.open()?;
        let bar = bar(source.rows)?;
        // Documents that wait for a library of this name that was dropped would come into what is made.
        rag::forget_gone(&db, &self.collection)?;
        let show = &mut |progress: kithdb::bulk::Progress| bar.set_position(progress.rows);
        let imported = db.import(&self.collection, source.batches, &options, show)?;
        db.flush()?;
        bar.finish_and_clear();
        Ok(Done { rows: imported.rows, seqno: imported.seqno.0, seconds: imported.seconds })
    }

    fn to_server(&self, server: &Remote) -> Result<Done> {
        let source = self.source(&self.options(), &Limits::default())?;
        let bar = bar(source.rows)?;
        let (mut reader, writer) = std::io::pipe()?;
        let path = format!("/api/v1/collections/{}/import{}", encoded(&self.collection), self.query());
        let (answer, sent) = thread::scope(|scope| {
            let bar = &bar;
            let sending = scope.spawn(move || send(source, writer, bar));
            let answer = server.upload(&path, &mut reader);
            // Who sends ends with who takes.
            drop(reader);
            (answer, sending.join())
        });
        // What is wrong with the file explains why the server got only a part of it.
        match sent {
            Ok(Err(error)) if error.kind() != ErrorKind::Io => return Err(error),
            Ok(_) => {}
            Err(_) => return Err(Error::new(ErrorKind::Internal, "reading the file stopped by a defect")),
        }
        let answer = answer?;
        bar.finish_and_clear();
        let number = |key: &str| answer[key].as_u64().unwrap_or_default();
        let seconds = answer["seconds"].as_f64().unwrap_or_default();
        Ok(Done { rows: number("rows"), seqno: number("seqno"), seconds })
    }

    fn options(&self) -> ImportOptions {
        let id = match &self.id {
            Some(id) => IdColumn::Named(id.clone()),
            None if self.no_id => IdColumn::Given,
            None => IdColumn::Guessed,
        };
        ImportOptions {
            id,
            is_named: self.names,
            vectors: self.vector.clone(),
            payload: self.payload.clone(),
            metric: self.metric,
            datatype: self.datatype,
            durability: self.durability,
        }
    }

    /// The options as a server takes them.
    fn query(&self) -> String {
        let id = self.id.clone().or_else(|| self.no_id.then(String::new));
        let vector = |(column, name): &(String, Option<String>)| match name {
            Some(name) => format!("{column}:{name}"),
            None => column.clone(),
        };
        let vectors = self.vector.iter().map(vector).collect::<Vec<_>>().join(",");
        // Lines of JSON become columns of their own, marked as what they are.
        let is_lines = self.kind().is_ok_and(|format| format == Format::JsonLines);
        let parts = [
            ("id", id),
            ("names", self.names.then(|| true.to_string())),
            ("vectors", Some(vectors).filter(|vectors| !vectors.is_empty() && !is_lines)),
            ("payload", self.payload.clone()),
            ("metric", self.metric.map(|metric| metric.name().to_owned())),
            ("datatype", self.datatype.map(|datatype| datatype.name().to_owned())),
            ("durability", self.durability.map(|durability| durability.name().to_owned())),
        ];
        let parts =
            parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
        let query = parts.collect::<Vec<_>>().join("&");
        if query.is_empty() { query } else { format!("?{query}") }
    }

    fn kind(&self) -> Result<Format> {
        match self.format {
            Some(format) => Ok(format),
            None if self.file == Path::new("-") => {
                Err(Error::invalid("format", "is not known of standard input; say --format arrow or jsonl"))
            }
            None => Format::of_path(&self.file),
        }
    }

    fn source(&self, options: &ImportOptions, limits: &Limits) -> Result<Source> {
        let format = self.kind()?;
        if self.file == Path::new("-") {
            return files::read(std::io::stdin(), None, format, options, limits);
        }
        if let Err(error) = File::open(&self.file) {
            let message = format!("`{}` cannot be read: {error}", self.file.display());
            return Err(Error::new(ErrorKind::NotFound, message).with_source(error));
        }
        files::open(&self.file, format, options, limits)
    }
}

/// Writes batches as a stream, for a server that reads it at the other end.
fn send(source: Source, to: PipeWriter, bar: &ProgressBar) -> Result<()> {
    let to = std::io::BufWriter::with_capacity(1 << 20, to);
    let mut sink = files::write(to, Format::Arrow, &source.batches.schema())?;
    for batch in source.batches {
        let batch = batch.map_err(files::refused)?;
        sink.write(&batch)?;
        bar.inc(batch.num_rows() as u64);
    }
    sink.finish()
}

/// A bar on standard error; nothing where that is no terminal.
pub(super) fn bar(rows: Option<u64>) -> Result<ProgressBar> {
    let (bar, template) = match rows {
        Some(rows) => (
            ProgressBar::new(rows),
            "{bar:32} {human_pos}/{human_len} rows, {rate} a second  {elapsed}, {eta} left",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} rows, {rate} a second  {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).map_err(|error| {
        Error::new(ErrorKind::Internal, "the progress bar has a bad template").with_source(error)
    })?;
    Ok(bar.with_style(style.with_key("rate", rate)))
}

/// In whole rows: a bar shows four decimals by itself.
fn rate(state: &ProgressState, to: &mut dyn std::fmt::Write) {
    // What cannot be drawn is not drawn.
    let _ = to.write_str(&grouped(state.per_sec() as u64));
}

/// Reads a stream of a server as batches.
pub(super) fn batches(from: impl Read + Send + 'static) -> Result<Source> {
    files::read(from, None, Format::Arrow, &ImportOptions::default(), &Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_have_vectors_of_another_name() {
        assert_eq!(vector("emb"), Ok(("emb".to_owned(), None)));
        assert_eq!(vector("emb=text"), Ok(("emb".to_owned(), Some("text".to_owned()))));
        assert_eq!(vector("emb="), Ok(("emb".to_owned(), Some(String::new()))));
        vector("=x").expect_err("no column");
    }
}
