//! What an index looks like on disk, beyond tantivy's own format: its fields, and the mark of a commit.
//!
//! - `text`: the texts at all paths as one field, so that BM25 is that of their concatenation. With positions, for
//!   phrases. The language stands in the name of its analysis, so an index of another language is recognised.
//! - `text.<path>`: the same of each path, where there are several: what queries that weigh fields are answered by.
//! - `words`: where the language has stems, the words as they stand; only its dictionary is of use.
//! - `version`: the document's identity, as a column to read and as a term to delete by.
//! - `length`, `length.<path>`: the exact number of terms of the fields above, as columns: what scores are made of.
//!   tantivy's own lengths are rounded to a byte, and its sums of them depend on what was deleted and merged; they only
//!   bound which documents are looked at.
//! - the commit's payload: `<seqno> <highest version>`, the latter `-` if no document was ever added.

use tantivy::Term;
use tantivy::schema::{Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use types::{Error, FieldPath, KeywordField, Language, Result, Seqno, Version};

use super::words;

pub(super) const VERSION_FIELD: &str = "version";
const TEXT_FIELD: &str = "text";
const WORDS_FIELD: &str = "words";
const LENGTH_FIELD: &str = "length";

/// Which of the fields with terms: 0 is all texts, then comes each path, if there are several.
pub(super) type Column = usize;

/// The fields of an index.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) paths: Vec<FieldPath>,
    /// By column.
    pub(super) texts: Vec<Field>,
    pub(super) words: Option<Field>,
    pub(super) version: Field,
    /// By column, with the names of their columns.
    pub(super) lengths: Vec<(Field, String)>,
}

/// What a commit covers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mark {
    /// Every operation up to here is contained.
    pub(super) seqno: Seqno,
    /// Every added version up to here is contained.
    pub(super) version_max: Option<Version>,
}

impl Layout {
    pub(super) fn schema(keyword: &KeywordField) -> (Schema, Self) {
        let mut schema = Schema::builder();
        let paths = if keyword.paths.len() > 1 { &keyword.paths[..] } else { &[] };
        let suffixes: Vec<String> =
            std::iter::once(String::new()).chain(paths.iter().map(|path| format!(".{path}"))).collect();
        let mut text = |name: &str, tokenizer: String, record: IndexRecordOption| {
            let indexing = TextFieldIndexing::default().set_tokenizer(&tokenizer).set_index_option(record);
            let indexing = indexing.set_fieldnorms(record != IndexRecordOption::Basic);
            schema.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
        };
        let positions = IndexRecordOption::WithFreqsAndPositions;
        let of_texts = |suffix: &String| {
            text(&format!("{TEXT_FIELD}{suffix}"), words::name(keyword.language), positions)
        };
        let texts = suffixes.iter().map(of_texts).collect();
        let has_stems = keyword.language != Language::None;
        let words = has_stems
            .then(|| text(WORDS_FIELD, words::name_of_words(keyword.language), IndexRecordOption::Basic));
        let version = schema.add_u64_field(VERSION_FIELD, NumericOptions::default().set_indexed().set_fast());
        let of_lengths = |suffix: &String| {
            let name = format!("{LENGTH_FIELD}{suffix}");
            (schema.add_u64_field(&name, NumericOptions::default().set_fast()), name)
        };
        let lengths = suffixes.iter().map(of_lengths).collect();
        let layout = Self { paths: keyword.paths.clone(), texts, words, version, lengths };
        (schema.build(), layout)
    }

    pub(super) fn term(&self, column: Column, text: &str) -> Term {
        Term::from_field_text(self.texts[column], text)
    }

    pub(super) fn identity(&self, version: Version) -> Term {
        Term::from_field_u64(self.version, version.0)
    }

    /// The field whose terms are words as they stand.
    pub(super) fn dictionary(&self) -> Field {
        self.words.unwrap_or(self.texts[0])
    }

    /// The columns that answer a question to fields: one for all of them, if they weigh alike.
    pub(super) fn columns(&self, fields: &[(FieldPath, f32)]) -> Vec<(Column, f32)> {
        let alike = fields.first().map_or(1.0, |(_, weight)| *weight);
        let are_all = fields.is_empty() || fields.len() == self.paths.len();
        if are_all && fields.iter().all(|(_, weight)| *weight == alike) {
            return vec![(0, alike)];
        }
        let column = |(path, weight): &(FieldPath, f32)| {
            let position = self.paths.iter().position(|own| own == path)?;
            Some((1 + position, *weight))
        };
        fields.iter().filter_map(column).collect()
    }
}

impl Mark {
    pub(super) fn to_payload(self) -> String {
        let version = self.version_max.map_or("-".to_owned(), |version| version.0.to_string());
        format!("{} {version}", self.seqno)
    }

    /// # Errors
    /// `Corrupted` if the payload is not what [`to_payload`](Self::to_payload) writes. A new index has none.
    pub(super) fn parse(payload: Option<&str>) -> Result<Self> {
        let Some(payload) = payload else { return Ok(Self::default()) };
        let parse = || {
            let (seqno, version) = payload.split_once(' ')?;
            let version_max = match version {
                "-" => None,
                number => Some(Version(number.parse().ok()?)),
            };
            Some(Self { seqno: Seqno(seqno.parse().ok()?), version_max })
        };
        parse().ok_or_else(|| Error::corrupted("the keyword index", format!("its mark is `{payload}`")))
    }
}

#[cfg(test)]
mod tests {
    use types::ErrorKind;

    use super::*;

    #[test]
    fn marks_parse_to_themselves_and_nothing_else_does() {
        for version_max in [None, Some(Version(0)), Some(Version(u64::MAX))] {
            let mark = Mark { seqno: Seqno(7), version_max };
            assert_eq!(Mark::parse(Some(&mark.to_payload())).expect("its own text"), mark);
        }
        for payload in ["", "7", "7 ", "x 1", "1 x", "-1 1", "1 2 3"] {
            assert_eq!(Mark::parse(Some(payload)).expect_err(payload).kind(), ErrorKind::Corrupted);
        }
    }
}
