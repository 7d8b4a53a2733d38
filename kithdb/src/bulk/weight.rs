//! What rows take once each stands for itself: a batch is small where its rows share bytes, and its points are not.
//!
//! A dictionary of one long text and a million keys of it, views of one buffer, the name of a key: what many rows have
//! in common is counted for each of them, before any of it is copied.
//! Cost: a look at each key, view and list; plain columns cost nothing.

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;

use super::lists::Bounds;

/// Bytes of the texts and keys of a batch's rows as payloads have them; numbers are not counted.
pub(super) fn of(batch: &RecordBatch) -> usize {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    sum(fields.map(|(field, column)| named(field.name(), column)))
}

/// Of values, and the key that stands at each.
fn named(name: &str, values: &dyn Array) -> usize {
    sum([(values.len() - values.null_count()).saturating_mul(name.len()), grown(values)].into_iter())
}

fn grown(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => {
            let offsets = array.as_string::<i32>().value_offsets();
            (offsets[array.len()] - offsets[0]) as usize
        }
        DataType::LargeUtf8 => {
            let offsets = array.as_string::<i64>().value_offsets();
            (offsets[array.len()] - offsets[0]) as usize
        }
        DataType::Utf8View => sum(array.as_string_view().lengths().map(|len| len as usize)),
        DataType::Dictionary(..) => of_dictionary(array),
        DataType::Struct(fields) => {
            let fields = fields.iter().zip(array.as_struct().columns());
            sum(fields.map(|(field, column)| named(field.name(), column)))
        }
        _ => Bounds::of(array).map_or(0, |(_, elements)| grown(&elements)),
    }
}

fn of_dictionary(array: &dyn Array) -> usize {
    let dictionary = array.as_any_dictionary();
    let (keys, values) = (dictionary.keys(), dictionary.values());
    if values.is_empty() || values.data_type().is_primitive() {
        return 0;
    }
    let of_value = |at: usize| match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_length(at) as usize,
        DataType::LargeUtf8 => values.as_string::<i64>().value_length(at) as usize,
        _ => grown(&values.slice(at, 1)),
    };
    let found = dictionary.normalized_keys().into_iter().enumerate();
    sum(found.filter(|(row, _)| keys.is_valid(*row)).map(|(_, value)| of_value(value)))
}

/// The sum, or the most that there can be.
fn sum(parts: impl Iterator<Item = usize>) -> usize {
    parts.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int32Array, ListArray, StringArray, StringViewArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("ab", column)]).expect("a batch")
    }

    #[test]
    fn what_rows_share_is_counted_for_each() {
        let keys = Int32Array::from(vec![Some(0), Some(0), None, Some(1)]);
        let values: ArrayRef = Arc::new(StringArray::from(vec!["long text", "x"]));
        let dictionary: ArrayRef =
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values).expect("keys of it"));
        assert_eq!(of(&batch(Arc::clone(&dictionary))), 3 * 2 + 9 + 9 + 1);
        assert_eq!(of(&batch(dictionary.slice(1, 2))), 2 + 9);
        let field = Arc::new(Field::new_list_field(dictionary.data_type().clone(), true));
        let lists: ArrayRef =
            Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([3, 1]), dictionary, None));
        assert_eq!(of(&batch(Arc::clone(&lists))), 2 * 2 + 19);
        assert_eq!(of(&batch(lists.slice(1, 1))), 2 + 1);
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a text of more than twelve bytes", "x"]));
        assert_eq!(of(&batch(views)), 2 * 2 + 32 + 1);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["abc", "d", "ef"]));
        assert_eq!(of(&batch(texts.slice(1, 2))), 2 * 2 + 3);
    }
}
