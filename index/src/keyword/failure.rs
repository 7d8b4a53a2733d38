//! From tantivy's errors to ours.

use std::io;

use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use types::{Error, ErrorKind};

/// An error while an index is in use.
pub(super) fn failure(error: TantivyError) -> Error {
    let kind = match &error {
        TantivyError::IoError(source)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. })
        | TantivyError::LockFailure(LockError::IoError(source), _) => of_io(source),
        TantivyError::OpenDirectoryError(OpenDirectoryError::DoesNotExist(_))
        | TantivyError::OpenReadError(_)
        | TantivyError::DataCorruption(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::IncompatibleIndex(_) => ErrorKind::Corrupted,
        TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. }) => ErrorKind::of_io(io_error),
        // A writer's thread ends early when the disk fails it.
        TantivyError::OpenDirectoryError(_)
        | TantivyError::OpenWriteError(_)
        | TantivyError::ErrorInThread(_)
        | TantivyError::SystemError(_) => ErrorKind::Io,
        // So its columns tell what the disk said.
        TantivyError::InternalError(why) => of_words(why).map_or(ErrorKind::Internal, |said| of_io(&said)),
        TantivyError::LockFailure(..) => ErrorKind::Busy,
        TantivyError::IndexAlreadyExists => ErrorKind::AlreadyExists,
        _ => ErrorKind::Internal,
    };
    let failed = Error::new(kind, format!("the keyword index failed: {error}"));
    match refusal(&error) {
        Some(refusal) => failed.with_source(refusal),
        None => failed.with_source(error),
    }
}

/// What the operating system said, where that is the cause: tantivy does not name it as its source.
fn refusal(error: &TantivyError) -> Option<io::Error> {
    let source = match error {
        TantivyError::IoError(source)
        | TantivyError::LockFailure(LockError::IoError(source), _)
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error: source, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: source, .. }) => source,
        TantivyError::InternalError(why) => return of_words(why),
        _ => return None,
    };
    source.raw_os_error().map(io::Error::from_raw_os_error)
}

/// What the operating system said, of which only the words are left, with the number of the error.
fn of_words(why: &str) -> Option<io::Error> {
    let (_, rest) = why.rsplit_once("(os error ")?;
    let (number, _) = rest.split_once(')')?;
    number.parse().ok().map(io::Error::from_raw_os_error)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_disk_that_fails_a_column_is_told_as_the_disk() {
        let said = |number| TantivyError::InternalError(io::Error::from_raw_os_error(number).to_string());
        // EROFS, EIO, ENOSPC.
        let kinds = [(30, ErrorKind::Io), (5, ErrorKind::Io), (28, ErrorKind::StorageFull)];
        for (number, kind) in kinds {
            let error = failure(said(number));
            assert_eq!(error.kind(), kind, "{error:?}");
        }
        assert_eq!(failure(TantivyError::InternalError("a bug".to_owned())).kind(), ErrorKind::Internal);
    }

    /// Else a sound index would be removed, and made anew from every text.
    #[test]
    fn what_the_system_lacks_is_no_damage_of_a_keyword_index() {
        // EMFILE.
        let lacks = || Arc::new(io::Error::from_raw_os_error(24));
        let path = || PathBuf::from("meta.json");
        let errors = [
            TantivyError::IoError(lacks()),
            TantivyError::LockFailure(LockError::IoError(lacks()), None),
            TantivyError::OpenReadError(OpenReadError::IoError { io_error: lacks(), filepath: path() }),
        ];
        for error in errors {
            let error = damaged(error);
            assert!(error.kind() == ErrorKind::Io && error.remedy().is_some(), "{error:?}");
        }
        let full = OpenWriteError::wrap_io_error(io::ErrorKind::StorageFull.into(), path());
        assert_eq!(failure(full.into()).kind(), ErrorKind::StorageFull);
        let gone = damaged(TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(path())));
        assert_eq!((gone.kind(), gone.remedy()), (ErrorKind::Corrupted, None));
    }
}
