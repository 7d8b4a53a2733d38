//! A point, and the operations on points that a commit is made of.

use crate::vector::DEFAULT_VECTOR;
use crate::{FieldPath, Filter, Payload, PointId, SparseVector, Value, Vector, Vectors};

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
    /// Deletes points by id; ids that do not exist are passed over.
    Delete(Vec<PointId>),
    /// Deletes every point that the filter matches when the operation is applied.
    DeleteWhere(Filter),
}
