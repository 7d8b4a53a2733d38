//! The schema of a collection that an import makes: its vectors, from the types of their columns and the first rows.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use types::{Datatype, Error, Metric, Modifier, Result, Schema, SparseSpec, VectorSpec};

use super::columns::{Columns, is_marked};
use super::lists::{Bounds, element};
use super::vectors::Form;
use super::{ImportOptions, METRIC_KEY, MODIFIER_KEY};

/// The schema for the columns of an import.
///
/// # Errors
/// `InvalidArgument` naming the column whose dimension is not known, or which may have vectors and was not named.
pub(super) fn schema(
    columns: &ArrowSchema,
    roles: &Columns,
    first: Option<&RecordBatch>,
    options: &ImportOptions,
) -> Result<Schema> {
    let mut schema = Schema::new();
    for (at, name) in &roles.vectors {
        let field = columns.field(*at);
        let wrong = |error: Error| error.within(field.name());
        let array = first.map(|batch| batch.column(*at).as_ref());
        let form = Form::of(field.data_type());
        if form == Some(Form::Sparse) {
            schema.sparse.insert(name.clone(), sparse(field).map_err(wrong)?);
        } else {
            let is_multi = form == Some(Form::Multi);
            let spec = dense(field, array, is_multi, options).map_err(wrong)?;
            let spaces = if is_multi { &mut schema.multi } else { &mut schema.vectors };
            spaces.insert(name.clone(), spec);
        }
    }
    match doubtful(columns, roles) {
        Some(field) if roles.vectors.is_empty() && !is_marked(columns) => {
            let message = "has lists of floats, and no column has vectors; name the one that has: `vector`, or \
                           make the collection before";
            Err(Error::invalid(field.name(), message))
        }
        _ => Ok(schema),
    }
}

/// A column of payload that may be meant for vectors.
fn doubtful<'a>(columns: &'a ArrowSchema, roles: &Columns) -> Option<&'a Field> {
    let is_floats =
        |field: &&Field| element(field.data_type()).is_some_and(|field| field.data_type().is_floating());
    roles.payload.iter().map(|at| columns.field(*at)).find(is_floats)
}

fn sparse(field: &Field) -> Result<SparseSpec> {
    let modifier = field.metadata().get(MODIFIER_KEY).map(|name| name.parse::<Modifier>()).transpose()?;
    Ok(SparseSpec { modifier, ..SparseSpec::default() })
}

fn dense(
    field: &Field,
    array: Option<&dyn Array>,
    is_multi: bool,
    options: &ImportOptions,
) -> Result<VectorSpec> {
    let mut kind = field.data_type();
    if is_multi {
        kind = element(kind).map_or(kind, |element| element.data_type());
    }
    let dim = match kind {
        DataType::FixedSizeList(_, size) => usize::try_from(*size).ok(),
        _ => array.and_then(|array| if is_multi { first_inner(array) } else { first_len(array) }),
    };
    let dim = dim.ok_or_else(|| {
        let message =
            "has no vector in the first batch that would say the dimension; make the collection before";
        Error::new(types::ErrorKind::InvalidArgument, message)
    })?;
    let said = field.metadata().get(METRIC_KEY).map(|name| name.parse::<Metric>()).transpose()?;
    let metric = options.metric.or(said).unwrap_or(Metric::Cosine);
    let datatype = match element(kind).map(|element| element.data_type()) {
        Some(DataType::Float16) => Datatype::Float16,
        Some(DataType::UInt8) if metric != Metric::Cosine => Datatype::Uint8,
        _ => Datatype::Float32,
    };
    Ok(VectorSpec::new(dim, metric).stored_as(options.datatype.unwrap_or(datatype)))
}

/// The length of the first list that is not null.
fn first_len(array: &dyn Array) -> Option<usize> {
    let (bounds, _) = Bounds::of(array)?;
    (0..array.len()).find_map(|row| bounds.row(row)).map(|range| range.len())
}

fn first_inner(array: &dyn Array) -> Option<usize> {
    let (bounds, elements) = Bounds::of(array)?;
    let first = (0..array.len()).filter_map(|row| bounds.row(row)).find(|range| !range.is_empty())?;
    first_len(&elements.slice(first.start, first.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{FixedSizeListArray, ListArray};
    use arrow::datatypes::{Float64Type, UInt8Type};
    use types::Limits;

    use super::*;

    fn inferred(batch: &RecordBatch, options: &ImportOptions) -> Result<Schema> {
        let roles = Columns::of(&batch.schema(), options, None, &Limits::default())?;
        schema(&batch.schema(), &roles, Some(batch), options)
    }

    #[test]
    fn vectors_are_what_their_columns_say() {
        let bytes = FixedSizeListArray::from_iter_primitive::<UInt8Type, _, _>([Some(vec![Some(1); 3])], 3);
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0); 5])]);
        let batch = RecordBatch::try_from_iter([("a", Arc::new(bytes) as _), ("b", Arc::new(lists) as _)]);
        let batch = batch.expect("a batch");
        let vectors = vec![("a".to_owned(), None), ("b".to_owned(), Some(String::new()))];
        let options = ImportOptions { vectors, metric: Some(Metric::Euclid), ..ImportOptions::default() };
        let expected = Schema::new()
            .vector(5, Metric::Euclid)
            .named_vector("a", VectorSpec::new(3, Metric::Euclid).stored_as(Datatype::Uint8));
        assert_eq!(inferred(&batch, &options).expect("a schema"), expected);
    }

    #[test]
    fn lists_that_may_be_vectors_are_asked_about() {
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0); 5])]);
        let batch = RecordBatch::try_from_iter([("emb", Arc::new(lists) as _)]).expect("a batch");
        let error = inferred(&batch, &ImportOptions::default()).expect_err("a question");
        assert_eq!(error.field(), Some("emb"));
    }
}
