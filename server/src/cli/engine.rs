//! The serving engine, as flags.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use kithdb::Result;
use rag::engine::Secret;
use rag::{Engine, EngineOptions};

/// What writes answers: any server with OpenAI's API for chat. Without it answers are quotes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Serving engine")]
pub(super) struct EngineArgs {
    /// The address of its API, such as http://127.0.0.1:8080/v1
    #[arg(long, value_name = "URL", env = "KITHDB_ENGINE_URL")]
    engine_url: Option<String>,
    /// The model to ask; the first that it lists if not set
    #[arg(long, value_name = "NAME", env = "KITHDB_ENGINE_MODEL")]
    engine_model: Option<String>,
    /// The key that it is shown, and nobody else
    #[arg(long, value_name = "KEY", env = "KITHDB_ENGINE_KEY", hide_env_values = true)]
    engine_key: Option<String>,
    /// Tokens of prompt and answer together; what the engine tells if not set
    #[arg(long, value_name = "TOKENS", env = "KITHDB_ENGINE_CONTEXT_TOKENS")]
    engine_context_tokens: Option<usize>,
    /// Tokens of an answer, unless a request asks for fewer
    #[arg(long, value_name = "TOKENS", env = "KITHDB_ENGINE_ANSWER_TOKENS_MAX", default_value_t = EngineOptions::new("").answer_tokens_max)]
    engine_answer_tokens_max: usize,
    /// Answers that it makes at the same time
    #[arg(long, value_name = "COUNT", env = "KITHDB_ENGINE_CALLS_MAX", default_value_t = EngineOptions::new("").calls_max)]
    engine_calls_max: usize,
    /// Seconds without a sign before the first token
    #[arg(long, value_name = "SECONDS", env = "KITHDB_ENGINE_FIRST_MAX_S", default_value_t = EngineOptions::new("").first_time_max.as_secs())]
    engine_first_max_s: u64,
    /// Seconds without a sign between two tokens
    #[arg(long, value_name = "SECONDS", env = "KITHDB_ENGINE_IDLE_MAX_S", default_value_t = EngineOptions::new("").idle_time_max.as_secs())]
    engine_idle_max_s: u64,
}

impl EngineArgs {
    /// The engine, if one is named.
    ///
    /// # Errors
    /// `InvalidArgument` naming the setting at fault.
    pub(super) fn open(&self) -> Result<Option<Arc<Engine>>> {
        let Some(url) = self.engine_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let options = EngineOptions {
            model: self.engine_model.clone().filter(|model| !model.is_empty()),
            key: self.engine_key.as_deref().and_then(Secret::new),
            context_tokens: self.engine_context_tokens,
            answer_tokens_max: self.engine_answer_tokens_max,
            calls_max: self.engine_calls_max,
            first_time_max: Duration::from_secs(self.engine_first_max_s),
            idle_time_max: Duration::from_secs(self.engine_idle_max_s),
            ..EngineOptions::new(url)
        };
        Engine::new(options).map(|engine| Some(Arc::new(engine)))
    }
}
