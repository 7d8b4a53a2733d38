//! Payload out of a column: JSON values of any type that JSON has.
//!
//! A null is no value: not at the top, not in a struct; in a list it is `null`. Integers stay integers. Times become
//! texts of RFC 3339, cut to microseconds. What JSON has not (bytes, durations, NaN) is refused by name.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::array::{LargeStringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use types::{Error, Payload, Result, Value, datetime};

use super::ids::is_text;
use super::lists::Bounds;

/// The extension type of texts that are JSON.
pub(super) const JSON: &str = "arrow.json";

/// Structs in lists in structs, at most; deeper is no payload either.
const DEPTH_MAX: usize = 64;

/// The values of a column.
pub(super) struct Column {
    /// For errors.
    name: String,
    cells: Cells,
}

enum Cells {
    Null,
    Bool(BooleanArray),
    Int(PrimitiveArray<Int64Type>),
    UInt(PrimitiveArray<UInt64Type>),
    Float(PrimitiveArray<Float64Type>),
    Text(LargeStringArray),
    Json(LargeStringArray),
    /// The texts of dates end behind the day.
    Time {
        times: PrimitiveArray<TimestampMicrosecondType>,
        is_date: bool,
    },
    List(Bounds, Box<Cells>),
    Struct(Vec<(String, Cells)>, Option<NullBuffer>),
}

/// Whether a field has texts that are JSON.
pub(super) fn is_json(field: &Field) -> bool {
    field.extension_type_name() == Some(JSON) && is_text(field.data_type())
}

impl Column {
    /// # Errors
    /// `InvalidArgument` naming the column, or the field in it, that has no JSON.
    pub(super) fn new(field: &Field, array: &ArrayRef) -> Result<Self> {
        let name = field.name().clone();
        let cells = Cells::new(field, array, 0).map_err(|error| error.within(&name))?;
        Ok(Self { name, cells })
    }

    /// The values of a column that has JSON, whatever is said of it.
    ///
    /// # Errors
    /// `InvalidArgument` naming the column.
    pub(super) fn json(name: &str, array: &ArrayRef) -> Result<Self> {
        let texts = || cast(array, &DataType::LargeUtf8).ok()?.as_string_opt::<i64>().cloned();
        let texts = Some(array.data_type()).filter(|kind| is_text(kind)).and_then(|_| texts());
        let wrong = || {
            let message = format!("has the type {}; JSON is text", array.data_type());
            Error::invalid(name, message)
        };
        Ok(Self { name: name.to_owned(), cells: Cells::Json(texts.ok_or_else(wrong)?) })
    }

    /// The value of a row, whose number in the import is `at`; nothing where it is null.
    ///
    /// # Errors
    /// `InvalidArgument` naming the row.
    pub(super) fn row(&self, row: usize, at: u64) -> Result<Option<Value>> {
        self.cells.value(row).map_err(|error| error.within(&self.name).within(&format!("rows[{at}]")))
    }

    /// The object of a row.
    ///
    /// # Errors
    /// As for [`row`](Self::row); for a value that is no object.
    pub(super) fn object(&self, row: usize, at: u64) -> Result<Payload> {
        match self.row(row, at)? {
            None => Ok(Payload::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(Error::invalid(format!("rows[{at}].{}", self.name), "is no JSON object")),
        }
    }
}

impl Cells {
    fn new(field: &Field, array: &ArrayRef, depth: usize) -> Result<Self> {
        let wrong = |message: String| Error::new(types::ErrorKind::InvalidArgument, message);
        let kind = array.data_type();
        if depth > DEPTH_MAX {
            return Err(wrong(format!("is nested more than {DEPTH_MAX} deep")));
        }
        let to = |kind: &DataType| {
            let refused = |source| wrong(format!("cannot be read as {kind}")).with_source(source);
            cast(array, kind).map_err(refused)
        };
        Ok(match kind {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::UInt64 => Self::UInt(array.as_primitive().clone()),
            kind if kind.is_integer() => Self::Int(to(&DataType::Int64)?.as_primitive().clone()),
            kind if kind.is_numeric() => Self::Float(to(&DataType::Float64)?.as_primitive().clone()),
            kind if is_json(field) && is_text(kind) => {
                Self::Json(to(&DataType::LargeUtf8)?.as_string().clone())
            }
            kind if is_text(kind) => Self::Text(to(&DataType::LargeUtf8)?.as_string().clone()),
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                let micros = to(&DataType::Timestamp(TimeUnit::Microsecond, None))?;
                let is_date = !matches!(kind, DataType::Timestamp(..));
                Self::Time { times: micros.as_primitive().clone(), is_date }
            }
            DataType::Dictionary(_, value) => {
                Self::new(&Field::new("", (**value).clone(), true), &to(value)?, depth + 1)?
            }
            DataType::Struct(fields) => Self::of_struct(fields, array.as_struct(), depth)?,
            kind => {
                let Some((bounds, elements)) = Bounds::of(array) else {
                    let message = format!(
                        "has the type {kind}, which JSON has not; leave the column out, or cast it to text"
                    );
                    return Err(wrong(message));
                };
                let element = super::lists::element(kind).map(|field| (**field).clone());
                let element = element.unwrap_or_else(|| Field::new("", elements.data_type().clone(), true));
                Self::List(bounds, Box::new(Self::new(&element, &elements, depth + 1)?))
            }
        })
    }

    fn of_struct(fields: &arrow::datatypes::Fields, array: &StructArray, depth: usize) -> Result<Self> {
        let cells = |(field, array): (&std::sync::Arc<Field>, &ArrayRef)| {
            let cells = Self::new(field, array, depth + 1).map_err(|error| error.within(field.name()))?;
            Ok((field.name().clone(), cells))
        };
        let cells = fields.iter().zip(array.columns()).map(cells).collect::<Result<_>>()?;
        Ok(Self::Struct(cells, array.nulls().cloned()))
    }

    fn value(&self, row: usize) -> Result<Option<Value>> {
        Ok(match self {
            Self::Null => None,
            Self::Bool(array) => array.is_valid(row).then(|| array.value(row).into()),
            Self::Int(array) => array.is_valid(row).then(|| array.value(row).into()),
            Self::UInt(array) => array.is_valid(row).then(|| array.value(row).into()),
            Self::Float(array) if array.is_null(row) => None,
            Self::Float(array) => Some(float(array.value(row))?),
            Self::Text(array) => array.is_valid(row).then(|| array.value(row).into()),
            Self::Json(array) if array.is_null(row) => None,
            Self::Json(array) => Some(json(array.value(row))?),
            Self::Time { times, is_date } => times.is_valid(row).then(|| time(times.value(row), *is_date)),
            Self::List(bounds, cells) => {
                let Some(range) = bounds.row(row) else { return Ok(None) };
                let element = |(position, row)| match cells.value(row) {
                    Ok(value) => Ok(value.unwrap_or(Value::Null)),
                    Err(error) => Err(error.within(&format!("[{position}]"))),
                };
                Some(Value::Array(range.enumerate().map(element).collect::<Result<_>>()?))
            }
            Self::Struct(_, Some(nulls)) if nulls.is_null(row) => None,
            Self::Struct(fields, _) => {
                let mut object = Payload::new();
                for (name, cells) in fields {
                    let value = cells.value(row).map_err(|error| error.within(name))?;
                    object.extend(value.map(|value| (name.clone(), value)));
                }
                Some(Value::Object(object))
            }
        })
    }
}

fn float(number: f64) -> Result<Value> {
    serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| {
        let message = format!("is {number}, which JSON has not; make it null");
        Error::new(types::ErrorKind::InvalidArgument, message)
    })
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("is no JSON: {error}");
        Error::new(types::ErrorKind::InvalidArgument, message).with_source(error)
    })
}

fn time(micros: i64, is_date: bool) -> Value {
    let mut text = datetime::format(micros);
    if is_date && let Some(day) = text.find('T') {
        text.truncate(day);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int8Array, StringViewArray,
        TimestampNanosecondArray,
    };
    use arrow::datatypes::Int8Type;
    use serde_json::json;

    use super::*;

    fn values(array: &ArrayRef) -> Result<Vec<Option<Value>>> {
        let field = Field::new("a", array.data_type().clone(), true);
        let column = Column::new(&field, array)?;
        (0..array.len()).map(|row| column.row(row, row as u64)).collect()
    }

    #[test]
    fn every_type_that_json_has_is_read() {
        let dictionary: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
        let decimals = Decimal128Array::from(vec![125]).with_precision_and_scale(5, 2).expect("a decimal");
        let times = TimestampNanosecondArray::from(vec![1_717_243_200_000_001_999]).with_timezone("+02:00");
        let cases: [(ArrayRef, Value); 7] = [
            (Arc::new(Int8Array::from(vec![Some(-7), None])), json!([-7, null])),
            (Arc::new(Float32Array::from(vec![0.5])), json!([0.5])),
            (
                Arc::new(StringViewArray::from(vec!["a text of more than twelve bytes"])),
                json!(["a text of more than twelve bytes"]),
            ),
            (Arc::new(dictionary.slice(1, 2)), json!(["y", "x"])),
            (Arc::new(decimals), json!([1.25])),
            (Arc::new(Date32Array::from(vec![19_875])), json!(["2024-06-01"])),
            (Arc::new(times), json!(["2024-06-01T12:00:00.000001Z"])),
        ];
        for (array, expected) in cases {
            let kind = array.data_type().clone();
            let found = values(&array).expect("values").into_iter().map(|value| value.unwrap_or(Value::Null));
            assert_eq!(Value::Array(found.collect()), expected, "{kind}");
        }
    }

    #[test]
    fn what_json_has_not_is_named() {
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]]));
        let error = values(&bytes).expect_err("bytes");
        assert_eq!(error.field(), Some("a"));
        let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.0, f32::NAN]));
        let error = values(&floats).expect_err("no number");
        assert_eq!(error.field(), Some("rows[1].a"));
        let text: ArrayRef = Arc::new(StringViewArray::from(vec!["{", "[1]"]));
        let column = Column::json("p", &text).expect("texts");
        assert_eq!(column.row(0, 5).expect_err("no JSON").field(), Some("rows[5].p"));
        assert_eq!(column.object(1, 6).expect_err("no object").field(), Some("rows[6].p"));
    }
}
