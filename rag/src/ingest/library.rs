//! The two collections of a library, what they hold already, and which of their documents say the same.

use std::collections::HashMap;

use kithdb::{
    Collection, Condition, DEFAULT_VECTOR, Database, Error, ErrorKind, FieldKind, FieldPath, Filter,
    Language, Metric, Op, PayloadSelect, Point, PointId, Predicate, Result, Scalar, Schema, Select,
    Transaction, Value, VectorSelect, VectorSpec,
};
use parking_lot::Mutex;

use super::document::Document;
use super::jobs::{JOB_FIELDS, JOBS_SUFFIX};
use crate::Embedder;
use crate::collections::{all, find, or_create};
use crate::dedup::{Duplicate, SIMILARITY_MIN, Signature};
use crate::search::check_model;

/// Behind the name of a collection of chunks, the name of the collection of their sources.
pub const SOURCES_SUFFIX: &str = ".sources";

pub(super) struct Library {
    pub(super) chunks: Collection,
    pub(super) sources: Collection,
}

/// A chunk as it is stored.
pub(super) struct OldChunk {
    pub(super) text_to_embed: String,
    pub(super) vector: Option<Vec<f32>>,
}

/// A source as it is stored, as far as a new version is compared with it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) path: String,
    pub(super) fingerprint: String,
    pub(super) revision: u64,
}

/// Drops the jobs that a library has left that is gone. For who makes a collection of its name: they would go on in
/// that one. What others called so is none of ours.
///
/// # Errors
/// What the database returns.
pub fn forget_gone(db: &Database, collection: &str) -> Result<()> {
    let _one = MAKING.lock();
    if find(db, collection)?.is_some() {
        return Ok(());
    }
    let Some(jobs) = find(db, &format!("{collection}{JOBS_SUFFIX}"))? else { return Ok(()) };
    let schema = jobs.schema();
    let has = |(path, kind): &(&str, FieldKind)| {
        schema.fields.iter().any(|(field, of)| field.to_string() == *path && of == kind)
    };
    if JOB_FIELDS.iter().all(has) && schema.names().next().is_none() {
        db.drop_collection(jobs.name())?;
    }
    Ok(())
}

/// Held from the look whether a library is gone until what it has left is gone too, and it is made: meanwhile another
/// may have made it, whose sources and jobs would be taken for what was left.
static MAKING: Mutex<()> = Mutex::new(());

/// What is read of it.
const KNOWN: [&str; 3] = ["path", "fingerprint", "revision"];

/// Candidates that a document is compared with.
const CANDIDATES_MAX: usize = 64;

impl Library {
    pub(super) fn open(
        db: &Database,
        collection: &str,
        folder_field: &str,
        embedder: Option<&Embedder>,
    ) -> Result<Self> {
        check_folder_field(folder_field)?;
        let chunks = match find(db, collection)? {
            Some(chunks) => chunks,
            None => Self::begun(db, collection, || chunk_schema(folder_field, embedder))?,
        };
        Self::of(db, chunks, embedder)
    }

    /// As [`open`](Self::open), of one that is there: who goes on with it makes no other in its place.
    pub(super) fn reopen(db: &Database, collection: &str, embedder: Option<&Embedder>) -> Result<Self> {
        Self::of(db, db.collection(collection)?, embedder)
    }

    fn of(db: &Database, chunks: Collection, embedder: Option<&Embedder>) -> Result<Self> {
        check_same_model(&chunks, embedder)?;
        add_fields(&chunks, &CHUNK_FIELDS)?;
        let sources = format!("{}{SOURCES_SUFFIX}", chunks.name());
        let sources = or_create(db, &sources, || Ok(Schema::new()))?;
        add_fields(&sources, &SOURCE_FIELDS)?;
        Ok(Self { chunks, sources })
    }

    /// The chunks of a library that was not there a moment ago.
    fn begun(db: &Database, collection: &str, schema: impl FnOnce() -> Result<Schema>) -> Result<Collection> {
        let _one = MAKING.lock();
        if find(db, collection)?.is_none() {
            // Sources without their chunks would look as if they were ingested, and jobs would bring back what went.
            for suffix in [SOURCES_SUFFIX, JOBS_SUFFIX] {
                db.drop_collection(&format!("{collection}{suffix}"))?;
            }
        }
        or_create(db, collection, schema)
    }

    /// A library that is there.
    pub(super) fn existing(db: &Database, collection: &str) -> Result<Self> {
        let chunks = db.collection(collection)?;
        let sources = format!("{}{SOURCES_SUFFIX}", chunks.name());
        let sources = db.collection(&sources).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let message =
                    format!("collection `{collection}` has no documents; ingest some, or upload them");
                Error::new(ErrorKind::NotFound, message).with_field("collection_name")
            }
            _ => error,
        })?;
        Ok(Self { chunks, sources })
    }

    /// What is stored of documents under a root.
    pub(super) fn known(&self, root: &str) -> Result<HashMap<PointId, Known>> {
        let filter = Filter::must(Condition::equals("root", root)?);
        let points = all(&self.sources, &filter, &only(&KNOWN)?)?;
        Ok(points.into_iter().map(|point| (point.id, known(&point))).collect())
    }

    /// What is stored of one document.
    pub(super) fn known_one(&self, id: PointId) -> Result<Option<Known>> {
        let points = self.sources.get(&[id], &only(&KNOWN)?)?;
        Ok(points.first().map(known))
    }

    /// The stored document that is most like this one, if one is enough.
    pub(super) fn duplicate(&self, document: &Document) -> Result<Option<Duplicate>> {
        let found = |of: &str, similarity| {
            Some(Duplicate { path: document.source.path.clone(), of: of.to_owned(), similarity })
        };
        let page = |condition: Condition, keys: &[&str]| {
            let filter = Filter::must(condition);
            Ok::<_, Error>(self.sources.scroll(&filter, None, CANDIDATES_MAX, &only(keys)?)?.points)
        };
        let same = page(Condition::equals("hash", document.hash.as_str())?, &["path"])?;
        if let Some(same) = same.iter().find(|point| point.id != document.id) {
            return Ok(found(text(same, "path"), 1.0));
        }
        let Some(signature) = &document.signature else { return Ok(None) };
        let bands = signature.bands().into_iter().map(Scalar::Str).collect();
        let condition = Condition::Field("bands".parse()?, Predicate::Any(bands));
        let candidates = page(condition, &["path", "signature"])?;
        let alike = candidates.iter().filter(|point| point.id != document.id).filter_map(|point| {
            let other = Signature::decoded(text(point, "signature"))?;
            Some((point, signature.similarity(&other)))
        });
        let most = alike.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.id.cmp(&a.0.id)));
        let most = most.filter(|(_, similarity)| *similarity >= SIMILARITY_MIN);
        Ok(most.and_then(|(point, similarity)| found(text(point, "path"), similarity)))
    }

    /// What removes a document and its chunks.
    pub(super) fn removal(&self, source: PointId) -> Result<Transaction> {
        Ok(Transaction::new()
            .on_collection(&self.chunks, vec![without_chunks(&[source])?])
            .on_collection(&self.sources, vec![Op::Delete(vec![source])]))
    }

    /// The stored chunks of a source.
    pub(super) fn chunks_of(&self, source: PointId) -> Result<Vec<OldChunk>> {
        let payload = PayloadSelect::Only(vec!["heading".parse()?, "text".parse()?]);
        let select = Select { payload, vectors: VectorSelect::All, ..Select::default() };
        let chunk = |point: Point| OldChunk {
            text_to_embed: text_to_embed(&point),
            vector: point.vector_named(DEFAULT_VECTOR).map(<[f32]>::to_vec),
        };
        Ok(all(&self.chunks, &of_source(source)?, &select)?.into_iter().map(chunk).collect())
    }

    /// Whether a source has chunks. It has none where their collection was dropped, and made anew, by another door.
    pub(super) fn has_chunks(&self, source: PointId) -> Result<bool> {
        Ok(!self.chunks.scroll(&of_source(source)?, None, 1, &Select::none())?.points.is_empty())
    }

    /// The same as points, without their vectors.
    pub(super) fn points_of(&self, source: PointId) -> Result<Vec<Point>> {
        all(&self.chunks, &of_source(source)?, &Select::default())
    }
}

fn of_source(source: PointId) -> Result<Filter> {
    Ok(Filter::must(Condition::equals("source", source.to_string().as_str())?))
}

/// What removes the chunks of sources: those that are there when its turn comes. Who looked before may have seen
/// others, for a document may be written, or removed, by another thread meanwhile.
pub(super) fn without_chunks(sources: &[PointId]) -> Result<Op> {
    let ids = sources.iter().map(|source| Scalar::Str(source.to_string())).collect();
    Ok(Op::DeleteWhere(Filter::must(Condition::Field("source".parse()?, Predicate::Any(ids)))))
}

/// What was embedded of a stored chunk.
pub(super) fn text_to_embed(chunk: &Point) -> String {
    let (heading, body) = (text(chunk, "heading"), text(chunk, "text"));
    if heading.is_empty() { body.to_owned() } else { format!("{heading}\n{body}") }
}

/// Fields of chunks that filters name.
const CHUNK_FIELDS: [(&str, FieldKind); 7] = [
    ("source", FieldKind::Keyword),
    ("path", FieldKind::Keyword),
    ("kind", FieldKind::Keyword),
    ("author", FieldKind::Keyword),
    ("time", FieldKind::Datetime),
    ("labels", FieldKind::Keyword),
    ("page", FieldKind::Integer),
];

/// Fields of chunks that have a meaning of their own.
const OWN_FIELDS: [&str; 16] = [
    "source",
    "path",
    "title",
    "kind",
    "heading",
    "text",
    "start",
    "end",
    "hash",
    "page",
    "record",
    "fields",
    "author",
    "time",
    "labels",
    "attributes",
];

/// The field of folders must be none of them: what a chunk is of would be lost.
fn check_folder_field(field: &str) -> Result<()> {
    if OWN_FIELDS.contains(&field) {
        let message = format!("`{field}` has a meaning of its own in chunks; name another field");
        return Err(Error::invalid("folder_field", message));
    }
    Ok(())
}

/// Fields of sources that filters name, and those that are counted.
const SOURCE_FIELDS: [(&str, FieldKind); 9] = [
    ("root", FieldKind::Keyword),
    ("path", FieldKind::Keyword),
    ("hash", FieldKind::Keyword),
    ("bands", FieldKind::Keyword),
    ("bytes", FieldKind::Integer),
    ("error", FieldKind::Keyword),
    ("author", FieldKind::Keyword),
    ("time", FieldKind::Datetime),
    ("labels", FieldKind::Keyword),
];

/// Indexes the fields that are not yet, as in a collection of an earlier version.
fn add_fields(collection: &Collection, fields: &[(&str, FieldKind)]) -> Result<()> {
    let schema = collection.schema();
    for (path, kind) in fields {
        let path: FieldPath = path.parse()?;
        if !schema.fields.contains_key(&path) {
            collection.create_field(path, *kind)?;
        }
    }
    Ok(())
}

fn chunk_schema(folder_field: &str, embedder: Option<&Embedder>) -> Result<Schema> {
    let texts: Result<Vec<FieldPath>> = ["title", "heading", "text"].into_iter().map(str::parse).collect();
    let mut schema =
        Schema::new().keyword(texts?, Language::English).field(folder_field.parse()?, FieldKind::Keyword);
    for (path, kind) in CHUNK_FIELDS {
        schema = schema.field(path.parse()?, kind);
    }
    if let Some(embedder) = embedder {
        let model = embedder.identity().clone();
        let spec = VectorSpec::new(model.dim, Metric::Cosine);
        let spec = VectorSpec { model: Some(model), ..spec };
        schema = schema.named_vector(DEFAULT_VECTOR, spec);
    }
    Ok(schema)
}

/// Chunks with and without vectors, or of two models, are never mixed.
pub(super) fn check_same_model(chunks: &Collection, embedder: Option<&Embedder>) -> Result<()> {
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

fn known(point: &Point) -> Known {
    let revision = point.payload.get("revision").and_then(Value::as_u64).unwrap_or(1);
    let said = |key: &str| text(point, key).to_owned();
    Known { path: said("path"), fingerprint: said("fingerprint"), revision }
}

/// Points with these fields alone.
pub(super) fn only(keys: &[&str]) -> Result<Select> {
    let paths = keys.iter().map(|key| key.parse()).collect::<Result<_>>()?;
    Ok(Select { payload: PayloadSelect::Only(paths), ..Select::default() })
}

pub(super) fn text<'a>(point: &'a Point, key: &str) -> &'a str {
    point.payload.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::jobs;
    use super::*;

    #[test]
    fn jobs_of_a_library_that_is_gone_go_before_another_collection_has_its_name() {
        let db = Database::in_memory().expect("a database");
        let upload = jobs::Upload { path: "a.md".into(), bytes: b"One.".to_vec(), ..jobs::Upload::default() };
        jobs::submit(&db, "docs", &jobs::Order::default(), vec![upload], None).expect("a job");
        db.create_collection("theirs.jobs", Schema::new()).expect("a collection");
        let names = || -> Vec<String> { db.collections().iter().map(|one| one.name().to_owned()).collect() };
        forget_gone(&db, "docs").expect("it is there");
        assert_eq!(names(), ["docs", "docs.jobs", "docs.sources", "theirs.jobs"]);
        db.drop_collection("docs").expect("dropped");
        for name in ["docs", "theirs"] {
            forget_gone(&db, name).expect("forgotten");
        }
        assert_eq!(names(), ["docs.sources", "theirs.jobs"]);
        db.create_collection("docs", Schema::new()).expect("another one");
        assert!(jobs::unfinished(&db).expect("jobs").is_empty());
    }

    #[test]
    fn who_goes_on_with_a_library_that_is_gone_makes_no_other() {
        let db = Database::in_memory().expect("a database");
        let error = Library::reopen(&db, "docs", None).err().expect("it is gone");
        assert_eq!((error.kind(), db.collections().len()), (ErrorKind::NotFound, 0));
    }

    /// Who comes second has seen that there is none.
    #[test]
    fn those_who_make_a_library_at_once_lose_nothing_of_each_other() {
        const CALLERS: usize = 4;
        let db = Database::in_memory().expect("a database");
        let upload = |at: usize| jobs::Upload {
            path: format!("{at}.md"),
            bytes: b"One.".to_vec(),
            ..jobs::Upload::default()
        };
        for round in 0..20_usize {
            let (db, name) = (&db, &format!("docs{round}"));
            std::thread::scope(|scope| {
                for at in 0..CALLERS {
                    scope.spawn(move || {
                        forget_gone(db, name).expect("looked for");
                        jobs::submit(db, name, &jobs::Order::default(), vec![upload(at)], None)
                            .expect("a job");
                    });
                }
            });
            assert_eq!(jobs::list(db, name).expect("jobs").len(), CALLERS, "{round}");
        }
    }
}
