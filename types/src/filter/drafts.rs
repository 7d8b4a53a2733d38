//! Random filters and payloads for tests: few fields and few values, so that things meet.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::{Condition, CountRange, Filter, MinShould, NumberBound, Predicate, Range, Scalar, TimeRange};
use crate::datetime;
use crate::geo::{GeoArea, GeoPoint};
use crate::payload::{Payload, Value};
use crate::{FieldPath, PointId};

fn path() -> impl Strategy<Value = FieldPath> + Clone {
    let paths =
        vec!["a", "b", "a.x", "b[]", "c[0].x", "\"d.e\".f", "not", "count", "two words", "it's`", "ärger-1"];
    prop_oneof![4 => select(vec!["a", "b"]), 1 => select(paths)]
        .prop_map(|path| path.parse().expect("paths of this list parse"))
}

fn words() -> impl Strategy<Value = String> + Clone {
    select(vec!["", "u", "v", "u v", "it's", "50%_\\", "2024-06-01", "`"]).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Scalar> + Clone {
    prop_oneof![
        words().prop_map(Scalar::Str),
        prop_oneof![-2_i64..3, select(vec![i64::MIN, i64::MAX])].prop_map(Scalar::Int),
        any::<bool>().prop_map(Scalar::Bool),
    ]
}

fn float() -> impl Strategy<Value = f64> + Clone {
    select(vec![-1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 1e300, -1e-300, f64::INFINITY])
}

fn place() -> impl Strategy<Value = GeoPoint> + Clone {
    let degrees = || select(vec![-90.0, -1.25, 0.0, 2.5, 90.0]);
    (degrees(), degrees()).prop_map(|(lon, lat)| GeoPoint { lon, lat })
}

fn area() -> impl Strategy<Value = GeoArea> + Clone {
    let ring = || (place(), place(), place()).prop_map(|(a, b, c)| vec![a, b, c, a]);
    prop_oneof![
        (place(), select(vec![0.0, 1.5, 2e5]))
            .prop_map(|(center, radius_m)| GeoArea::Circle { center, radius_m }),
        (place(), place()).prop_map(|(top_left, bottom_right)| GeoArea::Box { top_left, bottom_right }),
        (ring(), prop::collection::vec(ring(), 0..3))
            .prop_map(|(exterior, interiors)| GeoArea::Polygon { exterior, interiors }),
    ]
}

/// Integers some of which are one double.
fn large() -> impl Strategy<Value = i64> + Clone {
    select(vec![1 << 53, (1 << 53) + 1, (1 << 53) + 2, 1, i64::MIN, i64::MAX])
}

/// Four bounds, each of which is often absent.
fn bounds<T: Clone + std::fmt::Debug>(
    bound: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = [Option<T>; 4]> + Clone {
    let bound = prop::option::weighted(0.4, bound);
    [bound.clone(), bound.clone(), bound.clone(), bound]
}

fn predicate() -> impl Strategy<Value = Predicate> + Clone {
    let list = || prop::collection::vec(scalar(), 0..4);
    let day = datetime::micros("2024-06-01").expect("a time");
    let numbers = prop_oneof![9 => float(), 1 => Just(f64::NAN)];
    prop_oneof![
        4 => list().prop_map(Predicate::Any),
        2 => list().prop_map(Predicate::Except),
        3 => bounds(numbers).prop_map(|[lt, lte, gt, gte]| Predicate::Range(Range { lt, lte, gt, gte })),
        2 => bounds(large().prop_map(NumberBound::Whole)).prop_map(Predicate::within),
        2 => bounds(select(vec![day, day + 1, -1])).prop_map(|[lt, lte, gt, gte]| {
            Predicate::Times(TimeRange { lt, lte, gt, gte })
        }),
        1 => area().prop_map(Predicate::Geo),
        1 => words().prop_map(Predicate::Text),
        1 => words().prop_map(Predicate::TextAny),
        1 => words().prop_map(Predicate::Phrase),
        1 => words().prop_map(|text| Predicate::PartUnlessIndexed(Box::new(Predicate::Text(text)))),
        1 => words().prop_map(|text| Predicate::PartUnlessIndexed(Box::new(Predicate::TextAny(text)))),
        1 => words().prop_map(Predicate::Prefix),
    ]
}

fn id() -> impl Strategy<Value = PointId> + Clone {
    prop_oneof![(0_u64..6).prop_map(PointId::Num), Just(PointId::from_name("x"))]
}

fn leaf() -> impl Strategy<Value = Condition> + Clone {
    prop_oneof![
        6 => (path(), predicate()).prop_map(|(path, predicate)| Condition::Field(path, predicate)),
        1 => path().prop_map(Condition::IsEmpty),
        1 => path().prop_map(Condition::IsNull),
        2 => (path(), bounds(prop_oneof![0_usize..4, Just(usize::MAX)])).prop_map(|(path, [lt, lte, gt, gte])| {
            Condition::Count(path, CountRange { lt, lte, gt, gte })
        }),
        2 => prop::collection::vec(id(), 0..4).prop_map(Condition::HasId),
        1 => (1_u32..4).prop_flat_map(|total| (0..total, Just(total))).prop_map(|(index, total)| {
            Condition::Slice { index, total }
        }),
        1 => select(vec!["", "v", "it's"]).prop_map(|name| Condition::HasVector(name.to_owned())),
    ]
}

/// A condition, up to three levels deep.
pub(super) fn condition() -> impl Strategy<Value = Condition> + Clone {
    leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            4 => clauses(inner.clone()).prop_map(|filter| Condition::Filter(Box::new(filter))),
            1 => (path(), clauses(inner)).prop_map(|(path, filter)| Condition::Nested(path, Box::new(filter))),
        ]
    })
}

/// A filter, up to four levels deep.
pub(super) fn filter() -> impl Strategy<Value = Filter> + Clone {
    clauses(condition())
}

fn clauses(
    condition: impl Strategy<Value = Condition> + Clone + 'static,
) -> impl Strategy<Value = Filter> + Clone {
    let list = move || prop::collection::vec(condition.clone(), 0..3);
    let least = (list(), 0_usize..4).prop_map(|(conditions, count)| MinShould { conditions, count });
    (list(), list(), list(), prop::option::weighted(0.3, least))
        .prop_map(|(must, should, must_not, min_should)| Filter { must, should, must_not, min_should })
}

fn value() -> impl Strategy<Value = Value> + Clone {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        large().prop_map(Value::from),
        select(vec![0.5, 1.0]).prop_map(Value::from),
        words().prop_map(Value::from),
        place().prop_map(|place| json!({"lon": place.lon, "lat": place.lat})),
    ];
    scalar.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(select(vec!["a", "b", "x"]), inner, 0..3)
                .prop_map(|fields| json!(fields)),
        ]
    })
}

/// A payload.
pub(super) fn payload() -> impl Strategy<Value = Payload> {
    prop::collection::btree_map(select(vec!["a", "b", "c", "not"]), value(), 0..4)
        .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
