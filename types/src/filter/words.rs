//! Words of a text, as filters and text indexes see them: runs of letters and digits, in lower case.
//!
//! No stemming and no stop words: a filter holds or does not hold, it does not rank. For ranking there is the keyword
//! index.
//!
//! Cost: that of the words of the text and of those that are asked for, one after the other; what is asked for may be
//! as long as a text.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::Predicate;

/// Another way of making words of a text.
pub trait TextAnalysis: Send + Sync {
    /// The words that a text has, in any order.
    fn words(&self, text: &str) -> Vec<String>;
    /// The words that a text asks for, in their order.
    fn asked(&self, text: &str) -> Vec<String>;
    /// Whether a word that a text has is one that is asked for. If any word of a text is, so is the first that does not
    /// come before it in order.
    fn is(&self, word: &str, asked: &str) -> bool {
        word == asked
    }
}

/// So many words that are asked for are looked for one by one.
const FEW_WORDS: usize = 8;

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
            Predicate::Phrase(_) => has_run(&self.analysis.asked(text), wanted),
            usual => {
                let mut own = self.analysis.words(text);
                let is_many = wanted.len() > FEW_WORDS;
                if is_many {
                    own.sort_unstable();
                }
                let is = |word: &String, asked: &String| self.analysis.is(word, asked);
                let has = |asked: &String| match is_many {
                    true => {
                        own.get(own.partition_point(|word| word < asked)).is_some_and(|word| is(word, asked))
                    }
                    false => own.iter().any(|word| is(word, asked)),
                };
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
    !phrase.is_empty() && has_run(&text, &phrase)
}

/// Whether words have some others among them, one after the other.
/// Source: Knuth, Morris, Pratt 1977.
fn has_run(words: &[String], run: &[String]) -> bool {
    // For each beginning of the run: the longest one that it ends with.
    let (mut ends, mut found) = (vec![0; run.len()], 0);
    for at in 1..run.len() {
        while found > 0 && run[at] != run[found] {
            found = ends[found - 1];
        }
        found += usize::from(run[at] == run[found]);
        ends[at] = found;
    }
    found = 0;
    for word in words {
        while found > 0 && *word != run[found] {
            found = ends[found - 1];
        }
        found += usize::from(*word == run[found]);
        if found == run.len() {
            return true;
        }
    }
    false
}

/// Whether a text has every word of another, which has some.
pub(super) fn has_all(text: &str, wanted: &str) -> bool {
    let mut missing: HashSet<String> = words(wanted).collect();
    !missing.is_empty()
        && words(text).any(|word| {
            missing.remove(&word);
            missing.is_empty()
        })
}

/// Whether a text has some word of another.
pub(super) fn has_any(text: &str, wanted: &str) -> bool {
    let wanted: HashSet<String> = words(wanted).collect();
    words(text).any(|word| wanted.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_wherever_it_stands() {
        let cases = [
            ("a b c", "b c", true),
            ("a b c", "a c", false),
            ("a a b a a c", "a a c", true),
            ("a b a b a b c", "a b a b c", true),
            ("a b a b a b", "a b a b c", false),
            ("", "a", false),
            ("a", "", false),
        ];
        for (text, phrase, is_found) in cases {
            assert_eq!(has_phrase(text, phrase), is_found, "{phrase} in {text}");
        }
    }

    #[test]
    fn many_words_cost_no_more_than_their_number() {
        let many = |count: usize| (0..count).rev().map(|n| format!("w{n} ")).collect::<String>();
        let (more, less) = (many(200_000), many(199_999));
        assert!(has_all(&more, &less) && !has_all(&less, &more));
        assert!(has_any(&more, &less) && !has_any(&more, &"v ".repeat(200_000)));
        let same = "a ".repeat(200_000);
        assert!(!has_phrase(&same, &format!("{}b", "a ".repeat(100_000))));
    }
}
