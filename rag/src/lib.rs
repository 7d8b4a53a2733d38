//! Documents in: files are parsed, cut into chunks that know their place in the source, and embedded by a model
//! that runs in this process.
//!
//! The path of a document: [`walk`](mod@walk) finds files, [`parse()`] turns one into a [`Source`], [`chunk()`] cuts
//! it, [`Embedder`] makes vectors of the chunks, in this process or by a server ([`providers`]), [`ingest()`] keeps
//! collections in step with a folder, [`jobs`] with what is uploaded, and [`search()`] asks them. [`model`] says where
//! a model is looked for; without one everything but the vectors works.
//!
//! Architecture invariant: the only room that knows candle, tokenizers, text-splitter and the parsers of documents. A
//! question is embedded only by the model that embedded the chunks.

pub mod chunk;
pub mod dedup;
pub mod embed;
pub mod eval;
mod formats;
pub mod ingest;
mod markdown;
mod metadata;
pub mod model;
pub mod parse;
pub mod providers;
pub mod search;
pub mod walk;

pub use chunk::{Chunk, Sizing, chunk};
pub use dedup::Duplicate;
pub use embed::Embedder;
pub use formats::code::Syntax;
pub use formats::records::Record;
pub use ingest::{IngestOptions, IngestReport, Progress, SOURCES_SUFFIX, documents, ingest, jobs, reembed};
pub use markdown::Heading;
pub use metadata::Metadata;
pub use parse::{Kind, Skip, Source, parse};
pub use providers::{Protocol, Provider};
pub use search::{Found, Mode, check_model, search};
pub use walk::{Skipped, Walk, walk};
