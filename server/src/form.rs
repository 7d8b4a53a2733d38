//! A form (`multipart/form-data`) with fields that mean something, of a body that is held.
//!
//! Invariant: a field and a file of the form are slices of the body; nothing is copied.
//! When not to use: for what is too large to hold; see [`multipart`](crate::multipart).

use kithdb::{Error, Result};

use crate::error::BODY;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// The name of the field.
    pub(crate) name: String,
    /// The name of the file, if it is one.
    pub(crate) file: Option<String>,
    /// What it holds.
    pub(crate) content: &'a [u8],
}

/// Parts of a form, at most.
const PARTS_MAX: usize = 64;

/// Reads a form.
///
/// # Errors
/// `InvalidArgument` on `body`.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>> {
    let (opening, closing) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let start = find(body, opening.as_bytes()).ok_or_else(|| malformed("has no boundary"))?;
    let (mut rest, mut parts) = (&body[start + opening.len()..], Vec::new());
    while !rest.starts_with(b"--") {
        if parts.len() == PARTS_MAX {
            return Err(Error::limit(BODY, "the number of parts", PARTS_MAX + 1, PARTS_MAX));
        }
        let end = find(rest, closing.as_bytes()).ok_or_else(|| malformed("ends before its last boundary"))?;
        let part = rest.get(2..end).filter(|_| rest.starts_with(b"\r\n"));
        parts.push(part.and_then(read).ok_or_else(|| malformed("has a part without a head"))?);
        rest = &rest[end + closing.len()..];
    }
    Ok(parts)
}

fn read(part: &[u8]) -> Option<Part<'_>> {
    let end = find(part, b"\r\n\r\n")?;
    let head = str::from_utf8(&part[..end]).ok()?;
    let line = head.lines().find(|line| {
        line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
    })?;
    Some(Part {
        name: parameter(line, "name")?,
        file: parameter(line, "filename"),
        content: &part[end + 4..],
    })
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
            '"' => return Some(text.replace("%22", "\"")),
            '\\' => text.push(chars.next()?),
            other => text.push(other),
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn malformed(why: &str) -> Error {
    Error::invalid(BODY, format!("{why}; send a form (multipart/form-data)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_read() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--b\r\n\
                     content-disposition: form-data; filename=\"a \\\"b\\\" %22.txt\"; name=file\r\ncontent-type: x\r\n\r\n\
                     one\r\n--\r\ntwo\r\n--b--\r\n";
        let read = parts(body, "b").expect("a form");
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Part { name: "purpose".into(), file: None, content: b"user_data" });
        let file =
            Part { name: "file".into(), file: Some("a \"b\" \".txt".into()), content: b"one\r\n--\r\ntwo" };
        assert_eq!(read[1], file);
        assert!(parts(b"--b--", "b").expect("an empty form").is_empty());
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let part = "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b";
        for body in [
            "",
            "--b",
            "--b\r\n",
            "--b\r\n\r\n1\r\n--b--",
            "--bx\r\n--b--",
            "--b\r\nname=a\r\n\r\n1\r\n--b--",
        ] {
            assert_eq!(
                parts(body.as_bytes(), "b")
                    .err()
                    .and_then(|error| error.field().map(str::to_owned))
                    .as_deref(),
                Some(BODY),
                "{body:?}"
            );
        }
        assert!(parts(format!("--b{}--", part.repeat(65)).as_bytes(), "b").is_err());
    }
}
