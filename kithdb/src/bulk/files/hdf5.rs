//! HDF5, as ann-benchmarks.com lays its datasets out: vectors in the dataset `train`, the metric as an attribute.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array};
use arrow::datatypes::DataType;
use hdf5_reader::{Dataset, Hdf5File, SliceInfo, SliceInfoElem};
use types::{Error, Limits, Metric, Result};

use super::{Source, Vectors, malformed, vector_rows};
use crate::bulk::import::guarded;

/// Where the vectors are.
const DATASET: &str = "train";

/// The attribute of the file that says how they are compared.
const DISTANCE: &str = "distance";

/// Opens a file.
///
/// # Errors
/// `InvalidArgument` for a file that is none, or has no rows of numbers in `train`; `LimitExceeded`.
pub(super) fn open(path: &Path, limits: &Limits) -> Result<Source> {
    // So that what cannot be opened is told as that.
    drop(std::fs::File::open(path)?);
    let file = guarded(|| Hdf5File::open(path))?.map_err(refused)?;
    let dataset = file.dataset(DATASET).map_err(|error| {
        malformed(format!("has no dataset `{DATASET}`, where the vectors are expected: {error}"))
            .with_source(error)
    })?;
    let &[rows, dim] = dataset.shape() else {
        let message =
            format!("has `{DATASET}` in the shape {:?}; rows by dimensions are read", dataset.shape());
        return Err(malformed(message));
    };
    let dim = usize::try_from(dim).unwrap_or(usize::MAX);
    // A file may say that it has more than it has: what is missing is read as zeros.
    if dim > limits.dim_max {
        return Err(Error::limit("dimension", "the dimension", dim, limits.dim_max));
    }
    let metric = file.root_group().ok().and_then(|root| root.attribute(DISTANCE).ok()?.read_string().ok());
    let metric = metric.as_deref().and_then(metric_of);
    let mut start = 0;
    let next = move || {
        let end = rows.min(start + vector_rows(dim) as u64);
        if start == end {
            return Ok(None);
        }
        let elements = slice(&dataset, start, end, dim)?;
        start = end;
        Ok(Some(elements))
    };
    Ok(Source { batches: Box::new(Vectors::new(dim, DataType::Float32, metric, next)?), rows: Some(rows) })
}

/// Rows, as `f32`; doubles are rounded.
fn slice(dataset: &Dataset, start: u64, end: u64, dim: usize) -> Result<ArrayRef> {
    let range = |start, end| SliceInfoElem::Slice { start, end, step: 1 };
    let rows = SliceInfo { selections: vec![range(start, end), range(0, dim as u64)] };
    let elements: Vec<f32> = match dataset.read_slice::<f32>(&rows) {
        Ok(array) => array.into_iter().collect(),
        Err(_) => {
            let array = dataset.read_slice::<f64>(&rows).map_err(refused)?;
            array.into_iter().map(|element| element as f32).collect()
        }
    };
    Ok(Arc::new(Float32Array::from(elements)))
}

fn metric_of(distance: &str) -> Option<Metric> {
    match distance.trim_end_matches('\0') {
        "angular" => Some(Metric::Cosine),
        "euclidean" => Some(Metric::Euclid),
        "dot" | "ip" => Some(Metric::Dot),
        _ => None,
    }
}

fn refused(error: hdf5_reader::error::Error) -> Error {
    malformed(format!("is not readable: {error}")).with_source(error)
}
