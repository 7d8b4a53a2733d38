//! A folder of documents into a collection, from Python: it is told how far it is, and may break it off.

use std::ops::ControlFlow;
use std::path::Path;

use kithdb::{Database, Result};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use rag::{Embedder, IngestOptions, IngestReport, Progress};

/// Ingests, without the interpreter's lock but to tell how far it is, and to look for signals. The exception that broke
/// it off comes with the report of what was done until then.
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
    let report = rag::ingest(db, path, options, embedder, &tell)?;
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
