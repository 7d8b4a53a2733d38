//! The two collections of a library, and what they hold already.

use std::collections::HashMap;

use kithdb::{
    Collection, Condition, DEFAULT_VECTOR, Database, Error, ErrorKind, FieldKind, FieldPath, Filter,
    Language, Metric, PayloadSelect, Point, PointId, Result, Schema, Select, Value, VectorSelect, VectorSpec,
};

use super::IngestOptions;
use crate::Embedder;
use crate::search::check_model;

/// Behind the name of a collection of chunks, the name of the collection of their sources.
pub const SOURCES_SUFFIX: &str = ".sources";

/// Points read at once.
const PAGE_POINTS: usize = 1_000;

pub(super) struct Library {
    pub(super) chunks: Collection,
    pub(super) sources: Collection,
}

/// A chunk as it is stored.
pub(super) struct OldChunk {
    pub(super) id: PointId,
    pub(super) text_to_embed: String,
    pub(super) vector: Option<Vec<f32>>,
}

/// The fingerprints of the sources that came from one folder.
pub(super) struct Known(HashMap<PointId, String>);

impl Known {
    pub(super) fn fingerprint(&self, id: PointId) -> Option<&String> {
        self.0.get(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PointId> {
        self.0.keys().copied()
    }
}

impl Library {
    pub(super) fn open(db: &Database, options: &IngestOptions, embedder: Option<&Embedder>) -> Result<Self> {
        let sources = format!("{}{SOURCES_SUFFIX}", options.collection);
        let chunks = or_create(db, &options.collection, || chunk_schema(options, embedder))?;
        check_same_model(&chunks, embedder)?;
        let root: FieldPath = "root".parse()?;
        let sources = or_create(db, &sources, || Ok(Schema::new().field(root, FieldKind::Keyword)))?;
        Ok(Self { chunks, sources })
    }

    /// What is stored of documents from a folder.
    pub(super) fn known(&self, root: &str) -> Result<Known> {
        let filter = Filter::must(Condition::equals("root", root)?);
        let select =
            Select { payload: PayloadSelect::Only(vec!["fingerprint".parse()?]), ..Select::default() };
        let points = all(&self.sources, &filter, &select)?;
        Ok(Known(
            points.into_iter().map(|point| (point.id, text(&point, "fingerprint").to_owned())).collect(),
        ))
    }

    /// The stored chunks of a source.
    pub(super) fn chunks_of(&self, source: PointId) -> Result<Vec<OldChunk>> {
        let filter = Filter::must(Condition::equals("source", source.to_string().as_str())?);
        let payload = PayloadSelect::Only(vec!["heading".parse()?, "text".parse()?]);
        let select = Select { payload, vectors: VectorSelect::All, ..Select::default() };
        let chunk = |point: Point| {
            let (heading, body) = (text(&point, "heading"), text(&point, "text"));
            let text_to_embed =
                if heading.is_empty() { body.to_owned() } else { format!("{heading}\n{body}") };
            OldChunk {
                id: point.id,
                text_to_embed,
                vector: point.vector_named(DEFAULT_VECTOR).map(<[f32]>::to_vec),
            }
        };
        Ok(all(&self.chunks, &filter, &select)?.into_iter().map(chunk).collect())
    }
}

fn or_create(db: &Database, name: &str, schema: impl FnOnce() -> Result<Schema>) -> Result<Collection> {
    match db.collection(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => db.create_collection(name, schema()?),
        other => other,
    }
}

fn chunk_schema(options: &IngestOptions, embedder: Option<&Embedder>) -> Result<Schema> {
    let texts: Result<Vec<FieldPath>> = ["title", "heading", "text"].into_iter().map(str::parse).collect();
    let mut schema = Schema::new()
        .keyword(texts?, Language::English)
        .field("source".parse()?, FieldKind::Keyword)
        .field("path".parse()?, FieldKind::Keyword)
        .field(options.folder_field.parse()?, FieldKind::Keyword);
    if let Some(embedder) = embedder {
        let model = embedder.identity().clone();
        let spec = VectorSpec::new(model.dim, Metric::Cosine);
        let spec = VectorSpec { model: Some(model), ..spec };
        schema = schema.named_vector(DEFAULT_VECTOR, spec);
    }
    Ok(schema)
}

/// Chunks with and without vectors, or of two models, are never mixed.
fn check_same_model(chunks: &Collection, embedder: Option<&Embedder>) -> Result<()> {
    let schema = chunks.schema();
    let name = chunks.name();
    match (schema.vectors.get(DEFAULT_VECTOR), embedder) {
        (None, None) => Ok(()),
        (Some(spec), Some(embedder)) => check_model(name, spec, embedder),
        (None, Some(_)) => Err(Error::invalid(
            "model",
            format!(
                "collection `{name}` was made without a model and has keywords only; ingest into another collection"
            ),
        )),
        (Some(_), None) => Err(Error::invalid(
            "model",
            format!("collection `{name}` has vectors, but no model was found; name its directory"),
        )),
    }
}

fn all(collection: &Collection, filter: &Filter, select: &Select) -> Result<Vec<Point>> {
    let (mut points, mut from) = (Vec::new(), None);
    loop {
        let page = collection.scroll(filter, from, PAGE_POINTS, select)?;
        points.extend(page.points);
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(points),
        }
    }
}

fn text<'a>(point: &'a Point, key: &str) -> &'a str {
    point.payload.get(key).and_then(Value::as_str).unwrap_or_default()
}
