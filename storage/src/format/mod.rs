//! The bytes on disk, format version 1. Each kind of row is described above the code that writes it.
//!
//! Every value is sealed the same way, so that a flipped bit or a row under the wrong key is found when it is read,
//! whatever engine keeps it:
//!
//! ```text
//!  offset  size  meaning
//!  0       n     body, described in the module of the row
//!  n       4     CRC-32C of key, then body; u32 little-endian
//! ```
//!
//! Integers in bodies are little-endian, in keys big-endian (keys sort as numbers do). Text is UTF-8.
//! A value is valid if and only if it is at least 4 bytes long, the checksum agrees, and its body parses to the end.
//! A reader that meets an invalid value reports `Corrupted` with table and key, and never returns data of it.
//!
//! The row `meta/format` holds the version of the whole directory. A reader refuses a larger one (`UnsupportedFormat`).
//!
//! Version history: 1, the first. The list of segments in `manifest` came later without a new version: code from before
//! it reads and writes the same database, and what it does not know it passes over. Types of elements other than
//! `float32`, codes, and the recall of a collection came likewise: a collection without them has the bytes that it had,
//! and the catalog entry of one with them is refused by code from before. So did sparse vectors, multivectors and
//! settings. Aliases are rows that code from before does not look at.
//!
//! A snapshot is a file of its own with a version of its own: `snapshot`.

pub mod catalog;
mod cursor;
pub mod journal;
pub mod keys;
pub mod manifest;
pub mod point;
pub mod snapshot;

use types::{Error, Result};

use crate::rows::Table;
pub(crate) use cursor::Cursor;

/// The version that this code writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

const CHECKSUM_BYTES: usize = 4;

/// Appends the checksum of key and body to the body.
pub(crate) fn seal(key: &[u8], mut body: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(key), &body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

/// The body of a sealed value.
///
/// # Errors
/// `Corrupted`, naming table and key.
pub(crate) fn unseal<'a>(table: Table, key: &[u8], value: &'a [u8]) -> Result<&'a [u8]> {
    let damaged = |why| Err(damage(table, key, why));
    let Some((body, checksum)) = value.split_last_chunk::<CHECKSUM_BYTES>() else {
        return damaged("it is too short");
    };
    if crc32c::crc32c_append(crc32c::crc32c(key), body) != u32::from_le_bytes(*checksum) {
        return damaged("its checksum does not agree");
    }
    Ok(body)
}

/// The error of a row that is not what it should be.
pub(crate) fn damage(table: Table, key: &[u8], why: &str) -> Error {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    Error::corrupted(format!("row {}/{hex}", table.name()), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_wrong_key_is_found() {
        let sealed = seal(b"key", b"body".to_vec());
        assert_eq!(unseal(Table::Meta, b"key", &sealed).expect("whole"), b"body");
        assert!(unseal(Table::Meta, b"kez", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(Table::Meta, b"key", &flipped).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(unseal(Table::Meta, b"key", &sealed[..len]).is_err(), "cut to {len}");
        }
    }
}
