//! Mapping a file into memory: the one unsafe call of this room beside its kernels.
//!
//! Invariant: what is mapped is not written again. A [`super::FileWriter`] only appends, so the bytes that a map of
//! its part covers stay as they are; a finished file is opened for reading only.
//!
//! Cost: address space. Pages come from the system's cache when they are first read.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::Mmap;

/// How a section will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Here and there: the system should not read ahead.
    Random,
    /// All of it, soon: the system should begin to read now.
    WillNeed,
}

/// A mapped file.
pub(super) struct Map(Mmap);

impl Map {
    /// Maps all bytes that the file has now.
    pub(super) fn open(file: &File) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "the system's call for it promises nothing about other processes")]
        // SAFETY: the bytes of a slice must not change while it lives. This crate never writes to bytes that are
        // mapped (see the head of this file), and the lock of the database folder keeps other processes of KithDB
        // out. A file that is cut short by somebody else ends this process by a signal, before it reads anything.
        let map = unsafe { Mmap::map(file) }?;
        Ok(Self(map))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells the system how a range will be read. It may not listen, which costs speed and nothing else.
    pub(super) fn advise(&self, range: Range<usize>, advice: Advice) {
        let advice = match advice {
            Advice::Random => memmap2::Advice::Random,
            Advice::WillNeed => memmap2::Advice::WillNeed,
        };
        if let Err(error) = self.0.advise_range(advice, range.start, range.len()) {
            tracing::debug!(%error, "the system takes no advice about a mapped file");
        }
    }
}
