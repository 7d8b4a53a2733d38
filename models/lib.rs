//! What runs at once in a database, small enough that a scheduler can try the orders in which its threads may come: the
//! sequencer with its callers, and views that are published, read and purged behind.
//!
//! What is told of each is its code where that stands by itself (`kithdb/src/group.rs`, `kithdb/src/shown.rs`), and the
//! order of steps of the code that is named beside it. Each model fails where a step that it rests on is left out: that
//! is tried as well. Memory orders are not told apart: every access comes before or after every other.
#![cfg(test)]

#[path = "../kithdb/src/group.rs"]
mod group;
mod sequencer;
#[expect(dead_code, reason = "what asks for past states is not part of a model")]
#[path = "../kithdb/src/shown.rs"]
mod shown;
mod views;

/// Orders of threads that are tried.
const ORDERS: usize = 20_000;
