//! Whether a PDF breaks off, as one does whose copying was interrupted.
//!
//! Parsers mend such a file, and read the pages that came through as if they were all there are; these would take the
//! place of the whole document. A PDF ends with the place of its table of objects and a mark. One that is laid out for
//! the web has such a mark early, too, but says at its beginning how long it is. Programs that write such a file anew,
//! and shorter, may leave that in (Annex F of ISO 32000 has readers compare it): what ends with the mark is whole.
//! When not to use: for what was cut in the midst of changes that were appended; what was there before is whole.

use memchr::memmem::{find, find_iter};

use crate::Skip;

/// Bytes at the beginning that name the kind of file, and tell how it is laid out.
const HEAD_BYTES: usize = 1024;

/// Bytes at the end that have the mark of it: of what stands behind it readers take so much.
const TAIL_BYTES: usize = 1024;

/// Refuses a PDF that breaks off. Of other files it says nothing.
pub(super) fn check(bytes: &[u8]) -> Result<(), Skip> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    if find(head, b"%PDF-").is_none() {
        return Ok(());
    }
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    if find(tail, b"%%EOF").is_some() {
        return Ok(());
    }
    // Some programs leave the mark out.
    let has_end = find(bytes, b"%%EOF").is_some() || find(bytes, b"startxref").is_some();
    if has_end && said(head).is_none_or(|said| said <= bytes.len()) {
        return Ok(());
    }
    Err(Skip::Malformed("it breaks off: the end of the PDF is missing".to_owned()))
}

/// How long a file says it is that is laid out for the web.
fn said(head: &[u8]) -> Option<usize> {
    let rest = &head[find(head, b"/Linearized")?..];
    let dictionary = &rest[..find(rest, b">>")?];
    let mut lengths = find_iter(dictionary, b"/L").map(|at| dictionary[at + 2..].trim_ascii_start());
    let length = lengths.find(|rest| rest.first().is_some_and(u8::is_ascii_digit))?;
    let digits = length.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&length[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdf_that_breaks_off_is_refused() {
        let end = "startxref\n0\n%%EOF\n";
        let linear = |said: usize, behind: &str| {
            format!("%PDF-1.7\n1 0 obj<</Linearized 1/O 9/L {said} /N 2>>endobj\n{end}{behind}")
        };
        let objects = "2 0 obj<<>>endobj\n".repeat(100);
        for (file, is_whole) in [
            (format!("%PDF-1.7\n1 0 obj<<>>endobj\n{end}"), true),
            ("%PDF-1.7\n1 0 obj<<>>endobj\nstartxref\n0\n".to_owned(), true),
            ("%PDF-1.7\n1 0 obj<<>>endobj\n".to_owned(), false),
            (linear(60, ""), true),
            (linear(60, &objects), true),
            (linear(9_000, &objects), false),
            (linear(9_000, &format!("{objects}{end}")), true),
            (format!("%PDF-1.7\n{end}{}", "\0".repeat(5_000)), true),
            ("no PDF at all".to_owned(), true),
            (String::new(), true),
        ] {
            assert_eq!(check(file.as_bytes()).is_ok(), is_whole, "{file}");
        }
    }
}
