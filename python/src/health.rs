//! What the doctor found, as Python is told.

use kithdb::{Fault, Health};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The health of a database.
pub(crate) fn told<'py>(py: Python<'py>, health: &Health) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item("collections", health.collections)?;
    told.set_item("points", health.points)?;
    told.set_item("vectors", health.vectors)?;
    told.set_item("segments", health.segments)?;
    told.set_item("keyword_documents", health.keyword_documents)?;
    let faults = health.faults.iter().map(|found| fault(py, found)).collect::<PyResult<Vec<_>>>()?;
    told.set_item("faults", PyList::new(py, faults)?)?;
    Ok(told)
}

fn fault<'py>(py: Python<'py>, fault: &Fault) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item("collection", fault.collection.as_str())?;
    told.set_item("part", fault.part)?;
    told.set_item("message", fault.message.as_str())?;
    told.set_item("is_mendable", fault.is_mendable())?;
    Ok(told)
}
