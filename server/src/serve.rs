//! A server from its first connection to its last.
//!
//! Invariant: a request that was accepted is answered, also when the server stops, within a bound; then every
//! acknowledged write is made durable and the database closes.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt;
use kithdb::{Database, Error, ErrorKind, Result};
use rag::Embedder;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::{State, router};

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Listen on an address that other machines reach. There is no authentication.
    pub is_remote_allowed: bool,
    /// Requests have so long to end when the server stops.
    pub stop_time_max: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6333)),
            is_remote_allowed: false,
            stop_time_max: Duration::from_secs(30),
        }
    }
}

impl ServeOptions {
    /// Checks the address, before anything takes time.
    ///
    /// # Errors
    /// `InvalidArgument` on `listen` when other machines reach the address and that was not allowed.
    pub fn check(&self) -> Result<()> {
        let ip = self.listen.ip();
        if ip.is_loopback() || self.is_remote_allowed {
            return Ok(());
        }
        let message = format!(
            "{ip} can be reached from other machines, and there is no authentication yet; listen on 127.0.0.1, or \
             say --allow-remote if something in front of the server guards it"
        );
        Err(Error::invalid("listen", message))
    }
}

/// A server that runs.
pub struct Server {
    db: Database,
    address: SocketAddr,
    runtime: Runtime,
    task: JoinHandle<std::io::Result<()>>,
    stop: oneshot::Sender<()>,
    stop_time_max: Duration,
}

/// Between two looks for cursors that nobody asks.
const SWEEP: Duration = Duration::from_secs(10);

impl Server {
    /// Starts to serve a database, on threads of its own.
    ///
    /// # Errors
    /// `InvalidArgument` on `listen` when the address is not of this machine alone and that was not allowed; `Io` when
    /// it is taken.
    pub fn start(db: Database, embedder: Option<Embedder>, options: &ServeOptions) -> Result<Self> {
        Self::start_on(State::new(db, embedder), options)
    }

    /// Starts to serve a state, which the process may use beside it.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_on(state: State, options: &ServeOptions) -> Result<Self> {
        options.check()?;
        let runtime = Builder::new_multi_thread().enable_all().thread_name("kithdb-http").build()?;
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(|error| {
            let message = format!("cannot listen on {}: {error}", options.listen);
            Error::new(ErrorKind::Io, message).with_field("listen").with_source(error)
        })?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // Only slower without it.
            let _ = stream.set_nodelay(true);
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let db = state.database().clone();
        runtime.spawn(sweep(state.clone()));
        let served = axum::serve(listener, router(state));
        let served = served.with_graceful_shutdown(async {
            // Stops as well when the sender is gone.
            let _ = stopped.await;
        });
        let task = runtime.spawn(async move { served.await });
        Ok(Self { db, address, runtime, task, stop, stop_time_max: options.stop_time_max })
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
        let Self { db, runtime, task, stop, stop_time_max, .. } = self;
        // It may have ended by itself.
        let _ = stop.send(());
        if runtime.block_on(async { timeout(stop_time_max, task).await }).is_err() {
            tracing::warn!("requests that did not end in time were broken off");
        }
        runtime.shutdown_timeout(stop_time_max);
        db.flush()
    }
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
        let wrong = "POST /collections/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(ask(server.address(), wrong).starts_with("HTTP/1.1 405"));
        let unknown = "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(ask(server.address(), unknown).contains("{\"status\":{\"error\":\"Not found: "));
        server.stop().expect("stopped");
    }

    #[test]
    fn other_machines_are_kept_out_unless_allowed() {
        let db = Database::in_memory().expect("a database");
        let mut options =
            ServeOptions { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..ServeOptions::default() };
        let error = Server::start(db.clone(), None, &options).err().expect("refused");
        assert_eq!(error.field(), Some("listen"));
        options.is_remote_allowed = true;
        Server::start(db, None, &options).expect("allowed").stop().expect("stopped");
    }
}
