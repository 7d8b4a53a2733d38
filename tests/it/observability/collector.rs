//! A collector of traces, the smallest there can be: takes OTLP over HTTP, and reads as much of its protobuf as it
//! takes to know spans.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A span that was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) name: String,
    /// 1 within a process, 2 of a server, 3 of a client.
    pub(super) kind: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: BTreeMap<String, String>,
    /// Those of the attributes that came as integers.
    pub(super) integers: BTreeSet<String>,
}

pub(super) struct Collector {
    pub(super) address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
}

const WAIT_MAX: Duration = Duration::from_secs(20);

impl Collector {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
                while let Some(body) = request(&mut reader) {
                    kept.lock().expect("no panic").extend(spans(&body));
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                    if (&stream).write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, sent }
    }

    /// Waits until spans were sent that pass; all that were.
    pub(super) fn wait(&self, passes: impl Fn(&[Sent]) -> bool) -> Vec<Sent> {
        let began = Instant::now();
        loop {
            let sent = self.sent.lock().expect("no panic").clone();
            if passes(&sent) {
                return sent;
            }
            assert!(began.elapsed() < WAIT_MAX, "not sent; only {sent:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn all(&self) -> Vec<Sent> {
        self.sent.lock().expect("no panic").clone()
    }
}

/// The body of the next request; nothing at the end.
fn request(reader: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
    let (mut length, mut first) = (0, true);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if std::mem::take(&mut first) {
            assert!(line.starts_with("POST /v1/traces HTTP/1.1"), "{line}");
        }
        let (name, value) = line.trim_end().split_once(':').unwrap_or(("", ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a length"),
            "content-type" => assert_eq!(value.trim(), "application/x-protobuf"),
            "" if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// A field of a message: a number, or bytes.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut message)),
            1 => Field::Number(u64::from_le_bytes(take(&mut message, 8).try_into().expect("8 bytes"))),
            2 => {
                let length = varint(&mut message) as usize;
                Field::Bytes(take(&mut message, length))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut message, 4).try_into().expect("4 bytes")).into()),
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = message.split_at(length);
    *message = rest;
    taken
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The messages in a field of a message.
fn within(message: &[u8], number: u64) -> Vec<&[u8]> {
    let of = |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of).collect()
}

/// All spans of an export: resources, scopes, spans.
fn spans(export: &[u8]) -> Vec<Sent> {
    let scopes = within(export, 1).into_iter().flat_map(|resource| within(resource, 2));
    scopes.flat_map(|scope| within(scope, 2)).map(span).collect()
}

fn span(message: &[u8]) -> Sent {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut sent = Sent::default();
    for (number, field) in fields(message) {
        match (number, field) {
            (1, Field::Bytes(bytes)) => sent.trace = hex(bytes),
            (2, Field::Bytes(bytes)) => sent.id = hex(bytes),
            (4, Field::Bytes(bytes)) => sent.parent = hex(bytes),
            (5, Field::Bytes(bytes)) => sent.name = String::from_utf8_lossy(bytes).into_owned(),
            (6, Field::Number(kind)) => sent.kind = kind,
            (7, Field::Number(ns)) => sent.start_ns = ns,
            (8, Field::Number(ns)) => sent.end_ns = ns,
            (9, Field::Bytes(bytes)) => {
                let (key, value, is_integer) = attribute(bytes);
                if is_integer {
                    sent.integers.insert(key.clone());
                }
                sent.attributes.insert(key, value);
            }
            _ => {}
        }
    }
    sent
}

/// The key and the value of an attribute, and whether that is an integer.
fn attribute(message: &[u8]) -> (String, String, bool) {
    let key = within(message, 1).first().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let value = within(message, 2).first().and_then(|value| fields(value).pop());
    let (value, is_integer) = match value {
        None => (String::new(), false),
        Some((1, Field::Bytes(text))) => (String::from_utf8_lossy(text).into_owned(), false),
        Some((kind, Field::Number(number))) => (number.to_string(), kind == 3),
        Some(_) => ("?".to_owned(), false),
    };
    (key.expect("a key"), value, is_integer)
}
