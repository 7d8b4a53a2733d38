//! What a question found, as the dicts of Python that its route has as JSON.
//!
//! Cost: hits with nothing but a payload, which most are, become dicts without a serializer in between, and their
//! members have names that are there already.

use kithdb::PointId;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use pythonize::pythonize;
use server::door::{Found, PlainHit};

/// Hits, and what stands beside them.
pub(crate) fn told<'py>(py: Python<'py>, found: &Found) -> PyResult<Bound<'py, PyAny>> {
    let Some(hits) = found.plain() else { return Ok(pythonize(py, found)?) };
    let points = hits.iter().map(|hit| point(py, hit)).collect::<PyResult<Vec<_>>>()?;
    let told = PyDict::new(py);
    told.set_item(intern!(py, "points"), PyList::new(py, points)?)?;
    Ok(told.into_any())
}

fn point<'py>(py: Python<'py>, hit: &PlainHit<'_>) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    match hit.id {
        PointId::Num(id) => told.set_item(intern!(py, "id"), id)?,
        PointId::Uuid(id) => told.set_item(intern!(py, "id"), id.to_string())?,
    }
    told.set_item(intern!(py, "version"), hit.version)?;
    told.set_item(intern!(py, "score"), hit.score)?;
    if let Some(payload) = hit.payload {
        told.set_item(intern!(py, "payload"), pythonize(py, payload)?)?;
    }
    Ok(told)
}
