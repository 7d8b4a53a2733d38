//! The extension module `kithdb._kithdb`: what the Python package cannot do in Python, and nothing that it can.
//!
//! A request goes to the routes of the server, in process, as JSON; only what is large or frequent has a way of its
//! own: the points of an upsert, a question, questions by the row, all of them with NumPy arrays.
//!
//! Invariant: the engine runs without the interpreter's lock. What may take long looks for signals between steps.
//! Source: <https://pyo3.rs>; the stable interface of Python 3.10, so that one build serves every later version.
//! When not to use: by users. `kithdb`, the package above it, is what they import.

mod arrays;
mod elsewhere;
mod embedded;
mod embedding;
mod engine;
mod failure;
mod health;
mod hits;
mod ingesting;
mod json;
mod reembedding;
mod reranking;
mod schemas;
mod serving;
mod streaming;
mod walking;

use std::ffi::OsString;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Runs the command line with these arguments, of which the first is the name of the command; its exit code.
#[pyfunction]
fn run(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    let code = py.detach(|| server::cli::run(arguments));
    // A code does not tell its number.
    (0..=u8::MAX).find(|number| code == ExitCode::from(*number)).unwrap_or(1)
}

#[pymodule]
mod _kithdb {
    #[pymodule_export]
    use super::embedded::Embedded;
    #[pymodule_export]
    use super::run;
    #[pymodule_export]
    use super::serving::Serving;
    #[pymodule_export]
    use super::streaming::Pieces;
    #[pymodule_export]
    use super::walking::walk;

    #[pymodule_export]
    const VERSION: &str = server::VERSION;
}
