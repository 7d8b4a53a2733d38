//! The decoders of bytes that come from outside or from the disk, each as a function of bytes.
//!
//! | decoder     | bytes                                                                              |
//! |-------------|------------------------------------------------------------------------------------|
//! | `columns`   | Arrow streams, lines of JSON, NumPy arrays and vectors, imported                   |
//! | `documents` | Markdown, HTML, PDF, tables, lines of JSON, source code and texts, parsed and cut   |
//! | `filter`    | filters as text                                                                    |
//! | `request`   | bodies of HTTP requests                                                            |
//! | `rows`      | rows of storage: journal, counters, lists of segments, catalog, points             |
//! | `segment`   | the three files of a segment                                                       |
//! | `snapshot`  | archives of snapshots                                                              |
//!
//! `it/mangled.rs` gives each the same 1,000 inputs every time, sound bytes that are changed by chance; the targets of
//! `fuzz/` run them under libFuzzer (`make fuzz`). So what is fuzzed is what every test run compiles and tries.
//!
//! Invariant: bytes are refused with an error of a kind that blames them, or taken for what they say. A panic, an
//! error that blames KithDB, or memory that a length in the bytes claims, is a defect.
//! Not here: Parquet and HDF5, which libraries of others read without a bound of ours (docs/reliability.md); the
//! keyword index, which is tantivy's.

pub mod columns;
pub mod documents;
pub mod filter;
pub mod request;
pub mod rows;
pub mod segment;
pub mod snapshot;

mod schema;

use types::{ErrorKind, Result};

/// A decoder.
#[derive(Clone, Copy)]
pub struct Decoder {
    /// Its name, which is that of its fuzz target.
    pub name: &'static str,
    /// Gives it bytes; whether it took them. Panics if it does what no decoder may.
    pub run: fn(&[u8]) -> bool,
    /// Sound bytes, which it takes.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them, by name.
pub const ALL: [Decoder; 7] = [
    Decoder { name: "columns", run: columns::run, seeds: columns::seeds },
    Decoder { name: "documents", run: documents::run, seeds: documents::seeds },
    Decoder { name: "filter", run: filter::run, seeds: filter::seeds },
    Decoder { name: "request", run: request::run, seeds: request::seeds },
    Decoder { name: "rows", run: rows::run, seeds: rows::seeds },
    Decoder { name: "segment", run: segment::run, seeds: segment::seeds },
    Decoder { name: "snapshot", run: snapshot::run, seeds: snapshot::seeds },
];

/// Whether they were taken. Panics unless an error blames the bytes.
fn taken<T>(outcome: &Result<T>) -> bool {
    let Err(error) = outcome else { return true };
    let kinds = [
        ErrorKind::InvalidArgument,
        ErrorKind::LimitExceeded,
        ErrorKind::Corrupted,
        ErrorKind::UnsupportedFormat,
    ];
    assert!(kinds.contains(&error.kind()), "{:?} on {:?}: {error}", error.kind(), error.field());
    false
}

/// A seed: what the first byte chooses, and the bytes behind it.
fn seed(choice: usize, bytes: &[u8]) -> Vec<u8> {
    let choice = u8::try_from(choice).expect("there are few choices");
    [&[choice][..], bytes].concat()
}
