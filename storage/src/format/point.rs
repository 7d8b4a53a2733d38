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
//!            of a space of multivectors: as many rows of elements as it has, one behind the other
//!            of a sparse space: the dimensions, ascending, each u32 little-endian; then the weight of each, f32
//!            little-endian
//! ```
//!
//! The payload is JSON because it is the user's, schemaless, and must come back as it was: the order of keys and the
//! difference between `1` and `1.0` included. LZ4 below takes the repetition out.

use types::{Error, MultiVector, Payload, PointId, Result, SparseVector, Value, Vector, VectorSpec, Version};
use uuid::Uuid;

use super::{CHECKSUM_BYTES, Cursor};

/// What a vector space holds, as far as its rows go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Space<'a> {
    /// Dense vectors.
    Dense(&'a VectorSpec),
    /// Sparse vectors.
    Sparse,
    /// Multivectors with rows of this space.
    Multi(&'a VectorSpec),
}

/// The body of a `points` row.
pub fn encode_version(version: Version) -> Vec<u8> {
    let mut body = Vec::with_capacity(8 + CHECKSUM_BYTES);
    body.extend_from_slice(&version.0.to_le_bytes());
    body
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

/// The body of a `vectors` row, of a vector that its space admits.
pub fn encode_vector(space: Space<'_>, vector: &Vector) -> Vec<u8> {
    let mut body = Vec::new();
    match (space, vector) {
        (Space::Dense(spec), Vector::Dense(elements)) => {
            debug_assert_eq!(elements.len(), spec.dim, "a vector of another space");
            body.reserve_exact(elements.len() * spec.datatype.bytes() + CHECKSUM_BYTES);
            spec.datatype.encode(elements, &mut body);
        }
        (Space::Sparse, Vector::Sparse(vector)) => {
            body.reserve_exact(vector.len() * SPARSE_BYTES + CHECKSUM_BYTES);
            body.extend(vector.indices.iter().flat_map(|index| index.to_le_bytes()));
            body.extend(vector.values.iter().flat_map(|value| value.to_le_bytes()));
        }
        (Space::Multi(spec), Vector::Multi(rows)) => {
            body.reserve_exact(rows.len() * spec.dim * spec.datatype.bytes() + CHECKSUM_BYTES);
            rows.iter().for_each(|row| spec.datatype.encode(row, &mut body));
        }
        _ => debug_assert!(false, "a vector of another space"),
    }
    body
}

/// The vector of a `vectors` row.
///
/// # Errors
/// `Corrupted` when it is not of this space.
pub fn decode_vector(space: Space<'_>, body: &[u8]) -> Result<Vector> {
    match space {
        Space::Dense(spec) => decode_dense(spec, body).map(Vector::Dense),
        Space::Sparse => decode_sparse(body).map(Vector::Sparse),
        Space::Multi(spec) => decode_rows(spec, body).map(Vector::Multi),
    }
}

/// Bytes of a dimension and its weight.
const SPARSE_BYTES: usize = 8;

fn decode_dense(spec: &VectorSpec, body: &[u8]) -> Result<Vec<f32>> {
    let (bytes, due) = (body.len(), spec.dim * spec.datatype.bytes());
    if bytes != due {
        let why = format!("it has {bytes} bytes, and {} elements of {} have {due}", spec.dim, spec.datatype);
        return Err(Error::corrupted("a vector", why));
    }
    let mut elements = Vec::with_capacity(spec.dim);
    spec.datatype.decode(body, &mut elements)?;
    Ok(elements)
}

fn decode_rows(spec: &VectorSpec, body: &[u8]) -> Result<MultiVector> {
    let bytes = spec.dim * spec.datatype.bytes();
    if body.is_empty() || !body.len().is_multiple_of(bytes) {
        let why = format!("it has {} bytes, and a row has {bytes}", body.len());
        return Err(Error::corrupted("a multivector", why));
    }
    body.chunks_exact(bytes).map(|row| decode_dense(spec, row)).collect()
}

fn decode_sparse(body: &[u8]) -> Result<SparseVector> {
    let wrong = |why: &str| Err(Error::corrupted("a sparse vector", why));
    if !body.len().is_multiple_of(SPARSE_BYTES) {
        return wrong("it ends inside of a pair");
    }
    let (indices, values) = body.split_at(body.len() / 2);
    let indices: Vec<u32> = indices.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let values: Vec<f32> = values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if !indices.is_sorted_by(|a, b| a < b) || !values.iter().all(|value| value.is_finite()) {
        return wrong("its dimensions do not ascend, or a weight is no number");
    }
    Ok(SparseVector { indices, values })
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
            let space = Space::Dense(&spec);
            assert_eq!(encode_vector(space, &elements.into()), body, "{datatype}");
            assert_eq!(decode_vector(space, body).expect("whole"), elements.into(), "{datatype}");
            for wrong in [&body[1..], &[body, body].concat(), &[]] {
                let error = decode_vector(space, wrong).expect_err("another length");
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{datatype}: {error}");
            }
        }
    }

    #[test]
    fn sparse_vectors_have_their_golden_bytes() {
        let golden = [[2, 0, 0, 0, 1, 1, 0, 0], [0, 0, 128, 63, 0, 0, 32, 192]].concat();
        let vector = Vector::from(SparseVector::of([(2, 1.0), (257, -2.5)]));
        assert_eq!(encode_vector(Space::Sparse, &vector), golden);
        assert_eq!(decode_vector(Space::Sparse, &golden).expect("whole"), vector);
        let empty = Vector::from(SparseVector::default());
        assert_eq!(
            decode_vector(Space::Sparse, &encode_vector(Space::Sparse, &empty)).expect("whole"),
            empty
        );
        let twice = [[2, 0, 0, 0, 2, 0, 0, 0], [0; 8]].concat();
        let endless = [2, 0, 0, 0, 0, 0, 128, 127];
        for wrong in [&golden[..9], &golden[..12], &twice, &endless] {
            let error = decode_vector(Space::Sparse, wrong).expect_err("no vector");
            assert_eq!(error.kind(), ErrorKind::Corrupted);
        }
    }

    #[test]
    fn multivectors_have_their_golden_bytes() {
        let spec = pair_of(Datatype::Uint8);
        let vector = Vector::Multi(vec![vec![1.0, 255.0], vec![0.0, 7.0]]);
        let golden = [1, 255, 0, 7];
        assert_eq!(encode_vector(Space::Multi(&spec), &vector), golden);
        assert_eq!(decode_vector(Space::Multi(&spec), &golden).expect("whole"), vector);
        for wrong in [&golden[..3], &[]] {
            assert!(decode_vector(Space::Multi(&spec), wrong).is_err());
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
