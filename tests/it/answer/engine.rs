//! A serving engine of this process that does as it is told: answers, and every way of failing that was seen or
//! feared.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kithdb::Value;
use serde_json::json;

/// What the engine does with the next question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answers, word by word.
    Say(&'static str),
    /// Answers without a stream.
    SayWhole(&'static str),
    /// Answers without the mark of the end.
    SayAndClose(&'static str),
    /// Ends for this reason before it says anything.
    SayNothing(&'static str),
    /// Refuses: a status, further lines of the head, a body.
    Refuse(u16, &'static str, &'static str),
    /// Says something, then breaks off.
    Cut(&'static str),
    /// Says something, then an error.
    Fail(&'static str, &'static str),
    /// Says something that is no JSON.
    Babble,
    /// Says nothing for so long, then answers.
    Wait(Duration, &'static str),
    /// Says something, and nothing more for so long.
    Stall(&'static str, Duration),
    /// Says a word every few milliseconds, until nobody listens.
    Drip,
    /// As a reranker, finds that texts with this word answer the question, and others do not.
    Rank(&'static str),
}

/// The engine.
pub(crate) struct Fake {
    pub(crate) url: String,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    acts: Mutex<VecDeque<Act>>,
    /// Bodies of the questions.
    questions: Mutex<Vec<Value>>,
    /// Heads of all requests.
    heads: Mutex<Vec<String>>,
    hung_up: AtomicUsize,
    context: AtomicUsize,
    has_tokenizer: bool,
    /// Its tokenizer takes conversations as well.
    counts_messages: bool,
}

impl Fake {
    /// One that counts tokens as words, and has room for so many.
    pub(crate) fn start(context: usize, acts: &[Act]) -> Self {
        Self::with(Heard { has_tokenizer: true, context: context.into(), ..Heard::default() }, acts)
    }

    /// One that counts the tokens of conversations as well: four beside the words of each message.
    pub(super) fn counting_messages(context: usize) -> Self {
        let (has_tokenizer, counts_messages) = (true, true);
        Self::with(Heard { has_tokenizer, counts_messages, context: context.into(), ..Heard::default() }, &[])
    }

    /// One that tells nothing of its tokens.
    pub(super) fn without_tokenizer(context: usize, acts: &[Act]) -> Self {
        Self::with(Heard { context: context.into(), ..Heard::default() }, acts)
    }

    fn with(heard: Heard, acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let heard = Arc::new(heard);
        heard.acts.lock().expect("no panic").extend(acts.iter().copied());
        let own = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = Arc::clone(&own);
                thread::spawn(move || while let Some(()) = heard.serve(&stream) {});
            }
        });
        Self { url, heard }
    }

    /// What it was asked, the bodies.
    pub(super) fn questions(&self) -> Vec<Value> {
        self.heard.questions.lock().expect("no panic").clone()
    }

    /// The heads of everything that it was asked.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heard.heads.lock().expect("no panic").clone()
    }

    /// Waits until somebody stopped listening in the middle of an answer.
    pub(super) fn was_hung_up(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(5);
        while self.heard.hung_up.load(Ordering::SeqCst) == 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        self.heard.hung_up.load(Ordering::SeqCst) > 0
    }
}

impl Heard {
    /// Answers one request; nothing when the connection is at its end.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let (head, body) = request(stream)?;
        self.heads.lock().expect("no panic").push(head.clone());
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match path {
            "/v1/models" => {
                let context = self.context.load(Ordering::SeqCst);
                whole(
                    stream,
                    200,
                    "",
                    &json!({"data": [{"id": "fake", "max_model_len": context}]}).to_string(),
                )
            }
            "/tokenize" if self.counts_messages && body["messages"].is_array() => {
                let messages = body["messages"].as_array().into_iter().flatten();
                let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
                let count: usize = messages.map(|one| text(one).split_whitespace().count() + 4).sum();
                whole(stream, 200, "", &json!({"count": count, "tokens": []}).to_string())
            }
            "/tokenize" if self.has_tokenizer => {
                let words = body["content"].as_str().unwrap_or_default().split_whitespace().count();
                whole(stream, 200, "", &json!({"tokens": vec![0; words]}).to_string())
            }
            "/v1/chat/completions" => {
                self.questions.lock().expect("no panic").push(body);
                let act =
                    self.acts.lock().expect("no panic").pop_front().unwrap_or(Act::Say("I don't know."));
                self.act(stream, act)
            }
            "/v1/rerank" | "/rerank" => {
                self.questions.lock().expect("no panic").push(body.clone());
                match self.acts.lock().expect("no panic").pop_front() {
                    Some(Act::Rank(word)) => whole(stream, 200, "", &ranked(&body, word).to_string()),
                    Some(act) => self.act(stream, act),
                    None => whole(stream, 404, "", "{\"detail\":\"Not Found\"}"),
                }
            }
            _ => whole(stream, 404, "", "{\"detail\":\"Not Found\"}"),
        }
    }

    fn act(&self, mut stream: &TcpStream, act: Act) -> Option<()> {
        let delta = |text: &str| json!({"choices": [{"delta": {"content": text}}]}).to_string();
        match act {
            Act::Say(text) => say(stream, text).and_then(|()| end(stream)),
            Act::SayAndClose(text) => {
                say(stream, text)?;
                let last = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}).to_string();
                event(stream, &last).and(None)
            }
            Act::SayNothing(reason) => {
                begin(stream)?;
                let last = json!({"choices": [{"delta": {}, "finish_reason": reason}]}).to_string();
                event(stream, &last).and_then(|()| event(stream, "[DONE]")).and(None)
            }
            Act::SayWhole(text) => {
                let message = json!({"role": "assistant", "content": text});
                let usage = json!({"prompt_tokens": 9, "completion_tokens": 3});
                let choice = json!({"message": message, "finish_reason": "stop"});
                whole(stream, 200, "", &json!({"choices": [choice], "usage": usage}).to_string())
            }
            Act::Refuse(status, head, body) => whole(stream, status, head, body),
            Act::Cut(text) => say(stream, text).and(None),
            Act::Fail(text, error) => {
                say(stream, text)?;
                event(stream, error).and(None)
            }
            Act::Babble => begin(stream).and_then(|()| event(stream, "{\"choices\": oh")).and(None),
            Act::Wait(time, text) => {
                thread::sleep(time);
                say(stream, text).and_then(|()| end(stream))
            }
            Act::Stall(text, time) => {
                say(stream, text)?;
                thread::sleep(time);
                None
            }
            Act::Rank(_) => whole(stream, 404, "", "{\"detail\":\"Not Found\"}"),
            Act::Drip => {
                begin(stream)?;
                for _ in 0..2_000 {
                    if event(stream, &delta("drip. ")).is_none() || stream.flush().is_err() {
                        self.hung_up.fetch_add(1, Ordering::SeqCst);
                        return None;
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                None
            }
        }
    }
}

/// The answer of a reranker, in the shape that it was asked in, the best first.
fn ranked(body: &Value, word: &str) -> Value {
    let is_tei = body["texts"].is_array();
    let texts = if is_tei { &body["texts"] } else { &body["documents"] };
    let texts = texts.as_array().into_iter().flatten().enumerate();
    let score = |text: &Value| if text.as_str().is_some_and(|text| text.contains(word)) { 0.9 } else { 0.1 };
    let mut all: Vec<(usize, f64)> = texts.map(|(at, text)| (at, score(text))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    let told = |(at, score): (usize, f64)| match is_tei {
        true => json!({"index": at, "score": score}),
        false => json!({"index": at, "relevance_score": score}),
    };
    let all: Vec<Value> = all.into_iter().map(told).collect();
    if is_tei { json!(all) } else { json!({"model": "fake", "results": all}) }
}

fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut bytes) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
            bytes = length.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn write(mut stream: &TcpStream, text: &str) -> Option<()> {
    stream.write_all(text.as_bytes()).ok()
}

fn whole(stream: &TcpStream, status: u16, head: &str, body: &str) -> Option<()> {
    let length = body.len();
    let kind = "content-type: application/json";
    write(stream, &format!("HTTP/1.1 {status} x\r\n{kind}\r\n{head}content-length: {length}\r\n\r\n{body}"))
}

fn begin(stream: &TcpStream) -> Option<()> {
    write(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
}

fn event(stream: &TcpStream, text: &str) -> Option<()> {
    write(stream, &format!("data: {text}\n\n"))
}

fn say(stream: &TcpStream, text: &str) -> Option<()> {
    begin(stream)?;
    event(stream, &json!({"choices": [{"delta": {"role": "assistant", "content": null}}]}).to_string())?;
    for word in text.split_inclusive(' ') {
        event(
            stream,
            &json!({"choices": [{"delta": {"content": word}, "finish_reason": null}]}).to_string(),
        )?;
    }
    Some(())
}

fn end(stream: &TcpStream) -> Option<()> {
    let details = json!({"cached_tokens": 7});
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 5, "prompt_tokens_details": details});
    event(stream, &json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}).to_string())?;
    event(stream, &json!({"choices": [], "usage": usage}).to_string())?;
    // The connection says that it closes.
    event(stream, "[DONE]").and(None)
}
