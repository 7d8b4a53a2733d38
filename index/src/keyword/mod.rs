//! Keyword search: BM25 over a collection's texts, on tantivy, in one directory.
//!
//! What is committed lies on disk; what came after lies in a tail in memory, and both are searched as one, so a write
//! is found when it is acknowledged. A commit is made in the background and carries the seqno it covers.
//!
//! It speaks of versions only; which slots they have, a search is told by the rows of its view.
//!
//! Contract of the writer: versions ascend. Then a replay may begin anywhere at or before
//! [`seqno`](KeywordIndex::seqno): what is held already is passed over. A commit is [begun](KeywordIndex::begin) where
//! no operation runs beside it and [written](KeywordCommit::write) only when storage has made durable what it holds:
//! then the index is never ahead of storage.
//!
//! Cost: adding analyses the text once for the tail, which others may do before (`analysed`), and once more when it is
//! committed. The tail holds texts and
//! postings in memory until then. A commit costs several fsyncs; its writer takes up to 32 MiB while it
//! works, and three threads and a file from a commit on until it [rests](KeywordIndex::rest).

mod analysed;
mod asked;
mod best;
mod clock;
mod committed;
mod expand;
mod failure;
mod files;
mod layout;
mod marks;
mod phrase;
mod pruned;
mod removed;
mod state;
mod statistics;
mod tail;
mod view;
mod walk;
mod windows;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tantivy::indexer::IndexWriterOptions;
use tantivy::merge_policy::{LogMergePolicy, MergePolicy as _};
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError};
use types::{Error, KeywordField, Language, Result, Seqno, Version, waypoint};

pub use analysed::Analysed;
pub use best::Scored;
use committed::Committed;
use failure::{damaged, failure};
use files::Files;
use layout::{Layout, Mark};
pub use marks::Marker;
use state::{Document, Operation, State};
pub use view::KeywordView;
use view::Snapshot;
pub(crate) use words::tongue;
use words::{Analysis, SEPARATOR};

/// The budget of tantivy's writer.
const WRITER_BYTES: usize = 32 << 20;

/// A segment is merged when so large a share of its documents is deleted: until then they take room and time.
const DELETED_SHARE_MAX: f32 = 0.3;

/// Where tantivy lists the files that it has made.
const FILES: &str = ".managed.json";

/// What commits are written with.
struct Writer {
    inner: IndexWriter,
    /// When the last commit was.
    used: Instant,
}

/// The keyword index of one collection.
pub struct KeywordIndex {
    index: Index,
    reader: IndexReader,
    layout: Arc<Layout>,
    analysis: Analysis,
    /// Held throughout a commit. Taken before `state`.
    writer: Mutex<Option<Writer>>,
    /// Its directory is for another one. Changed and read under the lock of the writer.
    is_closed: AtomicBool,
    /// Held for as long as it takes to add a document or to exchange a few pointers.
    state: Mutex<State>,
}

impl KeywordIndex {
    /// A new index in a directory that is empty or missing.
    ///
    /// # Errors
    /// `AlreadyExists` if there is an index; `Io` if the directory cannot be written.
    pub fn create(dir: &Path, field: &KeywordField) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (schema, layout) = Layout::schema(field);
        let settings =
            IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
        let builder = Index::builder().schema(schema).settings(settings);
        let files = Files::open(dir).map_err(failure)?;
        if Index::exists(&files).map_err(|error| failure(TantivyError::OpenReadError(error)))? {
            return Err(failure(TantivyError::IndexAlreadyExists));
        }
        let index = builder.open_or_create(files).map_err(failure)?;
        Self::over(index, layout, field.language, Mark::default())
    }

    /// The index in a directory, as of its last commit. Reads all its files once, for their checksums.
    ///
    /// # Errors
    /// `Corrupted` if it is missing, damaged, of other fields, another language or another revision of the analysis:
    /// then remove the directory and [`create`](Self::create) anew. `Io` if the operating system refuses.
    pub fn open(dir: &Path, field: &KeywordField) -> Result<Self> {
        // Without the list of its files none of them is checked, and one that is gone is not missed: so it is where the
        // removal of an index was cut short.
        if !dir.join(FILES).try_exists()? {
            return Err(Error::corrupted("the keyword index", "the list of its files is missing"));
        }
        let index = Files::open(dir).and_then(Index::open).map_err(damaged)?;
        let (schema, layout) = Layout::schema(field);
        if index.schema() != schema {
            return Err(Error::corrupted(
                "the keyword index",
                "it was made for other fields, another language or revision",
            ));
        }
        check(&index)?;
        let mark = Mark::parse(index.load_metas().map_err(damaged)?.payload.as_deref())?;
        Self::over(index, layout, field.language, mark)
    }

    fn over(index: Index, layout: Layout, language: Language, mark: Mark) -> Result<Self> {
        let (analysis, layout) = (Analysis::of(language), Arc::new(layout));
        index.tokenizers().register(&words::name(language), analysis.terms.clone());
        if let Some(words) = &analysis.words {
            index.tokenizers().register(&words::name_of_words(language), words.clone());
        }
        let reader =
            index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(damaged)?;
        let committed = Arc::new(Committed::load(&reader, &layout, None)?);
        let state = State::new(committed, mark, layout.texts.len());
        let (writer, is_closed) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Self { index, reader, layout, analysis, writer, is_closed, state: Mutex::new(state) })
    }

    /// What the last commit covers: operations after this one must be handed over again after a restart.
    pub fn seqno(&self) -> Seqno {
        self.state.lock().mark.seqno
    }

    /// The highest version that the last commit holds. If storage, after a power loss, has never given this version,
    /// the index is ahead of the truth: remove it and create anew.
    pub fn version_max(&self) -> Option<Version> {
        self.state.lock().mark.version_max
    }

    /// Adds a document: the texts at each path of the index, in their order. Without texts there is nothing to find,
    /// and nothing is added. A version not above all earlier ones is held already and passed over. Only the writer
    /// calls this.
    pub fn add(&self, version: Version, texts: &[Vec<&str>]) {
        if texts.iter().any(|texts| !texts.is_empty()) {
            debug_assert_eq!(texts.len(), self.layout.paths.len());
            let texts = texts.iter().map(|texts| joined(texts).into()).collect();
            self.state.lock().add(version, texts, &mut self.analysis.clone());
        }
    }

    /// Removes a document, in this or an earlier commit. What hides it from searches is that its slot is no longer
    /// alive; this makes room. Only the writer calls this.
    pub fn remove(&self, version: Version) {
        self.state.lock().remove(version);
    }

    /// An unchanging view of everything added so far. Cheap; to be called once per group of writes.
    pub fn publish(&self) -> KeywordView {
        let mut state = self.state.lock();
        let (tail, removed) = state.tail();
        let (committed, layout) = (Arc::clone(&state.committed), Arc::clone(&self.layout));
        let analysis = self.analysis.clone();
        KeywordView(Arc::new(Snapshot::new(committed, tail, removed, layout, analysis)))
    }

    /// Begins a commit of everything handed over so far, marked with `seqno`: exactly the operations up to there. For a
    /// moment in which nothing is handed over. Nothing is written yet, and nothing if there is nothing to write; a
    /// second caller waits for the first commit to end.
    pub fn begin(&self, seqno: Seqno) -> Option<KeywordCommit<'_>> {
        self.begun(self.writer.lock(), seqno)
    }

    /// As [`begin`](Self::begin), for a caller that holds up others: nothing as well while a commit is under way, or
    /// the files are [verified](Self::verify).
    pub fn try_begin(&self, seqno: Seqno) -> Option<KeywordCommit<'_>> {
        self.begun(self.writer.try_lock()?, seqno)
    }

    fn begun<'a>(
        &'a self,
        writer: MutexGuard<'a, Option<Writer>>,
        seqno: Seqno,
    ) -> Option<KeywordCommit<'a>> {
        if self.is_closed.load(Ordering::Relaxed) {
            return None;
        }
        let (operations, mark) = self.state.lock().seal(seqno)?;
        Some(KeywordCommit { index: self, writer, operations, mark })
    }

    /// Begins a commit and writes it. For a caller that has nothing to wait for between the two.
    ///
    /// # Errors
    /// As for [`KeywordCommit::write`].
    pub fn commit(&self, seqno: Seqno) -> Result<()> {
        self.begin(seqno).map_or(Ok(()), KeywordCommit::write)
    }

    /// Waits for what is being written, and has nothing written from now on: the directory can be moved, or be that of
    /// another index. Views go on.
    pub fn close(&self) {
        let mut writer = self.writer.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        if let Some(Err(error)) = writer.take().map(|writer| writer.inner.wait_merging_threads()) {
            tracing::warn!(%error, "a merge of a keyword index that is given up failed");
        }
    }

    /// Gives back what commits take, three threads and a file, if none was made for so long and nothing is merged; the
    /// next commit takes it again. Whether there was anything to give back.
    ///
    /// # Errors
    /// `Io` when it cannot be found out whether something is merged: then nothing is given back.
    pub fn rest(&self, idle: Duration) -> Result<bool> {
        let Some(mut writer) = self.writer.try_lock() else { return Ok(false) };
        if writer.as_ref().is_none_or(|writer| writer.used.elapsed() < idle) {
            return Ok(false);
        }
        // A merge that is broken off here would be begun anew, perhaps never to end.
        let segments = self.index.searchable_segment_metas().map_err(failure)?;
        if !merges().compute_merge_candidates(&segments).is_empty() {
            return Ok(false);
        }
        *writer = None;
        Ok(true)
    }

    /// Documents that no commit covers yet.
    pub fn pending(&self) -> usize {
        self.state.lock().pending()
    }

    /// Bytes in memory of what no commit covers yet, about.
    pub fn pending_bytes(&self) -> usize {
        self.state.lock().bytes()
    }

    /// Checks every file of the last commit against its checksum.
    ///
    /// # Errors
    /// `Corrupted`, naming the files.
    pub fn verify(&self) -> Result<()> {
        // No commit may begin, but a merge may end and remove files while they are read: then look again.
        let _writer = self.writer.lock();
        check(&self.index).or_else(|_| check(&self.index))
    }

    /// Every version held, committed or not, ascending; for comparison with storage.
    pub fn versions(&self) -> Vec<Version> {
        let (committed, operations) = {
            let state = self.state.lock();
            (Arc::clone(&state.committed), state.operations())
        };
        let mut versions: std::collections::BTreeSet<Version> =
            committed.alive_versions().into_iter().collect();
        for operation in operations {
            match &*operation {
                Operation::Add(document) => drop(versions.insert(document.version)),
                Operation::Remove(version) => drop(versions.remove(version)),
            }
        }
        versions.into_iter().collect()
    }

    fn write(&self, writer: &mut Option<Writer>, operations: &[Arc<Operation>], mark: Mark) -> Result<()> {
        let (writer, held) = match writer {
            Some(writer) => (writer, None),
            None => {
                // A commit may have reached the disk although it failed.
                let held =
                    Mark::parse(self.index.load_metas().map_err(failure)?.payload.as_deref())?.version_max;
                (writer.insert(Writer { inner: self.make_writer()?, used: Instant::now() }), held)
            }
        };
        writer.used = Instant::now();
        let writer = &mut writer.inner;
        for operation in operations {
            match &**operation {
                Operation::Add(document) if held.is_some_and(|held| document.version <= held) => {}
                Operation::Add(document) => {
                    writer.add_document(self.document(document)).map_err(failure)?;
                }
                Operation::Remove(version) => {
                    writer.delete_term(self.layout.identity(*version));
                }
            }
        }
        waypoint::pass("keyword.added");
        let mut prepared = writer.prepare_commit().map_err(failure)?;
        prepared.set_payload(&mark.to_payload());
        waypoint::pass("keyword.prepared");
        prepared.commit().map_err(failure)?;
        waypoint::pass("keyword.committed");
        Ok(())
    }

    fn document(&self, Document { version, texts, lengths }: &Document) -> TantivyDocument {
        let layout = &*self.layout;
        let mut document = TantivyDocument::default();
        document.add_u64(layout.version, version.0);
        let all = joined(texts);
        let paths = texts.iter().map(|text| &**text);
        for (column, text) in std::iter::once(&*all).chain(paths).take(layout.texts.len()).enumerate() {
            document.add_text(layout.texts[column], text);
            document.add_u64(layout.lengths[column].0, lengths[column].into());
        }
        if let Some(words) = layout.words {
            document.add_text(words, all);
        }
        document
    }

    fn make_writer(&self) -> Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        let writer = self.index.writer_with_options(options).map_err(failure)?;
        writer.set_merge_policy(Box::new(merges()));
        Ok(writer)
    }
}

/// Which segments are merged.
fn merges() -> LogMergePolicy {
    let mut merges = LogMergePolicy::default();
    merges.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
    merges
}

/// A commit that has begun: what was handed over before it, and the right to write.
pub struct KeywordCommit<'a> {
    index: &'a KeywordIndex,
    writer: MutexGuard<'a, Option<Writer>>,
    operations: Vec<Arc<Operation>>,
    mark: Mark,
}

impl KeywordCommit<'_> {
    /// Writes it to the disk, beside [`KeywordIndex::add`] and [`KeywordIndex::publish`], which afterwards gives views
    /// without these documents in the tail.
    ///
    /// # Errors
    /// When the disk cannot be written. Nothing is lost, as when it is dropped unwritten: the next commit has the same
    /// operations.
    pub fn write(mut self) -> Result<()> {
        let index = self.index;
        let before = Arc::clone(&index.state.lock().committed);
        let result = index
            .write(&mut self.writer, &self.operations, self.mark)
            .and_then(|()| Committed::load(&index.reader, &index.layout, Some(&before)));
        if result.is_err() {
            // What the writer has taken is forgotten with it; a new one finds out what reached the disk.
            *self.writer = None;
        }
        index.state.lock().finish(Arc::new(result?), self.mark);
        Ok(())
    }
}

/// Texts as one, further apart than any phrase reaches.
fn joined<T: AsRef<str>>(texts: &[T]) -> String {
    let mut joined = String::new();
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            joined.push(SEPARATOR);
        }
        joined.push_str(text.as_ref());
    }
    joined
}

fn check(index: &Index) -> Result<()> {
    let damaged_files = index.validate_checksum().map_err(damaged)?;
    if damaged_files.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = damaged_files.iter().map(|path| path.display().to_string()).collect();
    Err(Error::corrupted("the keyword index", format!("wrong checksum of {}", names.join(", "))))
}

#[cfg(test)]
mod tests;
