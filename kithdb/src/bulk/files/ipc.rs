//! Arrow IPC, message by message, within bounds.
//!
//! Invariant: no length that a message states is believed: neither that of its body, which may be larger than memory,
//! nor that of a buffer once it is decompressed. What is larger than the limit is refused before anything is made for
//! it.
//! Invariant: a source that breaks off is an error, also between two messages.
//! Source: <https://arrow.apache.org/docs/format/Columnar.html>. A file is a stream behind eight bytes, with a footer
//! behind its end, so it is read as one: without seeking.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchReader};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::{self, MessageHeader};
use types::{Error, Result};

use super::{ARROW_MAGIC, malformed, refused};
use crate::bulk::BLOCK_BYTES;
use crate::bulk::import::guarded;

/// The mark before each length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// What a file begins with is filled up with zeros to a multiple of 8, of 64 at most.
const MAGIC_BYTES_MAX: usize = 64;

/// Bytes of the description of a message: a schema of the most columns takes less.
const DESCRIPTION_BYTES_MAX: usize = 16 << 20;

/// Bytes that are made ready at once for a body, whatever its length is said to be: as many as a block of rows has, for
/// a body that grows by doubling is copied as it grows.
const STEP_BYTES: usize = BLOCK_BYTES;

/// A stream of batches.
pub(super) struct Stream<R> {
    from: R,
    bytes_max: usize,
    dictionaries: HashMap<i64, ArrayRef>,
    schema: SchemaRef,
    is_over: bool,
}

impl<R: Read> Stream<R> {
    /// Reads the schema.
    ///
    /// # Errors
    /// `InvalidArgument` for bytes that are no stream; what the source says.
    pub(super) fn new(from: R, bytes_max: usize) -> Result<Self> {
        let schema = Arc::new(ArrowSchema::empty());
        let mut stream = Self { from, bytes_max, dictionaries: HashMap::new(), schema, is_over: false };
        match stream.message(true)? {
            Step::Schema(schema) => stream.schema = Arc::new(schema),
            _ => return Err(malformed("has no schema at its beginning: it is no Arrow stream")),
        }
        Ok(stream)
    }

    /// Takes one message in.
    fn message(&mut self, is_first: bool) -> Result<Step> {
        let mut length = [0; 4];
        if !self.fill(&mut length, !is_first)? {
            return Ok(Step::End);
        }
        if is_first && length == ARROW_MAGIC[..4] {
            self.skip_magic(&mut length)?;
        }
        if length == CONTINUATION {
            self.fill(&mut length, false)?;
        }
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes == 0 {
            return Ok(Step::End);
        }
        if bytes > DESCRIPTION_BYTES_MAX {
            let message = format!("has a message whose description is {bytes} bytes: it is no Arrow stream");
            return Err(malformed(message));
        }
        let description = self.take(bytes)?;
        let message = ipc::root_as_message(&description).map_err(|error| damaged(&error))?;
        let body_bytes = usize::try_from(message.bodyLength()).unwrap_or(usize::MAX);
        self.check("a batch", body_bytes)?;
        let body = self.take(body_bytes)?;
        self.check_buffers(&message, &body)?;
        // What the checks before it miss is no reason to break down.
        let step = guarded(|| self.decode(&message, &body, is_first))?;
        step.map_err(refused)
    }

    /// Passes over the rest of what a file begins with: up to so many bytes, the last of them zero.
    fn skip_magic(&mut self, word: &mut [u8; 4]) -> Result<()> {
        for _ in 1..MAGIC_BYTES_MAX / 4 {
            self.fill(word, false)?;
            if *word != [0; 4] && *word != *b"W1\0\0" {
                return Ok(());
            }
        }
        self.fill(word, false).map(drop)
    }

    fn decode(
        &mut self,
        message: &ipc::Message<'_>,
        body: &Buffer,
        is_first: bool,
    ) -> std::result::Result<Step, ArrowError> {
        let misplaced =
            || ArrowError::IpcError("a message is not what it says, or not where it belongs".to_owned());
        let (schema, version) = (Arc::clone(&self.schema), message.version());
        match message.header_type() {
            MessageHeader::Schema if is_first => {
                let schema = message.header_as_schema().ok_or_else(misplaced)?;
                Ok(Step::Schema(try_fb_to_schema(schema)?))
            }
            MessageHeader::RecordBatch if !is_first => {
                let batch = message.header_as_record_batch().ok_or_else(misplaced)?;
                read_record_batch(body, batch, schema, &self.dictionaries, None, &version).map(Step::Batch)
            }
            MessageHeader::DictionaryBatch if !is_first => {
                let batch = message.header_as_dictionary_batch().ok_or_else(misplaced)?;
                read_dictionary(body, batch, &schema, &mut self.dictionaries, &version).map(|()| Step::Took)
            }
            _ => Err(misplaced()),
        }
    }

    /// The buffers of a batch lie in its body, also once they are decompressed: the decoder takes that for granted.
    fn check_buffers(&self, message: &ipc::Message<'_>, body: &[u8]) -> Result<()> {
        let batch = match message.header_type() {
            MessageHeader::RecordBatch => message.header_as_record_batch(),
            MessageHeader::DictionaryBatch => {
                message.header_as_dictionary_batch().and_then(|batch| batch.data())
            }
            _ => None,
        };
        let Some(batch) = batch else { return Ok(()) };
        let mut bytes = 0_usize;
        for buffer in batch.buffers().into_iter().flatten() {
            let start = usize::try_from(buffer.offset()).ok();
            let end = start
                .zip(usize::try_from(buffer.length()).ok())
                .and_then(|(start, len)| start.checked_add(len));
            let found = start.zip(end).and_then(|(start, end)| body.get(start..end));
            let found = found.ok_or_else(|| malformed("has a batch whose columns lie outside of it"))?;
            if batch.compression().is_some() {
                // An empty one has no prefix; -1 says that it is not compressed. Others the decoder refuses.
                let said = found.first_chunk().map_or(0, |prefix| i64::from_le_bytes(*prefix));
                bytes = bytes.saturating_add(usize::try_from(said).unwrap_or(0));
            }
        }
        self.check("a batch, decompressed,", bytes)
    }

    fn check(&self, what: &str, bytes: usize) -> Result<()> {
        if bytes <= self.bytes_max {
            return Ok(());
        }
        let message = format!(
            "{what} is {bytes} bytes, the limit record_batch_bytes_max is {}; write smaller batches",
            self.bytes_max
        );
        Err(Error::new(types::ErrorKind::LimitExceeded, message).with_field("batches"))
    }

    /// Fills bytes; `false` when the source ends before the first, and may.
    fn fill(&mut self, bytes: &mut [u8], may_end: bool) -> Result<bool> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.from.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 && may_end => return Ok(false),
                Ok(0) => return Err(refused(broken())),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(refused(error.into())),
            }
        }
        Ok(true)
    }

    /// So many bytes, of which no more are made ready than come.
    fn take(&mut self, bytes: usize) -> Result<Buffer> {
        let mut taken = MutableBuffer::new(bytes.min(STEP_BYTES));
        while taken.len() < bytes {
            let start = taken.len();
            // Doubled as it fills, so that a length that lies costs no more than what came.
            taken.resize(bytes.min((start * 2).max(STEP_BYTES)), 0);
            let mut part = std::mem::take(&mut taken);
            let filled = self.fill(&mut part.as_slice_mut()[start..], false);
            taken = part;
            filled?;
        }
        Ok(taken.into())
    }
}

/// What a message did.
enum Step {
    Schema(ArrowSchema),
    /// It was a dictionary.
    Took,
    Batch(RecordBatch),
    End,
}

fn broken() -> ArrowError {
    std::io::Error::new(ErrorKind::UnexpectedEof, "the stream breaks off").into()
}

fn damaged(error: &dyn std::fmt::Debug) -> Error {
    malformed(format!("has a damaged message: {error:?}"))
}

impl<R: Read> Iterator for Stream<R> {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            match self.message(false) {
                Ok(Step::Took | Step::Schema(_)) => {}
                Ok(Step::Batch(batch)) => return Some(Ok(batch)),
                Ok(Step::End) => self.is_over = true,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(ArrowError::ExternalError(Box::new(error))));
                }
            }
        }
        None
    }
}

impl<R: Read> RecordBatchReader for Stream<R> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, UInt64Array};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

    use super::*;

    fn batch() -> RecordBatch {
        let (ids, floats) = (UInt64Array::from_iter_values(0..1000), Float32Array::from(vec![1.0; 1000]));
        RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("x", Arc::new(floats) as _)])
            .expect("a batch")
    }

    fn stream(compression: Option<CompressionType>) -> Vec<u8> {
        let options = IpcWriteOptions::default().try_with_compression(compression).expect("a codec");
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), &batch().schema(), options).expect("a writer");
        writer.write(&batch()).expect("written");
        writer.write(&batch()).expect("written");
        writer.into_inner().expect("the end")
    }

    fn read(bytes: &[u8], bytes_max: usize) -> Result<Vec<RecordBatch>> {
        let batches: std::result::Result<_, _> = Stream::new(bytes, bytes_max)?.collect();
        batches.map_err(refused)
    }

    #[test]
    fn streams_and_files_are_read_whatever_their_compression() {
        let mut writer = FileWriter::try_new(Vec::new(), &batch().schema()).expect("a writer");
        writer.write(&batch()).expect("written");
        assert_eq!(read(&writer.into_inner().expect("the end"), 1 << 20).expect("a file"), [batch()]);
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            assert_eq!(read(&stream(compression), 1 << 20).expect("a stream"), [batch(), batch()]);
        }
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_but_between_messages_is_refused() {
        let whole = stream(None);
        let mut ends = 0;
        for cut in 0..whole.len() {
            match read(&whole[..cut], 1 << 20) {
                Ok(batches) => {
                    ends += 1;
                    assert!(batches.len() < 3);
                }
                Err(error) => assert_eq!(error.kind(), types::ErrorKind::InvalidArgument, "{error}"),
            }
        }
        assert_eq!(ends, 3, "behind the schema and behind each batch");
    }

    #[test]
    fn no_stated_length_is_believed() {
        assert_eq!(read(&stream(None), 1000).expect_err("large").kind(), types::ErrorKind::LimitExceeded);
        // Every byte of lengths and descriptions changed once: no panic, and nothing large is made.
        for compression in [None, Some(CompressionType::ZSTD)] {
            let whole = stream(compression);
            for at in 0..whole.len().min(1200) {
                for value in [0, 0x7f, 0xff] {
                    let mut changed = whole.clone();
                    changed[at] = value;
                    // A change of a value is no damage that can be seen.
                    let _ = read(&changed, 1 << 20);
                }
            }
        }
    }
}
