//! Rows of the manifest, format version 1.
//!
//! ```text
//!  collection 0x00        body: seqno:u64         the last commit that touched the collection
//!                               next_version:u64  larger than every version ever given
//!                               points:u64        points that exist
//!  collection 0x01 index  body: seqno:u64         the index of that name is durable up to here
//!  collection 0x02        body: seqno:u64         the journal is trimmed, and old versions are removed, up to here
//!  collection 0x03        body: seqno:u64         the segments, with what was dead in them after this commit
//!                               count:u32, then that many segments, ascending by version
//!  segment  number:u64    in the name of its files
//!           rows:u32
//!           first:u64     its lowest version
//!           last:u64      its highest version
//!           checksum:u32  of its file
//!           length:u32    of what follows
//!           dead          the rows that are dead, a portable Roaring bitmap; opaque here
//! ```
//!
//! Invariant: trimmed <= every watermark <= `seqno`, where the list of segments is a watermark too. The counters are
//! written by every commit, in its batch. The list may be missing, or be too old: then all rows come from storage.
//! Code that does not know the list passes it over and trims the journal without regard to it: the list is then found
//! too old, and is made anew.

use types::{Result, Seqno, Version};

use super::Cursor;

/// The counters of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionState {
    /// The last commit that touched the collection.
    pub seqno: Seqno,
    /// Larger than every version ever given.
    pub next_version: Version,
    /// Points that exist.
    pub points: u64,
}

/// The body of the counters' row.
pub fn encode(state: &CollectionState) -> Vec<u8> {
    [state.seqno.0, state.next_version.0, state.points]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// The counters in a body.
///
/// # Errors
/// `Corrupted` for another length.
pub fn decode(body: &[u8]) -> Result<CollectionState> {
    let mut cursor = Cursor::new(body);
    let state = CollectionState {
        seqno: Seqno(cursor.u64()?),
        next_version: Version(cursor.u64()?),
        points: cursor.u64()?,
    };
    cursor.end()?;
    Ok(state)
}

/// The body of a row that holds one number: a watermark, or the seqno in `meta`.
pub fn encode_seqno(seqno: Seqno) -> Vec<u8> {
    seqno.0.to_le_bytes().to_vec()
}

/// The number in such a body.
///
/// # Errors
/// `Corrupted` for another length.
pub fn decode_seqno(body: &[u8]) -> Result<Seqno> {
    let mut cursor = Cursor::new(body);
    let seqno = Seqno(cursor.u64()?);
    cursor.end()?;
    Ok(seqno)
}

/// The segments of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentList {
    /// What commits up to here have unlinked is among the dead; later ones say themselves what they unlinked.
    pub seqno: Seqno,
    /// Ascending by version; no two overlap.
    pub segments: Vec<SegmentRecord>,
}

/// A segment, as the list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// In the name of its files.
    pub number: u64,
    /// Its rows.
    pub rows: u32,
    /// Its lowest version.
    pub first: Version,
    /// Its highest version.
    pub last: Version,
    /// The checksum of its file.
    pub checksum: u32,
    /// The rows that are dead, as its reader wrote them.
    pub dead: Vec<u8>,
}

/// The body of the list of segments.
pub fn encode_segments(list: &SegmentList) -> Vec<u8> {
    let mut body = list.seqno.0.to_le_bytes().to_vec();
    let length =
        |len: usize| u32::try_from(len).expect("segments are few, and so are their rows").to_le_bytes();
    body.extend_from_slice(&length(list.segments.len()));
    for segment in &list.segments {
        body.extend_from_slice(&segment.number.to_le_bytes());
        body.extend_from_slice(&segment.rows.to_le_bytes());
        body.extend_from_slice(&segment.first.0.to_le_bytes());
        body.extend_from_slice(&segment.last.0.to_le_bytes());
        body.extend_from_slice(&segment.checksum.to_le_bytes());
        body.extend_from_slice(&length(segment.dead.len()));
        body.extend_from_slice(&segment.dead);
    }
    body
}

/// The list of segments in a body.
///
/// # Errors
/// `Corrupted` when it does not parse to the end.
pub fn decode_segments(body: &[u8]) -> Result<SegmentList> {
    let mut cursor = Cursor::new(body);
    let seqno = Seqno(cursor.u64()?);
    let mut segments = Vec::new();
    for _ in 0..cursor.u32()? {
        let (number, rows) = (cursor.u64()?, cursor.u32()?);
        let (first, last) = (Version(cursor.u64()?), Version(cursor.u64()?));
        let (checksum, length) = (cursor.u32()?, cursor.u32()?);
        let dead = cursor.bytes(length as usize)?.to_vec();
        segments.push(SegmentRecord { number, rows, first, last, checksum, dead });
    }
    cursor.end()?;
    Ok(SegmentList { seqno, segments })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_segments_has_its_golden_bytes() {
        let segment = SegmentRecord {
            number: 2,
            rows: 3,
            first: Version(4),
            last: Version(5),
            checksum: 6,
            dead: vec![7, 8],
        };
        let list = SegmentList { seqno: Seqno(1), segments: vec![segment] };
        let golden = [
            &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0][..],
            &[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0],
            &[6, 0, 0, 0, 2, 0, 0, 0, 7, 8],
        ]
        .concat();
        assert_eq!(encode_segments(&list), golden);
        assert_eq!(decode_segments(&golden).expect("whole"), list);
        for len in 0..golden.len() {
            assert!(decode_segments(&golden[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn the_counters_have_their_golden_bytes() {
        let state = CollectionState { seqno: Seqno(1), next_version: Version(2), points: 3 };
        let mut golden = [0_u8; 24];
        (golden[0], golden[8], golden[16]) = (1, 2, 3);
        assert_eq!(encode(&state), golden);
        assert_eq!(decode(&golden).expect("whole"), state);
        assert!(decode(&golden[1..]).is_err() && decode_seqno(&golden).is_err());
    }
}
