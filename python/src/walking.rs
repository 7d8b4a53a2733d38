//! The documents of a folder for a server elsewhere, as the process that has the database open finds them itself.

use std::path::PathBuf;

use pyo3::prelude::*;
use rag::walk::{FILE_BYTES_MAX, walk as walked};
use rag::{Skip, Skipped};

use crate::failure::raised;

/// The folder, the files in it, and what is passed over: its path, why, and whether it may be a document all the same.
type Walked = (PathBuf, Vec<String>, Vec<(String, String, bool)>);

/// Lists the documents of a folder, or the one document if that is what the path names.
#[pyfunction]
pub(crate) fn walk(py: Python<'_>, path: PathBuf) -> PyResult<Walked> {
    let found = py.detach(move || walked(&path, FILE_BYTES_MAX)).map_err(|error| raised(py, &error))?;
    let told = |Skipped { path, reason }: Skipped| {
        let may_be_there = matches!(reason, Skip::Unreadable(_) | Skip::TooLarge { .. });
        (path, reason.to_string(), may_be_there)
    };
    Ok((found.root, found.files, found.skipped.into_iter().map(told).collect()))
}
