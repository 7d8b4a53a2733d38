//! Lists of numbers in an array, row by row, whatever the kind of list.
//!
//! Invariant: a row is a range of one array of numbers, which was made of the type that is wanted once, for the rows
//! that are looked at and no others; where it has that type already, nothing is copied.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};

/// Where the rows of an array of lists begin and end in the array of their elements.
pub(super) struct Bounds {
    ends: Ends,
    nulls: Option<NullBuffer>,
}

enum Ends {
    Fixed(usize),
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
}

impl Bounds {
    /// The bounds and the elements of an array of lists; nothing if it is no such array. A slice of lists has those of
    /// all of them: the others are left out.
    pub(super) fn of(array: &dyn Array) -> Option<(Self, ArrayRef)> {
        let nulls = array.nulls().cloned();
        Some(match array.data_type() {
            DataType::FixedSizeList(_, size) => {
                let ends = Ends::Fixed(usize::try_from(*size).ok()?);
                (Self { ends, nulls }, array.as_fixed_size_list().values().clone())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let offsets = list.offsets().clone();
                let (first, end) = (offsets[0] as usize, offsets[array.len()] as usize);
                (Self { ends: Ends::Small(offsets), nulls }, list.values().slice(first, end - first))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let offsets = list.offsets().clone();
                let (first, end) = (offsets[0] as usize, offsets[array.len()] as usize);
                (Self { ends: Ends::Large(offsets), nulls }, list.values().slice(first, end - first))
            }
            _ => return None,
        })
    }

    /// The elements of a row; nothing where the row is null.
    pub(super) fn row(&self, row: usize) -> Option<Range<usize>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match &self.ends {
            Ends::Fixed(size) => row * size..(row + 1) * size,
            Ends::Small(offsets) => {
                (offsets[row] - offsets[0]) as usize..(offsets[row + 1] - offsets[0]) as usize
            }
            Ends::Large(offsets) => {
                (offsets[row] - offsets[0]) as usize..(offsets[row + 1] - offsets[0]) as usize
            }
        })
    }
}

/// Rows of numbers.
pub(super) struct Numbers<P: ArrowPrimitiveType> {
    bounds: Bounds,
    values: PrimitiveArray<P>,
}

impl<P: ArrowPrimitiveType> Numbers<P> {
    /// The rows of an array of lists of numbers; nothing if it is no such array. What the type does not hold counts
    /// as null.
    pub(super) fn of(array: &dyn Array) -> Option<Self> {
        let (bounds, elements) = Bounds::of(array)?;
        if !elements.data_type().is_numeric() {
            return None;
        }
        let values = cast(&elements, &P::DATA_TYPE).ok()?;
        Some(Self { bounds, values: values.as_primitive_opt::<P>()?.clone() })
    }

    /// The numbers of a row; nothing where the row is null.
    ///
    /// # Errors
    /// The position in the row of an element that is null.
    pub(super) fn row(&self, row: usize) -> Result<Option<&[P::Native]>, usize> {
        let Some(range) = self.bounds.row(row) else { return Ok(None) };
        if self.values.null_count() > 0
            && let Some(at) = range.clone().position(|at| self.values.is_null(at))
        {
            return Err(at);
        }
        Ok(Some(&self.values.values()[range]))
    }
}

/// The field of the elements of a type of lists.
pub(super) fn element(kind: &DataType) -> Option<&FieldRef> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => Some(field),
        _ => None,
    }
}

/// Whether it is a type of lists of numbers.
pub(super) fn is_numbers(kind: &DataType) -> bool {
    element(kind).is_some_and(|element| element.data_type().is_numeric())
}

#[cfg(test)]
mod tests {
    use arrow::array::{FixedSizeListArray, ListArray};
    use arrow::datatypes::{Float32Type, Float64Type, Int64Type, UInt32Type};

    use super::*;

    #[test]
    fn a_slice_has_the_rows_of_the_slice() {
        let rows = [Some(vec![Some(1.0), Some(2.0)]), None, Some(vec![Some(5.0), None])];
        let array = FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(rows, 2).slice(1, 2);
        let numbers = Numbers::<Float32Type>::of(&array).expect("numbers");
        assert_eq!(numbers.row(0), Ok(None));
        assert_eq!(numbers.row(1), Err(1));
    }

    #[test]
    fn what_the_type_cannot_hold_counts_as_null() {
        let rows = [Some(vec![Some(7), Some(-1)]), Some(vec![])];
        let array = ListArray::from_iter_primitive::<Int64Type, _, _>(rows);
        let numbers = Numbers::<UInt32Type>::of(&array).expect("numbers");
        assert_eq!(numbers.row(0), Err(1));
        assert_eq!(numbers.row(1), Ok(Some(&[][..])));
    }
}
