//! An embedding server for tests, in this process, that misbehaves as it is told: an answer a request, in order.
//!
//! A text's vector follows from its hash, so every test knows what must come back.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Elements of its vectors.
pub(crate) const DIM: usize = 8;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A status, header lines and a body.
    Say(u16, &'static str, &'static str),
    /// Closes the connection in the midst of the answer.
    BreakOff,
    /// Says nothing for so long.
    Sleep(Duration),
    /// The vectors of another model.
    WrongDim,
    /// Refuses more texts than this by 413.
    AtMost(usize),
}

/// What it was asked.
#[derive(Default)]
pub(crate) struct Log {
    /// Bodies, in order, with the path and the key in front.
    pub(crate) requests: Mutex<Vec<(String, String, Value)>>,
    /// Their heads, in lower case.
    pub(crate) heads: Mutex<Vec<String>>,
    /// The most requests that were there at the same time.
    pub(crate) at_once_max: AtomicUsize,
    at_once: AtomicUsize,
}

/// Starts it: its address and what it is asked. Requests beyond the acts are answered as they should be.
pub(crate) fn start(acts: Vec<Act>) -> (String, Arc<Log>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let log = Arc::new(Log::default());
    let acts = Arc::new(Mutex::new(VecDeque::from(acts)));
    let kept = Arc::clone(&log);
    // It ends with the process: tests are short.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (log, acts) = (Arc::clone(&kept), Arc::clone(&acts));
            thread::spawn(move || while answer(&stream, &log, &acts).is_some() {});
        }
    });
    (url, log)
}

/// The vector of a text.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    let hash = super::cache::key(text);
    hash[..DIM].iter().map(|byte| f32::from(*byte) + 1.0).collect()
}

fn answer(stream: &TcpStream, log: &Log, acts: &Mutex<VecDeque<Act>>) -> Option<()> {
    let (path, key, body) = read(stream, log)?;
    let now = log.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    log.at_once_max.fetch_max(now, Ordering::SeqCst);
    log.requests.lock().expect("a log").push((path.clone(), key, body.clone()));
    let act = acts.lock().expect("acts").pop_front();
    let outcome = perform(stream, act.as_ref(), &path, &body);
    log.at_once.fetch_sub(1, Ordering::SeqCst);
    outcome
}

fn perform(mut stream: &TcpStream, act: Option<&Act>, path: &str, body: &Value) -> Option<()> {
    let texts: Vec<&str> = [&body["input"], &body["inputs"]]
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut send = |status: u16, headers: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).ok()
    };
    let dim = if matches!(act, Some(Act::WrongDim)) { DIM + 1 } else { DIM };
    match act {
        Some(Act::Say(status, headers, body)) => return send(*status, headers, body),
        Some(Act::BreakOff) => {
            // The length promises more than comes.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"data\":[{");
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        }
        Some(Act::AtMost(most)) if texts.len() > *most => return send(413, "", "too many"),
        Some(Act::Sleep(time)) => thread::sleep(*time),
        _ => thread::sleep(Duration::from_millis(20)),
    }
    let mut vectors: Vec<Vec<f32>> = texts.iter().map(|text| vector(text)).collect();
    vectors.iter_mut().for_each(|vector| vector.resize(dim, 1.0));
    let answer = if path.ends_with("/embed") {
        json!(vectors)
    } else {
        let data = vectors.iter().enumerate().rev();
        json!({"data": data.map(|(at, vector)| json!({"index": at, "embedding": vector})).collect::<Vec<_>>()})
    };
    send(200, "content-type: application/json\r\n", &answer.to_string())
}

/// Path, key and body of the next request; nothing at the end of the connection.
fn read(stream: &TcpStream, log: &Log) -> Option<(String, String, Value)> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut key, mut length) = (String::new(), String::new(), 0);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        head.push_str(&line.to_ascii_lowercase());
        let line = line.trim_end();
        if path.is_empty() {
            path = line.split(' ').nth(1)?.to_owned();
        } else if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "authorization" => value.clone_into(&mut key),
                _ => {}
            }
        } else if line.is_empty() {
            break;
        }
    }
    log.heads.lock().expect("a log").push(head);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, key, serde_json::from_slice(&body).ok()?))
}
