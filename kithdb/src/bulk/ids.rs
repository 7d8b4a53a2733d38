//! Ids out of a column.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use types::{Error, PointId, Result};
use uuid::Uuid;

/// Whether a column of a type can have ids.
pub(super) fn can_be(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_text(value),
        DataType::FixedSizeBinary(16) => true,
        kind => kind.is_integer() || is_text(kind),
    }
}

/// Whether a column of a type can have names.
pub(super) fn can_be_names(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_text(value),
        kind => is_text(kind),
    }
}

/// Whether it is a type of texts, however they are laid out.
pub(super) fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The ids of a column; `first` is the number of its first row.
///
/// # Errors
/// `InvalidArgument` naming the row.
pub(super) fn read(array: &dyn Array, name: &str, first: u64) -> Result<Vec<PointId>> {
    let wrong = |row: usize, why: &str| Error::invalid(format!("rows[{}].{name}", first + row as u64), why);
    let unreadable = |source| Error::invalid(name, "is not readable as ids").with_source(source);
    let all = 0..array.len();
    if let Some(bytes) = array.as_fixed_size_binary_opt() {
        let id = |row: usize| {
            let bytes = bytes.is_valid(row).then(|| bytes.value(row).try_into().ok()).flatten();
            let bytes: [u8; 16] = bytes.ok_or_else(|| wrong(row, "is null; every point has an id"))?;
            Ok(PointId::Uuid(Uuid::from_bytes(bytes)))
        };
        return all.map(id).collect();
    }
    if array.data_type().is_integer() {
        // What is negative becomes null.
        let numbers = cast(array, &DataType::UInt64).map_err(unreadable)?;
        let numbers = numbers.as_primitive::<UInt64Type>();
        let id = |row: usize| {
            let why = if array.is_null(row) { "is null; every point has an id" } else { "is negative" };
            numbers.is_valid(row).then(|| PointId::Num(numbers.value(row))).ok_or_else(|| wrong(row, why))
        };
        return all.map(id).collect();
    }
    let texts = cast(array, &DataType::LargeUtf8).map_err(unreadable)?;
    let texts = texts.as_string::<i64>();
    let id = |row: usize| {
        if texts.is_null(row) {
            return Err(wrong(row, "is null; every point has an id"));
        }
        texts.value(row).parse::<PointId>().map_err(|error| wrong(row, error.message()))
    };
    all.map(id).collect()
}

/// The ids of the points that a column names; `first` is the number of its first row.
///
/// # Errors
/// `InvalidArgument` naming the row.
pub(super) fn named(array: &dyn Array, name: &str, first: u64) -> Result<Vec<PointId>> {
    let unreadable = |source| Error::invalid(name, "is not readable as names").with_source(source);
    let texts = cast(array, &DataType::LargeUtf8).map_err(unreadable)?;
    let texts = texts.as_string::<i64>();
    let id = |row: usize| match texts.is_valid(row).then(|| texts.value(row)) {
        Some(text) if !text.is_empty() => Ok(PointId::from_name(text)),
        _ => {
            let place = format!("rows[{}].{name}", first + row as u64);
            Err(Error::invalid(place, "is null or empty; every point has a name"))
        }
    };
    (0..array.len()).map(id).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, StringArray};
    use arrow::datatypes::Int8Type;
    use std::sync::Arc;

    use super::*;

    const UUID: &str = "936da01f-9abd-4d9d-80c7-02af85c822a8";

    #[test]
    fn every_form_of_an_id_is_read() {
        let uuid: PointId = UUID.parse().expect("a UUID");
        let bytes = 0x936d_a01f_9abd_4d9d_80c7_02af_85c8_22a8_u128.to_be_bytes();
        let texts: DictionaryArray<Int8Type> = [UUID, "7"].into_iter().collect();
        let arrays: [(ArrayRef, Vec<PointId>); 4] = [
            (Arc::new(Int32Array::from(vec![0, 7])), vec![0.into(), 7.into()]),
            (Arc::new(StringArray::from(vec![UUID, "7"])), vec![uuid, 7.into()]),
            (Arc::new(texts), vec![uuid, 7.into()]),
            (
                Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).expect("16 bytes")),
                vec![uuid],
            ),
        ];
        for (array, expected) in arrays {
            assert!(can_be(array.data_type()));
            assert_eq!(read(&array, "id", 0).expect("ids"), expected);
        }
    }

    #[test]
    fn any_text_names_a_point() {
        let texts: DictionaryArray<Int8Type> = ["chapter 1", "7"].into_iter().collect();
        let arrays: [ArrayRef; 2] = [Arc::new(StringArray::from(vec!["chapter 1", "7"])), Arc::new(texts)];
        for array in arrays {
            assert!(can_be_names(array.data_type()));
            let expected = ["chapter 1", "7"].map(PointId::from_name);
            assert_eq!(named(&array, "id", 0).expect("names"), expected);
        }
        assert!(!can_be_names(&DataType::Int64));
        for none in [Some(""), None] {
            let error = named(&StringArray::from(vec![Some("a"), none]), "key", 10).expect_err("no name");
            assert_eq!(error.field(), Some("rows[11].key"));
        }
    }

    #[test]
    fn what_is_no_id_is_named_by_its_row() {
        let arrays: [(ArrayRef, &str); 3] = [
            (Arc::new(Int32Array::from(vec![Some(1), Some(-1)])), "negative"),
            (Arc::new(Int32Array::from(vec![Some(1), None])), "null"),
            (Arc::new(StringArray::from(vec!["1", "one"])), "neither"),
        ];
        for (array, expected) in arrays {
            let error = read(&array, "key", 10).expect_err(expected);
            assert_eq!(error.field(), Some("rows[11].key"));
            assert!(error.message().contains(expected), "{error}");
        }
    }
}
