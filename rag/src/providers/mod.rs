//! Texts embedded by a server: OpenAI's `/v1/embeddings`, as vLLM, llama.cpp, Ollama and others have it, or the
//! `/embed` of text-embeddings-inference.
//!
//! Invariants: a call goes to the configured address only, never by a proxy of the environment or to where an answer
//! points; a key is never shown. What makes two vectors comparable (name, dimension, prefixes, normalisation, window)
//! is the model's identity, wherever it is served. Vectors are of one length and of finite numbers, or nothing is
//! returned.
//!
//! Cost: each different text once while the cache holds it; batches of texts of like length, several at a time.

mod breaker;
mod cache;
mod exchange;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use types::{Error, ErrorKind, ModelIdentity, Result};

use crate::embed::Tokens;
use breaker::Breaker;
use cache::Cache;
use exchange::Exchange;

/// For a query, whose client waits, no attempt begins later than this.
const QUERY_TIME_MAX: Duration = Duration::from_secs(10);

/// After a query that got no vector the server is not asked by others for so long.
const BREAK: Duration = Duration::from_secs(5);

/// What a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `POST <url>/embeddings` with a model and texts.
    #[default]
    OpenAi,
    /// `POST <url>/embed` of text-embeddings-inference.
    Tei,
}

/// A server that embeds, and the model that it embeds by.
#[derive(Clone)]
pub struct Provider {
    /// Where: of OpenAI's API with its `/v1`, of text-embeddings-inference without a path.
    pub url: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// The name of the model.
    pub model: String,
    /// What it is opened by.
    pub api_key: Option<String>,
    /// Elements of a vector; asked for if it is not said.
    pub dim: Option<usize>,
    /// Tokens of a text that the model sees.
    pub tokens_max: usize,
    /// The model's `tokenizer.json`, by which chunks are measured; without it sizes are estimates.
    pub tokenizer: Option<PathBuf>,
    /// Put before a query.
    pub query_prefix: String,
    /// Put before a document.
    pub document_prefix: String,
    /// Vectors are brought to length 1.
    pub is_normalised: bool,
    /// Texts of a request.
    pub batch_texts_max: usize,
    /// Requests at the same time.
    pub requests_max: usize,
    /// Attempts at a request that is answered by 408, 429, 500, 502, 503 or 504, or by nothing that can be used.
    pub attempts_max: usize,
    /// One attempt.
    pub request_time_max: Duration,
    /// Between two attempts at most.
    pub pause_max: Duration,
    /// Bytes of vectors that are kept in memory.
    pub cache_bytes_max: usize,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            url: String::new(),
            protocol: Protocol::OpenAi,
            model: String::new(),
            api_key: None,
            dim: None,
            tokens_max: 512,
            tokenizer: None,
            query_prefix: String::new(),
            document_prefix: String::new(),
            is_normalised: true,
            batch_texts_max: 32,
            requests_max: 4,
            attempts_max: 6,
            request_time_max: Duration::from_secs(60),
            pause_max: Duration::from_secs(30),
            cache_bytes_max: 64 << 20,
        }
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Tei => "tei",
        }
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "openai" => Ok(Self::OpenAi),
            "tei" => Ok(Self::Tei),
            _ => Err(Error::invalid("protocol", format!("`{text}` is neither `openai` nor `tei`"))),
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, model, protocol) = (&self.url, &self.model, self.protocol);
        f.debug_struct("Provider")
            .field("url", url)
            .field("protocol", &protocol)
            .field("model", model)
            .finish_non_exhaustive()
    }
}

impl Provider {
    fn check(&self) -> Result<()> {
        let place = self.url.split("://").nth(1).unwrap_or_default().split(['/', '?', '#']).next();
        if place.is_some_and(|place| place.contains('@')) {
            // Addresses are told in errors and logs.
            return Err(Error::invalid("url", "has a name or a password in it; a key goes into api_key"));
        }
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return Err(Error::invalid("url", format!("`{}` must begin with http:// or https://", self.url)));
        }
        if self.model.is_empty() {
            return Err(Error::invalid("model", "of the embedding server is missing; name it"));
        }
        let zeros = [
            ("dim", self.dim == Some(0)),
            ("tokens_max", self.tokens_max == 0),
            ("batch_texts_max", self.batch_texts_max == 0),
            ("requests_max", self.requests_max == 0),
            ("attempts_max", self.attempts_max == 0),
        ];
        match zeros.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((field, _)) => Err(Error::invalid(field, "is 0; it must be 1 at least")),
            None => Ok(()),
        }
    }

    /// The identity of its model, for vectors of so many elements.
    fn identity(&self, dim: usize) -> ModelIdentity {
        let mut hash = Sha256::new();
        let normalised = self.is_normalised.to_string();
        let (dim_text, window) = (dim.to_string(), self.tokens_max.to_string());
        let parts = [&self.model, &dim_text, &window, &self.query_prefix, &self.document_prefix, &normalised];
        for part in parts {
            // Lengths in front: no two lists of parts are spelled the same.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let revision = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        ModelIdentity {
            name: self.model.clone(),
            revision,
            dim,
            tokens_max: self.tokens_max,
            query_prefix: self.query_prefix.clone(),
            document_prefix: self.document_prefix.clone(),
            is_normalised: self.is_normalised,
        }
    }
}

/// A server in use.
pub(crate) struct Remote {
    exchange: Exchange,
    protocol: Protocol,
    url: String,
    /// Of queries. Documents are not waited for, and pause by themselves.
    breaker: Breaker,
    identity: ModelIdentity,
    tokens: Option<Tokens>,
    cache: Mutex<Cache>,
    batch_texts_max: usize,
    requests_max: usize,
}

impl Remote {
    pub(crate) fn connect(provider: &Provider) -> Result<Self> {
        provider.check()?;
        let exchange = Exchange::new(provider);
        let dim = match provider.dim {
            Some(dim) => dim,
            None => exchange.embed(&["dimension"], None, None)?.first().map_or(0, Vec::len),
        };
        let tokens = provider.tokenizer.as_ref().map(|path| {
            let bytes = fs::read(path).map_err(|error| {
                let message = format!("`{}` cannot be read: {error}", path.display());
                Error::invalid("tokenizer", message).with_source(error)
            })?;
            Tokens::new(path, &bytes, provider.tokens_max)
        });
        let identity = provider.identity(dim);
        tracing::info!(model = identity.name, dim, url = provider.url, "embedding server in use");
        let probe_max = provider.request_time_max.saturating_add(QUERY_TIME_MAX);
        Ok(Self {
            exchange,
            protocol: provider.protocol,
            url: provider.url.clone(),
            breaker: Breaker::new(provider.pause_max.min(BREAK), probe_max),
            identity,
            tokens: tokens.transpose()?,
            cache: Mutex::new(Cache::new(provider.cache_bytes_max)),
            batch_texts_max: provider.batch_texts_max,
            requests_max: provider.requests_max,
        })
    }

    pub(crate) fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// Its protocol and its address.
    pub(crate) fn server(&self) -> (&'static str, &str) {
        (self.protocol.name(), &self.url)
    }

    pub(crate) fn tokenizer(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    pub(crate) fn window(&self) -> usize {
        self.identity.tokens_max
    }

    pub(crate) fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let text = format!("{}{text}", self.identity.query_prefix);
        let key = cache::key(&text);
        if let Some(vector) = self.cache.lock().get(&key) {
            return Ok(vector);
        }
        let (dim, until) = (self.identity.dim, Instant::now() + QUERY_TIME_MAX);
        let asked = || self.exchange.embed(&[text.as_str()], Some(dim), Some(until));
        let mut vectors = self.breaker.call(self.exchange.url(), asked)?;
        let vector = vectors.pop().ok_or_else(|| missing_vector(&self.identity.name))?;
        let vector = self.settle(vector);
        self.cache.lock().put(key, &vector);
        Ok(vector)
    }

    pub(crate) fn embed_documents(&self, texts: &[&str], progress: &dyn Fn(usize)) -> Result<Vec<Vec<f32>>> {
        let prefix = &self.identity.document_prefix;
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        self.embed(&texts, progress)
    }

    /// A vector a text: of the cache, or made in batches of texts of like length, each different text once.
    fn embed(&self, texts: &[String], progress: &dyn Fn(usize)) -> Result<Vec<Vec<f32>>> {
        let keys: Vec<_> = texts.iter().map(|text| cache::key(text)).collect();
        let mut known = HashMap::new();
        let mut missing: HashMap<cache::Key, &str> = HashMap::new();
        {
            let mut cache = self.cache.lock();
            for (key, text) in keys.iter().zip(texts) {
                match cache.get(key) {
                    Some(vector) => drop(known.insert(*key, vector)),
                    None => drop(missing.insert(*key, text)),
                }
            }
        }
        let mut missing: Vec<_> = missing.into_iter().collect();
        // By text as well: the same texts make the same requests.
        missing.sort_by_key(|(_, text)| (text.len(), *text));
        let found = texts.len() - missing.len();
        for (key, vector) in self.make(&missing, &|made| progress(found + made))? {
            known.insert(key, vector);
        }
        let vector = |key| known.get(key).cloned().ok_or_else(|| missing_vector(&self.identity.name));
        keys.iter().map(vector).collect()
    }

    /// Asks for vectors, several requests at a time. What was made is kept also when another request fails.
    fn make(
        &self,
        texts: &[(cache::Key, &str)],
        progress: &dyn Fn(usize),
    ) -> Result<Vec<(cache::Key, Vec<f32>)>> {
        let batches: Vec<_> = texts.chunks(self.batch_texts_max).collect();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..self.requests_max.min(batches.len()) {
                let (sender, next, batches) = (sender.clone(), &next, &batches);
                scope.spawn(move || {
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let texts: Vec<&str> = batch.iter().map(|(_, text)| *text).collect();
                        let outcome = self.exchange.embed(&texts, Some(self.identity.dim), None);
                        let has_failed = outcome.is_err();
                        // Nobody listens any more once another request has failed.
                        if sender.send((*batch, outcome)).is_err() || has_failed {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut made = Vec::with_capacity(texts.len());
            let mut failed = None;
            for (batch, outcome) in receiver {
                match outcome {
                    Ok(vectors) => {
                        let vectors = vectors.into_iter().map(|vector| self.settle(vector));
                        made.extend(batch.iter().map(|(key, _)| *key).zip(vectors));
                        progress(made.len());
                    }
                    Err(error) => {
                        // No further batch begins.
                        next.store(batches.len(), Ordering::Relaxed);
                        failed = failed.or(Some(error));
                    }
                }
            }
            let mut cache = self.cache.lock();
            made.iter().for_each(|(key, vector)| cache.put(*key, vector));
            failed.map_or(Ok(made), Err)
        })
    }

    fn settle(&self, mut vector: Vec<f32>) -> Vec<f32> {
        if self.identity.is_normalised {
            let norm = vector.iter().map(|element| element * element).sum::<f32>().sqrt().max(1e-12);
            vector.iter_mut().for_each(|element| *element /= norm);
        }
        vector
    }
}

fn missing_vector(model: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a text has no vector of model `{model}`"))
}
