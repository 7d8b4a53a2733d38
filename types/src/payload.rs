//! Payload: the JSON object of a point.
//!
//! The tree is `serde_json`'s: it is what every door hands in, it keeps the order of keys and the difference
//! between integers and floats, and a tree of our own would be a copy of it.

pub use serde_json::Value;

use crate::{Error, Limits, Result};

/// A JSON object, in the order in which it was given.
pub type Payload = serde_json::Map<String, Value>;

/// The depth of nesting of a JSON value: 1 for a scalar or an empty container.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// Whether a payload is within the limits.
///
/// # Errors
/// `LimitExceeded` on `payload`.
pub fn check(payload: &Payload, limits: &Limits) -> Result<()> {
    let depth = 1 + payload.values().map(depth).max().unwrap_or(0);
    if depth > limits.payload_depth_max {
        return Err(Error::limit("payload", "the payload's depth", depth, limits.payload_depth_max));
    }
    // Most are far below the limit: their text is not made only to be counted.
    if bytes_most(payload) <= limits.payload_bytes_max {
        return Ok(());
    }
    let bytes = bytes(payload);
    if bytes > limits.payload_bytes_max {
        return Err(Error::limit("payload", "the payload's size in bytes", bytes, limits.payload_bytes_max));
    }
    Ok(())
}

/// Of a key and what leads to it.
const ENTRY_BYTES: usize = 64;

/// Bytes that a payload takes in memory, about: cheaper to know than those of its text.
pub fn weight(payload: &Payload) -> usize {
    payload.iter().map(|(key, value)| ENTRY_BYTES + key.len() + value_weight(value)).sum()
}

fn value_weight(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_weight).sum(),
        Value::Object(fields) => weight(fields),
        _ => 0,
    };
    size_of::<Value>() + inner
}

/// No payload has more bytes as JSON text: a byte of a text is `\u001f` at most, and all else takes less than it
/// weighs.
fn bytes_most(payload: &Payload) -> usize {
    weight(payload).saturating_mul(6).saturating_add("{}".len())
}

/// Bytes of a payload as JSON text.
pub fn bytes(payload: &Payload) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0 += text.len();
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, payload) {
        Ok(()) => count.0,
        // Counting never fails, and a payload has string keys only.
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn no_text_is_longer_than_it_is_taken_for() {
        let controls = "\u{1f}".repeat(1_000);
        let cases = [
            json!({}),
            json!({"": ""}),
            json!({"\"\\": "\"\\"}),
            Value::Object(Payload::from_iter([(controls.clone(), controls.into())])),
            json!({"a": [f64::MIN, f64::MIN_POSITIVE, -f64::EPSILON, u64::MAX, i64::MIN]}),
            json!({"a": [[], [[], {}], {"b": {"": null}}, true, false, null]}),
        ];
        for case in cases {
            let payload = case.as_object().expect("an object");
            assert!(bytes(payload) <= bytes_most(payload), "{case}");
        }
    }

    #[test]
    fn a_payload_may_be_as_long_as_the_limit_and_no_longer() {
        let payload = Payload::from_iter([("a".to_owned(), Value::from("x".repeat(100)))]);
        let of =
            |payload_bytes_max: usize| check(&payload, &Limits { payload_bytes_max, ..Limits::default() });
        of(bytes(&payload)).expect("it fits");
        let error = of(bytes(&payload) - 1).expect_err("it does not");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("payload")));
    }
}
