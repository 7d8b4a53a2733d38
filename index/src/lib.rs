//! The derived: everything that answers a search. All of it can be thrown away and rebuilt from storage.
//!
//! Architecture invariants:
//! - `index` is fed and never asks: it reads no row of storage, knows no HTTP, and starts no background work of
//!   its own accord (the caller calls [`Head::link`] and [`KeywordIndex::commit`] on a thread of its choice).
//! - Approximate search may miss, never lie: every hit is a row that its view can see, with its exact distance.
//! - A collection has one sequence of slots; every structure here is a column over it. One writer appends, any
//!   number of readers look on through values that do not change ([`Alive`], [`Fields`], [`KeywordView`]) or
//!   columns that only grow ([`Rows`], [`Head`]), which a reader cuts at the `slots_end` of its view.

pub mod alive;
mod codes;
pub mod fields;
pub mod file;
pub mod graph;
pub mod head;
pub mod kernels;
pub mod keyword;
pub mod rows;
pub mod segment;

pub use alive::Alive;
pub use fields::{Bounds, Fields};
pub use head::{GRAPH_ROWS_MIN, Head, HeadView, Near};
pub use keyword::{KeywordIndex, KeywordView, Scored};
pub use rows::Rows;
pub use segment::{Segment, Space};
