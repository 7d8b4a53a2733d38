//! An answer that a route of this process gives piece by piece.

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use server::door::{Answer, Streaming};

use crate::embedded::{Answered, TICK};
use crate::failure::{closed, forked};

/// The pieces of an answer. It is broken off when it is closed, when nobody has it any more, or with the database.
#[pyclass(frozen, module = "kithdb._kithdb")]
pub(crate) struct Pieces {
    pid: u32,
    streaming: Mutex<Option<Streaming>>,
}

impl Pieces {
    pub(crate) fn new(streaming: Streaming) -> Self {
        Self { pid: std::process::id(), streaming: Mutex::new(Some(streaming)) }
    }
}

#[pymethods]
impl Pieces {
    /// The next piece, if it comes within a moment: signals are looked for between two of these. Its bytes are none at
    /// the end.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Answered<'py>>> {
        if self.pid != std::process::id() {
            return Err(forked(py, self.pid));
        }
        let waited = py.detach(|| self.streaming.lock().as_ref().map(|streaming| streaming.wait(TICK)));
        // Without an error of its own it ends before its end only with the database.
        let Some(Ok(piece)) = waited else { return Err(closed(py)) };
        Ok(piece.map(|Answer { status, kind, field, body }| (status, kind, field, PyBytes::new(py, &body))))
    }

    /// Breaks it off; does nothing at the end, or the second time.
    fn close(&self, py: Python<'_>) {
        if self.pid == std::process::id() {
            py.detach(|| drop(self.streaming.lock().take()));
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        // The threads that make it do not come along into a fork: there is nobody to tell.
        if self.pid != std::process::id() {
            std::mem::forget(self.streaming.get_mut().take());
        }
    }
}
