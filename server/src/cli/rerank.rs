//! The reranker, as flags.

use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use kithdb::Result;
use rag::engine::Secret;
use rag::{RerankOptions, Reranker};

/// What ranks passages for a question: any server with the API of Cohere for it, or text-embeddings-inference. Without
/// it they stay as they were found.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reranker")]
pub(super) struct RerankArgs {
    /// The address of its API, such as http://127.0.0.1:8080/v1; /rerank is put behind it
    #[arg(long, value_name = "URL", env = "KITHDB_RERANK_URL")]
    rerank_url: Option<String>,
    /// What it speaks: cohere (Jina, vLLM and llama.cpp too) or tei
    #[arg(long, value_name = "NAME", env = "KITHDB_RERANK_PROTOCOL", default_value = "cohere")]
    rerank_protocol: String,
    /// The model to ask; its own if not set
    #[arg(long, value_name = "NAME", env = "KITHDB_RERANK_MODEL")]
    rerank_model: Option<String>,
    /// The key that it is shown, and nobody else
    #[arg(long, value_name = "KEY", env = "KITHDB_RERANK_KEY", hide_env_values = true)]
    rerank_key: Option<String>,
    /// Passages of a question that it ranks, unless the question asks for another number
    #[arg(long, value_name = "COUNT", env = "KITHDB_RERANK_CANDIDATES", default_value_t = RerankOptions::new("").candidates)]
    rerank_candidates: usize,
    /// Passages of a request
    #[arg(long, value_name = "COUNT", env = "KITHDB_RERANK_BATCH", default_value_t = RerankOptions::new("").batch_texts_max)]
    rerank_batch: usize,
    /// Questions that it is asked at the same time
    #[arg(long, value_name = "COUNT", env = "KITHDB_RERANK_CALLS_MAX", default_value_t = RerankOptions::new("").calls_max)]
    rerank_calls_max: usize,
    /// Seconds of a request
    #[arg(long, value_name = "SECONDS", env = "KITHDB_RERANK_TIMEOUT_S", default_value_t = RerankOptions::new("").request_time_max.as_secs())]
    rerank_timeout_s: u64,
    /// Where it fails, answer from passages as they were found, and say so, instead of failing too
    #[arg(long, value_name = "BOOL", env = "KITHDB_RERANK_OPTIONAL", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    rerank_optional: bool,
}

impl RerankArgs {
    /// The reranker, if one is named.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the setting at fault.
    pub(super) fn open(&self) -> Result<Option<Arc<Reranker>>> {
        let Some(url) = self.rerank_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let options = RerankOptions {
            protocol: self.rerank_protocol.parse()?,
            model: self.rerank_model.clone().filter(|model| !model.is_empty()),
            key: self.rerank_key.as_deref().and_then(Secret::new),
            candidates: self.rerank_candidates,
            batch_texts_max: self.rerank_batch,
            calls_max: self.rerank_calls_max,
            request_time_max: Duration::from_secs(self.rerank_timeout_s),
            is_optional: self.rerank_optional,
            ..RerankOptions::new(url)
        };
        Reranker::new(options).map(|reranker| Some(Arc::new(reranker)))
    }
}
