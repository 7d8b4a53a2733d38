//! The bytes of a sectioned file, format version 1. Integers are little-endian.
//!
//! ```text
//!  offset    size  meaning
//!  0         8     magic: "KITHFILE"
//!  8         4     format version: u32
//!  12        4     CRC-32C of bytes 0 to 11
//!  4096      n     the first section; zeros before it, and after it up to the next multiple of 4096
//!  ..              further sections, each at the first multiple of 4096 behind the one before
//!  d         32*s  the directory, placed like a section: one entry a section, in their order
//!  d + 32*s  20    footer, with which the file ends
//!
//!  entry     0   8   kind: ASCII, padded with spaces; no two sections have the same
//!            8   8   offset: u64
//!            16  8   length in bytes: u64
//!            24  4   CRC-32C of the section's bytes
//!            28  4   zero
//!
//!  footer    0   8   d: u64
//!            8   4   s: u32
//!            12  4   CRC-32C of the directory: the checksum of the file, since it covers those of all sections
//!            16  4   CRC-32C of bytes 0 to 15 of the footer
//! ```
//!
//! A file is valid if and only if its length, every offset and every zero are the ones that this says, and all
//! checksums agree. A reader refuses a larger version (`UnsupportedFormat`).
//!
//! Sections begin at pages, so that in a mapped file the elements of all number types are aligned, and advice to the
//! system about one section touches no other.
//!
//! Version history: 1, the first.

use std::fmt;
use std::path::Path;

use types::{Error, ErrorKind, Result};

use super::damaged;

/// The version that this code writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

pub(super) const PAGE_BYTES: u64 = 4096;
pub(super) const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 32;
const FOOTER_BYTES: usize = 20;
const MAGIC: [u8; 8] = *b"KITHFILE";

/// What a section is: ASCII, padded with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub [u8; 8]);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "section `{}`", String::from_utf8_lossy(&self.0).trim_end())
    }
}

/// Where a section lies, and its checksum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) checksum: u32,
}

impl Entry {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// What a file says of itself.
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    /// Where the directory begins.
    pub(super) offset: u64,
    pub(super) checksum: u32,
}

/// The first multiple of the page size that is no smaller.
pub(super) fn page_end(offset: u64) -> u64 {
    offset.next_multiple_of(PAGE_BYTES)
}

pub(super) fn encode_header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The directory and the footer of a file whose directory lies at `offset`; and the directory's checksum.
pub(super) fn encode_directory(entries: &[Entry], offset: u64) -> (Vec<u8>, u32) {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES + FOOTER_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&entry.kind.0);
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.len.to_le_bytes());
        bytes.extend_from_slice(&entry.checksum.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    let (footer, checksum) = (bytes.len(), crc32c::crc32c(&bytes));
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum.to_le_bytes());
    let sealed = crc32c::crc32c(&bytes[footer..]);
    bytes.extend_from_slice(&sealed.to_le_bytes());
    (bytes, checksum)
}

/// Reads header, footer and directory of a whole file; the sections are not looked at.
///
/// # Errors
/// `Corrupted`, naming the part; `UnsupportedFormat` for a newer version.
pub(super) fn decode(path: &Path, file: &[u8]) -> Result<Directory> {
    check_header(path, file)?;
    let short = || damaged(path, "the footer", "the file is too short");
    let (before, footer) = file.split_last_chunk::<FOOTER_BYTES>().ok_or_else(short)?;
    let (mut fields, sealed) = footer.split_at(FOOTER_BYTES - 4);
    if crc32c::crc32c(fields).to_le_bytes() != sealed {
        return Err(damaged(path, "the footer", "its checksum does not agree"));
    }
    let offset = u64::from_le_bytes(take(&mut fields));
    let count = u32::from_le_bytes(take(&mut fields));
    let checksum = u32::from_le_bytes(take(&mut fields));
    let wrong = |why| damaged(path, "the directory", why);
    let bytes = before.get(offset as usize..).unwrap_or_default();
    if bytes.len() as u64 != u64::from(count) * ENTRY_BYTES as u64 {
        return Err(wrong("it does not lie where the footer says"));
    }
    if crc32c::crc32c(bytes) != checksum {
        return Err(wrong("its checksum does not agree"));
    }
    let entries: Option<Vec<Entry>> = bytes.as_chunks().0.iter().map(decode_entry).collect();
    let entries = entries.ok_or_else(|| wrong("an entry has another shape"))?;
    check_places(&entries, offset).map_err(wrong)?;
    Ok(Directory { entries, offset, checksum })
}

fn check_header(path: &Path, file: &[u8]) -> Result<()> {
    let wrong = |why| Err(damaged(path, "the header", why));
    let Some(mut header) = file.get(..HEADER_BYTES).filter(|_| file.len() as u64 >= PAGE_BYTES) else {
        return wrong("the file is too short");
    };
    let checksum = crc32c::crc32c(&header[..12]);
    if take(&mut header) != MAGIC {
        return wrong("it does not begin as a file of KithDB does");
    }
    let version = u32::from_le_bytes(take(&mut header));
    if checksum != u32::from_le_bytes(take(&mut header)) {
        return wrong("its checksum does not agree");
    }
    match version {
        0 => wrong("there is no version 0"),
        1..=FORMAT_VERSION => Ok(()),
        _ => Err(Error::new(
            ErrorKind::UnsupportedFormat,
            format!("{} has version {version}, this KithDB reads up to {FORMAT_VERSION}", path.display()),
        )),
    }
}

fn decode_entry(bytes: &[u8; ENTRY_BYTES]) -> Option<Entry> {
    let mut rest = &bytes[..];
    let entry = Entry {
        kind: Kind(take(&mut rest)),
        offset: u64::from_le_bytes(take(&mut rest)),
        len: u64::from_le_bytes(take(&mut rest)),
        checksum: u32::from_le_bytes(take(&mut rest)),
    };
    entry.offset.checked_add(entry.len)?.checked_next_multiple_of(PAGE_BYTES)?;
    (rest == [0; 4]).then_some(entry)
}

/// Whether sections and directory follow each other as the layout says.
fn check_places(entries: &[Entry], directory: u64) -> std::result::Result<(), &'static str> {
    let mut next = PAGE_BYTES;
    for (position, entry) in entries.iter().enumerate() {
        if entry.offset != next {
            return Err("a section does not lie behind the one before");
        }
        if entries[..position].iter().any(|before| before.kind == entry.kind) {
            return Err("two sections have the same kind");
        }
        next = page_end(entry.end());
    }
    if directory == next { Ok(()) } else { Err("it does not lie behind the sections") }
}

/// Takes a field off bytes whose length the caller has checked.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk::<N>().expect("every record is as long as its fields");
    *bytes = rest;
    *taken
}
