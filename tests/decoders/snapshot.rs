//! Archives of snapshots: the first byte chooses what the rest is, the whole archive, or a part of one whose checksums
//! agree, so that more is reached than the check of a checksum.
//!
//! Invariant: what is restored can be read.

use serde_json::{Value, json};
use storage::format::snapshot::{HEAD, Record, collection_file, points_file};
use storage::format::{catalog, point};
use storage::{CatalogEntry, SnapshotReader, Store, StoredPoint};
use types::{CollectionId, Limits, Result, Version};

use crate::schema::{NAMES, entry, point as some_point};
use crate::{seed, taken};

const WHOLE: usize = 0;
const DESCRIPTION: usize = 1;
const POINTS: usize = 2;
const PAYLOAD: usize = 3;
/// And one for each vector space behind it.
const VECTOR: usize = 4;

const BLOCK_BYTES: usize = 512;

/// Reads an archive.
pub fn run(bytes: &[u8]) -> bool {
    let Some((choice, body)) = bytes.split_first() else { return false };
    let mut record = record(2);
    let archive = match usize::from(*choice) % (VECTOR + NAMES.len()) {
        WHOLE => body.to_vec(),
        DESCRIPTION => archive(body, &points(&record)),
        POINTS => archive(description().as_bytes(), body),
        PAYLOAD => {
            record.payload = body.to_vec();
            archive(description().as_bytes(), &points(&record))
        }
        choice => {
            record.vectors[choice - VECTOR].1 = body.to_vec();
            archive(description().as_bytes(), &points(&record))
        }
    };
    let store = Store::in_memory().expect("a store");
    let outcome = restored(&store, &archive);
    if let Ok(Some((entry, points))) = &outcome {
        let mut seen = 0;
        let mut visit = |_: StoredPoint| {
            seen += 1;
            Ok(())
        };
        store.for_each_point_from(entry, Version(0), &mut visit).expect("what was taken can be read");
        assert_eq!(seen, *points);
    }
    taken(&outcome)
}

fn restored(store: &Store, archive: &[u8]) -> Result<Option<(CatalogEntry, u64)>> {
    let mut reader = SnapshotReader::open(archive)?;
    let Some(entry) = reader.advance(CollectionId(5))? else { return Ok(None) };
    entry.schema.check(&Limits::default())?;
    let points = store.restore(&entry, &mut reader, &Limits::default(), &|| Ok(()))?;
    Ok(Some((entry, points)))
}

fn record(id: u64) -> Record {
    let (entry, some) = (entry(), some_point(id));
    let vectors = NAMES.iter().map(|name| {
        let (number, space) = entry.space(name).expect("a space");
        (number, point::encode_vector(space, some.any_named(name).expect("a vector")))
    });
    Record { payload: point::encode_payload(some.id, &some.payload), vectors: vectors.collect() }
}

/// Three points, the second of which is this.
fn points(second: &Record) -> Vec<u8> {
    [record(1).encode(), second.encode(), record(3).encode()].concat()
}

fn description() -> String {
    let entry: Value = serde_json::from_slice(&catalog::encode(&entry())).expect("an entry is JSON");
    json!({"points": 3, "entry": entry}).to_string()
}

/// A snapshot of one collection.
fn archive(description: &[u8], points: &[u8]) -> Vec<u8> {
    let head = json!({"format": 1, "seqno": 1, "aliases": {}}).to_string();
    let mut bytes = file(HEAD, head.as_bytes());
    bytes.extend(file(&collection_file(0), description));
    bytes.extend(file(&points_file(0), points));
    bytes.extend([0; 2 * BLOCK_BYTES]);
    bytes
}

/// A file of a tar archive.
fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; BLOCK_BYTES];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

/// A sound archive, and each of its parts.
pub fn seeds() -> Vec<Vec<u8>> {
    let (record, description) = (record(2), description());
    let mut seeds = vec![
        seed(WHOLE, &archive(description.as_bytes(), &points(&record))),
        seed(DESCRIPTION, description.as_bytes()),
        seed(POINTS, &points(&record)),
        seed(PAYLOAD, &record.payload),
    ];
    let vectors = record.vectors.iter().enumerate();
    seeds.extend(vectors.map(|(number, (_, body))| seed(VECTOR + number, body)));
    seeds
}
