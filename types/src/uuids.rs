//! UUIDs in payloads: the spellings of one, which are the same where a field has an index of UUIDs.

use uuid::Uuid;

/// The UUID that a text is, with hyphens and in small letters; nothing if it is none.
pub fn canonical(text: &str) -> Option<String> {
    Uuid::parse_str(text).ok().map(|uuid| uuid.to_string())
}

/// How the UUID that a text is may be written, in order: as the text is, with hyphens, without, in braces, each in
/// small and in large letters, and as a URN. Nothing if the text is none.
pub fn spellings(text: &str) -> Option<Vec<String>> {
    let uuid = Uuid::parse_str(text).ok()?;
    let small = [uuid.hyphenated().to_string(), uuid.simple().to_string(), uuid.braced().to_string()];
    let mut all = vec![text.to_owned(), uuid.urn().to_string()];
    for small in small {
        all.push(small.to_ascii_uppercase());
        all.push(small);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_of_the_same_uuid() {
        let usual = "936da01f-9abd-4d9d-80c7-02af85c822a8";
        let all = spellings("936Da01f9abd4d9d80c702af85c822a8").expect("a UUID");
        assert_eq!(all.len(), 8);
        assert!(all.is_sorted() && all.iter().any(|one| one == usual));
        assert!(all.iter().all(|one| canonical(one).as_deref() == Some(usual)), "{all:?}");
        for text in ["", "936da01f", "words", "936da01f-9abd-4d9d-80c7-02af85c822ag"] {
            assert_eq!((canonical(text), spellings(text)), (None, None), "{text}");
        }
    }
}
