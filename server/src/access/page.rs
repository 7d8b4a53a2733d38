//! Pages of other sites, in a browser on this machine, before a server that asks for no key.
//!
//! Such a server trusts whoever reaches it, and a browser lets any page reach it: by a form or a script that does not
//! read the answer (the page's origin comes with it), or under a name of the page's own that is made to lead to this
//! machine (DNS rebinding: the name comes with it). So both must be of a network within.
//! When not to use: where there are keys, which no browser shows by itself; where something in front guards the server
//! (`no_auth`), which may be reached by any name.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use kithdb::Result;

use crate::cors;
use crate::error::Refusal;

/// Ends of names that nobody can have in public.
const WITHIN: [&str; 6] = [".localhost", ".local", ".internal", ".test", ".home.arpa", ".localdomain"];

/// Refuses a request that a page of another site may have made.
///
/// # Errors
/// Forbidden, on `host` or `origin`.
pub(super) fn check(headers: &HeaderMap, cors_origins: &[String]) -> Result<()> {
    if headers.get(HOST).is_some_and(|host| !host.to_str().is_ok_and(is_within)) {
        let why = "a server without keys answers under names of its own network alone; give it a key, or say no_auth \
                   if something in front of it guards it";
        return Err(Refusal::Forbidden.of("host", why));
    }
    let is_near = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| is_within(host));
    let is_far = headers.get(ORIGIN).is_some_and(|origin| !origin.to_str().is_ok_and(is_near));
    if is_far && cors::allowed(cors_origins, headers).is_none() {
        let why = "pages of other sites may not ask a server without keys; name their origin in cors_origins, or give \
                   it a key";
        return Err(Refusal::Forbidden.of("origin", why));
    }
    Ok(())
}

/// Whether a host, with or without a port, is no name that a stranger could have: an address, a name without a dot, or
/// one of a network within.
fn is_within(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || !name.contains('.') || WITHIN.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn field(name: HeaderName, value: &str, cors_origins: &[&str]) -> Option<String> {
        let value = HeaderValue::from_str(value).expect("a header");
        let headers = HeaderMap::from_iter([(name, value)]);
        let cors_origins: Vec<String> = cors_origins.iter().map(ToString::to_string).collect();
        check(&headers, &cors_origins).err().map(|error| {
            assert_eq!(Refusal::behind(&error), Some(Refusal::Forbidden), "{error}");
            error.field().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn names_and_origins_are_of_a_network_within() {
        let host = |host: &str| field(HOST, host, &[]);
        for within in [
            "localhost:6333",
            "LOCALHOST",
            "127.0.0.1:6333",
            "[::1]:6333",
            "192.168.1.7",
            "db",
            "kithdb:6333",
            "host.docker.internal:6333",
            "laptop.local.",
            "",
        ] {
            assert_eq!(host(within), None, "{within}");
        }
        for outside in
            ["evil.example:6333", "localhost.evil.example", "evil.example.", "127.0.0.1.evil.example"]
        {
            assert_eq!(host(outside).as_deref(), Some("host"), "{outside}");
        }
        let origin = |origin: &str, allowed: &[&str]| field(ORIGIN, origin, allowed);
        for within in ["http://localhost:3000", "https://127.0.0.1", "tauri://localhost", "http://[::1]:80"] {
            assert_eq!(origin(within, &[]), None, "{within}");
        }
        for outside in ["https://evil.example", "http://localhost.evil.example:80", "null", ""] {
            assert_eq!(origin(outside, &["https://a.example"]).as_deref(), Some("origin"), "{outside}");
        }
        assert_eq!(origin("https://a.example", &["https://a.example"]), None);
        assert_eq!(origin("https://b.example", &["*"]), None);
        check(&HeaderMap::new(), &[]).expect("who says neither is no browser");
    }
}
