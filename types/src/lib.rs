//! The nouns of KithDB. Every other room speaks in these words.
//!
//! Architecture invariant: no I/O, no locks, no threads, no heavy dependency. A type lives here only
//! when two sibling rooms need it in their public interface. Nothing here is serialised by derive: the
//! wire shapes live in `server`, the disk formats in `storage`.

pub mod bm25;
pub mod change;
pub mod datatype;
pub mod datetime;
pub mod durability;
pub mod error;
pub mod filter;
pub mod geo;
pub mod histogram;
pub mod hybrid;
pub mod id;
pub mod keyword;
pub mod language;
pub mod limits;
pub mod metric;
pub mod path;
pub mod payload;
pub mod point;
pub mod random;
pub mod schema;
pub mod space;
pub mod sparse;
pub mod text;
pub mod uuids;
pub mod vector;
pub mod waypoint;

pub use bm25::Bm25Options;
pub use change::{Change, Selection, UpsertMode};
pub use datatype::{Codes, Datatype, Memory};
pub use durability::Durability;
pub use error::{Error, ErrorKind, Result};
pub use filter::{
    Condition, CountRange, Filter, MinShould, NumberBound, Predicate, Range, Scalar, Subject, TextAnalysis,
    TextTest, TimeRange, WholeRange,
};
pub use geo::{GeoArea, GeoPoint};
pub use histogram::{Histogram, Times};
pub use hybrid::HybridWeights;
pub use id::{CollectionId, PointId, Seqno, Slot, Version};
pub use keyword::{Fuzzy, KeywordQuery, Operator};
pub use language::Language;
pub use limits::Limits;
pub use metric::Metric;
pub use path::FieldPath;
pub use payload::{Payload, Value};
pub use point::{Op, Point};
pub use schema::{FieldKind, KeywordField, Schema};
pub use space::{ModelIdentity, VectorSpec};
pub use sparse::{Modifier, SparseOptions, SparseSpec, SparseVector};
pub use text::{TextOptions, Tokenizer};
pub use vector::{DEFAULT_VECTOR, MultiVector, Vector, Vectors};
