//! What goes wrong between here and the serving engine, told apart.
//!
//! Engines agree on neither statuses nor bodies: an error is an object, a string, a list of details or plain text,
//! and a prompt that is too long is told by a type here and by words there. All of it becomes a [`FailureKind`].

use std::fmt;
use std::time::Duration;

use types::{Error, ErrorKind};

/// What went wrong, as a caller would branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The engine refuses the key that it is shown.
    Unauthorized,
    /// It does not know the model, or the address.
    NotFound,
    /// Prompt and answer together have more tokens than the model takes; both numbers where they are told.
    ContextOverflow {
        /// Tokens of the prompt.
        prompt: Option<usize>,
        /// Tokens that there is room for.
        context: Option<usize>,
    },
    /// It has had too many requests.
    RateLimited,
    /// It has too much to do, or is still loading its model.
    Overloaded,
    /// It cannot be reached.
    Unavailable,
    /// It refuses the request for another reason.
    Refused,
    /// What it answers is not what it should be.
    Garbled,
    /// It was silent for too long.
    TimedOut,
    /// Its answer broke off.
    Cut,
    /// Nobody wants the answer any more.
    Cancelled,
}

/// A failure of the serving engine: the source of the error that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it is.
    pub kind: FailureKind,
    /// What the engine said, or the system.
    pub said: String,
    /// When another attempt may succeed.
    pub retry_after: Option<Duration>,
}

/// Characters of an engine's own words that are passed on.
const SAID_CHARS_MAX: usize = 300;

impl FailureKind {
    /// All names.
    pub const NAMES: [&'static str; 11] = [
        "unauthorized",
        "not_found",
        "context_overflow",
        "rate_limited",
        "overloaded",
        "unavailable",
        "refused",
        "garbled",
        "timed_out",
        "cut",
        "cancelled",
    ];

    /// Its name, for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::ContextOverflow { .. } => "context_overflow",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Garbled => "garbled",
            Self::TimedOut => "timed_out",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, said: impl fmt::Display) -> Self {
        let said = said.to_string().chars().take(SAID_CHARS_MAX).collect();
        Self { kind, said, retry_after: None }
    }

    /// The failure behind an error, if the serving engine caused it.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error).and_then(|source| source.downcast_ref())
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        use FailureKind::{Cut, Overloaded, RateLimited, Unavailable};
        matches!(self.kind, RateLimited | Overloaded | Unavailable | Cut)
    }

    /// From an answer that is an error.
    pub(crate) fn of_answer(status: u16, body: &str, retry_after: Option<Duration>) -> Self {
        let (said, kind_said) = words(body);
        let overflow = overflow(body, &said, &kind_said);
        let kind = match status {
            _ if overflow.is_some() && status < 500 => overflow.unwrap_or(FailureKind::Refused),
            401 | 403 => FailureKind::Unauthorized,
            404 => FailureKind::NotFound,
            429 => FailureKind::RateLimited,
            502..=504 | 529 => FailureKind::Overloaded,
            _ => FailureKind::Refused,
        };
        Self { retry_after, ..Self::new(kind, format!("{status}: {said}")) }
    }
}

/// The words of an error and its type, whatever the shape.
fn words(body: &str) -> (String, String) {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(body) else {
        return (body.trim().to_owned(), String::new());
    };
    let error = value.get("error").unwrap_or(&value);
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let said = text(error)
        .or_else(|| error.get("message").and_then(text))
        .or_else(|| value.get("message").and_then(text))
        .or_else(|| value.get("detail").map(|detail| text(detail).unwrap_or_else(|| detail.to_string())))
        .unwrap_or_else(|| body.trim().to_owned());
    let kind = ["type", "code", "param"].iter().filter_map(|key| error.get(key).and_then(text));
    (said, kind.collect::<Vec<_>>().join(" "))
}

/// Whether an error says that the prompt is too long.
fn overflow(body: &str, said: &str, kind: &str) -> Option<FailureKind> {
    let (said, kind) = (said.to_lowercase(), kind.to_lowercase());
    let is_typed = kind.contains("exceed_context") || kind.contains("context_length_exceeded");
    let is_said = (said.contains("context") || said.contains("input_tokens"))
        && ["length", "size", "window", "longer than"].iter().any(|word| said.contains(word))
        && ["exceed", "maximum", "longer", "too many", "larger"].iter().any(|word| said.contains(word));
    if !is_typed && !is_said {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let number = |key: &str| error.get(key).and_then(serde_json::Value::as_u64).map(|number| number as usize);
    Some(FailureKind::ContextOverflow { prompt: number("n_prompt_tokens"), context: number("n_ctx") })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.into_error("the serving engine", "engine")
    }
}

impl Failure {
    /// The error that tells of it: who failed, and the field that stands for it.
    pub(super) fn into_error(self, who: &str, field: &str) -> Error {
        let said = &self.said;
        let (kind, message) = match self.kind {
            FailureKind::Unauthorized => {
                (ErrorKind::Io, format!("{who} refuses its key ({said}); set {field}_key"))
            }
            FailureKind::NotFound => {
                (ErrorKind::Io, format!("{who} does not know the model or the address ({said})"))
            }
            FailureKind::ContextOverflow { .. } => (
                ErrorKind::LimitExceeded,
                format!("question and documents are longer than the model's context ({said}); ask for less"),
            ),
            FailureKind::RateLimited => {
                (ErrorKind::Busy, format!("{who} takes no more requests for now ({said})"))
            }
            FailureKind::Overloaded => (ErrorKind::Busy, format!("{who} is overloaded ({said})")),
            FailureKind::Unavailable => {
                (ErrorKind::Io, format!("{who} cannot be reached ({said}); is it running?"))
            }
            FailureKind::Refused => (ErrorKind::Io, format!("{who} refuses the request ({said})")),
            FailureKind::Garbled => (ErrorKind::Io, format!("the answer of {who} cannot be read ({said})")),
            FailureKind::TimedOut => {
                (ErrorKind::DeadlineExceeded, format!("{who} was silent for too long ({said})"))
            }
            FailureKind::Cut => (ErrorKind::Io, format!("the answer of {who} broke off ({said})")),
            FailureKind::Cancelled => (ErrorKind::Io, "the answer was cancelled".to_owned()),
        };
        Error::new(kind, message).with_field(field).with_source(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_error_is_understood() {
        let overflow = |prompt, context| FailureKind::ContextOverflow { prompt, context };
        let cases = [
            (
                400,
                r#"{"error":{"code":400,"message":"request (3000 tokens) exceeds the available context size",
                    "type":"exceed_context_size_error","n_prompt_tokens":3000,"n_ctx":2048}}"#,
                overflow(Some(3000), Some(2048)),
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 2048 tokens. However, you requested
                    9000","type":"BadRequestError","param":"input_tokens","code":400}}"#,
                overflow(None, None),
            ),
            (401, r#"{"error":"Unauthorized"}"#, FailureKind::Unauthorized),
            (401, "", FailureKind::Unauthorized),
            (404, r#"{"detail":"Not Found"}"#, FailureKind::NotFound),
            (422, r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#, FailureKind::Refused),
            (429, r#"{"error":{"message":"slow down","type":"overloaded"}}"#, FailureKind::RateLimited),
            (500, "Internal Server Error", FailureKind::Refused),
            (503, r#"{"error":{"message":"Loading model","code":503}}"#, FailureKind::Overloaded),
            (504, "<html>", FailureKind::Overloaded),
        ];
        for (status, body, kind) in cases {
            let failure = Failure::of_answer(status, body, None);
            assert_eq!(failure.kind, kind, "{status} {body}");
            assert!(FailureKind::NAMES.contains(&kind.name()), "{kind:?}");
            let error = Error::from(failure.clone());
            assert_eq!((error.field(), Failure::of(&error)), (Some("engine"), Some(&failure)));
        }
        let long = Failure::new(FailureKind::Refused, "x".repeat(9_999));
        assert_eq!(long.said.len(), SAID_CHARS_MAX);
    }
}
