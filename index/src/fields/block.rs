//! The columns of all indexed fields over one range of rows. Immutable.

use std::collections::BTreeMap;
use std::ops::Range;

use types::{FieldKind, FieldPath, Payload};

use super::column::Column;

pub(super) struct Block {
    rows: Range<u32>,
    /// One for each field, in the order of the map of kinds.
    columns: Vec<Column>,
}

impl Block {
    pub(super) fn build(kinds: &BTreeMap<FieldPath, FieldKind>, first: u32, payloads: &[&Payload]) -> Self {
        let columns = kinds.iter().map(|(path, &kind)| {
            let values = (first..).zip(payloads).map(|(row, payload)| (row, path.values(payload)));
            Column::build(kind, values)
        });
        Self { rows: first..first + payloads.len() as u32, columns: columns.collect() }
    }

    /// This block and the one that follows it without a gap.
    pub(super) fn merge(&self, next: &Self) -> Self {
        let pairs = self.columns.iter().zip(&next.columns);
        Self {
            rows: self.rows.start..next.rows.end,
            columns: pairs.map(|(column, next)| column.merge(next)).collect(),
        }
    }

    pub(super) fn rows(&self) -> &Range<u32> {
        &self.rows
    }

    pub(super) fn column(&self, position: usize) -> Option<&Column> {
        self.columns.get(position)
    }

    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }
}
