//! Just enough of tar (POSIX ustar) for snapshots: plain files, one behind the other.
//!
//! ```text
//!  file    a header of 512 bytes, the bytes, zeros up to a multiple of 512
//!  end     1024 zeros
//!  header  0 name:100, 124 size:12, 148 checksum:8, 156 kind:1 `0`, 257 `ustar` 0 `00`; numbers in octal digits, a
//!          size above 8 GiB in binary, big-endian, with the first bit set; the checksum is the sum of the bytes of
//!          the header, its own taken as spaces
//! ```
//!
//! Invariant: a reader never takes more than the header says, and a header whose checksum does not agree is damage.
//! When not to use: for archives of others, which have folders, links and long names.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use types::{Error, Result};

const BLOCK: usize = 512;
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// No file system has a larger file; with what follows it, its size is still a number.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;

/// Writes an archive to a file.
pub(crate) struct TarWriter {
    file: BufWriter<File>,
    /// The file that is written: its name, where its header stands, its bytes so far.
    entry: Option<(String, u64, u64)>,
}

impl TarWriter {
    pub(crate) fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(1 << 20, file), entry: None }
    }

    /// Begins the next file; the one before ends.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn begin(&mut self, name: &str) -> Result<()> {
        debug_assert!(name.len() <= NAME.len(), "names are short");
        self.end()?;
        let at = self.file.stream_position()?;
        self.file.write_all(&[0; BLOCK])?;
        self.entry = Some((name.to_owned(), at, 0));
        Ok(())
    }

    /// Appends to the file that was begun.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some((_, _, size)) = &mut self.entry {
            *size += bytes.len() as u64;
        }
        Ok(self.file.write_all(bytes)?)
    }

    fn end(&mut self) -> Result<()> {
        let Some((name, at, size)) = self.entry.take() else { return Ok(()) };
        self.file.write_all(&[0; BLOCK][..padding(size)])?;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(&header(&name, size))?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// Ends the archive, durably.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.end()?;
        self.file.write_all(&[0; 2 * BLOCK])?;
        self.file.flush()?;
        Ok(self.file.get_ref().sync_all()?)
    }
}

/// Reads an archive from its beginning.
pub(crate) struct TarReader<R> {
    inner: R,
    /// Of the file that is read.
    rest: u64,
    padding: usize,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, rest: 0, padding: 0 }
    }

    /// The name and the size of the next file; nothing at the end. What was not read of the one before is passed over.
    ///
    /// # Errors
    /// `Io`, `Corrupted`.
    pub(crate) fn advance(&mut self) -> Result<Option<(String, u64)>> {
        // A header may claim any size.
        let passed = std::mem::take(&mut self.rest).saturating_add(std::mem::take(&mut self.padding) as u64);
        if std::io::copy(&mut self.inner.by_ref().take(passed), &mut std::io::sink())? < passed {
            return Err(damaged("it ends in the middle of a file"));
        }
        let mut header = [0; BLOCK];
        self.inner.read_exact(&mut header).map_err(|_| damaged("it ends before its end"))?;
        if header == [0; BLOCK] {
            return Ok(None);
        }
        let is_whole = digits(&header[CHECKSUM]) == Some(checksum(&header));
        let is_file = is_whole && matches!(header[156], b'0' | 0);
        let size = size(&header[SIZE]).filter(|size| is_file && *size <= FILE_BYTES_MAX);
        let size = size.ok_or_else(|| damaged("a header is not one of a file"))?;
        let name: Vec<u8> = header[NAME].iter().copied().take_while(|byte| *byte != 0).collect();
        let name = String::from_utf8(name).map_err(|_| damaged("a name is not UTF-8"))?;
        (self.rest, self.padding) = (size, padding(size));
        Ok(Some((name, size)))
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.by_ref().take(self.rest).read(bytes)?;
        self.rest -= read as u64;
        Ok(read)
    }
}

fn damaged(why: &str) -> Error {
    Error::corrupted("the archive", why)
}

fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    // Mode, user, group, time: those of nobody.
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[136..148].copy_from_slice(b"00000000000\0");
    if size < 1 << 33 {
        header[SIZE].copy_from_slice(format!("{size:011o}\0").as_bytes());
    } else {
        header[SIZE.start] = 0x80;
        header[SIZE.end - 8..SIZE.end].copy_from_slice(&size.to_be_bytes());
    }
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&header);
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn checksum(header: &[u8; BLOCK]) -> u64 {
    let byte = |(at, byte): (usize, &u8)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { *byte });
    header.iter().enumerate().map(byte).sum()
}

fn digits(field: &[u8]) -> Option<u64> {
    let text: Vec<u8> = field.iter().copied().filter(|byte| *byte != 0 && *byte != b' ').collect();
    u64::from_str_radix(std::str::from_utf8(&text).ok()?, 8).ok()
}

fn size(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, .., _] => field.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)),
        _ => digits(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_no_file_has_is_damage() {
        for (size, is_one) in [(FILE_BYTES_MAX, true), (FILE_BYTES_MAX + 1, false), (u64::MAX, false)] {
            let archive = [header("a", size), [0; BLOCK]].concat();
            let mut reader = TarReader::new(&archive[..]);
            assert_eq!(reader.advance().is_ok(), is_one, "{size}");
            if is_one {
                reader.advance().expect_err("it ends before that");
            }
        }
    }

    #[test]
    fn files_come_back_as_they_went_in_and_damage_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tar");
        let files = [("empty", 0), ("one", 1), ("0/whole", 512), ("long", 70_000)];
        let content = |size: usize| (0..size).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
        let mut writer = TarWriter::new(File::create(&path).expect("a file"));
        for (name, size) in files {
            writer.begin(name).expect("begun");
            content(size).chunks(1000).for_each(|part| writer.put(part).expect("written"));
        }
        writer.finish().expect("finished");
        let bytes = std::fs::read(&path).expect("reads");
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut reader = TarReader::new(&bytes[..]);
        for (name, size) in files {
            assert_eq!(reader.advance().expect("a header"), Some((name.to_owned(), size as u64)));
            let mut read = Vec::new();
            if name != "long" {
                reader.read_to_end(&mut read).expect("reads");
                assert_eq!(read, content(size));
            }
        }
        assert_eq!(reader.advance().expect("the end"), None, "what is not read is passed over");
        for cut in [0, 100, 600, bytes.len() - 2 * BLOCK] {
            let mut reader = TarReader::new(&bytes[..cut]);
            let walked = (0..9).try_for_each(|_| reader.advance().map(drop));
            assert!(walked.is_err(), "cut to {cut}");
        }
        let mut flipped = bytes;
        flipped[2] ^= 1;
        assert!(TarReader::new(&flipped[..]).advance().is_err());
    }

    #[test]
    fn large_files_have_their_size_in_binary() {
        let header = header("x", 1 << 40);
        assert_eq!(
            (size(&header[SIZE]), digits(&header[CHECKSUM])),
            (Some(1 << 40), Some(checksum(&header)))
        );
        assert_eq!(size(b"00000001750\0"), Some(1000));
    }
}
