//! The judge of answers, as flags.

use std::sync::Arc;

use clap::Args;
use kithdb::{Error, Result};
use rag::engine::Secret;
use rag::{Engine, EngineOptions};

/// What says how far answers of an evaluation rest on their documents: any server with OpenAI's API for chat. Another
/// model than the one that writes them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Judge")]
pub(super) struct JudgeArgs {
    /// The address of its API, such as http://127.0.0.1:8081/v1
    #[arg(long, value_name = "URL", env = "KITHDB_JUDGE_URL")]
    judge_url: Option<String>,
    /// The model to ask; the first that it lists if not set
    #[arg(long, value_name = "NAME", env = "KITHDB_JUDGE_MODEL")]
    judge_model: Option<String>,
    /// The key that it is shown, and nobody else
    #[arg(long, value_name = "KEY", env = "KITHDB_JUDGE_KEY", hide_env_values = true)]
    judge_key: Option<String>,
}

impl JudgeArgs {
    /// The judge, if one is named.
    ///
    /// # Errors
    /// `InvalidArgument` naming the setting at fault.
    pub(super) fn open(&self) -> Result<Option<Arc<Engine>>> {
        let Some(url) = self.judge_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let options = EngineOptions {
            model: self.judge_model.clone().filter(|model| !model.is_empty()),
            key: self.judge_key.as_deref().and_then(Secret::new),
            ..EngineOptions::new(url)
        };
        let told = |error: Error| match error.field().map(|field| field.replace("engine_", "judge_")) {
            Some(field) => error.with_field(field),
            None => error,
        };
        Engine::new(options).map(|engine| Some(Arc::new(engine))).map_err(told)
    }
}
