//! The block at the head of a Markdown file, of YAML (`---` to `---`) or of TOML (`+++` to `+++`): where it ends and
//! what it says.

use kithdb::{Payload, Value};

use crate::Metadata;

/// Bytes of a block; a longer one is text.
const BYTES_MAX: usize = 64 << 10;

/// The byte offset behind the block, and what it says. A block that is no YAML says nothing; one that is no TOML is
/// text, as these marks are otherwise.
pub(crate) fn read(markdown: &str) -> Option<(usize, Metadata)> {
    let is_toml = markdown.starts_with("+++");
    let mark = if is_toml { "+++" } else { "---" };
    let rest = markdown.strip_prefix(mark)?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let begin = markdown.len() - rest.len();
    let mut at = begin;
    for line in rest.split_inclusive('\n') {
        if at - begin > BYTES_MAX {
            return None;
        }
        let end = line.trim_end();
        if end == mark || (end == "..." && !is_toml) {
            let block = &markdown[begin..at];
            let said = if is_toml { of_toml(block)? } else { of_yaml(block).unwrap_or_default() };
            return Some((at + line.len(), Metadata::read(said)));
        }
        at += line.len();
    }
    None
}

fn of_yaml(block: &str) -> Option<Payload> {
    // As of YAML 1.2: `y` and `no` are words.
    let options = serde_saphyr::options! { strict_booleans: true };
    match serde_saphyr::from_str_with_options::<Value>(block, options) {
        Ok(Value::Object(said)) => Some(said),
        _ => None,
    }
}

fn of_toml(block: &str) -> Option<Payload> {
    let said: toml::Table = toml::from_str(block).ok()?;
    Some(said.into_iter().map(|(key, value)| (key, of_value(value))).collect())
}

/// Dates are the texts that they are written as.
fn of_value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(of_value).collect(),
        toml::Value::Table(said) => said.into_iter().map(|(key, value)| (key, of_value(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_what_the_document_is() {
        let text =
            "---\ntitle: \"A: b\"\nauthor:\n  - C\n  - D\ndate: 2024-01-31\ntags: [x, y]\n---\n\n# Text\n";
        let (end, metadata) = read(text).expect("a block");
        assert_eq!(&text[end..], "\n# Text\n");
        assert_eq!(metadata.title.as_deref(), Some("A: b"));
        assert_eq!(metadata.author.as_deref(), Some("C, D"));
        assert_eq!(metadata.time.as_deref(), Some("2024-01-31T00:00:00Z"));
        assert_eq!(metadata.attributes["tags"], serde_json::json!(["x", "y"]));
        let (end, metadata) = read("---\r\n: [\r\n---\r\nx").expect("a block of no YAML");
        assert!(metadata.is_empty() && end == 15);
    }

    /// It was text, and its labels bound nobody.
    #[test]
    fn a_block_of_toml_says_the_same() {
        let text = "+++\r\n# of a site\r\ntitle = 'A: b'\r\nauthors = ['C', 'D']\r\ndate = 2024-01-31\r\n\
                    labels = ['staff']\r\nweight = 3\r\n[params]\r\nx = 1\r\n+++\r\n\r\n# Text\r\n";
        let (end, metadata) = read(text).expect("a block");
        assert_eq!(&text[end..], "\r\n# Text\r\n");
        assert_eq!(metadata.title.as_deref(), Some("A: b"));
        assert_eq!(metadata.author.as_deref(), Some("C, D"));
        assert_eq!(metadata.time.as_deref(), Some("2024-01-31T00:00:00Z"));
        assert_eq!(metadata.labels, ["staff"]);
        assert_eq!(serde_json::json!(metadata.attributes), serde_json::json!({"weight": 3}));
    }

    #[test]
    fn what_is_no_block_is_text() {
        for text in ["+++\nnever closed\n", "+++\nno TOML\n+++\n", "+++\na = 1\n---\n", "++++\na = 1\n++++\n"]
        {
            assert!(read(text).is_none(), "{text:?}");
        }
        for text in ["", "# A\n", "---", "----\na: 1\n----\n", "---\nnever closed\n", " ---\na: 1\n---\n"] {
            assert!(read(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn aliases_that_multiply_are_no_trap() {
        let mut text = "---\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            let many = format!("*a{before}, ").repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{many}]\n"));
        }
        text.push_str("---\n");
        assert!(read(&text).expect("a block").1.is_empty());
    }
}
