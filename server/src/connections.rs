//! Connections: taken, bounded, answered over HTTP/1.1, with TLS or without.
//!
//! Invariant: who is slow holds a connection and nothing else. No thread waits for a client; a head, a body, a
//! handshake that does not come in time ends its connection, and so does idleness.
//! Cost: a task a connection.

use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::State;
use crate::limits::ServeLimits;
use crate::metrics::CONNECTIONS;
use crate::tls::Tls;

/// Who is told to come back is told so by so many at the same time; beyond that a connection just ends.
const TURNED_AWAY_MAX: usize = 64;

/// How long that may take.
const TURN_AWAY_TIME_MAX: Duration = Duration::from_secs(1);

/// When the system gives no more connections, because too many files are open, it is asked again after this.
const PAUSE: Duration = Duration::from_millis(100);

const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
                    connection: close\r\ncontent-length: 123\r\n\r\n\
                    {\"status\":{\"error\":\"Service unavailable: connections_max: there are as many connections as may \
                    be; try again in a moment\"}}";

/// What every connection to the port is served with.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) router: Router,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: Arc<ServeLimits>,
    pub(crate) state: State,
}

/// Takes connections until it is told to stop, and then waits until the last has ended.
pub(crate) async fn serve(listener: TcpListener, port: Port, mut stopped: watch::Receiver<bool>) {
    let count = port.limits.connections();
    let (places, turned_away) = (Arc::new(Semaphore::new(count)), Arc::new(Semaphore::new(TURNED_AWAY_MAX)));
    loop {
        let stream = tokio::select! {
            () = told(&mut stopped) => break,
            stream = accept(&listener) => stream,
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let (port, stopped) = (port.clone(), stopped.clone());
            tokio::spawn(async move {
                port.answer(stream, stopped).await;
                drop(place);
            });
        } else if port.tls.is_none()
            && let Ok(place) = Arc::clone(&turned_away).try_acquire_owned()
        {
            port.state.requests().refuse(CONNECTIONS);
            tokio::spawn(async move {
                // Who does not listen is not told.
                let _ = timeout(TURN_AWAY_TIME_MAX, turn_away(stream)).await;
                drop(place);
            });
        } else {
            port.state.requests().refuse(CONNECTIONS);
        }
    }
    drop(listener);
    let all = u32::try_from(count).unwrap_or(u32::MAX);
    // Every place is free again when the last connection has ended. The semaphore is never closed.
    let _ = places.acquire_many(all).await;
}

/// Has the system end a connection whose client takes nothing of what is sent.
#[cfg(target_os = "linux")]
fn end_when_stuck(stream: &TcpStream, time_max: Duration) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(time_max)) {
        tracing::debug!(%error, "a client that reads nothing is not noticed");
    }
}

#[cfg(not(target_os = "linux"))]
fn end_when_stuck(_: &TcpStream, _: Duration) {}

/// Until it is told to stop, or nobody is left who could.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                // One that ended before it was taken is its client's affair; no more files are ours, and that passes.
                if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A request without the slashes that say nothing. Clients that put addresses together send some, and the dialect
/// passes over them.
fn trimmed(mut request: Request<Incoming>) -> Request<Incoming> {
    if let Some(uri) = shortened(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

/// An address without slashes at the end of its path, or two in a row; nothing if it has none.
fn shortened(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let has_none = !path.contains("//") && (path.len() == 1 || !path.ends_with('/'));
    if has_none {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut all = uri.clone().into_parts();
    all.path_and_query = Some(format!("/{}{query}", parts.join("/")).parse().ok()?);
    Uri::from_parts(all).ok()
}

/// Says that there is no place, and reads a while, so that the client sees it.
async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(FULL.as_bytes()).await?;
    stream.shutdown().await?;
    let mut block = [0; 1024];
    while stream.read(&mut block).await? > 0 {}
    Ok(())
}

impl Port {
    async fn answer(self, stream: TcpStream, stopped: watch::Receiver<bool>) {
        // Only slower without it.
        let _ = stream.set_nodelay(true);
        end_when_stuck(&stream, self.limits.send_time_max);
        match &self.tls {
            None => self.answer_over(stream, stopped).await,
            Some(tls) => match timeout(self.limits.head_time_max, tls.acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.answer_over(stream, stopped).await,
                Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
                Err(_) => tracing::debug!("a handshake took too long"),
            },
        }
    }

    async fn answer_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        mut stopped: watch::Receiver<bool>,
    ) {
        let service = TowerToHyperService::new(self.router.clone().map_request(trimmed));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.limits.head_time_max);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = told(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_that_say_nothing_are_passed_over() {
        for (given, expected) in [
            ("/", None),
            ("/collections", None),
            ("/collections/a%2F?x=//", None),
            ("/collections/", Some("/collections")),
            ("//collections//a/?timeout=1", Some("/collections/a?timeout=1")),
            ("//", Some("/")),
            ("http://host/collections/", Some("http://host/collections")),
        ] {
            let short = shortened(&given.parse().expect(given));
            assert_eq!(short.map(|uri| uri.to_string()).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn who_is_turned_away_gets_a_whole_answer() {
        let (head, body) = FULL.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
}
