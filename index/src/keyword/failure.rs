//! From tantivy's errors to ours.

use std::io;

use tantivy::TantivyError;
use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use types::{Error, ErrorKind};

/// An error while an index is in use.
pub(super) fn failure(error: TantivyError) -> Error {
    let kind = match &error {
        TantivyError::IoError(source) => of_io(source),
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => of_io(io_error),
        TantivyError::OpenDirectoryError(OpenDirectoryError::DoesNotExist(_))
        | TantivyError::OpenReadError(_)
        | TantivyError::DataCorruption(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::IncompatibleIndex(_) => ErrorKind::Corrupted,
        // A writer's thread ends early when the disk fails it.
        TantivyError::OpenDirectoryError(_)
        | TantivyError::OpenWriteError(_)
        | TantivyError::ErrorInThread(_)
        | TantivyError::SystemError(_) => ErrorKind::Io,
        TantivyError::LockFailure(..) => ErrorKind::Busy,
        TantivyError::IndexAlreadyExists => ErrorKind::AlreadyExists,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("the keyword index failed: {error}")).with_source(error)
}

/// An error while terms or postings are read.
pub(super) fn unread(error: io::Error) -> Error {
    failure(error.into())
}

/// An error while an index is opened or checked: what is not the operating system's doing is damage.
pub(super) fn damaged(error: TantivyError) -> Error {
    let error = failure(error);
    match error.kind() {
        ErrorKind::Io | ErrorKind::StorageFull | ErrorKind::Busy => error,
        _ => Error::corrupted("the keyword index", &error).with_source(error),
    }
}

fn of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound => {
            ErrorKind::Corrupted
        }
        _ => ErrorKind::of_io(error),
    }
}
