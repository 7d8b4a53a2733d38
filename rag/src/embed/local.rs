//! Text to vectors, by a sentence-transformers model that runs in this process.
//!
//! What it computes is what sentence-transformers computes from the same directory: the window, pooling,
//! normalisation and prompts come from the directory's files. Models other than BERT encoders with mean or
//! first-token pooling are refused when they are opened.
//!
//! Invariants: an embedding depends on its own text alone, not on the batch it is computed in; two calls with the
//! same text on one machine give the same vector; calls from many threads are fine.
//!
//! Cost: all-MiniLM-L6-v2 needs 2 * 10.6 million operations a token. Documents are laid end to end in batches of
//! [`BATCH_TOKENS`] and each batch is one core's: two cores with a batch each are faster than two cores inside
//! one batch, because nothing waits at the end of every matrix product.

use std::num::NonZero;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use types::{Error, ErrorKind, ModelIdentity, Result};

use super::bert::Bert;
use super::directory::{self, Directory, Pooling};
use super::tokens::Tokens;

/// Tokens of a batch: enough rows to keep a matrix product busy, few enough to stay in a core's cache.
const BATCH_TOKENS: usize = 1024;

/// A model of this process.
pub(super) struct Local {
    tokens: Tokens,
    bert: Bert,
    pooling: Pooling,
    identity: ModelIdentity,
    /// One thread each: what runs inside one never spreads to another core.
    lanes: Vec<ThreadPool>,
}

impl Local {
    /// Opens a sentence-transformers directory: `config.json`, `tokenizer.json`, `model.safetensors` and what
    /// lies beside them. Takes as long as reading and hashing the weights.
    ///
    /// # Errors
    /// `InvalidArgument` on `model`, saying which file is missing, damaged, or asks for what is not supported; `Io`.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let directory = Directory::read(dir)?;
        let tokens = Tokens::load(dir, &directory)?;
        let bert = Bert::load(&directory.config, &directory.weights).map_err(|error| {
            directory::refuse(dir, &format!("model.safetensors: {error}")).with_source(error)
        })?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let lanes = (0..cores).map(lane).collect::<Result<_>>()?;
        tracing::info!(
            model = directory.identity.name,
            revision = directory.identity.revision,
            cores,
            "model opened"
        );
        Ok(Self { tokens, bert, pooling: directory.pooling, identity: directory.identity, lanes })
    }

    /// Which model this is.
    pub(super) fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// Embeds documents on all cores: a vector each, in the order of the texts. A text beyond the model's window
    /// is cut. `progress` is called on the calling thread with the number of texts done so far.
    ///
    /// # Errors
    /// `InvalidArgument` when the tokenizer refuses a text.
    pub(super) fn embed_documents(&self, texts: &[&str], progress: &dyn Fn(usize)) -> Result<Vec<Vec<f32>>> {
        let sequences: Vec<Vec<u32>> = texts
            .par_iter()
            .map(|text| self.tokens.ids(&format!("{}{text}", self.identity.document_prefix)))
            .collect::<Result<_>>()?;
        let batches = batches(&sequences);
        let mut vectors = vec![Vec::new(); texts.len()];
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for lane in &self.lanes {
                let (sender, next, batches, sequences) = (sender.clone(), &next, &batches, &sequences);
                scope.spawn(move || {
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = lane.install(|| self.embed_batch(&sequences[batch.clone()]));
                        // Nobody listens any more once another batch has failed.
                        if sender.send((batch.clone(), outcome)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut done = 0;
            for (batch, outcome) in receiver {
                done += batch.len();
                vectors[batch].clone_from_slice(&outcome?);
                progress(done);
            }
            Ok(vectors)
        })
    }

    /// Embeds a query, on the calling thread.
    ///
    /// # Errors
    /// `InvalidArgument` when the tokenizer refuses the text.
    pub(super) fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let ids = self.tokens.ids(&format!("{}{text}", self.identity.query_prefix))?;
        let mut vectors = self.embed_batch(&[ids])?;
        vectors.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "a batch of one text gave no vector"))
    }

    /// The ids that the model sees of a text: special tokens included, cut to the window, no prefix added.
    ///
    /// # Errors
    /// `InvalidArgument` when the tokenizer refuses the text.
    pub(super) fn token_ids(&self, text: &str) -> Result<Vec<u32>> {
        self.tokens.ids(text)
    }

    /// How many tokens a text has: special ones not counted, nothing cut.
    pub(super) fn tokens(&self, text: &str) -> usize {
        self.tokens.count(text)
    }

    /// How many tokens of a document the model sees: its window without special tokens and prefix.
    pub(super) fn document_tokens_max(&self) -> usize {
        self.tokens.own_max().saturating_sub(self.tokens.count(&self.identity.document_prefix))
    }

    /// The byte range of each token of a text, in order.
    pub(super) fn token_spans(&self, text: &str) -> Vec<Range<usize>> {
        self.tokens.spans(text)
    }

    fn embed_batch(&self, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let texts: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
        let states = self.bert.forward(&texts).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the model failed: {error}")).with_source(error)
        })?;
        let mut rest = states.as_slice();
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            let (own, others) = rest.split_at(text.len() * self.identity.dim);
            vectors.push(self.pool(own));
            rest = others;
        }
        Ok(vectors)
    }

    /// One vector from the states of a text's tokens.
    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let dim = self.identity.dim;
        let mut vector = states[..dim].to_vec();
        if self.pooling == Pooling::Mean {
            for state in states[dim..].chunks_exact(dim) {
                vector.iter_mut().zip(state).for_each(|(sum, element)| *sum += element);
            }
            let count = (states.len() / dim) as f32;
            vector.iter_mut().for_each(|element| *element /= count);
        }
        if self.identity.is_normalised {
            let norm = vector.iter().map(|element| element * element).sum::<f32>().sqrt().max(1e-12);
            vector.iter_mut().for_each(|element| *element /= norm);
        }
        vector
    }
}

fn lane(at: usize) -> Result<ThreadPool> {
    let name = move |_| format!("embed-{at}");
    ThreadPoolBuilder::new().num_threads(1).thread_name(name).build().map_err(|error| {
        Error::new(ErrorKind::Io, "a thread for embedding cannot be started").with_source(error)
    })
}

/// Consecutive texts of about [`BATCH_TOKENS`] together, at least one text each.
fn batches(sequences: &[Vec<u32>]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for (at, sequence) in sequences.iter().enumerate() {
        match batches.last_mut() {
            Some(batch) if tokens + sequence.len() <= BATCH_TOKENS => {
                batch.end = at + 1;
                tokens += sequence.len();
            }
            _ => {
                batches.push(at..at + 1);
                tokens = sequence.len();
            }
        }
    }
    batches
}
