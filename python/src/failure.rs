//! Errors of the engine as exceptions: `kithdb.errors` has the tree, and one table from kinds to classes.

use kithdb::{Error, ErrorKind};
use pyo3::prelude::*;

/// The kind of an error that only Python has: what is asked for was closed.
const CLOSED: &str = "closed";

/// The kind of an error that only Python has: the process is not the one that opened the database.
const FORKED: &str = "forked";

/// The exception for an error.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error.kind().name(), error.message(), error.field())
}

/// The exception for a handle that was closed.
pub(crate) fn closed(py: Python<'_>) -> PyErr {
    exception(py, CLOSED, "the database is closed; open it again", None)
}

/// The exception for a process that inherited an open database.
pub(crate) fn forked(py: Python<'_>, pid: u32) -> PyErr {
    let message = format!(
        "the database was opened by process {pid}, and its threads did not come along into this one; open it after \
         the fork, or start processes by spawn"
    );
    exception(py, FORKED, &message, None)
}

/// The exception for an argument that is not what it should be.
pub(crate) fn invalid(py: Python<'_>, field: &str, message: &str) -> PyErr {
    exception(py, ErrorKind::InvalidArgument.name(), message, Some(field))
}

fn exception(py: Python<'_>, kind: &str, message: &str, field: Option<&str>) -> PyErr {
    let made = py
        .import("kithdb.errors")
        .and_then(|errors| errors.getattr("of_kind")?.call1((kind, message, field)))
        .map(PyErr::from_value);
    // Whatever keeps the exception from being made is an exception as well.
    made.unwrap_or_else(|error| error)
}
