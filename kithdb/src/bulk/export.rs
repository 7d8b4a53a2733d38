//! Points as batches, of one state.
//!
//! Invariant: all batches have one schema, and give back every point as it was when they are imported.
//! Cost: payloads are read twice, once for the schema; a batch is held at a time. While an export is held, nothing that
//! it shows is purged.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use query::View;
use types::{DEFAULT_VECTOR, Error, Payload, Result, Schema, Slot, Value, Vector};

use super::arrays::{self, IdKind};
use super::census::{Census, Kind};
use super::{
    BY_EXPORT, ExportOptions, ID, MARKED_KEY, METRIC_KEY, MODIFIER_KEY, PAYLOAD, VECTOR, VECTOR_KEY,
    block_rows,
};
use crate::Collection;
use crate::reading::Reading;

/// Points on their way out, batch by batch. Errors of the database come as [`ArrowError::ExternalError`].
pub struct Export {
    reading: Reading,
    schema: SchemaRef,
    ids: IdKind,
    payload: BTreeMap<String, Kind>,
    has_rest: bool,
    slots: std::vec::IntoIter<Slot>,
    batch_rows: usize,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("reading", &self.reading).finish_non_exhaustive()
    }
}

/// Points whose payloads are looked at together.
const LOOK_POINTS: usize = 4_096;

impl Collection {
    /// The points that there are now, as batches: a column of ids, one a vector, one a key of payloads; docs of the
    /// module say their types.
    ///
    /// # Errors
    /// As for [`Collection::scroll`].
    pub fn export(&self, options: &ExportOptions) -> Result<Export> {
        self.reading()?.export(options)
    }
}

impl Reading {
    /// The points of this state, as batches; see [`Collection::export`].
    ///
    /// # Errors
    /// As for [`Reading::scroll`].
    pub fn export(&self, options: &ExportOptions) -> Result<Export> {
        options.filter.check(self.limits())?;
        self.read(|view| self.begun(view, options))
    }

    fn begun(&self, view: &View, options: &ExportOptions) -> Result<Export> {
        let mut slots: Vec<Slot> = if options.filter.is_empty() {
            view.alive.iter().collect()
        } else {
            query::scroll(view, &options.filter, (None, usize::MAX - 1), None)?.slots
        };
        slots.sort_unstable();
        let spaces = &view.entry.schema;
        let names = spaces.names().map(|name| column_of(spaces, name));
        let mut census = Census::new(names.chain([ID, PAYLOAD].map(str::to_owned)));
        let mut payload_bytes = 0;
        for slots in slots.chunks(LOOK_POINTS) {
            for payload in view.payloads(slots)? {
                payload_bytes += payload.len() * VALUE_BYTES;
                census.see(&payload);
            }
        }
        let (payload, has_rest) = census.columns();
        let ids = IdKind::of(slots.iter().map(|slot| view.id(*slot)));
        let schema = Arc::new(fields(spaces, ids, &payload, has_rest));
        let batch_rows = block_rows(row_bytes(spaces) + payload_bytes / slots.len().max(1));
        let (reading, slots) = (self.clone(), slots.into_iter());
        Ok(Export { reading, schema, ids, payload, has_rest, slots, batch_rows })
    }
}

/// Bytes of a value of a payload, about.
const VALUE_BYTES: usize = 64;

/// Bytes of a row's vectors, about.
fn row_bytes(schema: &Schema) -> usize {
    let dense: usize = schema.vectors.values().map(|spec| spec.dim * 4).sum();
    // Of multivectors and sparse ones only the order is known.
    let multi: usize = schema.multi.values().map(|spec| spec.dim * 4 * 32).sum();
    dense + multi + schema.sparse.len() * 1024
}

/// The column of a vector.
fn column_of(schema: &Schema, name: &str) -> String {
    let named: HashSet<&str> = schema.names().map(String::as_str).collect();
    let mut column = if name == DEFAULT_VECTOR { VECTOR } else { name }.to_owned();
    // A vector may be called as another column is.
    while [ID, PAYLOAD].contains(&column.as_str()) || column != name && named.contains(column.as_str()) {
        column.push('_');
    }
    column
}

fn fields(schema: &Schema, ids: IdKind, payload: &BTreeMap<String, Kind>, has_rest: bool) -> ArrowSchema {
    let mut fields = vec![ids.field(ID)];
    let mut vector = |name: &String, kind, metadata: Option<(&str, String)>| {
        let mut field = Field::new(column_of(schema, name), kind, true);
        field.metadata_mut().insert(VECTOR_KEY, name.clone());
        if let Some((key, value)) = metadata {
            field.metadata_mut().insert(key, value);
        }
        fields.push(field);
    };
    let metric = |spec: &types::VectorSpec| Some((METRIC_KEY, spec.metric.name().to_owned()));
    for (name, spec) in &schema.vectors {
        vector(name, arrays::dense_kind(spec), metric(spec));
    }
    for (name, spec) in &schema.sparse {
        let modifier = spec.modifier.map(|modifier| (MODIFIER_KEY, modifier.name().to_owned()));
        vector(name, arrays::sparse_kind(), modifier);
    }
    for (name, spec) in &schema.multi {
        vector(name, arrays::multi_kind(spec), metric(spec));
    }
    fields.extend(payload.iter().map(|(name, kind)| arrays::field(name, kind)));
    fields.extend(has_rest.then(|| arrays::json_field(PAYLOAD)));
    ArrowSchema::new(fields).with_metadata([(MARKED_KEY, BY_EXPORT)])
}

impl Export {
    /// Rows that are still to come.
    pub fn rows(&self) -> usize {
        self.slots.len()
    }

    fn batch(&self, slots: &[Slot]) -> std::result::Result<RecordBatch, ArrowError> {
        let view = self.reading.view().map_err(external)?;
        let spaces = &view.entry.schema;
        let mut columns: Vec<ArrayRef> = vec![self.ids.array(slots.iter().map(|slot| view.id(*slot)))];
        let vectors = |name: &String| view.stored_vectors(name, slots).map_err(external);
        for (name, spec) in &spaces.vectors {
            let vectors = vectors(name)?;
            columns.push(arrays::dense(
                spec,
                vectors.iter().map(|vector| vector.as_ref().and_then(Vector::dense)),
            )?);
        }
        for name in spaces.sparse.keys() {
            columns.push(arrays::sparse(&vectors(name)?)?);
        }
        for (name, spec) in &spaces.multi {
            columns.push(arrays::multi(spec, &vectors(name)?)?);
        }
        self.payloads(&view.payloads(slots).map_err(external)?, &mut columns)?;
        self.reading.check_vectors().map_err(external)?;
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }

    fn payloads(
        &self,
        payloads: &[Payload],
        columns: &mut Vec<ArrayRef>,
    ) -> std::result::Result<(), ArrowError> {
        for (key, kind) in &self.payload {
            let values: Vec<Option<&Value>> = payloads.iter().map(|payload| payload.get(key)).collect();
            columns.push(arrays::values(kind, &values)?);
        }
        if self.has_rest {
            let is_rest = |(key, _): &(&String, &Value)| !self.payload.contains_key(*key);
            let rest = |payload: &Payload| {
                let rest = payload.iter().filter(is_rest).map(|(key, value)| (key.clone(), value.clone()));
                Some(rest.collect::<Payload>()).filter(|rest| !rest.is_empty()).map(Value::Object)
            };
            let rest: Vec<Option<Value>> = payloads.iter().map(rest).collect();
            columns.push(arrays::values(&Kind::Json, &rest.iter().map(Option::as_ref).collect::<Vec<_>>())?);
        }
        Ok(())
    }
}

impl Iterator for Export {
    type Item = std::result::Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let slots: Vec<Slot> = self.slots.by_ref().take(self.batch_rows).collect();
        if slots.is_empty() {
            return None;
        }
        let batch = self.batch(&slots);
        // What went with its collection meanwhile is not damaged.
        let batch = self.reading.view().map_err(external).and(batch);
        if batch.is_err() {
            self.slots = Vec::new().into_iter();
        }
        Some(batch)
    }
}

impl RecordBatchReader for Export {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

fn external(error: Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}
