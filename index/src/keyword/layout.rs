//! What an index looks like on disk, beyond tantivy's own format: two fields, and the mark of a commit.
//!
//! - `text`: all texts of a document as one field, so that BM25 is that of their concatenation. Frequencies, no
//!   positions, which would double the index. The language stands in the name of its analysis, so an index of
//!   another language is recognised.
//! - `version`: the document's identity, as a column to read and as a term to delete by.
//! - the commit's payload: `<seqno> <highest version>`, the latter `-` if no document was ever added.

use tantivy::Term;
use tantivy::schema::{Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use types::{Error, Language, Result, Seqno, Version};

use super::words;

pub(super) const VERSION_FIELD: &str = "version";
const TEXT_FIELD: &str = "text";

/// How precisely postings are kept, and read back.
pub(super) const RECORD: IndexRecordOption = IndexRecordOption::WithFreqs;

/// The fields of an index.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) text: Field,
    pub(super) version: Field,
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
    pub(super) fn schema(language: Language) -> (Schema, Self) {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(&words::name(language))
            .set_index_option(RECORD)
            .set_fieldnorms(true);
        let text = schema.add_text_field(TEXT_FIELD, TextOptions::default().set_indexing_options(indexing));
        let version = schema.add_u64_field(VERSION_FIELD, NumericOptions::default().set_indexed().set_fast());
        (schema.build(), Self { text, version })
    }

    pub(super) fn term(self, text: &str) -> Term {
        Term::from_field_text(self.text, text)
    }

    pub(super) fn identity(self, version: Version) -> Term {
        Term::from_field_u64(self.version, version.0)
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
