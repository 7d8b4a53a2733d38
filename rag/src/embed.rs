//! Text to vectors: by a sentence-transformers model that runs in this process, or by a server that embeds.
//!
//! Invariants: an embedding depends on its own text alone, not on the batch it is computed in; calls from many threads
//! are fine; an embedder is of one [`ModelIdentity`], and only vectors of the same one are compared.
//!
//! Cost: nearly all of an ingestion. In process, see the module of the model; by a server, what it takes and the way
//! there, once for each text that the cache does not hold.

mod bert;
mod directory;
mod fused;
mod local;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tiny;
mod tokens;

use std::ops::Range;
use std::path::Path;

use types::{Error, ModelIdentity, Result};

use crate::providers::{Provider, Remote};
use crate::traced;
use local::Local;
pub(crate) use tokens::Tokens;

/// An opened model.
pub struct Embedder(Place);

/// Where texts are embedded.
enum Place {
    Here(Box<Local>),
    There(Box<Remote>),
}

impl Embedder {
    /// Opens a sentence-transformers directory: `config.json`, `tokenizer.json`, `model.safetensors` and what
    /// lies beside them. Takes as long as reading and hashing the weights.
    ///
    /// # Errors
    /// `InvalidArgument` on `model`, saying which file is missing, damaged, or asks for what is not supported; `Io`.
    pub fn open(dir: &Path) -> Result<Self> {
        Local::open(dir).map(|local| Self(Place::Here(Box::new(local))))
    }

    /// Uses a server that embeds. Asks it for a vector where the configuration does not say how long they are.
    ///
    /// # Errors
    /// `InvalidArgument` naming what the configuration has wrong; `Busy` when the server does not answer.
    pub fn connect(provider: &Provider) -> Result<Self> {
        Remote::connect(provider).map(|remote| Self(Place::There(Box::new(remote))))
    }

    /// Which model this is.
    pub fn identity(&self) -> &ModelIdentity {
        match &self.0 {
            Place::Here(local) => local.identity(),
            Place::There(remote) => remote.identity(),
        }
    }

    /// Embeds documents: a vector each, in the order of the texts. A text beyond the model's window is cut. `progress`
    /// is called on the calling thread with the number of texts done so far.
    ///
    /// # Errors
    /// `InvalidArgument` when a text is refused; `Io` when a server refuses its key or does not know the model; `Busy`
    /// when it does not answer after several attempts.
    pub fn embed_documents(&self, texts: &[&str], progress: &dyn Fn(usize)) -> Result<Vec<Vec<f32>>> {
        self.traced(texts.len(), || match &self.0 {
            Place::Here(local) => local.embed_documents(texts, progress),
            Place::There(remote) => remote.embed_documents(texts, progress),
        })
    }

    /// Embeds a query, on the calling thread.
    ///
    /// # Errors
    /// As for [`embed_documents`](Self::embed_documents).
    pub fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        self.traced(1, || match &self.0 {
            Place::Here(local) => local.embed_query(text),
            Place::There(remote) => remote.embed_query(text),
        })
    }

    fn traced<T>(&self, texts: usize, embed: impl FnOnce() -> Result<T>) -> Result<T> {
        let server = match &self.0 {
            Place::Here(_) => None,
            Place::There(remote) => Some(remote.server()),
        };
        let span = traced::embeddings(self.identity(), server, texts);
        let outcome = span.in_scope(embed);
        traced::failed(&span, &outcome);
        outcome
    }

    /// The ids that the model sees of a text: special tokens included, cut to the window, no prefix added.
    ///
    /// # Errors
    /// `InvalidArgument` when the tokenizer refuses the text, or is not known.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>> {
        let tokens = match &self.0 {
            Place::Here(local) => return local.token_ids(text),
            Place::There(remote) => remote.tokenizer(),
        };
        let unknown = || Error::invalid("tokenizer", "of the server is not known; name its tokenizer.json");
        tokens.ok_or_else(unknown)?.ids(text)
    }

    /// How many tokens a text has: special ones not counted, nothing cut. Without the tokenizer of a server, an
    /// estimate that is rather too high.
    pub fn tokens(&self, text: &str) -> usize {
        match &self.0 {
            Place::Here(local) => local.tokens(text),
            Place::There(remote) => {
                remote.tokenizer().map_or_else(|| estimate(text).len(), |tokens| tokens.count(text))
            }
        }
    }

    /// How many tokens of a document the model sees: its window without special tokens and prefix.
    pub fn document_tokens_max(&self) -> usize {
        match &self.0 {
            Place::Here(local) => local.document_tokens_max(),
            Place::There(remote) => {
                let special =
                    remote.tokenizer().map_or(SPECIAL_TOKENS, |tokens| remote.window() - tokens.own_max());
                let taken = special + self.tokens(&remote.identity().document_prefix);
                remote.window().saturating_sub(taken).max(1)
            }
        }
    }

    /// The byte range of each token of a text, in order.
    pub(crate) fn token_spans(&self, text: &str) -> Vec<Range<usize>> {
        match &self.0 {
            Place::Here(local) => local.token_spans(text),
            Place::There(remote) => {
                remote.tokenizer().map_or_else(|| estimate(text), |tokens| tokens.spans(text))
            }
        }
    }
}

/// Tokens that models put around a text.
const SPECIAL_TOKENS: usize = 2;

/// Bytes of a token of a word, where the tokenizer is not known: English has 4 or more.
const TOKEN_BYTES: usize = 3;

/// Where tokens would be: a piece of a word each, and every mark.
fn estimate(text: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut is_word = false;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let continues = is_word && c.is_alphanumeric();
        match spans.last_mut() {
            Some(last) if continues && end - last.start <= TOKEN_BYTES => last.end = end,
            _ if !c.is_whitespace() => spans.push(at..end),
            _ => {}
        }
        is_word = c.is_alphanumeric();
    }
    spans
}
