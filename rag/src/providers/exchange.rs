//! One request to an embedding server, tried again where that can help.
//!
//! Tried again, after a pause that doubles (or the one that the server names in `retry-after`): 408, 429, 500, 502,
//! 503, 504, a connection that fails or breaks off, an answer that is none. Halved: a batch that is too large (413 or
//! 422, with several texts). Anything else is an error at once, with what the server said.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use types::{Error, ErrorKind, Result};
use ureq::Agent;

use super::{Protocol, Provider, wire};
use crate::engine::{Failure, FailureKind, Secret, config, with_key, without_key};

/// The first pause; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Time to connect.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Characters that an error passes on of what a server said.
const SAID_CHARS_MAX: usize = 300;

/// The way to a server.
pub(super) struct Exchange {
    agent: Agent,
    url: String,
    /// What it is shown.
    key: Option<Secret>,
    protocol: Protocol,
    model: String,
    is_normalised: bool,
    attempts_max: usize,
    pause_max: Duration,
    /// Requests that may begin now.
    places: Mutex<usize>,
    freed: Condvar,
}

/// Why an attempt gave no vectors.
enum Failed {
    /// Another attempt may succeed, after this pause if the server named one.
    ForNow(String, Option<Duration>),
    /// Fewer texts may succeed.
    TooMuch(String),
    ForGood(FailureKind, String),
}

impl Exchange {
    pub(super) fn new(provider: &Provider) -> Self {
        let config = config(CONNECT_TIME_MAX).timeout_global(Some(provider.request_time_max));
        Self {
            agent: config.build().new_agent(),
            url: format!("{}{}", provider.url.trim_end_matches('/'), wire::path(provider.protocol)),
            key: provider.api_key.as_deref().and_then(Secret::new),
            protocol: provider.protocol,
            model: provider.model.clone(),
            is_normalised: provider.is_normalised,
            attempts_max: provider.attempts_max,
            pause_max: provider.pause_max,
            places: Mutex::new(provider.requests_max),
            freed: Condvar::new(),
        }
    }

    /// The vectors of some texts, each of `dim` elements if that is known. No attempt begins later than `until`.
    ///
    /// # Errors
    /// `Busy` when the last attempt failed; `InvalidArgument` on `model` when the server refuses what it is asked, `Io`
    /// when it refuses its key or does not know the model or the address.
    pub(super) fn embed(
        &self,
        texts: &[&str],
        dim: Option<usize>,
        until: Option<Instant>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            match self.attempt(texts, dim) {
                Ok(vectors) => return Ok(vectors),
                Err(Failed::ForGood(kind, why)) => return Err(self.refused(kind, &why)),
                Err(Failed::TooMuch(why)) if texts.len() == 1 => {
                    return Err(self.refused(FailureKind::Refused, &why));
                }
                Err(Failed::TooMuch(_)) => {
                    let (first, second) = texts.split_at(texts.len() / 2);
                    let mut vectors = self.embed(first, dim, until)?;
                    vectors.extend(self.embed(second, dim, until)?);
                    return Ok(vectors);
                }
                Err(Failed::ForNow(why, named)) => {
                    let wait = named.unwrap_or_else(|| jittered(pause)).min(self.pause_max);
                    let is_late = until.is_some_and(|until| Instant::now() + wait > until);
                    if attempt == self.attempts_max || is_late {
                        let url = &self.url;
                        let message =
                            format!("{url} gave no vectors in {attempt} attempts; the last one: {why}");
                        return Err(Error::new(ErrorKind::Busy, message).with_field("model"));
                    }
                    tracing::debug!(url = self.url, attempt, why, "an embedding request is tried again");
                    std::thread::sleep(wait);
                    pause = (pause * 2).min(self.pause_max);
                    attempt += 1;
                }
            }
        }
    }

    fn attempt(&self, texts: &[&str], dim: Option<usize>) -> std::result::Result<Vec<Vec<f32>>, Failed> {
        let _place = self.place();
        let body = wire::request(self.protocol, &self.model, self.is_normalised, texts).to_string();
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let request = with_key(request, self.key.as_ref());
        let mut response =
            request.send(body).map_err(|error| Failed::ForNow(format!("no answer: {error}"), None))?;
        let status = response.status();
        let pause = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let pause = pause.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| Failed::ForNow(format!("the answer broke off: {error}"), pause))?;
        let said = || {
            let said = without_key(&String::from_utf8_lossy(&body), self.key.as_ref());
            format!("{status}: {}", said.chars().take(SAID_CHARS_MAX).collect::<String>())
        };
        match status.as_u16() {
            200 => wire::vectors(self.protocol, &body, texts.len(), dim)
                .map_err(|why| Failed::ForNow(format!("the answer {why}"), pause)),
            408 | 429 | 500 | 502 | 503 | 504 => Err(Failed::ForNow(said(), pause)),
            413 | 422 => Err(Failed::TooMuch(said())),
            401 | 403 => Err(Failed::ForGood(FailureKind::Unauthorized, said())),
            404 => Err(Failed::ForGood(FailureKind::NotFound, said())),
            _ => Err(Failed::ForGood(FailureKind::Refused, said())),
        }
    }

    /// Where it asks.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn refused(&self, kind: FailureKind, why: &str) -> Error {
        let message = format!("{} refuses to embed: {why}", self.url);
        match kind {
            // It may be for what it was asked.
            FailureKind::Refused => Error::invalid("model", message),
            // Who asks cannot mend a key or an address.
            _ => Error::new(ErrorKind::Io, message).with_field("model").with_source(Failure::new(kind, why)),
        }
    }

    /// Waits until there are fewer requests than there may be.
    fn place(&self) -> Place<'_> {
        let mut places = self.places.lock();
        while *places == 0 {
            self.freed.wait(&mut places);
        }
        *places -= 1;
        Place(self)
    }
}

/// A request's place among those at the same time.
struct Place<'a>(&'a Exchange);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.places.lock() += 1;
        self.0.freed.notify_one();
    }
}

/// Between half of a pause and all of it: who failed together should not come back together.
fn jittered(pause: Duration) -> Duration {
    let share = RandomState::new().hash_one(0_u8) % 512;
    pause * (512 + share as u32) / 1024
}
