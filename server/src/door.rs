//! Every route without a port, for a process that embeds the database: requests go to the router by a call.
//!
//! The dialect is translated in one place, so whatever the routes can do such a process can do, with the same errors.
//! What is too large for JSON goes beside it: the vectors of a [`Question`], the points of an upsert.
//!
//! Cost: a request changes threads twice, about 30 µs, and its body is JSON both ways. A question and an upsert stay on
//! the thread that asks.
//! When not to use: in Rust. The embedded database has the same without JSON.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::http::{HeaderName, Method, Request, Response};
use kithdb::{Database, Error, ErrorKind, Point, Receipt, Result, Value};
use rag::{Embedder, Engine};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tower::ServiceExt as _;

use crate::access::Rights;
use crate::error::{FIELD_HEADER, KIND_HEADER};
use crate::serve::sweep;
use crate::strict::Strict;
use crate::wire::collection;
use crate::wire::point::Upsert;
use crate::wire::query::QueryBody;
pub use crate::wire::question::{Found, PlainHit, Question};
use crate::wire::translate::Translator;
use crate::{ServeLimits, ServeOptions, State, router, wire};

/// No request takes so long.
const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is computed when it is let go of is waited for, so long at most.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of an answer in pieces that wait to be taken: an export may be larger than memory.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// The routes over a database in this process.
pub struct Door {
    state: State,
    router: Router,
    runtime: Runtime,
}

/// What a route answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Of an error: its kind, as [`ErrorKind::name`] spells it.
    pub kind: Option<String>,
    /// Of an error: the field at fault.
    pub field: Option<String>,
    /// The body, JSON with most routes.
    pub body: Vec<u8>,
}

/// An answer on its way. It is worked out whether anybody waits for it or not.
pub struct Answering(Receiver<Answer>);

impl Answering {
    /// Waits for the answer, so long at most; nothing if it is not there yet.
    ///
    /// # Errors
    /// `Internal` when the request was broken off.
    pub fn wait(&self, time_max: Duration) -> Result<Option<Answer>> {
        received(&self.0, time_max)
    }
}

/// An answer that comes in pieces. Whoever lets go of it breaks it off.
pub struct Streaming {
    pieces: Receiver<Answer>,
    /// A place for each byte that waits.
    room: Arc<Semaphore>,
    task: AbortHandle,
}

impl Streaming {
    /// Waits for the next piece, so long at most; nothing if it is not there yet. The body of the last one is empty. An
    /// answer that says what is wrong is a single piece.
    ///
    /// # Errors
    /// `Internal` when the answer was broken off, or is over.
    pub fn wait(&self, time_max: Duration) -> Result<Option<Answer>> {
        let piece = received(&self.pieces, time_max)?;
        if let Some(piece) = &piece {
            self.room.add_permits(places(&piece.body));
        }
        Ok(piece)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn received(receiver: &Receiver<Answer>, time_max: Duration) -> Result<Option<Answer>> {
    match receiver.recv_timeout(time_max) {
        Ok(answer) => Ok(Some(answer)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::new(ErrorKind::Internal, "the request was broken off; please report it"))
        }
    }
}

impl Door {
    /// The routes over a database. With an embedder, questions may be given as text; with an engine, answers are
    /// written, without one they are quotes.
    ///
    /// # Errors
    /// `Io` when there are no threads to be had.
    pub fn new(db: Database, embedder: Option<Embedder>, engine: Option<Arc<Engine>>) -> Result<Self> {
        Self::with(db, embedder, ServeOptions { engine, ..ServeOptions::default() })
    }

    /// The routes over a database, with what a server has beside it: what ranks passages, say. How it would be reached
    /// counts for nothing.
    ///
    /// # Errors
    /// As for [`Door::new`].
    pub fn with(db: Database, embedder: Option<Embedder>, beside: ServeOptions) -> Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_time().thread_name("kithdb-door").build()?;
        // Who asks in this process waits as long as it wants to, and takes each answer at once: nothing is held for it.
        let limits =
            ServeLimits { request_time_max: TIME_MAX, bodies_bytes_max: usize::MAX, ..beside.limits };
        let state = State::new(db, embedder, &ServeOptions { limits, ..beside });
        runtime.spawn(sweep(state.clone()));
        Ok(Self { router: router(&state), state, runtime })
    }

    /// What the routes work on.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The model that texts are embedded by, as a vector of a new collection names the one that it is bound to.
    pub fn model(&self) -> Option<Value> {
        self.state.embedder().map(|embedder| collection::model(embedder.identity()))
    }

    /// Sends a request: a method, a path with its parameters, and a body.
    ///
    /// # Errors
    /// `InvalidArgument` naming `method` or `path`.
    pub fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answering> {
        let routed = self.router.clone().oneshot(request(method, path, body)?);
        let (sender, receiver) = mpsc::channel();
        self.runtime.spawn(async move {
            // Nobody may wait any more.
            let _ = sender.send(read(routed.await.unwrap_or_else(|never| match never {})).await);
        });
        Ok(Answering(receiver))
    }

    /// Sends a request whose answer is taken as it comes.
    ///
    /// # Errors
    /// As for [`Door::ask`].
    pub fn stream(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Streaming> {
        let routed = self.router.clone().oneshot(request(method, path, body)?);
        let (sender, pieces) = mpsc::channel();
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let left = Arc::clone(&room);
        let task = self.runtime.spawn(async move {
            pass_on(routed.await.unwrap_or_else(|never| match never {}), sender, &left).await;
        });
        Ok(Streaming { pieces, room, task: task.abort_handle() })
    }

    /// Reads a question, the body of `points/query`, of the collection's present state.
    ///
    /// # Errors
    /// As for the route.
    pub fn question(&self, collection: &str, body: &[u8]) -> Result<Question> {
        let (db, embedder) = (self.state.database(), self.state.embedder());
        let collection = db.collection(collection)?;
        let strict = Strict::of(&collection, &self.state.inner.rates);
        let rights = &Rights::Manage;
        let translator = Translator { db, collection: &collection, embedder, rights, deadline: None, strict };
        wire::parse::<QueryBody>(body)?.into_question(&translator)
    }

    /// Writes points as the body of an upsert says, whose own `points` are empty.
    ///
    /// # Errors
    /// As for the route.
    pub fn upsert(&self, collection: &str, body: &[u8], points: Vec<Point>) -> Result<Receipt> {
        let collection = self.state.database().collection(collection)?;
        let strict = Strict::of(&collection, &self.state.inner.rates);
        wire::parse::<Upsert>(body)?.into_writes_of(points)?.run(&collection, &strict)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Who lets go of it may open the directory again.
        self.state.inner.lanes.settle(SETTLE_TIME_MAX);
    }
}

fn request(method: &str, path: &str, body: Vec<u8>) -> Result<Request<Body>> {
    let method = method.parse::<Method>().map_err(|error| {
        Error::invalid("method", format!("`{method}` is no method of HTTP")).with_source(error)
    })?;
    Request::builder().method(method).uri(path).body(Body::from(body)).map_err(|error| {
        Error::invalid("path", format!("`{path}` is no path; encode its parts with %")).with_source(error)
    })
}

async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let header = |name: &HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let (kind, field) = (header(&KIND_HEADER), header(&FIELD_HEADER));
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => Answer { status: parts.status.as_u16(), kind, field, body: bytes.into() },
        Err(error) => broken(&error),
    }
}

/// The places of a piece in the room for those that wait.
fn places(piece: &[u8]) -> usize {
    piece.len().min(WAITING_BYTES_MAX)
}

/// Sends an answer in pieces, as there is room for them, and an empty one behind them. Nobody may take them any more.
async fn pass_on(response: Response<Body>, sender: Sender<Answer>, room: &Semaphore) {
    let status = response.status();
    if !status.is_success() {
        let _ = sender.send(read(response).await);
        return;
    }
    let mut body = response.into_body();
    loop {
        let piece: Vec<u8> = match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            // Trailers are none.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if !bytes.is_empty() => bytes.into(),
                _ => continue,
            },
            Some(Err(error)) => {
                let _ = sender.send(broken(&error));
                return;
            }
            None => Vec::new(),
        };
        let is_last = piece.is_empty();
        let taken = u32::try_from(places(&piece)).unwrap_or(u32::MAX);
        // Given back when the piece is taken. Nobody closes it.
        let Ok(permits) = room.acquire_many(taken).await else { return };
        permits.forget();
        let sent = sender.send(Answer { status: status.as_u16(), body: piece, ..Answer::default() });
        if sent.is_err() || is_last {
            return;
        }
    }
}

fn broken(error: &axum::Error) -> Answer {
    let kind = Some(ErrorKind::Io.name().to_owned());
    Answer { status: 500, kind, field: None, body: error.to_string().into_bytes() }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use kithdb::{Metric, Schema};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn door() -> Door {
        let db = Database::in_memory().expect("a database");
        db.create_collection("c", Schema::new().vector(2, Metric::Dot)).expect("a collection");
        Door::new(db, None, None).expect("a door")
    }

    fn ask(door: &Door, method: &str, path: &str, body: &str) -> Answer {
        let answering = door.ask(method, path, body.as_bytes().to_vec()).expect("asked");
        answering.wait(LONG).expect("not broken off").expect("in time")
    }

    #[test]
    fn a_route_answers_as_it_does_over_http() {
        let door = door();
        let answer = ask(&door, "GET", "/collections/c/exists", "");
        assert_eq!((answer.status, answer.kind), (200, None));
        assert!(String::from_utf8_lossy(&answer.body).contains("\"exists\":true"));
        let answer = ask(&door, "PUT", "/collections/c/points", r#"{"points": [{"id": 1, "vector": [1]}]}"#);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.kind.as_deref(), Some("invalid_argument"));
        assert_eq!(answer.field.as_deref(), Some("points[0].vector"));
        assert_eq!(door.ask("G T", "/", Vec::new()).err().expect("refused").field(), Some("method"));
        assert_eq!(door.ask("GET", "a b", Vec::new()).err().expect("refused").field(), Some("path"));
    }

    /// Threads with large answers at once were told that the server is busy.
    #[test]
    fn what_is_sent_within_a_process_waits_for_no_room() {
        let limits = ServeLimits { bodies_bytes_max: 0, ..ServeLimits::default() };
        let beside = ServeOptions { limits, ..ServeOptions::default() };
        let door = Door::with(Database::in_memory().expect("a database"), None, beside).expect("a door");
        let body = format!(r#"{{"vectors": {{"size": 1, "distance": "Dot"}}{}}}"#, " ".repeat(3 << 20));
        let answer = ask(&door, "PUT", "/collections/d", &body);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    #[test]
    fn an_answer_may_be_taken_in_pieces() {
        let door = door();
        let pieces = |method: &str, path: &str| {
            let streaming = door.stream(method, path, Vec::new()).expect("asked");
            let mut taken = Vec::new();
            loop {
                let piece = streaming.wait(LONG).expect("not broken off").expect("in time");
                let is_last = piece.body.is_empty() || piece.status >= 400;
                taken.push(piece);
                if is_last {
                    assert!(streaming.wait(LONG).is_err(), "nothing comes behind the last one");
                    return taken;
                }
            }
        };
        let taken = pieces("GET", "/collections/c/exists");
        let whole: Vec<u8> = taken.iter().flat_map(|piece| piece.body.clone()).collect();
        assert!(String::from_utf8_lossy(&whole).contains("\"exists\":true"));
        assert!(taken.iter().all(|piece| piece.status == 200));
        let refused = pieces("GET", "/collections/none");
        assert_eq!((refused.len(), refused[0].status), (1, 404));
        assert_eq!(refused[0].kind.as_deref(), Some("not_found"));
        drop(door.stream("GET", "/collections", Vec::new()).expect("given up at once"));
    }

    /// What had not been taken was kept: an export into a slow file had all of it in memory.
    #[test]
    fn no_more_of_an_answer_waits_than_there_is_room_for() {
        let (door, text_bytes) = (door(), 2 << 20);
        for id in 0..12_u64 {
            let point = Point::new(id).vector([1.0, 0.0]).with("text", "x".repeat(text_bytes));
            door.upsert("c", br#"{"points": []}"#, vec![point]).expect("written");
        }
        let path = "/api/v1/collections/c/export?format=jsonl";
        let streaming = door.stream("GET", path, Vec::new()).expect("asked");
        let until = Instant::now() + LONG;
        while streaming.room.available_permits() > 2 * text_bytes {
            assert!(Instant::now() < until, "{} left", streaming.room.available_permits());
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(200));
        let (mut bytes, mut waited) = (0, 0);
        for piece in streaming.pieces.try_iter() {
            (bytes, waited) = (bytes + piece.body.len(), waited + places(&piece.body));
        }
        assert!(bytes <= WAITING_BYTES_MAX, "{bytes} bytes wait");
        streaming.room.add_permits(waited);
        loop {
            let piece = streaming.wait(LONG).expect("not broken off").expect("in time");
            bytes += piece.body.len();
            if piece.body.is_empty() {
                break;
            }
        }
        assert!(bytes > 12 * text_bytes, "all of it comes: {bytes}");
    }

    #[test]
    fn vectors_go_beside_the_json() {
        let door = door();
        let points = (1..4_u64).map(|id| Point::new(id).vector([id as f32, 0.0])).collect();
        door.upsert("c", br#"{"points": []}"#, points).expect("written");
        let question = door.question("c", br#"{"query": [], "limit": 2}"#).expect("a question");
        let found = question.ranked(&[1.0, 0.0]).expect("hits");
        assert_eq!(found, [(3.into(), 3.0), (2.into(), 2.0)]);
        let found = serde_json::to_value(question.answer(Some(&[-1.0, 0.0])).expect("an answer"));
        assert_eq!(found.expect("JSON")["points"][0]["id"], 1);
        let error = question.answer(Some(&[1.0])).expect_err("refused");
        assert_eq!(error.field(), Some("query"));
        let whole = door.question("c", br#"{"query": [1, 0]}"#).expect("a question");
        assert_eq!(whole.answer(Some(&[1.0, 0.0])).expect_err("refused").field(), Some("query"));
    }

    #[test]
    fn hits_are_plain_where_there_is_nothing_else_to_tell() {
        let door = door();
        let point = Point::new(7).vector([2.0, 0.0]).with("n", 1);
        door.upsert("c", br#"{"points": []}"#, vec![point]).expect("written");
        let found = |body: &str| {
            let question = door.question("c", body.as_bytes()).expect("a question");
            question.answer(Some(&[1.0, 0.0])).expect("an answer")
        };
        let payloads = |found: &Found| -> Option<Vec<Option<Value>>> {
            let plain = found.plain()?;
            assert!(plain.iter().all(|hit| (hit.id, hit.score) == (kithdb::PointId::Num(7), 2.0)));
            Some(plain.iter().map(|hit| hit.payload.cloned().map(Value::Object)).collect())
        };
        assert_eq!(payloads(&found(r#"{"query": []}"#)), Some(vec![None]));
        let shown = payloads(&found(r#"{"query": [], "with_payload": true}"#));
        assert_eq!(shown, Some(vec![Some(serde_json::json!({"n": 1}))]));
        for other in ["with_vector", "explain"] {
            assert_eq!(payloads(&found(&format!(r#"{{"query": [], "{other}": true}}"#))), None, "{other}");
        }
    }

    #[test]
    fn an_upsert_keeps_its_conditions() {
        let door = door();
        let point = |x: f32| vec![Point::new(1).vector([x, 0.0])];
        door.upsert("c", br#"{"points": []}"#, point(1.0)).expect("written");
        let body = br#"{"points": [], "update_mode": "insert_only"}"#;
        door.upsert("c", body, point(2.0)).expect("passed over");
        let question = door.question("c", br#"{"query": [1, 0]}"#).expect("a question");
        let found = serde_json::to_value(question.answer(None).expect("an answer")).expect("JSON");
        assert_eq!(found["points"][0]["score"], 1.0);
        let error = door.upsert("c", br#"{"points": []}"#, vec![Point::new(1).vector([1.0])]);
        assert_eq!(error.expect_err("refused").field(), Some("points[0].vector"));
    }
}
