//! Points as bodies have them: lists and batches of columns, and what is shown of them.

use super::*;
use serde_json::json;

fn points(body: &serde_json::Value) -> Result<Vec<Point>> {
    let writes = crate::wire::parse::<Upsert>(body.to_string().as_bytes())?.into_writes()?;
    let point = |op| match op {
        Op::Upsert(point) => point,
        other => panic!("{other:?}"),
    };
    Ok(writes.into_ops().into_iter().map(point).collect())
}

#[test]
fn a_list_and_a_batch_are_the_same_points() {
    let list = json!({"points": [
        {"id": 1, "vector": [1.0, 0.5], "payload": {"a": 1}},
        {"id": 2, "vector": [0.0, 1.0]},
    ]});
    let older = json!({"points": [
        {"id": 1, "vectors": [1.0, 0.5], "payload": {"a": 1}},
        {"id": 2, "vectors": [0.0, 1.0]},
    ]});
    let batch = json!({"batch": {
        "ids": [1, 2], "vectors": [[1.0, 0.5], [0.0, 1.0]], "payloads": [{"a": 1}, null],
    }});
    let expected = points(&list).expect("a list");
    assert_eq!(expected[0], Point::new(1).vector([1.0, 0.5]).with("a", 1));
    assert_eq!(points(&batch).expect("a batch"), expected);
    assert_eq!(points(&older).expect("a list in the older words"), expected);
    let named = json!({"batch": {"ids": [1], "vectors": {"a": [[1.0]], "b": [[2.0]]}}});
    let expected = Point::new(1).named_vector("a", [1.0]).named_vector("b", [2.0]);
    assert_eq!(points(&named).expect("named"), [expected]);
}

#[test]
fn columns_of_unlike_length_are_refused() {
    let cases = [
        (json!({"batch": {"ids": [1, 2], "vectors": [[1.0]]}}), "batch.vectors"),
        (json!({"batch": {"ids": [1], "vectors": {"a": []}}}), "batch.vectors.a"),
        (json!({"batch": {"ids": [1], "vectors": [[1.0]], "payloads": []}}), "batch.payloads"),
        (json!({}), "points"),
        (json!({"points": [], "batch": {"ids": [], "vectors": []}}), "batch"),
        (json!({"points": [], "update_mode": "sometimes"}), "update_mode"),
    ];
    for (body, field) in cases {
        assert_eq!(points(&body).expect_err("refused").field(), Some(field), "{body}");
    }
}

#[test]
fn what_was_not_asked_for_is_absent() {
    let point = || Point::new(5).vector([1.0]).with("a", 1);
    let json = |select: &Select| serde_json::to_value(Record::new(point(), select)).expect("a record");
    assert_eq!(json(&Select::none()), json!({"id": 5}));
    assert_eq!(json(&Select::all()), json!({"id": 5, "payload": {"a": 1}, "vector": [1.0]}));
}
