//! What is known of a document beside its text: title, author, time, access labels, attributes.
//!
//! A document says it itself (front matter, `<meta>`, the dictionary of a PDF), or who brings it does, and that counts
//! more: a document must not choose its own access labels where its owner has said them.
//!
//! Invariants: a time is RFC 3339, in UTC; labels are sorted and each is there once; attributes are scalars or lists of
//! them, so that each can be filtered by.

use kithdb::{Error, Payload, Result, Value, datetime, payload};
use serde_json::json;

/// What is known of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// What it is called.
    pub title: Option<String>,
    /// Who wrote it; several are joined by commas.
    pub author: Option<String>,
    /// When it was written or last changed, as RFC 3339.
    pub time: Option<String>,
    /// Who may read it: what a filter on `labels` compares.
    pub labels: Vec<String>,
    /// Anything else, by name.
    pub attributes: Payload,
}

/// Characters of a title, an author, a label or the name of an attribute; the rest is cut, or refused of who says it.
pub(crate) const WORDS_CHARS_MAX: usize = 500;

/// Labels and attributes of a document.
const ENTRIES_MAX: usize = 64;

/// Bytes of all attributes together: each chunk of the document carries them.
const ATTRIBUTES_BYTES_MAX: usize = 16 << 10;

impl Metadata {
    /// What a mapping says, by the names that documents use: `title`, `author` or `authors`, `date` and its like,
    /// `labels` or `access`. What does not fit is left out: it is a stranger's.
    pub(crate) fn read(said: Payload) -> Self {
        let mut metadata = Self::default();
        for (key, value) in said {
            match (key.to_ascii_lowercase().as_str(), words(&value)) {
                ("title", words) => metadata.title = metadata.title.or(joined(&words)),
                ("author" | "authors" | "creator", words) => {
                    metadata.author = metadata.author.or(joined(&words));
                }
                ("date" | "time" | "updated" | "modified" | "published" | "lastmod", words) => {
                    metadata.time = metadata.time.or(words.first().and_then(|text| time(text)));
                }
                ("labels" | "access" | "access_labels" | "access-labels", words) => {
                    metadata.labels.extend(words);
                }
                _ if is_attribute(&value)
                    && key.chars().count() <= WORDS_CHARS_MAX
                    && metadata.attributes.len() < ENTRIES_MAX
                    && metadata.has_room(&key, &value) =>
                {
                    metadata.attributes.insert(key, value);
                }
                _ => {}
            }
        }
        metadata.settle();
        metadata
    }

    /// Whether an attribute may stand beside those that are there.
    fn has_room(&self, key: &str, value: &Value) -> bool {
        payload::bytes(&self.attributes) + key.len() + value.to_string().len() < ATTRIBUTES_BYTES_MAX
    }

    /// This, and where it says nothing what another says.
    #[must_use]
    pub fn over(mut self, other: &Self) -> Self {
        self.title = self.title.or_else(|| other.title.clone());
        self.author = self.author.or_else(|| other.author.clone());
        self.time = self.time.or_else(|| other.time.clone());
        if self.labels.is_empty() {
            self.labels.clone_from(&other.labels);
        }
        for (key, value) in &other.attributes {
            self.attributes.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    /// Checks what a caller says, and puts it in order.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn checked(mut self) -> Result<Self> {
        let long = |text: &String| text.chars().count() > WORDS_CHARS_MAX;
        let refuse =
            |field: &str| Err(Error::invalid(field, format!("is longer than {WORDS_CHARS_MAX} characters")));
        for (field, text) in [("title", &self.title), ("author", &self.author)] {
            if text.as_ref().is_some_and(long) {
                return refuse(field);
            }
        }
        if let Some(text) = &self.time {
            self.time = Some(datetime::format(datetime::parse(text, "time")?));
        }
        if self.labels.iter().any(long) {
            return refuse("labels");
        }
        for (field, count) in [("labels", self.labels.len()), ("attributes", self.attributes.len())] {
            if count > ENTRIES_MAX {
                let message = format!("has {count} entries, {ENTRIES_MAX} are allowed");
                return Err(Error::invalid(field, message));
            }
        }
        let bytes = payload::bytes(&self.attributes);
        if bytes > ATTRIBUTES_BYTES_MAX {
            let message = format!("have {bytes} bytes, {ATTRIBUTES_BYTES_MAX} are allowed");
            return Err(Error::invalid("attributes", message));
        }
        if let Some((key, _)) = self.attributes.iter().find(|(_, value)| !is_attribute(value)) {
            let message = "must be a text, a number, true, false, or a list of these";
            return Err(Error::invalid(format!("attributes.{key}"), message));
        }
        self.settle();
        Ok(self)
    }

    /// Whether anything is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As the payload of points has it: what is not known is absent.
    pub(crate) fn payload(&self) -> Payload {
        let mut payload = Payload::new();
        let texts = [("title", &self.title), ("author", &self.author), ("time", &self.time)];
        for (key, text) in texts {
            payload.extend(text.as_ref().map(|text| (key.to_owned(), Value::from(text.clone()))));
        }
        if !self.labels.is_empty() {
            payload.insert("labels".to_owned(), json!(self.labels));
        }
        if !self.attributes.is_empty() {
            payload.insert("attributes".to_owned(), Value::Object(self.attributes.clone()));
        }
        payload
    }

    /// What [`payload`](Self::payload) made.
    pub(crate) fn of_payload(payload: &Payload) -> Self {
        let text = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            title: text("title"),
            author: text("author"),
            time: text("time"),
            labels: payload.get("labels").map(words).unwrap_or_default(),
            attributes: payload.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
        }
    }

    fn settle(&mut self) {
        self.labels.sort();
        self.labels.dedup();
        self.labels.truncate(ENTRIES_MAX);
    }
}

/// A time as it is stored; nothing if the text is none.
pub(crate) fn time(text: &str) -> Option<String> {
    datetime::micros(text.trim()).map(datetime::format)
}

/// The texts of a value: of a list, those of its elements; what is too long is cut.
fn words(value: &Value) -> Vec<String> {
    let cut = |text: &str| text.trim().chars().take(WORDS_CHARS_MAX).collect::<String>();
    let texts: Vec<String> = match value {
        Value::String(text) => vec![cut(text)],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(cut).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter(|text| !text.is_empty()).take(ENTRIES_MAX).collect()
}

fn joined(words: &[String]) -> Option<String> {
    let joined: String = words.join(", ").chars().take(WORDS_CHARS_MAX).collect();
    (!joined.is_empty()).then_some(joined)
}

fn is_attribute(value: &Value) -> bool {
    let is_scalar = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_) | Value::Null);
    match value {
        Value::Array(values) => values.iter().all(is_scalar),
        value => is_scalar(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Value) -> Payload {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_stranger_is_read_as_far_as_it_makes_sense() {
        let said = map(&json!({
            "Title": "  A  ", "authors": ["B", "C"], "date": "2024-01-31", "labels": ["x", "a", "x"],
            "tags": ["t"], "nested": {"a": 1}, "year": 2024, "draft": true, "nothing": null,
        }));
        let metadata = Metadata::read(said);
        let expected = json!({
            "title": "A", "author": "B, C", "time": "2024-01-31T00:00:00Z", "labels": ["a", "x"],
            "attributes": {"tags": ["t"], "year": 2024, "draft": true},
        });
        assert_eq!(Value::Object(metadata.payload()), expected);
        assert_eq!(Metadata::of_payload(&metadata.payload()), metadata);
        assert_eq!(Metadata::read(map(&json!({"date": "yesterday"}))), Metadata::default());
        let long = json!({"description": "x".repeat(1 << 20), "year": 2024});
        assert_eq!(Metadata::read(map(&long)).attributes, map(&json!({"year": 2024})));
    }

    #[test]
    fn who_brings_a_document_counts_more_than_the_document() {
        let own = Metadata::read(map(&json!({"title": "own", "author": "A", "labels": ["public"], "n": 1})));
        let said = Metadata::read(map(&json!({"title": "said", "labels": ["secret"], "n": 2})));
        let both = said.over(&own);
        let expected = json!({"title": "said", "author": "A", "labels": ["secret"], "attributes": {"n": 2}});
        assert_eq!(Value::Object(both.payload()), expected);
    }

    #[test]
    fn what_a_caller_says_is_checked() {
        let long = "x".repeat(WORDS_CHARS_MAX + 1);
        let cases = [
            (Metadata { title: Some(long.clone()), ..Metadata::default() }, "title"),
            (Metadata { time: Some("soon".into()), ..Metadata::default() }, "time"),
            (Metadata { labels: vec![long], ..Metadata::default() }, "labels"),
            (
                Metadata { attributes: map(&json!({"a": "x".repeat(20_000)})), ..Metadata::default() },
                "attributes",
            ),
            (Metadata { attributes: map(&json!({"a": {"b": 1}})), ..Metadata::default() }, "attributes.a"),
        ];
        for (metadata, field) in cases {
            assert_eq!(metadata.checked().expect_err(field).field(), Some(field));
        }
    }
}
