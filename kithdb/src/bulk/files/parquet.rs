//! Parquet: row groups in, row groups out.
//!
//! Row groups may be as large as a file; they are read in batches, so no more of one is held than a batch and, of each
//! column, a page. Texts and bytes are read as views: rows that share a text in a dictionary share it in a batch too,
//! so that what a row weighs is known before it has a copy.
//!
//! Texts of the encoding `DELTA_BYTE_ARRAY`, which share their beginnings, are written out by the library all the same.
//! What a page becomes when it is decompressed has no bound of ours: the library makes room for what the header of the
//! page says (up to 2 GiB), and of gzip and LZ4 frames takes all that they give. Nothing of a page can be asked of it
//! before.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
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
    let found = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?.map_err(refused)?;
    let columns = found.schema().fields().len();
    if columns > limits.columns_max {
        return Err(Error::limit("columns", "the number of columns", columns, limits.columns_max));
    }
    let options = ArrowReaderOptions::new().with_schema(of_views(found.schema()));
    let viewed = guarded(|| ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options))?;
    // What cannot be read so is read as it says it is.
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, viewed.unwrap_or(found));
    let metadata = builder.metadata();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let bytes: i64 = metadata.row_groups().iter().map(|group| group.total_byte_size().max(0)).sum();
    let row_bytes = (bytes as u64 / rows.max(1)).max(widths(builder.schema()));
    let batch_rows = block_rows(usize::try_from(row_bytes).unwrap_or(usize::MAX));
    let reader = guarded(|| builder.with_batch_size(batch_rows).build())?.map_err(refused)?;
    Ok(Source { batches: Box::new(reader), rows: Some(rows) })
}

/// The same columns, with texts and bytes as views.
fn of_views(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| as_view(field)).collect();
    Arc::new(ArrowSchema::new_with_metadata(fields, schema.metadata().clone()))
}

fn as_view(field: &Field) -> Field {
    let inner = |field: &FieldRef| Arc::new(as_view(field));
    let kind = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::List(element) => DataType::List(inner(element)),
        DataType::LargeList(element) => DataType::LargeList(inner(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        kind => kind.clone(),
    };
    field.clone().with_data_type(kind)
}

/// Bytes of a row's values of a fixed size, which may be stored in fewer.
fn widths(schema: &SchemaRef) -> u64 {
    let width = |kind: &DataType| match kind {
        DataType::FixedSizeList(element, size) => {
            element.data_type().primitive_width().unwrap_or(8) as u64 * u64::from(size.unsigned_abs())
        }
        DataType::FixedSizeBinary(size) => u64::from(size.unsigned_abs()),
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

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray as _, DictionaryArray, Int32Array, StringArray};
    use arrow::datatypes::Int32Type;
    use parquet::arrow::arrow_writer::ArrowWriterOptions;

    use super::*;

    /// Each row had its own copy: gigabytes of a file of some hundred bytes.
    #[test]
    fn what_rows_share_is_read_once() {
        let (rows, text) = (8_192, "x".repeat(64 << 10));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str()]));
        let keys = Int32Array::from(vec![0; rows]);
        let column: ArrayRef =
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, texts).expect("keys of it"));
        let batch = RecordBatch::try_from_iter([("text", column)]).expect("a batch");
        let path = std::env::temp_dir().join(format!("kithdb-{}-shared.parquet", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a file");
        // A reader is not told that the column was a dictionary.
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(&file, batch.schema(), options).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("the end");
        let mut source = open(file, &Limits::default()).expect("a source");
        std::fs::remove_file(&path).expect("removed");
        let read = source.batches.next().expect("rows").expect("readable");
        assert_eq!((read.num_rows(), read.schema().field(0).data_type()), (rows, &DataType::Utf8View));
        assert!(read.get_array_memory_size() < 4 << 20, "{} bytes", read.get_array_memory_size());
        let texts = read.column(0).as_string_view();
        assert!(texts.iter().all(|found| found == Some(text.as_str())));
    }
}
