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

    /// A number that is spread evenly over the ids, the same for the same id in every version of the engine: the
    /// finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    pub(crate) fn hash(self) -> u64 {
        let mix = |seed: u64| {
            let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            seed ^ (seed >> 31)
        };
        match self {
            Self::Num(num) => mix(num),
            Self::Uuid(uuid) => {
                let (high, low) = uuid.as_u64_pair();
                mix(mix(high) ^ low)
            }
        }
    }

    /// A fresh random UUID (version 4).
    pub fn random() -> Self {
        Self::Uuid(Uuid::new_v4())
    }
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
}
