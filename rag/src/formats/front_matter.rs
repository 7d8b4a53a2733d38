//! The block of YAML at the head of a Markdown file (`---` to `---`): where it ends and what it says.
//!
//! When not to use: for TOML between `+++`, which stays part of the text.

use kithdb::Value;

use crate::Metadata;

/// Bytes of a block; a longer one is text.
const BYTES_MAX: usize = 64 << 10;

/// The byte offset behind the block, and what it says. A block that is no YAML says nothing.
pub(crate) fn read(markdown: &str) -> Option<(usize, Metadata)> {
    let rest = markdown.strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let begin = markdown.len() - rest.len();
    let mut at = begin;
    for line in rest.split_inclusive('\n') {
        if at - begin > BYTES_MAX {
            return None;
        }
        if matches!(line.trim_end(), "---" | "...") {
            // As of YAML 1.2: `y` and `no` are words.
            let options = serde_saphyr::options! { strict_booleans: true };
            let said = serde_saphyr::from_str_with_options::<Value>(&markdown[begin..at], options).ok();
            let said = said.and_then(|said| match said {
                Value::Object(said) => Some(said),
                _ => None,
            });
            return Some((at + line.len(), Metadata::read(said.unwrap_or_default())));
        }
        at += line.len();
    }
    None
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

    #[test]
    fn what_is_no_block_is_text() {
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
