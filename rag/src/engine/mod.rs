//! The serving engine: any server with OpenAI's API for chat, by its URL, that makes an answer of a prompt. Beside it
//! the reranker, which ranks passages.
//!
//! Invariants: nothing is asked of another host than that of the configured URL, redirects and proxies included. A
//! key is shown to that host alone, and is in no log. A request is tried again only as long as nothing of its
//! answer was passed on. Whoever cancels an answer ends its generation, by closing the connection.
//!
//! Cost: a connection for each answer, so that it can be closed; a thread that waits while it comes. Places for
//! answers at the same time are bounded, and so is the wait for one. After [`FAILURES_MAX`] failures to reach the
//! engine, it is left alone for [`REST`], so that requests fail at once instead of after their time.

mod failure;
mod known;
mod places;
mod reply;
mod rerank;
mod sse;
mod thought;
mod watch;

use std::fmt;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use types::{Error, Result};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, RustlsConnector};
use ureq::{Agent, http};

use crate::traced;
pub use failure::{Failure, FailureKind};
use known::Memory;
pub(crate) use known::TOKEN_BYTES;
pub use known::{Counted, Known};
use places::Places;
pub use reply::{Chat, Finish, Generated, Message, Role, Usage};
pub use rerank::{CANDIDATES_MAX, RerankOptions, RerankProtocol, Reranker};
pub use watch::Cancel;
use watch::{Watch, Watching};

/// Text that is in no log: it prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where the serving engine is, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// The address of its API, usually ending in `/v1`.
    pub url: String,
    /// The model to ask; the first that it lists, if absent.
    pub model: Option<String>,
    /// The key that it is shown.
    pub key: Option<Secret>,
    /// Tokens of prompt and answer together; what the engine tells, if absent.
    pub context_tokens: Option<usize>,
    /// Tokens of an answer, unless a request asks for fewer.
    pub answer_tokens_max: usize,
    /// Answers at the same time.
    pub calls_max: usize,
    /// How long a request waits for its turn.
    pub turn_time_max: Duration,
    /// How long connecting may take, and any question that is not for an answer.
    pub connect_time_max: Duration,
    /// The longest silence before the first token: the engine reads the prompt meanwhile.
    pub first_time_max: Duration,
    /// The longest silence between two tokens.
    pub idle_time_max: Duration,
    /// How often a request is tried.
    pub attempts_max: u32,
}

/// A serving engine.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    /// For short questions.
    agent: Agent,
    places: Places,
    memory: Memory,
    reach: Mutex<Reach>,
}

/// How it went to reach the engine.
#[derive(Debug, Default)]
struct Reach {
    failures: u32,
    rests_until: Option<Instant>,
}

/// Failures to reach the engine in a row, after which it is left alone for a while.
const FAILURES_MAX: u32 = 5;

/// How long.
const REST: Duration = Duration::from_secs(5);

/// The wait before the second attempt; it doubles with each.
const PAUSE: Duration = Duration::from_millis(250);

/// An engine that asks for a longer wait is not waited for; who asked is told how long.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer that is no stream.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

impl Secret {
    /// A secret; nothing for an empty text.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl EngineOptions {
    /// The engine at a URL.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            model: None,
            key: None,
            context_tokens: None,
            answer_tokens_max: 512,
            calls_max: 8,
            turn_time_max: Duration::from_secs(30),
            connect_time_max: Duration::from_secs(5),
            first_time_max: Duration::from_secs(120),
            idle_time_max: Duration::from_secs(30),
            attempts_max: 3,
        }
    }

    fn check(&self) -> Result<()> {
        check_place(&self.url, self.key.as_ref(), "engine")?;
        for (field, number) in
            [("engine_answer_tokens_max", self.answer_tokens_max), ("engine_calls_max", self.calls_max)]
        {
            if number == 0 {
                return Err(Error::invalid(field, "is 0; it must be 1 at least"));
            }
        }
        Ok(())
    }
}

impl Engine {
    /// A client of the engine. It is not asked anything yet, so it need not run.
    ///
    /// # Errors
    /// `InvalidArgument` naming the setting at fault.
    pub fn new(options: EngineOptions) -> Result<Self> {
        options.check()?;
        let time_max = options.connect_time_max;
        let agent = config(time_max).timeout_global(Some(time_max)).build().new_agent();
        let places = Places::new(options.calls_max, "engine_calls_max");
        Ok(Self { options, agent, places, memory: Memory::default(), reach: Mutex::default() })
    }

    /// What it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Makes an answer of a conversation; `on_text` gets it piece by piece, and may break off.
    ///
    /// # Errors
    /// A [`Failure`] is the source of each: the engine's, or `Cancelled`.
    pub fn chat(
        &self,
        chat: &Chat,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated> {
        let model = self.known()?.model;
        let span = traced::chat(&self.options.url, &model, chat);
        let (began, mut has_begun) = (Instant::now(), false);
        let outcome = span.in_scope(|| {
            self.answer(&model, chat, cancel, &mut |text| {
                if !std::mem::replace(&mut has_begun, true) {
                    span.record("gen_ai.response.time_to_first_chunk", began.elapsed().as_secs_f64());
                }
                on_text(text)
            })
        });
        traced::generated(&span, &outcome);
        outcome
    }

    fn answer(
        &self,
        model: &str,
        chat: &Chat,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated> {
        let _place = self.places.take(self.options.turn_time_max, cancel)?;
        let mut attempt = 1;
        loop {
            self.check_reach()?;
            let mut has_text = false;
            let mut tell = |text: &str| {
                has_text = true;
                on_text(text)
            };
            let outcome = self.attempt(model, chat, cancel, &mut tell);
            self.note(outcome.as_ref().err());
            let failure = match outcome {
                Ok(generated) => return Ok(generated),
                Err(failure) => {
                    Failure { said: without_key(&failure.said, self.options.key.as_ref()), ..failure }
                }
            };
            let pause = pause(&failure, attempt);
            if has_text || !failure.is_passing() || attempt >= self.options.attempts_max || pause > PAUSE_MAX
            {
                tracing::warn!(kind = ?failure.kind, said = %failure, attempt, "the serving engine failed");
                return Err(failure.into());
            }
            tracing::debug!(kind = ?failure.kind, attempt, ?pause, "the serving engine is asked again");
            wait(pause, cancel)?;
            attempt += 1;
        }
    }

    fn attempt(
        &self,
        model: &str,
        chat: &Chat,
        cancel: &Cancel,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> std::result::Result<Generated, Failure> {
        let has_begun = Arc::new(AtomicBool::new(false));
        let response = self.open(&reply::body(model, chat), cancel, &has_begun)?;
        let kind = response.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let mut progress = reply::Progress::default();
        if !is_stream {
            let text = progress.take(&whole(response)?)? + &progress.rest();
            // Nobody listens any more, and nothing more comes.
            let _ = on_text(&text);
            return progress.end();
        }
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut events = sse::Events::new(BufReader::new(reader));
        while !progress.is_done() {
            let Some(event) = events.next().map_err(|error| of_io(&error))? else { break };
            let text = progress.take(&event)?;
            if !text.is_empty() {
                has_begun.store(true, Ordering::Release);
                if cancel.is_cancelled() || on_text(&text).is_break() {
                    return Err(Failure::new(FailureKind::Cancelled, "nobody waits for it"));
                }
            }
        }
        let rest = progress.rest();
        let generated = progress.end()?;
        if !rest.is_empty() {
            // As above.
            let _ = on_text(&rest);
        }
        Ok(generated)
    }

    /// Sends the request, and waits for the head of the answer.
    fn open(
        &self,
        body: &str,
        cancel: &Cancel,
        has_begun: &Arc<AtomicBool>,
    ) -> std::result::Result<http::Response<ureq::Body>, Failure> {
        let EngineOptions { connect_time_max, first_time_max, idle_time_max, .. } = self.options;
        let watch = Watch {
            cancel: cancel.clone(),
            first_max: first_time_max,
            idle_max: idle_time_max,
            has_begun: Arc::clone(has_begun),
        };
        let config = config(connect_time_max).build();
        let connector = Watching::new(watch).chain(RustlsConnector::default());
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        let request = agent.post(format!("{}/chat/completions", self.options.url));
        let request = self.with_key(request).header("content-type", "application/json");
        let response = request.send(body).map_err(of_ureq)?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response)) }
    }

    fn with_key<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        with_key(request, self.options.key.as_ref())
    }

    /// The failure of an answer whose status is none of success.
    fn refused(&self, response: http::Response<ureq::Body>) -> Failure {
        refused(response, self.options.key.as_ref())
    }

    /// Says at once that the engine rests, instead of after a time.
    fn check_reach(&self) -> std::result::Result<(), Failure> {
        let rests_until = self.reach.lock().rests_until;
        let left = rests_until.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Err(Failure {
                retry_after: Some(left),
                ..Failure::new(FailureKind::Unavailable, "it could not be reached several times in a row")
            }),
            None => Ok(()),
        }
    }

    fn note(&self, failure: Option<&Failure>) {
        let mut reach = self.reach.lock();
        if failure.is_none_or(|failure| failure.kind != FailureKind::Unavailable) {
            *reach = Reach::default();
            return;
        }
        reach.failures += 1;
        if reach.failures >= FAILURES_MAX {
            *reach = Reach { failures: 0, rests_until: Some(Instant::now() + REST) };
        }
    }
}

/// Checks the address and the key of a server that is asked; settings begin with its name.
fn check_place(url: &str, key: Option<&Secret>, name: &str) -> Result<()> {
    let (url_field, key_field) = (format!("{name}_url"), format!("{name}_key"));
    let uri: http::Uri = url.parse().map_err(|error| {
        Error::invalid(url_field.as_str(), format!("is no URL: {error}")).with_source(error)
    })?;
    if uri.authority().is_some_and(|place| place.as_str().contains('@')) {
        // Addresses are told in errors and logs.
        let message = format!("has a name or a password in it; a key goes into {key_field}");
        return Err(Error::invalid(url_field, message));
    }
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        let message = format!("`{url}` must be like http://127.0.0.1:8080/v1");
        return Err(Error::invalid(url_field, message));
    }
    if key.is_some_and(|key| !key.0.chars().all(|c| c.is_ascii_graphic())) {
        return Err(Error::invalid(key_field, "has characters that no header may have"));
    }
    Ok(())
}

/// How every server is asked: no redirect and no proxy is followed, and a status is no error of the client's.
pub(crate) fn config(connect_time_max: Duration) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_redirects(0);
    config.user_agent(concat!("kithdb/", env!("CARGO_PKG_VERSION"))).timeout_connect(Some(connect_time_max))
}

/// Shows the key, where there is one, and says which span asks.
pub(crate) fn with_key<B>(request: ureq::RequestBuilder<B>, key: Option<&Secret>) -> ureq::RequestBuilder<B> {
    let request = match traced::traceparent() {
        Some(traceparent) => request.header("traceparent", traceparent),
        None => request,
    };
    match key {
        Some(key) => request.header("authorization", format!("Bearer {}", key.0)),
        None => request,
    }
}

/// What a server says, without the key: some repeat it where they refuse it.
pub(crate) fn without_key(said: &str, key: Option<&Secret>) -> String {
    match key {
        Some(key) => said.replace(&key.0, "…"),
        None => said.to_owned(),
    }
}

/// The failure of an answer whose status is none of success.
fn refused(response: http::Response<ureq::Body>, key: Option<&Secret>) -> Failure {
    let status = response.status().as_u16();
    let header = response.headers().get(http::header::RETRY_AFTER).and_then(|after| after.to_str().ok());
    let retry_after = header.and_then(|after| after.trim().parse().ok()).map(Duration::from_secs);
    let body = whole(response).unwrap_or_default();
    Failure::of_answer(status, &without_key(&body, key), retry_after)
}

fn whole(response: http::Response<ureq::Body>) -> std::result::Result<String, Failure> {
    let mut body = response.into_body();
    body.with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string().map_err(of_ureq)
}

fn of_ureq(error: ureq::Error) -> Failure {
    match error {
        ureq::Error::Io(error) => of_io(&error),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Failure::new(FailureKind::Unavailable, "connecting takes too long")
        }
        ureq::Error::Timeout(_) => Failure::new(FailureKind::TimedOut, "its limit of time passed"),
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => {
            Failure::new(FailureKind::Unavailable, error)
        }
        other => Failure::new(FailureKind::Garbled, other),
    }
}

fn of_io(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, InvalidData, NetworkUnreachable, TimedOut};
    if watch::is_given_up(error) {
        return Failure::new(FailureKind::Cancelled, error);
    }
    // Reading a body wraps what the connection said.
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    if let Some(ureq::Error::Timeout(_)) = inner {
        return Failure::new(FailureKind::TimedOut, "no token came for too long");
    }
    let kind = match error.kind() {
        ConnectionRefused | HostUnreachable | NetworkUnreachable => FailureKind::Unavailable,
        TimedOut => FailureKind::TimedOut,
        InvalidData => FailureKind::Garbled,
        _ => FailureKind::Cut,
    };
    Failure::new(kind, error)
}

/// How long to wait before the next attempt: as the engine says, or longer each time and never quite the same.
fn pause(failure: &Failure, attempt: u32) -> Duration {
    let spread =
        Duration::from_nanos(u64::from(std::process::id()).wrapping_mul(u64::from(attempt)) % 97 * 1_000_000);
    failure.retry_after.unwrap_or(PAUSE * 2_u32.saturating_pow(attempt - 1) + spread)
}

/// Waits, unless it is cancelled.
fn wait(time: Duration, cancel: &Cancel) -> std::result::Result<(), Failure> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if cancel.is_cancelled() {
            return Err(Failure::new(FailureKind::Cancelled, "nobody waits for it"));
        }
        std::thread::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
    }
    Ok(())
}
