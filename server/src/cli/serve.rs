//! `kithdb serve`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use kithdb::{Database, Durability, Options, Result};
use kithdb_server::{Keys, ServeOptions, Server, VERSION};
use rag::Embedder;

use super::open::{DataArgs, ModelArgs};
use super::terminal::{counted, grouped, print, table};

/// Serve a database over HTTP.
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    data: DataArgs,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", env = "KITHDB_LISTEN", default_value = "127.0.0.1:6333")]
    listen: SocketAddr,
    /// The key that may do everything, and that signs tokens: as it is, or as sha256: and 64 hexadecimal digits
    #[arg(long, value_name = "KEY", env = "KITHDB_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// The key that may read everything
    #[arg(long, value_name = "KEY", env = "KITHDB_READ_ONLY_API_KEY", hide_env_values = true)]
    read_only_api_key: Option<String>,
    /// A key with rights of single collections: {"key": "…", "access": [{"collection": "notes", "access": "rw"}]}
    #[arg(long, value_name = "JSON", env = "KITHDB_KEYS", hide_env_values = true)]
    keys: Vec<String>,
    /// Listen on an address that other machines reach although there are no keys
    #[arg(long, env = "KITHDB_NO_AUTH")]
    no_auth: bool,
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
            keys: self.keys()?,
            is_open_to_all: self.no_auth,
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

    fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::new();
        if let Some(key) = &self.api_key {
            keys = keys.full(key)?;
        }
        if let Some(key) = &self.read_only_api_key {
            keys = keys.read_only(key)?;
        }
        self.keys.iter().try_fold(keys, |keys, json| keys.with(json))
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
