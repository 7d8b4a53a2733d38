//! Bytes that nobody wrote, under checksums that agree: every decoder of a row, and of a snapshot, refuses them or
//! takes them for what they say, and never panics or reserves what a length in them claims.

use std::fmt::Debug;

use proptest::prelude::*;
use types::{
    CollectionId, Error, ErrorKind, Limits, Metric, Point, PointId, Schema, Seqno, SparseSpec, SparseVector,
    Vector, VectorSpec, Version,
};

use crate::format::point::Space;
use crate::format::snapshot::Record;
use crate::format::{catalog, journal, manifest, point};
use crate::{
    CatalogEntry, CollectionState, JournalOp, SegmentList, SegmentRecord, SnapshotReader, SnapshotWriter,
    Store,
};

/// What is done to bytes: some are others, some are doubled, and the end is cut off.
fn edits() -> impl Strategy<Value = (Vec<(usize, u8)>, Option<usize>, usize)> {
    let edge = prop_oneof![any::<u8>(), Just(0), Just(0x7f), Just(0x80), Just(0xff)];
    (prop::collection::vec((any::<usize>(), edge), 1..5), prop::option::of(any::<usize>()), any::<usize>())
}

fn edited(bytes: &[u8], edits: &(Vec<(usize, u8)>, Option<usize>, usize)) -> Vec<u8> {
    let (changes, doubled, cut) = edits;
    let mut bytes = bytes.to_vec();
    for (at, byte) in changes {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    if let Some(at) = doubled {
        let tail = bytes[at % bytes.len()..].to_vec();
        bytes.extend(tail);
    }
    // Mostly whole: else nothing behind the beginning would be reached.
    if cut.is_multiple_of(4) {
        bytes.truncate(cut / 4 % bytes.len());
    }
    bytes
}

fn entry() -> CatalogEntry {
    let schema = Schema::new()
        .vector(2, Metric::Dot)
        .sparse_vector("s", SparseSpec::default())
        .multi_vector("m", VectorSpec::new(2, Metric::Dot))
        .keyword(["a.b[]".parse().expect("a path")], types::Language::English)
        .field("n".parse().expect("a path"), types::FieldKind::Integer);
    CatalogEntry::new(CollectionId(1), "c", schema)
}

fn some_point(id: u64) -> Point {
    Point::new(id)
        .vector([id as f32, 0.5])
        .named_vector("s", SparseVector::of([(id as u32, 1.0), (9, -1.0)]))
        .named_vector("m", Vector::Multi(vec![vec![1.0, id as f32], vec![0.0, 2.0]]))
        .with("n", id)
        .with("text", "ü")
}

/// What a decoder takes is written back as something that it takes for the same.
fn stable<T: Debug + PartialEq>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> types::Result<T>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    if let Ok(read) = decode(bytes) {
        assert_eq!(decode(&encode(&read)).expect("what was read can be written"), read);
    }
}

/// Compares vectors by their text: what is no number equals nothing, itself neither.
fn readable(space: Space<'_>, bytes: &[u8]) {
    stable(
        bytes,
        |bytes| point::decode_vector(space, bytes).map(|vector| format!("{vector:?}")),
        |_| bytes.to_vec(),
    );
}

fn journal_body() -> Vec<u8> {
    let (old, new) = (Version(3), Version(9));
    journal::encode(&[
        JournalOp::Put { id: PointId::Num(7), new, old: None },
        JournalOp::Put { id: PointId::Num(8), new: Version(10), old: Some(old) },
        JournalOp::Remove { id: PointId::Uuid(uuid::Uuid::from_u128(5)), old: new },
    ])
}

fn list_body() -> Vec<u8> {
    let segment = |number| SegmentRecord {
        number,
        rows: 3,
        first: Version(4),
        last: Version(7),
        checksum: 6,
        dead: vec![7, 8, 9],
    };
    manifest::encode_segments(&SegmentList { seqno: Seqno(1), segments: vec![segment(1), segment(2)] })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn rows_that_nobody_wrote_are_refused_or_read(edits in edits()) {
        let (entry, point) = (entry(), some_point(7));
        let bytes = edited(&journal_body(), &edits);
        stable(&bytes, journal::decode, |ops| journal::encode(ops));
        stable(&edited(&list_body(), &edits), manifest::decode_segments, manifest::encode_segments);
        let state = manifest::encode(&CollectionState { seqno: Seqno(1), next_version: Version(2), points: 3 });
        stable(&edited(&state, &edits), manifest::decode, manifest::encode);
        let bytes = edited(&catalog::encode(&entry), &edits);
        stable(&bytes, |bytes| catalog::decode(CollectionId(1), bytes), catalog::encode);
        let bytes = edited(&point::encode_payload(point.id, &point.payload), &edits);
        stable(&bytes, point::decode_payload, |(id, payload)| point::encode_payload(*id, payload));
        for (name, vector) in &point.vectors {
            let (_, space) = entry.space(name).expect("a space");
            readable(space, &edited(&point::encode_vector(space, vector), &edits));
        }
    }
}

/// The bytes of a snapshot of three points, the second of which is these.
fn snapshot(folder: &std::path::Path, record: &Record) -> Vec<u8> {
    let path = folder.join("s");
    let mut writer = SnapshotWriter::create(&path, Seqno(1), &Default::default()).expect("a file");
    writer.begin(&entry(), 3).expect("begun");
    for record in [&sound(1), record, &sound(3)] {
        writer.put_record(record).expect("written");
    }
    writer.finish().expect("finished");
    std::fs::read(path).expect("reads")
}

fn sound(id: u64) -> Record {
    let (entry, point) = (entry(), some_point(id));
    let vectors = point.vectors.iter().map(|(name, vector)| {
        let (number, space) = entry.space(name).expect("a space");
        (number, point::encode_vector(space, vector))
    });
    Record { payload: point::encode_payload(point.id, &point.payload), vectors: vectors.collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_snapshot_that_nobody_made_is_refused_or_can_be_read(
        edits in edits(), part in 0..4_usize, whole in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut record = sound(2);
        if whole {
            // The bytes of the file, whose checksums then disagree mostly.
        } else if part == 3 {
            record.payload = edited(&record.payload, &edits);
        } else {
            record.vectors[part].1 = edited(&record.vectors[part].1, &edits);
        }
        let mut bytes = snapshot(folder.path(), &record);
        if whole {
            bytes = edited(&bytes, &edits);
        }
        let store = Store::in_memory().expect("a store");
        let restored = (|| {
            let mut reader = SnapshotReader::open(&bytes[..])?;
            let Some(entry) = reader.advance(CollectionId(5))? else { return Ok(None) };
            entry.schema.check(&Limits::default())?;
            store.restore(&entry, &mut reader, &Limits::default(), &|| Ok(())).map(|points| Some((entry, points)))
        })();
        if let Ok(Some((entry, points))) = restored {
            let mut seen = 0;
            let mut visit = |_: crate::StoredPoint| {
                seen += 1;
                Ok(())
            };
            store.for_each_point_from(&entry, Version(0), &mut visit).expect("what was taken can be read");
            prop_assert!(seen <= points);
        }
    }
}

#[test]
fn what_a_snapshot_has_twice_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = snapshot(folder.path(), &sound(1));
    let store = Store::in_memory().expect("a store");
    let mut reader = SnapshotReader::open(&bytes[..]).expect("a snapshot");
    let entry = reader.advance(CollectionId(5)).expect("reads").expect("a collection");
    let error = store
        .restore(&entry, &mut reader, &Limits::default(), &|| Ok(()))
        .expect_err("point 1 is there twice");
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    let path = folder.path().join("t");
    let mut writer = SnapshotWriter::create(&path, Seqno(1), &Default::default()).expect("a file");
    let spaces = entry.spaces.keys().map(|name| (name.clone(), 0)).collect();
    writer.begin(&CatalogEntry { spaces, ..entry }, 0).expect("begun");
    writer.finish().expect("finished");
    let bytes = std::fs::read(path).expect("reads");
    let mut reader = SnapshotReader::open(&bytes[..]).expect("a snapshot");
    let error = reader.advance(CollectionId(6)).expect_err("all vectors have one number");
    assert_eq!(error.kind(), ErrorKind::Corrupted);
}

#[test]
fn a_snapshot_is_restored_as_long_as_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = snapshot(folder.path(), &sound(2));
    let store = Store::in_memory().expect("a store");
    let mut reader = SnapshotReader::open(&bytes[..]).expect("a snapshot");
    let entry = reader.advance(CollectionId(5)).expect("reads").expect("a collection");
    let full = || Err(Error::new(ErrorKind::StorageFull, "no room"));
    let error = store.restore(&entry, &mut reader, &Limits::default(), &full).expect_err("no room");
    assert!(error.kind() == ErrorKind::StorageFull && !store.is_poisoned());
}
