//! Server-sent events, as serving engines write them: lines, of which those with `data:` count.
//!
//! Invariant: a line and an event are bounded. An event may have several `data:` lines; a stream may end without an
//! empty line behind its last event.

use std::io::{BufRead, Read};

/// Bytes of an event.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// The events of a stream.
pub(super) struct Events<R> {
    from: R,
    line: Vec<u8>,
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, line: Vec::new() }
    }

    /// The next event's data; `None` at the end of the stream.
    ///
    /// # Errors
    /// What reading returns; `InvalidData` for an event that is too long, or is no text.
    pub(super) fn next(&mut self) -> std::io::Result<Option<String>> {
        let mut event: Option<String> = None;
        loop {
            self.line.clear();
            let left = EVENT_BYTES_MAX.saturating_sub(event.as_ref().map_or(0, String::len));
            let read = self.from.by_ref().take(left as u64 + 1).read_until(b'\n', &mut self.line)?;
            if read > left {
                return Err(invalid("an event is too long"));
            }
            let line = str::from_utf8(&self.line).map_err(|_| invalid("an event is no text"))?;
            let line = line.trim_end_matches(['\n', '\r']);
            if read == 0 || (line.is_empty() && event.is_some()) {
                return Ok(event);
            }
            if let Some(text) = line.strip_prefix("data:") {
                let text = text.strip_prefix(' ').unwrap_or(text);
                match &mut event {
                    Some(event) => {
                        event.push('\n');
                        event.push_str(text);
                    }
                    none => *none = Some(text.to_owned()),
                }
            }
        }
    }
}

fn invalid(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> std::io::Result<Vec<String>> {
        let mut events = Events::new(text);
        let mut all = Vec::new();
        while let Some(event) = events.next()? {
            all.push(event);
        }
        Ok(all)
    }

    #[test]
    fn events_are_read_however_they_are_laid_out() {
        let text =
            b"\n: comment\n\nevent: x\ndata: a\n\ndata:b\r\n\r\ndata: c\ndata: d\n\nid: 1\n\ndata: last";
        assert_eq!(read(text).expect("events"), ["a", "b", "c\nd", "last"]);
        assert!(read(b"").expect("none").is_empty());
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        assert!(read(&vec![b'x'; EVENT_BYTES_MAX + 2]).is_err());
        assert!(read(&b"data: abcdefgh\n".repeat(EVENT_BYTES_MAX / 8)).is_err());
        assert!(read(b"data: \xff\n\n").is_err());
    }
}
