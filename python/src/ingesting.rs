//! A folder of documents into a collection, from Python: it is told how far it is, and may break it off.

use std::ops::ControlFlow;
use std::path::Path;

use kithdb::{Database, Error, Payload, Result};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rag::{Embedder, IngestOptions, IngestReport, Metadata, Progress};
use serde::Deserialize;

/// How documents become points, and what is said of all of them, as the body of an upload over HTTP says it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    folder_field: Option<String>,
    chunk_size: Option<usize>,
    chunk_overlap: usize,
    metadata: OfAll,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OfAll {
    title: Option<String>,
    author: Option<String>,
    time: Option<String>,
    labels: Vec<String>,
    attributes: Payload,
}

/// The options that a body in JSON says.
///
/// # Errors
/// `InvalidArgument` on `metadata`, or naming what in it is at fault.
pub(crate) fn options(said: &[u8]) -> Result<IngestOptions> {
    let wrong = |error: serde_json::Error| Error::invalid("metadata", error.to_string()).with_source(error);
    let said: Said = serde_json::from_slice(said).map_err(wrong)?;
    let OfAll { title, author, time, labels, attributes } = said.metadata;
    let metadata = Metadata { title, author, time, labels, attributes };
    let usual = IngestOptions::default();
    Ok(IngestOptions {
        folder_field: said.folder_field.unwrap_or(usual.folder_field),
        chunk_size_max: said.chunk_size,
        chunk_overlap: said.chunk_overlap,
        metadata: metadata.checked().map_err(|error| error.within("metadata"))?,
        ..usual
    })
}

/// Ingests, and tells how far it is.
///
/// # Errors
/// As for [`rag::ingest()`].
pub(crate) fn ingest(
    db: &Database,
    embedder: Option<&Embedder>,
    path: &Path,
    options: &IngestOptions,
    progress: Option<&Py<PyAny>>,
) -> Result<(IngestReport, Option<PyErr>)> {
    telling(progress, |tell| rag::ingest(db, path, options, embedder, tell))
}

/// What is told how far it is.
type Tell<'a> = &'a dyn Fn(Progress) -> ControlFlow<()>;

/// Works without the interpreter's lock but to tell how far it is, and to look for signals. The exception that broke it
/// off comes with the report of what was done until then.
///
/// # Errors
/// Those of the work.
pub(crate) fn telling<T>(
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(Tell<'_>) -> Result<T>,
) -> Result<(T, Option<PyErr>)> {
    let broken_off = std::cell::RefCell::new(None);
    let tell = |done: Progress| {
        let told = Python::attach(|py| {
            if let Some(progress) = progress {
                progress.call1(py, (done.documents, done.documents_total, done.chunks))?;
            }
            py.check_signals()
        });
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                broken_off.replace(Some(error));
                ControlFlow::Break(())
            }
        }
    };
    let report = work(&tell)?;
    Ok((report, broken_off.into_inner()))
}

/// What an ingestion did.
pub(crate) fn told<'py>(py: Python<'py>, report: &IngestReport) -> PyResult<Bound<'py, PyDict>> {
    let counts = [
        ("added", report.added),
        ("changed", report.changed),
        ("unchanged", report.unchanged),
        ("removed", report.removed),
        ("left", report.left),
        ("chunks", report.chunks),
        ("embedded", report.embedded),
        ("bytes", report.bytes),
    ];
    let told = PyDict::new(py);
    for (name, count) in counts {
        told.set_item(name, count)?;
    }
    let skipped = report.skipped.iter().map(|skipped| (skipped.path.clone(), skipped.reason.to_string()));
    told.set_item("has_vectors", report.has_vectors)?;
    told.set_item("elapsed_ms", report.elapsed.as_millis() as u64)?;
    told.set_item("skipped", PyList::new(py, skipped.collect::<Vec<(String, String)>>())?)?;
    Ok(told)
}
