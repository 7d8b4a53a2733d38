//! The one way from a request to an answer: it is read up to its limits, answered in a lane until its deadline, and put
//! into the envelope of its dialect.
//!
//! Invariant: nothing is answered without the rights that the guard has found. Time counts from the end of the body, so
//! that a slow client takes none from the engine; a function of a route never runs on a thread that serves connections.
//! When not to use: for bodies or answers that are too large to hold; their handlers take them as streams.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Query, RawPathParams, Request, State as Shared};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, RequestExt};
use kithdb::{Collection, Error, ErrorKind, Receipt, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument as _, Span};

use crate::State;
use crate::access::Rights;
use crate::body::{Allowance, Held};
use crate::error::Refusal;
use crate::lanes::Lane;
use crate::observe::RequestId;
use crate::state::{Inner, LINGERING_MAX};
use crate::strict::Strict;
use crate::weigh::Part;
use crate::wire::point::Updated;
use crate::wire::translate::Translator;
use crate::{body, error, limits, wire};

/// A request on its way to the database.
pub(super) struct Call {
    pub(super) state: Arc<Inner>,
    /// Of who sent it.
    pub(super) rights: Rights,
    /// When it must be answered.
    deadline: Instant,
    /// The time that it gave itself.
    timeout_s: Option<u64>,
    uri: Uri,
    path: Vec<(String, String)>,
    content_type: String,
    body: Held,
    /// What it takes once it is read.
    tree: Arc<Part>,
    request_id: RequestId,
    /// Where the client thinks that it is.
    host: Option<String>,
}

/// What stands around an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// The envelope of the dialect.
    Enveloped,
    /// Nothing.
    Bare,
}

#[derive(Deserialize)]
struct Timeout {
    /// In seconds.
    timeout: Option<u64>,
}

/// What the dialect lets a request say of replicas, of which there are none, and of waiting, which is looked at again
/// only by what takes long.
#[derive(Deserialize)]
struct Idle {
    wait: Option<String>,
    ordering: Option<String>,
    consistency: Option<String>,
}

impl Idle {
    /// Checks that it means something.
    ///
    /// # Errors
    /// `InvalidArgument` naming the parameter.
    fn check(&self) -> Result<()> {
        if self.wait.as_deref().is_some_and(|word| !["true", "false"].contains(&word)) {
            return Err(Error::invalid("wait", "must be true or false"));
        }
        if self.ordering.as_deref().is_some_and(|word| !["weak", "medium", "strong"].contains(&word)) {
            return Err(Error::invalid("ordering", "must be weak, medium or strong"));
        }
        match self.consistency.as_deref() {
            // Of the three this one may be empty in the dialect.
            None | Some("" | "majority" | "quorum" | "all") => Ok(()),
            Some(count) => match count.parse::<u64>() {
                Ok(0) => Err(Refusal::Query.of("consistency", "value 0 invalid, must be 1 or larger")),
                Ok(_) => Ok(()),
                Err(_) => {
                    let message = "must be majority, quorum, all, or a whole number, 1 or more";
                    Err(Error::invalid("consistency", message))
                }
            },
        }
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    result: T,
    status: &'static str,
    time: f64,
}

impl Call {
    /// The collection that the path names.
    ///
    /// # Errors
    /// `NotFound`; bad request when the collection refuses a `timeout` of this length.
    pub(super) fn collection(&self) -> Result<Collection> {
        let name = self.part("collection")?;
        let most = self.state.db.limits().name_chars_max;
        if name.chars().count() > most {
            let why = format!("is longer than {most} characters");
            return Err(Refusal::Path.of("collection_name", why));
        }
        let collection = self.state.db.collection(name)?.until(self.deadline);
        if let Some(seconds) = self.timeout_s {
            self.strict(&collection).check_timeout(seconds)?;
        }
        Ok(collection)
    }

    /// What the settings of the collection refuse.
    pub(super) fn strict<'a>(&'a self, collection: &'a Collection) -> Strict<'a> {
        Strict::of(collection, &self.state.rates)
    }

    /// What queries of the collection are translated with.
    pub(super) fn translator<'a>(&'a self, collection: &'a Collection) -> Translator<'a> {
        let (db, embedder) = (&self.state.db, self.state.embedder.as_deref());
        let strict = self.strict(collection);
        Translator { db, collection, embedder, rights: &self.rights, deadline: Some(self.deadline), strict }
    }

    /// A part of the path.
    ///
    /// # Errors
    /// Never where the route has that part.
    pub(super) fn part(&self, name: &str) -> Result<&str> {
        let found = self.path.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        found.ok_or_else(|| Error::new(ErrorKind::Internal, format!("the route has no part `{name}`")))
    }

    /// Does something for it: what is slow of it has its id.
    pub(super) fn on_behalf<T>(&self, work: impl FnOnce() -> T) -> T {
        kithdb::on_behalf_of(&self.request_id.0, work)
    }

    /// When it must be answered.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The address that the client reached the server by, without a path.
    pub(super) fn base(&self) -> String {
        let scheme = if self.state.has_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.host.as_deref().unwrap_or("localhost"))
    }

    /// What the body says it is; empty where it says nothing.
    pub(super) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// What is told of a write.
    pub(super) fn updated(&self, receipt: Receipt) -> Updated {
        let waits = self.uri.query().is_some_and(|query| query.split('&').any(|one| one == "wait=true"));
        Updated::new(receipt, waits)
    }

    /// The body as it came.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.body.bytes
    }

    /// What the body takes once it is read.
    pub(super) fn tree(&self) -> &Arc<Part> {
        &self.tree
    }

    /// Whether there is no body.
    pub(super) fn is_empty(&self) -> bool {
        self.body.bytes.is_empty()
    }

    /// The parameters behind the path.
    ///
    /// # Errors
    /// `InvalidArgument` when one of them is not readable.
    pub(super) fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let query = Query::try_from_uri(&self.uri);
        query
            .map(|Query(query)| query)
            .map_err(|error| Error::invalid("query", error.body_text()).with_source(error))
    }

    /// The body.
    ///
    /// # Errors
    /// `InvalidArgument` naming the place; `LimitExceeded`, `Busy` on `body`.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        wire::parse_weighed(&self.body.bytes, &self.tree)
    }
}

/// The answer to a request, on its way.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A handler that reads the request, runs `answer` in a lane, and puts what it returns into the envelope.
pub(super) fn route<T: Serialize + 'static>(
    lane: Lane,
    answer: fn(&Call) -> Result<T>,
) -> impl Fn(Shared<State>, Request) -> Answering + Clone + Send + Sync + 'static {
    move |Shared(state), request| Box::pin(run(state, request, lane, Shape::Enveloped, answer))
}

/// The same without the envelope: what other dialects than Qdrant's want.
pub(super) fn bare<T: Serialize + 'static>(
    lane: Lane,
    answer: fn(&Call) -> Result<T>,
) -> impl Fn(Shared<State>, Request) -> Answering + Clone + Send + Sync + 'static {
    move |Shared(state), request| Box::pin(run(state, request, lane, Shape::Bare, answer))
}

async fn run<T: Serialize + 'static>(
    state: State,
    request: Request,
    lane: Lane,
    shape: Shape,
    answer: fn(&Call) -> Result<T>,
) -> Response {
    let began = Instant::now();
    match read(state, request).await {
        Ok(call) => {
            let (state, deadline) = (Arc::clone(&call.state), call.deadline);
            let replied =
                state.lanes.run_until(lane, deadline, move || reply(&call, answer, shape, began)).await;
            replied.unwrap_or_else(|error| error::respond(&error, began))
        }
        Err(error) => error::respond(&error, began),
    }
}

/// Whether the answer comes when it is done.
#[derive(Deserialize)]
pub(super) struct Wait {
    pub(super) wait: Option<bool>,
}

/// As [`route`], of what may take long: with `wait=false` it is looked at by `check`, and answered before it is done.
/// What becomes of it then is in the log.
pub(super) fn later<T: Serialize + Send + 'static>(
    check: fn(&Call) -> Result<()>,
    answer: fn(&Call) -> Result<T>,
) -> impl Fn(Shared<State>, Request) -> Answering + Clone + Send + Sync + 'static {
    move |Shared(state), request| Box::pin(run_later(state, request, check, answer))
}

async fn run_later<T: Serialize + Send + 'static>(
    state: State,
    request: Request,
    check: fn(&Call) -> Result<()>,
    answer: fn(&Call) -> Result<T>,
) -> Response {
    let began = Instant::now();
    let asked = read(state, request).await.and_then(|call| Ok((call.query::<Wait>()?.wait, call)));
    let call = match asked {
        Ok((Some(false), call)) => Arc::new(call),
        Ok((_, call)) => return run_long(call, answer, began).await,
        Err(error) => return error::respond(&error, began),
    };
    let (state, looked_at) = (Arc::clone(&call.state), Arc::clone(&call));
    if let Err(error) = state.lanes.run(Lane::Waits, move || check(&looked_at)).await {
        return error::respond(&error, began);
    }
    let path = call.uri.path().to_owned();
    accepted(state, path, began, move || call.on_behalf(|| answer(&call)))
}

/// Runs what may take long. Its place is free when it is done, not when its client has gone.
async fn run_long<T: Serialize + 'static>(
    call: Call,
    answer: fn(&Call) -> Result<T>,
    began: Instant,
) -> Response {
    let place = match lingering(&call.state) {
        Ok(place) => place,
        Err(error) => return error::respond(&error, began),
    };
    let (state, deadline) = (Arc::clone(&call.state), call.deadline);
    let respond = move || {
        let response = reply(&call, answer, Shape::Enveloped, began);
        drop(place);
        response
    };
    let replied = state.lanes.run_until(Lane::Waits, deadline, respond).await;
    replied.unwrap_or_else(|error| error::respond(&error, began))
}

/// A place among the operations that take long.
///
/// # Errors
/// `Busy` when there is none.
fn lingering(state: &Inner) -> Result<OwnedSemaphorePermit> {
    Arc::clone(&state.lingering)
        .try_acquire_owned()
        .map_err(|_| limits::full("wait", "operations that take long are in progress", LINGERING_MAX))
}

/// Answers before something is done, and does it. What becomes of it is in the log. Busy when too much is being done
/// that way: nobody holds a place among the requests for it.
pub(super) fn accepted<T: Send + 'static>(
    state: Arc<Inner>,
    path: String,
    began: Instant,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Response {
    let place = match lingering(&state) {
        Ok(place) => place,
        Err(error) => return error::respond(&error, began),
    };
    let done = async move {
        match state.lanes.run(Lane::Waits, work).await {
            Ok(_) => tracing::info!(path, "what was accepted is done"),
            Err(error) => tracing::error!(%error, path, "what was accepted could not be done"),
        }
        drop(place);
    };
    // It belongs to the request all the same: in the log, and in its trace.
    tokio::spawn(done.instrument(Span::current()));
    let body = json!({"status": "accepted", "time": began.elapsed().as_secs_f64()});
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Reads a request, up to its limits.
///
/// # Errors
/// `InvalidArgument`; what reading its body returns.
pub(super) async fn read(state: State, mut request: Request) -> Result<Call> {
    let limits = &state.inner.limits;
    let allowance = Allowance {
        bytes_max: state.inner.db.limits().body_bytes_max,
        time_max: limits.body_time_max,
        blocks: Arc::clone(&state.inner.blocks),
    };
    let request_time_max = limits.request_time_max;
    let params = request
        .extract_parts::<RawPathParams>()
        .await
        .map_err(|error| Error::invalid("path", format!("is not readable: {error}")).with_source(error))?;
    let path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    // The guard puts them there; without them nothing is answered.
    let unguarded = || Error::new(ErrorKind::Internal, "the route has no guard");
    let rights = request.extensions_mut().remove::<Rights>().ok_or_else(unguarded)?;
    let request_id = request.extensions_mut().remove::<RequestId>().unwrap_or_default();
    let (parts, body) = request.into_parts();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let body = body::read(&parts.headers, body, &allowance).await?;
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let mut call = Call {
        tree: state.inner.trees.part(),
        state: state.inner,
        rights,
        deadline: Instant::now(),
        timeout_s: None,
        content_type: content_type.unwrap_or_default().to_owned(),
        uri: parts.uri,
        path,
        body,
        host,
        request_id,
    };
    let wrong = |_| Error::invalid("timeout", "must be a whole number of seconds, 1 or more");
    call.timeout_s = call.query::<Timeout>().map_err(wrong)?.timeout;
    if call.timeout_s == Some(0) {
        return Err(Refusal::Query.of("timeout", "value 0 invalid, must be 1 or larger"));
    }
    if call.uri.query().is_some() {
        call.query::<Idle>()?.check()?;
    }
    let wanted = call.timeout_s.map_or(request_time_max, Duration::from_secs);
    call.deadline += wanted.min(request_time_max);
    Ok(call)
}

fn reply<T: Serialize>(
    call: &Call,
    answer: fn(&Call) -> Result<T>,
    shape: Shape,
    began: Instant,
) -> Response {
    let answered = call.on_behalf(|| answer(call));
    let body = answered.and_then(|result| match shape {
        Shape::Bare => json(&result),
        Shape::Enveloped => json(&Envelope { result, status: "ok", time: began.elapsed().as_secs_f64() }),
    });
    let owed = body.and_then(|body| match call.part("cursor") {
        // Its next page is another one: who came back for this one would miss it.
        Ok(_) => Ok(Body::from(body)),
        Err(_) => call.state.answers.owe(body),
    });
    owed.map_or_else(|error| error::respond(&error, began), of_body)
}

/// An answer as JSON.
///
/// # Errors
/// `Internal` when it cannot be said in it.
pub(super) fn json<T: Serialize>(answer: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(answer).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the answer is no JSON: {error}")).with_source(error)
    })
}

/// A response of JSON.
pub(super) fn of_json(body: Vec<u8>) -> Response {
    of_body(Body::from(body))
}

fn of_body(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
