//! A passage: a stretch of a stored document that may be put before a model, and cited.
//!
//! Invariant: its text is the bytes `start..end` of the source as it is stored now, and `hash` is the SHA-256 of that
//! source's text, computed from the text itself. A passage for which this does not hold is never made.

use std::collections::HashMap;
use std::ops::Range;

use kithdb::{Collection, Error, ErrorKind, Payload, PointId, Result, Select, Value};
use sha2::{Digest, Sha256};

/// A stretch of a stored document.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The point of the document, in the collection of sources.
    pub source: PointId,
    /// What its payload says beside its text.
    pub about: About,
    /// SHA-256 of the document's text, in hexadecimal.
    pub hash: String,
    /// The bytes of the document that are its text.
    pub span: Range<usize>,
    /// Its text.
    pub text: String,
    /// How well it fits the question, by the fusion of the search.
    pub score: f32,
    /// How near its nearest chunk is to the question, where there is a model: the cosine.
    pub similarity: Option<f32>,
}

/// What is known of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Where it came from, relative to its folder; the name of an uploaded file.
    pub path: String,
    /// Its title.
    pub title: String,
    /// The headings above the passage.
    pub heading: String,
    /// Its address, if its payload has one of the web: what is shown to be followed must not run anything.
    pub url: Option<String>,
    /// The id of the uploaded file, if it is one.
    pub file: Option<String>,
    /// What it was given when it was uploaded.
    pub attributes: Payload,
}

/// A document as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) text: String,
    pub(crate) hash: String,
}

/// A document, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What its payload says beside its text.
    pub about: About,
    /// Its text.
    pub text: String,
    /// SHA-256 of it, in hexadecimal.
    pub hash: String,
}

/// A document as it is stored now.
///
/// # Errors
/// `NotFound`; `Corrupted` when its text is not what its hash says.
pub fn document(sources: &Collection, id: PointId) -> Result<Document> {
    let mut point = sources.get(&[id], &Select::default())?.pop().ok_or_else(|| Error::no_point(id))?;
    let about = About::of(&point.payload);
    let Some(Value::String(text)) = point.payload.remove("text") else {
        return Err(Error::new(ErrorKind::NotFound, format!("Not found: document {id} has no text")));
    };
    let hash = hash(&text);
    if point.payload.get("hash").and_then(Value::as_str) != Some(&hash) {
        return Err(Error::corrupted(format!("document {id}"), "its text is not what its hash says"));
    }
    Ok(Document { about, text, hash })
}

/// Whether a document is stored now with a text of this hash, by the text itself.
pub(crate) fn is_stored(sources: &Collection, id: PointId, hash: &str) -> bool {
    document(sources, id).is_ok_and(|document| document.hash == hash)
}

impl Passage {
    /// The title, or what stands for it.
    pub fn title(&self) -> &str {
        let About { title, path, .. } = &self.about;
        if title.is_empty() { path } else { title }
    }
}

impl About {
    pub(crate) fn of(payload: &Payload) -> Self {
        let text = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let some = |key: &str| Some(text(key)).filter(|text| !text.is_empty());
        let is_of_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        let attributes = payload.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
        Self {
            path: text("path"),
            title: text("title"),
            heading: text("heading"),
            url: some("url").filter(is_of_web),
            file: some("file_id"),
            attributes,
        }
    }
}

/// Reads documents as they are stored now. Those that are gone, or whose text is not what their hash says, are left
/// out.
pub(crate) fn stored(sources: &Collection, ids: &[PointId]) -> Result<HashMap<PointId, Stored>> {
    let mut read = HashMap::with_capacity(ids.len());
    for id in ids {
        // Each by itself: together they may be more than an answer may show.
        let Some(mut point) = sources.get(&[*id], &Select::default())?.pop() else { continue };
        let Some(Value::String(text)) = point.payload.remove("text") else { continue };
        let hash = hash(&text);
        if point.payload.get("hash").and_then(Value::as_str) == Some(&hash) {
            read.insert(point.id, Stored { text, hash });
        }
    }
    Ok(read)
}

/// SHA-256 of a text, in hexadecimal.
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use kithdb::{Change, Database, Point, Schema, Selection};

    use super::*;

    #[test]
    fn an_address_that_would_run_something_is_none() {
        let url = |text: &str| About::of(&Payload::from_iter([("url".to_owned(), text.into())])).url;
        assert_eq!(url("https://x.example/a").as_deref(), Some("https://x.example/a"));
        assert_eq!((url("javascript:alert(1)"), url("data:text/html,x"), url("")), (None, None, None));
    }

    #[test]
    fn a_document_is_stored_as_long_as_its_text_has_the_hash() {
        let db = Database::in_memory().expect("a database");
        let sources = db.create_collection("a.sources", Schema::new()).expect("a collection");
        let point = Point::new(1).with("text", "The tower.").with("hash", hash("The tower."));
        sources.upsert(vec![point]).expect("stored");
        let is_stored = |text: &str| is_stored(&sources, 1.into(), &hash(text));
        assert_eq!((is_stored("The tower."), is_stored("The bridge.")), (true, false));
        // The hash that is kept beside it says what it said before.
        let payload = Payload::from_iter([("text".to_owned(), "The bridge.".into())]);
        let change = Change::SetPayload { payload, path: None };
        sources.change(Selection::Ids(vec![1.into()]), change).expect("changed");
        assert_eq!((is_stored("The tower."), is_stored("The bridge.")), (false, false));
        sources.delete(vec![1.into()]).expect("deleted");
        assert!(!is_stored("The bridge."));
    }
}
