//! Columns of an export: arrays of ids, vectors and values, and the types that they have.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int64Array,
    ListArray, StringArray, StructArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::error::ArrowError;
use half::f16;
use types::{Datatype, PointId, Value, Vector, VectorSpec};

use super::census::Kind;
use super::payloads::JSON;
use super::vectors::{INDICES, VALUES};

/// The key of a field's metadata that has its extension type, as Arrow has it.
const EXTENSION: &str = "ARROW:extension:name";

type Made = Result<ArrayRef, ArrowError>;

/// A field of texts that are JSON.
pub(super) fn json_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata([(EXTENSION, JSON)])
}

/// The field of values of a kind.
pub(super) fn field(name: &str, kind: &Kind) -> Field {
    let of = |kind: DataType| Field::new(name, kind, true);
    match kind {
        Kind::Unknown | Kind::Json => json_field(name),
        Kind::Bool => of(DataType::Boolean),
        Kind::Int => of(DataType::Int64),
        Kind::UInt => of(DataType::UInt64),
        Kind::Float => of(DataType::Float64),
        Kind::Text => of(DataType::Utf8),
        Kind::List(element) => of(DataType::List(element_field(element))),
        Kind::Struct(fields) => of(DataType::Struct(struct_fields(fields.iter()))),
    }
}

fn element_field(kind: &Kind) -> FieldRef {
    Arc::new(field(Field::LIST_FIELD_DEFAULT_NAME, kind))
}

fn struct_fields<'a>(fields: impl Iterator<Item = (&'a String, &'a Kind)>) -> Fields {
    fields.map(|(name, kind)| field(name, kind)).collect()
}

/// The array of values of a kind; what is missing is null.
///
/// # Errors
/// What Arrow cannot hold: more than 2 GiB of text in one column of one batch.
pub(super) fn values(kind: &Kind, values: &[Option<&Value>]) -> Made {
    let each = values.iter().copied();
    Ok(match kind {
        Kind::Unknown | Kind::Json => {
            Arc::new(each.map(|value| value.map(Value::to_string)).collect::<StringArray>())
        }
        Kind::Bool => Arc::new(each.map(|value| value?.as_bool()).collect::<BooleanArray>()),
        Kind::Int => Arc::new(each.map(|value| value?.as_i64()).collect::<Int64Array>()),
        Kind::UInt => Arc::new(each.map(|value| value?.as_u64()).collect::<UInt64Array>()),
        Kind::Float => Arc::new(each.map(|value| value?.as_f64()).collect::<Float64Array>()),
        Kind::Text => Arc::new(each.map(|value| value?.as_str()).collect::<StringArray>()),
        Kind::List(element) => {
            let lists = || values.iter().map(|value| value.and_then(Value::as_array));
            let elements: Vec<Option<&Value>> = lists()
                .flatten()
                .flatten()
                .map(|value| Some(value).filter(|value| !value.is_null()))
                .collect();
            let array = self::values(element, &elements)?;
            let ends = OffsetBuffer::from_lengths(lists().map(|list| list.map_or(0, Vec::len)));
            Arc::new(ListArray::try_new(element_field(element), ends, array, nulls(lists()))?)
        }
        Kind::Struct(fields) => {
            let objects = || values.iter().map(|value| value.and_then(Value::as_object));
            let column = |(name, kind): (&String, &Kind)| {
                let values: Vec<Option<&Value>> = objects().map(|object| object?.get(name)).collect();
                self::values(kind, &values)
            };
            let columns = fields.iter().map(column).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new(struct_fields(fields.iter()), columns, nulls(objects()))?)
        }
    })
}

fn nulls<T>(rows: impl Iterator<Item = Option<T>>) -> Option<NullBuffer> {
    Some(rows.map(|row| row.is_some()).collect::<NullBuffer>()).filter(|nulls| nulls.null_count() > 0)
}

/// How ids are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdKind {
    Numbers,
    /// UUIDs, or both.
    Texts,
}

impl IdKind {
    pub(super) fn of(mut ids: impl Iterator<Item = PointId>) -> Self {
        if ids.all(|id| matches!(id, PointId::Num(_))) { Self::Numbers } else { Self::Texts }
    }

    pub(super) fn field(self, name: &str) -> Field {
        let kind = if self == Self::Numbers { DataType::UInt64 } else { DataType::Utf8 };
        Field::new(name, kind, false)
    }

    pub(super) fn array(self, ids: impl Iterator<Item = PointId>) -> ArrayRef {
        let number = |id| match id {
            PointId::Num(number) => number,
            // Then the kind is another.
            PointId::Uuid(_) => 0,
        };
        match self {
            Self::Numbers => {
                Arc::new(ids.map(number).collect::<Vec<u64>>().into_iter().collect::<UInt64Array>())
            }
            Self::Texts => Arc::new(ids.map(|id| Some(id.to_string())).collect::<StringArray>()),
        }
    }
}

/// The type of the vectors of a space of one row each.
pub(super) fn dense_kind(spec: &VectorSpec) -> DataType {
    let element = match spec.datatype {
        Datatype::Float32 => DataType::Float32,
        Datatype::Float16 => DataType::Float16,
        Datatype::Uint8 => DataType::UInt8,
    };
    DataType::FixedSizeList(Arc::new(Field::new_list_field(element, false)), size(spec))
}

/// A dimension, which is within the limits: far below what the type holds.
fn size(spec: &VectorSpec) -> i32 {
    i32::try_from(spec.dim).unwrap_or(i32::MAX)
}

/// The array of vectors of one row each.
///
/// # Errors
/// Elements that are more than a batch holds.
pub(super) fn dense<'a>(spec: &VectorSpec, vectors: impl Iterator<Item = Option<&'a [f32]>> + Clone) -> Made {
    let mut elements = Vec::with_capacity(vectors.size_hint().0 * spec.dim);
    for vector in vectors.clone() {
        match vector {
            Some(vector) => elements.extend_from_slice(vector),
            None => elements.resize(elements.len() + spec.dim, 0.0),
        }
    }
    let elements: ArrayRef = match spec.datatype {
        Datatype::Float32 => Arc::new(Float32Array::from(elements)),
        Datatype::Float16 => Arc::new(
            elements
                .into_iter()
                .map(f16::from_f32)
                .collect::<Vec<_>>()
                .into_iter()
                .map(Some)
                .collect::<Float16Array>(),
        ),
        Datatype::Uint8 => {
            Arc::new(UInt8Array::from_iter_values(elements.into_iter().map(|element| element as u8)))
        }
    };
    let DataType::FixedSizeList(field, size) = dense_kind(spec) else {
        return Err(ArrowError::SchemaError("dense vectors are fixed-size lists".to_owned()));
    };
    Ok(Arc::new(FixedSizeListArray::try_new(field, size, elements, nulls(vectors))?))
}

/// The type of sparse vectors.
pub(super) fn sparse_kind() -> DataType {
    DataType::Struct(sparse_fields())
}

fn sparse_fields() -> Fields {
    let list = |name, element| Field::new_list(name, Field::new_list_field(element, false), false);
    Fields::from(vec![list(INDICES, DataType::UInt32), list(VALUES, DataType::Float32)])
}

/// The array of sparse vectors.
///
/// # Errors
/// Weights that are more than a batch holds.
pub(super) fn sparse(vectors: &[Option<Vector>]) -> Made {
    let sparse = || vectors.iter().map(|vector| vector.as_ref()?.sparse());
    let ends = || OffsetBuffer::from_lengths(sparse().map(|vector| vector.map_or(0, |vector| vector.len())));
    let indices: UInt32Array =
        sparse().flatten().flat_map(|vector| &vector.indices).copied().map(Some).collect();
    let values: Float32Array =
        sparse().flatten().flat_map(|vector| &vector.values).copied().map(Some).collect();
    let list =
        |kind, array| ListArray::try_new(Arc::new(Field::new_list_field(kind, false)), ends(), array, None);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(list(DataType::UInt32, Arc::new(indices))?),
        Arc::new(list(DataType::Float32, Arc::new(values))?),
    ];
    Ok(Arc::new(StructArray::try_new(sparse_fields(), columns, nulls(sparse()))?))
}

/// The type of multivectors.
pub(super) fn multi_kind(spec: &VectorSpec) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(dense_kind(spec), false)))
}

/// The array of multivectors.
///
/// # Errors
/// Elements that are more than a batch holds.
pub(super) fn multi(spec: &VectorSpec, vectors: &[Option<Vector>]) -> Made {
    let rows = || vectors.iter().map(|vector| vector.as_ref()?.multi());
    let ends = OffsetBuffer::from_lengths(rows().map(|rows| rows.map_or(0, Vec::len)));
    let inner = dense(spec, rows().flatten().flatten().map(|row| Some(row.as_slice())))?;
    let field = Arc::new(Field::new_list_field(dense_kind(spec), false));
    Ok(Arc::new(ListArray::try_new(field, ends, inner, nulls(rows()))?))
}

/// The array of lists of floats, of whatever lengths.
///
/// # Errors
/// Elements that are more than a batch holds.
pub(super) fn lists(vectors: &[Option<Vector>]) -> Made {
    floats(vectors.iter().map(|vector| vector.as_ref()?.dense()))
}

/// The array of lists of such lists.
///
/// # Errors
/// Elements that are more than a batch holds.
pub(super) fn lists_of_lists(vectors: &[Option<Vector>]) -> Made {
    let rows = || vectors.iter().map(|vector| vector.as_ref()?.multi());
    let ends = OffsetBuffer::from_lengths(rows().map(|rows| rows.map_or(0, Vec::len)));
    let inner = floats(rows().flatten().flatten().map(|row| Some(row.as_slice())))?;
    let field = Arc::new(Field::new_list_field(inner.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, ends, inner, nulls(rows()))?))
}

fn floats<'a>(lists: impl Iterator<Item = Option<&'a [f32]>> + Clone) -> Made {
    let ends = OffsetBuffer::from_lengths(lists.clone().map(|list| list.map_or(0, <[f32]>::len)));
    let elements: Vec<f32> = lists.clone().flatten().flatten().copied().collect();
    let field = Arc::new(Field::new_list_field(DataType::Float32, true));
    Ok(Arc::new(ListArray::try_new(field, ends, Arc::new(Float32Array::from(elements)), nulls(lists))?))
}
