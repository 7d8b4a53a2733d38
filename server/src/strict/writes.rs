//! Writes under strict mode: how many points at once, how large a collection may grow, and what filters of writes need.

use std::collections::BTreeSet;

use kithdb::{Change, Error, Filter, Op, Point, PointId, Result, Select, Selection, Vector, Vectors};

use super::rates::Kind;
use super::{Config, Strict, refused, sizes};
use crate::error::Refusal;
use crate::metrics;

/// What a write by a filter costs: how many points it changes is not known before.
const BY_FILTER: usize = 5;

impl Strict<'_> {
    /// The operations of a commit on this collection. `operation` says for each which operation of the request it is a
    /// part of: limits of points at once count for each by itself.
    ///
    /// # Errors
    /// Bad request, naming the limit; too many requests.
    pub(crate) fn check_writes(&self, ops: &[Op], operation: impl Fn(usize) -> usize) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let mut upserts: Vec<(usize, usize)> = Vec::new();
        for (position, op) in ops.iter().enumerate() {
            match op {
                Op::Upsert(point) => {
                    config.check_point(point)?;
                    count(&mut upserts, operation(position), 1);
                }
                Op::UpsertWhere { points, update_filter, .. } => {
                    points.iter().try_for_each(|point| config.check_point(point))?;
                    self.update_filter(config, update_filter)?;
                    count(&mut upserts, operation(position), points.len());
                }
                Op::UpdateVectors { points, update_filter } => {
                    points.iter().try_for_each(|(_, vectors)| config.check_vectors(vectors))?;
                    self.update_filter(config, update_filter)?;
                    self.limit("update limit", points.len(), |config| config.upsert_max_batchsize)?;
                }
                Op::Change(Selection::Where(filter), _) | Op::DeleteWhere(filter) => {
                    self.update_filter(config, filter)?;
                }
                Op::Change(Selection::Ids(_), _) | Op::Delete(_) | Op::Require { .. } => {}
            }
        }
        for (_, points) in upserts {
            self.limit("upsert limit", points, |config| config.upsert_max_batchsize)?;
        }
        if ops.iter().any(grows) {
            self.check_size(config, ops)?;
        }
        self.take_write(ops.iter().map(cost).sum())
    }

    /// Further points of an import, or of documents: how many there will be, and which of them are there, is not known
    /// before. A collection that is full takes none.
    ///
    /// # Errors
    /// Bad request, naming the limit.
    pub(crate) fn check_room(&self) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let points = self.collection.status().points;
        if let Some(limit) = config.max_points_count.filter(|limit| points >= *limit) {
            return Err(too_many_points(limit));
        }
        self.check_size(config, &[])?;
        match config.max_collection_payload_size_bytes {
            Some(limit) if !self.rates.sizes.may_take(self.collection, 1, limit)? => Err(too_large(limit)),
            _ => Ok(()),
        }
    }

    /// Takes what a write costs.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn take_write(&self, cost: usize) -> Result<()> {
        let limit = self.config.as_ref().and_then(|config| config.write_rate_limit);
        self.rates.take(self.collection.name(), Kind::Write, limit, cost as u64)
    }

    fn update_filter(&self, config: &Config, filter: &Filter) -> Result<()> {
        self.filter(config, filter, config.unindexed_filtering_update)
    }

    fn check_size(&self, config: &Config, ops: &[Op]) -> Result<()> {
        let points = self.collection.status().points;
        let given = made(ops).len();
        // One that is full takes none that are there either, as in the dialect.
        if let Some(limit) = config.max_points_count.filter(|_| given > 0)
            && (points >= limit || (points + given > limit && points + self.new_points(ops)? > limit))
        {
            return Err(too_many_points(limit));
        }
        if let Some(limit) = config.max_collection_vector_size_bytes {
            let schema = self.collection.schema();
            let all = schema.vectors.values().chain(schema.multi.values());
            let bytes: usize = all.map(|spec| points * spec.dim * spec.datatype.bytes()).sum();
            if bytes >= limit {
                let message =
                    format!("Max vector storage size limit of {}MB reached!", megabytes(limit as u64));
                return Err(reached("max_collection_vector_size_bytes", &message));
            }
        }
        if let Some(limit) = config.max_collection_payload_size_bytes {
            let added = ops.iter().map(|op| self.payload_bytes(op)).sum::<Result<u64>>()?;
            if added > 0 && !self.rates.sizes.may_take(self.collection, added, limit)? {
                return Err(too_large(limit));
            }
        }
        match (config.max_resident_memory_percent, metrics::resident_percent()) {
            (Some(limit), Some(percent)) if percent >= limit => {
                let message = format!(
                    "Resident memory usage is at {percent:.0}% of total memory, exceeding the configured limit of \
                     {limit}%"
                );
                let solution = "Delete points or drop collections, or raise `max_resident_memory_percent`.";
                Err(refused("max_resident_memory_percent", &message, solution))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of payloads that an operation adds, at most.
    fn payload_bytes(&self, op: &Op) -> Result<u64> {
        let all = |points: &[Point]| points.iter().map(|point| sizes::bytes(&point.payload)).sum();
        Ok(match op {
            Op::Upsert(point) => sizes::bytes(&point.payload),
            Op::UpsertWhere { points, .. } => all(points),
            Op::Change(selection, Change::SetPayload { payload, .. } | Change::OverwritePayload(payload)) => {
                let points = match selection {
                    Selection::Ids(ids) => ids.len(),
                    Selection::Where(filter) => self.collection.count(filter)?,
                };
                sizes::bytes(payload) * points as u64
            }
            _ => 0,
        })
    }

    /// Of the points that would be made, those that are not there.
    fn new_points(&self, ops: &[Op]) -> Result<usize> {
        let ids: Vec<PointId> = made(ops).into_iter().collect();
        let known = self.collection.get(&ids, &Select::none())?;
        Ok(ids.len() - known.len())
    }
}

impl Config {
    fn check_point(&self, point: &Point) -> Result<()> {
        self.check_vectors(&point.vectors)
    }

    fn check_vectors(&self, vectors: &Vectors) -> Result<()> {
        for (name, vector) in vectors {
            let refused = |message: String| Err(reached(&format!("vector.{name}"), &message));
            match vector {
                Vector::Multi(rows) => {
                    let (limit, given) =
                        (self.multivector_config.get(name).and_then(|of| of.max_vectors), rows.len());
                    if let Some(limit) = limit.filter(|limit| given > *limit) {
                        return refused(format!(
                            "Multivector '{name}' has a limit of {limit} vectors, but {given} were provided!"
                        ));
                    }
                }
                Vector::Sparse(sparse) => {
                    let limit = self.sparse_config.get(name).and_then(|weights| weights.max_length);
                    let given = sparse.indices.len();
                    if let Some(limit) = limit.filter(|limit| given > *limit) {
                        return refused(format!(
                            "Sparse vector '{name}' has a limit of {limit} indices, but {given} were provided!"
                        ));
                    }
                }
                Vector::Dense(_) => {}
            }
        }
        Ok(())
    }
}

fn count(upserts: &mut Vec<(usize, usize)>, operation: usize, points: usize) {
    match upserts.last_mut() {
        Some((last, sum)) if *last == operation => *sum += points,
        _ => upserts.push((operation, points)),
    }
}

/// The points that these operations may make.
fn made(ops: &[Op]) -> BTreeSet<PointId> {
    let upserted =
        |op: &Op| if matches!(op, Op::Upsert(_) | Op::UpsertWhere { .. }) { op.ids() } else { Vec::new() };
    ops.iter().flat_map(upserted).collect()
}

/// Whether a collection may be larger after it.
fn grows(op: &Op) -> bool {
    match op {
        Op::Upsert(_) | Op::UpsertWhere { .. } | Op::UpdateVectors { .. } => true,
        Op::Change(_, change) => change.can_grow_payload(),
        Op::Delete(_) | Op::DeleteWhere(_) | Op::Require { .. } => false,
    }
}

fn cost(op: &Op) -> usize {
    match op {
        Op::Require { .. } => 0,
        op if op.is_by_filter() => BY_FILTER,
        op => op.size(),
    }
}

fn too_many_points(limit: usize) -> Error {
    reached("max_points_count", &format!("Max points count limit of {limit} reached!"))
}

/// As the dialect writes a limit: with no more digits than single precision needs.
fn megabytes(limit: u64) -> f32 {
    limit as f32 / (1 << 20) as f32
}

fn too_large(limit: u64) -> Error {
    let message = format!("Max payload storage size limit of {}MB reached!", megabytes(limit));
    reached("max_collection_payload_size_bytes", &message)
}

fn reached(field: &str, message: &str) -> Error {
    Refusal::BadRequest.of(field, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_written_with_the_digits_of_single_precision() {
        assert_eq!(megabytes(11_600).to_string(), "0.011062622");
        assert_eq!(megabytes(3 << 20).to_string(), "3");
    }
}
