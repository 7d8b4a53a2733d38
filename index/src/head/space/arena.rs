//! The rows of a vector space. Append-only, read without locks; a row's address never changes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use types::Metric;

use super::coded::{BLOCK_ROWS, Coded};
use crate::kernels;

/// Bytes of a row beside its elements: a box, a length, the flag of the append-only vector.
const ROW_BYTES: usize = 48;

pub(super) struct Arena {
    dim: usize,
    metric: Metric,
    rows: boxcar::Vec<Row>,
    /// The rows again, as codes, from the first block on; nothing if the metric has none.
    coded: OnceLock<Option<Coded>>,
    count: AtomicU32,
}

struct Row {
    /// Empty if the point has no such vector.
    elements: Box<[f32]>,
    /// The squared length, kept for the inner product only.
    square: f32,
}

impl Arena {
    pub(super) fn new(dim: usize, metric: Metric) -> Self {
        Self { dim, metric, rows: boxcar::Vec::new(), coded: OnceLock::new(), count: AtomicU32::new(0) }
    }

    pub(super) fn metric(&self) -> Metric {
        self.metric
    }

    pub(super) fn append(&self, vector: Option<Vec<f32>>) {
        let is_there = vector.is_some();
        // What a vector has room for beyond its elements would stay with it.
        let elements = vector.unwrap_or_default().into_boxed_slice();
        debug_assert!(!is_there || elements.len() == self.dim, "a vector of another space");
        let square = match self.metric {
            Metric::Dot => -kernels::distance(Metric::Dot, &elements, &elements),
            _ => 0.0,
        };
        self.rows.push(Row { elements, square });
        self.count.fetch_add(u32::from(is_there), Ordering::Release);
        let len = self.len();
        if len.is_multiple_of(BLOCK_ROWS)
            && let Some(coded) = self.coded.get_or_init(|| Coded::new(self.metric, self.dim))
        {
            coded.append((len - BLOCK_ROWS..len).map(|row| self.row(row)));
        }
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

    /// The rows as codes, if there are blocks of them and the metric has codes.
    pub(super) fn coded(&self) -> Option<&Coded> {
        self.coded.get()?.as_ref()
    }

    /// The squared length of a row's vector. Only under [`Metric::Dot`].
    pub(super) fn square(&self, row: u32) -> f32 {
        self.rows.get(row as usize).map_or(0.0, |row| row.square)
    }

    /// Bytes of a vector, and of the upper nibbles of its code; of the vector again where the metric has none.
    pub(super) fn row_bytes(&self) -> (u64, u64) {
        let vector = (self.dim * size_of::<f32>()) as u64;
        (vector, if self.metric == Metric::Manhattan { vector } else { self.dim.div_ceil(2) as u64 })
    }

    pub(super) fn bytes(&self) -> usize {
        let elements = self.count() as usize * self.dim * size_of::<f32>();
        self.len() as usize * ROW_BYTES + elements + self.coded().map_or(0, Coded::bytes)
    }
}
