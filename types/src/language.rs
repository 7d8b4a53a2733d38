//! Natural languages of texts: what stems and stop words are those of.

use std::str::FromStr;

use crate::{Error, Result};

/// A natural language for stemming and stop words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of languages say it")]
pub enum Language {
    /// No stemming, no stop words: lower-cased words as they stand.
    None,
    Arabic,
    Danish,
    Dutch,
    #[default]
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Turkish,
}

impl Language {
    /// All of them, with their names on the wire and on disk.
    pub const NAMES: [(Self, &'static str); 18] = [
        (Self::None, "none"),
        (Self::Arabic, "arabic"),
        (Self::Danish, "danish"),
        (Self::Dutch, "dutch"),
        (Self::English, "english"),
        (Self::Finnish, "finnish"),
        (Self::French, "french"),
        (Self::German, "german"),
        (Self::Greek, "greek"),
        (Self::Hungarian, "hungarian"),
        (Self::Italian, "italian"),
        (Self::Norwegian, "norwegian"),
        (Self::Portuguese, "portuguese"),
        (Self::Romanian, "romanian"),
        (Self::Russian, "russian"),
        (Self::Spanish, "spanish"),
        (Self::Swedish, "swedish"),
        (Self::Turkish, "turkish"),
    ];

    /// Their two letters (ISO 639-1), which stand for the names.
    const CODES: [(&str, Self); 17] = [
        ("ar", Self::Arabic),
        ("da", Self::Danish),
        ("nl", Self::Dutch),
        ("en", Self::English),
        ("fi", Self::Finnish),
        ("fr", Self::French),
        ("de", Self::German),
        ("el", Self::Greek),
        ("hu", Self::Hungarian),
        ("it", Self::Italian),
        ("no", Self::Norwegian),
        ("pt", Self::Portuguese),
        ("ro", Self::Romanian),
        ("ru", Self::Russian),
        ("es", Self::Spanish),
        ("sv", Self::Swedish),
        ("tr", Self::Turkish),
    ];

    /// Whether there is a list of its words that say nothing.
    pub fn has_stop_words(self) -> bool {
        let without = [Self::None, Self::Arabic, Self::Greek, Self::Romanian, Self::Turkish];
        !without.contains(&self)
    }

    /// The name on the wire and on disk.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(language, _)| *language == self).map_or("none", |(_, name)| name)
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let of_name = Self::NAMES.iter().find(|(_, known)| *known == name).map(|(language, _)| *language);
        let of_code = || Self::CODES.iter().find(|(code, _)| *code == name).map(|(_, language)| *language);
        of_name.or_else(of_code).ok_or_else(|| {
            let known: Vec<&str> = Self::NAMES.iter().map(|(_, known)| *known).collect();
            Error::invalid("language", format!("`{name}` is none of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_itself() {
        for (language, name) in Language::NAMES {
            assert_eq!((name.parse::<Language>().expect(name), language.name()), (language, name));
        }
        for (code, language) in Language::CODES {
            assert_eq!(code.parse::<Language>().expect(code), language);
        }
        "eng".parse::<Language>().expect_err("three letters");
    }
}
