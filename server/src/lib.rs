//! KithDB over HTTP: the Qdrant REST dialect on one port, so that existing clients work unchanged.
//!
//! The path of a request: a route takes its body (`body`), hands it to a blocking thread (`lanes`), where it is
//! translated (`wire`), answered by the embedded database, and translated back. What is new in this dialect is added
//! as optional fields; nothing unknown ever appears in an answer, because clients refuse it.
//!
//! The same routes are open to the process itself ([`door`]), and so is the command line ([`cli`]): Python packs both.
//!
//! Architecture invariant: the only room that answers over HTTP, and that knows the JSON of its dialects or an async
//! runtime. It holds no data of its own: two servers over copies of a directory give the same answers.
//! When not to use: inside the process that asks; the embedded database has no port to guard and no JSON to parse.

mod access;
mod address;
mod body;
mod bucket;
pub mod cli;
mod connections;
mod cors;
mod cursors;
pub mod door;
mod error;
mod feedback;
mod incoming;
mod jobs;
mod lanes;
mod limits;
mod location;
mod mcp;
mod metrics;
mod multipart;
mod observe;
mod owed;
mod pool;
mod routes;
mod serve;
mod sse;
mod state;
mod stream;
mod strict;
mod tls;
mod weigh;
mod wire;

pub use access::Keys;
pub use bucket::{Bucket, BucketOptions};
pub use limits::ServeLimits;
pub use observe::{LogFormat, Logging, Tracing, log};
pub use routes::{addresses, router};
pub use serve::{ServeOptions, Server};
pub use state::State;
pub use tls::Tls;

/// The version of KithDB.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
