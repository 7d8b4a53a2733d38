//! The words of text fields that say how they are made: the analysis behind [`types::TextAnalysis`].
//!
//! The meaning is Qdrant's: a word is folded, lower-cased, dropped if it is a stop word, brought to its stem, and
//! dropped if it is too short or too long, in texts and in questions alike. With beginnings a text has all of them, and
//! a question asks for the longest one of each word, stop words too, which may begin another word. Lists of stop words
//! are tantivy's, but for [English](crate::stop_words).
//!
//! Cost: a few copies a word; texts that are tested are analysed anew each time.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language as Tongue, LowerCaser, RawTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
};
use types::{Language, TextAnalysis, TextOptions, Tokenizer};

use crate::keyword::tongue;
use crate::stop_words::ENGLISH;

/// Beginnings are no shorter and no longer, where nothing is said.
const PREFIX_CHARS: (usize, usize) = (1, 20);

/// Makes words as the options of a text field say.
pub struct Texts {
    options: TextOptions,
    each: TextAnalyzer,
    /// Of questions.
    asked: TextAnalyzer,
}

impl Texts {
    /// The analysis of these options.
    pub fn new(options: TextOptions) -> Self {
        let each = analyzer(&options, true);
        let asked = match options.tokenizer {
            Tokenizer::Prefix => analyzer(&options, false),
            _ => each.clone(),
        };
        Self { options, each, asked }
    }

    /// The words of a text as they come out of the filters, before their lengths are looked at.
    fn filtered(&self, each: &TextAnalyzer, text: &str) -> Vec<String> {
        let mut analyzer = each.clone();
        let mut words = Vec::new();
        for word in self.split(text) {
            analyzer.token_stream(word).process(&mut |token| words.push(token.text.clone()));
        }
        words
    }

    /// Takes what a text is found by, one after the other: its words, or all beginnings of them.
    pub(crate) fn each_term(&self, text: &str, mut take: impl FnMut(&str)) {
        let words = self.words(text);
        if self.options.tokenizer != Tokenizer::Prefix {
            return words.iter().for_each(|word| take(word));
        }
        let (least, most) = self.prefix_chars();
        for word in &words {
            let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.take(most).skip(least.saturating_sub(1)).for_each(|end| take(&word[..end]));
        }
    }

    fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match self.options.tokenizer {
            Tokenizer::Whitespace => text.split_whitespace().collect(),
            Tokenizer::Word | Tokenizer::Prefix => runs(text).collect(),
            Tokenizer::Multilingual => runs(text).flat_map(signs).collect(),
        }
    }

    fn fits(&self, word: &str) -> bool {
        let chars = word.chars().count();
        self.options.min_chars.is_none_or(|least| chars >= least)
            && self.options.max_chars.is_none_or(|most| chars <= most)
    }

    fn prefix_chars(&self) -> (usize, usize) {
        let (least, most) = PREFIX_CHARS;
        (self.options.min_chars.unwrap_or(least), self.options.max_chars.unwrap_or(most))
    }
}

impl TextAnalysis for Texts {
    fn words(&self, text: &str) -> Vec<String> {
        let mut words = self.filtered(&self.each, text);
        // Of a long word all beginnings would be as much as its square.
        if self.options.tokenizer != Tokenizer::Prefix {
            words.retain(|word| self.fits(word));
        }
        words
    }

    fn asked(&self, text: &str) -> Vec<String> {
        let mut words = self.filtered(&self.asked, text);
        if self.options.tokenizer == Tokenizer::Prefix {
            let (least, most) = self.prefix_chars();
            words.retain(|word| word.chars().count() >= least);
            return words.iter().map(|word| word.chars().take(most).collect()).collect();
        }
        words.retain(|word| self.fits(word));
        words
    }

    fn is(&self, word: &str, asked: &str) -> bool {
        match self.options.tokenizer {
            Tokenizer::Prefix => word.starts_with(asked) && asked.chars().count() >= self.prefix_chars().0,
            _ => word == asked,
        }
    }
}

/// What makes a word of a run of a text.
fn analyzer(options: &TextOptions, drops_stop_words: bool) -> TextAnalyzer {
    let folds = options.folds || options.tokenizer == Tokenizer::Multilingual;
    let mut each = TextAnalyzer::builder(RawTokenizer::default()).dynamic();
    if folds {
        each = each.filter_dynamic(AsciiFoldingFilter);
    }
    if !options.keeps_case {
        each = each.filter_dynamic(LowerCaser);
    }
    if drops_stop_words {
        for language in &options.stop_languages {
            if let Some(stop_words) = stop_words(*language) {
                each = each.filter_dynamic(stop_words);
            }
        }
        let lower = |word: &String| if options.keeps_case { word.clone() } else { word.to_lowercase() };
        if !options.stop_words.is_empty() {
            each = each.filter_dynamic(StopWordFilter::remove(options.stop_words.iter().map(lower)));
        }
    }
    let stemmer: Option<Tongue> = options.stemmer.and_then(tongue);
    if let Some(tongue) = stemmer {
        each = each.filter_dynamic(Stemmer::new(tongue));
    }
    each.build()
}

fn stop_words(language: Language) -> Option<StopWordFilter> {
    match language {
        Language::English => Some(StopWordFilter::remove(ENGLISH.split(' ').map(str::to_owned))),
        other => StopWordFilter::new(tongue(other)?),
    }
}

/// Runs of letters and digits.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// A run, cut around the signs of scripts that are written without spaces, each of which stands by itself.
fn signs(run: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, sign) in run.char_indices().filter(|(_, c)| is_sign(*c)) {
        let end = at + sign.len_utf8();
        parts.extend([&run[start..at], &run[at..end]]);
        start = end;
    }
    parts.push(&run[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Thai, Lao, Khmer, Japanese and Chinese.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::filter::TextTest;
    use types::{Predicate, Value};

    use super::*;

    /// Which of the texts match, all words, any word.
    fn found(params: &str, asked: &str) -> (Vec<usize>, Vec<usize>) {
        const TEXTS: [&str; 7] = [
            "The Quick brown foxes",
            "Café au lait",
            "running quickly",
            "red-fox jumps_over",
            "我爱北京",
            "a an the",
            "FOX",
        ];
        let params: Value = serde_json::from_str(params).expect("JSON");
        let options = TextOptions::of(params.as_object().expect("an object")).expect("options");
        let analysis: Arc<dyn TextAnalysis> = Arc::new(Texts::new(options));
        let texts = |usual: &Predicate| {
            let test = TextTest::new(usual, Arc::clone(&analysis)).expect("a test of words");
            (1..).zip(TEXTS).filter(|(_, text)| test.holds(text)).map(|(number, _)| number).collect()
        };
        (texts(&Predicate::Text(asked.into())), texts(&Predicate::TextAny(asked.into())))
    }

    #[test]
    fn a_long_word_costs_no_more_than_its_length() {
        let params = serde_json::json!({"tokenizer": "prefix", "max_token_len": 1_000_000});
        let options = TextOptions::of(params.as_object().expect("an object")).expect("options");
        let (long, start) = ("a".repeat(1_000_000), "a".repeat(999_999));
        let test = TextTest::new(&Predicate::Text(start), Arc::new(Texts::new(options))).expect("a test");
        assert!(test.holds(&long) && !test.holds("aaa"));
    }

    #[test]
    fn many_words_are_found_as_few_are() {
        let asked = |count: usize| (10..10 + count).map(|n| format!("w{n} ")).collect::<String>();
        for (tokenizer, suffix) in [("word", ""), ("prefix", "x")] {
            let params = serde_json::json!({"tokenizer": tokenizer});
            let options = TextOptions::of(params.as_object().expect("an object")).expect("options");
            let analysis: Arc<dyn TextAnalysis> = Arc::new(Texts::new(options));
            for count in [1, 8, 9, 10_000] {
                let text = asked(count).replace(' ', &format!("{suffix} "));
                let holds = |usual: Predicate, text: &str| {
                    TextTest::new(&usual, Arc::clone(&analysis)).expect("a test of words").holds(text)
                };
                assert!(holds(Predicate::Text(asked(count)), &text), "{tokenizer} {count}");
                assert!(!holds(Predicate::Text(asked(count) + "v"), &text), "{tokenizer} {count}");
                assert!(holds(Predicate::TextAny(asked(count) + "v"), &text), "{tokenizer} {count}");
                assert!(
                    !holds(Predicate::TextAny(asked(count).replace('w', "v")), &text),
                    "{tokenizer} {count}"
                );
            }
        }
    }

    /// As Qdrant's engine answers with an index (qdrant-edge 0.9.0).
    #[test]
    fn words_are_those_of_the_dialect() {
        let cases = [
            (r#"{"tokenizer": "whitespace"}"#, "red-fox", vec![4], vec![4]),
            (r#"{"tokenizer": "whitespace"}"#, "the fox", vec![], vec![1, 6, 7]),
            (
                r#"{"tokenizer": "prefix", "min_token_len": 2, "max_token_len": 4}"#,
                "quickl",
                vec![1, 3],
                vec![1, 3],
            ),
            (
                r#"{"tokenizer": "prefix", "min_token_len": 2, "max_token_len": 4}"#,
                "the fox",
                vec![1],
                vec![1, 4, 6, 7],
            ),
            (r#"{"min_token_len": 3, "max_token_len": 5}"#, "au", vec![], vec![]),
            (r#"{"min_token_len": 3, "max_token_len": 5}"#, "quickly", vec![], vec![]),
            (r#"{"min_token_len": 3, "max_token_len": 5}"#, "brown foxes", vec![1], vec![1]),
            (r#"{"lowercase": false}"#, "Quick", vec![1], vec![1]),
            (r#"{"lowercase": false}"#, "quick", vec![], vec![]),
            (r#"{"ascii_folding": true}"#, "cafe", vec![2], vec![2]),
            (r#"{"stopwords": "english"}"#, "the", vec![], vec![]),
            (r#"{"stopwords": "english"}"#, "the fox", vec![4, 7], vec![4, 7]),
            (r#"{"stopwords": "en"}"#, "fox over there", vec![4, 7], vec![4, 7]),
            (r#"{"stopwords": "english", "tokenizer": "prefix"}"#, "th", vec![], vec![]),
            (r#"{"stopwords": "english", "tokenizer": "prefix"}"#, "a", vec![2], vec![2]),
            (r#"{"stopwords": {"custom": ["Quick", "fox"]}}"#, "quick", vec![], vec![]),
            (r#"{"stopwords": {"custom": ["Quick", "fox"]}}"#, "the fox", vec![1, 6], vec![1, 6]),
            (
                r#"{"stemmer": {"type": "snowball", "language": "english"}}"#,
                "runs foxe",
                vec![],
                vec![1, 3, 4, 7],
            ),
            (r#"{"tokenizer": "multilingual"}"#, "cafe", vec![2], vec![2]),
            (r#"{"tokenizer": "multilingual"}"#, "北京", vec![5], vec![5]),
        ];
        for (params, asked, all, any) in cases {
            assert_eq!(found(params, asked), (all, any), "{params} {asked}");
        }
    }
}
