//! A question to the keyword index: words, and how they count.
//!
//! ```
//! use kithdb_types::{Fuzzy, KeywordQuery, Operator};
//!
//! let mut query = KeywordQuery::new("red \"river fox\" jum").field("title".parse()?, 2.0).field("text".parse()?, 1.0);
//! query.operator = Operator::All;
//! query.phrase_slop = Some(0);
//! query.is_prefix = true;
//! query.fuzzy = Some(Fuzzy { distance: 1, prefix_chars: 1 });
//! # Ok::<(), kithdb_types::Error>(())
//! ```

use crate::{Error, FieldPath, KeywordField, Limits, Result};

/// Other words between the words of a phrase, at most. Values of a field stand further apart than any phrase reaches.
pub const PHRASE_SLOP_MAX: u32 = 50;

/// Changes of a word, at most.
pub const FUZZY_DISTANCE_MAX: u8 = 2;

/// A question to the keyword index.
#[derive(Clone, Debug, PartialEq)]
pub struct KeywordQuery {
    /// The words. Without [`phrase_slop`](Self::phrase_slop) it has no syntax.
    pub text: String,
    /// The fields that are searched, with their weights: a field that weighs 2 counts as if all of its words stood
    /// there twice. All of them, each with weight 1, where there are none.
    pub fields: Vec<(FieldPath, f32)>,
    /// Which words a point must have.
    pub operator: Operator,
    /// With it, parts of the text in double quotes are phrases: their words in this order, in one value, with at most
    /// so many other words between them in all.
    pub phrase_slop: Option<u32>,
    /// Whether the last word stands for all words that begin so.
    pub is_prefix: bool,
    /// How other than they are written words may be; those in phrases may not.
    pub fuzzy: Option<Fuzzy>,
    /// What every score is multiplied by.
    pub boost: f32,
}

/// Which words a point must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operator {
    /// Any word or phrase.
    #[default]
    Any,
    /// All words and phrases, stop words left out.
    All,
}

/// How much a word may differ from what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuzzy {
    /// Letters added, left out, replaced, or exchanged with their neighbour: 0 to 2. At most 1 in words of up to five
    /// letters, none in words of up to two.
    pub distance: u8,
    /// First letters that may not differ.
    pub prefix_chars: usize,
}

impl KeywordQuery {
    /// Any of the words of a text, in all fields.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            fields: Vec::new(),
            operator: Operator::default(),
            phrase_slop: None,
            is_prefix: false,
            fuzzy: None,
            boost: 1.0,
        }
    }

    /// Searches a field, with a weight.
    #[must_use]
    pub fn field(mut self, path: FieldPath, weight: f32) -> Self {
        self.fields.push((path, weight));
        self
    }

    /// Checks it against the keyword index that it asks.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded`, naming the part of the query.
    pub fn check(&self, index: &KeywordField, limits: &Limits) -> Result<()> {
        let chars = self.text.chars().count();
        if chars > limits.query_chars_max {
            let what = "the number of characters";
            return Err(Error::limit("query.keyword", what, chars, limits.query_chars_max));
        }
        for (at, (path, weight)) in self.fields.iter().enumerate() {
            let refuse = |why: String| Err(Error::invalid(format!("query.keyword.fields.{path}"), why));
            if !index.paths.contains(path) {
                let known: Vec<String> = index.paths.iter().map(|path| format!("`{path}`")).collect();
                return refuse(format!("is not in the keyword index, which has {}", known.join(", ")));
            }
            if !(weight.is_finite() && *weight > 0.0) {
                return refuse(format!("weighs {weight}; a weight is a number above 0"));
            }
            if self.fields[..at].iter().any(|(other, _)| other == path) {
                return refuse("is named twice".to_owned());
            }
        }
        if self.phrase_slop.is_some_and(|slop| slop > PHRASE_SLOP_MAX) {
            let message = format!("must be 0 to {PHRASE_SLOP_MAX}");
            return Err(Error::invalid("query.keyword.phrase_slop", message));
        }
        if self.fuzzy.is_some_and(|fuzzy| fuzzy.distance > FUZZY_DISTANCE_MAX) {
            let message = format!("must be 0 to {FUZZY_DISTANCE_MAX}");
            return Err(Error::invalid("query.keyword.fuzzy.distance", message));
        }
        if !(self.boost.is_finite() && self.boost > 0.0) {
            return Err(Error::invalid("query.keyword.boost", "must be a number above 0"));
        }
        Ok(())
    }

    /// The parts of the text: those outside of double quotes, and the phrases. A quote that is not closed is none.
    pub fn parts(&self) -> (String, Vec<&str>) {
        if self.phrase_slop.is_none() {
            return (self.text.clone(), Vec::new());
        }
        let pieces: Vec<&str> = self.text.split('"').collect();
        let closed = pieces.len() - (1 - pieces.len() % 2);
        let (mut words, mut phrases) = (String::new(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            if at % 2 == 1 && at < closed {
                phrases.push(*piece);
            } else {
                words.push_str(piece);
                words.push(' ');
            }
        }
        (words, phrases)
    }
}

impl<T: Into<String>> From<T> for KeywordQuery {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    #[test]
    fn quotes_are_phrases_where_they_are_closed() {
        let parts = |text: &str, phrase_slop| {
            let query = KeywordQuery { phrase_slop, ..KeywordQuery::new(text) };
            let (words, phrases) = query.parts();
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            (words.join(" "), phrases.join("|"))
        };
        let split = |words: &str, phrases: &str| (words.to_owned(), phrases.to_owned());
        assert_eq!(parts("a \"b c\" d \"e\"", Some(0)), split("a d", "b c|e"));
        assert_eq!(parts("a \"b c", Some(0)), split("a b c", ""));
        assert_eq!(parts("a \"b\" c \"d", Some(0)), split("a c d", "b"));
        assert_eq!(parts("a \"b\"", None), split("a \"b\"", ""));
        assert_eq!(parts("", Some(0)), split("", ""));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        let path = |text: &str| text.parse::<FieldPath>().expect(text);
        let index = KeywordField { paths: vec![path("a"), path("b")], language: Language::None };
        let limits = Limits { query_chars_max: 3, ..Limits::default() };
        let ask = || KeywordQuery::new("x");
        let fuzzy = |distance| Some(Fuzzy { distance, prefix_chars: 0 });
        ask().field(path("b"), 0.5).check(&index, &limits).expect("a field of the index");
        let cases = [
            (KeywordQuery::new("long"), "query.keyword"),
            (ask().field(path("c"), 1.0), "query.keyword.fields.c"),
            (ask().field(path("a"), 0.0), "query.keyword.fields.a"),
            (ask().field(path("a"), f32::NAN), "query.keyword.fields.a"),
            (ask().field(path("a"), 1.0).field(path("a"), 1.0), "query.keyword.fields.a"),
            (KeywordQuery { phrase_slop: Some(51), ..ask() }, "query.keyword.phrase_slop"),
            (KeywordQuery { fuzzy: fuzzy(3), ..ask() }, "query.keyword.fuzzy.distance"),
            (KeywordQuery { boost: -1.0, ..ask() }, "query.keyword.boost"),
        ];
        for (query, field) in cases {
            assert_eq!(query.check(&index, &limits).expect_err(field).field(), Some(field));
        }
    }
}
