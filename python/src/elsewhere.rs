//! What is asked outside of this process, as Python names it. Nothing else is.

use kithdb::{Error, Result, Value};
use serde::Deserialize;

/// The settings of each, if there is one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Elsewhere {
    /// Of a server that embeds texts.
    pub(crate) embedding: Option<Value>,
    /// Of what writes answers.
    pub(crate) engine: Option<Value>,
    /// Of what ranks passages.
    pub(crate) rerank: Option<Value>,
}

impl Elsewhere {
    /// Reads JSON.
    ///
    /// # Errors
    /// `InvalidArgument` when it is none.
    pub(crate) fn read(given: &[u8]) -> Result<Self> {
        serde_json::from_slice(given)
            .map_err(|error| Error::invalid("engine", error.to_string()).with_source(error))
    }
}
