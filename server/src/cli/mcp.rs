//! `kithdb mcp`: a database for programs that speak the Model Context Protocol, on standard input and output.
//!
//! Of a directory, which it opens; or of a server, to whose `/mcp` each message is passed on as it is.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use clap::{ArgAction, Args};
use kithdb::{Error, Options, Result};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::open::{DataArgs, ModelArgs};
use super::place::or_by_url;
use super::remote::Remote;
use super::terminal::say;
use crate::mcp::Mcp;
use crate::routes::routes;
use crate::{ServeOptions, State};

/// The code of an error that is none of the message.
const INTERNAL: i64 = -32603;

/// Offer a database to a program that speaks the Model Context Protocol.
#[derive(Args)]
pub(super) struct McpArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Offer that of a running server instead of a directory
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The key of the server
    #[arg(long, value_name = "KEY", env = "KITHDB_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    #[command(flatten)]
    model: ModelArgs,
    /// Offer nothing that writes
    #[arg(long, value_name = "BOOL", env = "KITHDB_READ_ONLY", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    read_only: bool,
}

impl McpArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        match &self.url {
            Some(url) => self.passed_on(url)?,
            None => self.of_directory()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn of_directory(&self) -> Result<()> {
        let embedder = self.model.open()?;
        let db = self.data.open(Options::default()).map_err(or_by_url)?;
        let state = State::new(db.clone(), embedder, &ServeOptions::default());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mcp = Mcp::new(state.clone(), routes(&state), self.read_only);
        let outcome = runtime.block_on(mcp.over_stdio());
        // A thread waits for standard input, which need not end.
        runtime.shutdown_background();
        db.flush()?;
        outcome
    }

    fn passed_on(&self, url: &str) -> Result<()> {
        if self.read_only {
            let message = "stands beside --url; give a key that may only read, by --api-key";
            return Err(Error::invalid("read_only", message));
        }
        let remote = Remote::new(url, self.api_key.as_deref());
        let mut out = std::io::stdout().lock();
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let answer = remote.message("/mcp", &line).unwrap_or_else(|error| {
                say(&format!("error: {error}"));
                refused(&line, &error)
            });
            if let Some(answer) = answer {
                writeln!(out, "{answer}")?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

/// What is answered in place of a server that does not answer; nothing to what wants no answer.
fn refused(line: &str, error: &Error) -> Option<String> {
    let message: Value = serde_json::from_str(line).unwrap_or_default();
    let id = message.get("id").filter(|id| !id.is_null())?;
    let told = json!({"code": INTERNAL, "message": error.message()});
    Some(json!({"jsonrpc": "2.0", "id": id, "error": told}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_is_told_and_who_did_not_is_not() {
        let error = Error::invalid("url", "does not answer");
        let told = refused(r#"{"jsonrpc": "2.0", "id": 7, "method": "ping"}"#, &error).expect("an answer");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&told["id"], &told["error"]["message"]), (&json!(7), &json!("does not answer")));
        assert_eq!(refused(r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#, &error), None);
    }
}
