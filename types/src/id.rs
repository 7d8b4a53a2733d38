//! Identifiers: what users see ([`PointId`]) and what only the engine sees ([`Slot`], [`Version`], [`Seqno`]).
//!
//! Invariants: a [`Version`] names one version of one point for ever and is never given twice; a [`Slot`]
//! is a dense row number inside one process's index and is never shown, stored or reused.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{Error, Result};

/// A user's id of a point: an unsigned integer or a UUID. Integers sort before UUIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointId {
    /// An unsigned 64-bit integer.
    Num(u64),
    /// A 128-bit UUID, big-endian order.
    Uuid(Uuid),
}

impl PointId {
    /// A UUID made from a name, the same for the same name (UUID version 5).
    pub fn from_name(name: &str) -> Self {
        Self::Uuid(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
    }

    /// A number that is spread evenly over the ids, the same for the same id in every version of the engine, and the
    /// one that Qdrant shares points out by.
    pub(crate) fn hash(self) -> u64 {
        match self {
            Self::Num(num) => sip_hash(&[num]),
            Self::Uuid(uuid) => {
                let (high, low) = uuid.as_u64_pair();
                sip_hash(&[high.swap_bytes(), low.swap_bytes()])
            }
        }
    }

    /// A fresh random UUID (version 4).
    pub fn random() -> Self {
        Self::Uuid(Uuid::new_v4())
    }
}

/// SipHash-2-4 (Aumasson and Bernstein 2012) of words of eight bytes, the first byte the lowest, with keys of 0.
fn sip_hash(words: &[u64]) -> u64 {
    let mut state: [u64; 4] =
        [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
    let last = (words.len() as u64 * 8) << 56;
    for word in words.iter().chain([&last]) {
        state[3] ^= word;
        (0..2).for_each(|_| sip_round(&mut state));
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    (0..4).for_each(|_| sip_round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn sip_round(state: &mut [u64; 4]) {
    let [a, b, c, d] = state;
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Num(num) => num.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

impl FromStr for PointId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(num) = text.parse() {
            return Ok(Self::Num(num));
        }
        Uuid::parse_str(text).map(Self::Uuid).map_err(|source| {
            Error::invalid("id", format!("`{text}` is neither an unsigned integer nor a UUID"))
                .with_source(source)
        })
    }
}

impl From<u64> for PointId {
    fn from(num: u64) -> Self {
        Self::Num(num)
    }
}

impl From<Uuid> for PointId {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

/// A collection's number in the catalog; never reused, so that its rows can never be mistaken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionId(pub u32);

/// The number of a commit: strictly increasing over the whole database, starting at 1; 0 is "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seqno(pub u64);

impl Seqno {
    /// The commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seqno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One version of one point: unique and increasing within its collection, the key of its stored rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A dense row of the in-memory index. Ascending slots have ascending versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index into columns.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_sort_before_uuids_and_both_parse() {
        let num: PointId = "42".parse().expect("an integer");
        let uuid: PointId = "936da01f-9abd-4d9d-80c7-02af85c822a8".parse().expect("a UUID");
        assert_eq!(num, PointId::Num(42));
        assert!(num < uuid && PointId::Num(u64::MAX) < PointId::Uuid(Uuid::nil()));
        let error = "forty-two".parse::<PointId>().expect_err("no id");
        assert_eq!(error.field(), Some("id"));
    }

    #[test]
    fn the_same_name_gives_the_same_id() {
        assert_eq!(PointId::from_name("a.md#0"), PointId::from_name("a.md#0"));
        assert_ne!(PointId::from_name("a.md#0"), PointId::from_name("a.md#1"));
    }

    /// As Qdrant's engine shares them out (qdrant-edge 0.9.0).
    #[test]
    fn points_are_shared_out_as_in_the_dialect() {
        assert_eq!(sip_hash(&[]), 0x1e92_4b9d_7377_00d7);
        let hashes = [0, 1, u64::MAX].map(|num| PointId::Num(num).hash());
        assert_eq!(hashes, [0xe849_e8bb_6ffe_2567, 0x8004_c5a6_9410_5f5e, 0x8050_c18b_6ac9_d15e]);
        let uuid: PointId = "f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().expect("a UUID");
        assert_eq!(uuid.hash(), 0xc4fe_6c4c_1831_d36a);
        let first: Vec<u64> = (0..24).filter(|num| PointId::Num(*num).hash().is_multiple_of(7)).collect();
        assert_eq!(first, [19]);
    }
}
