//! One document on its way in: its chunks, and the points that they and their source become.
//!
//! ```text
//! chunk   payload: source (id of the source), path, <folder field>, title, kind, heading, text, start, end, hash;
//!                  where there are such: page, record, fields, author, time, labels, attributes
//! source  payload: root, path, title, kind, text, bytes, chunks, hash, fingerprint, revision, signature, bands;
//!                  where there are such: pages, author, time, labels, attributes
//! ```
//!
//! `hash` is the SHA-256 of the document's text: a chunk cites the bytes `start..end` of the text with that hash.
//! `revision` counts the versions of a document, from 1; earlier ones are read by `as_of`, as far as the collection
//! keeps them.

use std::collections::HashMap;

use kithdb::{Payload, Point, PointId, Value};
use serde_json::json;

use crate::answer::text_hash;
use crate::dedup::Signature;
use crate::{Chunk, Embedder, Metadata, Sizing, Skip, Source, chunk, formats};

/// A document and its chunks.
pub(super) struct Document {
    pub(super) id: PointId,
    pub(super) source: Source,
    pub(super) chunks: Vec<Chunk>,
    /// Changes when anything that its points depend on changes.
    pub(super) fingerprint: String,
    pub(super) hash: String,
    pub(super) signature: Option<Signature>,
    metadata: Metadata,
    root: String,
}

/// How documents of a run are cut, and what all of them have.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) size_max: Option<usize>,
    pub(super) overlap: usize,
    pub(super) metadata: Metadata,
}

/// Raised when chunks or payloads are made differently, so that documents are ingested anew.
const REVISION: u32 = 3;

/// The id of a document's source.
pub(super) fn source_id(root: &str, path: &str) -> PointId {
    PointId::from_name(&format!("source\n{root}\n{path}"))
}

impl Document {
    /// Cuts a source. `said` is what its owner says of it, which counts more than what it says itself.
    ///
    /// # Errors
    /// Why it is passed over, when it cannot be cut.
    pub(super) fn new(
        root: &str,
        mut source: Source,
        said: &Metadata,
        shape: &Shape,
        embedder: Option<&Embedder>,
    ) -> Result<Self, Skip> {
        let metadata = said.clone().over(&shape.metadata).over(&source.metadata);
        if let Some(title) = &metadata.title {
            source.title.clone_from(title);
        }
        let hash = text_hash(&source.text);
        let model = embedder.map_or("none", |embedder| embedder.identity().revision.as_str());
        let sizing = Sizing::of(embedder, shape.size_max, shape.overlap);
        let told = Value::Object(metadata.payload()).to_string();
        let told = text_hash(&format!("{}\n{told}", source.title));
        let size = shape.size_max.unwrap_or(0);
        let fingerprint = format!("{REVISION}/{model}/{size}/{}/{hash}/{}", shape.overlap, &told[..16]);
        Ok(Self {
            id: source_id(root, &source.path),
            chunks: formats::fenced(|| Ok(chunk(&source, &sizing)))?,
            fingerprint,
            root: root.to_owned(),
            signature: Signature::of(&source.text),
            metadata,
            hash,
            source,
        })
    }

    /// What is embedded, a text a chunk.
    pub(super) fn texts_to_embed(&self) -> impl Iterator<Item = String> {
        self.chunks.iter().map(|chunk| chunk.text_to_embed(&self.source))
    }

    /// The points of the chunks, without vectors. The same text in the same place of the outline keeps its id.
    pub(super) fn points(&self, folder_field: &str) -> Vec<Point> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let folder = self.source.path.split_once('/').map_or("", |(folder, _)| folder);
        let point = |chunk: &Chunk| {
            let text = chunk.text_to_embed(&self.source);
            let nth = seen.entry(text.clone()).and_modify(|nth| *nth += 1).or_default();
            let point = Point::new(PointId::from_name(&format!("chunk\n{}\n{nth}\n{text}", self.id)))
                .with("source", self.id.to_string())
                .with("path", self.source.path.clone())
                .with(folder_field, folder)
                .with("title", self.source.title.clone())
                .with("kind", self.source.kind.name())
                .with("heading", chunk.heading.clone())
                .with("text", chunk.text(&self.source))
                .with("start", chunk.start)
                .with("end", chunk.end)
                .with("hash", self.hash.clone());
            let record = chunk.record.and_then(|nth| Some((nth, self.source.records.get(nth)?)));
            let mut payload = self.told();
            payload.extend(chunk.page.map(|page| ("page".to_owned(), page.into())));
            payload.extend(record.map(|(nth, _)| ("record".to_owned(), nth.into())));
            payload.extend(record.map(|(_, record)| ("fields".to_owned(), record.fields.clone().into())));
            also(point, payload)
        };
        self.chunks.iter().map(point).collect()
    }

    /// The point of the source.
    pub(super) fn source_point(&self, revision: u64) -> Point {
        let mut payload = self.told();
        if !self.source.pages.is_empty() {
            payload.insert("pages".to_owned(), json!(self.source.pages));
        }
        if let Some(signature) = &self.signature {
            payload.insert("signature".to_owned(), signature.encoded().into());
            payload.insert("bands".to_owned(), json!(signature.bands()));
        }
        let point = Point::new(self.id)
            .with("root", self.root.clone())
            .with("path", self.source.path.clone())
            .with("title", self.source.title.clone())
            .with("kind", self.source.kind.name())
            .with("text", self.source.text.clone())
            .with("bytes", self.source.text.len())
            .with("chunks", self.chunks.len())
            .with("hash", self.hash.clone())
            .with("fingerprint", self.fingerprint.clone())
            .with("revision", revision);
        also(point, payload)
    }

    /// What is known of it beside its title, which every point has.
    fn told(&self) -> Payload {
        let mut payload = self.metadata.payload();
        payload.remove("title");
        payload
    }
}

fn also(mut point: Point, payload: Payload) -> Point {
    point.payload.extend(payload);
    point
}
