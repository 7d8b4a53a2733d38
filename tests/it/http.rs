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
    /// The id of the request.
    pub(crate) id: Option<String>,
    pub(crate) body: Value,
}

/// No answer takes longer.
const WAIT_MAX: Duration = Duration::from_secs(30);

impl Running {
    pub(crate) fn over(db: Database) -> Self {
        Self::with(db, ServeOptions::default())
    }

    /// One that runs elsewhere.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { server: None, address }
    }

    /// A server with options of its own, but for where it listens.
    pub(crate) fn with(db: Database, options: ServeOptions) -> Self {
        let options = ServeOptions { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..options };
        let server = Server::start(db, None, &options).expect("a free port");
        Self { address: server.address(), server: Some(server) }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(method, path, body.as_bytes())
    }

    /// Asks with a further line of the head.
    pub(crate) fn ask_with(&self, line: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let head = self.head(method, path, "application/json", body.len());
        let (first, rest) = head.split_once("\r\n").expect("a first line");
        self.exchange(format!("{first}\r\n{line}\r\n{rest}").as_bytes(), body.as_bytes())
    }

    /// A connection, for bytes that no client would send.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(WAIT_MAX)).expect("a timeout");
        stream
    }

    /// Sends a body as it is.
    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send_as(method, path, "application/json", body)
    }

    /// Sends a body of another kind.
    pub(crate) fn send_as(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        self.exchange(self.head(method, path, kind, body.len()).as_bytes(), body)
    }

    fn head(&self, method: &str, path: &str, kind: &str, bytes: usize) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {bytes}\r\n\r\n",
            self.address
        )
    }

    /// A file, as it comes.
    pub(crate) fn fetch(&self, path: &str) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(self.head("GET", path, "text/plain", 0).as_bytes()).expect("the head is read");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let body = answer.split_off(end);
        let head = String::from_utf8(answer).expect("text");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        if header(&head, "transfer-encoding").as_deref() == Some("chunked") { joined(&body) } else { body }
    }

    /// Asks, and reads an answer that comes in pieces to its end.
    pub(crate) fn stream(&self, method: &str, path: &str, body: &Value) -> String {
        let body = body.to_string();
        let mut stream = self.connect();
        stream.write_all(self.head(method, path, "application/json", body.len()).as_bytes()).expect("sent");
        stream.write_all(body.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let is_chunked = header(&head, "transfer-encoding").as_deref() == Some("chunked");
        let body = if is_chunked { joined(&answer[end..]) } else { answer[end..].to_vec() };
        String::from_utf8(body).expect("text")
    }

    /// Asks, and goes away after a while, whatever has come by then.
    pub(crate) fn abandon_after(&self, method: &str, path: &str, body: &[u8], time: Duration) {
        let mut stream = self.connect();
        stream.write_all(self.head(method, path, "application/json", body.len()).as_bytes()).expect("sent");
        stream.write_all(body).expect("sent");
        std::thread::sleep(time);
    }

    /// Sends a part of a body that is said to be longer, and goes away.
    pub(crate) fn abandon(&self, method: &str, path: &str, kind: &str, bytes: usize, part: &[u8]) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.write_all(self.head(method, path, kind, bytes).as_bytes()).expect("the head is read");
        stream.write_all(part).expect("the part is read");
    }

    /// Sends bytes, whatever they are, and reads what comes back. A server may answer before it has read everything.
    pub(crate) fn exchange(&self, head: &[u8], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(head).expect("the head is read");
        // A body that is refused unread breaks off: then there is an answer all the same.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let mut block = [0; 8 << 10];
        while !is_whole(&answer) {
            match stream.read(&mut block) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => answer.extend_from_slice(&block[..bytes]),
            }
        }
        // What is not text is no answer that is looked into.
        parse(&String::from_utf8_lossy(&answer))
    }
}

/// A body that came in chunks, each behind its length; the last is empty.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n").expect("a length");
        let length =
            str::from_utf8(&chunks[..end]).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let length = length.expect("a length");
        if length == 0 {
            return body;
        }
        let (chunk, rest) = chunks[end + 2..].split_at(length);
        body.extend_from_slice(chunk);
        chunks = &rest[2..];
    }
}

/// Whether all is there that the head announces: the connection may stay open a while longer.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = header(head, "content-length").and_then(|length| length.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn header(head: &str, name: &str) -> Option<String> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: `{text}`"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (field, id) = (header(head, "kithdb-error-field"), header(head, "x-request-id"));
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Answer { status: status.unwrap_or_else(|| panic!("no status: `{head}`")), field, id, body }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().expect("the server stops and keeps what it acknowledged");
        }
    }
}
