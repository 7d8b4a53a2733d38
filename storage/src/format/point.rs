//! Rows of points, format version 1: `points`, `payloads`, `vectors`.
//!
//! ```text
//!  points    body: version:u64
//!
//!  payloads  body: id, then the payload
//!            id       1 byte kind: 0 num, 1 uuid; then u64, or the 16 bytes of the UUID
//!            payload  JSON text of an object, to the end; keys in the order given by the user
//!
//!  vectors   body: the elements, as many as the space has dimensions, each of the space's type:
//!            float32  4 bytes, little-endian
//!            float16  2 bytes, little-endian (IEEE 754 binary16)
//!            uint8    1 byte
//! ```
//!
//! The payload is JSON because it is the user's, schemaless, and must come back as it was: the order of keys and the
//! difference between `1` and `1.0` included. LZ4 below takes the repetition out.

use types::{Error, Payload, PointId, Result, Value, VectorSpec, Version};
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

/// The body of a `vectors` row, of elements that its space admits.
pub fn encode_vector(spec: &VectorSpec, elements: &[f32]) -> Vec<u8> {
    debug_assert_eq!(elements.len(), spec.dim, "a vector of another space");
    let mut body = Vec::with_capacity(elements.len() * spec.datatype.bytes());
    spec.datatype.encode(elements, &mut body);
    body
}

/// The elements of a `vectors` row.
///
/// # Errors
/// `Corrupted` when there are fewer or more of them than the space has dimensions.
pub fn decode_vector(spec: &VectorSpec, body: &[u8]) -> Result<Vec<f32>> {
    let (bytes, due) = (body.len(), spec.dim * spec.datatype.bytes());
    if bytes != due {
        let why = format!("it has {bytes} bytes, and {} elements of {} have {due}", spec.dim, spec.datatype);
        return Err(Error::corrupted("a vector", why));
    }
    let mut elements = Vec::with_capacity(spec.dim);
    spec.datatype.decode(body, &mut elements)?;
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::{Datatype, ErrorKind, Metric};

    fn pair_of(datatype: Datatype) -> VectorSpec {
        VectorSpec::new(2, Metric::Dot).stored_as(datatype)
    }

    #[test]
    fn bodies_have_their_golden_bytes() {
        let payload = json!({"b": 1, "a": 1.0}).as_object().expect("an object").clone();
        let body = encode_payload(PointId::Num(258), &payload);
        assert_eq!(body, b"\x00\x02\x01\0\0\0\0\0\0{\"b\":1,\"a\":1.0}");
        assert_eq!(decode_payload(&body).expect("whole"), (PointId::Num(258), payload));
        assert_eq!(encode_version(Version(258)), [2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn vectors_have_the_golden_bytes_of_their_type() {
        let golden: [(Datatype, [f32; 2], &[u8]); 3] = [
            (Datatype::Float32, [1.0, -2.5], &[0, 0, 128, 63, 0, 0, 32, 192]),
            (Datatype::Float16, [1.0, -2.5], &[0, 60, 0, 193]),
            (Datatype::Uint8, [1.0, 255.0], &[1, 255]),
        ];
        for (datatype, elements, body) in golden {
            let spec = pair_of(datatype);
            assert_eq!(encode_vector(&spec, &elements), body, "{datatype}");
            assert_eq!(decode_vector(&spec, body).expect("whole"), elements, "{datatype}");
            for wrong in [&body[1..], &[body, body].concat(), &[]] {
                let error = decode_vector(&spec, wrong).expect_err("another length");
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{datatype}: {error}");
            }
        }
    }

    #[test]
    fn nonsense_is_corrupted_and_never_panics() {
        for body in
            [&b""[..], b"\x02", b"\x00\x01", b"\x01\0\0", b"\x00\0\0\0\0\0\0\0\0[]", b"\x00\0\0\0\0\0\0\0\0{"]
        {
            assert_eq!(decode_payload(body).expect_err("nonsense").kind(), ErrorKind::Corrupted);
        }
        assert!(decode_version(&[1]).is_err());
    }
}
