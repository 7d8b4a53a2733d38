//! An index of a field changes how a question is answered, never the answer: orders, facets, and what EXPLAIN says.

use kithdb::{
    Collection, Condition, Database, FieldKind, FieldPath, Filter, Hit, Metric, Options, Order, OrderValue,
    Payload, Point, PointId, Query, Request, Scalar, Schema, Segments, Select, Value,
};
use proptest::prelude::*;
use serde_json::json;

fn path(text: &str) -> FieldPath {
    text.parse().expect("a path")
}

/// As a float it is what its neighbours among the integers are.
const WHOLE: f64 = 9_007_199_254_740_992.0;

fn value() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        6 => (-3_i64..4).prop_map(Value::from),
        3 => prop::sample::select(vec![-0.5, -0.0, 0.0, 0.5, 2.0, 1e300, WHOLE]).prop_map(Value::from),
        2 => prop::sample::select(vec!["a", "b", "2024-06-01", "2024-06-01T00:00:00Z"]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop::sample::select(vec![1_i64 << 53, (1 << 53) + 1, i64::MIN, i64::MAX]).prop_map(Value::from),
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
    let numbered: Vec<(u64, &Payload)> = (0..).zip(payloads).collect();
    let (first, second) = numbered.split_at(payloads.len() / 2);
    let put = |points: &[(u64, &Payload)]| {
        for group in points.chunks(16) {
            collection.upsert(group.iter().map(|entry| point(*entry)).collect()).expect("points");
        }
    };
    put(first);
    if !first.is_empty() {
        collection.optimize(true).expect("a segment");
    }
    put(second);
    // Rows that are gone, and rows that others took the place of.
    collection.delete(vec![1.into(), 4.into()]).expect("deleted");
    put(&(0_u64..).step_by(3).zip(payloads.iter().rev().step_by(3)).collect::<Vec<_>>());
    collection
}

fn ordered(collection: &Collection, order: Order, filter: &str, limit: usize) -> Vec<(Hit, String)> {
    let filter: Filter =
        if filter.is_empty() { Filter::default() } else { filter.parse().expect("a filter") };
    let request = Request { query: Query::Order(order), filter, limit, ..Request::default() };
    let (hits, _) = collection.search(request, &Select::none()).expect("hits");
    hits.into_iter().map(|hit| (Hit { version: 0, ..hit.clone() }, format!("{:?}", hit.order))).collect()
}

fn begin() -> impl Strategy<Value = OrderValue> {
    prop_oneof![
        2 => (-2_i64..4).prop_map(OrderValue::Integer),
        1 => Just(OrderValue::Integer((1 << 53) + 1)),
        1 => prop::sample::select(vec![-0.0, 0.25, 2.0, WHOLE]).prop_map(OrderValue::Float),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn an_order_and_a_facet_are_the_same_with_any_index(
        payloads in prop::collection::vec(payload(), 1..50),
        from in prop::option::of(begin()),
        limit in 1_usize..20,
    ) {
        let segments = Segments { seal_rows: 30, ..Segments::default() };
        let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
        let plain = collection(&db, "plain", None, &payloads);
        for kind in FieldKind::ALL {
            let indexed = collection(&db, kind.name(), Some(kind), &payloads);
            for is_descending in [false, true] {
                for filter in ["", "g >= 0"] {
                    let order = || Order { path: path("f"), is_descending, from };
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
    let advice = "(an index of `t` as keyword and of `year` as float would know, and save reading up to 7 payloads: \
                  about 0.02 ms)";
    assert!(plan.to_text().contains(advice), "{plan:?}");
    let known = explained("f >= 2", Query::ById);
    assert!(known.unindexed.is_empty() && known.saving().is_none());
    let inner: Filter = "x = 'u' AND NOT y = 1".parse().expect("a filter");
    let filter = Filter::must(Condition::Nested(path("a"), Box::new(inner)));
    let request = Request { filter, limit: 3, ..Request::default() };
    let unindexed = collection.explain(request).expect("a plan").unindexed;
    assert_eq!(unindexed.into_iter().collect::<Vec<_>>(), [(path("a[].x"), FieldKind::Keyword)]);
}

fn told(collection: &Collection, order: &Order, filter: &str, limit: usize) -> (Vec<u64>, String) {
    let request = || {
        let filter = if filter.is_empty() { Filter::default() } else { filter.parse().expect("a filter") };
        Request { query: Query::Order(order.clone()), filter, limit, ..Request::default() }
    };
    let (hits, _) = collection.search(request(), &Select::none()).expect("hits");
    let ids = hits.iter().map(|hit| match hit.id {
        PointId::Num(number) => number,
        other => panic!("{other}"),
    });
    (ids.collect(), collection.explain(request()).expect("a plan").to_text())
}

#[test]
fn an_order_says_whether_it_comes_from_an_index() {
    let db = Database::in_memory().expect("a database");
    let payloads: Vec<Payload> =
        (0..1000).map(|n| json!({"f": n % 500, "t": n}).as_object().expect("an object").clone()).collect();
    let indexed = collection(&db, "indexed", Some(FieldKind::Integer), &payloads);
    let plain = collection(&db, "plain", None, &payloads);
    let order =
        |field| Order { path: path(field), is_descending: true, from: Some(OrderValue::Integer(300)) };
    let (found, plan) = told(&indexed, &order("f"), "", 5);
    assert!(
        plan.starts_with("points in the order of the index of `f`, 5 hits, of 998 matching: about "),
        "{plan}"
    );
    assert_eq!(found, told(&plain, &order("f"), "", 5).0);
    // A few points are read faster than the values of all are passed.
    let (found, plan) = told(&indexed, &order("f"), "f = 31", 5);
    assert!(plan.starts_with("points by `f`, read from payloads, 5 hits, of 2 matching: about "), "{plan}");
    assert_eq!(found, told(&plain, &order("f"), "f = 31", 5).0);
    let (_, plan) = told(&indexed, &order("t"), "", 5);
    assert!(
        plan.starts_with("points by `t`, read from payloads (an index of numbers or times would know), ")
    );
}

/// Such an order never ended once: the index has fewer values than were asked for, and asked for more again and again.
#[test]
fn an_order_ends_where_payloads_decide_and_few_points_have_a_value() {
    let db = Database::in_memory().expect("a database");
    let payload = |n: u64| if n < 3 { json!({"f": n, "g": n}) } else { json!({"g": n}) };
    let payloads: Vec<Payload> =
        (0..100).map(|n| payload(n).as_object().expect("an object").clone()).collect();
    let indexed = collection(&db, "indexed", Some(FieldKind::Integer), &payloads);
    let plain = collection(&db, "plain", None, &payloads);
    for from in [None, Some(OrderValue::Integer(1)), Some(OrderValue::Integer(7))] {
        let order = Order { path: path("f"), is_descending: false, from };
        let (found, plan) = told(&indexed, &order, "g >= 1", 20);
        assert!(plan.starts_with("points in the order of the index of `f`, "), "{plan}");
        assert_eq!(found, told(&plain, &order, "g >= 1", 20).0);
        assert_eq!(found.is_empty(), from == Some(OrderValue::Integer(7)));
    }
}

#[test]
fn pages_of_an_order_from_an_index_are_one_list_while_points_change() {
    let db = Database::in_memory().expect("a database");
    let payload = |n: u64| json!({"f": [n % 7, n % 11, n % 7]}).as_object().expect("an object").clone();
    let payloads: Vec<Payload> = (0..400).map(payload).collect();
    let indexed = collection(&db, "indexed", Some(FieldKind::Integer), &payloads);
    let plain = collection(&db, "plain", None, &payloads);
    let order = Order { path: path("f"), is_descending: true, from: Some(OrderValue::Integer(8)) };
    let request = |limit| Request { query: Query::Order(order.clone()), limit, ..Request::default() };
    let rows = |hits: Vec<Hit>| hits.into_iter().map(|hit| (hit.id, hit.order)).collect::<Vec<_>>();
    let (whole, _) = plain.search(request(2000), &Select::none()).expect("hits");
    let mut cursor = indexed.reading().expect("the present").cursor(request(1)).expect("a cursor");
    let mut found = Vec::new();
    loop {
        let page = cursor.next(90, &Select::none()).expect("a page");
        if page.is_empty() {
            break;
        }
        found.extend(rows(page));
        if found.len() == 180 {
            indexed.delete((100..300).map(PointId::Num).collect()).expect("deleted");
            indexed.upsert(vec![Point::new(7).vector([1.0]).with("f", 8)]).expect("a point");
        }
    }
    assert!(found.len() > 400);
    assert_eq!(found, rows(whole));
}

/// As in Qdrant: a facet tells a UUID in one spelling, and a filter takes what a facet tells.
#[test]
fn spellings_of_a_uuid_are_one_value_where_its_field_has_an_index_of_uuids() {
    let usual = "936da01f-9abd-4d9d-80c7-02af85c822a8";
    let texts = [usual, "936DA01F9ABD4D9D80C702AF85C822A8", "936da01f9abd4d9d80c702af85c822a8", "other"];
    let db = Database::in_memory().expect("a database");
    let schema = Schema::new().vector(1, Metric::Dot).field(path("f"), FieldKind::Uuid);
    let collection = db.create_collection("c", schema).expect("a collection");
    let points: Vec<Point> =
        (1_u64..).zip(texts).map(|(id, text)| Point::new(id).vector([1.0]).with("f", text)).collect();
    collection.upsert(points).expect("points");
    for is_sealed in [false, true] {
        if is_sealed {
            collection.optimize(true).expect("a segment");
        }
        let count = |filter: String| {
            let filter: Filter = filter.parse().expect("a filter");
            collection.count(&filter).expect("a count")
        };
        for text in &texts[..3] {
            assert_eq!(count(format!("f = '{text}'")), 3, "{text}");
            assert_eq!(count(format!("f IN ('{text}', 'other')")), 4, "{text}");
            assert_eq!(count(format!("NOT f = '{text}'")), 1, "{text}");
        }
        assert_eq!(count("f = 'other'".to_owned()), 1);
        let counts = collection.facets(&path("f"), &Filter::default(), 5).expect("facets");
        let expected = [(Scalar::Str(usual.to_owned()), 3), (Scalar::Str("other".to_owned()), 1)];
        assert_eq!(counts, expected);
    }
}
