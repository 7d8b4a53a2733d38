//! A running server, over HTTP.
//!
//! A question is asked so that the answer is that of [`rag::search()`] on the same data: the same legs, the same
//! fusion.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use kithdb::{Error, ErrorKind, Result, Scalar, Value};
use rag::Mode;
use serde_json::{Map, json};
use ureq::{Agent, RequestBuilder, SendBody};

use super::search::{Equals, Found, ModeArg, Passage, Search};
use super::terminal::say;
use crate::address::encoded;

/// A server.
pub(super) struct Remote {
    url: String,
    /// What opens it, if it needs one.
    key: Option<String>,
    agent: Agent,
}

const TIME_MAX: Duration = Duration::from_secs(60);

impl Remote {
    /// The server at a URL.
    pub(super) fn new(url: &str, key: Option<&str>) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(TIME_MAX)).build().new_agent();
        Self { url: url.trim_end_matches('/').to_owned(), key: key.map(str::to_owned), agent }
    }

    /// The server at a URL, for what takes as long as it takes.
    pub(super) fn unhurried(url: &str, key: Option<&str>) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        Self { url: url.trim_end_matches('/').to_owned(), key: key.map(str::to_owned), agent }
    }

    /// Sends a stream of Arrow batches; what is answered.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn upload(&self, path: &str, from: &mut (dyn Read + Send)) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/vnd.apache.arrow.stream");
        self.result(self.with_key(request).send(SendBody::from_reader(from)))
    }

    /// Asks for what is too large to hold.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn download(&self, path: &str) -> Result<impl Read + Send + use<>> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let answered = self.with_key(request).call();
        match answered {
            Ok(response) if response.status().is_success() => Ok(response.into_body().into_reader()),
            // Then it is an error, and small.
            answered => Err(self.result(answered).err().unwrap_or_else(|| self.nothing())),
        }
    }

    /// Passes a message of JSON-RPC on; the message that answers it, if it wants an answer.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn message(&self, path: &str, message: &str) -> Result<Option<String>> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        let mut response = match self.with_key(request).send(message) {
            Ok(response) if response.status().is_success() => response,
            answered => return self.result(answered).map(|_| None),
        };
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
        let text = text.map_err(|error| self.silent(error))?;
        Ok((!text.is_empty()).then_some(text))
    }

    fn silent(&self, error: ureq::Error) -> Error {
        let message = format!(
            "{} does not answer ({error}); start a server with `kithdb serve`, or name another",
            self.url
        );
        Error::new(ErrorKind::Io, message).with_source(error)
    }

    fn nothing(&self) -> Error {
        Error::new(ErrorKind::Internal, format!("{} answered with nothing", self.url))
    }

    /// Asks the server.
    ///
    /// # Errors
    /// `Io` when it does not answer; what it answers.
    pub(super) fn search(&self, search: &Search) -> Result<Found> {
        let name = encoded(&search.collection);
        let schema = self.get(&format!("/api/v1/collections/{name}"))?;
        let has_model = schema["vectors"][""]["model"].is_object();
        let mode = match search.mode {
            ModeArg::Hybrid if !has_model => ModeArg::Keyword,
            mode => mode,
        };
        let path = format!("/collections/{name}/points/query");
        let began = Instant::now();
        let (mode, result) = match self.post(&path, &body(search, mode)) {
            Err(error) if mode == ModeArg::Hybrid && error.kind() == ErrorKind::InvalidArgument => {
                // The server may have been started without the model. What else is wrong stays wrong.
                let by_keyword = self.post(&path, &body(search, ModeArg::Keyword))?;
                say(&format!("note: by keyword only, since the server said: {}", error.message()));
                (ModeArg::Keyword, by_keyword)
            }
            outcome => (mode, outcome?),
        };
        let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
        let plan = result["plan"]["text"].as_str().map(str::to_owned);
        Ok(Found {
            passages: passages(result),
            mode: Mode::from(mode).name(),
            plan,
            place: self.url.clone(),
            elapsed_ms,
        })
    }

    /// Sends a file as it is.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn upload_file(&self, path: &str, file: &Path) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/octet-stream");
        self.result(self.with_key(request).send(File::open(file)?))
    }

    /// As [`search`](Self::search), of any route.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        let request = self.agent.get(format!("{}{path}", self.url));
        self.result(self.with_key(request).call())
    }

    /// As [`get`](Self::get).
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let request =
            self.agent.put(format!("{}{path}", self.url)).header("content-type", "application/json");
        self.result(self.with_key(request).send(body.to_string()))
    }

    /// As [`get`](Self::get).
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn delete(&self, path: &str) -> Result<Value> {
        self.result(self.with_key(self.agent.delete(format!("{}{path}", self.url))).call())
    }

    /// As [`get`](Self::get).
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        self.result(self.with_key(request).send(body.to_string()))
    }

    /// Asks a question in the dialect of OpenAI, whose answers have no envelope.
    ///
    /// # Errors
    /// As for [`search`](Self::search).
    pub(super) fn chat(&self, body: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}/v1/chat/completions", self.url));
        let request = request.header("content-type", "application/json");
        self.body(self.with_key(request).send(body.to_string()))
    }

    fn with_key<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.key {
            Some(key) => request.header("api-key", key),
            None => request,
        }
    }

    /// What stands in the envelope.
    fn result(
        &self,
        answered: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value> {
        self.body(answered).map(|mut envelope| envelope["result"].take())
    }

    /// The whole of an answer.
    fn body(
        &self,
        answered: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value> {
        let mut response = answered.map_err(|error| self.silent(error))?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
        let text = text.map_err(|error| self.silent(error))?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let said = body["status"]["error"].as_str().or_else(|| body["error"]["message"].as_str());
        let said = said.unwrap_or("no reason given");
        if status.as_u16() == 401 {
            let message =
                format!("{} answered 401: {said}; give a key by --api-key or KITHDB_API_KEY", self.url);
            return Err(Error::new(ErrorKind::InvalidArgument, message).with_field("api_key"));
        }
        let message = format!("{} answered {}: {said}", self.url, status.as_u16());
        Err(Error::new(kind(status.as_u16()), message))
    }
}

/// What a server refuses by a status, as far as a command branches on it.
fn kind(status: u16) -> ErrorKind {
    match status {
        400 | 422 => ErrorKind::InvalidArgument,
        404 => ErrorKind::NotFound,
        _ => ErrorKind::Internal,
    }
}

fn body(search: &Search, mode: ModeArg) -> Value {
    let question = &search.question;
    let (nearest, keyword) = (json!({"nearest": {"text": question}}), json!({"keyword": question}));
    let written = search.condition.iter().map(|text| json!({"filter": text}));
    let filter = json!({"must": search.filter.iter().map(condition).chain(written).collect::<Vec<_>>()});
    let leg_hits = kithdb::leg_hits(search.limit);
    let leg = |query: Value| json!({"query": query, "limit": leg_hits});
    let mut body = match mode {
        ModeArg::Vector => json!({"query": nearest}),
        ModeArg::Keyword => json!({"query": keyword}),
        ModeArg::Hybrid => json!({"prefetch": [leg(nearest), leg(keyword)], "query": {"fusion": "adaptive"}}),
    };
    body["filter"] = filter;
    body["limit"] = search.limit.into();
    body["with_payload"] = true.into();
    body["explain"] = search.explain.into();
    body
}

/// A condition as a server takes it.
pub(super) fn condition(equals: &Equals) -> Value {
    let value = |scalar: &Scalar| match scalar {
        Scalar::Str(text) => json!(text),
        Scalar::Int(number) => json!(number),
        Scalar::Bool(flag) => json!(flag),
    };
    let values: Vec<Value> = equals.values.iter().map(value).collect();
    json!({"key": equals.path.to_string(), "match": {"any": values}})
}

fn passages(mut result: Value) -> Vec<Passage> {
    let Value::Array(points) = result["points"].take() else { return Vec::new() };
    let passage = |mut point: Value| {
        let payload = match point["payload"].take() {
            Value::Object(payload) => payload,
            _ => Map::new(),
        };
        let id = point["id"].as_str().map_or_else(|| point["id"].to_string(), str::to_owned);
        Passage { id, score: point["score"].as_f64().unwrap_or(0.0) as f32, payload }
    };
    points.into_iter().map(passage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 422 ended a command as if the server had failed.
    #[test]
    fn what_can_never_be_is_not_understood_as_what_is_malformed() {
        assert_eq!(
            [400, 422, 404, 500].map(kind),
            [
                ErrorKind::InvalidArgument,
                ErrorKind::InvalidArgument,
                ErrorKind::NotFound,
                ErrorKind::Internal,
            ]
        );
    }

    #[test]
    fn passages_are_read_from_points() {
        let result =
            json!({"points": [{"id": 7, "score": 0.5, "payload": {"a": 1}}, {"id": "x", "score": 1}]});
        let found = passages(result);
        assert_eq!((found[0].id.as_str(), found[0].score, found[0].payload.len()), ("7", 0.5, 1));
        assert_eq!((found[1].id.as_str(), found[1].payload.len()), ("x", 0));
    }
}
