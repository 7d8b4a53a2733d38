//! Points that are called by any text, over HTTP: a name stands for the UUID that is made of it, wherever an id may.

use kithdb::{Database, Metric, PointId, Schema, Value};
use serde_json::json;

use crate::http::Running;

#[test]
fn a_point_is_called_by_any_text_wherever_an_id_may_stand() {
    let db = Database::in_memory().expect("a database");
    db.create_collection("c", Schema::new().vector(2, Metric::Dot)).expect("a collection");
    let server = Running::over(db);
    let ask = |method: &str, path: &str, body: &Value| {
        let answer = server.ask(method, &format!("/collections/c/points{path}"), Some(body));
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        answer.body["result"].clone()
    };
    let (one, two) = (json!({"name": "chapter-1"}), json!({"name": "chapter 2: wörter"}));
    let uuid = |name: &str| json!(PointId::from_name(name).to_string());
    let points = json!([{"id": one, "vector": [1, 0]}, {"id": 7, "vector": [1, 1]}]);
    ask("PUT", "", &json!({"points": points}));
    ask("PUT", "", &json!({"batch": {"ids": [two], "vectors": [[0, 1]]}}));
    ask("POST", "/payload", &json!({"payload": {"n": 1}, "points": [one]}));
    let told = ask("POST", "", &json!({"ids": [one, two], "with_payload": true}));
    assert_eq!(told[0], json!({"id": uuid("chapter-1"), "payload": {"n": 1}}));
    assert_eq!(told[1]["id"], uuid("chapter 2: wörter"));
    let held = ask("POST", "/scroll", &json!({"filter": {"must": {"has_id": [one, 7]}}}));
    let ids: Vec<&Value> =
        held["points"].as_array().expect("points").iter().map(|point| &point["id"]).collect();
    assert_eq!(ids, [&json!(7), &uuid("chapter-1")]);
    for query in
        [json!(one), json!({"nearest": one}), json!({"recommend": {"positive": [one], "negative": [two]}})]
    {
        let found = ask("POST", "/query", &json!({"query": query, "limit": 1}));
        assert_eq!(found["points"][0]["id"], 7, "{query}");
    }
    ask("POST", "/delete", &json!({"points": [one]}));
    assert_eq!(ask("POST", "/count", &json!({}))["count"], 2);
}

#[test]
fn a_text_that_is_no_name_is_refused_and_told_where_it_may_stand() {
    let db = Database::in_memory().expect("a database");
    db.create_collection("c", Schema::new().vector(1, Metric::Dot)).expect("a collection");
    let server = Running::over(db);
    let cases = [
        (json!("chapter-1"), "points[0].id", "`name`"),
        (json!({"name": ""}), "points[0].id", "is empty"),
        (json!({"name": "a", "colour": 1}), "points[0].id.colour", "`name`"),
    ];
    for (id, field, says) in cases {
        let body = json!({"points": [{"id": id, "vector": [1]}]});
        let answer = server.ask("PUT", "/collections/c/points", Some(&body));
        assert_eq!((answer.status, answer.field.as_deref()), (400, Some(field)), "{id}: {}", answer.body);
        assert!(answer.body.to_string().contains(says), "{id}: {}", answer.body);
    }
}
