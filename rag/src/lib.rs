//! Documents in: files are parsed, cut into chunks that know their place in the source, and embedded by a model
//! that runs in this process.
//!
//! The path of a document: [`walk`](mod@walk) finds files, [`parse()`] turns one into a [`Source`], [`chunk()`]
//! cuts it, [`Embedder`] makes vectors of the chunks, [`ingest()`] keeps collections in step with a folder, and
//! [`search()`] asks them. [`model`] says where a model is looked for; without one everything but the vectors works.
//!
//! Architecture invariant: the only room that knows candle, tokenizers and text-splitter. A question is embedded only
//! by the model that embedded the chunks.

pub mod chunk;
pub mod embed;
pub mod ingest;
mod markdown;
pub mod model;
pub mod parse;
pub mod search;
pub mod walk;

pub use chunk::{Chunk, Sizing, chunk};
pub use embed::Embedder;
pub use ingest::{IngestOptions, IngestReport, Progress, SOURCES_SUFFIX, ingest};
pub use parse::{Kind, Skip, Source, parse};
pub use search::{Found, Mode, check_model, search};
pub use walk::{Skipped, Walk, walk};
