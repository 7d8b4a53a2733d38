//! Points by the million, in columns: Arrow record batches in and out, and the files that hold them.
//!
//! ```
//! use kithdb::bulk::{ExportOptions, ImportOptions};
//! use kithdb::{Database, Metric, Point, Schema};
//!
//! # fn main() -> Result<(), kithdb::Error> {
//! let db = Database::in_memory()?;
//! let notes = db.create_collection("notes", Schema::new().vector(2, Metric::Dot))?;
//! notes.upsert(vec![Point::new(1).vector([0.5, 1.0]).with("lang", "en")])?;
//! // What is exported can be imported: here into a collection that this makes.
//! let batches = notes.export(&ExportOptions::default())?;
//! let imported = db.import("copy", batches, &ImportOptions::default(), &mut |_| ())?;
//! assert_eq!(imported.rows, 1);
//! assert_eq!(db.collection("copy")?.schema(), notes.schema());
//! # Ok(())
//! # }
//! ```
//!
//! One column has ids, some have vectors, the others are the payload: each column a key, a null no value.
//!
//! | column           | types                                                                                 |
//! |------------------|---------------------------------------------------------------------------------------|
//! | ids              | integers from 0, UUIDs as text or as 16 bytes; nothing: numbers are given             |
//! | a vector         | lists of numbers, of fixed size or of one length                                      |
//! | a sparse vector  | a struct of two lists, `indices` and `values`                                         |
//! | a multivector    | lists of lists of numbers                                                             |
//! | payload          | booleans, numbers, texts, dates and times (as RFC 3339), lists and structs of these   |
//! | payload, as JSON | texts of the extension type `arrow.json`; a column `payload` of these is whole objects |
//!
//! Invariant: rows are committed in their order, in blocks; what was committed before an error stays, and the error
//! says how many rows that is. An export shows one state, however long it takes.
//! Cost: three blocks of at most 8,192 rows or about 16 MiB are held at a time: one is read and made points, one
//! waits, one is committed. An export reads payloads twice, because what is in them decides what the columns are.
//! When not to use: for points that must change together, which is what [`Collection::apply`](crate::Collection::apply)
//! promises.

mod arrays;
mod census;
mod columns;
mod export;
pub mod files;
mod ids;
mod import;
mod infer;
mod lists;
mod payloads;
mod progress;
mod read;
mod vectors;
mod weight;

use types::{Datatype, Durability, Filter, Metric, Seqno};

pub use export::Export;
pub use import::Imported;
pub(crate) use progress::Imports;
pub use progress::Progress;

/// What the columns of an import are, where types and names do not say it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportOptions {
    /// Where the ids are.
    pub id: IdColumn,
    /// They are names: any texts, each of which stands for the UUID that is made of it
    /// ([`PointId::from_name`](crate::PointId::from_name)), and stays in the payload.
    pub is_named: bool,
    /// The columns with vectors, each with the name of its vector, if it has another than the column. Without any:
    /// those that an export marked, those that have the name of a vector of the collection, or, of a collection that
    /// is made, those of fixed-size lists of floats and of sparse vectors; one that is alone is the unnamed vector.
    pub vectors: Vec<(String, Option<String>)>,
    /// A column of texts that are JSON objects, whose keys join the payload. Without it: the column `payload`, if it
    /// is marked as JSON.
    pub payload: Option<String>,
    /// The metric of the vectors of a collection that is made: Cosine, if an export says no other.
    pub metric: Option<Metric>,
    /// What the vectors of a collection that is made are stored as: by default as they come, as far as the metric
    /// allows.
    pub datatype: Option<Datatype>,
    /// What each commit promises: by default what the database does.
    pub durability: Option<Durability>,
}

/// Where the ids of an import are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdColumn {
    /// In the column `id`, if there is one of a type that ids have; else as for [`IdColumn::Given`].
    #[default]
    Guessed,
    /// In this column.
    Named(String),
    /// Nowhere: rows get numbers, from the one behind the largest number that is an id on. An empty collection begins
    /// with 0. Points that others write meanwhile keep their numbers: rows get those behind them.
    Given,
}

/// What an export has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportOptions {
    /// Which points.
    pub filter: Filter,
}

/// The key of a schema's metadata that says that every column with a vector is marked as one, and by whom.
const MARKED_KEY: &str = "kithdb:marked";

/// Marked by an export.
const BY_EXPORT: &str = "export";

/// Marked by a reader of files that went by the options already.
const BY_OPTIONS: &str = "options";

/// The key of a field's metadata that says which vector a column has.
const VECTOR_KEY: &str = "kithdb:vector";

/// The key that says the metric of the vector.
const METRIC_KEY: &str = "kithdb:metric";

/// The key that says the modifier of a sparse vector.
const MODIFIER_KEY: &str = "kithdb:modifier";

/// The column of ids, unless another is named.
const ID: &str = "id";

/// The column of the unnamed vector.
const VECTOR: &str = "vector";

/// The column of payload that is no column of its own.
const PAYLOAD: &str = "payload";

/// Rows of a block, at most.
const BLOCK_ROWS_MAX: usize = 8_192;

/// Bytes of a block, about.
const BLOCK_BYTES: usize = 16 << 20;

/// How many rows of so many bytes are a block.
fn block_rows(row_bytes: usize) -> usize {
    (BLOCK_BYTES / row_bytes.max(1)).clamp(1, BLOCK_ROWS_MAX)
}

/// The last commit of something that may have had none.
fn last(seqno: Option<Seqno>, before: Seqno) -> Seqno {
    seqno.unwrap_or(before)
}
