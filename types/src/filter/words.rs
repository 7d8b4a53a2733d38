//! Words of a text, as filters and text indexes see them: runs of letters and digits, in lower case.
//!
//! No stemming and no stop words: a filter holds or does not hold, it does not rank. For ranking there is the keyword
//! index.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::Predicate;

/// Another way of making words of a text.
pub trait TextAnalysis: Send + Sync {
    /// The words that a text has, in any order.
    fn words(&self, text: &str) -> Vec<String>;
    /// The words that a text asks for, in their order.
    fn asked(&self, text: &str) -> Vec<String>;
    /// Whether a word that a text has is one that is asked for.
    fn is(&self, word: &str, asked: &str) -> bool {
        word == asked
    }
}

/// A test of words that are made in another way than [`words`] does.
#[derive(Clone)]
pub struct TextTest {
    /// The same test of the usual words.
    pub usual: Box<Predicate>,
    wanted: Vec<String>,
    analysis: Arc<dyn TextAnalysis>,
}

impl TextTest {
    /// A test of words, asked with other ones; nothing of any other test.
    pub fn new(usual: &Predicate, analysis: Arc<dyn TextAnalysis>) -> Option<Self> {
        let (Predicate::Text(text) | Predicate::TextAny(text) | Predicate::Phrase(text)) = usual else {
            return None;
        };
        Some(Self { usual: Box::new(usual.clone()), wanted: analysis.asked(text), analysis })
    }

    /// Whether it holds for a text.
    pub fn holds(&self, text: &str) -> bool {
        let wanted = &self.wanted;
        match &*self.usual {
            _ if wanted.is_empty() => false,
            Predicate::Phrase(_) => {
                self.analysis.asked(text).windows(wanted.len()).any(|part| part == wanted)
            }
            usual => {
                let own = self.analysis.words(text);
                let has = |asked: &String| own.iter().any(|word| self.analysis.is(word, asked));
                let is_any = matches!(usual, Predicate::TextAny(_));
                if is_any { wanted.iter().any(has) } else { wanted.iter().all(has) }
            }
        }
    }
}

impl fmt::Debug for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextTest").field("usual", &self.usual).field("wanted", &self.wanted).finish()
    }
}

impl PartialEq for TextTest {
    fn eq(&self, other: &Self) -> bool {
        (&self.usual, &self.wanted) == (&other.usual, &other.wanted)
    }
}

impl PartialOrd for TextTest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (&self.usual, &self.wanted).partial_cmp(&(&other.usual, &other.wanted))
    }
}

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
