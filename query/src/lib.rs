//! From a request to hits: prepare (which rows may match), plan (how to find the best of them), execute, fuse.
//!
//! Here is a view and a request, give me the best slots and say how. [`plan`](plan::plan) is a pure function of the
//! request, the statistics of the view and the cost constants; execution does what the plan says, and falls back to
//! the exact way whenever the approximate one comes back short.
//!
//! Architecture invariant: knows no HTTP, no JSON on the wire, no writer. It reads one [`View`]; nothing that is
//! reachable from a view changes.
//! Invariant: a filter never lies. If `limit` points match, `limit` hits come back.

mod analysed;
pub mod cost;
mod execute;
pub mod explain;
mod facets;
pub mod formula;
mod fuse;
mod groups;
mod kinds;
mod matched;
mod matching;
mod matrix;
mod multi;
mod observed;
mod pace;
pub mod plan;
mod request;
mod scroll;
mod sparse;
mod stages;
mod stored;
mod view;

pub use analysed::analysed;
pub use execute::{
    Actual, Answer, Effort, Failed, PartActual, Rank, Ranked, Terms, Why, WhyNot, execute, execute_sampled,
    why_not,
};
pub use facets::facets;
pub use fuse::Fusion;
pub use groups::{Group, Grouped, Grouping, groups};
pub use index::Work;
pub use matched::{Matched, is_decided_by_indexes, matched};
pub use matrix::{Matrix, MatrixRequest, matrix};
pub use observed::{MeasuredRecall, Observed, Sampled, Share};
pub use plan::{PartPlan, Plan, Strategy};
pub use request::{
    Examples, Feedback, Input, Order, OrderValue, Pair, Params, Query, RRF_K, Recommend, Request,
};
pub use scroll::{Page, count, scroll};
pub use sparse::{SparsePart, SparsePlan};
pub use stages::{Stage, Stages};
pub use view::View;
