//! Files that come from elsewhere, put aside before they are looked at.
//!
//! Invariant: a file is no larger than its limit, and is gone when it is done with. What a crash leaves begins with a
//! dot, in the folder of snapshots, and goes at the next start.

use std::fs::File;
use std::io::ErrorKind::{FileTooLarge, UnexpectedEof};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use kithdb::{Database, Result};

/// A file that is gone when it is done with.
pub(crate) struct Incoming {
    path: PathBuf,
    bytes_max: u64,
}

impl Incoming {
    /// A place for a file of at most so many bytes.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn new(db: &Database, bytes_max: u64) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = db.snapshots_folder();
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder)?;
            // This file need not be durable, but snapshots that will lie beside it are no more than their folder is.
            if let Some(parent) = folder.parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        let path = folder.join(format!(".incoming-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        Ok(Self { path, bytes_max })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to write it.
    ///
    /// # Errors
    /// `Io`; when it becomes too large, an error of the kind `FileTooLarge` comes from writing.
    pub(crate) fn create(&self) -> Result<impl Write + use<>> {
        Ok(Bounded { file: File::create(&self.path)?, rest: self.bytes_max })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub(crate) fn take(&self, from: &mut dyn Read) -> Result<()> {
        std::io::copy(from, &mut self.create()?)?;
        Ok(())
    }
}

/// What comes from elsewhere: where it fails it broke off, whatever the reason.
pub(crate) struct Arriving<R>(pub(crate) R);

impl<R: Read> Read for Arriving<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes).map_err(|error| std::io::Error::new(UnexpectedEof, error))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.path.display(), "a file stays until the next start");
        }
    }
}

/// A file that takes no more than a limit.
struct Bounded {
    file: File,
    rest: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.rest = self
            .rest
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| std::io::Error::new(FileTooLarge, "the file is larger than the limit"))?;
        self.file.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
