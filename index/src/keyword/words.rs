//! From text to terms: words of letters, digits and underscores, lower-cased, without stop words, stemmed.
//!
//! A word that is made of several ([parts](parts_of)) is indexed whole, and its parts behind it as words of their own:
//! `parse_http` is found as it stands, and by "parse" or "HTTP". To the positions it is its parts, one after the
//! other, so a phrase finds them too; the whole stands where the first of them does.
//!
//! What points and apostrophes hold together is one word, as in Unicode's word boundaries (UAX #29) and Lucene's
//! classic analysis, since pieces of it are none: a number with a decimal point ("15.4"; one of more points is a
//! version, whose numbers are words), and an abbreviation ("e.g.", "U.S."), which is indexed without its points. The
//! `'s` of English possessives is no word.
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

use std::collections::HashSet;
use std::ops::Range;

use tantivy::tokenizer::{
    Language as Tongue, LowerCaser, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token,
    TokenStream, Tokenizer,
};
use types::Language;

const REVISION: u32 = 4;

const WORD_BYTES_MAX: usize = 100;

/// A word of more parts is a hash or a number in letters: nobody looks for its parts.
const PARTS_MAX: usize = 8;

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
        let words = (language != Language::None).then(|| analyzer_of_words(language, None));
        Self { terms: analyzer(language), words }
    }

    /// The terms of a question.
    pub(super) fn asked(&self, text: &str) -> Vec<Placed> {
        placed(self.terms.clone(), text)
    }

    /// The words of a question as they stand, in lower case, stop words included.
    pub(super) fn words_of(&self, text: &str) -> Vec<Placed> {
        placed(self.words.as_ref().unwrap_or(&self.terms).clone(), text)
    }

    /// The term of a word; none of a stop word.
    pub(super) fn term_of(&self, word: &str) -> Option<String> {
        let mut term = None;
        // The first is the whole; its parts come behind it.
        self.terms.clone().token_stream(word).process(&mut |token| {
            term.get_or_insert_with(|| token.text.clone());
        });
        term
    }
}

/// A term of a question, and the positions that it takes: more than one where its parts are terms too.
pub(super) struct Placed {
    pub(super) text: String,
    pub(super) positions: Range<usize>,
}

fn placed(mut analyzer: TextAnalyzer, text: &str) -> Vec<Placed> {
    let mut terms = Vec::new();
    analyzer.token_stream(text).process(&mut |token| {
        let positions = token.position..token.position + token.position_length;
        terms.push(Placed { text: token.text.clone(), positions });
    });
    terms
}

/// The terms without those whose parts are there, all of which a text has that has the whole.
pub(super) fn parts_alone(mut terms: Vec<Placed>) -> Vec<Placed> {
    let taken: HashSet<usize> =
        terms.iter().filter(|term| term.positions.len() == 1).map(|term| term.positions.start).collect();
    terms.retain(|term| {
        let mut positions = term.positions.clone();
        positions.len() == 1 || !positions.any(|position| taken.contains(&position))
    });
    terms
}

/// The name under which a language's analysis is kept in an index.
pub(super) fn name(language: Language) -> String {
    format!("words_{}_{REVISION}", language.name())
}

/// The name under which the analysis of the words as they stand is kept.
pub(super) fn name_of_words(language: Language) -> String {
    format!("dictionary_{}_{REVISION}", language.name())
}

/// The analysis of a language's texts.
pub(super) fn analyzer(language: Language) -> TextAnalyzer {
    analyzer_of_words(language, tongue(language))
}

/// The analysis of a language's texts, whose words are stemmed if a tongue is given.
fn analyzer_of_words(language: Language, tongue: Option<Tongue>) -> TextAnalyzer {
    let words = Words { has_possessives: language == Language::English, ..Words::default() };
    let words = TextAnalyzer::builder(words)
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX + 1))
        .filter(LowerCaser)
        .dynamic();
    let Some(tongue) = tongue else { return words.build() };
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

/// Splits text into runs of letters, digits and underscores, and these into their parts.
#[derive(Clone, Default)]
struct Words {
    token: Token,
    parts: Vec<Range<usize>>,
    /// Whether `'s` behind a word is left out.
    has_possessives: bool,
}

struct WordStream<'a> {
    text: &'a str,
    /// The byte from which on the next word is looked for.
    at: usize,
    token: &'a mut Token,
    /// The parts of the word that was given last which are still to be given, the last one first.
    parts: &'a mut Vec<Range<usize>>,
    has_possessives: bool,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        self.parts.clear();
        let (token, parts) = (&mut self.token, &mut self.parts);
        WordStream { text, at: 0, token, parts, has_possessives: self.has_possessives }
    }
}

impl WordStream<'_> {
    /// Where the next word begins. Gaps before it count.
    fn start(&mut self) -> Option<usize> {
        let rest = &self.text[self.at..];
        let length = rest.find(is_of_word)?;
        let gap = GAP * rest[..length].matches(SEPARATOR).count();
        self.token.position = self.token.position.wrapping_add(gap);
        self.at += length;
        Some(self.at)
    }

    fn give(&mut self, bytes: Range<usize>, step: usize, positions: usize) {
        self.token.text.clear();
        self.token.text.push_str(&self.text[bytes.clone()]);
        self.token.offset_from = bytes.start;
        self.token.offset_to = bytes.end;
        self.token.position = self.token.position.wrapping_add(step);
        self.token.position_length = positions;
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if let Some(part) = self.parts.pop() {
            // The first part stands where the whole does.
            let step = usize::from(self.token.position_length == 1);
            self.give(part, step, 1);
            return true;
        }
        while let Some(start) = self.start() {
            let (before, rest) = self.text.split_at(start);
            if let Some(length) = number(before, rest).or_else(|| abbreviation(before, rest)) {
                self.at += length;
                self.give(start..self.at, 1, 1);
                if !rest.starts_with(char::is_numeric) {
                    self.token.text.retain(|c| c != '.');
                }
                return true;
            }
            let (word, behind) = rest.split_at(length_of_word(rest));
            self.at += word.len();
            if self.has_possessives {
                self.at += possessive(word, behind);
            }
            parts_of(word, start, self.parts);
            match self.parts.len() {
                // Nothing but underscores.
                0 => {}
                1 => {
                    let only = self.parts.remove(0);
                    self.give(only, 1, 1);
                    return true;
                }
                positions => {
                    self.parts.reverse();
                    self.give(start..start + word.len(), 1, positions);
                    return true;
                }
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// The bytes of the parts of a word that begins at `start`: as underscores divide it, and capitals that begin a word
/// (`HttpServer`) or end an abbreviation (`HTTPServer`). An `s` behind capitals belongs to them (`CPUs`), and digits
/// divide nothing (`utf8`, `m2x`). A word has no parts where they are not words themselves (`point_17`): then it is its
/// only one, but for underscores around it.
fn parts_of(word: &str, start: usize, parts: &mut Vec<Range<usize>>) {
    let mut begun: Option<usize> = None;
    let mut last = Class::None;
    let mut chars = word.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let class = Class::of(c);
        let next = chars.peek().map_or(Class::None, |(_, next)| Class::of(*next));
        let is_plural = || {
            let mut behind = word[at..].chars().skip(1);
            behind.next() == Some('s') && behind.next().is_none_or(|c| Class::of(c) != Class::Lower)
        };
        let begins = match (last, class) {
            (Class::Upper, Class::Upper) => next == Class::Lower && !is_plural(),
            // A capital and what follows it.
            (Class::Upper, Class::Lower) => false,
            // Digits belong to what stands around them, but for a capital behind.
            (Class::Upper | Class::Lower | Class::Letter, Class::Digit) => false,
            (Class::Digit, Class::Lower | Class::Letter) => false,
            (last, class) => last != class,
        };
        if begins && let Some(from) = begun.take() {
            parts.push(start + from..start + at);
        }
        if class != Class::None {
            begun = begun.or(Some(at));
        }
        last = class;
    }
    parts.extend(begun.map(|from| start + from..start + word.trim_end_matches('_').len()));
    let begins_with_letter =
        |part: &&Range<usize>| word[part.start - start..].starts_with(|c: char| !c.is_numeric());
    if parts.len() > PARTS_MAX || parts.len() > 1 && parts.iter().filter(begins_with_letter).count() < 2 {
        let (first, last) = (parts[0].start, parts[parts.len() - 1].end);
        parts.clear();
        parts.push(first..last);
    }
}

/// What the characters of one part have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Of no part.
    None,
    Upper,
    Lower,
    /// Letters of scripts without capitals.
    Letter,
    Digit,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            '_' => Self::None,
            _ if c.is_numeric() => Self::Digit,
            _ if c.is_uppercase() => Self::Upper,
            _ if c.is_lowercase() => Self::Lower,
            _ => Self::Letter,
        }
    }
}

/// The bytes of a number with a decimal point that `rest` begins with. `before` is the text before it.
fn number(before: &str, rest: &str) -> Option<usize> {
    let whole = rest.find(|c: char| !c.is_numeric()).filter(|bytes| *bytes > 0)?;
    let behind = rest[whole..].strip_prefix('.')?;
    let (fraction, after) = behind.split_at(length_of_word(behind));
    let is_number = !fraction.is_empty() && fraction.chars().all(char::is_numeric);
    // Of a version, an address or a list neither the first nor the last two are one.
    let is_begun = before.strip_suffix(['.', ',']).is_some_and(|before| before.ends_with(char::is_numeric));
    let goes_on = after.strip_prefix('.').is_some_and(|after| after.starts_with(is_of_word));
    (is_number && !is_begun && !goes_on).then_some(whole + 1 + fraction.len())
}

/// The bytes of an abbreviation that `rest` begins with: two letters or more with a point behind each, which the last
/// of capitals may do without.
fn abbreviation(before: &str, rest: &str) -> Option<usize> {
    if before.ends_with(['.', '\'', '’']) {
        return None;
    }
    let mut chars = rest.char_indices().peekable();
    let (mut letters, mut bytes, mut are_capitals) = (0, 0, true);
    while let Some((at, letter)) = chars.next_if(|(_, c)| c.is_alphabetic()) {
        letters += 1;
        bytes = at + letter.len_utf8();
        are_capitals &= letter.is_uppercase();
        match chars.next_if(|(_, c)| *c == '.') {
            Some(_) => bytes += 1,
            None if are_capitals => break,
            None => return None,
        }
    }
    let ends = chars.peek().is_none_or(|(_, c)| !is_of_word(*c));
    (letters > 1 && ends).then_some(bytes)
}

/// The bytes of the `'s` of a possessive behind a word.
fn possessive(word: &str, behind: &str) -> usize {
    let after = behind.strip_prefix(['\'', '’']).and_then(|after| after.strip_prefix(['s', 'S']));
    let is_ending = |after: &&str| word.ends_with(char::is_alphabetic) && !after.starts_with(is_of_word);
    after.filter(is_ending).map_or(0, |after| behind.len() - after.len())
}

fn length_of_word(rest: &str) -> usize {
    rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len())
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
        let expected = ["cve", "2023_1234", "foo_bar", "foo", "bar", "vitamin", "c", "5"];
        assert_eq!(terms(Language::English, text), expected);
        assert_eq!(terms(Language::None, text)[..2], ["the", "cve"]);
    }

    #[test]
    fn a_word_of_parts_stands_whole_and_in_parts() {
        let placed = |text: &str| -> Vec<(String, Range<usize>)> {
            let terms = placed(analyzer(Language::None), text);
            terms.into_iter().map(|term| (term.text, term.positions)).collect()
        };
        let of = |text: &str, positions: Range<usize>| (text.to_owned(), positions);
        let expected = [
            of("a", 0..1),
            of("httpserver_url2", 1..4),
            of("http", 1..2),
            of("server", 2..3),
            of("url2", 3..4),
            of("b", 4..5),
        ];
        assert_eq!(placed("a HttpServer_url2 b"), expected);
        for (word, parts) in [
            ("HTTPServer", vec!["http", "server"]),
            ("CPUs", vec![]),
            ("APIsUsed", vec!["apis", "used"]),
            ("B12", vec![]),
            ("x86_64", vec![]),
            ("point_17", vec![]),
            ("m2x7", vec![]),
            ("iPhone", vec!["i", "phone"]),
            ("ÜberMut", vec!["über", "mut"]),
            ("Plain", vec![]),
            ("aBcDeFgHiJkLmNoPqRsT", vec![]),
        ] {
            let terms = terms(Language::None, word);
            assert_eq!(terms[0], word.to_lowercase());
            assert_eq!(terms[1..], parts, "{word}");
        }
        assert_eq!(terms(Language::None, "___ __init__"), ["init"]);
    }

    #[test]
    fn what_points_and_apostrophes_hold_together_is_one_word() {
        for (text, expected) in [
            ("15.4. Then 3.5x", vec!["15.4", "then", "3", "5x"]),
            ("1.2.3 and 10.0.0.1, 1,2.5", vec!["1", "2", "3", "and", "10", "0", "0", "1", "1", "2", "5"]),
            ("v1.2 .5 7. x2.5", vec!["v1", "2", "5", "7", "x2", "5"]),
            ("e.g. U.S. U.K", vec!["eg", "us", "uk"]),
            ("J.R.R. Tolkien, D.C.", vec!["jrr", "tolkien", "dc"]),
            (
                "p.x e.g.x a.b.c U.S.Army A. B",
                vec!["p", "x", "e", "g", "x", "a", "b", "c", "u", "s", "army", "a", "b"],
            ),
            ("std.io.U.S.", vec!["std", "io", "u", "s"]),
            ("Crohn's", vec!["crohn", "s"]),
        ] {
            assert_eq!(terms(Language::None, text), expected, "{text}");
        }
        let english = "Crohn's CELL’S dogs' it's don't 's s' 80's b's'x";
        let expected = ["crohn", "cell", "dog", "don", "t", "s", "s", "80", "s", "b", "x"];
        assert_eq!(terms(Language::English, english), expected);
        let placed: Vec<(String, Range<usize>)> = placed(analyzer(Language::English), "U.S. dog's bed 1.5")
            .into_iter()
            .map(|term| (term.text, term.positions))
            .collect();
        let at = |text: &str, position| (text.to_owned(), position..position + 1);
        assert_eq!(placed, [at("us", 0), at("dog", 1), at("bed", 2), at("1.5", 3)]);
    }

    #[test]
    fn a_whole_gives_way_to_its_parts_where_any_is_left() {
        let alone = |language, text: &str| -> Vec<String> {
            let terms = placed(analyzer(language), text);
            parts_alone(terms).into_iter().map(|term| term.text).collect()
        };
        assert_eq!(alone(Language::None, "new HttpClient"), ["new", "http", "client"]);
        assert_eq!(alone(Language::English, "is_open to_be"), ["open", "to_b"]);
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
