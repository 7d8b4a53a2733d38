//! KithDB, embedded: a vector database in your process, on one directory.
//!
//! ```
//! use kithdb::{Condition, Database, FieldKind, Language, Metric, Point, Schema};
//!
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path();
//! let db = Database::open(path)?;
//! let schema = Schema::new().vector(3, Metric::Cosine).keyword(["text".parse()?], Language::English);
//! let notes = db.create_collection("notes", schema.field("lang".parse()?, FieldKind::Keyword))?;
//! notes.upsert(vec![
//!     Point::new(1).vector([0.9, 0.1, 0.0]).with("text", "A crate for vectors").with("lang", "en"),
//!     Point::new(2).vector([0.0, 0.2, 0.9]).with("text", "Ein Buch über Vektoren").with("lang", "de"),
//! ])?;
//! let query = notes.query().nearest([1.0, 0.0, 0.0]).keyword("crates").filter(Condition::equals("lang", "en")?);
//! let hits = query.limit(5).run()?;
//! assert_eq!(hits[0].id, 1.into());
//! # Ok::<(), kithdb::Error>(())
//! ```
//!
//! Here is a point, keep it; here is a question, answer it. Handles are cheap to clone and may be used from any thread;
//! everything is synchronous. A write is found by every search from the moment its call returns, and survives what its
//! [`Durability`] promises. Readers never wait for the writer: they read a view, an immutable state at one seqno.
//!
//! Architecture invariant: orders writes (one sequencer a database), publishes views, runs maintenance. It knows
//! neither HTTP nor JSON on the wire, and starts no async runtime.
//! Invariant: a view is published only after its commit is acknowledged by storage; so nobody reads what a crash
//! could take back under `fsync`.

mod admit;
mod aliases;
mod applying;
mod asked;
mod asking;
mod budget;
mod build;
mod builder;
mod building;
pub mod bulk;
mod changes;
mod collection;
mod configure;
mod cursor;
mod database;
mod derived;
mod disk;
mod doctor;
mod drift;
mod early;
mod engine;
mod files;
mod filling;
mod group;
mod highlight;
mod history;
mod hit;
mod keywords;
mod loading;
mod maintenance;
mod meters;
mod monitor;
mod opening;
mod prepared;
mod query_builder;
mod reading;
mod sequencer;
mod shown;
mod slow;
mod snapshots;
mod stage;
mod tiers;
mod workers;

pub use aliases::AliasChange;
pub use arrow;
pub use asked::on_behalf_of;
pub use budget::Segments;
pub use building::BuildStatus;
pub use collection::{Collection, Page, Receipt, SegmentStatus, SpaceStatus, Status};
pub use cursor::Cursor;
pub use database::{Database, Options, Transaction};
pub use disk::Disk;
pub use doctor::{Fault, Health};
pub use drift::{Drift, DriftOf};
pub use highlight::{Fragment, Fragments, Highlight};
pub use hit::{Hit, PayloadSelect, Select, VectorSelect};
pub use index::Bm25;
pub use index::sparse::Way as SparseWay;
pub use loading::{Rebuilt, Start};
pub use meters::{Measures, SnapshotCounts};
pub use query::explain::name as strategy_name;
pub use query::formula;
pub use query::plan::Step;
pub use query::{
    Actual, Effort, Examples, Failed, Feedback, Fusion, Grouping, Input, Matrix, MatrixRequest,
    MeasuredRecall, Order, OrderValue, Pair, Params, PartActual, PartPlan, Plan, Query, RRF_K, Rank,
    Recommend, Request, Share, SparsePart, SparsePlan, Stage, Stages, Strategy, Terms, Why, WhyNot,
};
pub use query_builder::{QueryBuilder, leg_hits};
pub use reading::{Found, Group, Reading};
pub use slow::{SlowQueries, SlowQuery};
pub use snapshots::Snapshot;
pub use storage::Figures;
pub use types::*;
