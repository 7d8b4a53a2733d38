//! The derived: everything that answers a search. All of it can be thrown away and rebuilt from storage.
//!
//! Architecture invariants:
//! - `index` is fed and never asks: it reads no row of storage, knows no HTTP, and starts no background work of
//!   its own accord (the caller calls [`Head::link`], [`segment::write()`] and [`KeywordIndex::commit`] on a thread of
//!   its choice).
//! - Approximate search may miss, never lie: every hit is a row that its view can see, with its exact distance.
//! - A collection is a sequence of parts: immutable segments, then heads, of which the last one grows. Rows are
//!   numbered in their part; a slot is a row behind the base that the part has in one view ([`Rows`]), and means
//!   nothing in another. One writer appends, any number of readers look on through values that do not change
//!   ([`Alive`], [`Fields`], [`Sparse`], [`KeywordView`]) or columns that only grow ([`Head`]), of which a view shows
//!   what is in its [`Alive`].

pub mod alive;
mod best;
mod bitmap;
mod bm25;
mod codes;
pub mod fields;
pub mod file;
mod fine;
mod gauge;
pub mod graph;
pub mod head;
pub mod kernels;
pub mod keyword;
pub mod part;
pub mod rows;
pub mod segment;
mod sieve;
pub mod sparse;
mod stop_words;
mod texts;

pub use alive::Alive;
pub use bm25::Bm25;
pub use fields::{Bounds, Fields, Lookups};
pub use gauge::{Gauge, Work};
pub use head::{CODED_ROWS_MIN, GRAPH_ROWS_MIN, Head, Near};
pub use keyword::{Analysed, KeywordCommit, KeywordIndex, KeywordView, Marker, Scored};
pub use part::{Body, Part, Shown};
pub use rows::Rows;
pub use segment::Segment;
pub use sparse::Sparse;
pub use texts::Texts;
