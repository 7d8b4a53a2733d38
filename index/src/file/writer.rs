//! Writing a sectioned file: sections one after the other, checksums as the bytes go by.
//!
//! Invariant: the file appears under its name whole and durable, or not at all; see [`super`] for how.
//!
//! Cost: every byte is written once, through a buffer; nothing of a section is kept.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::AnyBitPattern;
use types::{Error, ErrorKind, Result, waypoint};

use super::layout::{self, Entry, Kind};
use super::map::Map;
use super::{Array, SectionReader, damaged, refused};

const BUFFER_BYTES: usize = 256 << 10;

/// A file that is being written.
pub struct FileWriter {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    /// Bytes written so far.
    len: u64,
    entries: Vec<Entry>,
    is_renamed: bool,
}

/// The section of a [`FileWriter`] that is being written; it ends when the next one begins.
pub struct SectionWriter<'a> {
    part: &'a Path,
    file: &'a mut BufWriter<File>,
    len: &'a mut u64,
    entry: &'a mut Entry,
}

impl FileWriter {
    /// Begins a file that will be at `path`, in a folder that exists. A part that a crash left is overwritten.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(path: &Path) -> Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&part);
        let file = BufWriter::with_capacity(BUFFER_BYTES, file.map_err(|source| refused(&part, source))?);
        let mut writer =
            Self { path: path.to_owned(), part, file, len: 0, entries: Vec::new(), is_renamed: false };
        writer.put(&layout::encode_header())?;
        waypoint::pass("file.created");
        Ok(writer)
    }

    /// Begins the next section.
    ///
    /// # Errors
    /// `Io`; `Internal` if there is one of this kind already.
    pub fn section(&mut self, kind: Kind) -> Result<SectionWriter<'_>> {
        if self.entries.iter().any(|entry| entry.kind == kind) {
            let message = format!("{kind} of {} was begun twice", self.path.display());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        self.pad()?;
        let entry = Entry { kind, offset: self.len, len: 0, checksum: 0 };
        let entry = self.entries.push_mut(entry);
        Ok(SectionWriter { part: &self.part, file: &mut self.file, len: &mut self.len, entry })
    }

    /// A section that is written already, mapped from the unfinished file.
    ///
    /// # Errors
    /// `Io`; `Corrupted` if there is no such section, or its length is no multiple of the element's.
    pub fn array<T: AnyBitPattern>(&mut self, kind: Kind) -> Result<Array<T>> {
        self.flush()?;
        let map = Map::open(self.file.get_ref()).map_err(|source| refused(&self.part, source))?;
        let range = self.written(kind)?;
        Array::new(&Arc::new(map), range.start as usize..range.end as usize)
            .ok_or_else(|| damaged(&self.part, kind, "it ends inside of an element"))
    }

    /// A section that is written already, read from the unfinished file.
    ///
    /// # Errors
    /// `Io`; `Corrupted` if there is no such section.
    pub fn reader(&mut self, kind: Kind) -> Result<SectionReader> {
        self.flush()?;
        let file = self.file.get_ref().try_clone().map_err(|source| refused(&self.part, source))?;
        Ok(SectionReader::new(&self.part, Arc::new(file), self.written(kind)?))
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|source| refused(&self.part, source))
    }

    /// Where a section lies.
    fn written(&self, kind: Kind) -> Result<Range<u64>> {
        let entry = self.entries.iter().find(|entry| entry.kind == kind);
        entry
            .map(|entry| entry.offset..entry.end())
            .ok_or_else(|| damaged(&self.part, kind, "it is not written"))
    }

    /// Ends the file, makes it durable and gives it its name. Returns its checksum.
    ///
    /// # Errors
    /// `Io`; then there is no such file, or one that a loss of power may take away.
    pub fn finish(mut self) -> Result<u32> {
        self.pad()?;
        let (directory, checksum) = layout::encode_directory(&self.entries, self.len);
        self.put(&directory)?;
        self.flush()?;
        waypoint::pass("file.written");
        self.file.get_ref().sync_all().map_err(|source| refused(&self.part, source))?;
        waypoint::pass("file.synced");
        fs::rename(&self.part, &self.path).map_err(|source| refused(&self.path, source))?;
        self.is_renamed = true;
        waypoint::pass("file.renamed");
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| refused(folder, source))?;
        waypoint::pass("file.durable");
        Ok(checksum)
    }

    /// Zeros up to the next page.
    fn pad(&mut self) -> Result<()> {
        let zeros = [0; layout::PAGE_BYTES as usize];
        self.put(&zeros[..(layout::page_end(self.len) - self.len) as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| refused(&self.part, source))
    }
}

impl SectionWriter<'_> {
    /// Appends to the section.
    ///
    /// # Errors
    /// `Io`, naming the file.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|source| refused(self.part, source))
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        // Of a collection that was dropped meanwhile the whole folder is gone.
        if !self.is_renamed
            && let Err(error) = fs::remove_file(&self.part)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, part = %self.part.display(), "an unfinished file stays behind");
        }
    }
}

impl Write for SectionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.entry.checksum = crc32c::crc32c_append(self.entry.checksum, &bytes[..written]);
        self.entry.len += written as u64;
        *self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
