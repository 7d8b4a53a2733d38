//! Rows of the journal, format version 1: what one commit did to one collection.
//!
//! ```text
//!  body: count:u32, then that many operations
//!  operation  kind:u8   0 put, 1 remove
//!             id        as in `payloads`
//!             new:u64   put only: the version that is current from now on
//!             old:u64   the version that was current before; u64::MAX if there was none (put only)
//! ```
//!
//! The journal is the only input of derived state: whoever holds the state of seqno S and applies the entries after S,
//! in order, holds the state of today. Applying an entry twice changes nothing. Entries are removed together with the
//! old versions they name, once every index has passed them.

use types::{Error, PointId, Result, Seqno, Version};

use super::Cursor;
use super::point::{decode_id, encode_id};

/// What one commit did to one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The commit.
    pub seqno: Seqno,
    /// Its operations, in order.
    pub ops: Vec<JournalOp>,
}

/// One operation of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalOp {
    /// `new` is current from now on, `old` no longer.
    Put {
        /// The point.
        id: PointId,
        /// Its version from now on.
        new: Version,
        /// Its version before, if it existed.
        old: Option<Version>,
    },
    /// The point is gone; `old` was current.
    Remove {
        /// The point.
        id: PointId,
        /// Its last version.
        old: Version,
    },
}

impl JournalOp {
    /// The version that this operation unlinked.
    pub fn old(&self) -> Option<Version> {
        match self {
            Self::Put { old, .. } => *old,
            Self::Remove { old, .. } => Some(*old),
        }
    }
}

const NO_VERSION: u64 = u64::MAX;

/// The body of a journal row.
pub fn encode(ops: &[JournalOp]) -> Vec<u8> {
    let count = u32::try_from(ops.len()).expect("batches are limited far below u32::MAX operations");
    let mut body = count.to_le_bytes().to_vec();
    for op in ops {
        match op {
            JournalOp::Put { id, new, old } => {
                body.push(0);
                encode_id(*id, &mut body);
                body.extend_from_slice(&new.0.to_le_bytes());
                body.extend_from_slice(&old.map_or(NO_VERSION, |version| version.0).to_le_bytes());
            }
            JournalOp::Remove { id, old } => {
                body.push(1);
                encode_id(*id, &mut body);
                body.extend_from_slice(&old.0.to_le_bytes());
            }
        }
    }
    body
}

/// The operations of a journal row.
///
/// # Errors
/// `Corrupted` when it does not parse to the end.
pub fn decode(body: &[u8]) -> Result<Vec<JournalOp>> {
    let mut cursor = Cursor::new(body);
    let count = cursor.u32()?;
    let mut ops = Vec::new();
    for _ in 0..count {
        ops.push(match cursor.u8()? {
            0 => {
                let id = decode_id(&mut cursor)?;
                let new = Version(cursor.u64()?);
                let old = Some(cursor.u64()?).filter(|old| *old != NO_VERSION).map(Version);
                JournalOp::Put { id, new, old }
            }
            1 => JournalOp::Remove { id: decode_id(&mut cursor)?, old: Version(cursor.u64()?) },
            kind => return Err(Error::corrupted("a journal entry", format!("there is no kind {kind}"))),
        });
    }
    cursor.end()?;
    Ok(ops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_has_its_golden_bytes() {
        let ops = [
            JournalOp::Put { id: PointId::Num(5), new: Version(9), old: None },
            JournalOp::Remove { id: PointId::Num(5), old: Version(9) },
        ];
        let body = encode(&ops);
        assert_eq!(
            body,
            [
                &[2, 0, 0, 0][..],
                &[
                    0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255,
                    255
                ],
                &[1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
            ]
            .concat()
        );
        assert_eq!(decode(&body).expect("whole"), ops);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(ops) = decode(&body) {
                prop_assert_eq!(encode(&ops), body);
            }
        }
    }
}
