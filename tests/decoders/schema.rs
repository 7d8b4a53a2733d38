//! The collection that the bytes of this folder are of: a space of every kind.

use storage::CatalogEntry;
use types::{
    CollectionId, Datatype, FieldKind, Language, Metric, Point, Schema, SparseSpec, SparseVector, Vector,
    VectorSpec,
};

/// The names of its vectors.
pub(crate) const NAMES: [&str; 5] = ["", "h", "b", "s", "m"];

/// What the catalog says of it.
pub(crate) fn entry() -> CatalogEntry {
    let schema = Schema::new()
        .vector(2, Metric::Dot)
        .named_vector("h", VectorSpec::new(2, Metric::Euclid).stored_as(Datatype::Float16))
        .named_vector("b", VectorSpec::new(2, Metric::Euclid).stored_as(Datatype::Uint8))
        .sparse_vector("s", SparseSpec::default())
        .multi_vector("m", VectorSpec::new(2, Metric::Dot))
        .keyword(["a.b[]".parse().expect("a path")], Language::English)
        .field("n".parse().expect("a path"), FieldKind::Integer);
    CatalogEntry::new(CollectionId(1), "c", schema)
}

/// A point with a vector in each space.
pub(crate) fn point(id: u64) -> Point {
    Point::new(id)
        .vector([id as f32, 0.5])
        .named_vector("h", [0.5, id as f32])
        .named_vector("b", [1.0, id as f32])
        .named_vector("s", SparseVector::of([(id as u32, 1.0), (9, -1.0)]))
        .named_vector("m", Vector::Multi(vec![vec![1.0, id as f32], vec![0.0, 2.0]]))
        .with("n", id)
        .with("text", "ü")
}
