//! Pages of other origins that may ask (CORS, as browsers hold them to it): none, unless `cors_origins` names them.
//!
//! Invariant: a browser asks first whether it may, without a key; that is answered here, before keys are looked at, and
//! says nothing of what there is. The request itself needs its key like any other.

use axum::extract::{Request, State as Shared};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use kithdb::{Error, Result};

use crate::{State, body};

/// Stands for every origin.
const ANY: &str = "*";

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// How long a browser may remember an answer, in seconds; none does for longer than a day.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("86400");

/// Checks `cors_origins`.
///
/// # Errors
/// `InvalidArgument` on what no browser ever sends.
pub(crate) fn check(origins: &[String]) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !"/?#@*,".contains(c);
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_plain);
    let is_one = |origin: &str| {
        origin.split_once("://").is_some_and(|(scheme, host)| is_part(scheme) && is_part(host))
    };
    match origins.iter().find(|origin| *origin != ANY && !is_one(origin)) {
        None => Ok(()),
        Some(origin) => Err(Error::invalid(
            "cors_origins",
            format!("`{origin}` is no origin: write https://host or https://host:port in lower case, or *"),
        )),
    }
}

/// Answers a browser that asks whether it may, and tells it with each answer that it might.
pub(crate) async fn answer(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    let allowed = allowed(&state.inner.cors_origins, request.headers());
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && allowed.is_some();
    let mut response = match asks_first {
        true => {
            let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            body::discard(request.into_body());
            let mut response = StatusCode::NO_CONTENT.into_response();
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
            headers.extend(wanted.map(|wanted| (ACCESS_CONTROL_ALLOW_HEADERS, wanted)));
            headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
            response
        }
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    if allowed.as_ref().is_none_or(|origin| origin != ANY) {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    }
    response
}

/// What an answer says of the origin that asks, if it is one of these.
pub(crate) fn allowed(origins: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    if origins.iter().any(|known| known == ANY) {
        return Some(HeaderValue::from_static(ANY));
    }
    origins.iter().any(|known| origin.as_bytes() == known.as_bytes()).then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::HeaderName;
    use kithdb::Database;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Keys, ServeOptions, router};

    const NAMED: &str = "https://a.example";
    const OTHER: &str = "https://b.example";

    /// Status, and the headers that browsers look at, of an answer of a server with these origins and a key.
    async fn ask(origins: &[&str], method: &str, origin: &str, key: &str) -> (u16, HeaderMap) {
        let keys = Keys::new().full("secret").expect("a key");
        let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let options = ServeOptions { keys, cors_origins, ..ServeOptions::default() };
        let state = State::new(Database::in_memory().expect("a database"), None, &options);
        let mut request = Request::builder().method(method).uri("/collections").header(ORIGIN, origin);
        if method == "OPTIONS" {
            request = request.header(ACCESS_CONTROL_REQUEST_METHOD, "GET");
            request = request.header(ACCESS_CONTROL_REQUEST_HEADERS, "api-key");
        }
        let request = request.header("api-key", key).body(Body::empty()).expect("a request");
        let response = router(&state).oneshot(request).await.expect("an answer");
        (response.status().as_u16(), response.headers().clone())
    }

    #[tokio::test]
    async fn pages_of_origins_that_are_named_may_ask_and_need_their_key_all_the_same() {
        let (named, both, all, none): (&[&str], &[&str], &[&str], &[&str]) =
            (&[NAMED], &[OTHER, NAMED], &[ANY], &[]);
        for (origins, method, origin, key, status, allowed) in [
            (named, "OPTIONS", NAMED, "", 204, Some(NAMED)),
            (named, "GET", NAMED, "secret", 200, Some(NAMED)),
            (named, "GET", NAMED, "", 401, Some(NAMED)),
            (named, "OPTIONS", OTHER, "", 401, None),
            (named, "GET", OTHER, "secret", 200, None),
            (both, "OPTIONS", NAMED, "", 204, Some(NAMED)),
            (all, "OPTIONS", OTHER, "", 204, Some(ANY)),
            (all, "GET", OTHER, "secret", 200, Some(ANY)),
            (none, "OPTIONS", NAMED, "", 401, None),
            (none, "OPTIONS", NAMED, "secret", 405, None),
            (none, "GET", NAMED, "secret", 200, None),
        ] {
            let (told, headers) = ask(origins, method, origin, key).await;
            let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().expect("a text"));
            let case = format!("{origins:?} {method} {origin} {key}");
            assert_eq!((told, text(ACCESS_CONTROL_ALLOW_ORIGIN)), (status, allowed), "{case}");
            assert_eq!(text(ACCESS_CONTROL_ALLOW_HEADERS), (status == 204).then_some("api-key"), "{case}");
            assert_eq!(text(ACCESS_CONTROL_EXPOSE_HEADERS), allowed.map(|_| ANY), "{case}");
            assert!(headers.contains_key("kithdb-version"), "{case}");
            let varies = headers.get_all(VARY).iter().any(|value| value == "origin");
            assert_eq!(varies, !origins.is_empty() && origins != all, "{case}");
        }
    }

    #[test]
    fn origins_are_those_that_browsers_send() {
        for origin in
            ["*", "https://a.example", "http://localhost:3000", "http://[::1]:80", "tauri://localhost"]
        {
            check(&[origin.to_owned()]).expect(origin);
        }
        for origin in [
            "",
            "a.example",
            "https://",
            "://a",
            "https://a.example/",
            "https://*.example",
            "HTTPS://a",
            "a b://c",
        ] {
            let error = check(&["*".to_owned(), origin.to_owned()]).expect_err(origin);
            assert_eq!(error.field(), Some("cors_origins"), "{origin}");
        }
    }
}
