//! What ranks passages for a question, as Python names it.

use std::sync::Arc;
use std::time::Duration;

use kithdb::{Error, Result, Value};
use rag::engine::Secret;
use rag::{RerankOptions, RerankProtocol, Reranker};
use serde::Deserialize;

/// The settings of `docs/answers.md`, without the word `rerank` before each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    protocol: Option<String>,
    model: Option<String>,
    key: Option<String>,
    candidates: Option<usize>,
    batch: Option<usize>,
    calls_max: Option<usize>,
    timeout_s: Option<u64>,
    optional: Option<bool>,
}

/// The reranker that settings name. It is not asked anything yet.
///
/// # Errors
/// `InvalidArgument` on `rerank`, or naming the setting as the configuration calls it.
pub(crate) fn open(settings: Value) -> Result<Arc<Reranker>> {
    let wrong = |error: serde_json::Error| Error::invalid("rerank", error.to_string()).with_source(error);
    let settings: Settings = serde_json::from_value(settings).map_err(wrong)?;
    let plain = RerankOptions::new(&settings.url);
    let protocol = match settings.protocol {
        Some(name) => name.parse::<RerankProtocol>()?,
        None => plain.protocol,
    };
    let options = RerankOptions {
        protocol,
        model: settings.model.filter(|model| !model.is_empty()),
        key: settings.key.as_deref().and_then(Secret::new),
        candidates: settings.candidates.unwrap_or(plain.candidates),
        batch_texts_max: settings.batch.unwrap_or(plain.batch_texts_max),
        calls_max: settings.calls_max.unwrap_or(plain.calls_max),
        request_time_max: settings.timeout_s.map_or(plain.request_time_max, Duration::from_secs),
        is_optional: settings.optional.unwrap_or(plain.is_optional),
        ..plain
    };
    Reranker::new(options).map(Arc::new)
}
