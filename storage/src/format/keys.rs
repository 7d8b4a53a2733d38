//! Keys, format version 1. All integers big-endian, so that byte order is the order of the numbers.
//!
//! ```text
//!  table     key
//!  meta      "format" | "database" | "seqno" | "next-collection"
//!            "c" collection:u32                       catalog entry
//!            "a" alias                                the name of its collection, UTF-8; dangling ones count as none
//!            "r" collection:u32                       a mark: rows that no entry owns yet
//!  points    collection:u32 id                        id = 0x00 num:u64 | 0x01 uuid:16
//!  payloads  collection:u32 version:u64
//!  vectors   collection:u32 space:u16 version:u64
//!  journal   collection:u32 seqno:u64
//!  manifest  collection:u32 0x00                      counters of the collection
//!            collection:u32 0x01 index name           watermark of a derived index
//!            collection:u32 0x02                      how far the journal is trimmed
//!            collection:u32 0x03                      the segments of the collection
//! ```
//!
//! Every key of a collection outside `meta` begins with its number: dropping it is one range removal a table.

use types::{CollectionId, PointId, Seqno, Version};
use uuid::Uuid;

use super::damage;
use crate::rows::Table;

/// `meta`: the format version of the directory.
pub const FORMAT: &[u8] = b"format";
/// `meta`: the random id of this database.
pub const DATABASE: &[u8] = b"database";
/// `meta`: the seqno of the last commit.
pub const SEQNO: &[u8] = b"seqno";
/// `meta`: the number that the next collection gets.
pub const NEXT_COLLECTION: &[u8] = b"next-collection";
/// `meta`: the first byte of catalog entries.
pub const CATALOG: &[u8] = b"c";

/// `meta`: the first byte of marks beside rows that no entry owns yet.
pub const RESTORE: &[u8] = b"r";

/// The key of the mark of a collection that is being restored.
pub fn restore(id: CollectionId) -> Vec<u8> {
    [RESTORE, &id.0.to_be_bytes()].concat()
}

/// `meta`: the first byte of aliases.
pub const ALIAS: &[u8] = b"a";

/// The key of an alias.
pub fn alias(name: &str) -> Vec<u8> {
    [ALIAS, name.as_bytes()].concat()
}

/// The key of a catalog entry.
pub fn catalog(id: CollectionId) -> Vec<u8> {
    [CATALOG, &id.0.to_be_bytes()].concat()
}

/// The range of every key of a collection in a table other than `meta`.
pub fn collection(id: CollectionId) -> (Vec<u8>, Vec<u8>) {
    let from = id.0.to_be_bytes().to_vec();
    let to = match id.0.checked_add(1) {
        Some(next) => next.to_be_bytes().to_vec(),
        None => vec![0xff; 5],
    };
    (from, to)
}

/// Of a point whose id is a UUID: three keys a row are made by the one writer, each with one allocation.
const POINT_KEY_BYTES_MAX: usize = 4 + 1 + 16;

/// The key of a point's current version.
pub fn point(collection: CollectionId, id: PointId) -> Vec<u8> {
    let mut key = Vec::with_capacity(POINT_KEY_BYTES_MAX);
    key.extend_from_slice(&collection.0.to_be_bytes());
    match id {
        PointId::Num(num) => {
            key.push(0);
            key.extend_from_slice(&num.to_be_bytes());
        }
        PointId::Uuid(uuid) => {
            key.push(1);
            key.extend_from_slice(uuid.as_bytes());
        }
    }
    key
}

/// The point id in a key of `points`.
///
/// # Errors
/// `Corrupted` when the key has another shape.
pub fn point_id(key: &[u8]) -> types::Result<PointId> {
    let wrong = || damage(Table::Points, key, "its key has no such shape");
    match key.get(4..).and_then(|rest| rest.split_first()) {
        Some((0, num)) => Ok(PointId::Num(u64::from_be_bytes(num.try_into().map_err(|_| wrong())?))),
        Some((1, uuid)) => Ok(PointId::Uuid(Uuid::from_slice(uuid).map_err(|_| wrong())?)),
        _ => Err(wrong()),
    }
}

/// The key of a version's payload.
pub fn payload(collection: CollectionId, version: Version) -> Vec<u8> {
    numbered(&collection.0.to_be_bytes(), version.0)
}

/// The key of a version's vector in a space.
pub fn vector(collection: CollectionId, space: u16, version: Version) -> Vec<u8> {
    [&collection.0.to_be_bytes()[..], &space.to_be_bytes(), &version.0.to_be_bytes()].concat()
}

/// What all keys of a space begin with.
pub fn vector_space(collection: CollectionId, space: u16) -> Vec<u8> {
    [&collection.0.to_be_bytes()[..], &space.to_be_bytes()].concat()
}

/// The key of a journal entry.
pub fn journal(collection: CollectionId, seqno: Seqno) -> Vec<u8> {
    numbered(&collection.0.to_be_bytes(), seqno.0)
}

/// The key of a collection's counters.
pub fn state(collection: CollectionId) -> Vec<u8> {
    [&collection.0.to_be_bytes()[..], &[0]].concat()
}

/// The key of an index's watermark.
pub fn watermark(collection: CollectionId, index: &str) -> Vec<u8> {
    [&collection.0.to_be_bytes()[..], &[1], index.as_bytes()].concat()
}

/// The key of how far a collection's journal is trimmed.
pub fn trimmed(collection: CollectionId) -> Vec<u8> {
    [&collection.0.to_be_bytes()[..], &[2]].concat()
}

/// The key of a collection's list of segments.
pub fn segments(collection: CollectionId) -> Vec<u8> {
    [&collection.0.to_be_bytes()[..], &[3]].concat()
}

/// The version or seqno that a key ends with.
///
/// # Errors
/// `Corrupted` when the key is too short.
pub fn last_number(table: Table, key: &[u8]) -> types::Result<u64> {
    let (_, number) =
        key.split_last_chunk::<8>().ok_or_else(|| damage(table, key, "its key is too short"))?;
    Ok(u64::from_be_bytes(*number))
}

fn numbered(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_golden_bytes() {
        let c = CollectionId(7);
        assert_eq!(point(c, PointId::Num(258)), [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(payload(c, Version(3)), [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(vector(c, 1, Version(3)), [0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(watermark(c, "kw"), [0, 0, 0, 7, 1, b'k', b'w']);
        assert_eq!(segments(c), [0, 0, 0, 7, 3]);
        assert_eq!(catalog(c), [b'c', 0, 0, 0, 7]);
        assert_eq!(restore(c), [b'r', 0, 0, 0, 7]);
        assert_eq!(alias("né"), [b'a', b'n', 0xc3, 0xa9]);
        assert_eq!(collection(c), (vec![0, 0, 0, 7], vec![0, 0, 0, 8]));
    }

    #[test]
    fn keys_sort_as_ids_do_and_read_back() {
        let c = CollectionId(u32::MAX);
        let ids = [0, 1, 255, 256, u64::MAX].map(PointId::Num);
        let all: Vec<PointId> =
            ids.into_iter().chain([PointId::Uuid(Uuid::nil()), PointId::Uuid(Uuid::max())]).collect();
        let keys: Vec<Vec<u8>> = all.iter().map(|id| point(c, *id)).collect();
        assert!(keys.is_sorted());
        let (from, to) = collection(c);
        for (key, id) in keys.iter().zip(&all) {
            assert_eq!(point_id(key).expect("a key"), *id);
            assert!(*key >= from && *key < to);
        }
        assert!(point_id(&[0, 0, 0, 0, 2, 1]).is_err() && point_id(&[0]).is_err());
    }
}
