//! The rows of a vector space. Append-only, read without locks; a row's address never changes.

use std::sync::atomic::{AtomicU32, Ordering};

use types::Metric;

use super::coded::Coded;
use crate::kernels;

/// Bytes of a row beside its elements: two boxes, lengths and steps, the flag of the append-only vector.
const ROW_BYTES: usize = 64;

pub(super) struct Arena {
    dim: usize,
    metric: Metric,
    rows: boxcar::Vec<Row>,
    count: AtomicU32,
}

struct Row {
    /// Empty if the point has no such vector.
    elements: Box<[f32]>,
    coded: Option<Coded>,
    /// The squared length, kept for the inner product only.
    square: f32,
}

impl Arena {
    pub(super) fn new(dim: usize, metric: Metric) -> Self {
        Self { dim, metric, rows: boxcar::Vec::new(), count: AtomicU32::new(0) }
    }

    pub(super) fn metric(&self) -> Metric {
        self.metric
    }

    pub(super) fn append(&self, vector: Option<&[f32]>) {
        let elements: Box<[f32]> = vector.unwrap_or_default().into();
        debug_assert!(vector.is_none() || elements.len() == self.dim, "a vector of another space");
        let square = match self.metric {
            Metric::Dot => -kernels::distance(Metric::Dot, &elements, &elements),
            _ => 0.0,
        };
        let coded = Coded::new(self.metric, &elements);
        self.rows.push(Row { elements, coded, square });
        self.count.fetch_add(u32::from(vector.is_some()), Ordering::Release);
    }

    pub(super) fn len(&self) -> u32 {
        self.rows.count() as u32
    }

    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn row(&self, row: u32) -> Option<&[f32]> {
        self.rows.get(row as usize).map(|row| &*row.elements).filter(|elements| !elements.is_empty())
    }

    /// A row's codes, if it has a vector and the metric has codes.
    pub(super) fn coded(&self, row: u32) -> Option<&Coded> {
        self.rows.get(row as usize).and_then(|row| row.coded.as_ref())
    }

    /// The squared length of a row's vector. Only under [`Metric::Dot`].
    pub(super) fn square(&self, row: u32) -> f32 {
        self.rows.get(row as usize).map_or(0.0, |row| row.square)
    }

    /// Bytes of a vector, and of its code, which is the vector where the metric has none.
    pub(super) fn row_bytes(&self) -> (u64, u64) {
        let vector = (self.dim * size_of::<f32>()) as u64;
        (vector, if self.metric == Metric::Manhattan { vector } else { self.dim as u64 })
    }

    pub(super) fn bytes(&self) -> usize {
        self.len() as usize * ROW_BYTES + self.count() as usize * self.dim * (size_of::<f32>() + 1)
    }
}
