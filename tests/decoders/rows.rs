//! Rows of storage, behind their checksums: the first byte chooses the kind of row, the rest is its body.

use std::fmt::Debug;

use storage::format::{catalog, journal, manifest, point};
use storage::{CollectionState, JournalOp, SegmentList, SegmentRecord};
use types::{CollectionId, Limits, PointId, Result, Seqno, Vector, Version};

use crate::schema::{NAMES, entry, point as some_point};
use crate::{seed, taken};

/// Kinds of rows that are no vectors.
const KINDS: usize = 7;

/// Reads a row.
pub fn run(bytes: &[u8]) -> bool {
    let Some((kind, body)) = bytes.split_first() else { return false };
    match usize::from(*kind) % (KINDS + NAMES.len()) {
        0 => stable(body, journal::decode, |ops| journal::encode(ops)),
        1 => stable(body, manifest::decode_segments, manifest::encode_segments),
        2 => stable(body, manifest::decode, manifest::encode),
        3 => stable(body, manifest::decode_seqno, |seqno| manifest::encode_seqno(*seqno)),
        4 => stable(body, point::decode_version, |version| point::encode_version(*version)),
        5 => stable(body, point::decode_payload, |(id, payload)| point::encode_payload(*id, payload)),
        6 => {
            let decode = |body: &[u8]| catalog::decode(CollectionId(1), body);
            stable(body, decode, catalog::encode)
                && decode(body).is_ok_and(|entry| taken(&entry.schema.check(&Limits::default())))
        }
        number => vector(NAMES[number - KINDS], body),
    }
}

/// Whether it is taken. What is taken is written as something that is taken for the same.
fn stable<T: Debug + PartialEq>(
    body: &[u8],
    decode: impl Fn(&[u8]) -> Result<T>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> bool {
    let outcome = decode(body);
    if let Ok(read) = &outcome {
        assert_eq!(&decode(&encode(read)).expect("what was read can be written"), read);
    }
    taken(&outcome)
}

/// Compares by text: what is no number equals nothing, itself neither.
fn vector(name: &str, body: &[u8]) -> bool {
    let entry = entry();
    let (_, space) = entry.space(name).expect("a space");
    let text = |vector: &Vector| format!("{vector:?}");
    let outcome = point::decode_vector(space, body);
    if let Ok(read) = &outcome {
        let again = point::decode_vector(space, &point::encode_vector(space, read));
        assert_eq!(text(&again.expect("what was read can be written")), text(read));
    }
    taken(&outcome)
}

/// A body of every kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let (entry, point) = (entry(), some_point(7));
    let ops = [
        JournalOp::Put { id: PointId::Num(7), new: Version(9), old: None },
        JournalOp::Put { id: PointId::Num(8), new: Version(10), old: Some(Version(3)) },
        JournalOp::Remove { id: PointId::from_name("a"), old: Version(9) },
    ];
    let segment = |number| {
        let (first, last) = (Version(4), Version(7));
        SegmentRecord { number, rows: 3, first, last, checksum: 6, dead: vec![7, 8, 9] }
    };
    let list = SegmentList { seqno: Seqno(1), segments: vec![segment(1), segment(2)] };
    let state = CollectionState { seqno: Seqno(1), next_version: Version(2), points: 3 };
    let bodies = [
        journal::encode(&ops),
        manifest::encode_segments(&list),
        manifest::encode(&state),
        manifest::encode_seqno(Seqno(5)),
        point::encode_version(Version(5)),
        point::encode_payload(point.id, &point.payload),
        catalog::encode(&entry),
    ];
    let vectors = NAMES.iter().map(|name| {
        let (_, space) = entry.space(name).expect("a space");
        point::encode_vector(space, point.any_named(name).expect("a vector"))
    });
    let all: Vec<Vec<u8>> = bodies.into_iter().chain(vectors).collect();
    all.iter().enumerate().map(|(kind, body)| seed(kind, body)).collect()
}
