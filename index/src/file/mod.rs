//! A sectioned file: written once, front to back, then only mapped. It knows nothing of what its sections mean.
//!
//! Invariants:
//! - a file has its name only when every byte of it is durable: it is written as `<name>.part`, synchronised, renamed,
//!   and the folder is synchronised; a writer that fails or is dropped removes its part;
//! - a finished file never changes, so what is mapped never does;
//! - every byte is covered: header, directory and footer are checked by [`Sections::open`], sections and the zeros
//!   between them by [`Sections::verify`]. What does not agree is `Corrupted`, by file and section.
//!
//! Cost: opening reads three pages. Sections lie in the page cache, not in the heap: the system drops what is not
//! read. Of a file that somebody else cuts short while it is mapped the system ends the process; the lock of the
//! database folder keeps out those who know it. For a few bytes, or bytes that change, use storage.

#[cfg(not(target_endian = "little"))]
compile_error!("sections are read in place as little-endian numbers");

mod array;
mod layout;
mod map;
mod reader;
mod sections;
mod writer;

use std::path::Path;

use types::{Error, ErrorKind};

pub use array::Array;
pub use layout::{FORMAT_VERSION, Kind};
pub use map::Advice;
pub use reader::SectionReader;
pub use sections::Sections;
pub use writer::{FileWriter, SectionWriter};

/// The error of a file that the operating system does not read or write.
pub(crate) fn refused(path: &Path, source: std::io::Error) -> Error {
    let message = format!("the operating system refused {}: {source}", path.display());
    Error::new(ErrorKind::of_io(&source), message).with_source(source)
}

/// The error of a part of a file that is not what it should be.
fn damaged(path: &Path, part: impl std::fmt::Display, why: impl std::fmt::Display) -> Error {
    Error::corrupted(format!("{part} of {}", path.display()), why)
}

#[cfg(test)]
mod tests;
