//! The first file of a form (`multipart/form-data`), as it comes in.
//!
//! Invariant: never more than a block of it is held. What stands behind the first part is not looked at.
//! When not to use: for forms with fields that mean something.

use std::io::{BufRead, Read, Write};

use kithdb::{Error, Result};

/// A line of a head is no longer.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// A head has no more of them.
const LINES_MAX: usize = 64;

/// The boundary between parts that a `content-type` names; nothing if it is of no form.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let named = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    };
    rest.split(';').find_map(named).filter(|boundary| !boundary.is_empty())
}

/// Writes the content of the first part.
///
/// # Errors
/// `InvalidArgument` on `body` when it is no such form; `Io`.
pub(crate) fn first_part(from: &mut dyn BufRead, boundary: &str, to: &mut dyn Write) -> Result<()> {
    let (opening, closing) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    pass(from, &opening)?;
    pass(from, "")?;
    let closing = closing.as_bytes();
    let mut held: Vec<u8> = Vec::new();
    loop {
        let block = from.fill_buf()?;
        if block.is_empty() {
            return Err(malformed("ends before its last boundary"));
        }
        held.extend_from_slice(block);
        let taken = block.len();
        from.consume(taken);
        if let Some(end) = held.windows(closing.len()).position(|window| window == closing) {
            return Ok(to.write_all(&held[..end])?);
        }
        // The boundary may have begun.
        let sure = held.len().saturating_sub(closing.len() - 1);
        to.write_all(&held[..sure])?;
        held.drain(..sure);
    }
}

/// Passes over lines up to and with this one.
fn pass(from: &mut dyn BufRead, last: &str) -> Result<()> {
    for _ in 0..LINES_MAX {
        if line(from)?.trim_end() == last {
            return Ok(());
        }
    }
    Err(malformed("has a head that is too long"))
}

fn line(from: &mut dyn BufRead) -> Result<String> {
    let mut line = Vec::new();
    from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(String::from_utf8_lossy(&line).into_owned()),
        _ => Err(malformed("is no form with one file")),
    }
}

fn malformed(why: &str) -> Error {
    Error::invalid("body", why)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn the_content_of_the_first_part_comes_out_whatever_the_blocks() {
        let content = b"a\r\n--b\r\n--boundar\r\n\r\n--";
        let form = [
            b"--boundary\r\ncontent-disposition: form-data; name=\"snapshot\"\r\n\r\n".to_vec(),
            content.to_vec(),
            b"\r\n--boundary\r\ncontent-disposition: form-data\r\n\r\nx\r\n--boundary--\r\n".to_vec(),
        ]
        .concat();
        for capacity in [1, 2, 3, 7, 16, 1000] {
            let mut out = Vec::new();
            let mut from = BufReader::with_capacity(capacity, &form[..]);
            first_part(&mut from, "boundary", &mut out).expect("a form");
            assert_eq!(out, content, "{capacity}");
        }
        for len in [0, 5, 40, 70, 90] {
            assert!(first_part(&mut &form[..len], "boundary", &mut Vec::new()).is_err(), "cut to {len}");
        }
        assert!(first_part(&mut &form[..], "other", &mut Vec::new()).is_err());
    }

    #[test]
    fn a_boundary_is_found_in_forms_only() {
        let cases = [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=x; boundary=\"a b\"", Some("a b")),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/octet-stream", None),
        ];
        for (content_type, expected) in cases {
            assert_eq!(boundary(content_type).as_deref(), expected, "{content_type}");
        }
    }
}
