//! What writes answers, as Python names it.

use std::sync::Arc;
use std::time::Duration;

use kithdb::{Error, Result, Value};
use rag::engine::Secret;
use rag::{Engine, EngineOptions};
use serde::Deserialize;

/// The settings of `docs/answers.md`, without the word `engine` before each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    model: Option<String>,
    key: Option<String>,
    context_tokens: Option<usize>,
    answer_tokens_max: Option<usize>,
    calls_max: Option<usize>,
    first_max_s: Option<u64>,
    idle_max_s: Option<u64>,
}

/// The engine that settings name. It is not asked anything yet.
///
/// # Errors
/// `InvalidArgument` on `engine`, or naming the setting as the configuration calls it.
pub(crate) fn open(settings: Value) -> Result<Arc<Engine>> {
    let wrong = |error: serde_json::Error| Error::invalid("engine", error.to_string()).with_source(error);
    let settings: Settings = serde_json::from_value(settings).map_err(wrong)?;
    let plain = EngineOptions::new(&settings.url);
    let options = EngineOptions {
        model: settings.model.filter(|model| !model.is_empty()),
        key: settings.key.as_deref().and_then(Secret::new),
        context_tokens: settings.context_tokens,
        answer_tokens_max: settings.answer_tokens_max.unwrap_or(plain.answer_tokens_max),
        calls_max: settings.calls_max.unwrap_or(plain.calls_max),
        first_time_max: settings.first_max_s.map_or(plain.first_time_max, Duration::from_secs),
        idle_time_max: settings.idle_max_s.map_or(plain.idle_time_max, Duration::from_secs),
        ..plain
    };
    Engine::new(options).map(Arc::new)
}
