//! One document on its way in: its chunks, and the points that they and their source become.
//!
//! ```text
//! chunk   payload: source (id of the source), path, <folder field>, title, heading, text, start, end, hash
//! source  payload: root, path, title, text, bytes, chunks, hash, fingerprint
//! ```
//!
//! `hash` is the SHA-256 of the document's text: a chunk cites the bytes `start..end` of the text with that hash.

use std::collections::HashMap;

use kithdb::{Point, PointId};
use sha2::{Digest, Sha256};

use crate::{Chunk, Embedder, Sizing, Source, chunk};

/// A document and its chunks.
pub(super) struct Document {
    pub(super) id: PointId,
    pub(super) source: Source,
    pub(super) chunks: Vec<Chunk>,
    /// Changes when anything that its points depend on changes.
    pub(super) fingerprint: String,
    root: String,
    hash: String,
}

/// Raised when chunks or payloads are made differently, so that documents are ingested anew.
const REVISION: u32 = 1;

/// The id of a document's source.
pub(super) fn source_id(root: &str, path: &str) -> PointId {
    PointId::from_name(&format!("source\n{root}\n{path}"))
}

impl Document {
    pub(super) fn new(root: &str, source: Source, embedder: Option<&Embedder>) -> Self {
        let hash = hex(&Sha256::digest(source.text.as_bytes()));
        let model = embedder.map_or("none", |embedder| embedder.identity().revision.as_str());
        Self {
            id: source_id(root, &source.path),
            chunks: chunk(&source, &Sizing::new(embedder)),
            fingerprint: format!("{REVISION}/{model}/{hash}"),
            root: root.to_owned(),
            hash,
            source,
        }
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
            Point::new(PointId::from_name(&format!("chunk\n{}\n{nth}\n{text}", self.id)))
                .with("source", self.id.to_string())
                .with("path", self.source.path.clone())
                .with(folder_field, folder)
                .with("title", self.source.title.clone())
                .with("heading", chunk.heading.clone())
                .with("text", chunk.text(&self.source))
                .with("start", chunk.start)
                .with("end", chunk.end)
                .with("hash", self.hash.clone())
        };
        self.chunks.iter().map(point).collect()
    }

    /// The point of the source.
    pub(super) fn source_point(&self) -> Point {
        Point::new(self.id)
            .with("root", self.root.clone())
            .with("path", self.source.path.clone())
            .with("title", self.source.title.clone())
            .with("text", self.source.text.clone())
            .with("bytes", self.source.text.len())
            .with("chunks", self.chunks.len())
            .with("hash", self.hash.clone())
            .with("fingerprint", self.fingerprint.clone())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
