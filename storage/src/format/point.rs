//! Rows of points, format version 1: `points`, `payloads`, `vectors`.
//!
//! ```text
//!  points    body: version:u64
//!
//!  payloads  body: id, then the payload
//!            id       1 byte kind: 0 num, 1 uuid; then u64, or the 16 bytes of the UUID
//!            payload  JSON text of an object, to the end; keys in the order given by the user
//!
//!  vectors   body: the elements, f32 each; as many as the space has dimensions
//! ```
//!
//! The payload is JSON because it is the user's, schemaless, and must come back as it was: the order of keys and the
//! difference between `1` and `1.0` included. LZ4 below takes the repetition out.

use types::{Error, Payload, PointId, Result, Value, Version};
use uuid::Uuid;

use super::Cursor;

/// The body of a `points` row.
pub fn encode_version(version: Version) -> Vec<u8> {
    version.0.to_le_bytes().to_vec()
}

/// The version in a `points` row.
///
/// # Errors
/// `Corrupted` when the body is not 8 bytes long.
pub fn decode_version(body: &[u8]) -> Result<Version> {
    let mut cursor = Cursor::new(body);
    let version = Version(cursor.u64()?);
    cursor.end()?;
    Ok(version)
}

/// Appends an id to a body.
pub fn encode_id(id: PointId, body: &mut Vec<u8>) {
    match id {
        PointId::Num(num) => {
            body.push(0);
            body.extend_from_slice(&num.to_le_bytes());
        }
        PointId::Uuid(uuid) => {
            body.push(1);
            body.extend_from_slice(uuid.as_bytes());
        }
    }
}

/// Takes an id off a body.
///
/// # Errors
/// `Corrupted` for another shape.
pub(crate) fn decode_id(cursor: &mut Cursor<'_>) -> Result<PointId> {
    match cursor.u8()? {
        0 => Ok(PointId::Num(cursor.u64()?)),
        1 => Uuid::from_slice(cursor.bytes(16)?)
            .map(PointId::Uuid)
            .map_err(|source| Error::corrupted("an id", source)),
        kind => Err(Error::corrupted("an id", format!("there is no kind {kind}"))),
    }
}

/// The body of a `payloads` row.
pub fn encode_payload(id: PointId, payload: &Payload) -> Vec<u8> {
    let mut body = Vec::with_capacity(128);
    encode_id(id, &mut body);
    serde_json::to_writer(&mut body, payload).expect("JSON trees with string keys always print to memory");
    body
}

/// The id and the payload of a `payloads` row.
///
/// # Errors
/// `Corrupted` when it does not parse.
pub fn decode_payload(body: &[u8]) -> Result<(PointId, Payload)> {
    let mut cursor = Cursor::new(body);
    let id = decode_id(&mut cursor)?;
    match serde_json::from_slice(cursor.rest()) {
        Ok(Value::Object(payload)) => Ok((id, payload)),
        Ok(_) => Err(Error::corrupted(format!("the payload of point {id}"), "it is no object")),
        Err(source) => Err(Error::corrupted(format!("the payload of point {id}"), source)),
    }
}

/// The body of a `vectors` row.
pub fn encode_vector(elements: &[f32]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_le_bytes()).collect()
}

/// The elements of a `vectors` row.
///
/// # Errors
/// `Corrupted` when the length is no multiple of 4.
pub fn decode_vector(body: &[u8]) -> Result<Vec<f32>> {
    let (elements, rest) = body.as_chunks::<4>();
    if rest.is_empty() {
        Ok(elements.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    } else {
        Err(Error::corrupted("a vector", "its length is no multiple of 4"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_have_their_golden_bytes() {
        let payload = json!({"b": 1, "a": 1.0}).as_object().expect("an object").clone();
        let body = encode_payload(PointId::Num(258), &payload);
        assert_eq!(body, b"\x00\x02\x01\0\0\0\0\0\0{\"b\":1,\"a\":1.0}");
        assert_eq!(decode_payload(&body).expect("whole"), (PointId::Num(258), payload));
        assert_eq!(encode_vector(&[1.0, -2.5]), [0, 0, 128, 63, 0, 0, 32, 192]);
        assert_eq!(decode_vector(&[0, 0, 128, 63, 0, 0, 32, 192]).expect("whole"), [1.0, -2.5]);
        assert_eq!(encode_version(Version(258)), [2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn nonsense_is_corrupted_and_never_panics() {
        for body in
            [&b""[..], b"\x02", b"\x00\x01", b"\x01\0\0", b"\x00\0\0\0\0\0\0\0\0[]", b"\x00\0\0\0\0\0\0\0\0{"]
        {
            assert_eq!(decode_payload(body).expect_err("nonsense").kind(), types::ErrorKind::Corrupted);
        }
        assert!(decode_vector(&[1, 2, 3]).is_err() && decode_version(&[1]).is_err());
    }
}
