//! Vectors out of a column: dense, sparse, of several rows.
//!
//! What is said of a column is its type alone: whether a vector has the dimension of its space, and is finite, is
//! decided where every door's vectors are (`admit`).

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, UInt32Type};
use types::{Error, MultiVector, Result, SparseVector, Vector};

use super::lists::{Bounds, Numbers, element, is_numbers};

/// The field of a sparse vector's dimensions, and that of their weights.
pub(super) const INDICES: &str = "indices";
pub(super) const VALUES: &str = "values";

/// What a column of a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Dense,
    Sparse,
    Multi,
}

impl Form {
    /// Of a type; nothing if vectors have none such.
    pub(super) fn of(kind: &DataType) -> Option<Self> {
        let field = |name: &str, fields: &arrow::datatypes::Fields| {
            fields.iter().any(|field| field.name() == name && is_numbers(field.data_type()))
        };
        match kind {
            DataType::Struct(fields) if field(INDICES, fields) && field(VALUES, fields) => Some(Self::Sparse),
            kind if is_numbers(kind) => Some(Self::Dense),
            kind if element(kind).is_some_and(|element| is_numbers(element.data_type())) => Some(Self::Multi),
            _ => None,
        }
    }
}

/// The vectors of a column.
pub(super) struct Column {
    /// For errors.
    name: String,
    rows: Rows,
}

enum Rows {
    Dense(Numbers<Float32Type>),
    Sparse {
        indices: Numbers<UInt32Type>,
        values: Numbers<Float32Type>,
        parent: Option<arrow::buffer::NullBuffer>,
    },
    Multi {
        bounds: Bounds,
        rows: Numbers<Float32Type>,
    },
}

impl Column {
    /// # Errors
    /// `InvalidArgument` naming the column, whose type vectors do not have.
    pub(super) fn new(name: &str, array: &dyn Array) -> Result<Self> {
        let rows = match Form::of(array.data_type()) {
            Some(Form::Dense) => Numbers::of(array).map(Rows::Dense),
            Some(Form::Sparse) => {
                let fields = array.as_struct();
                let field = |name: &str| fields.column_by_name(name);
                let indices = field(INDICES).and_then(|field| Numbers::of(field));
                let values = field(VALUES).and_then(|field| Numbers::of(field));
                let parent = fields.nulls().cloned();
                indices.zip(values).map(|(indices, values)| Rows::Sparse { indices, values, parent })
            }
            Some(Form::Multi) => Bounds::of(array)
                .and_then(|(bounds, elements)| Some(Rows::Multi { bounds, rows: Numbers::of(&elements)? })),
            None => None,
        };
        let rows = rows.ok_or_else(|| unfit(name, array.data_type()))?;
        Ok(Self { name: name.to_owned(), rows })
    }

    /// The vector of a row, whose number in the import is `at`; nothing where it is null.
    ///
    /// # Errors
    /// `InvalidArgument` naming the element that is null.
    pub(super) fn row(&self, row: usize, at: u64) -> Result<Option<Vector>> {
        let null = |place: String| {
            let field = format!("rows[{at}].{}{place}", self.name);
            Error::invalid(field, "is null or not of its type; a vector has all its elements")
        };
        let element = |place: usize| null(format!("[{place}]"));
        match &self.rows {
            Rows::Dense(rows) => {
                Ok(rows.row(row).map_err(element)?.map(|elements| Vector::Dense(elements.to_vec())))
            }
            Rows::Sparse { indices, values, parent } => {
                if parent.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    return Ok(None);
                }
                let indices = indices.row(row).map_err(|at| null(format!(".{INDICES}[{at}]")))?;
                let values = values.row(row).map_err(|at| null(format!(".{VALUES}[{at}]")))?;
                let both = indices.zip(values).ok_or_else(|| null(String::new()))?;
                Ok(Some(SparseVector { indices: both.0.to_vec(), values: both.1.to_vec() }.into()))
            }
            Rows::Multi { bounds, rows } => {
                let Some(range) = bounds.row(row) else { return Ok(None) };
                let mut multi = MultiVector::with_capacity(range.len());
                for (position, inner) in range.enumerate() {
                    let elements = rows.row(inner).map_err(|at| null(format!("[{position}][{at}]")))?;
                    multi.push(elements.ok_or_else(|| element(position))?.to_vec());
                }
                Ok(Some(Vector::Multi(multi)))
            }
        }
    }
}

/// The error of a column that was named for its vectors and has none.
pub(super) fn unfit(name: &str, kind: &DataType) -> Error {
    let message = format!(
        "has the type {kind}; vectors are lists of numbers, structs of `{INDICES}` and `{VALUES}`, or lists of lists"
    );
    Error::invalid(name, message)
}
