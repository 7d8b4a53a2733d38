//! What was asked of the server, and how it was answered: by route and status, by collection, by reason of refusal.
//!
//! Invariant: no name that a client can make up is kept: routes are patterns, and collections are those that answered.
//! Cost: one short lock a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use kithdb::{ErrorKind, Times, Value, datetime};
use parking_lot::Mutex;
use serde_json::json;

use crate::error::{BODY, FIELD_HEADER, KIND_HEADER};

/// Collections whose requests are counted by themselves, at most.
const COLLECTIONS_MAX: usize = 1_024;

/// Why requests are refused without being answered.
const REASONS: [&str; 11] = [
    "unauthorized",
    "forbidden",
    "deadline",
    "body_bytes_max",
    "rate",
    "head_bytes_max",
    "requests_max",
    "bodies_bytes_max",
    CONNECTIONS,
    "poisoned",
    "busy",
];

/// A connection was not taken: there are as many as may be.
pub(crate) const CONNECTIONS: &str = "connections_max";

/// Answers of one route with one status.
#[derive(Clone, Copy, Default)]
pub(super) struct Answers {
    pub(super) times: Times,
    pub(super) min: Duration,
    pub(super) max: Duration,
    /// When the last one was given, in microseconds since 1970.
    last_micros: i64,
}

/// By method, then by pattern, then by status.
#[derive(Clone, Default)]
pub(super) struct Routes(BTreeMap<Box<str>, BTreeMap<Box<str>, Statuses>>);

/// Answers by status.
type Statuses = BTreeMap<u16, Answers>;

/// Everything that was counted of requests.
#[derive(Default)]
pub(crate) struct Requests {
    routes: Mutex<Routes>,
    collections: Mutex<BTreeMap<String, Routes>>,
    refused: [AtomicU64; REASONS.len()],
}

/// A request that was answered.
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a str,
    /// A pattern, not a path; empty where there is no such address.
    pub(crate) route: &'a str,
    pub(crate) collection: Option<&'a str>,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
}

impl Answers {
    fn add(&mut self, took: Duration) {
        self.min = if self.last_micros == 0 { took } else { self.min.min(took) };
        self.max = self.max.max(took);
        self.times.add(took);
        self.last_micros = UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as i64;
    }

    /// In the dialect's words.
    fn told(&self) -> Value {
        let micros = |took: Duration| took.as_nanos() as f64 / 1e3;
        json!({
            "count": self.times.count(),
            "avg_duration_micros": self.mean_s() * 1e6,
            "min_duration_micros": micros(self.min),
            "max_duration_micros": micros(self.max),
            "total_duration_micros": self.times.sum_ns / 1_000,
            "last_responded": datetime::format(self.last_micros),
        })
    }

    pub(super) fn mean_s(&self) -> f64 {
        self.times.sum_s() / (self.times.count() as f64).max(1.0)
    }
}

impl Routes {
    fn add(&mut self, answered: &Answered<'_>) {
        let Answered { method, route, status, took, .. } = *answered;
        // Names are allocated the first time only.
        let routes = match self.0.get_mut(method) {
            Some(routes) => routes,
            None => self.0.entry(method.into()).or_default(),
        };
        let statuses = match routes.get_mut(route) {
            Some(statuses) => statuses,
            None => routes.entry(route.into()).or_default(),
        };
        statuses.entry(status.as_u16()).or_default().add(took);
    }

    /// Method, pattern and answers by status of each route.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Statuses)> {
        self.0.iter().flat_map(|(method, routes)| {
            routes.iter().map(move |(route, statuses)| (&**method, &**route, statuses))
        })
    }

    /// In the dialect's words.
    fn told(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let known = self.iter().filter(|(_, route, _)| !route.is_empty());
        known
            .map(|(method, route, statuses)| {
                let told = statuses.iter().map(|(status, answers)| (status.to_string(), answers.told()));
                (format!("{method} {}", endpoint(route)), told.collect())
            })
            .collect()
    }
}

/// A pattern in the dialect's words.
pub(super) fn endpoint(route: &str) -> String {
    route.replace("{collection}", "{collection_name}").replace("{vector}", "{vector_name}")
}

impl Requests {
    /// Counts a request.
    pub(crate) fn record(&self, answered: &Answered<'_>, headers: &HeaderMap) {
        self.routes.lock().add(answered);
        if let Some(reason) = reason(answered.status, headers) {
            self.refuse(reason);
        }
        let is_there = !matches!(
            answered.status,
            StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if let Some(collection) = answered.collection.filter(|_| is_there) {
            let mut collections = self.collections.lock();
            let has_room = collections.len() < COLLECTIONS_MAX;
            match collections.get_mut(collection) {
                Some(routes) => routes.add(answered),
                None if has_room => {
                    collections.entry(collection.to_owned()).or_default().add(answered);
                }
                None => {}
            }
        }
    }

    /// Counts what was refused before it was a request.
    pub(crate) fn refuse(&self, reason: &str) {
        let place = REASONS.iter().position(|known| *known == reason);
        place.into_iter().for_each(|place| {
            self.refused[place].fetch_add(1, Ordering::Relaxed);
        });
    }

    /// How often each reason was given.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Answers by route and status, in the dialect's words.
    pub(crate) fn responses(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        self.routes().told()
    }

    /// The same by collection, of those that are there and may be seen.
    pub(crate) fn responses_by_collection(&self, is_seen: impl Fn(&str) -> bool) -> BTreeMap<String, Value> {
        let collections = self.collections.lock();
        let seen = collections.iter().filter(|(name, _)| is_seen(name));
        seen.map(|(name, routes)| (name.clone(), json!(routes.told()))).collect()
    }

    pub(super) fn routes(&self) -> Routes {
        self.routes.lock().clone()
    }

    /// By collection, of those that are still there.
    pub(super) fn collections(&self, is_there: impl Fn(&str) -> bool) -> BTreeMap<String, Routes> {
        let mut collections = self.collections.lock();
        collections.retain(|name, _| is_there(name));
        collections.clone()
    }
}

/// Why an answer is a refusal, if it is one that says nothing of what was asked.
fn reason(status: StatusCode, headers: &HeaderMap) -> Option<&'static str> {
    let is = |name: &axum::http::HeaderName, value: &str| headers.get(name).is_some_and(|of| of == value);
    Some(match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::REQUEST_TIMEOUT => "deadline",
        StatusCode::PAYLOAD_TOO_LARGE => "body_bytes_max",
        StatusCode::TOO_MANY_REQUESTS => "rate",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "head_bytes_max",
        StatusCode::SERVICE_UNAVAILABLE if is(&FIELD_HEADER, "requests_max") => "requests_max",
        StatusCode::SERVICE_UNAVAILABLE if is(&FIELD_HEADER, BODY) => "bodies_bytes_max",
        StatusCode::SERVICE_UNAVAILABLE if is(&KIND_HEADER, ErrorKind::Poisoned.name()) => "poisoned",
        StatusCode::SERVICE_UNAVAILABLE => "busy",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered<'a>(collection: &'a str, status: u16, ms: u64) -> Answered<'a> {
        let (collection, status) = (Some(collection), StatusCode::from_u16(status).expect("a status"));
        Answered {
            method: "POST",
            route: "/collections/{collection}/x",
            collection,
            status,
            took: Duration::from_millis(ms),
        }
    }

    #[test]
    fn answers_are_told_by_route_and_status() {
        let requests = Requests::default();
        for ms in [4, 2, 9] {
            requests.record(&answered("a", 200, ms), &HeaderMap::new());
        }
        requests.record(&answered("a", 408, 1), &HeaderMap::new());
        let told = requests.routes().told();
        let of = &told["POST /collections/{collection_name}/x"]["200"];
        assert_eq!((&of["count"], &of["total_duration_micros"]), (&json!(3), &json!(15_000)));
        assert_eq!((&of["min_duration_micros"], &of["max_duration_micros"]), (&json!(2e3), &json!(9e3)));
        assert_eq!(requests.refused().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [("deadline", 1)]);
    }

    #[test]
    fn what_is_not_there_has_no_counts_of_its_own_and_what_is_gone_loses_them() {
        let requests = Requests::default();
        requests.record(&answered("none", 404, 1), &HeaderMap::new());
        (0..COLLECTIONS_MAX + 9).for_each(|number| {
            requests.record(&answered(&number.to_string(), 200, 1), &HeaderMap::new());
        });
        let all = requests.collections(|_| true);
        assert_eq!((all.len(), all.contains_key("none")), (COLLECTIONS_MAX, false));
        assert_eq!(requests.collections(|name| name == "7").len(), 1);
    }
}
