//! A server from its first connection to its last.
//!
//! Invariant: a request that was accepted is answered, also when the server stops, within a bound; then every
//! acknowledged write is made durable and the database closes.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use kithdb::{Database, Error, ErrorKind, Result};
use rag::{Embedder, Engine, Reranker};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::connections::{self, Port};
use crate::cors;
use crate::{Bucket, Keys, ServeLimits, State, Tls, router};

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The keys that open it.
    pub keys: Keys,
    /// Listen on an address that other machines reach although there are no keys.
    pub is_open_to_all: bool,
    /// Metrics are told to who has no key.
    pub are_metrics_open: bool,
    /// What connections are encrypted by; without it they are not.
    pub tls: Option<Tls>,
    /// What writes answers; without it they are quotes.
    pub engine: Option<Arc<Engine>>,
    /// What ranks passages; without it they stay as they were found.
    pub reranker: Option<Arc<Reranker>>,
    /// What judges answers of an evaluation.
    pub judge: Option<Arc<Engine>>,
    /// Keep questions that were answered badly, and what people say of answers: so many entries of a collection.
    pub feedback_max: Option<usize>,
    /// What clients may take.
    pub limits: ServeLimits,
    /// Where snapshots are kept, if not in the folder of the database.
    pub bucket: Option<Bucket>,
    /// The hosts that snapshots may be fetched from, as `host` or `host:port`; `*` is every public one.
    pub snapshot_hosts: Vec<String>,
    /// The origins of pages that may ask from within a browser, as `https://host:port`; `*` is every one.
    pub cors_origins: Vec<String>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6333)),
            keys: Keys::new(),
            is_open_to_all: false,
            are_metrics_open: false,
            tls: None,
            engine: None,
            reranker: None,
            judge: None,
            feedback_max: None,
            limits: ServeLimits::default(),
            bucket: None,
            snapshot_hosts: Vec::new(),
            cors_origins: Vec::new(),
        }
    }
}

impl ServeOptions {
    /// Checks them, before anything takes time.
    ///
    /// # Errors
    /// `InvalidArgument` on a limit or on `feedback_max` that is 0; on `cors_origins` for what is no origin.
    /// `InvalidArgument` on `listen` when other machines reach the address, there are no keys, and that was not meant;
    /// on `no_auth` when there are keys all the same.
    pub fn check(&self) -> Result<()> {
        self.limits.check()?;
        if self.feedback_max == Some(0) {
            return Err(Error::invalid("feedback_max", "is 0; it must be 1 at least"));
        }
        cors::check(&self.cors_origins)?;
        let ip = self.listen.ip();
        match (self.keys.is_empty(), self.is_open_to_all) {
            (false, true) => Err(Error::invalid("no_auth", "stands beside keys; leave one of them out")),
            (true, false) if !ip.is_loopback() => {
                let message = format!(
                    "{ip} can be reached from other machines, and there are no keys; give one by api_key, listen on \
                     127.0.0.1, or say no_auth if something in front of the server guards it"
                );
                Err(Error::invalid("listen", message))
            }
            _ => Ok(()),
        }
    }
}

/// A server that runs.
pub struct Server {
    state: State,
    address: SocketAddr,
    runtime: Runtime,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    stop_time_max: Duration,
}

/// So many cores have one thread for connections.
const CORES_PER_CONNECTION_THREAD: usize = 4;

/// Between two looks for cursors that nobody asks.
const SWEEP: Duration = Duration::from_secs(10);

impl Server {
    /// Starts to serve a database, on threads of its own.
    ///
    /// # Errors
    /// `InvalidArgument` on `listen` when the address is not of this machine alone and that was not allowed; `Io` when
    /// it is taken.
    pub fn start(db: Database, embedder: Option<Embedder>, options: &ServeOptions) -> Result<Self> {
        Self::start_on(State::new(db, embedder, options), options)
    }

    /// Starts to serve what another state is over, which the process may use beside it.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_beside(state: &State, options: &ServeOptions) -> Result<Self> {
        Self::start_on(state.under(options), options)
    }

    fn start_on(state: State, options: &ServeOptions) -> Result<Self> {
        options.check()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(connection_threads())
            .enable_all()
            .thread_name("kithdb-http")
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(|error| {
            let advice = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "; another server may have it: stop that, or name another port"
                }
                std::io::ErrorKind::PermissionDenied => "; low ports need a right of their own: name another",
                _ => "",
            };
            let message = format!("cannot listen on {}: {error}{advice}", options.listen);
            Error::new(ErrorKind::Io, message).with_field("listen").with_source(error)
        })?;
        let address = listener.local_addr()?;
        state.inner.hosts.listen_on(address);
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(sweep(state.clone()));
        let limits = Arc::new(options.limits.clone());
        let port = Port { router: router(&state), tls: options.tls.clone(), limits, state: state.clone() };
        let task = runtime.spawn(connections::serve(listener, port, stopped));
        Ok(Self { state, address, runtime, task, stop, stop_time_max: options.limits.stop_time_max })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the process is asked to end (SIGINT, SIGTERM).
    ///
    /// # Errors
    /// `Io` when signals cannot be received.
    pub fn wait_for_signal(&self) -> Result<()> {
        self.runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (mut interrupt, mut terminate) =
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        })
    }

    /// Takes no more connections, ends what was begun, makes every write durable, closes the database.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn stop(self) -> Result<()> {
        let Self { state, runtime, task, stop, stop_time_max, .. } = self;
        // Nobody listens any more if it has ended by itself.
        let _ = stop.send(true);
        if runtime.block_on(async { timeout(stop_time_max, task).await }).is_err() {
            tracing::warn!("requests that did not end in time were broken off");
        }
        runtime.shutdown_timeout(stop_time_max);
        state.inner.lanes.settle(stop_time_max);
        state.database().flush()
    }
}

/// Threads that serve connections: what they do for a request is a fraction of what its call takes, which runs in a
/// lane. One that waits beside another is woken for most requests only to find that there is nothing left to do.
fn connection_threads() -> usize {
    available_parallelism().map_or(1, NonZero::get).div_ceil(CORES_PER_CONNECTION_THREAD)
}

/// Closes what nobody asks for any more, now and then; ends with the runtime.
pub(crate) async fn sweep(state: State) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        state.inner.cursors.sweep();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn serves_until_it_is_stopped_and_keeps_what_it_acknowledged() {
        let folder = tempfile::tempdir().expect("a folder");
        let options =
            ServeOptions { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..ServeOptions::default() };
        let start = || {
            let db = Database::open(folder.path()).expect("a database");
            Server::start(db, None, &options).expect("a server")
        };
        let server = start();
        let put =
            "PUT /collections/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
        assert!(ask(server.address(), put).contains("\"result\":true"));
        server.stop().expect("stopped");
        let server = start();
        let get = "GET /collections/a/exists HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = ask(server.address(), get);
        assert!(answer.contains("\"exists\":true") && answer.contains("kithdb-version"), "{answer}");
        let loose = "GET //collections/a/exists/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(ask(server.address(), loose).contains("\"exists\":true"));
        let wrong = "POST /collections/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(ask(server.address(), wrong).starts_with("HTTP/1.1 405"));
        let unknown = "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(ask(server.address(), unknown).contains("{\"status\":{\"error\":\"Not found: "));
        server.stop().expect("stopped");
    }

    #[test]
    fn other_machines_are_kept_out_without_a_key_unless_that_is_meant() {
        let db = Database::in_memory().expect("a database");
        let mut options =
            ServeOptions { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..ServeOptions::default() };
        let error = Server::start(db.clone(), None, &options).err().expect("refused");
        assert_eq!(error.field(), Some("listen"));
        options.is_open_to_all = true;
        Server::start(db.clone(), None, &options).expect("allowed").stop().expect("stopped");
        options.keys = Keys::new().full("secret").expect("a key");
        assert_eq!(options.check().expect_err("one or the other").field(), Some("no_auth"));
        options.is_open_to_all = false;
        Server::start(db, None, &options).expect("guarded").stop().expect("stopped");
    }
}
