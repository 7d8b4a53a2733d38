//! A point, and the operations on points that a commit is made of.

use crate::vector::DEFAULT_VECTOR;
use crate::{
    Change, FieldPath, Filter, Payload, PointId, Selection, SparseVector, UpsertMode, Value, Vector, Vectors,
};

/// A point: id, vectors, payload. The unit of upsert.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The user's id.
    pub id: PointId,
    /// Its vectors by name; a missing one is simply not searched.
    pub vectors: Vectors,
    /// Its JSON object.
    pub payload: Payload,
}

impl Point {
    /// A point without vectors or payload.
    pub fn new(id: impl Into<PointId>) -> Self {
        Self { id: id.into(), vectors: Vec::new(), payload: Payload::new() }
    }

    /// Sets the unnamed vector.
    #[must_use]
    pub fn vector(self, vector: impl Into<Vector>) -> Self {
        self.named_vector(DEFAULT_VECTOR, vector)
    }

    /// Sets a named vector.
    #[must_use]
    pub fn named_vector(mut self, name: &str, vector: impl Into<Vector>) -> Self {
        self.vectors.retain(|(other, _)| other != name);
        self.vectors.push((name.to_owned(), vector.into()));
        self
    }

    /// Sets one key of the payload.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.payload.insert(key.to_owned(), value.into());
        self
    }

    /// Sets the whole payload.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Sets some vectors of the point; the others stay.
    pub fn set_vectors(&mut self, vectors: Vectors) {
        self.vectors.retain(|(other, _)| vectors.iter().all(|(name, _)| name != other));
        self.vectors.extend(vectors);
    }

    /// The elements of a dense vector, if the point has it.
    pub fn vector_named(&self, name: &str) -> Option<&[f32]> {
        self.any_named(name).and_then(Vector::dense)
    }

    /// The weights of a sparse vector, if the point has it.
    pub fn sparse_named(&self, name: &str) -> Option<&SparseVector> {
        self.any_named(name).and_then(Vector::sparse)
    }

    /// A vector of any kind, if the point has it.
    pub fn any_named(&self, name: &str) -> Option<&Vector> {
        self.vectors.iter().find(|(other, _)| other == name).map(|(_, vector)| vector)
    }

    /// The first value at a path, for display.
    pub fn value(&self, path: &FieldPath) -> Option<&Value> {
        path.values(&self.payload).into_iter().next()
    }
}

/// One operation of a commit on one collection. The operations of a commit apply in order, all or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Inserts the point, or replaces it whole: vectors, payload and keywords together.
    Upsert(Point),
    /// As [`Op::Upsert`] for each point that the mode and the filter let through; others are passed over. Both look at
    /// what was there before the operation, and of several points with one id the last counts.
    UpsertWhere {
        /// The points.
        points: Vec<Point>,
        /// Whether points are inserted, replaced, or both.
        mode: UpsertMode,
        /// What a point that exists must match to be replaced.
        update_filter: Filter,
    },
    /// Gives points that exist these vectors; their other vectors stay. The filter looks at what was there before the
    /// operation.
    UpdateVectors {
        /// The vectors of each point; an id may come several times.
        points: Vec<(PointId, Vectors)>,
        /// What a point must match to be changed.
        update_filter: Filter,
    },
    /// Changes a part of points that exist.
    Change(Selection, Change),
    /// Deletes points by id; ids that do not exist are passed over.
    Delete(Vec<PointId>),
    /// Deletes every point that the filter matches when the operation is applied.
    DeleteWhere(Filter),
    /// Changes nothing: unless the point has this version when the operation is reached, the whole commit fails.
    Require {
        /// The point.
        id: PointId,
        /// Its version as hits show it; 0: there is no such point.
        if_version: u64,
    },
}

impl Op {
    /// The points that the operation names.
    pub fn ids(&self) -> Vec<PointId> {
        let mut ids = Vec::with_capacity(self.size());
        self.each_id(|id| ids.push(id));
        ids
    }

    /// Visits the points that the operation names, in their order: a write of thousands of operations makes no list for
    /// each.
    pub fn each_id(&self, mut visit: impl FnMut(PointId)) {
        match self {
            Self::Upsert(Point { id, .. }) | Self::Require { id, .. } => visit(*id),
            Self::UpsertWhere { points, .. } => points.iter().for_each(|point| visit(point.id)),
            Self::UpdateVectors { points, .. } => points.iter().for_each(|(id, _)| visit(*id)),
            Self::Change(Selection::Ids(ids), _) | Self::Delete(ids) => ids.iter().for_each(|id| visit(*id)),
            Self::Change(Selection::Where(_), _) | Self::DeleteWhere(_) => {}
        }
    }

    /// How many points it names; an operation on what matches counts as one.
    pub fn size(&self) -> usize {
        match self {
            Self::UpsertWhere { points, .. } => points.len(),
            Self::UpdateVectors { points, .. } => points.len(),
            Self::Change(Selection::Ids(ids), _) | Self::Delete(ids) => ids.len(),
            _ => 1,
        }
    }

    /// Whether the points that it concerns are known only from what is stored.
    pub fn is_by_filter(&self) -> bool {
        matches!(self, Self::Change(Selection::Where(_), _) | Self::DeleteWhere(_))
    }
}
