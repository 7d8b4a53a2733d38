//! Rows of the manifest, format version 1.
//!
//! ```text
//!  collection 0x00        body: seqno:u64         the last commit that touched the collection
//!                               next_version:u64  larger than every version ever given
//!                               points:u64        points that exist
//!  collection 0x01 index  body: seqno:u64         the index of that name is durable up to here
//!  collection 0x02        body: seqno:u64         the journal is trimmed, and old versions are removed, up to here
//! ```
//!
//! Invariant: trimmed <= every watermark <= `seqno`. The counters are written by every commit, in its batch.

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

#[cfg(test)]
mod tests {
    use super::*;

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
