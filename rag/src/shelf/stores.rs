//! Stores of documents: made, described, filled with files, emptied.

use kithdb::{
    Collection, Condition, Error, ErrorKind, Filter, Op, Payload, Point, PointId, Result, Transaction, Value,
};
use serde_json::json;

use super::records::{every, missing, number, text};
use super::{File, Shelf};
use crate::answer::sources_of;
use crate::eval::EVAL_SUFFIX;
use crate::ingest::jobs::JOBS_SUFFIX;
use crate::ingest::{IngestOptions, SOURCES_SUFFIX, prepare};
use crate::parse::Skip;
use crate::{Chunk, Embedder, Sizing, Source, chunk, parse};

/// The collection of what is known of stores beside their documents.
pub const STORES: &str = "openai.stores";

/// The collection of batches of files.
pub const BATCHES: &str = "openai.batches";

/// A store of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Its id: the name of its collection.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whatever else is to be kept with it.
    pub metadata: Payload,
    /// When it was made, in seconds since 1970; 0 of one that was ingested.
    pub created_s: u64,
    /// When it was last written or asked.
    pub active_s: u64,
    /// After so many days in which nobody used it, it is expired.
    pub expires_days: Option<u64>,
}

/// What is to be changed of a store; absent members stay.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What people call it.
    pub name: Option<String>,
    /// In place of what was there.
    pub metadata: Option<Payload>,
    /// In place of what was there; `None` within it takes it away.
    pub expires_days: Option<Option<u64>>,
}

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

/// Files that were put into a store together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// The store.
    pub store: String,
    /// When.
    pub created_s: u64,
    /// The ids of the files.
    pub files: Vec<String>,
}

/// Where documents come from that were uploaded.
const ROOT: &str = "openai";

const DAY_S: u64 = 24 * 3600;

/// Between two notes that a store was used.
const TOUCH_S: u64 = 60;

impl Store {
    /// When it expires, if it does.
    pub fn expires_s(&self) -> Option<u64> {
        self.expires_days.map(|days| self.active_s + days * DAY_S)
    }

    /// Checks that it may be asked.
    ///
    /// # Errors
    /// `NotFound` when it is expired.
    pub fn check_alive(&self, now_s: u64) -> Result<()> {
        match self.expires_s() {
            Some(expires_s) if now_s > expires_s => {
                let message =
                    format!("Not found: vector store `{}` is expired; change its expires_after", self.id);
                Err(Error::new(ErrorKind::NotFound, message).with_field("vector_store_id"))
            }
            _ => Ok(()),
        }
    }
}

impl Shelf<'_> {
    /// Makes a store.
    ///
    /// # Errors
    /// What the database returns.
    pub fn create_store(&self, id: &str, wanted: Wanted, now_s: u64) -> Result<Store> {
        let options = IngestOptions { collection: id.to_owned(), ..IngestOptions::default() };
        prepare(self.db, &options, self.embedder)?;
        let store = Store {
            id: id.to_owned(),
            name: wanted.name.unwrap_or_default(),
            metadata: wanted.metadata.unwrap_or_default(),
            created_s: now_s,
            active_s: now_s,
            expires_days: wanted.expires_days.flatten(),
        };
        self.keep(STORES, id, store.record())?;
        Ok(store)
    }

    /// A store: one that was made, or a collection that was ingested.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn store(&self, id: &str) -> Result<Store> {
        let chunks = self.db.collection(id).map_err(|_| missing("vector store", id))?;
        sources_of(self.db, &chunks).map_err(|_| missing("vector store", id))?;
        let record = self.kept(STORES, chunks.name())?.unwrap_or_default();
        Ok(Store::of(chunks.name(), &record))
    }

    /// Every store, the oldest first.
    ///
    /// # Errors
    /// What the database returns.
    pub fn stores(&self) -> Result<Vec<Store>> {
        let all = self.db.collections();
        let stores = all.iter().filter(|chunks| sources_of(self.db, chunks).is_ok());
        let mut stores: Vec<Store> = stores.map(|chunks| self.store(chunks.name())).collect::<Result<_>>()?;
        stores.sort_by(|a, b| (a.created_s, &a.id).cmp(&(b.created_s, &b.id)));
        Ok(stores)
    }

    /// Changes a store.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn change_store(&self, id: &str, wanted: Wanted, now_s: u64) -> Result<Store> {
        let mut store = self.store(id)?;
        store.name = wanted.name.unwrap_or(store.name);
        store.metadata = wanted.metadata.unwrap_or(store.metadata);
        store.expires_days = wanted.expires_days.unwrap_or(store.expires_days);
        store.active_s = now_s;
        self.keep(STORES, &store.id, store.record())?;
        Ok(store)
    }

    /// Notes that a store was used, where its expiry hangs on that; at most once a minute.
    ///
    /// # Errors
    /// What the database returns.
    pub fn touch(&self, store: &Store, now_s: u64) -> Result<()> {
        if store.expires_days.is_none() || now_s < store.active_s + TOUCH_S {
            return Ok(());
        }
        self.amend(STORES, &store.id, Payload::from_iter([("active_s".to_owned(), now_s.into())]))
    }

    /// Drops a store with its documents.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn drop_store(&self, id: &str) -> Result<()> {
        // An alias takes nothing away with it.
        if self.store(id)?.id != id {
            return Err(missing("vector store", id));
        }
        for suffix in ["", SOURCES_SUFFIX, JOBS_SUFFIX, EVAL_SUFFIX] {
            self.db.drop_collection(&format!("{id}{suffix}"))?;
        }
        self.forget(STORES, id).map(drop)
    }

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
            }
            Err(reason) => {
                let error = json!({"is_unsupported": *reason == Skip::Kind, "message": reason.to_string()});
                source = source.with("error", error);
            }
        }
        let member = Member::of(&source);
        let old = Op::DeleteWhere(Filter::must(Condition::equals("source", source.id.to_string().as_str())?));
        let chunk_ops = std::iter::once(old).chain(points.into_iter().map(Op::Upsert)).collect();
        let transaction =
            Transaction::new().on(chunks.name(), chunk_ops).on(sources.name(), vec![Op::Upsert(source)]);
        self.db.commit(transaction)?;
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
            Point::new(PointId::from_name(&format!("chunk\n{id}\n{hash}\n{}\n{}", chunk.start, chunk.end)))
                .with("source", id.to_string())
                .with("path", file.name.clone())
                .with("title", source.title.clone())
                .with("heading", chunk.heading.clone())
                .with("text", chunk.text(source))
                .with("start", chunk.start)
                .with("end", chunk.end)
                .with("hash", hash)
                .with("file_id", file.id.clone())
                .with("attributes", Value::Object(attributes.clone()))
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
        let of_chunks = Filter::must(Condition::equals("source", point.id.to_string().as_str())?);
        let transaction = Transaction::new()
            .on(chunks.name(), vec![Op::DeleteWhere(of_chunks)])
            .on(sources.name(), vec![Op::Delete(vec![point.id])]);
        self.db.commit(transaction).map(drop)
    }

    /// Keeps which files were put into a store together.
    ///
    /// # Errors
    /// What the database returns.
    pub fn keep_batch(&self, batch: &Batch) -> Result<()> {
        let record = json!({"store": batch.store, "created_s": batch.created_s, "files": batch.files});
        let Value::Object(record) = record else { return Ok(()) };
        self.keep(BATCHES, &batch.id, record)
    }

    /// Files that were put into a store together.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn batch(&self, store: &str, id: &str) -> Result<Batch> {
        let record = self.kept(BATCHES, id)?.filter(|record| text(record, "store") == store);
        let record = record.ok_or_else(|| missing("batch of files", id))?;
        let files = record.get("files").and_then(Value::as_array).into_iter().flatten();
        let files = files.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Batch {
            id: id.to_owned(),
            store: store.to_owned(),
            created_s: number(&record, "created_s"),
            files,
        })
    }

    fn collections(&self, store: &str) -> Result<(Collection, Collection)> {
        let chunks = self.db.collection(store).map_err(|_| missing("vector store", store))?;
        let sources = sources_of(self.db, &chunks).map_err(|_| missing("vector store", store))?;
        Ok((chunks, sources))
    }
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

impl Store {
    fn of(id: &str, record: &Payload) -> Self {
        let name = text(record, "name");
        Self {
            id: id.to_owned(),
            name: if record.is_empty() { id.to_owned() } else { name },
            metadata: record.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            created_s: number(record, "created_s"),
            active_s: number(record, "active_s"),
            expires_days: record.get("expires_days").and_then(Value::as_u64),
        }
    }

    fn record(&self) -> Payload {
        let mut record = Payload::new();
        record.insert("name".to_owned(), self.name.clone().into());
        record.insert("metadata".to_owned(), Value::Object(self.metadata.clone()));
        record.insert("created_s".to_owned(), self.created_s.into());
        record.insert("active_s".to_owned(), self.active_s.into());
        record.insert("expires_days".to_owned(), self.expires_days.into());
        record
    }
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
