//! Documents that are uploaded, and the jobs that ingest them.
//!
//! An upload is JSON, or a form of files with a part `options`, which has the same fields but for the documents.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kithdb::{Error, ErrorKind, Payload, PointId, Result, datetime};
use rag::jobs::{Job, Order, Upload};
use rag::{Duplicate, Metadata};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::BODY;
use crate::multipart::{self, Part};
use crate::{weigh, wire};

/// The body of an upload.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = UploadDocuments)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadIn {
    #[serde(default)]
    documents: Vec<DocumentIn>,
    /// The set that they belong to.
    set: Option<String>,
    /// Documents of the set that are not among these are removed.
    mirror: Option<bool>,
    folder_field: Option<String>,
    chunk_size: Option<usize>,
    chunk_overlap: Option<usize>,
    /// What is said of every document.
    metadata: Option<MetadataIn>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Document)]
#[serde(deny_unknown_fields)]
struct DocumentIn {
    path: String,
    /// What it holds, as text.
    text: Option<String>,
    /// Or in base64.
    content: Option<String>,
    metadata: Option<MetadataIn>,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = DocumentMetadata)]
#[serde(deny_unknown_fields, default)]
struct MetadataIn {
    title: Option<String>,
    author: Option<String>,
    time: Option<String>,
    labels: Vec<String>,
    #[schema(value_type = Object)]
    attributes: Payload,
}

impl From<MetadataIn> for Metadata {
    fn from(said: MetadataIn) -> Self {
        let MetadataIn { title, author, time, labels, attributes } = said;
        Self { title, author, time, labels, attributes }
    }
}

/// Reads an upload: what it asks for, and its documents.
///
/// # Errors
/// `InvalidArgument` naming the place in the body; `LimitExceeded`, `Busy` when it becomes more than there is room for.
pub(crate) fn read(content_type: &str, body: &[u8], tree: &Arc<weigh::Part>) -> Result<(Order, Vec<Upload>)> {
    match multipart::boundary(content_type) {
        Some(boundary) => form(&multipart::parts(body, &boundary)?, tree),
        None => wire::parse_weighed::<UploadIn>(body, tree)?.into_order(),
    }
}

fn form(parts: &[Part<'_>], tree: &Arc<weigh::Part>) -> Result<(Order, Vec<Upload>)> {
    let options = parts.iter().find(|part| part.name == "options" && part.file_name.is_none());
    let said: UploadIn = match options {
        Some(part) => {
            let said = wire::parse_weighed(part.content, tree);
            said.map_err(|error| match error.kind() {
                ErrorKind::InvalidArgument => error.within("options"),
                // It is of the body, which has a status of its own.
                _ => error,
            })?
        }
        None => UploadIn::default(),
    };
    let metadata: Metadata = said.metadata.clone().unwrap_or_default().into();
    let (order, mut uploads) = said.into_order()?;
    for part in parts {
        match &part.file_name {
            Some(path) => uploads.push(Upload {
                path: path.clone(),
                bytes: part.content.to_vec(),
                metadata: metadata.clone(),
            }),
            None if part.name == "options" => {}
            None => {
                let message = format!("has a part `{}` that is neither a file nor `options`", part.name);
                return Err(Error::invalid(BODY, message));
            }
        }
    }
    Ok((order, uploads))
}

impl UploadIn {
    fn into_order(self) -> Result<(Order, Vec<Upload>)> {
        let usual = Order::default();
        let order = Order {
            set: self.set.unwrap_or(usual.set),
            is_mirror: self.mirror.unwrap_or(false),
            folder_field: self.folder_field.unwrap_or(usual.folder_field),
            chunk_size_max: self.chunk_size,
            chunk_overlap: self.chunk_overlap.unwrap_or(0),
        };
        let of_all: Metadata = self.metadata.unwrap_or_default().into();
        let upload = |(nth, document): (usize, DocumentIn)| {
            let own: Metadata = document.metadata.clone().unwrap_or_default().into();
            let bytes = document.bytes().map_err(|error| error.within(&format!("documents[{nth}]")))?;
            Ok(Upload { path: document.path, bytes, metadata: own.over(&of_all) })
        };
        let uploads = self.documents.into_iter().enumerate().map(upload).collect::<Result<_>>()?;
        Ok((order, uploads))
    }
}

impl DocumentIn {
    fn bytes(&self) -> Result<Vec<u8>> {
        match (&self.text, &self.content) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(content)) => STANDARD.decode(content).map_err(|error| {
                Error::invalid("content", format!("is not base64: {error}")).with_source(error)
            }),
            (None, None) => Err(Error::invalid("text", "is missing; give `text`, or `content` in base64")),
            (Some(_), Some(_)) => Err(Error::invalid("content", "stands beside `text`; give one of them")),
        }
    }
}

/// `?wait=..` of an upload.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct UploadQuery {
    /// Answer when the job is at its end.
    #[serde(default)]
    pub(crate) wait: bool,
}

/// `?set=..&offset=..&limit=..` of a list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    pub(crate) set: Option<String>,
    pub(crate) offset: Option<String>,
    pub(crate) limit: Option<usize>,
}

/// A job as it is told.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobOut {
    id: String,
    collection: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    created: String,
    set: String,
    mirror: bool,
    documents_total: usize,
    documents: usize,
    added: usize,
    changed: usize,
    unchanged: usize,
    removed: usize,
    chunks: usize,
    embedded: usize,
    skipped: Vec<SkippedOut>,
    skipped_total: usize,
    duplicates: Vec<DuplicateOut>,
    duplicates_total: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Skipped)]
struct SkippedOut {
    path: String,
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Duplicate)]
struct DuplicateOut {
    path: String,
    of: String,
    similarity: f32,
}

impl From<Job> for JobOut {
    fn from(job: Job) -> Self {
        let duplicate =
            |found: Duplicate| DuplicateOut { path: found.path, of: found.of, similarity: found.similarity };
        Self {
            id: job.id.to_string(),
            collection: job.collection,
            state: job.state.name(),
            error: job.error,
            created: datetime::format(i64::try_from(job.created_ms).unwrap_or(i64::MAX).saturating_mul(1000)),
            set: job.order.set,
            mirror: job.order.is_mirror,
            documents_total: job.documents_total,
            documents: job.documents,
            added: job.added,
            changed: job.changed,
            unchanged: job.unchanged,
            removed: job.removed,
            chunks: job.chunks,
            embedded: job.embedded,
            skipped_total: job.skipped_total,
            duplicates_total: job.duplicates_total,
            skipped: job.skipped.into_iter().map(|(path, reason)| SkippedOut { path, reason }).collect(),
            duplicates: job.duplicates.into_iter().map(duplicate).collect(),
        }
    }
}

/// A document as it is told.
#[derive(Serialize)]
pub(crate) struct DocumentOut {
    id: String,
    #[serde(flatten)]
    payload: Payload,
}

impl DocumentOut {
    pub(crate) fn new(id: PointId, payload: Payload) -> Self {
        Self { id: id.to_string(), payload }
    }
}

/// Documents, and where the next ones begin.
#[derive(Serialize)]
pub(crate) struct DocumentsOut {
    pub(crate) documents: Vec<DocumentOut>,
    pub(crate) next_offset: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(content_type: &str, body: &[u8]) -> Result<(Order, Vec<Upload>)> {
        read(content_type, body, &weigh::Room::beside(0, 1).part())
    }

    #[test]
    fn json_and_forms_say_the_same() {
        let json = br##"{"set": "s", "mirror": true, "metadata": {"author": "A", "labels": ["x"]},
            "documents": [{"path": "a.md", "text": "# A"}, {"path": "b.txt", "content": "Qg=="}]}"##;
        let form = b"--b\r\ncontent-disposition: form-data; name=\"options\"\r\n\r\n\
            {\"set\": \"s\", \"mirror\": true, \"metadata\": {\"author\": \"A\", \"labels\": [\"x\"]}}\r\n--b\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n\r\n# A\r\n--b\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"b.txt\"\r\n\r\nB\r\n--b--\r\n";
        let (order, uploads) = reads("application/json", json).expect("JSON");
        let (other, same) = reads("multipart/form-data; boundary=b", form).expect("a form");
        assert_eq!((order.set.as_str(), order.is_mirror), ("s", true));
        assert_eq!((other.set.as_str(), other.is_mirror), ("s", true));
        assert_eq!(format!("{uploads:?}"), format!("{same:?}"));
        assert_eq!(uploads[1].metadata.labels, ["x"]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let cases = [
            (r#"{"documents": [{"path": "a.md"}]}"#, "documents[0].text"),
            (r#"{"documents": [{"path": "a.md", "text": "", "content": ""}]}"#, "documents[0].content"),
            (r#"{"documents": [{"path": "a.md", "content": "?"}]}"#, "documents[0].content"),
            (r#"{"documents": [{"text": "a"}]}"#, "documents[0]"),
            (
                r#"{"documents": [{"path": "a", "text": "", "metadata": {"x": 1}}]}"#,
                "documents[0].metadata.x",
            ),
            (r#"{"set": 1}"#, "set"),
        ];
        for (body, field) in cases {
            assert_eq!(reads("", body.as_bytes()).expect_err(body).field(), Some(field), "{body}");
        }
        let form =
            b"--b\r\ncontent-disposition: form-data; name=\"options\"\r\n\r\n{\"set\": 1}\r\n--b--\r\n";
        let error = reads("multipart/form-data; boundary=b", form).expect_err("a number");
        assert_eq!(error.field(), Some("options.set"));
    }
}
