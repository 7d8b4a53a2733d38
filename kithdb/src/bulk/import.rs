//! The way of batches into a collection: read and made points on one thread, committed on another.
//!
//! Invariant: blocks are committed in their order, each whole. The block in which a row is faulty is not committed, and
//! none behind it is.
//! Invariant: a number that is given is that of no point when its row is committed: what others write meanwhile is not
//! overwritten.
//! Invariant: at most one block waits between the threads; who reads waits for who commits. So a source that is slow,
//! or fast, costs no memory.
//! Decoders of formats are not ours, and what they decode may come from anywhere: one that panics has met damaged
//! bytes, and is told as that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use arrow::array::{Array as _, ArrayRef, RecordBatch, RecordBatchReader};
use arrow::error::ArrowError;
use crossbeam_channel::Sender;
use types::{Error, ErrorKind, Op, PointId, Result, Seqno, waypoint};

use super::columns::Columns;
use super::progress::{Entry, Progress};
use super::read::{self, Given};
use super::{BLOCK_BYTES, ImportOptions, block_rows, infer, last, weight};
use crate::asked::{Asked, Operation};
use crate::prepared::Prepared;
use crate::{Collection, Database};

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imported {
    /// Rows that are points now.
    pub rows: u64,
    /// The last commit of it: every later view shows all of it.
    pub seqno: Seqno,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Whence batches come.
type Batches<'a> = Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + Send + 'a>;

/// Points of one commit, checked.
struct Block {
    ops: Vec<Op>,
    /// Analysed where they are read, while the block before is committed.
    texts: Option<Prepared>,
}

impl Block {
    fn of(collection: &Collection, ops: Vec<Op>) -> Self {
        let texts = Prepared::of(&collection.engine, &collection.shared, &ops);
        Self { ops, texts }
    }
}

/// Waiting between the threads.
const BLOCKS_WAITING_MAX: usize = 1;

/// How often a block is given other numbers because others have taken one of them meanwhile.
const NUMBERS_TRIES_MAX: usize = 16;

impl Collection {
    /// Upserts what batches have, in blocks of several thousand rows, each of which is a commit; `progress` is told
    /// after each.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the column, or the row and what is at fault there
    /// (`rows[12].vector[3]`); `Busy` when ids are to be given, and another import does so; `Conflict` when others take
    /// numbers as fast as they are given; as for [`Collection::apply`]. Rows that were committed before stay, and the
    /// message says how many they are.
    pub fn import(
        &self,
        batches: impl RecordBatchReader + Send,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported> {
        let columns = Columns::of(&batches.schema(), options, Some(&self.schema()), self.limits())?;
        self.run(Box::new(batches), &columns, options, progress)
    }

    /// How far the imports are that run now, the oldest first.
    pub fn imports(&self) -> Vec<Progress> {
        self.shared.imports.all()
    }

    fn run(
        &self,
        batches: Batches<'_>,
        columns: &Columns,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported> {
        self.shared.check_exists()?;
        let entry = self.shared.imports.begin(columns.id.is_none()).ok_or_else(|| {
            let message =
                "gives ids to its rows, as another import does that runs; wait for it, or name a column";
            Error::new(ErrorKind::Busy, message).with_field("id")
        })?;
        let mut given = columns.id.is_none().then(|| Given { next: self.next_id() });
        let mut done = (entry.add(0), None);
        let outcome = thread::scope(|scope| {
            let (sender, blocks) = crossbeam_channel::bounded(BLOCKS_WAITING_MAX);
            // Numbers are given when a block is committed; until then its rows have those of the import.
            let numbers = Given { next: Some(0) };
            let source = Source { collection: self, columns, given: numbers, waiting_bytes: 0 };
            scope.spawn(move || source.read(batches, &sender));
            for block in blocks {
                let (told, seqno) = self.commit(block?, options, given.as_mut(), &entry)?;
                done = (told, Some(seqno));
                progress(told);
            }
            Ok(())
        });
        let rows = done.0.rows;
        outcome.map_err(|error| told(error, rows))?;
        let seqno = last(done.1, self.shared.view.load().seqno);
        Ok(Imported { rows, seqno, seconds: entry.add(0).seconds })
    }

    fn commit(
        &self,
        block: Block,
        options: &ImportOptions,
        given: Option<&mut Given>,
        entry: &Entry<'_>,
    ) -> Result<(Progress, Seqno)> {
        let rows = block.ops.len() as u64;
        let seqno = match given {
            Some(given) => self.commit_given(block, options, given)?,
            None => self.write(block.ops, block.texts, options)?,
        };
        waypoint::pass("import.committed");
        Ok((entry.add(rows), seqno))
    }

    /// Commits rows under numbers that no point has. What is written meanwhile may have some of them: then all rows get
    /// others.
    fn commit_given(&self, block: Block, options: &ImportOptions, given: &mut Given) -> Result<Seqno> {
        let Block { mut ops, mut texts } = block;
        for _ in 0..NUMBERS_TRIES_MAX {
            let mut first = None;
            for op in &mut ops {
                if let Op::Upsert(point) = op {
                    point.id = given.take()?;
                    first.get_or_insert(point.id);
                }
            }
            // The others follow the first.
            let are_new = first.is_some_and(|first| self.shared.derived.lock().is_new(first));
            // Prepared ones are gone with the first try.
            let texts = texts.take();
            let written = if are_new {
                self.write_new(ops, texts, options)
            } else {
                self.write_required(ops, texts, options)
            };
            match written? {
                Ok(seqno) => return Ok(seqno),
                Err(refused) => ops = refused,
            }
            given.next = self.next_id();
        }
        let message = "are taken by others as fast as they are given; name a column of ids";
        Err(Error::new(ErrorKind::Conflict, message).with_field("id"))
    }

    /// Commits rows none of which may be there, where that is known without a look; else they come back.
    fn write_new(
        &self,
        ops: Vec<Op>,
        texts: Option<Prepared>,
        options: &ImportOptions,
    ) -> Result<std::result::Result<Seqno, Vec<Op>>> {
        let durability = options.durability.unwrap_or(self.engine.durability);
        let asked = Asked::of(&self.engine, &self.shared.name, Operation::Write);
        let targets = vec![(Arc::clone(&self.shared), ops)];
        match self.workers.write_new(targets, vec![texts], durability, asked.span())? {
            Ok(seqno) => {
                asked.answered(0);
                Ok(Ok(seqno))
            }
            Err(targets) => Ok(Err(targets.into_iter().flat_map(|(_, ops)| ops).collect())),
        }
    }

    /// As [`write_new`](Self::write_new), where each of them has to be looked for: of what was there when the database
    /// was opened, nobody knows the largest number. The rows are copied for that.
    fn write_required(
        &self,
        ops: Vec<Op>,
        texts: Option<Prepared>,
        options: &ImportOptions,
    ) -> Result<std::result::Result<Seqno, Vec<Op>>> {
        let required = ops.iter().flat_map(Op::ids).map(|id| Op::Require { id, if_version: 0 });
        let all = required.chain(ops.iter().cloned()).collect();
        match self.write(all, texts, options) {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Err(ops)),
            written => written.map(Ok),
        }
    }

    fn write(&self, ops: Vec<Op>, texts: Option<Prepared>, options: &ImportOptions) -> Result<Seqno> {
        let durability = options.durability.unwrap_or(self.engine.durability);
        let asked = Asked::of(&self.engine, &self.shared.name, Operation::Write);
        let targets = vec![(Arc::clone(&self.shared), ops)];
        let seqno = self.workers.write_prepared(targets, vec![texts], durability, None, asked.span())?;
        asked.answered(0);
        Ok(seqno)
    }

    /// The number behind the largest that is an id; nothing if there is none left.
    fn next_id(&self) -> Option<u64> {
        let view = self.shared.view.load_full();
        let number = |slot| match view.id(slot) {
            PointId::Num(number) => Some(number),
            PointId::Uuid(_) => None,
        };
        view.alive.iter().filter_map(number).max().map_or(Some(0), |largest| largest.checked_add(1))
    }
}

impl Database {
    /// As [`Collection::import`], into a collection that is made if there is none of that name (or alias): its vectors
    /// are those of the columns, Cosine and stored as they come unless the options say otherwise. If the import fails
    /// before its first commit, it is gone again.
    ///
    /// # Errors
    /// As for [`Collection::import`] and [`Database::create_collection`]; `InvalidArgument` naming a column that may
    /// have vectors and was not named, or whose dimension cannot be told.
    pub fn import(
        &self,
        name: &str,
        mut batches: impl RecordBatchReader + Send,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported> {
        match self.collection(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found?.import(batches, options, progress),
        }
        let schema = batches.schema();
        let columns = Columns::of(&schema, options, None, self.limits())?;
        let first = next(&mut batches)?;
        let made = infer::schema(&schema, &columns, first.as_ref(), options)?;
        let collection = self.create_collection(name, made)?;
        let batches = Box::new(first.into_iter().map(Ok).chain(batches));
        let imported = collection.run(batches, &columns, options, progress);
        if imported.is_err()
            && let Err(error) = self.drop_empty(&collection)
        {
            // The first error says why.
            tracing::warn!(%error, collection = name, "a collection that was made for an import remains");
        }
        imported
    }
}

/// What reads batches and makes points of them.
struct Source<'a> {
    collection: &'a Collection,
    columns: &'a Columns,
    given: Given,
    /// Of the texts and keys of the points that no block has yet.
    waiting_bytes: usize,
}

impl Source<'_> {
    /// Sends blocks until the end of the batches, an error, or the end of who takes them.
    fn read(mut self, mut batches: Batches<'_>, blocks: &Sender<Result<Block>>) {
        let (mut first, mut waiting) = (0, Vec::new());
        let ended = loop {
            let batch = match next(&mut batches) {
                Ok(Some(batch)) => batch,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            match self.take(&batch, &mut first, &mut waiting, blocks) {
                Ok(true) => {}
                // Nobody takes them any more.
                Ok(false) => return,
                Err(error) => break Err(error),
            }
        };
        // Rows before the damaged bytes are sound; rows before a faulty row share its block.
        let rest = (ended.is_ok() && !waiting.is_empty()).then(|| Ok(Block::of(self.collection, waiting)));
        for block in rest.into_iter().chain(ended.err().map(Err)) {
            if blocks.send(block).is_err() {
                return;
            }
        }
    }

    /// Makes points of a batch, and sends the blocks that are full; `false` when nobody takes them.
    fn take(
        &mut self,
        batch: &RecordBatch,
        first: &mut u64,
        waiting: &mut Vec<Op>,
        blocks: &Sender<Result<Block>>,
    ) -> Result<bool> {
        let rows = batch.num_rows();
        let most = block_rows(bytes(batch) / rows.max(1));
        let most = most.min(self.collection.limits().batch_points_max).max(1);
        let (mut at, mut reach) = (0, most);
        while at < rows {
            let count = (rows - at).min(most.saturating_sub(waiting.len()).max(1));
            let slice = self.fitting(batch.slice(at, count.min(2 * reach)), *first)?;
            let count = slice.num_rows();
            reach = count;
            let points = read::points(&slice, self.columns, *first, &mut self.given)?;
            let ops = self.collection.checked(points.into_iter().map(Op::Upsert).collect());
            let start = *first;
            let place = |position: usize| format!("rows[{}]", start + position as u64);
            waiting.extend(ops.map_err(|error| error.relocated("ops", place))?);
            (at, *first) = (at + count, *first + count as u64);
            let is_full = waiting.len() >= most || self.waiting_bytes >= BLOCK_BYTES;
            if is_full {
                let block = Block::of(self.collection, std::mem::take(waiting));
                if blocks.send(Ok(block)).is_err() {
                    return Ok(false);
                }
            }
            self.waiting_bytes = if is_full { 0 } else { self.waiting_bytes };
        }
        Ok(true)
    }

    /// The first of the rows, the one with the number `first` in the import, that fit into a block: nothing is made of
    /// them before that is known.
    ///
    /// # Errors
    /// `LimitExceeded` naming the row that is larger than the payload of a point may be.
    fn fitting(&mut self, mut rows: RecordBatch, first: u64) -> Result<RecordBatch> {
        let mut bytes = weight::of(&rows);
        while bytes > BLOCK_BYTES && rows.num_rows() > 1 {
            rows = rows.slice(0, rows.num_rows() / 2);
            bytes = weight::of(&rows);
        }
        let limit = self.collection.limits().payload_bytes_max;
        if rows.num_rows() == 1 && bytes > limit.max(BLOCK_BYTES) {
            let what = "the size in bytes of the payload";
            return Err(Error::limit(format!("rows[{first}].payload"), what, bytes, limit));
        }
        self.waiting_bytes += bytes;
        Ok(rows)
    }
}

/// Bytes of a batch's rows. What it shares with other batches, or its columns with each other, is not counted twice.
fn bytes(batch: &RecordBatch) -> usize {
    let of = |column: &ArrayRef| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(of).sum()
}

/// What a decoder makes of bytes that may be anything.
///
/// # Errors
/// `InvalidArgument` on `batches` when it panics.
pub(super) fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode))
        .map_err(|_| Error::invalid("batches", "are damaged: their decoder gave up"))
}

/// The next batch.
///
/// # Errors
/// `InvalidArgument` on `batches` for bytes that are none, or that end too early; what the source says.
fn next(
    batches: &mut (impl Iterator<Item = std::result::Result<RecordBatch, ArrowError>> + ?Sized),
) -> Result<Option<RecordBatch>> {
    guarded(|| batches.next())?.transpose().map_err(refused)
}

/// The error of a source of batches.
pub(super) fn refused(error: ArrowError) -> Error {
    let invalid = |message: String| Error::invalid("batches", message);
    match error {
        ArrowError::ExternalError(source) => match source.downcast::<Error>() {
            Ok(error) => *error,
            Err(source) => invalid(format!("are not readable: {source}")).with_source(source),
        },
        ArrowError::IoError(_, source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            invalid("break off before their end".to_owned()).with_source(source)
        }
        ArrowError::IoError(_, source) => source.into(),
        error => invalid(format!("are not readable: {error}")).with_source(error),
    }
}

/// The error, and what was done before it.
fn told(error: Error, rows: u64) -> Error {
    let before = if rows == 0 { "nothing was".to_owned() } else { format!("{rows} rows before it were") };
    let message = format!("{}; {before} imported", error.message());
    let field = error.field().map(str::to_owned);
    let told = Error::new(error.kind(), message).with_source(error);
    match field {
        Some(field) => told.with_field(field),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchIterator};
    use types::{Filter, Limits, Op, Point, Schema};

    use crate::bulk::ImportOptions;
    use crate::{Database, Options, Select};

    /// Blocks are of two rows here, and somebody writes behind the first of them.
    #[test]
    fn numbers_that_others_take_meanwhile_are_not_given() {
        let limits = Limits { batch_points_max: 2, ..Limits::default() };
        let db = Database::in_memory_with(Options { limits, ..Options::default() }).expect("a database");
        let c = db.create_collection("c", Schema::new()).expect("a collection");
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5));
        let batch = RecordBatch::try_from_iter([("n", column)]).expect("a batch");
        let schema = batch.schema();
        let batches = RecordBatchIterator::new([Ok(batch)], schema);
        let imported = c.import(batches, &ImportOptions::default(), &mut |progress| {
            if progress.rows == 2 {
                c.upsert(vec![Point::new(3).with("n", "theirs")]).expect("a point");
            }
        });
        assert_eq!(imported.expect("imported").rows, 5);
        let points = c.scroll(&Filter::default(), None, 9, &Select::all()).expect("a page").points;
        let ours =
            [(0, 0), (1, 1), (4, 2), (5, 3), (6, 4)].map(|(id, n): (u64, i64)| Point::new(id).with("n", n));
        let mut expected = Vec::from(ours);
        expected.insert(2, Point::new(3).with("n", "theirs"));
        assert_eq!(points, expected);
    }

    /// As where somebody writes between the look and the turn.
    #[test]
    fn rows_that_were_to_be_new_come_back() {
        let db = Database::in_memory().expect("a database");
        let c = db.create_collection("c", Schema::new()).expect("a collection");
        c.upsert(vec![Point::new(3)]).expect("a point");
        let write = |ids: [u64; 2]| {
            let ops = ids.map(|id| Op::Upsert(Point::new(id))).into();
            c.write_new(ops, None, &ImportOptions::default()).expect("asked")
        };
        let refused = write([3, 4]).expect_err("one of them is there");
        assert_eq!((refused.len(), c.status().points), (2, 1));
        write([4, 5]).expect("new");
        assert_eq!(c.status().points, 3);
    }

    #[test]
    fn what_others_have_written_to_is_not_taken_back() {
        let db = Database::in_memory().expect("a database");
        let made = db.create_collection("c", Schema::new()).expect("a collection");
        made.upsert(vec![Point::new(1)]).expect("a point");
        assert!(!db.drop_empty(&made).expect("asked"));
        made.delete(vec![1.into()]).expect("a delete");
        assert!(db.drop_empty(&made).expect("asked"));
        db.create_collection("c", Schema::new()).expect("another one");
        assert!(!db.drop_empty(&made).expect("asked"), "it is another one");
    }
}
