//! Words of a text, as filters and text indexes see them: runs of letters and digits, in lower case.
//!
//! No stemming and no stop words: a filter holds or does not hold, it does not rank. For ranking there is the keyword
//! index.

/// The words of a text, in order.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Whether a text has the words of a phrase one after the other. No phrase has no words.
pub(super) fn has_phrase(text: &str, phrase: &str) -> bool {
    let (text, phrase): (Vec<String>, Vec<String>) = (words(text).collect(), words(phrase).collect());
    !phrase.is_empty() && text.windows(phrase.len()).any(|part| part == phrase)
}

/// Whether a text has every word of another, which has some.
pub(super) fn has_all(text: &str, wanted: &str) -> bool {
    let text: Vec<String> = words(text).collect();
    let mut wanted = words(wanted).peekable();
    wanted.peek().is_some() && wanted.all(|word| text.contains(&word))
}

/// Whether a text has some word of another.
pub(super) fn has_any(text: &str, wanted: &str) -> bool {
    let text: Vec<String> = words(text).collect();
    words(wanted).any(|word| text.contains(&word))
}
