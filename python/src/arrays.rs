//! Ids, vectors and payloads in columns, and the points that they make.
//!
//! Cost: each element of an array is copied once, into the vector of its point. Rows must be contiguous; the package
//! above sees to that.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use kithdb::{Payload, Point, PointId, Vectors};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::PyString;
use uuid::Uuid;

use crate::failure::invalid;
use crate::json;

/// The ids of points: an array of unsigned integers, or a list of those and of UUIDs.
#[derive(FromPyObject)]
pub(crate) enum Ids<'py> {
    /// An array.
    Array(PyReadonlyArray1<'py, u64>),
    /// A list.
    List(Vec<Bound<'py, PyAny>>),
}

/// The vectors of points in one space, a row each.
#[derive(FromPyObject)]
pub(crate) enum Rows<'py> {
    /// Of single precision.
    F32(PyReadonlyArray2<'py, f32>),
    /// Of half precision.
    F16(PyReadonlyArray2<'py, f16>),
}

impl Ids<'_> {
    fn read(&self, py: Python<'_>) -> PyResult<Vec<PointId>> {
        match self {
            Self::Array(ids) => Ok(ids.as_array().iter().map(|id| PointId::Num(*id)).collect()),
            Self::List(ids) => ids.iter().enumerate().map(|(at, given)| id(py, given, at)).collect(),
        }
    }
}

fn id(py: Python<'_>, given: &Bound<'_, PyAny>, at: usize) -> PyResult<PointId> {
    let text = given.cast::<PyString>().ok().map(|text| text.to_str()).transpose()?;
    let read = match text {
        Some(text) => Uuid::parse_str(text).map(PointId::Uuid).ok(),
        None => given.extract::<u64>().map(PointId::Num).ok(),
    };
    read.ok_or_else(|| {
        let message = format!(
            "is {}; ids are unsigned integers and UUIDs, and kithdb.id_of(name) makes one of any text",
            given.repr().map_or_else(|_| "no id".to_owned(), |text| text.to_string())
        );
        invalid(py, &format!("points[{at}].id"), &message)
    })
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(rows) => rows.shape()[0],
            Self::F16(rows) => rows.shape()[0],
        }
    }

    fn row(&self, at: usize) -> Vec<f32> {
        match self {
            Self::F32(rows) => rows.as_array().row(at).to_vec(),
            Self::F16(rows) => {
                let row = rows.as_array();
                let row = row.row(at);
                row.as_slice()
                    .map_or_else(|| row.iter().map(|x| x.to_f32()).collect(), |row| row.to_f32_vec())
            }
        }
    }
}

/// Points of columns.
///
/// # Errors
/// `InvalidArgument` naming the place when columns differ in length, or hold what they should not.
pub(crate) fn points(
    py: Python<'_>,
    ids: &Ids<'_>,
    columns: &[(String, Rows<'_>)],
    payloads: Option<&[Bound<'_, PyAny>]>,
) -> PyResult<Vec<Point>> {
    let ids = ids.read(py)?;
    let lengths = columns.iter().map(|(name, rows)| (format!("vectors.{name}"), rows.len()));
    let lengths = lengths.chain(payloads.map(|payloads| ("payload".to_owned(), payloads.len())));
    for (column, length) in lengths {
        if length != ids.len() {
            let message = format!("has {length} rows for {} ids; each id needs one", ids.len());
            return Err(invalid(py, column.trim_end_matches('.'), &message));
        }
    }
    let point = |(at, id): (usize, PointId)| -> PyResult<Point> {
        let vectors: Vectors =
            columns.iter().map(|(name, rows)| (name.clone(), rows.row(at).into())).collect();
        let payload = match payloads {
            Some(payloads) => json::payload(&payloads[at], &format!("points[{at}].payload"))?,
            None => Payload::new(),
        };
        Ok(Point { id, vectors, payload })
    };
    ids.into_iter().enumerate().map(point).collect()
}
