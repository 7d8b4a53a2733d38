//! Documents moved to another model, from Python.

use std::path::Path;

use kithdb::{Database, Error, Result, Value};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rag::Embedder;
use rag::reembed::{Move, MoveReport, reembed as moved};
use serde::Deserialize;

use crate::{embedding, ingesting};

/// What to move where, as `kithdb reembed` calls it. A model is a directory, or the settings of a server that embeds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    from: String,
    to: String,
    model: Value,
    alias: Option<String>,
    gate: Option<f64>,
}

/// Moves documents as an order in JSON says, and tells how far it is, as [`ingesting::ingest`] does. `old` is the model
/// that they belong to.
///
/// # Errors
/// As for [`moved`].
pub(crate) fn reembed(
    db: &Database,
    old: Option<&Embedder>,
    order: &[u8],
    progress: Option<&Py<PyAny>>,
) -> Result<(MoveReport, Option<PyErr>)> {
    let wrong = |error: serde_json::Error| Error::invalid("order", error.to_string()).with_source(error);
    let Order { from, to, model, alias, gate } = serde_json::from_slice(order).map_err(wrong)?;
    let new = match model {
        Value::String(path) => Embedder::open(Path::new(&path))?,
        settings => embedding::connect(settings)?,
    };
    let order = Move { from, to, alias, loss_max: gate };
    ingesting::telling(progress, |tell| moved(db, &order, old, &new, tell))
}

/// What was moved.
pub(crate) fn told<'py>(py: Python<'py>, report: &MoveReport) -> PyResult<Bound<'py, PyDict>> {
    let counts = [
        ("documents", report.documents),
        ("unchanged", report.unchanged),
        ("removed", report.removed),
        ("own", report.own),
        ("retouched", report.retouched),
        ("chunks", report.chunks),
        ("cut", report.cut),
    ];
    let told = PyDict::new(py);
    for (name, count) in counts {
        told.set_item(name, count)?;
    }
    let ndcg = report.gate.as_ref().map(|(before, after)| (before.mean.ndcg, after.mean.ndcg));
    told.set_item("ndcg", ndcg)?;
    told.set_item("is_switched", report.is_switched)?;
    Ok(told)
}
