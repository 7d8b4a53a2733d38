//! The files of an index, as tantivy asks for them: large ones are mapped, small ones are read.
//!
//! A process may have some 65,000 maps, and a segment of an index has seven files: of thousands of small indexes the
//! maps would be too many, and each takes whole pages.
//!
//! Cost: what is read is held for as long as a reader of its segment lives.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::TantivyError;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes, WatchCallback, WatchHandle,
    WritePtr,
};

/// A file that is no larger is read.
const READ_BYTES_MAX: u64 = 32 << 10;

/// What tantivy calls the file that says what the last commit is.
const COMMIT: &str = "meta.json";

/// The files of one folder.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
    mapped: MmapDirectory,
}

impl Files {
    /// Those of a folder that is there.
    ///
    /// # Errors
    /// When it is not, or the system refuses it.
    pub(super) fn open(folder: &Path) -> tantivy::Result<Self> {
        let mapped = MmapDirectory::open(folder).map_err(TantivyError::OpenDirectoryError)?;
        Ok(Self { folder: folder.to_owned(), mapped })
    }

    /// The bytes of a small file. What cannot be read here is left to who maps it.
    fn small(&self, path: &Path) -> Option<Vec<u8>> {
        let path = self.folder.join(path);
        let is_small = std::fs::metadata(&path).ok()?.len() <= READ_BYTES_MAX;
        if is_small { std::fs::read(path).ok() } else { None }
    }
}

impl Directory for Files {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        match self.small(path) {
            Some(bytes) => Ok(Arc::new(OwnedBytes::new(bytes))),
            None => self.mapped.get_file_handle(path),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.mapped.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.mapped.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.mapped.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.mapped.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.mapped.atomic_write(path, data)?;
        // Its bytes are durable, its name is not: a loss of power could leave the commit before it, and what came since
        // may be gone from the journal.
        if path == Path::new(COMMIT) { self.mapped.sync_directory() } else { Ok(()) }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.mapped.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.mapped.acquire_lock(lock)
    }

    fn watch(&self, watch_callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.mapped.watch(watch_callback)
    }
}
