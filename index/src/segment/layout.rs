//! The sections of a segment, layout version 2; how they lie in the file says [`crate::file`]. Integers and floats are
//! little-endian.
//!
//! ```text
//!  kind      contents
//!  meta      what the segment holds, see below
//!  versions  u64 a row, ascending
//!  ids       17 bytes a row: kind (0 num, 1 uuid), then u64 and 8 zeros, or the 16 bytes of the UUID
//!
//!  and for each vector space, numbered 000 to fff in the order of `meta`:
//!  fine 000  the vectors of the rows that have one, in order of rows; elements of the space's type
//!  rows 000  u32, ascending: the row of each vector. Only if some rows, and not all, lack the vector
//!  ranks000  u64, two for every 64 rows: a bit for each that has the vector; vectors of rows before these 64.
//!            Only with `rows`
//!  codec000, nav  000, rest 000, links000, hubs 000
//!            what the graph was built to, described in `graph`. Only if there is a vector
//!  calib000  what its searches were measured to find and take, described in `graph/calibration/bytes.rs`. Only if
//!            there are enough vectors; whoever finds it damaged does without
//!
//!  meta      0   4  layout version: u32
//!            4   4  rows: u32, at least 1
//!            8   4  number of spaces: u32
//!            12     the spaces:
//!                   4  dim: u32, at least 1
//!                   4  number of vectors: u32
//!                   1  metric: 0 Cosine, 1 Dot, 2 Euclid, 3 Manhattan
//!                   1  type of the elements: 0 float32, 1 float16, 2 uint8
//!                   2  bytes of the name: u16
//!                   n  name, UTF-8
//! ```
//!
//! An id is one read of one place: numbers waste 9 bytes, which is little beside the vectors, and a search reads ids of
//! its hits only. `rows` answers which row a vector belongs to, `ranks` which vector a row has, each with one read.
//!
//! A segment is derived: one of another version is not read (`UnsupportedFormat`), and its rows come from storage.
//!
//! Version history: 1, the first; 2 has types of elements, and codecs of version 2.

use types::{Datatype, Error, ErrorKind, Metric, PointId, Result};
use uuid::Uuid;

use crate::file::Kind;

/// The version that this code writes, and the only one that it reads.
const LAYOUT_VERSION: u32 = 2;

/// Spaces that can be numbered.
pub(super) const SPACES_MAX: usize = 4096;

pub(super) const ID_BYTES: usize = 17;

pub(super) const META: Kind = Kind(*b"meta    ");
pub(super) const VERSIONS: Kind = Kind(*b"versions");
pub(super) const IDS: Kind = Kind(*b"ids     ");

/// The sections of one vector space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) fine: Kind,
    pub(super) rows: Kind,
    pub(super) ranks: Kind,
    pub(super) codec: Kind,
    pub(super) nav: Kind,
    pub(super) rest: Kind,
    pub(super) links: Kind,
    pub(super) hubs: Kind,
    pub(super) calib: Kind,
}

impl Kinds {
    /// Those of the space with this number, below [`SPACES_MAX`].
    pub(super) fn of(space: usize) -> Self {
        let numbered = |name: [u8; 5]| {
            let digit = |shift: usize| b"0123456789abcdef"[space >> shift & 0xf];
            let [a, b, c, d, e] = name;
            Kind([a, b, c, d, e, digit(8), digit(4), digit(0)])
        };
        Self {
            fine: numbered(*b"fine "),
            rows: numbered(*b"rows "),
            ranks: numbered(*b"ranks"),
            codec: numbered(*b"codec"),
            nav: numbered(*b"nav  "),
            rest: numbered(*b"rest "),
            links: numbered(*b"links"),
            hubs: numbered(*b"hubs "),
            calib: numbered(*b"calib"),
        }
    }
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meta {
    pub(super) rows: u32,
    pub(super) spaces: Vec<SpaceMeta>,
}

/// A vector space, and how many of the rows have a vector in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SpaceMeta {
    pub(super) name: String,
    pub(super) dim: u32,
    pub(super) metric: Metric,
    pub(super) datatype: Datatype,
    pub(super) count: u32,
}

pub(super) fn encode_meta(meta: &Meta) -> Vec<u8> {
    let count = u32::try_from(meta.spaces.len()).expect("the writer allows SPACES_MAX spaces");
    let mut bytes = Vec::new();
    for number in [LAYOUT_VERSION, meta.rows, count] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for space in &meta.spaces {
        bytes.extend_from_slice(&space.dim.to_le_bytes());
        bytes.extend_from_slice(&space.count.to_le_bytes());
        bytes.push(metric_number(space.metric));
        bytes.push(datatype_number(space.datatype));
        let len = u16::try_from(space.name.len()).expect("the writer allows names of u16::MAX bytes");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(space.name.as_bytes());
    }
    bytes
}

fn metric_number(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 0,
        Metric::Dot => 1,
        Metric::Euclid => 2,
        Metric::Manhattan => 3,
    }
}

fn datatype_number(datatype: Datatype) -> u8 {
    match datatype {
        Datatype::Float32 => 0,
        Datatype::Float16 => 1,
        Datatype::Uint8 => 2,
    }
}

/// The contents of `meta`.
///
/// # Errors
/// `Corrupted` when they do not parse to the end; `UnsupportedFormat` for another version.
pub(super) fn decode_meta(mut bytes: &[u8]) -> Result<Meta> {
    let wrong = || Error::corrupted("`meta`", "it does not parse");
    let version = take(&mut bytes).map(u32::from_le_bytes).ok_or_else(wrong)?;
    if version != LAYOUT_VERSION {
        let message = format!("it has layout version {version}, this KithDB reads {LAYOUT_VERSION}");
        return Err(Error::new(ErrorKind::UnsupportedFormat, message));
    }
    parse(bytes).ok_or_else(wrong)
}

/// What follows the version.
fn parse(mut rest: &[u8]) -> Option<Meta> {
    let rows = u32::from_le_bytes(take(&mut rest)?);
    let count = u32::from_le_bytes(take(&mut rest)?);
    let mut spaces = Vec::new();
    for _ in 0..count {
        spaces.push(parse_space(&mut rest)?);
    }
    let fits = |space: &SpaceMeta| space.dim > 0 && space.count <= rows;
    let is_whole = rest.is_empty() && rows > 0 && spaces.len() <= SPACES_MAX && spaces.iter().all(fits);
    is_whole.then_some(Meta { rows, spaces })
}

fn parse_space(rest: &mut &[u8]) -> Option<SpaceMeta> {
    let dim = u32::from_le_bytes(take(rest)?);
    let count = u32::from_le_bytes(take(rest)?);
    let [number] = take(rest)?;
    let metric = Metric::ALL.into_iter().find(|metric| metric_number(*metric) == number)?;
    let [number] = take(rest)?;
    let datatype = Datatype::ALL.into_iter().find(|datatype| datatype_number(*datatype) == number)?;
    let len = u16::from_le_bytes(take(rest)?);
    let (name, after) = rest.split_at_checked(usize::from(len))?;
    *rest = after;
    Some(SpaceMeta { name: String::from_utf8(name.to_vec()).ok()?, dim, metric, datatype, count })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

pub(super) fn encode_id(id: PointId) -> [u8; ID_BYTES] {
    let mut bytes = [0; ID_BYTES];
    match id {
        PointId::Num(num) => bytes[1..9].copy_from_slice(&num.to_le_bytes()),
        PointId::Uuid(uuid) => {
            bytes[0] = 1;
            bytes[1..].copy_from_slice(uuid.as_bytes());
        }
    }
    bytes
}

/// The id in a row of `ids`; nothing if it is damaged.
pub(super) fn decode_id(bytes: &[u8; ID_BYTES]) -> Option<PointId> {
    let mut rest = &bytes[..];
    match take(&mut rest)? {
        [0] => {
            let num = u64::from_le_bytes(take(&mut rest)?);
            (rest == [0; 8]).then_some(PointId::Num(num))
        }
        [1] => Some(PointId::Uuid(Uuid::from_bytes(take(&mut rest)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_have_their_golden_bytes() {
        let (metric, datatype) = (Metric::Euclid, Datatype::Float16);
        let space = SpaceMeta { name: "ab".into(), dim: 3, metric, datatype, count: 258 };
        let meta = Meta { rows: 259, spaces: vec![space] };
        let golden =
            [&[2, 0, 0, 0, 3, 1, 0, 0, 1, 0, 0, 0][..], &[3, 0, 0, 0, 2, 1, 0, 0, 2, 1, 2, 0, b'a', b'b']]
                .concat();
        assert_eq!(encode_meta(&meta), golden);
        assert_eq!(decode_meta(&golden).expect("whole"), meta);
        assert_eq!(encode_id(PointId::Num(258)), *b"\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(
            encode_id(PointId::Uuid(Uuid::max())),
            *b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
        );
        let kinds = Kinds::of(0x1af);
        assert_eq!((kinds.fine.0, kinds.links.0), (*b"fine 1af", *b"links1af"));
    }

    #[test]
    fn another_version_is_not_read() {
        let error = decode_meta(&[3, 0, 0, 0]).expect_err("a newer one");
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
        assert_eq!(decode_id(&[2; ID_BYTES]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(
            body in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..40),
            id in any::<[u8; ID_BYTES]>(),
        ) {
            let bytes = [&LAYOUT_VERSION.to_le_bytes()[..], &body].concat();
            if let Ok(meta) = decode_meta(&bytes) {
                prop_assert_eq!(encode_meta(&meta), bytes);
            }
            if let Some(decoded) = decode_id(&id) {
                prop_assert_eq!(encode_id(decoded), id);
            }
        }
    }
}
