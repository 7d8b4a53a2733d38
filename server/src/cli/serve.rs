//! `kithdb serve`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use kithdb::{Database, Durability, Options, Result};
use rag::Embedder;

use super::open::{DataArgs, ModelArgs};
use super::terminal::{counted, grouped, print, table};
use crate::{ServeOptions, Server, VERSION};

/// Serve a database over HTTP.
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    data: DataArgs,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", env = "KITHDB_LISTEN", default_value = "127.0.0.1:6333")]
    listen: SocketAddr,
    /// Listen on an address that other machines reach; there is no authentication
    #[arg(long)]
    allow_remote: bool,
    /// What an acknowledged write has survived: fsync (loss of power), wal (a crash of the process), none
    #[arg(long, value_name = "LEVEL", default_value = "fsync")]
    durability: Durability,
    /// The share of queries that are searched again, exactly, in the background: what recall is measured by
    #[arg(long, value_name = "SHARE", env = "KITHDB_SAMPLED", default_value_t = 0.001, value_parser = share)]
    sampled: f64,
    #[command(flatten)]
    model: ModelArgs,
}

fn share(text: &str) -> std::result::Result<f64, String> {
    let share = text.parse().map_err(|_| "must be a number from 0 to 1".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("must be from 0 to 1".to_owned()) }
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode> {
        let options = ServeOptions {
            listen: self.listen,
            is_remote_allowed: self.allow_remote,
            ..ServeOptions::default()
        };
        options.check()?;
        let embedder = self.model.open()?;
        let db = self.data.open(Options {
            durability: self.durability,
            sampled: self.sampled,
            ..Options::default()
        })?;
        let mut told = self.told(&db, embedder.as_ref());
        let server = Server::start(db, embedder, &options)?;
        let url = format!("http://{}", server.address());
        told.push(("listening", url.clone()));
        told.push(("try", format!("curl {url}/collections")));
        print(&format!("KithDB {VERSION}\n{}", table(&told)));
        server.wait_for_signal()?;
        print("stopping: requests that were begun are answered\n");
        server.stop()?;
        print("stopped: everything acknowledged is on disk\n");
        Ok(ExitCode::SUCCESS)
    }

    fn told(&self, db: &Database, embedder: Option<&Embedder>) -> Vec<(&'static str, String)> {
        let start = db.start();
        let seconds = start.elapsed_ms as f64 / 1e3;
        let loaded = format!(
            "{} with {}, at commit {}, in {seconds:.2} s",
            counted(start.collections, "collection"),
            counted(start.points, "point"),
            grouped(start.seqno.0),
        );
        let mut told = vec![("data", self.data.data.display().to_string()), ("loaded", loaded)];
        for rebuilt in &start.rebuilt {
            let what = format!("{} index of `{}`: {}", rebuilt.index, rebuilt.collection, rebuilt.reason);
            told.push(("rebuilt", what));
        }
        let model = embedder.map(|embedder| {
            let identity = embedder.identity();
            format!("{} ({} dimensions)", identity.name, identity.dim)
        });
        told.push(("model", model.unwrap_or_else(|| "none: queries are vectors or keywords".to_owned())));
        told
    }
}
