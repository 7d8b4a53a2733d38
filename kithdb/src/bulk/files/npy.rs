//! One NumPy array in a file: rows by dimensions.
//!
//! The header is a line of Python; what is read of it is what every writer puts there. A library for it brings a parser
//! generator along.
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float16Array, Float32Array, Float64Array, UInt8Array};
use arrow::datatypes::DataType;
use half::f16;
use types::{Limits, Result};

use super::{Source, Vectors, malformed, vector_rows};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Bytes of a header that is read.
const HEADER_BYTES_MAX: usize = 1 << 16;

/// What a header says.
#[derive(Debug, PartialEq)]
struct Header {
    element: DataType,
    rows: u64,
    dim: usize,
}

/// Reads an array as vectors.
///
/// # Errors
/// `InvalidArgument` for a file that is none, or has another form than rows of numbers.
pub(super) fn read(mut from: impl Read + Send + 'static, limits: &Limits) -> Result<Source> {
    let mut start = [0; 8];
    from.read_exact(&mut start).map_err(broken)?;
    if !start.starts_with(MAGIC) {
        return Err(malformed("is no NumPy array: it begins otherwise"));
    }
    let mut length = [0; 4];
    let digits = if start[6] == 1 { 2 } else { 4 };
    from.read_exact(&mut length[..digits]).map_err(broken)?;
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes > HEADER_BYTES_MAX {
        return Err(malformed(format!("has a header of {bytes} bytes")));
    }
    let mut text = vec![0; bytes];
    from.read_exact(&mut text).map_err(broken)?;
    let Header { element, rows, dim } = header(&String::from_utf8_lossy(&text))?;
    if dim > limits.dim_max {
        return Err(types::Error::limit("dimension", "the dimension", dim, limits.dim_max));
    }
    let (width, kind) = (element.primitive_width().unwrap_or(1), element.clone());
    let mut left = rows;
    let next = move || {
        let count = left.min(vector_rows(dim) as u64);
        if count == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; count as usize * dim * width];
        from.read_exact(&mut bytes).map_err(broken)?;
        left -= count;
        Ok(Some(elements(&kind, bytes)))
    };
    Ok(Source { batches: Box::new(Vectors::new(dim, element, None, next)?), rows: Some(rows) })
}

fn elements(kind: &DataType, bytes: Vec<u8>) -> ArrayRef {
    match kind {
        DataType::Float16 => {
            let elements = bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes));
            Arc::new(elements.map(Some).collect::<Float16Array>())
        }
        DataType::Float32 => {
            let elements = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            Arc::new(Float32Array::from_iter_values(elements))
        }
        DataType::Float64 => {
            let elements = bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
            Arc::new(Float64Array::from_iter_values(elements))
        }
        _ => Arc::new(UInt8Array::from(bytes)),
    }
}

fn broken(error: std::io::Error) -> types::Error {
    super::refused(error.into())
}

/// The value behind a key of the header.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str> {
    let quoted = format!("'{key}':");
    let found = header.split_once(&quoted).map(|(_, rest)| rest.trim_start());
    found.ok_or_else(|| malformed(format!("has a header without `{key}`")))
}

fn header(text: &str) -> Result<Header> {
    let descr = value(text, "descr")?.trim_start_matches('\'');
    let element = match descr.split('\'').next().unwrap_or_default() {
        "<f2" => DataType::Float16,
        "<f4" => DataType::Float32,
        "<f8" => DataType::Float64,
        "|u1" => DataType::UInt8,
        other => {
            let message =
                format!("has elements of the type `{other}`; `<f2`, `<f4`, `<f8` and `|u1` are read");
            return Err(malformed(message));
        }
    };
    if !value(text, "fortran_order")?.starts_with("False") {
        return Err(malformed("is laid out by columns; save it with `np.ascontiguousarray`"));
    }
    let shape = value(text, "shape")?.trim_start_matches('(');
    let shape = shape.split(')').next().unwrap_or_default();
    let numbers = shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse::<u64>);
    match numbers.collect::<std::result::Result<Vec<u64>, _>>().as_deref() {
        Ok([rows, dim]) => {
            let dim = usize::try_from(*dim).unwrap_or(usize::MAX);
            Ok(Header { element, rows: *rows, dim })
        }
        _ => Err(malformed(format!("has the shape ({shape}); rows by dimensions are read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_are_written() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (100, 384), }          \n";
        assert_eq!(
            header(text).expect("a header"),
            Header { element: DataType::Float32, rows: 100, dim: 384 }
        );
        for (bad, expected) in [
            (text.replace("<f4", "<i8"), "<i8"),
            (text.replace("False", "True"), "columns"),
            (text.replace("384", "384, 2"), "shape"),
            (text.replace("100, 384", "100,"), "shape"),
            (text.replace("shape", "form"), "shape"),
        ] {
            let error = header(&bad).expect_err(expected);
            assert!(error.message().contains(expected), "{error}");
        }
    }
}
