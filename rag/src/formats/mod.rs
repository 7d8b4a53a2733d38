//! The kinds of files that are documents, one module each: bytes in, a [`Source`](crate::Source) out.
//!
//! Invariant: whatever the bytes are, what comes back is a source or a reason. A parser of others that panics is caught
//! here, and each module says what it allows of nesting, pages, records and decompression, so that no file of a
//! stranger ends a server or fills its memory.

pub(crate) mod code;
mod cut;
pub(crate) mod front_matter;
pub(crate) mod html;
pub(crate) mod pdf;
pub(crate) mod records;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Skip;

/// Bytes of a document's text at most: it is stored as the payload of one point.
pub(crate) const TEXT_BYTES_MAX: usize = 12 << 20;

/// Runs a parser of others behind a fence: a panic is a reason to pass the file over.
pub(crate) fn fenced<T>(read: impl FnOnce() -> Result<T, Skip>) -> Result<T, Skip> {
    // What it was about to make is thrown away: nothing half made is seen.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of no known reason");
        Err(Skip::Malformed(format!("its parser gave up: {why}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_parser_is_a_reason_to_pass_over() {
        let broken = || -> Result<(), Skip> { panic!("offset {}", 7) };
        assert_eq!(fenced(broken), Err(Skip::Malformed("its parser gave up: offset 7".to_owned())));
        assert_eq!(fenced(|| Ok(1)), Ok(1));
    }
}
