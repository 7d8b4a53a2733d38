//! The log of the process: to standard error, as text for people or as JSON, one object a line.
//!
//! Invariant: nothing is written twice, and no secret at all: keys, tokens and bodies are in no line at any level.
//! Cost: a line that is filtered out, a comparison.

use std::io::IsTerminal as _;

use kithdb::{Error, Result};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use super::otlp::{self, Tracing};

/// How lines are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Error::invalid("log_format", format!("`{name}` is none of text, json"))),
        }
    }
}

/// What a process tells of itself while it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logging {
    /// Which lines: a level, or levels by target, as `tracing` has them: `warn`, `info,kithdb_server=debug`.
    pub filter: String,
    /// How they are laid out.
    pub format: LogFormat,
    /// Where traces are sent to; nothing: nowhere.
    pub otlp_endpoint: Option<String>,
    /// The share of traces that are sent, of those that begin here.
    pub trace_share: f64,
}

/// Colours are for people who have not said that they want none (`NO_COLOR`).
fn is_coloured() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !is_refused
}

/// The names of levels, beside which a word alone is the name of a target that is logged whole, and nothing else is.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Logging {
    /// Checks that the filter is one.
    ///
    /// # Errors
    /// `InvalidArgument` on `log`.
    pub(crate) fn check(&self) -> Result<()> {
        self.lines().map(drop)
    }

    fn lines(&self) -> Result<EnvFilter> {
        let refused =
            |why: String| Error::invalid("log", format!("`{}` is no filter of a log: {why}", self.filter));
        // A level that is misspelt would be a target that nobody has, and the log would be silent.
        let is_strange = |part: &&str| {
            let is_word = !part.is_empty() && part.chars().all(char::is_alphabetic);
            is_word && !LEVELS.contains(&part.to_ascii_lowercase().as_str())
        };
        if let Some(part) = self.filter.split(',').map(str::trim).find(is_strange) {
            let levels = LEVELS.join(", ");
            return Err(refused(format!(
                "`{part}` is none of {levels}; a target has its level: {part}=info"
            )));
        }
        EnvFilter::try_new(&self.filter).map_err(|error| refused(error.to_string()).with_source(error))
    }
}

/// Begins to log, once for the process; what is given back ends the sending of traces when it is dropped.
///
/// # Errors
/// `InvalidArgument` on `log` and `otlp_endpoint`.
pub fn log(logging: &Logging) -> Result<Option<Tracing>> {
    let filter = logging.lines()?;
    let (layer, tracing) = match &logging.otlp_endpoint {
        Some(endpoint) => {
            let (layer, tracing) = otlp::layer(endpoint, logging.trace_share)?;
            (Some(layer), Some(tracing))
        }
        None => (None, None),
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match logging.format {
        LogFormat::Text => lines.with_ansi(is_coloured()).with_filter(filter).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed()
        }
    };
    // A process that logs already keeps its log.
    if Registry::default().with(layer).with(lines).try_init().is_ok() {
        otlp::turn(tracing.is_some());
        rag::tell_traceparent(otlp::traceparent);
    }
    Ok(tracing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_misspelt_is_told_and_no_target_of_its_own() {
        let check = |filter: &str| Logging { filter: filter.to_owned(), ..Logging::default() }.check();
        for filter in
            ["", "warn", "INFO", "info,kithdb_server=debug", "off", "kithdb_index", "tantivy=trace", "3"]
        {
            check(filter).expect(filter);
        }
        for filter in ["warning", "loud", "info,debg", "kithdb=loud"] {
            let error = check(filter).expect_err(filter);
            assert_eq!(error.field(), Some("log"), "{error}");
        }
    }
}
