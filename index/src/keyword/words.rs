//! From text to terms: words of letters, digits and underscores, lower-cased, without stop words, stemmed.
//!
//! Words over [`WORD_BYTES_MAX`] bytes are dropped; single characters are kept, since "vitamin C" and "section 5" mean
//! them. Languages that are written without spaces come out as one long word a phrase: they are not segmented.
//!
//! Values of a field are analysed as one text with [`SEPARATOR`] between them, so that they are one field to the index
//! and further apart than any phrase reaches.
//!
//! Where a language is stemmed, the words as they stand are kept too, in a dictionary: the beginnings and spellings of
//! words are looked up among words, not among stems.
//!
//! What this file does is part of the format of an index on disk: change [`REVISION`] with it.

use std::str::CharIndices;

use tantivy::tokenizer::{
    Language as Tongue, LowerCaser, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token,
    TokenStream, Tokenizer,
};
use types::Language;

const REVISION: u32 = 2;

const WORD_BYTES_MAX: usize = 100;

/// Stands between values.
pub(super) const SEPARATOR: char = '\u{1e}';

/// Positions that are left free between values: more than a phrase may have between its words.
pub(super) const GAP: usize = 2 * types::keyword::PHRASE_SLOP_MAX as usize;

/// How texts and questions of one language become terms.
#[derive(Clone)]
pub(super) struct Analysis {
    pub(super) terms: TextAnalyzer,
    /// The words that the terms are the stems of, where there are stems.
    pub(super) words: Option<TextAnalyzer>,
}

impl Analysis {
    pub(super) fn of(language: Language) -> Self {
        let words = (language != Language::None).then(|| analyzer(Language::None));
        Self { terms: analyzer(language), words }
    }

    /// The words of a text as they stand, in lower case, stop words included.
    pub(super) fn words_of(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut analyzer = self.words.as_ref().unwrap_or(&self.terms).clone();
        analyzer.token_stream(text).process(&mut |token| words.push(token.text.clone()));
        words
    }

    /// The term of a word; none of a stop word.
    pub(super) fn term_of(&self, word: &str) -> Option<String> {
        let mut term = None;
        self.terms.clone().token_stream(word).process(&mut |token| term = Some(token.text.clone()));
        term
    }
}

/// The name under which a language's analysis is kept in an index.
pub(super) fn name(language: Language) -> String {
    format!("words_{}_{REVISION}", language.name())
}

/// The analysis of a language's texts.
pub(super) fn analyzer(language: Language) -> TextAnalyzer {
    let words = TextAnalyzer::builder(Words::default())
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX + 1))
        .filter(LowerCaser)
        .dynamic();
    let Some(tongue) = tongue(language) else { return words.build() };
    let words = match StopWordFilter::new(tongue) {
        Some(stop_words) => words.filter_dynamic(stop_words),
        None => words,
    };
    words.filter_dynamic(Stemmer::new(tongue)).build()
}

/// The language as tantivy names it.
pub(crate) fn tongue(language: Language) -> Option<Tongue> {
    Some(match language {
        Language::None => return None,
        Language::Arabic => Tongue::Arabic,
        Language::Danish => Tongue::Danish,
        Language::Dutch => Tongue::Dutch,
        Language::English => Tongue::English,
        Language::Finnish => Tongue::Finnish,
        Language::French => Tongue::French,
        Language::German => Tongue::German,
        Language::Greek => Tongue::Greek,
        Language::Hungarian => Tongue::Hungarian,
        Language::Italian => Tongue::Italian,
        Language::Norwegian => Tongue::Norwegian,
        Language::Portuguese => Tongue::Portuguese,
        Language::Romanian => Tongue::Romanian,
        Language::Russian => Tongue::Russian,
        Language::Spanish => Tongue::Spanish,
        Language::Swedish => Tongue::Swedish,
        Language::Turkish => Tongue::Turkish,
    })
}

/// Splits text into runs of letters, digits and underscores.
#[derive(Clone, Default)]
struct Words {
    token: Token,
}

struct WordStream<'a> {
    text: &'a str,
    chars: CharIndices<'a>,
    token: &'a mut Token,
    /// Positions that the next word is further on.
    gap: usize,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream { text, chars: text.char_indices(), token: &mut self.token, gap: 0 }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let start = loop {
            let Some((at, c)) = self.chars.next() else { return false };
            if is_of_word(c) {
                break at;
            }
            self.gap += gap_of(c);
        };
        let gap = std::mem::take(&mut self.gap);
        let end = self.chars.find(|(_, c)| !is_of_word(*c)).map_or(self.text.len(), |(end, c)| {
            self.gap = gap_of(c);
            end
        });
        self.token.text.clear();
        self.token.text.push_str(&self.text[start..end]);
        self.token.offset_from = start;
        self.token.offset_to = end;
        self.token.position = self.token.position.wrapping_add(1 + gap);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

fn gap_of(c: char) -> usize {
    if c == SEPARATOR { GAP } else { 0 }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(language: Language, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        analyzer(language).token_stream(text).process(&mut |token| terms.push(token.text.clone()));
        terms
    }

    #[test]
    fn keeps_identifiers_numbers_and_single_characters() {
        let text = "The CVE-2023_1234 in a `foo_bar()` of Vitamin C, §5";
        let expected = ["the", "cve", "2023_1234", "in", "a", "foo_bar", "of", "vitamin", "c", "5"];
        assert_eq!(terms(Language::None, text), expected);
        let expected = ["cve", "2023_1234", "foo_bar", "vitamin", "c", "5"];
        assert_eq!(terms(Language::English, text), expected);
    }

    #[test]
    fn every_language_analyses_letters_of_its_own() {
        assert_eq!(terms(Language::German, "Die Häuser und GÄRTEN"), ["haus", "gart"]);
        assert_eq!(terms(Language::Russian, "и книги"), ["книг"]);
        for (language, word) in [(Language::Danish, "og"), (Language::French, "et"), (Language::Spanish, "y")]
        {
            assert_eq!(terms(language, word), Vec::<String>::new(), "{}", language.name());
        }
        assert_eq!(terms(Language::Greek, "των βιβλίων"), terms(Language::Greek, "ΤΩΝ ΒΙΒΛΊΩΝ"));
        for (language, text, stems) in [
            (Language::Arabic, "الكتاب كتاب", ["كتاب", "كتاب"]),
            (Language::Romanian, "cărților cărți", ["cărț", "cărț"]),
            (Language::Turkish, "kitaplar kitap", ["kitap", "kitap"]),
        ] {
            assert_eq!(terms(language, text), stems, "{}", language.name());
        }
    }

    #[test]
    fn very_long_words_are_dropped_and_nothing_else() {
        let text = format!("{} {} b", "x".repeat(100), "x".repeat(101));
        assert_eq!(terms(Language::None, &text), [&"x".repeat(100), "b"]);
        assert_eq!(terms(Language::English, "\u{0} -- \u{1F600} AND ("), Vec::<String>::new());
    }
}
