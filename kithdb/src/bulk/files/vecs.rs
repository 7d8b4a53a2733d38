//! Rows of floats or bytes, each behind its dimension: `.fvecs`, `.bvecs`.
//!
//! Source: <http://corpus-texmex.irisa.fr>.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, UInt8Array};
use arrow::datatypes::DataType;
use types::{Error, Limits, Metric, Result};

use super::{Source, Vectors, malformed, vector_rows};

/// Reads rows as vectors; `bytes` is how long the file is.
///
/// # Errors
/// `InvalidArgument` for a file that is cut, or whose rows differ in dimension.
pub(super) fn read(
    mut from: impl Read + Send + 'static,
    is_bytes: bool,
    bytes: Option<u64>,
    limits: &Limits,
) -> Result<Source> {
    let Some(dim) = dimension(&mut from)? else { return Err(malformed("is empty")) };
    if dim == 0 || dim > limits.dim_max {
        let message = format!("has rows of {dim} dimensions; they have 1 to {}", limits.dim_max);
        return Err(malformed(message));
    }
    let element = if is_bytes { DataType::UInt8 } else { DataType::Float32 };
    let row_bytes = if is_bytes { dim } else { dim * 4 };
    let rows = bytes.map(|bytes| bytes / (row_bytes as u64 + 4));
    // Bytes are compared by their distance: they have no length 1.
    let metric = is_bytes.then_some(Metric::Euclid);
    let mut ahead = Some(dim);
    let next = move || {
        let mut rows = Vec::new();
        for row in 0..vector_rows(dim) {
            let Some(found) = ahead.take().map_or_else(|| dimension(&mut from), |dim| Ok(Some(dim)))? else {
                break;
            };
            if found != dim {
                return Err(malformed(format!("has a row of {found} dimensions behind rows of {dim}")));
            }
            rows.resize((row + 1) * row_bytes, 0);
            from.read_exact(&mut rows[row * row_bytes..]).map_err(broken)?;
        }
        Ok((!rows.is_empty()).then(|| elements(is_bytes, rows)))
    };
    Ok(Source { batches: Box::new(Vectors::new(dim, element, metric, next)?), rows })
}

fn elements(is_bytes: bool, rows: Vec<u8>) -> ArrayRef {
    if is_bytes {
        return Arc::new(UInt8Array::from(rows));
    }
    let elements = rows.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    Arc::new(Float32Array::from_iter_values(elements))
}

/// The dimension before a row; nothing at the end.
fn dimension(from: &mut impl Read) -> Result<Option<usize>> {
    let mut bytes = [0; 4];
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(malformed("breaks off before its end")),
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(u32::from_le_bytes(bytes) as usize))
}

fn broken(error: std::io::Error) -> Error {
    super::refused(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(dims: &[u32]) -> Vec<u8> {
        let row =
            |dim: &u32| dim.to_le_bytes().into_iter().chain(vec![0; *dim as usize * 4]).collect::<Vec<u8>>();
        dims.iter().flat_map(row).collect()
    }

    fn read_all(bytes: Vec<u8>) -> Result<usize> {
        let source = read(std::io::Cursor::new(bytes), false, None, &Limits::default())?;
        let rows = source
            .batches
            .map(|batch| batch.map(|batch| batch.num_rows()))
            .sum::<std::result::Result<_, _>>();
        rows.map_err(super::super::refused)
    }

    #[test]
    fn rows_are_of_one_dimension_and_whole() {
        assert_eq!(read_all(rows(&[3, 3, 3])).expect("rows"), 3);
        let cut = rows(&[3, 3]);
        for bad in [vec![], rows(&[3, 4]), rows(&[0]), cut[..cut.len() - 1].to_vec(), cut[..18].to_vec()] {
            assert_eq!(read_all(bad).expect_err("bad").kind(), types::ErrorKind::InvalidArgument);
        }
    }
}
