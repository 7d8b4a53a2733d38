//! `kithdb serve`: a database over HTTP. Its arguments are the settings of a server; `config` says where each may be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use kithdb::{Database, Durability, Error, Options, Result};
use rag::Embedder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::engine::EngineArgs;
use super::interrupt::Interrupt;
use super::judge::JudgeArgs;
use super::limits::LimitArgs;
use super::observe::{ObserveArgs, share};
use super::open::{DataArgs, ModelArgs};
use super::rerank::RerankArgs;
use super::terminal::{counted, grouped, print, table};
use crate::feedback::KEPT_MAX;
use crate::{Bucket, BucketOptions, Keys, Logging, ServeOptions, Server, Tls, VERSION};

/// Serve a database over HTTP.
#[derive(Args)]
pub(super) struct Serve {
    /// A file with any of these settings, in TOML: names as here, with _ for -
    #[arg(long, value_name = "FILE", env = "KITHDB_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", env = "KITHDB_LISTEN", default_value = "127.0.0.1:6333")]
    listen: SocketAddr,
    /// What an acknowledged write has survived: fsync (loss of power), wal (a crash of the process), none
    #[arg(long, value_name = "LEVEL", env = "KITHDB_DURABILITY", default_value = "fsync")]
    durability: Durability,
    /// The share of queries that are searched again, exactly, in the background: what recall is measured by
    #[arg(long, value_name = "SHARE", env = "KITHDB_SAMPLED", default_value_t = 0.001, value_parser = share)]
    sampled: f64,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    rerank: RerankArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    feedback: FeedbackArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    snapshots: SnapshotArgs,
    #[command(flatten)]
    observe: ObserveArgs,
}

/// What is kept of questions. Off, unless it is said: these are the words of those who ask.
#[derive(Args, Clone)]
#[command(next_help_heading = "Feedback")]
struct FeedbackArgs {
    /// Keep questions that were answered badly, and what people say of answers
    #[arg(long, value_name = "BOOL", env = "KITHDB_FEEDBACK", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    feedback: bool,
    /// Entries that are kept of a collection; the oldest go first
    #[arg(long, value_name = "COUNT", env = "KITHDB_FEEDBACK_MAX", default_value_t = KEPT_MAX)]
    feedback_max: usize,
}

/// Where snapshots are, and come from.
#[derive(Args, Clone)]
#[command(next_help_heading = "Snapshots")]
struct SnapshotArgs {
    /// Keep snapshots in a bucket of an S3-compatible store: s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL", env = "KITHDB_SNAPSHOT_STORE")]
    snapshot_store: Option<String>,
    /// The address of the store, if it is not Amazon's
    #[arg(long, value_name = "URL", env = "KITHDB_S3_ENDPOINT", requires = "snapshot_store")]
    s3_endpoint: Option<String>,
    /// Its region; without it AWS_REGION
    #[arg(long, value_name = "NAME", env = "KITHDB_S3_REGION", requires = "snapshot_store")]
    s3_region: Option<String>,
    /// The name of the key that opens it; without it AWS_ACCESS_KEY_ID, or what the machine has
    #[arg(long, value_name = "ID", env = "KITHDB_S3_ACCESS_KEY_ID", requires = "snapshot_store")]
    s3_access_key_id: Option<String>,
    /// The key
    #[arg(
        long,
        value_name = "KEY",
        env = "KITHDB_S3_SECRET_ACCESS_KEY",
        hide_env_values = true,
        requires = "snapshot_store"
    )]
    s3_secret_access_key: Option<String>,
    /// A host that snapshots may be fetched from, as HOST or HOST:PORT, or several; * is every public one
    #[arg(long, value_name = "HOST", env = "KITHDB_SNAPSHOT_HOSTS", value_delimiter = ',')]
    snapshot_hosts: Vec<String>,
}

impl SnapshotArgs {
    fn bucket(&self) -> Result<Option<Bucket>> {
        let Some(url) = &self.snapshot_store else { return Ok(None) };
        let options = BucketOptions {
            url: url.clone(),
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            access_key_id: self.s3_access_key_id.clone(),
            secret_access_key: self.s3_secret_access_key.clone(),
        };
        Bucket::new(&options).map(Some)
    }
}

/// Who may do what, and what is encrypted.
#[derive(Args, Clone)]
#[command(next_help_heading = "Access")]
struct AccessArgs {
    /// The key that may do everything, and that signs tokens: as it is, or as sha256: and 64 hexadecimal digits
    #[arg(long, value_name = "KEY", env = "KITHDB_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// A second such key, for the time in which one takes the place of the other
    #[arg(long, value_name = "KEY", env = "KITHDB_ALT_API_KEY", hide_env_values = true)]
    alt_api_key: Option<String>,
    /// The key that may read everything
    #[arg(long, value_name = "KEY", env = "KITHDB_READ_ONLY_API_KEY", hide_env_values = true)]
    read_only_api_key: Option<String>,
    /// A key with rights of its own, or several: {"key": "…", "access": [{"collection": "notes", "access": "rw"}]}
    #[arg(long, value_name = "JSON", env = "KITHDB_KEYS", hide_env_values = true)]
    keys: Vec<String>,
    /// Listen on an address that other machines reach although there are no keys
    #[arg(long, value_name = "BOOL", env = "KITHDB_NO_AUTH", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    no_auth: bool,
    /// Tell metrics to who has no key
    #[arg(long, value_name = "BOOL", env = "KITHDB_OPEN_METRICS", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    open_metrics: bool,
    /// An origin whose pages may ask from within a browser, as https://HOST or https://HOST:PORT, or several; * is
    /// every one
    #[arg(long, value_name = "ORIGIN", env = "KITHDB_CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
    /// The certificate, and those above it, in PEM: connections are encrypted
    #[arg(long, value_name = "FILE", env = "KITHDB_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "KITHDB_TLS_KEY")]
    tls_key: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode> {
        let options = self.options()?;
        options.check()?;
        open_more_files();
        let embedder = self.model.open()?;
        let db = self.data.open(self.limits.within(Options {
            durability: self.durability,
            sampled: self.sampled,
            limits: self.limits.database(),
            slow_queries: self.observe.slow_queries(),
            ..Options::default()
        }))?;
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        let mut told = self.told(&db, embedder.as_ref());
        let engine = options.engine.as_deref().map(|engine| engine.options().url.clone());
        told.push((
            "engine",
            engine.unwrap_or_else(|| "none: answers are quotes (engine_url names one)".to_owned()),
        ));
        let server = Server::start(db, embedder, &options)?;
        let keys = match options.keys.is_empty() {
            true => "none: everyone who reaches the address may do everything",
            false => "needed, in the header api-key",
        };
        told.push(("keys", keys.to_owned()));
        let url = format!("{scheme}://{}", server.address());
        told.push(("listening", url.clone()));
        let key = if options.keys.is_empty() { "" } else { "-H 'api-key: …' " };
        told.push(("try", format!("curl {key}{url}/collections")));
        print(&format!("KithDB {VERSION}\n{}", table(&told)));
        server.wait_for_signal()?;
        Interrupt::end_at_once()?;
        print("stopping: requests that were begun are answered; Ctrl-C again does not wait for them\n");
        server.stop()?;
        print("stopped: everything acknowledged is on disk\n");
        Ok(ExitCode::SUCCESS)
    }

    /// What is logged, and traced.
    pub(super) fn logging(&self) -> Logging {
        self.observe.logging()
    }

    /// How to serve.
    ///
    /// # Errors
    /// `InvalidArgument` naming the setting at fault.
    pub(super) fn options(&self) -> Result<ServeOptions> {
        let access = &self.access;
        self.limits.check()?;
        Ok(ServeOptions {
            listen: self.listen,
            keys: access.keys()?,
            is_open_to_all: access.no_auth,
            are_metrics_open: access.open_metrics,
            tls: access.tls()?,
            engine: self.engine.open()?,
            reranker: self.rerank.open()?,
            judge: self.judge.open()?,
            feedback_max: self.feedback.feedback.then_some(self.feedback.feedback_max),
            limits: self.limits.serve(),
            bucket: self.snapshots.bucket()?,
            snapshot_hosts: self.snapshots.snapshot_hosts.clone(),
            cors_origins: access.cors_origins.clone(),
        })
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

/// Takes as many files as the system gives: the usual first limit is for programs that hold few.
fn open_more_files() {
    let limit = getrlimit(Resource::Nofile);
    // Without more there are fewer connections.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

impl AccessArgs {
    fn keys(&self) -> Result<Keys> {
        let mut keys = Keys::new();
        for key in self.api_key.iter().chain(&self.alt_api_key) {
            keys = keys.full(key)?;
        }
        if let Some(key) = &self.read_only_api_key {
            keys = keys.read_only(key)?;
        }
        self.keys.iter().try_fold(keys, |keys, json| keys.with(json))
    }

    fn tls(&self) -> Result<Option<Tls>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Tls::open(cert, key).map(Some),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Error::invalid("tls_key", "is missing beside tls_cert")),
            (None, Some(_)) => Err(Error::invalid("tls_cert", "is missing beside tls_key")),
        }
    }
}
