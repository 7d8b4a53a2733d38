//! A server that embeds texts, as Python names it.

use std::path::PathBuf;
use std::time::Duration;

use kithdb::{Error, Result, Value};
use rag::{Embedder, Protocol, Provider};
use serde::Deserialize;

/// The settings of `kithdb serve` for an embedding server, without the word `embed` before each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: String,
    protocol: Option<String>,
    model: Option<String>,
    api_key: Option<String>,
    dim: Option<usize>,
    tokens_max: Option<usize>,
    tokenizer: Option<PathBuf>,
    query_prefix: Option<String>,
    document_prefix: Option<String>,
    raw: Option<bool>,
    batch: Option<usize>,
    requests_max: Option<usize>,
    attempts_max: Option<usize>,
    timeout_s: Option<u64>,
}

/// The server that settings name. It is asked for a vector where they do not say how long these are.
///
/// # Errors
/// `InvalidArgument` on `model`, or below it naming the setting; `Busy` when the server does not answer.
pub(crate) fn connect(settings: Value) -> Result<Embedder> {
    let settings: Settings = serde_json::from_value(settings)
        .map_err(|error| Error::invalid("model", error.to_string()).with_source(error))?;
    provider(settings).and_then(|provider| Embedder::connect(&provider)).map_err(by_setting)
}

/// An error of a provider, with its field as the setting is called here.
fn by_setting(error: Error) -> Error {
    match error.field() {
        Some("batch_texts_max") => error.with_field("model.batch"),
        // Also of a server that does not answer, whatever its model is called.
        Some("model") | None => error,
        Some(_) => error.within("model"),
    }
}

fn provider(settings: Settings) -> Result<Provider> {
    let plain = Provider::default();
    let protocol = match settings.protocol {
        Some(name) => name.parse::<Protocol>()?,
        None => plain.protocol,
    };
    Ok(Provider {
        url: settings.url,
        protocol,
        model: settings.model.unwrap_or_default(),
        api_key: settings.api_key,
        dim: settings.dim,
        tokens_max: settings.tokens_max.unwrap_or(plain.tokens_max),
        tokenizer: settings.tokenizer,
        query_prefix: settings.query_prefix.unwrap_or_default(),
        document_prefix: settings.document_prefix.unwrap_or_default(),
        is_normalised: !settings.raw.unwrap_or(false),
        batch_texts_max: settings.batch.unwrap_or(plain.batch_texts_max),
        requests_max: settings.requests_max.unwrap_or(plain.requests_max),
        attempts_max: settings.attempts_max.unwrap_or(plain.attempts_max),
        request_time_max: settings.timeout_s.map_or(plain.request_time_max, Duration::from_secs),
        ..plain
    })
}
