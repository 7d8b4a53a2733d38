//! Files in stores: cut, embedded, put there, counted, given attributes, taken out.

use kithdb::{
    Collection, Condition, FieldPath, Filter, Op, Payload, Point, PointId, Result, Scalar, Select,
    Transaction, Value,
};
use serde_json::json;

use super::records::{every, missing, number, text};
use super::{File, Shelf};
use crate::answer::{ACCESS_FIELD, sources_of};
use crate::parse::Skip;
use crate::{Chunk, Embedder, Sizing, Source, chunk, parse};

/// How files are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunking {
    /// As this engine does by itself: along their structure.
    #[default]
    Auto,
    /// Into chunks of at most so many tokens, each repeating so many of the one before it.
    Static {
        /// Tokens of a chunk.
        tokens_max: usize,
        /// Of these, tokens of the one before.
        overlap: usize,
    },
}

/// Characters that stand for a token where there is no model to count them.
const TOKEN_CHARS: usize = 4;

impl Chunking {
    fn sizing(self, embedder: Option<&Embedder>) -> Sizing<'_> {
        let unit = if embedder.is_some() { 1 } else { TOKEN_CHARS };
        match self {
            Self::Auto => Sizing::new(embedder),
            Self::Static { tokens_max, overlap } => {
                // One token alone holds nothing.
                Sizing::of(embedder, Some(tokens_max.max(2) * unit), overlap * unit)
            }
        }
    }
}

/// Whether a file could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is found by searches.
    Completed,
    /// It is not, and why.
    Failed {
        /// Because nothing reads such files; otherwise because of what it holds.
        is_unsupported: bool,
        /// In words.
        message: String,
    },
}

/// A file in a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The id of the file; of what was ingested, the id of the document.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Bytes of its text.
    pub bytes: u64,
    /// When it was put there.
    pub created_s: u64,
    /// What it can be filtered by.
    pub attributes: Payload,
    /// How it was cut.
    pub chunking: Chunking,
    /// Whether it could be read.
    pub state: State,
}

/// What a store holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Files, those that could not be read included.
    pub files: usize,
    /// Files that could not be read.
    pub failed: usize,
    /// Bytes of their texts.
    pub bytes: u64,
}

/// Where documents come from that were uploaded.
const ROOT: &str = "openai";

impl Shelf<'_> {
    /// Puts a file into a store, in place of itself if it is there. A file that cannot be read is there as a failed
    /// one.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` on `model` when the store belongs to another one; what the database returns.
    pub fn add(
        &self,
        store: &str,
        file: &str,
        attributes: &Payload,
        chunking: Chunking,
        now_s: u64,
    ) -> Result<Member> {
        let (chunks, sources) = self.collections(store)?;
        let (file, bytes) = (self.file(file)?, self.content(file)?);
        let read = read(&file.name, bytes);
        let mut source = source_point(&file, attributes, chunking, now_s);
        let mut points = Vec::new();
        match &read {
            Ok(read) => {
                let own = chunk(read, &chunking.sizing(self.embedder));
                let hash = crate::answer::text_hash(&read.text);
                points = self.chunk_points(&file, read, &own, &hash, attributes)?;
                source = source
                    .with("title", read.title.clone())
                    .with("text", read.text.clone())
                    .with("bytes", read.text.len())
                    .with("chunks", own.len())
                    .with("hash", hash);
                source = labelled(source, read);
            }
            Err(reason) => {
                let error = json!({"is_unsupported": *reason == Skip::Kind, "message": reason.to_string()});
                source = source.with("error", error);
            }
        }
        let member = Member::of(&source);
        let old = Op::DeleteWhere(Filter::must(Condition::equals("source", source.id.to_string().as_str())?));
        let chunk_ops = std::iter::once(old).chain(points.into_iter().map(Op::Upsert)).collect();
        let transaction = Transaction::new()
            .on_collection(&chunks, chunk_ops)
            .on_collection(&sources, vec![Op::Upsert(source)]);
        self.db.commit(transaction)?;
        // Deleted meanwhile, it was taken out of the stores that had it.
        if let Err(error) = self.file(&file.id) {
            self.db.commit(taken_out(Transaction::new(), &chunks, &sources, source_id(&file.id))?)?;
            return Err(error);
        }
        Ok(member)
    }

    fn chunk_points(
        &self,
        file: &File,
        source: &Source,
        chunks: &[Chunk],
        hash: &str,
        attributes: &Payload,
    ) -> Result<Vec<Point>> {
        let id = source_id(&file.id);
        let texts: Vec<String> = chunks.iter().map(|chunk| chunk.text_to_embed(source)).collect();
        let point = |chunk: &Chunk| {
            let name = format!("chunk\n{id}\n{hash}\n{}\n{}", chunk.start, chunk.end);
            let point = Point::new(PointId::from_name(&name))
                .with("source", id.to_string())
                .with("path", file.name.clone())
                .with("title", source.title.clone())
                .with("heading", chunk.heading.clone())
                .with("text", chunk.text(source))
                .with("start", chunk.start)
                .with("end", chunk.end)
                .with("hash", hash)
                .with("file_id", file.id.clone())
                .with("attributes", Value::Object(attributes.clone()));
            let point = match chunk.page {
                Some(page) => point.with("page", page),
                None => point,
            };
            labelled(point, source)
        };
        let points = chunks.iter().map(point);
        let Some(embedder) = self.embedder else { return Ok(points.collect()) };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embedder.embed_documents(&texts, &|_| ())?;
        Ok(points.zip(vectors).map(|(point, vector)| point.vector(vector)).collect())
    }

    /// A file of a store.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn member(&self, store: &str, file: &str) -> Result<Member> {
        self.member_point(store, file, &["text"]).map(|point| Member::of(&point))
    }

    /// The text of a file of a store, as it was read.
    ///
    /// # Errors
    /// As for [`member`](Self::member).
    pub fn member_text(&self, store: &str, file: &str) -> Result<String> {
        self.member_point(store, file, &[]).map(|point| text(&point.payload, "text"))
    }

    fn member_point(&self, store: &str, file: &str, without: &[&str]) -> Result<Point> {
        let (_, sources) = self.collections(store)?;
        let id = file.parse().unwrap_or_else(|_| source_id(file));
        let found = every(&sources, &Filter::must(Condition::HasId(vec![id])), without)?.pop();
        found.ok_or_else(|| missing("file in the vector store", file))
    }

    /// Every file of a store, the oldest first.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn members(&self, store: &str) -> Result<Vec<Member>> {
        let (_, sources) = self.collections(store)?;
        let points = every(&sources, &Filter::default(), &["text"])?;
        let mut members: Vec<Member> = points.iter().map(Member::of).collect();
        members.sort_by(|a, b| (a.created_s, &a.id).cmp(&(b.created_s, &b.id)));
        Ok(members)
    }

    /// What a store holds, without a look at its files one by one.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn holdings(&self, store: &str) -> Result<Holdings> {
        let (_, sources) = self.collections(store)?;
        // Of one state, so that the numbers go with each other.
        let reading = sources.reading()?;
        let error: FieldPath = "error".parse()?;
        let failed = Filter { must_not: vec![Condition::IsEmpty(error)], ..Filter::default() };
        let sizes = reading.facets(&"bytes".parse()?, &Filter::default(), usize::MAX)?;
        let bytes = sizes.iter().map(|(size, files)| match size {
            Scalar::Int(bytes) => u64::try_from(*bytes).unwrap_or(0) * *files as u64,
            Scalar::Str(_) | Scalar::Bool(_) => 0,
        });
        Ok(Holdings {
            files: reading.count(&Filter::default())?,
            failed: reading.count(&failed)?,
            bytes: bytes.sum(),
        })
    }

    /// Gives a file of a store other attributes.
    ///
    /// # Errors
    /// As for [`member`](Self::member).
    pub fn set_attributes(&self, store: &str, file: &str, attributes: &Payload) -> Result<Member> {
        let point = self.member_point(store, file, &["text"])?;
        let (chunks, sources) = self.collections(store)?;
        let mut payload = Payload::new();
        payload.insert("attributes".to_owned(), Value::Object(attributes.clone()));
        let change =
            |points| Op::Change(points, kithdb::Change::SetPayload { payload: payload.clone(), path: None });
        let of_chunks = Filter::must(Condition::equals("source", point.id.to_string().as_str())?);
        let transaction = Transaction::new()
            .on(chunks.name(), vec![change(kithdb::Selection::Where(of_chunks))])
            .on(sources.name(), vec![change(kithdb::Selection::Ids(vec![point.id]))]);
        self.db.commit(transaction)?;
        self.member(store, file)
    }

    /// Takes a file out of a store.
    ///
    /// # Errors
    /// As for [`member`](Self::member).
    pub fn remove(&self, store: &str, file: &str) -> Result<()> {
        let point = self.member_point(store, file, &["text"])?;
        let (chunks, sources) = self.collections(store)?;
        self.db.commit(taken_out(Transaction::new(), &chunks, &sources, point.id)?).map(drop)
    }

    /// Takes a file out of every store that it was put into, in one commit, if none of them is refused.
    pub(super) fn remove_everywhere(&self, file: &str, check: impl Fn(&str) -> Result<()>) -> Result<()> {
        let id = source_id(file);
        let (mut transaction, mut is_anywhere) = (Transaction::new(), false);
        for chunks in self.db.collections() {
            let Ok(sources) = sources_of(self.db, &chunks) else { continue };
            if sources.get(&[id], &Select::none())?.is_empty() {
                continue;
            }
            check(chunks.name())?;
            transaction = taken_out(transaction, &chunks, &sources, id)?;
            is_anywhere = true;
        }
        if is_anywhere { self.db.commit(transaction).map(drop) } else { Ok(()) }
    }

    fn collections(&self, store: &str) -> Result<(Collection, Collection)> {
        let chunks = self.db.collection(store).map_err(|_| missing("vector store", store))?;
        let sources = sources_of(self.db, &chunks).map_err(|_| missing("vector store", store))?;
        Ok((chunks, sources))
    }
}

/// The transaction, which takes a document out as well, with its chunks.
fn taken_out(
    transaction: Transaction,
    chunks: &Collection,
    sources: &Collection,
    id: PointId,
) -> Result<Transaction> {
    let of_chunks = Filter::must(Condition::equals("source", id.to_string().as_str())?);
    let transaction = transaction.on(chunks.name(), vec![Op::DeleteWhere(of_chunks)]);
    Ok(transaction.on(sources.name(), vec![Op::Delete(vec![id])]))
}

fn source_id(file: &str) -> PointId {
    PointId::from_name(&format!("source\n{ROOT}\n{file}"))
}

/// Reads a file; one of no known kind as plain text, if it is that.
fn read(name: &str, bytes: Vec<u8>) -> std::result::Result<Source, Skip> {
    match parse(name, bytes.clone()) {
        Err(Skip::Kind) => {
            let read = parse(&format!("{name}.txt"), bytes).map_err(|_| Skip::Kind)?;
            Ok(Source { path: name.to_owned(), ..read })
        }
        read => read,
    }
}

/// A point with the labels that a document says of itself: who may see it does not hang on how it came.
fn labelled(point: Point, source: &Source) -> Point {
    let labels = &source.metadata.labels;
    if labels.is_empty() { point } else { point.with(ACCESS_FIELD, labels.clone()) }
}

fn source_point(file: &File, attributes: &Payload, chunking: Chunking, now_s: u64) -> Point {
    let chunking = match chunking {
        Chunking::Auto => Value::Null,
        Chunking::Static { tokens_max, overlap } => json!([tokens_max, overlap]),
    };
    Point::new(source_id(&file.id))
        .with("root", ROOT)
        .with("path", file.name.clone())
        .with("title", file.name.clone())
        .with("file_id", file.id.clone())
        .with("attributes", Value::Object(attributes.clone()))
        .with("chunking", chunking)
        .with("created_s", now_s)
}

impl Member {
    fn of(point: &Point) -> Self {
        let payload = &point.payload;
        let file = Some(text(payload, "file_id")).filter(|id| !id.is_empty());
        let state = match payload.get("error") {
            None => State::Completed,
            Some(error) => State::Failed {
                is_unsupported: error["is_unsupported"] == true,
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            },
        };
        let chunking = match payload.get("chunking").and_then(Value::as_array).map(Vec::as_slice) {
            Some([tokens_max, overlap]) => Chunking::Static {
                tokens_max: tokens_max.as_u64().unwrap_or_default() as usize,
                overlap: overlap.as_u64().unwrap_or_default() as usize,
            },
            _ => Chunking::Auto,
        };
        Self {
            id: file.unwrap_or_else(|| point.id.to_string()),
            name: text(payload, "path"),
            bytes: number(payload, "bytes"),
            created_s: number(payload, "created_s"),
            attributes: payload.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default(),
            chunking,
            state,
        }
    }
}
