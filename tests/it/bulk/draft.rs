//! Points with vectors of all kinds and payloads of all shapes, few enough of each that things meet.

use kithdb::{
    Datatype, Metric, Payload, Point, PointId, Schema, SparseSpec, SparseVector, Value, Vector, VectorSpec,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A vector of each kind. One has the name that the column of the unnamed one would have.
pub(crate) fn schema() -> Schema {
    Schema::new()
        .vector(3, Metric::Dot)
        .named_vector("vector", VectorSpec::new(2, Metric::Cosine))
        .named_vector("half", VectorSpec::new(2, Metric::Euclid).stored_as(Datatype::Float16))
        .named_vector("bytes", VectorSpec::new(4, Metric::Manhattan).stored_as(Datatype::Uint8))
        .sparse_vector("words", SparseSpec::idf())
        .multi_vector("id", VectorSpec::new(2, Metric::Dot))
}

/// Keys that are columns, and some that cannot be.
const KEYS: [&str; 8] = ["a", "b", "c.d", "id", "vector", "payload", "words", ""];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has it", |number| number.is_finite()).prop_map(Value::from),
        "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(select(&KEYS[..]), inner, 0..3).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

/// Values of one kind a key, as columns of tables have them, or of any.
fn payload(is_regular: bool) -> BoxedStrategy<Payload> {
    if !is_regular {
        let fields = btree_map(select(&KEYS[..]), value(), 0..4);
        return fields
            .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            .boxed();
    }
    let number = option::of(any::<i64>().prop_map(Value::from));
    let text = option::of("[a-c]{0,3}".prop_map(Value::from));
    let list = option::of(vec(option::of(any::<f32>().prop_map(f64::from)), 0..3).prop_map(|items| {
        let finite =
            |item: Option<f64>| item.filter(|item| item.is_finite()).map_or(Value::Null, Value::from);
        Value::Array(items.into_iter().map(finite).collect())
    }));
    (number, text, list, option::of(option::of(any::<bool>())))
        .prop_map(|(a, b, list, nested)| {
            let object = nested.map(|flag| {
                let flag = flag.map(|flag| ("flag".to_owned(), flag.into()));
                Value::Object(flag.into_iter().chain([("one".to_owned(), 1.into())]).collect())
            });
            let fields = [("a", a), ("b", b), ("c.d", list), ("object", object)];
            fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
        })
        .boxed()
}

fn floats(dim: usize) -> impl Strategy<Value = Vec<f32>> {
    vec(-100.0_f32..100.0, dim)
}

fn point(is_regular: bool) -> impl Strategy<Value = Point> {
    let id = prop_oneof![
        3 => (0_u64..50).prop_map(PointId::from),
        1 => Just(PointId::Num(u64::MAX)),
        1 => "[a-c]".prop_map(|name| PointId::from_name(&name)),
    ];
    let bytes = vec(any::<u8>().prop_map(f32::from), 4);
    let words = btree_map(any::<u32>(), -10.0_f32..10.0, 0..4).prop_map(SparseVector::of);
    let vectors = (
        option::of(floats(3)),
        option::of(
            floats(2).prop_filter("it has a direction", |row| row.iter().any(|element| *element != 0.0)),
        ),
        option::of(floats(2)),
        option::of(bytes),
        option::of(words),
        option::of(vec(floats(2), 1..3)),
    );
    (id, vectors, payload(is_regular)).prop_map(|(id, vectors, payload)| {
        let named = [
            ("", vectors.0.map(Vector::Dense)),
            ("vector", vectors.1.map(Vector::Dense)),
            ("half", vectors.2.map(Vector::Dense)),
            ("bytes", vectors.3.map(Vector::Dense)),
            ("words", vectors.4.map(Vector::Sparse)),
            ("id", vectors.5.map(Vector::Multi)),
        ];
        let vectors = named.into_iter().filter_map(|(name, vector)| Some((name.to_owned(), vector?)));
        Point { id, vectors: vectors.collect(), payload }
    })
}

/// Points whose payloads are alike, or not.
pub(crate) fn points() -> impl Strategy<Value = Vec<Point>> {
    any::<bool>().prop_flat_map(|is_regular| vec(point(is_regular), 1..12))
}
