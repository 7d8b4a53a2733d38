//! A section that is read piece by piece: its bytes are the system's memory, not the process's.
//!
//! Cost: a call of the system for each piece, half a microsecond while it keeps the file in its cache.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::Result;

use super::{damaged, refused};

/// Reads from one section.
pub struct SectionReader {
    path: PathBuf,
    file: Arc<File>,
    range: Range<u64>,
}

impl SectionReader {
    pub(super) fn new(path: &Path, file: Arc<File>, range: Range<u64>) -> Self {
        Self { path: path.to_owned(), file, range }
    }

    /// Bytes of the section.
    pub fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Reads as many bytes as there is room for, from a place in the section.
    ///
    /// # Errors
    /// `Io`; `Corrupted` when the section ends before.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        if at.checked_add(bytes.len() as u64).is_none_or(|end| end > self.bytes()) {
            return Err(damaged(&self.path, "a section", "it ends before what is read of it"));
        }
        self.file.read_exact_at(bytes, self.range.start + at).map_err(|source| refused(&self.path, source))
    }
}
