//! The embedding server that a command works with, instead of a model of its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use kithdb::{Error, Result};
use rag::{Embedder, Protocol, Provider};

/// Which server embeds text.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Embedding server")]
pub(super) struct ProviderArgs {
    /// Embed by a server: the address of its OpenAI-compatible API with /v1, or of text-embeddings-inference
    #[arg(long, value_name = "URL", env = "KITHDB_EMBED_URL")]
    embed_url: Option<String>,
    /// What it speaks: openai or tei
    #[arg(long, value_name = "NAME", env = "KITHDB_EMBED_PROTOCOL", default_value = "openai")]
    embed_protocol: String,
    /// The name of its model, which the collections are bound to
    #[arg(long, value_name = "NAME", env = "KITHDB_EMBED_MODEL", default_value = "")]
    embed_model: String,
    /// The key that opens it
    #[arg(long, value_name = "KEY", env = "KITHDB_EMBED_API_KEY", hide_env_values = true)]
    embed_api_key: Option<String>,
    /// Elements of its vectors; without it, it is asked when the command starts
    #[arg(long, value_name = "N", env = "KITHDB_EMBED_DIM")]
    embed_dim: Option<usize>,
    /// Tokens of a text that its model sees
    #[arg(long, value_name = "N", env = "KITHDB_EMBED_TOKENS_MAX", default_value_t = 512)]
    embed_tokens_max: usize,
    /// The model's tokenizer.json, by which chunks are measured; without it sizes are estimates
    #[arg(long, value_name = "FILE", env = "KITHDB_EMBED_TOKENIZER")]
    embed_tokenizer: Option<PathBuf>,
    /// Put before a query, as the model wants it
    #[arg(long, value_name = "TEXT", env = "KITHDB_EMBED_QUERY_PREFIX", default_value = "")]
    embed_query_prefix: String,
    /// Put before a document, as the model wants it
    #[arg(long, value_name = "TEXT", env = "KITHDB_EMBED_DOCUMENT_PREFIX", default_value = "")]
    embed_document_prefix: String,
    /// Leave vectors as long as they come, instead of bringing them to length 1
    #[arg(long, value_name = "BOOL", env = "KITHDB_EMBED_RAW", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    embed_raw: bool,
    /// Texts of a request
    #[arg(long, value_name = "N", env = "KITHDB_EMBED_BATCH", default_value_t = 32)]
    embed_batch: usize,
    /// Requests at the same time
    #[arg(long, value_name = "N", env = "KITHDB_EMBED_REQUESTS_MAX", default_value_t = 4)]
    embed_requests_max: usize,
    /// Attempts at a request
    #[arg(long, value_name = "N", env = "KITHDB_EMBED_ATTEMPTS_MAX", default_value_t = 6)]
    embed_attempts_max: usize,
    /// Seconds of an attempt
    #[arg(long, value_name = "N", env = "KITHDB_EMBED_TIMEOUT_S", default_value_t = 60)]
    embed_timeout_s: u64,
}

impl ProviderArgs {
    /// The server, if one is named.
    ///
    /// # Errors
    /// `InvalidArgument` naming the setting at fault; `Busy` when it does not answer.
    pub(super) fn open(&self) -> Result<Option<Embedder>> {
        let Some(url) = self.embed_url.clone().filter(|url| !url.is_empty()) else { return Ok(None) };
        let protocol: Protocol = self.embed_protocol.parse().map_err(by_setting)?;
        let provider = Provider {
            url,
            protocol,
            model: self.embed_model.clone(),
            api_key: self.embed_api_key.clone(),
            dim: self.embed_dim,
            tokens_max: self.embed_tokens_max,
            tokenizer: self.embed_tokenizer.clone(),
            query_prefix: self.embed_query_prefix.clone(),
            document_prefix: self.embed_document_prefix.clone(),
            is_normalised: !self.embed_raw,
            batch_texts_max: self.embed_batch,
            requests_max: self.embed_requests_max,
            attempts_max: self.embed_attempts_max,
            request_time_max: Duration::from_secs(self.embed_timeout_s),
            ..Provider::default()
        };
        Embedder::connect(&provider).map(Some).map_err(by_setting)
    }
}

/// An error of a provider, with its field as the setting is called.
fn by_setting(error: Error) -> Error {
    let setting = |field: &str| match field {
        "batch_texts_max" => "embed_batch".to_owned(),
        field => format!("embed_{field}"),
    };
    match error.field().map(setting) {
        Some(setting) => error.with_field(setting),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        provider: ProviderArgs,
    }

    /// They were `protocol` and `embed_batch_texts_max`, which nobody can set.
    #[test]
    fn what_is_wrong_is_told_by_the_name_of_its_setting() {
        for (flag, value, setting) in [
            ("--embed-protocol", "grpc", "embed_protocol"),
            ("--embed-batch", "0", "embed_batch"),
            ("--embed-dim", "0", "embed_dim"),
        ] {
            let url = "http://127.0.0.1:9";
            let arguments = ["kithdb", "--embed-url", url, "--embed-model", "m", flag, value];
            let provider = Arguments::try_parse_from(arguments).expect("arguments").provider;
            let error = provider.open().err().expect("it is refused");
            assert_eq!(error.field(), Some(setting), "{error}");
        }
    }
}
