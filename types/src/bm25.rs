//! What is said of BM25 as a model, which makes sparse vectors of texts: the weights of their words.
//!
//! The words are Qdrant's. `k`, `b` and `avg_len` decide the weights, the others which words a text has; without them
//! it is English.

use crate::{Error, Language, Payload, Result, TextOptions, Tokenizer, Value};

/// How a text becomes weights of its words; what is not said is as Qdrant has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bm25Options {
    /// How long a word that comes again goes on to count for more.
    pub k: f64,
    /// How much less a word counts in a long text: from 0, not at all, to 1.
    pub b: f64,
    /// How many words a text usually has.
    pub avg_len: f64,
    /// Which words it has.
    pub text: TextOptions,
}

/// Each beginning of a word has a weight: of longer ones they would be as much as the square of a text.
const PREFIX_CHARS_MAX: usize = 256;

const OPTIONS: [&str; 11] = [
    "k",
    "b",
    "avg_len",
    "tokenizer",
    "language",
    "lowercase",
    "ascii_folding",
    "stopwords",
    "stemmer",
    "min_token_len",
    "max_token_len",
];

impl Default for Bm25Options {
    fn default() -> Self {
        let language = Language::default();
        let text = TextOptions {
            stop_languages: stop_languages(language),
            stemmer: stemmer(language),
            ..TextOptions::default()
        };
        Self { k: 1.2, b: 0.75, avg_len: 256.0, text }
    }
}

impl Bm25Options {
    /// The options in an object. Members that are null count as absent.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the member.
    pub fn of(options: &Payload) -> Result<Self> {
        let given = |member: &str| options.get(member).filter(|value| !value.is_null());
        if let Some(member) = options.keys().find(|member| !OPTIONS.contains(&member.as_str())) {
            return Err(Error::invalid(
                member,
                format!("is no option of bm25; it has {}", OPTIONS.join(", ")),
            ));
        }
        let number = |member: &str, usual: f64, holds: fn(f64) -> bool, must: &str| {
            let number = given(member).map_or(Some(usual), Value::as_f64);
            number.filter(|number| holds(*number)).ok_or_else(|| Error::invalid(member, must))
        };
        let usual = Self::default();
        let language = given("language").map_or(Ok(Language::default()), |value| match value.as_str() {
            Some(name) => name.parse(),
            None => Err(Error::invalid("language", "must be the name of a language")),
        })?;
        let mut text = TextOptions::of(options)?;
        if text.tokenizer == Tokenizer::Prefix && text.max_chars.is_some_and(|most| most > PREFIX_CHARS_MAX) {
            let must = format!("must be {PREFIX_CHARS_MAX} or smaller with the tokenizer `prefix`");
            return Err(Error::invalid("max_token_len", must));
        }
        if given("stopwords").is_none() {
            text.stop_languages = stop_languages(language);
        }
        if given("stemmer").is_none() {
            text.stemmer = stemmer(language);
        }
        Ok(Self {
            k: number("k", usual.k, |k| k.is_finite() && k >= 0.0, "must be a number, 0 or larger")?,
            b: number("b", usual.b, |b| (0.0..=1.0).contains(&b), "must be a number from 0 to 1")?,
            avg_len: number(
                "avg_len",
                usual.avg_len,
                |length| length.is_finite() && length > 0.0,
                "must be a number above 0",
            )?,
            text,
        })
    }
}

/// The lists of stop words of a language, if there is one.
fn stop_languages(language: Language) -> Vec<Language> {
    if language.has_stop_words() { vec![language] } else { Vec::new() }
}

fn stemmer(language: Language) -> Option<Language> {
    (language != Language::None).then_some(language)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(options: &Value) -> Result<Bm25Options> {
        Bm25Options::of(options.as_object().expect("an object"))
    }

    #[test]
    fn what_is_not_said_follows_from_the_language() {
        let english = Bm25Options::default();
        let words = |language: Language| (stop_languages(language), stemmer(language));
        let none = (Vec::new(), None);
        for (options, expected) in [
            (json!({}), words(Language::English)),
            (json!({"language": null, "k": 1.2}), words(Language::English)),
            (json!({"language": "de"}), words(Language::German)),
            (json!({"language": "greek"}), (Vec::new(), Some(Language::Greek))),
            (json!({"language": "none"}), none.clone()),
            (json!({"language": "german", "stopwords": {}, "stemmer": {"type": "none"}}), none),
            (json!({"stopwords": "danish"}), (vec![Language::Danish], Some(Language::English))),
        ] {
            let Bm25Options { k, b, avg_len, text } = of(&options).expect("options");
            assert_eq!((k, b, avg_len), (english.k, english.b, english.avg_len), "{options}");
            assert_eq!((text.stop_languages, text.stemmer), expected, "{options}");
        }
        let all = json!({"k": 0, "b": 1, "avg_len": 5, "tokenizer": "whitespace", "lowercase": false, "min_token_len": 2});
        let all = of(&all).expect("options");
        assert_eq!((all.k, all.b, all.avg_len, all.text.min_chars), (0.0, 1.0, 5.0, Some(2)));
    }

    #[test]
    fn an_option_that_can_never_be_is_refused_by_name() {
        for (options, field) in [
            (json!({"k": -0.1}), "k"),
            (json!({"k": "1"}), "k"),
            (json!({"b": 1.5}), "b"),
            (json!({"avg_len": 0}), "avg_len"),
            (json!({"avg_length": 1}), "avg_length"),
            (json!({"phrase_matching": true}), "phrase_matching"),
            (json!({"language": "klingon"}), "language"),
            (json!({"language": 1}), "language"),
            (json!({"tokenizer": "words"}), "tokenizer"),
            (json!({"stemmer": "english"}), "stemmer"),
            (json!({"tokenizer": "prefix", "max_token_len": 257}), "max_token_len"),
        ] {
            assert_eq!(of(&options).expect_err(field).field(), Some(field), "{options}");
        }
    }
}
