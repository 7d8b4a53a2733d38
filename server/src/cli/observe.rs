//! What `kithdb serve` tells of itself, as flags.

use std::time::Duration;

use clap::{ArgAction, Args};
use kithdb::SlowQueries;

use crate::{LogFormat, Logging};

/// What is told of the server while it runs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Observability")]
pub(super) struct ObserveArgs {
    /// Which lines are logged: a level (error, warn, info, debug, trace), or levels by target
    #[arg(long, value_name = "FILTER", env = "KITHDB_LOG", default_value = "warn")]
    log: String,
    /// How they are laid out: text, or json with one object a line
    #[arg(long, value_name = "FORMAT", env = "KITHDB_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Milliseconds from which on a query is slow; with 0 each is
    #[arg(long, value_name = "MS", env = "KITHDB_SLOW_QUERY_MS",
          default_value_t = SlowQueries::default().threshold.as_millis() as u64)]
    slow_query_ms: u64,
    /// Slow queries that are kept to be read; with 0 none is kept or logged
    #[arg(long, value_name = "COUNT", env = "KITHDB_SLOW_QUERIES_MAX", default_value_t = SlowQueries::default().kept)]
    slow_queries_max: usize,
    /// Keep the filters and keywords of slow queries with them
    #[arg(long, value_name = "BOOL", env = "KITHDB_SLOW_QUERY_TEXTS", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    slow_query_texts: bool,
    /// The collector that traces are sent to, by OTLP over HTTP: http://localhost:4318
    #[arg(long, value_name = "URL", env = "KITHDB_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// The share of traces that are sent, of those that begin here
    #[arg(long, value_name = "SHARE", env = "KITHDB_TRACE_SHARE", default_value_t = 1.0, value_parser = share)]
    trace_share: f64,
}

/// A share on the command line.
pub(super) fn share(text: &str) -> std::result::Result<f64, String> {
    let share = text.parse().map_err(|_| "must be a number from 0 to 1".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("must be from 0 to 1".to_owned()) }
}

impl ObserveArgs {
    /// The log, and traces.
    pub(super) fn logging(&self) -> Logging {
        Logging {
            filter: self.log.clone(),
            format: self.log_format,
            otlp_endpoint: self.otlp_endpoint.clone(),
            trace_share: self.trace_share,
        }
    }

    /// What is slow.
    pub(super) fn slow_queries(&self) -> SlowQueries {
        SlowQueries {
            threshold: Duration::from_millis(self.slow_query_ms),
            kept: self.slow_queries_max,
            has_texts: self.slow_query_texts,
        }
    }
}
