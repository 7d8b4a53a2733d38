//! Parquet: row groups in, row groups out.
//!
//! Row groups may be as large as a file; they are read in batches, so no more of one is held than a batch and, of each
//! column, a page.
//!
//! What a page becomes when it is decompressed has no bound of ours: the library makes room for what the header of the
//! page says (up to 2 GiB), and of gzip and LZ4 frames takes all that they give. Nothing of a page can be asked of it
//! before.

use std::fs::File;
use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use types::{Error, Limits, Result};

use super::{Sink as Sinks, Source, malformed};
use crate::bulk::block_rows;
use crate::bulk::import::guarded;

/// Rows of a row group that is written; its pages are held until it is full.
const GROUP_ROWS: usize = 65_536;

/// Opens a file.
///
/// # Errors
/// `InvalidArgument` for a file that is none; `LimitExceeded` for too many columns; `Io`.
pub(super) fn open(file: File, limits: &Limits) -> Result<Source> {
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(file))?.map_err(refused)?;
    let columns = builder.schema().fields().len();
    if columns > limits.columns_max {
        return Err(Error::limit("columns", "the number of columns", columns, limits.columns_max));
    }
    let metadata = builder.metadata();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let bytes: i64 = metadata.row_groups().iter().map(|group| group.total_byte_size().max(0)).sum();
    let row_bytes = (bytes as u64 / rows.max(1)).max(widths(builder.schema()));
    let batch_rows = block_rows(usize::try_from(row_bytes).unwrap_or(usize::MAX));
    let reader = guarded(|| builder.with_batch_size(batch_rows).build())?.map_err(refused)?;
    Ok(Source { batches: Box::new(reader), rows: Some(rows) })
}

/// Bytes of a row's fixed-size lists, which may be stored in fewer.
fn widths(schema: &SchemaRef) -> u64 {
    let width = |kind: &DataType| match kind {
        DataType::FixedSizeList(element, size) => {
            element.data_type().primitive_width().unwrap_or(8) as u64 * u64::from(size.unsigned_abs())
        }
        _ => 8,
    };
    schema.fields().iter().map(|field| width(field.data_type())).sum()
}

fn refused(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => (*error).into(),
            Err(source) => malformed(format!("is not readable: {source}")).with_source(source),
        },
        error => malformed(format!("is not readable: {error}")).with_source(error),
    }
}

/// Begins to write.
///
/// # Errors
/// `InvalidArgument` for what Parquet cannot hold; `Io`.
pub(super) fn sink<'a>(to: impl Write + Send + 'a, schema: &SchemaRef) -> Result<Box<dyn Sinks + 'a>> {
    let compression = Compression::ZSTD(ZstdLevel::default());
    // Vectors hardly repeat: a dictionary of them is built in vain.
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_dictionary_enabled(false);
    let writer = ArrowWriter::try_new(to, SchemaRef::clone(schema), Some(properties.build()));
    Ok(Box::new(Sink(writer.map_err(refused)?)))
}

struct Sink<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> Sinks for Sink<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).map_err(refused)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.close().map(drop).map_err(refused)
    }
}
