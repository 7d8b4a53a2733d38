//! Parts of addresses: names as they stand in a path.

/// A part of a path with everything but letters, digits and `-._~` escaped.
pub(crate) fn encoded(part: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    part.bytes().map(byte).collect()
}

/// What an escaped part says; nothing if it is not escaped as it should be.
pub(crate) fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_addresses() {
        for (name, escaped) in [("a-1.b", "a-1.b"), ("a b/ü", "a%20b%2F%C3%BC")] {
            assert_eq!(encoded(name), escaped);
            assert_eq!(decoded(escaped).as_deref(), Some(name));
        }
        for wrong in ["%", "%2", "%zz", "%FF"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
