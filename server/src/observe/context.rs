//! Who asks, for the log: the id of a request, and the trace that it is part of.
//!
//! Invariant: what a client sends is kept only if it is sane: short, and of characters that need no quotes in a log.
//! Source: traceparent as in the W3C's Trace Context, level 1.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use axum::http::{HeaderMap, HeaderName};

/// The header with the id of a request, both ways.
pub(crate) const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// Characters of an id that a client gives, at most.
const ID_CHARS_MAX: usize = 128;

/// The id of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    /// The client's, if it gives one that is sane; else one of ours.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
        given.filter(|id| is_sane(id)).map_or_else(Self::default, |id| Self(id.into()))
    }
}

impl Default for RequestId {
    /// One that no other request has: by the process, and by a count.
    fn default() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::new_v4().as_u64_pair().0);
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self(format!("{:016x}-{:x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed)).into())
    }
}

fn is_sane(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(is_plain)
}

/// A span of another process that this request is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) is_sampled: bool,
}

impl TraceParent {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::read(headers.get(TRACEPARENT_HEADER)?.to_str().ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let (version, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let is_whole = version != 0 || parts.next().is_none();
        let is_known = version != 0xff && trace_id != 0 && span_id != 0 && is_whole;
        is_known.then_some(Self { trace_id, span_id: span_id as u64, is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_id_is_taken_if_it_is_sane_and_made_otherwise() {
        let of = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID_HEADER, HeaderValue::from_bytes(id).expect("a header"));
            RequestId::of(&headers).0.to_string()
        };
        assert_eq!(of(b"a-1_B.c:/+="), "a-1_B.c:/+=");
        let long = "x".repeat(ID_CHARS_MAX + 1);
        for id in [b"".as_slice(), b"a b", b"a\"b", b"a\xffb", b"${x}", long.as_bytes()] {
            let made = of(id);
            assert!(made.len() > 16 && is_sane(&made), "{made}");
            assert_ne!(made, of(id), "each is another");
        }
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let read = |text: String| TraceParent::read(&text);
        let sampled = read(format!("00-{trace}-b7ad6b7169203331-01")).expect("sampled");
        assert_eq!((sampled.span_id, sampled.is_sampled), (0xb7ad_6b71_6920_3331, true));
        assert_eq!(format!("{:032x}", sampled.trace_id), trace);
        assert!(!read(format!("00-{trace}-b7ad6b7169203331-00")).expect("not sampled").is_sampled);
        assert!(read(format!("01-{trace}-b7ad6b7169203331-01-more")).is_some(), "a later version says more");
        for wrong in [
            format!("00-{trace}-b7ad6b7169203331"),
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
            format!("00-+{}-b7ad6b7169203331-01", &trace[1..]),
            String::new(),
        ] {
            assert_eq!(TraceParent::read(&wrong), None, "{wrong}");
        }
    }
}
