//! Reading a sectioned file in place.
//!
//! Invariant: whoever holds this has a file whose header, directory and footer agree; a section's bytes are only as
//! good as the last [`verify`](Sections::verify).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::AnyBitPattern;
use types::Result;

use super::array::cast;
use super::layout::{self, Directory, Entry, Kind};
use super::map::{Advice, Map};
use super::{Array, SectionReader, damaged, refused};

/// Bytes that are read at once while a section is verified.
const BLOCK_BYTES: usize = 1 << 20;

/// A mapped file.
pub struct Sections {
    path: PathBuf,
    file: Arc<File>,
    map: Arc<Map>,
    directory: Directory,
}

impl Sections {
    /// Maps a file and reads its directory.
    ///
    /// # Errors
    /// `Io`; `Corrupted` when header, directory or footer do not agree; `UnsupportedFormat` for a newer version.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| refused(path, source))?;
        let map = Map::open(&file).map_err(|source| refused(path, source))?;
        let directory = layout::decode(path, map.bytes())?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), map: Arc::new(map), directory })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.map.bytes().len() as u64
    }

    /// The checksum of the directory, which has those of all sections: equal files have the same.
    pub fn checksum(&self) -> u32 {
        self.directory.checksum
    }

    /// Whether there is such a section.
    pub fn has(&self, kind: Kind) -> bool {
        self.entry(kind).is_ok()
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// `Corrupted` if there is none.
    pub fn section(&self, kind: Kind) -> Result<&[u8]> {
        Ok(self.contents(self.entry(kind)?))
    }

    /// A section of `u32`.
    ///
    /// # Errors
    /// `Corrupted` if there is none, or its length is no multiple of 4.
    pub fn words(&self, kind: Kind) -> Result<&[u32]> {
        self.elements(kind)
    }

    /// A section of `u64`.
    ///
    /// # Errors
    /// `Corrupted` if there is none, or its length is no multiple of 8.
    pub fn numbers(&self, kind: Kind) -> Result<&[u64]> {
        self.elements(kind)
    }

    /// A section of `f32`.
    ///
    /// # Errors
    /// `Corrupted` if there is none, or its length is no multiple of 4.
    pub fn floats(&self, kind: Kind) -> Result<&[f32]> {
        self.elements(kind)
    }

    /// A section that keeps the file mapped.
    ///
    /// # Errors
    /// `Corrupted` if there is none, or its length is no multiple of the element's.
    pub fn array<T: AnyBitPattern>(&self, kind: Kind) -> Result<Array<T>> {
        let entry = self.entry(kind)?;
        let array = Array::new(&self.map, entry.offset as usize..entry.end() as usize);
        array.ok_or_else(|| self.damaged(kind, "it ends inside of an element"))
    }

    /// A section that is read instead of mapped.
    ///
    /// # Errors
    /// `Corrupted` if there is none.
    pub fn reader(&self, kind: Kind) -> Result<SectionReader> {
        let entry = self.entry(kind)?;
        Ok(SectionReader::new(&self.path, Arc::clone(&self.file), entry.offset..entry.end()))
    }

    /// Tells the system how a section will be read; a section that is not there needs no advice.
    pub fn advise(&self, kind: Kind, advice: Advice) {
        if let Ok(entry) = self.entry(kind)
            && entry.len > 0
        {
            self.map.advise(entry.offset as usize..entry.end() as usize, advice);
        }
    }

    /// Reads one section and compares its checksum.
    ///
    /// # Errors
    /// `Corrupted` if it does not agree, or there is no such section; `Io`.
    pub fn verify_section(&self, kind: Kind) -> Result<()> {
        self.verify_entry(self.entry(kind)?, &|| false).map(drop)
    }

    /// Reads the whole file: compares the checksums of all sections, and that there are zeros between them. It does
    /// not read through the map: reading ahead is off for some sections, and a broken disk should be an error, not
    /// the end of the process.
    ///
    /// # Errors
    /// `Corrupted`, naming the section; `Io`.
    pub fn verify(&self) -> Result<()> {
        self.verify_until(&|| false).map(drop)
    }

    /// As [`verify`](Self::verify), unless it is told to stop, which it asks before every block of a mebibyte; whether
    /// it has read everything.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn verify_until(&self, stops: &dyn Fn() -> bool) -> Result<bool> {
        let mut from = layout::HEADER_BYTES as u64;
        for entry in &self.directory.entries {
            self.verify_zeros(from, entry.offset, entry.kind)?;
            if !self.verify_entry(entry, stops)? {
                return Ok(false);
            }
            from = entry.end();
        }
        self.verify_zeros(from, self.directory.offset, "the directory").map(|()| true)
    }

    /// An error about a section of this file.
    pub(crate) fn damaged(&self, part: impl std::fmt::Display, why: impl std::fmt::Display) -> types::Error {
        damaged(&self.path, part, why)
    }

    fn verify_entry(&self, entry: &Entry, stops: &dyn Fn() -> bool) -> Result<bool> {
        let (mut checksum, mut is_whole) = (0, true);
        let range = (entry.offset, entry.end());
        self.read(range, &mut |bytes| {
            checksum = crc32c::crc32c_append(checksum, bytes);
            is_whole = !stops();
            is_whole
        })?;
        match checksum == entry.checksum {
            _ if !is_whole => Ok(false),
            true => Ok(true),
            false => Err(self.damaged(entry.kind, "its checksum does not agree")),
        }
    }

    fn verify_zeros(&self, from: u64, until: u64, next: impl std::fmt::Display) -> Result<()> {
        let mut is_zero = true;
        self.read((from, until), &mut |bytes| {
            is_zero &= bytes.iter().all(|byte| *byte == 0);
            true
        })?;
        if is_zero { Ok(()) } else { Err(self.damaged(format!("the gap before {next}"), "it is not empty")) }
    }

    /// Reads a range of the file, a block at a time, as long as `visit` wants more.
    fn read(&self, (mut from, until): (u64, u64), visit: &mut dyn FnMut(&[u8]) -> bool) -> Result<()> {
        let mut block = vec![0; (until - from).min(BLOCK_BYTES as u64) as usize];
        while from < until {
            let len = (until - from).min(block.len() as u64) as usize;
            let bytes = &mut block[..len];
            self.file.read_exact_at(bytes, from).map_err(|source| refused(&self.path, source))?;
            if !visit(bytes) {
                break;
            }
            from += len as u64;
        }
        Ok(())
    }

    fn elements<T: AnyBitPattern>(&self, kind: Kind) -> Result<&[T]> {
        cast(self.section(kind)?).ok_or_else(|| self.damaged(kind, "it ends inside of an element"))
    }

    fn entry(&self, kind: Kind) -> Result<&Entry> {
        let entry = self.directory.entries.iter().find(|entry| entry.kind == kind);
        entry.ok_or_else(|| self.damaged(kind, "it is missing"))
    }

    fn contents(&self, entry: &Entry) -> &[u8] {
        // The directory was held against the length of the map when it was opened.
        &self.map.bytes()[entry.offset as usize..entry.end() as usize]
    }
}
