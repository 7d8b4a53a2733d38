//! A server in this process, and the smallest client that can talk to it: one connection a request.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use kithdb::{Database, Value};
use server::{ServeOptions, Server};

/// A server that runs, on a port of its own.
pub(crate) struct Running {
    server: Option<Server>,
    address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The field that the error names.
    pub(crate) field: Option<String>,
    pub(crate) body: Value,
}

/// No answer takes longer.
const WAIT_MAX: Duration = Duration::from_secs(30);

impl Running {
    pub(crate) fn over(db: Database) -> Self {
        let options =
            ServeOptions { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..ServeOptions::default() };
        let server = Server::start(db, None, &options).expect("a free port");
        Self { address: server.address(), server: Some(server) }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(method, path, body.as_bytes())
    }

    /// Sends a body as it is.
    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.exchange(head.as_bytes(), body)
    }

    /// Sends bytes, whatever they are, and reads what comes back. A server may answer before it has read everything.
    pub(crate) fn exchange(&self, head: &[u8], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a timeout");
        stream.write_all(head).expect("the head is read");
        // A body that is refused unread breaks off: then there is an answer all the same.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let mut block = [0; 8 << 10];
        while let Ok(bytes) = stream.read(&mut block) {
            if bytes == 0 {
                break;
            }
            answer.extend_from_slice(&block[..bytes]);
        }
        parse(&String::from_utf8(answer).expect("text"))
    }
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: `{text}`"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let field = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("kithdb-error-field").then(|| value.to_owned())
    });
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Answer { status: status.unwrap_or_else(|| panic!("no status: `{head}`")), field, body }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().expect("the server stops and keeps what it acknowledged");
        }
    }
}
