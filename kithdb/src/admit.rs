//! What is checked of operations before they are staged, once for all doors: schema and limits.
//!
//! Vectors become what will be read again. What depends on what is stored is checked while an operation is staged.

use std::sync::Arc;

use types::{Change, Error, Filter, Limits, Op, Payload, Point, Result, Schema, Selection, Vectors, payload};

use crate::Collection;

impl Collection {
    /// Checks operations against schema and limits, and makes vectors what will be read again.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded`, naming the operation.
    pub(crate) fn checked(&self, mut ops: Vec<Op>) -> Result<Vec<Op>> {
        let limits = &self.engine.limits;
        // A version that is required belongs to an operation that follows, so they are counted apart.
        let count = |is_required: bool| -> usize {
            let ops = ops.iter().filter(|op| matches!(op, Op::Require { .. }) == is_required);
            ops.map(Op::size).sum()
        };
        let points = count(false).max(count(true));
        if points > limits.batch_points_max {
            return Err(Error::limit("points", "the number of points", points, limits.batch_points_max));
        }
        let entry = Arc::clone(&self.shared.view.load().entry);
        for (position, op) in ops.iter_mut().enumerate() {
            check(op, &entry.schema, limits).map_err(|error| error.within(&format!("ops[{position}]")))?;
        }
        Ok(ops)
    }
}

fn check(op: &mut Op, schema: &Schema, limits: &Limits) -> Result<()> {
    match op {
        Op::Upsert(point) => check_point(point, schema, limits),
        Op::UpsertWhere { points, update_filter, .. } => {
            check_update_filter(update_filter, limits)?;
            each(points, |point| check_point(point, schema, limits))
        }
        Op::UpdateVectors { points, update_filter } => {
            check_update_filter(update_filter, limits)?;
            each(points, |(_, vectors)| check_vectors(vectors, schema, limits))
        }
        Op::Change(selection, change) => {
            if let Selection::Where(filter) = selection {
                filter.check(limits)?;
            }
            check_change(change, schema, limits)
        }
        Op::DeleteWhere(filter) => filter.check(limits),
        Op::Delete(_) | Op::Require { .. } => Ok(()),
    }
}

fn each<T>(points: &mut [T], mut check: impl FnMut(&mut T) -> Result<()>) -> Result<()> {
    points.iter_mut().enumerate().try_for_each(|(position, point)| {
        check(point).map_err(|error| error.within(&format!("points[{position}]")))
    })
}

fn check_update_filter(filter: &Filter, limits: &Limits) -> Result<()> {
    filter.check(limits).map_err(|error| {
        let field = format!("update_{}", error.field().unwrap_or("filter"));
        error.with_field(field)
    })
}

fn check_point(point: &mut Point, schema: &Schema, limits: &Limits) -> Result<()> {
    check_vectors(&mut point.vectors, schema, limits)?;
    payload::check(&point.payload, limits)
}

fn check_vectors(vectors: &mut Vectors, schema: &Schema, limits: &Limits) -> Result<()> {
    for (name, vector) in vectors {
        let field = if name.is_empty() { "vector".to_owned() } else { format!("vector.{name}") };
        schema.admit(name, vector, limits).map_err(|error| error.within(&field))?;
    }
    Ok(())
}

fn depth(payload: &Payload) -> usize {
    1 + payload.values().map(payload::depth).max().unwrap_or(0)
}

/// Keys that are removed at once: each of them is looked for in every point, while other writes wait.
const KEYS_MAX: usize = 1_024;

fn check_change(change: &Change, schema: &Schema, limits: &Limits) -> Result<()> {
    match change {
        Change::SetPayload { payload, path } => {
            payload::check(payload, limits)?;
            // Before anything so deep is made.
            let depth = path.as_ref().map_or(0, |path| path.depth() + depth(payload));
            if depth > limits.payload_depth_max {
                return Err(Error::limit("key", "the payload's depth", depth, limits.payload_depth_max));
            }
            Ok(())
        }
        Change::OverwritePayload(payload) => payload::check(payload, limits),
        Change::DeleteVectors(names) if names.is_empty() => {
            Err(Error::invalid("vector", "names no vector; name those that are to be deleted"))
        }
        // There are no more vectors than that, so some are named twice.
        Change::DeleteVectors(names) if names.len() > limits.vectors_max => {
            Err(Error::limit("vector", "the number of names", names.len(), limits.vectors_max))
        }
        Change::DeleteVectors(names) => names.iter().enumerate().try_for_each(|(position, name)| {
            schema.check_name(name).map_err(|error| error.with_field(format!("vector[{position}]")))
        }),
        Change::DeletePayload(paths) if paths.len() > KEYS_MAX => {
            Err(Error::limit("keys", "the number of keys", paths.len(), KEYS_MAX))
        }
        Change::DeletePayload(_) | Change::ClearPayload => Ok(()),
    }
}
