//! An index of a field changes how a question is answered, never the answer: orders, facets, and what EXPLAIN says.

use kithdb::{
    Collection, Database, FieldKind, FieldPath, Filter, Hit, Metric, Options, Order, OrderValue, Payload,
    Point, Query, Request, Schema, Segments, Select, Value,
};
use proptest::prelude::*;
use serde_json::json;

fn path(text: &str) -> FieldPath {
    text.parse().expect("a path")
}

fn value() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        6 => (-3_i64..4).prop_map(Value::from),
        2 => prop::sample::select(vec![-0.5, 0.5, 2.0, 1e300]).prop_map(Value::from),
        2 => prop::sample::select(vec!["a", "b", "2024-06-01", "2024-06-01T00:00:00Z"]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(Value::from((1_i64 << 53) + 1)),
    ];
    prop_oneof![4 => one.clone(), 1 => prop::collection::vec(one, 0..3).prop_map(Value::from)]
}

fn payload() -> impl Strategy<Value = Payload> {
    let fields = prop::collection::btree_map(prop::sample::select(vec!["f", "g"]), value(), 0..3);
    fields.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn collection(db: &Database, name: &str, kind: Option<FieldKind>, payloads: &[Payload]) -> Collection {
    let schema = Schema::new().vector(1, Metric::Dot);
    let schema = kind.map_or(schema.clone(), |kind| schema.field(path("f"), kind));
    let collection = db.create_collection(name, schema).expect("a collection");
    let point =
        |(id, payload): (u64, &Payload)| Point { payload: payload.clone(), ..Point::new(id).vector([1.0]) };
    for group in (0..).zip(payloads).collect::<Vec<_>>().chunks(16) {
        collection.upsert(group.iter().map(|entry| point(*entry)).collect()).expect("points");
    }
    collection.delete(vec![1.into(), 4.into()]).expect("deleted");
    collection
}

fn ordered(collection: &Collection, order: Order, filter: &str, limit: usize) -> Vec<(Hit, String)> {
    let filter: Filter =
        if filter.is_empty() { Filter::default() } else { filter.parse().expect("a filter") };
    let request = Request { query: Query::Order(order), filter, limit, ..Request::default() };
    let (hits, _) = collection.search(request, &Select::none()).expect("hits");
    hits.into_iter().map(|hit| (Hit { version: 0, ..hit.clone() }, format!("{:?}", hit.order))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn an_order_and_a_facet_are_the_same_with_any_index(
        payloads in prop::collection::vec(payload(), 1..50),
        from in prop::option::of(-2_i64..4),
        limit in 1_usize..20,
    ) {
        let segments = Segments { seal_rows: 30, ..Segments::default() };
        let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
        let plain = collection(&db, "plain", None, &payloads);
        for kind in FieldKind::ALL {
            let indexed = collection(&db, kind.name(), Some(kind), &payloads);
            for is_descending in [false, true] {
                for filter in ["", "g >= 0"] {
                    let order = || Order { path: path("f"), is_descending, from: from.map(OrderValue::Integer) };
                    let asked = |collection| ordered(collection, order(), filter, limit);
                    prop_assert_eq!(asked(&indexed), asked(&plain), "{} {}", kind, filter);
                }
            }
            for filter in [Filter::default(), "g >= 0".parse().expect("a filter")] {
                let counted = |collection: &Collection| collection.facets(&path("f"), &filter, 5).expect("facets");
                prop_assert_eq!(counted(&indexed), counted(&plain), "{}", kind);
            }
        }
    }
}

#[test]
fn explain_names_the_indexes_that_would_spare_reading() {
    let db = Database::in_memory().expect("a database");
    let payloads: Vec<Payload> =
        (0..10).map(|n| json!({"f": n, "t": "x"}).as_object().expect("an object").clone()).collect();
    let collection = collection(&db, "c", Some(FieldKind::Integer), &payloads);
    let explained = |filter: &str, query: Query| {
        let filter = filter.parse().expect("a filter");
        collection.explain(Request { query, filter, limit: 3, ..Request::default() }).expect("a plan")
    };
    let plan = explained("f >= 2 AND t = 'x' AND NOT year > 2000", Query::ById);
    let fields: Vec<(String, FieldKind)> =
        plan.unindexed.iter().map(|(path, kind)| (path.to_string(), *kind)).collect();
    assert_eq!(fields, [("t".to_owned(), FieldKind::Keyword), ("year".to_owned(), FieldKind::Float)]);
    assert!(
        plan.to_text().contains("(an index of `t` as keyword and of `year` as float would know)"),
        "{plan:?}"
    );
    assert!(explained("f >= 2", Query::ById).unindexed.is_empty());
}
