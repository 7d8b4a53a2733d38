//! A database of this process, served over HTTP beside what the process does with it itself.

use parking_lot::Mutex;
use pyo3::prelude::*;
use server::Server;

use crate::failure::raised;

/// A server that runs until it is stopped, or its last handle is gone.
#[pyclass(frozen, module = "kithdb._kithdb")]
pub(crate) struct Serving {
    pid: u32,
    url: String,
    server: Mutex<Option<Server>>,
}

impl Serving {
    pub(crate) fn new(server: Server) -> Self {
        let url = format!("http://{}", server.address());
        Self { pid: std::process::id(), url, server: Mutex::new(Some(server)) }
    }
}

#[pymethods]
impl Serving {
    /// Where it listens.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// Takes no more connections, ends what was begun; does nothing the second time.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.server.lock().take().map_or(Ok(()), Server::stop))
            .map_err(|error| raised(py, &error))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The threads of a server do not come along into a fork: there is nobody to wait for.
        if self.pid != std::process::id() {
            std::mem::forget(self.server.lock().take());
        }
    }
}
