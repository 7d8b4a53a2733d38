//! Documents that wait together: embedded in one go, committed in one go.
//!
//! Invariant: one commit has whole documents over both collections, and whatever else its caller wants to be true with
//! them. A chunk whose text stayed keeps its vector. What was begun for a library that is dropped meanwhile never comes
//! into another one of its name.

use kithdb::{Collection, Database, Op, Point, PointId, Result, Transaction};

use super::document::Document;
use super::library::{Known, Library, OldChunk, without_chunks};
use super::{GROUP_CHUNKS, IngestReport};
use crate::dedup::{Duplicate, SIMILARITY_MIN};
use crate::{Embedder, Skip, Skipped};

/// The one way of documents into a library.
pub(super) struct Writer<'a> {
    db: &'a Database,
    pub(super) library: Library,
    embedder: Option<&'a Embedder>,
    folder_field: &'a str,
    pub(super) report: IngestReport,
    /// Documents that wait, each with the revision that it becomes.
    group: Vec<(Document, u64)>,
}

/// Operations of a commit, by collection.
pub(super) type Ops = Vec<(Collection, Vec<Op>)>;

impl<'a> Writer<'a> {
    pub(super) fn new(
        db: &'a Database,
        library: Library,
        embedder: Option<&'a Embedder>,
        folder_field: &'a str,
        report: IngestReport,
    ) -> Self {
        Self { db, library, embedder, folder_field, report, group: Vec::new() }
    }

    /// Takes a document, unless it is as it is stored.
    pub(super) fn offer(&mut self, document: Document, known: Option<&Known>) -> Result<()> {
        let is_known = known.is_some_and(|known| known.fingerprint == document.fingerprint);
        if is_known && (document.chunks.is_empty() || self.library.has_chunks(document.id)?) {
            self.report.unchanged += 1;
            return Ok(());
        }
        let limit = self.db.limits().payload_bytes_max;
        let bytes = kithdb::payload::bytes(&document.source_point(1).payload);
        if bytes > limit {
            let reason = Skip::TooLarge { bytes: bytes as u64, bytes_max: limit as u64 };
            self.pass_over(&document.source.path, reason);
            return Ok(());
        }
        let duplicate = self.duplicate(&document)?;
        self.report.duplicates.extend(duplicate);
        self.report.added += usize::from(known.is_none());
        self.report.changed += usize::from(known.is_some());
        self.report.bytes += document.source.text.len();
        self.group.push((document, known.map_or(1, |known| known.revision + 1)));
        Ok(())
    }

    pub(super) fn pass_over(&mut self, path: &str, reason: Skip) {
        self.report.skipped.push(Skipped { path: path.to_owned(), reason });
    }

    /// Whether enough waits to be committed.
    pub(super) fn is_full(&self) -> bool {
        self.group.iter().map(|(document, _)| document.chunks.len()).sum::<usize>() >= GROUP_CHUNKS
    }

    /// The document that this one is most like, of those that are stored and those that wait.
    fn duplicate(&self, document: &Document) -> Result<Option<Duplicate>> {
        let among =
            self.group.iter().filter(|(other, _)| other.id != document.id).filter_map(|(other, _)| {
                let similarity = match (&document.signature, &other.signature) {
                    _ if other.hash == document.hash => 1.0,
                    (Some(own), Some(signature)) => own.similarity(signature),
                    _ => 0.0,
                };
                (similarity >= SIMILARITY_MIN).then(|| Duplicate {
                    path: document.source.path.clone(),
                    of: other.source.path.clone(),
                    similarity,
                })
            });
        let stored = self.library.duplicate(document)?;
        Ok(stored.into_iter().chain(among).reduce(|a, b| if b.similarity > a.similarity { b } else { a }))
    }

    /// Embeds the documents that wait and commits them, with what `also` makes of the report as it then is.
    pub(super) fn commit(&mut self, also: impl FnOnce(&IngestReport) -> Ops) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        let old: Vec<Vec<OldChunk>> =
            group.iter().map(|(document, _)| self.library.chunks_of(document.id)).collect::<Result<_>>()?;
        let mut vectors = self.vectors(&group, &old)?.into_iter();
        let ids: Vec<PointId> = group.iter().map(|(document, _)| document.id).collect();
        let (mut chunk_ops, mut source_ops) = (Vec::new(), Vec::new());
        if !ids.is_empty() {
            chunk_ops.push(without_chunks(&ids)?);
        }
        for (document, revision) in &group {
            let mut points = document.points(self.folder_field);
            if self.embedder.is_some() {
                let both = points.into_iter().zip(vectors.by_ref());
                points = both.map(|(point, vector)| point.vector(vector)).collect();
            }
            self.report.chunks += points.len();
            chunk_ops.extend(points.into_iter().map(Op::Upsert));
            source_ops.push(Op::Upsert(document.source_point(*revision)));
        }
        let transaction = Transaction::new()
            .on_collection(&self.library.chunks, chunk_ops)
            .on_collection(&self.library.sources, source_ops);
        self.send(transaction, also(&self.report), !group.is_empty())
    }

    /// Removes a document and its chunks, with what `also` makes of the report as it then is.
    pub(super) fn remove(&mut self, id: PointId, also: impl FnOnce(&IngestReport) -> Ops) -> Result<()> {
        let transaction = self.library.removal(id)?;
        self.report.removed += 1;
        self.send(transaction, also(&self.report), true)
    }

    fn send(&self, transaction: Transaction, also: Ops, is_needed: bool) -> Result<()> {
        if also.is_empty() && !is_needed {
            return Ok(());
        }
        let all =
            also.into_iter().fold(transaction, |all, (collection, ops)| all.on_collection(&collection, ops));
        self.db.commit(all).map(drop)
    }

    /// The vectors of all chunks of a group, in order: kept where the text stayed, else made by the model.
    fn vectors(&mut self, group: &[(Document, u64)], old: &[Vec<OldChunk>]) -> Result<Vec<Vec<f32>>> {
        let Some(embedder) = self.embedder else { return Ok(Vec::new()) };
        let mut vectors: Vec<Option<Vec<f32>>> = Vec::new();
        let mut texts: Vec<String> = Vec::new();
        for ((document, _), old) in group.iter().zip(old) {
            let old: std::collections::HashMap<&str, &OldChunk> =
                old.iter().map(|old| (old.text_to_embed.as_str(), old)).collect();
            for text in document.texts_to_embed() {
                let kept = old.get(text.as_str()).and_then(|old| old.vector.clone());
                if kept.is_none() {
                    texts.push(text);
                }
                vectors.push(kept);
            }
        }
        let made =
            embedder.embed_documents(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &|_| ())?;
        self.report.embedded += made.len();
        let mut made = made.into_iter();
        Ok(vectors.into_iter().map(|kept| kept.or_else(|| made.next()).unwrap_or_default()).collect())
    }
}

/// A point that is written.
pub(super) fn put(collection: &Collection, point: Point) -> (Collection, Vec<Op>) {
    (collection.clone(), vec![Op::Upsert(point)])
}

#[cfg(test)]
mod tests {
    use kithdb::{ErrorKind, Filter, Select};

    use super::super::document::Shape;
    use super::*;
    use crate::Metadata;
    use crate::parse::parse;

    const NAME: &str = "library";
    const FOLDER: &str = "folder";

    fn library(db: &Database) -> Library {
        Library::open(db, NAME, FOLDER, None).expect("a library")
    }

    fn document(text: &str) -> Document {
        let source = parse("a.txt", text.as_bytes().to_vec()).expect("a source");
        Document::new("root", source, &Metadata::default(), &Shape::default(), None).expect("a document")
    }

    /// Ingests a text; `meanwhile` is what happens between the look at what is stored and the commit.
    fn ingest(db: &Database, text: &str, meanwhile: impl FnOnce()) -> PointId {
        let mut writer = Writer::new(db, library(db), None, FOLDER, IngestReport::default());
        let document = document(text);
        let (id, known) = (document.id, writer.library.known_one(document.id).expect("a look"));
        writer.offer(document, known.as_ref()).expect("taken");
        let also = |_: &IngestReport| {
            meanwhile();
            Ops::new()
        };
        writer.commit(also).expect("a commit");
        id
    }

    /// The texts of the chunks, and how many sources there are.
    fn stored(db: &Database) -> (Vec<String>, usize) {
        let Library { chunks, sources } = library(db);
        let page = chunks.scroll(&Filter::default(), None, 100, &Select::default()).expect("a page");
        let text = |point: &Point| super::super::library::text(point, "text").to_owned();
        (page.points.iter().map(text).collect(), sources.count(&Filter::default()).expect("a count"))
    }

    #[test]
    fn a_document_that_two_threads_write_has_the_chunks_of_one_of_them() {
        let db = Database::in_memory().expect("a database");
        ingest(&db, "The first words.", || ());
        ingest(&db, "Second words.", || {
            ingest(&db, "Third words, which come before.", || ());
        });
        assert_eq!(stored(&db), (vec!["Second words.".to_owned()], 1));
    }

    #[test]
    fn what_was_begun_for_a_library_comes_into_no_other_of_its_name() {
        let db = Database::in_memory().expect("a database");
        let mut writer = Writer::new(&db, library(&db), None, FOLDER, IngestReport::default());
        writer.offer(document("Some words."), None).expect("taken");
        let also = |_: &IngestReport| {
            db.drop_collection(NAME).expect("dropped");
            library(&db);
            Ops::new()
        };
        let error = writer.commit(also).expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(stored(&db), (Vec::new(), 0));
    }

    /// As over HTTP, where a collection is dropped, and made, by its name alone.
    #[test]
    fn a_document_whose_chunks_are_gone_is_not_taken_for_unchanged() {
        let db = Database::in_memory().expect("a database");
        ingest(&db, "Some words.", || ());
        let schema = library(&db).chunks.schema();
        db.drop_collection(NAME).expect("dropped");
        db.create_collection(NAME, schema).expect("another one");
        ingest(&db, "Some words.", || ());
        assert_eq!(stored(&db), (vec!["Some words.".to_owned()], 1));
    }

    #[test]
    fn a_document_that_is_written_while_it_is_removed_leaves_no_chunk() {
        let db = Database::in_memory().expect("a database");
        let id = ingest(&db, "The first words.", || ());
        let removal = library(&db).removal(id).expect("made");
        ingest(&db, "Second words.", || ());
        db.commit(removal).expect("a commit");
        assert_eq!(stored(&db), (Vec::new(), 0));
        let id = ingest(&db, "Third words.", || ());
        let removal = library(&db).removal(id).expect("made");
        ingest(&db, "Fourth words.", || {
            db.commit(removal).expect("a commit");
        });
        assert_eq!(stored(&db), (vec!["Fourth words.".to_owned()], 1));
    }
}
