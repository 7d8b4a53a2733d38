//! The files that have points in columns: what each kind is called, how it is read and written.
//!
//! | ending                     | what it has                                                | read | written  |
//! |----------------------------|------------------------------------------------------------|------|----------|
//! | `.arrow` `.ipc` `.feather` | Arrow IPC, a stream or a file                              | yes  | a stream |
//! | `.parquet`                 | Parquet, plain or compressed: Snappy, LZ4, Zstandard, gzip | yes  | yes      |
//! | `.jsonl` `.ndjson`         | a JSON object a line                                       | yes  | yes      |
//! | `.npy`                     | NumPy: one array, rows by dimensions                       | yes  |          |
//! | `.fvecs` `.bvecs`          | a row: its dimension, its elements as floats or bytes      | yes  |          |
//! | `.hdf5` `.h5`              | HDF5: the dataset `train`, as ann-benchmarks.com has it    | yes  |          |
//!
//! Cost: a batch at a time, whatever the file is.

mod hdf5;
mod ipc;
mod jsonl;
mod npy;
mod parquet;
mod vecs;

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use types::{DEFAULT_VECTOR, Error, Limits, Metric, Result};

use super::{ImportOptions, METRIC_KEY, VECTOR, VECTOR_KEY, block_rows};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Arrow IPC, as a stream; a file is read as one.
    Arrow,
    /// Parquet.
    Parquet,
    /// A JSON object a line: `{"id": 1, "vector": [..], "payload": {..}}`; further keys are payload as well.
    JsonLines,
    /// One NumPy array.
    Npy,
    /// Rows of floats, each behind its dimension.
    Fvecs,
    /// Rows of bytes, each behind its dimension.
    Bvecs,
    /// HDF5.
    Hdf5,
}

/// Batches out of a file.
pub struct Source {
    /// The batches.
    pub batches: Box<dyn RecordBatchReader + Send>,
    /// How many rows they have, if the file says so.
    pub rows: Option<u64>,
}

/// Batches into a file.
pub trait Sink {
    /// Writes one.
    ///
    /// # Errors
    /// `Io`; `InvalidArgument` for what the format cannot hold.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes the end: without it the file is none.
    ///
    /// # Errors
    /// As for [`Sink::write`].
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What stands at the beginning of a Parquet file, and of an Arrow file.
const PARQUET_MAGIC: &[u8] = b"PAR1";
const ARROW_MAGIC: &[u8] = b"ARROW1";

impl Format {
    /// By the ending of a name.
    ///
    /// # Errors
    /// `InvalidArgument` on `format`, naming those that there are.
    pub fn of_path(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "arrow" | "arrows" | "ipc" | "feather" => Ok(Self::Arrow),
            "parquet" => Ok(Self::Parquet),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "npy" => Ok(Self::Npy),
            "fvecs" => Ok(Self::Fvecs),
            "bvecs" => Ok(Self::Bvecs),
            "hdf5" | "h5" => Ok(Self::Hdf5),
            _ => {
                let name = path.display();
                let message = format!(
                    "`{name}` ends as no kind of file that is known: .parquet, .arrow, .ipc, .feather, .jsonl, \
                     .ndjson, .npy, .fvecs, .bvecs, .hdf5 and .h5 are"
                );
                Err(Error::invalid("format", message))
            }
        }
    }

    /// By how the bytes begin: Parquet, or an Arrow file, or an Arrow stream; nothing if they begin otherwise.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            bytes if bytes.starts_with(PARQUET_MAGIC) => Some(Self::Parquet),
            // A stream begins with the length of its schema, behind a mark since version 0.15.
            bytes if bytes.starts_with(ARROW_MAGIC) || bytes.starts_with(&[0xff; 4]) => Some(Self::Arrow),
            _ => None,
        }
    }
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::of_path(Path::new(&format!("x.{name}"))).map_err(|_| {
            let message = format!("`{name}` is none of arrow, parquet, jsonl, npy, fvecs, bvecs, hdf5");
            Error::invalid("format", message)
        })
    }
}

/// Opens a file.
///
/// # Errors
/// `InvalidArgument` for a file that is not of its kind; `Io`.
pub fn open(path: &Path, format: Format, options: &ImportOptions, limits: &Limits) -> Result<Source> {
    match format {
        Format::Hdf5 => hdf5::open(path, limits),
        Format::Parquet => parquet::open(File::open(path)?, limits),
        format => {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            read(BufReader::with_capacity(1 << 20, file), Some(bytes), format, options, limits)
        }
    }
}

/// Reads a stream, of so many bytes if that is known. Parquet and HDF5 are read from files alone: their end says what
/// is in them.
///
/// # Errors
/// As for [`open`].
pub fn read(
    from: impl Read + Send + 'static,
    bytes: Option<u64>,
    format: Format,
    options: &ImportOptions,
    limits: &Limits,
) -> Result<Source> {
    match format {
        Format::Arrow => {
            let batches = Box::new(ipc::Stream::new(from, limits.record_batch_bytes_max)?);
            Ok(Source { batches, rows: None })
        }
        Format::JsonLines => {
            let batches = Box::new(jsonl::Lines::new(BufReader::new(from), options, limits)?);
            Ok(Source { batches, rows: None })
        }
        Format::Npy => npy::read(from, limits),
        Format::Fvecs | Format::Bvecs => vecs::read(from, format == Format::Bvecs, bytes, limits),
        Format::Parquet | Format::Hdf5 => {
            let message = "is a kind of file that cannot be read as it comes; give it as a file";
            Err(Error::invalid("format", message))
        }
    }
}

/// Opens a Parquet file that is open already.
///
/// # Errors
/// As for [`open`].
pub fn open_parquet(file: File, limits: &Limits) -> Result<Source> {
    parquet::open(file, limits)
}

/// Begins to write batches of a schema.
///
/// # Errors
/// `InvalidArgument` on `format` for one that is only read; `Io`.
pub fn write<'a>(
    to: impl Write + Send + 'a,
    format: Format,
    schema: &SchemaRef,
) -> Result<Box<dyn Sink + 'a>> {
    match format {
        Format::Arrow => Ok(Box::new(ArrowSink(StreamWriter::try_new(to, schema).map_err(refused)?))),
        Format::Parquet => parquet::sink(to, schema),
        Format::JsonLines => Ok(Box::new(jsonl::Sink::new(to, schema)?)),
        Format::Npy | Format::Fvecs | Format::Bvecs | Format::Hdf5 => {
            Err(Error::invalid("format", "is read, not written; .parquet, .arrow and .jsonl are written"))
        }
    }
}

struct ArrowSink<W: Write>(StreamWriter<W>);

impl<W: Write> Sink for ArrowSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(refused)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.0.finish().map_err(refused)
    }
}

/// Batches of one column of vectors, each made by a function.
struct Vectors<F> {
    schema: SchemaRef,
    next: F,
}

/// The elements of some rows, and how many these are; nothing at the end.
type Rows = Result<Option<ArrayRef>>;

impl<F: FnMut() -> Rows + Send> Vectors<F> {
    /// Of a dimension and a type of elements; the metric is that which the file names.
    fn new(dim: usize, element: DataType, metric: Option<Metric>, next: F) -> Result<Self> {
        let too_large = || Error::invalid("dimension", format!("is {dim}, which no vector has"));
        let size = i32::try_from(dim).ok().filter(|size| *size > 0).ok_or_else(too_large)?;
        let list = DataType::FixedSizeList(Arc::new(Field::new_list_field(element, false)), size);
        let mut field = Field::new(VECTOR, list, false);
        field.metadata_mut().insert(VECTOR_KEY, DEFAULT_VECTOR);
        if let Some(metric) = metric {
            field.metadata_mut().insert(METRIC_KEY, metric.name().to_owned());
        }
        Ok(Self { schema: Arc::new(ArrowSchema::new(vec![field])), next })
    }

    fn batch(&self, elements: ArrayRef) -> std::result::Result<RecordBatch, ArrowError> {
        let DataType::FixedSizeList(field, size) = self.schema.field(0).data_type() else {
            return Err(ArrowError::SchemaError("vectors are fixed-size lists".to_owned()));
        };
        let list = FixedSizeListArray::try_new(Arc::clone(field), *size, elements, None)?;
        RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(list)])
    }
}

impl<F: FnMut() -> Rows + Send> Iterator for Vectors<F> {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.next)() {
            Ok(elements) => elements.map(|elements| self.batch(elements)),
            Err(error) => Some(Err(ArrowError::ExternalError(Box::new(error)))),
        }
    }
}

impl<F: FnMut() -> Rows + Send> RecordBatchReader for Vectors<F> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Rows of a batch of vectors.
fn vector_rows(dim: usize) -> usize {
    block_rows(dim.saturating_mul(4))
}

/// The error of a source of batches, as one of the database.
pub fn refused(error: ArrowError) -> Error {
    super::import::refused(error)
}

/// A file that is not of its kind.
fn malformed(message: impl Into<String>) -> Error {
    Error::invalid("file", message)
}
