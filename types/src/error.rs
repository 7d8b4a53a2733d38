//! The one error of KithDB: a kind to branch on, the field at fault, a message that says what to do,
//! and the source for the logs.
//!
//! The kind decides the HTTP status, in `server`, and the class of the Python exception, in `python`.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as a caller would branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed or breaks the schema. Nothing was changed.
    InvalidArgument,
    /// The named collection, vector, field or point does not exist.
    NotFound,
    /// A collection of that name exists already.
    AlreadyExists,
    /// A point is not of the version that the write was made for. Nothing was changed; read it and decide anew.
    Conflict,
    /// A documented limit was exceeded; the message names it.
    LimitExceeded,
    /// Another process holds the database, or a queue is full. Trying again later can succeed.
    Busy,
    /// The deadline of the request passed before it was answered.
    DeadlineExceeded,
    /// The operating system refused a read or write.
    Io,
    /// There is no room on the disk, or less than is kept for deletes and the tables of storage.
    StorageFull,
    /// Stored bytes do not match their checksum or format.
    Corrupted,
    /// An earlier write or fsync failed: writes are refused until the database is opened anew.
    Poisoned,
    /// The directory was written by a newer version.
    UnsupportedFormat,
    /// A defect of KithDB itself; please report it.
    Internal,
}

impl ErrorKind {
    /// The kind of what the operating system refuses.
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Io,
        }
    }

    /// Its name, as programs that know no Rust spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::LimitExceeded => "limit_exceeded",
            Self::Busy => "busy",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Io => "io",
            Self::StorageFull => "storage_full",
            Self::Corrupted => "corrupted",
            Self::Poisoned => "poisoned",
            Self::UnsupportedFormat => "unsupported_format",
            Self::Internal => "internal",
        }
    }
}

/// The result of every fallible call.
pub type Result<T> = std::result::Result<T, Error>;

/// An error: kind, field, message, source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    field: Option<String>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a message that says what to do about it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, field: None, message: message.into(), source: None }
    }

    /// A malformed request, naming the field at fault as the caller spells it.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message).with_field(field)
    }

    /// A limit that was exceeded: `what` has `actual`, at most `limit` is allowed.
    pub fn limit(field: impl Into<String>, what: &str, actual: usize, limit: usize) -> Self {
        Self::new(ErrorKind::LimitExceeded, format!("{what} is {actual}, the limit is {limit}"))
            .with_field(field)
    }

    /// The collection that does not exist.
    pub fn no_collection(name: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("Not found: Collection `{name}` doesn't exist!"))
            .with_field("collection_name")
    }

    /// Bytes that fail their checksum or do not parse, and where they lie.
    pub fn corrupted(place: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Corrupted, format!("{place} is damaged: {why}"))
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Puts `prefix` before the field, so that a nested failure names its whole path.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.field = Some(match self.field.take() {
            Some(field) if field.starts_with('[') => format!("{prefix}{field}"),
            Some(field) => format!("{prefix}.{field}"),
            None => prefix.to_owned(),
        });
        self
    }

    /// Says where an element of a list stands for the caller, if the field begins with one: `list[2].rest` becomes
    /// `place(2).rest`; an empty place is left out.
    #[must_use]
    pub fn relocated(mut self, list: &str, place: impl FnOnce(usize) -> String) -> Self {
        let field = self.field.as_deref().and_then(|field| field.strip_prefix(list)?.strip_prefix('['));
        let element = field.and_then(|field| field.split_once(']'));
        if let Some((Ok(position), rest)) = element.map(|(position, rest)| (position.parse(), rest)) {
            let place = format!("{}{rest}", place(position));
            self.field = Some(place.strip_prefix('.').map(str::to_owned).unwrap_or(place));
        }
        self
    }

    /// The point that does not exist.
    pub fn no_point(id: crate::PointId) -> Self {
        Self::new(ErrorKind::NotFound, format!("Not found: No point with id {id} found"))
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller branches on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The field at fault, as a path (`points[3].vector`).
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The message without the field.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do where the operating system lacks or forbids something that has nothing to do with the bytes that were
    /// asked for, which may be sound: open files, memory, rights. Nothing for every other error.
    pub fn remedy(&self) -> Option<&'static str> {
        let causes = std::iter::successors(StdError::source(self), |&cause| cause.source());
        causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).find_map(remedy_of)
    }

    /// The same error for a second waiter of one failed group commit; the source becomes text.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            kind: self.kind,
            field: self.field.clone(),
            message: self.message.clone(),
            source: self.source.as_ref().map(|source| source.to_string().into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        let kind = ErrorKind::of_io(&source);
        Self::new(kind, format!("the operating system refused: {source}")).with_source(source)
    }
}

/// Too many files are open in the system, or in the process: the standard library has no name for either.
const TOO_MANY_FILES: [i32; 2] = [23, 24];

fn remedy_of(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as Kind;
    if error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code)) {
        return Some("raise the limit of open files (`ulimit -n`, `LimitNOFILE`)");
    }
    match error.kind() {
        Kind::OutOfMemory => Some("give the process more memory, or more maps (`vm.max_map_count`)"),
        Kind::PermissionDenied => Some("give the process the right to read and write its directory"),
        Kind::ReadOnlyFilesystem => Some("mount the file system for writing"),
        Kind::WouldBlock | Kind::TimedOut | Kind::StaleNetworkFileHandle => {
            Some("see to it that the file system answers")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_lacks_has_a_remedy_and_damage_has_none() {
        let of = |code: i32| Error::from(std::io::Error::from_raw_os_error(code));
        // EMFILE, ENFILE, ENOMEM, EACCES, EROFS as Linux counts them.
        for (code, word) in [(24, "ulimit"), (23, "ulimit"), (12, "memory"), (13, "right"), (30, "mount")] {
            let remedy = of(code).remedy().unwrap_or_default();
            assert!(remedy.contains(word), "{code}: {remedy}");
        }
        // ENOENT, EIO, ENOSPC: what is gone, what cannot be read, and what a full disk refuses.
        for code in [2, 5, 28] {
            assert_eq!(of(code).remedy(), None, "{code}");
        }
        let nested = Error::new(ErrorKind::Io, "a segment").with_source(of(24));
        assert!(nested.remedy().is_some());
        assert_eq!(Error::corrupted("a segment", "its checksum").remedy(), None);
    }

    #[test]
    fn says_where_an_element_stands_for_the_caller() {
        let moved = |field: &str, place: &str| {
            let error = Error::invalid(field, "bad").relocated("ops", |n| place.replace('#', &n.to_string()));
            error.field().map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(moved("ops[12].vector[2]", "points[#]"), "points[12].vector[2]");
        assert_eq!(moved("ops[1]", "all[#].x"), "all[1].x");
        assert_eq!(moved("ops[0].filter", ""), "filter");
        assert_eq!(moved("points[1].ops[2]", "x"), "points[1].ops[2]");
    }

    #[test]
    fn names_the_whole_path_of_a_nested_field() {
        let error = Error::invalid("[2]", "is NaN").within("vector").within("points[7]");
        assert_eq!(error.field(), Some("points[7].vector[2]"));
        assert_eq!(error.to_string(), "points[7].vector[2]: is NaN");
    }
}
