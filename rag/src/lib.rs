//! Documents in, answers out: files are parsed, cut into chunks that know their place in the source, and embedded
//! by a model that runs in this process; questions are answered from them, by a serving engine or in quotes, with
//! proof.
//!
//! The path of a document: [`walk`](mod@walk) finds files, [`parse()`] turns one into a [`Source`], [`chunk()`]
//! cuts it, [`Embedder`] makes vectors of the chunks, in this process or by a server ([`providers`]), [`ingest()`]
//! keeps collections in step with a folder, [`jobs`] with what is uploaded, [`search()`] asks them, and [`answer()`]
//! answers from them; [`feedback`] has what answers were worth. [`engine`] is what writes answers, and what ranks
//! passages. [`model`] says where a model is looked for; without one everything but the vectors works. [`shelf`] has
//! the files and stores of OpenAI's dialect.
//!
//! Architecture invariant: the only room that knows candle, tokenizers, text-splitter and the parsers of documents. A
//! question is embedded only by the model that embedded the chunks.

pub mod answer;
pub mod chunk;
mod collections;
pub mod dedup;
pub mod embed;
pub mod engine;
pub mod eval;
pub mod feedback;
mod formats;
pub mod ingest;
mod markdown;
mod metadata;
pub mod model;
pub mod parse;
pub mod providers;
pub mod search;
pub mod shelf;
mod traced;
pub mod walk;

pub use answer::{Answer, Asked, Citation, Library, Manner, Outcome, Passage, Retrieval, answer};
pub use chunk::{Chunk, Sizing, chunk};
pub use dedup::Duplicate;
pub use embed::Embedder;
pub use engine::{Engine, EngineOptions, RerankOptions, RerankProtocol, Reranker};
pub use formats::code::Syntax;
pub use formats::records::Record;
pub use ingest::{
    IngestOptions, IngestReport, Progress, SOURCES_SUFFIX, documents, forget_gone, ingest, jobs, reembed,
};
pub use markdown::Heading;
pub use metadata::Metadata;
pub use parse::{Kind, Skip, Source, parse};
pub use providers::{Protocol, Provider};
pub use search::{Found, Mode, check_model, search};
pub use shelf::Shelf;
pub use traced::tell_traceparent;
pub use walk::{Skipped, Walk, walk};
