//! Forms (`multipart/form-data`): one part as it comes in, or every part of a form that is there.
//!
//! Invariant: of a part that comes in never more than a block is held; what stands behind it is not looked at.

use std::io::{BufRead, Read, Write, sink};

use kithdb::{Error, Result};

/// A line of a head is no longer.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// A head has no more of them.
const LINES_MAX: usize = 64;

/// Bytes of a boundary (RFC 2046, 5.1.1): as many are looked at again with each block that comes.
const BOUNDARY_BYTES_MAX: usize = 70;

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
    rest.split(';').find_map(named).filter(|boundary| (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()))
}

/// Writes the content of the part of this name.
///
/// # Errors
/// `InvalidArgument` on `body` when it is no such form, on `name` when it has no such part; `Io`.
pub(crate) fn part(from: &mut dyn BufRead, boundary: &str, name: &str, to: &mut dyn Write) -> Result<()> {
    let (opening, closing) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    lines_to(from, &opening)?;
    loop {
        let head = lines_to(from, "")?;
        if disposition(&head).0 == name {
            return content(from, closing.as_bytes(), to);
        }
        content(from, closing.as_bytes(), &mut sink())?;
        // Two dashes end the form; else the line ends.
        let mut behind = [0; 2];
        from.read_exact(&mut behind)?;
        match &behind {
            b"--" => return Err(Error::invalid(name, "is missing in the form")),
            b"\r\n" => {}
            _ => drop(line(from)?),
        }
    }
}

/// Writes what stands before a delimiter, and reads up to its end.
fn content(from: &mut dyn BufRead, closing: &[u8], to: &mut dyn Write) -> Result<()> {
    let mut held: Vec<u8> = Vec::new();
    loop {
        let (before, block) = (held.len(), from.fill_buf()?);
        if block.is_empty() {
            return Err(malformed("ends before its last boundary"));
        }
        held.extend_from_slice(block);
        let taken = block.len();
        if let Some(end) = held.windows(closing.len()).position(|window| window == closing) {
            // It ends in the block: what was held before is shorter.
            from.consume(end + closing.len() - before);
            return Ok(to.write_all(&held[..end])?);
        }
        from.consume(taken);
        // The boundary may have begun.
        let sure = held.len().saturating_sub(closing.len() - 1);
        to.write_all(&held[..sure])?;
        held.drain(..sure);
    }
}

/// A part of a form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    /// What the form calls it.
    pub(crate) name: String,
    /// Of a file, what it is called.
    pub(crate) file_name: Option<String>,
    /// What it holds.
    pub(crate) content: &'b [u8],
}

/// A form has no more of them.
const PARTS_MAX: usize = 10_000;

/// Every part of a form.
///
/// # Errors
/// `InvalidArgument` on `body` when it is no such form.
pub(crate) fn parts<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<Part<'b>>> {
    let (opening, delimiter) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    // A delimiter begins a line; the first may begin the body.
    let mut rest = match body.strip_prefix(opening.as_bytes()) {
        Some(rest) => rest,
        None => split(body, delimiter.as_bytes()).ok_or_else(|| malformed("is no form"))?.1,
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() == PARTS_MAX {
            return Err(malformed(&format!("has more than {PARTS_MAX} parts")));
        }
        let (part, behind) =
            split(rest, delimiter.as_bytes()).ok_or_else(|| malformed("ends before its last boundary"))?;
        // A part without header fields has its empty line all the same.
        let (_, part) = split(part, b"\r\n").ok_or_else(|| malformed("has a part without a head"))?;
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&part[..0], content),
            None => {
                split(part, b"\r\n\r\n").ok_or_else(|| malformed("has a part without an end of its head"))?
            }
        };
        let (name, file_name) = disposition(&String::from_utf8_lossy(head));
        parts.push(Part { name, file_name, content });
        rest = behind;
    }
    Ok(parts)
}

/// What stands before and behind the first such bytes.
fn split<'b>(bytes: &'b [u8], at: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let begin = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..begin], &bytes[begin + at.len()..]))
}

/// `name` and `filename` of a part's head.
fn disposition(head: &str) -> (String, Option<String>) {
    let is_it = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let line = head.lines().find(is_it).unwrap_or_default();
    // Browsers write what would end the name so.
    let plain = |text: String| text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
    (parameter(line, "name").map(plain).unwrap_or_default(), parameter(line, "filename").map(plain))
}

/// A parameter of a line of a head: `name="a \"b\""`, `name=a`.
fn parameter(line: &str, name: &str) -> Option<String> {
    let at = line.match_indices(name).map(|(at, _)| at).find(|at| {
        let is_start = line[..*at].ends_with([' ', ';']);
        is_start && line[at + name.len()..].starts_with('=')
    })?;
    let value = &line[at + name.len() + 1..];
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.split(';').next().unwrap_or_default().trim().to_owned());
    };
    let (mut text, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(chars.next()?),
            other => text.push(other),
        }
    }
}

/// The lines before this one, which is read too.
fn lines_to(from: &mut dyn BufRead, last: &str) -> Result<String> {
    let mut lines = String::new();
    for _ in 0..LINES_MAX {
        let next = line(from)?;
        if next.trim_end() == last {
            return Ok(lines);
        }
        lines += &next;
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
    fn the_content_of_the_part_comes_out_wherever_it_stands_and_whatever_the_blocks() {
        let content = b"a\r\n--b\r\n--boundar\r\n\r\n--";
        let other = b"--boundary\r\ncontent-disposition: form-data; name=\"priority\"\r\n\r\nx\r\n".to_vec();
        let own = [
            b"--boundary\r\ncontent-disposition: form-data; name=\"snapshot\"\r\n\r\n".to_vec(),
            content.to_vec(),
            b"\r\n".to_vec(),
        ]
        .concat();
        let end = b"--boundary--".to_vec();
        let part = |form: &[u8], capacity: usize, boundary: &str| {
            let mut out = Vec::new();
            let mut from = BufReader::with_capacity(capacity, form);
            part(&mut from, boundary, "snapshot", &mut out).map(|()| out)
        };
        for form in [
            [&*own, &other, &end].concat(),
            [&*other, &own, &end].concat(),
            [&*other, &other, &own, &end].concat(),
        ] {
            for capacity in [1, 2, 3, 7, 16, 1000] {
                assert_eq!(part(&form, capacity, "boundary").expect("a form"), content, "{capacity}");
            }
            for len in [0, 5, 40, 70, 90] {
                part(&form[..len], 1000, "boundary").expect_err("cut off");
            }
            part(&form, 1000, "other").expect_err("another boundary");
        }
        let error = part(&[other, end].concat(), 7, "boundary").expect_err("no such part");
        assert_eq!(error.field(), Some("snapshot"));
    }

    #[test]
    fn every_part_of_a_form_is_found() {
        let form = b"--b\r\nContent-Disposition: form-data; name=\"options\"\r\n\r\n{}\r\n--b\r\n\
            content-type: text/plain\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a \\\"b%22.md\"\r\n\r\n\
            \r\n--\r\n\r\n--b\r\n\r\nbare\r\n--b--\r\n";
        let found = parts(form, "b").expect("a form");
        let part = |name: &str, file: Option<&str>, content| Part {
            name: name.to_owned(),
            file_name: file.map(str::to_owned),
            content,
        };
        let expected: [Part<'_>; 3] = [
            part("options", None, b"{}"),
            part("file", Some("a \"b\".md"), b"\r\n--\r\n"),
            part("", None, b"bare"),
        ];
        assert_eq!(found, expected);
        for len in 0..form.len() - 4 {
            assert!(parts(&form[..len], "b").is_err(), "cut to {len}");
        }
        assert!(parts(b"x\r\n--b--", "b").expect("no parts").is_empty());
        let bare = b"--b\r\ncontent-disposition: form-data;filename=a.txt; name=file\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(parts(bare, "b").expect("a form"), [part("file", Some("a.txt"), b"x")]);
    }

    #[test]
    fn a_boundary_is_found_in_forms_only() {
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        let cases = [
            (long.as_str(), None),
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
