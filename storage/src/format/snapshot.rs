//! A snapshot, format version 1: one file, a tar archive, of one collection or of all.
//!
//! ```text
//!  snapshot.json          {format: 1, seqno, aliases: {alias: collection}}; aliases of a whole database only
//!  <n>/collection.json    {points, entry: the body of its catalog entry}, for n = 0, 1, ..
//!  <n>/points             a record for each point, ascending by version
//!
//!  record
//!    payload:u32          the length of what follows
//!    ..                   the body of the `payloads` row
//!    vectors:u16          how many there are
//!    of each vector
//!      space:u16          its number, as in the entry
//!      length:u32
//!      ..                 the body of the `vectors` row
//!    checksum:u32         CRC-32C of the record up to here
//! ```
//!
//! Integers are little-endian. A reader refuses a larger format. A record that is cut, or whose checksum does not
//! agree, is damage; and so is a number of records other than `points`.

use std::io::Read;

use types::{Error, Result};

/// The version that this code writes, and the newest that it reads.
pub const SNAPSHOT_VERSION: u64 = 1;

/// The files of the archive.
pub const HEAD: &str = "snapshot.json";

/// The file that describes a collection.
pub fn collection_file(number: usize) -> String {
    format!("{number}/collection.json")
}

/// The file of its points.
pub fn points_file(number: usize) -> String {
    format!("{number}/points")
}

/// One point: bodies of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Of `payloads`.
    pub payload: Vec<u8>,
    /// Of `vectors`, each with the number of its space.
    pub vectors: Vec<(u16, Vec<u8>)>,
}

impl Record {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.payload.len() + 64);
        bytes.extend_from_slice(&(self.payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes.extend_from_slice(&(self.vectors.len() as u16).to_le_bytes());
        for (space, vector) in &self.vectors {
            bytes.extend_from_slice(&space.to_le_bytes());
            bytes.extend_from_slice(&(vector.len() as u32).to_le_bytes());
            bytes.extend_from_slice(vector);
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The next record; nothing at the end.
    ///
    /// # Errors
    /// `Corrupted`, `Io`.
    pub fn read(from: &mut dyn Read) -> Result<Option<Self>> {
        let mut first = [0; 1];
        if from.read(&mut first)? == 0 {
            return Ok(None);
        }
        let mut taking = Taking { from, checksum: crc32c::crc32c(&first) };
        let rest: [u8; 3] = taking.array()?;
        let payload_bytes = u32::from_le_bytes([first[0], rest[0], rest[1], rest[2]]);
        let mut record = Self { payload: taking.bytes(payload_bytes)?, vectors: Vec::new() };
        for _ in 0..u16::from_le_bytes(taking.array()?) {
            let space = u16::from_le_bytes(taking.array()?);
            let bytes = u32::from_le_bytes(taking.array()?);
            record.vectors.push((space, taking.bytes(bytes)?));
        }
        let expected = taking.checksum;
        match u32::from_le_bytes(taking.array()?) == expected {
            true => Ok(Some(record)),
            false => Err(damaged("its checksum does not agree")),
        }
    }
}

struct Taking<'a> {
    from: &'a mut dyn Read,
    checksum: u32,
}

impl Taking<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(|_| damaged("it is cut"))?;
        self.checksum = crc32c::crc32c_append(self.checksum, &bytes);
        Ok(bytes)
    }

    /// No more is reserved than comes: a length may be damaged.
    fn bytes(&mut self, len: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.from.take(u64::from(len)).read_to_end(&mut bytes)?;
        if bytes.len() < len as usize {
            return Err(damaged("it is cut"));
        }
        self.checksum = crc32c::crc32c_append(self.checksum, &bytes);
        Ok(bytes)
    }
}

fn damaged(why: &str) -> Error {
    Error::corrupted("a point of the snapshot", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_golden_bytes_and_every_damage_is_found() {
        let record = Record { payload: b"pay".to_vec(), vectors: vec![(7, vec![1, 2]), (258, Vec::new())] };
        let mut golden = vec![3, 0, 0, 0, b'p', b'a', b'y', 2, 0, 7, 0, 2, 0, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0];
        golden.extend_from_slice(&crc32c::crc32c(&golden).to_le_bytes());
        assert_eq!(record.encode(), golden);
        let two = golden.repeat(2);
        let mut from = &two[..];
        for _ in 0..2 {
            assert_eq!(Record::read(&mut from).expect("whole"), Some(record.clone()));
        }
        assert_eq!(Record::read(&mut from).expect("the end"), None);
        for bit in 0..golden.len() * 8 {
            let mut flipped = golden.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::read(&mut &flipped[..]).is_err(), "bit {bit}");
        }
        for len in 1..golden.len() {
            assert!(Record::read(&mut &golden[..len]).is_err(), "cut to {len}");
        }
    }
}
