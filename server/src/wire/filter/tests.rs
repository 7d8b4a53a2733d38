//! Filters as they are written, and what they mean.

use kithdb::{Range, WholeRange};

use super::*;

fn filter(json: &str) -> Result<Filter> {
    serde_json::from_str::<FilterIn>(json).expect(json).into_filter()
}

fn only(json: &str) -> Condition {
    let filter = filter(&format!(r#"{{"must": [{json}]}}"#)).expect(json);
    filter.must.into_iter().next().expect("one")
}

#[test]
fn every_condition_is_understood() {
    let path = |text: &str| text.parse::<FieldPath>().expect(text);
    let field = |predicate| Condition::Field(path("a.b"), predicate);
    let range = Range { gte: Some(1.0), lt: Some(2.5), ..Range::default() };
    let large = WholeRange { gte: Some((1 << 53) + 1), ..WholeRange::default() };
    let nested = Filter { should: vec![Condition::IsNull(path("c"))], ..Filter::default() };
    let not = Filter { must_not: vec![Condition::IsEmpty(path("a"))], ..Filter::default() };
    let cases = [
        (r#"{"key": "a.b", "match": {"value": "x"}}"#, field(Predicate::Any(vec!["x".into()]))),
        (r#"{"key": "a.b", "match": {"value": true}}"#, field(Predicate::Any(vec![true.into()]))),
        (r#"{"key": "a.b", "match": {"any": [1, "x"]}}"#, field(Predicate::Any(vec![1.into(), "x".into()]))),
        (r#"{"key": "a.b", "match": {"except": [-1]}}"#, field(Predicate::Except(vec![(-1).into()]))),
        (r#"{"key": "a.b", "range": {"gte": 1, "lt": 2.5, "gt": null}}"#, field(Predicate::Range(range))),
        (r#"{"key": "a.b", "range": {"gte": 9007199254740993}}"#, field(Predicate::Whole(large))),
        (r#"{"is_empty": {"key": "a"}}"#, Condition::IsEmpty(path("a"))),
        (r#"{"key": "a", "is_empty": true, "match": null}"#, Condition::IsEmpty(path("a"))),
        (r#"{"key": "a", "is_empty": false}"#, Condition::Filter(Box::new(not))),
        (r#"{"has_id": [3]}"#, Condition::HasId(vec![3.into()])),
        (r#"{"should": {"is_null": {"key": "c"}}}"#, Condition::Filter(Box::new(nested.clone()))),
        (r#"{"filter": {"should": [{"is_null": {"key": "c"}}]}}"#, Condition::Filter(Box::new(nested))),
    ];
    for (json, expected) in cases {
        assert_eq!(only(json), expected, "{json}");
    }
}

#[test]
fn what_means_nothing_names_the_condition() {
    let cases = [
        (r#"{"must": [{"key": "a"}]}"#, "must[0].key"),
        (r#"{"must": [{"match": {"value": 1}}]}"#, "must[0].key"),
        (r#"{"must": [{"key": "a[", "match": {"value": 1}}]}"#, "must[0].key"),
        (r#"{"must_not": {"key": "a", "match": {}}}"#, "must_not.match"),
        (r#"{"should": [{"key": "a", "match": {"value": 1}, "range": {}}]}"#, "should[0]"),
        (r#"{"must": [{"has_id": [1], "must": []}]}"#, "must[0]"),
        (r#"{"must": [{"key": "a", "has_id": [1]}]}"#, "must[0].key"),
        (r#"{"min_should": {"conditions": [{"key": "a"}], "min_count": 1}}"#, "min_should.conditions[0].key"),
        (r#"{"must": [{"filter": {"must": [{"key": ""}]}}]}"#, "must[0].must[0].key"),
    ];
    for (json, field) in cases {
        assert_eq!(filter(json).expect_err(json).field(), Some(field), "{json}");
    }
}

#[test]
fn an_empty_filter_matches_everything() {
    assert!(filter("{}").expect("empty").is_empty());
    assert!(or_everything(None).expect("absent").is_empty());
}

#[test]
fn a_filter_may_be_a_text() {
    let told = filter(r#""a.b = 'x' AND NOT c IS NULL""#).expect("a filter");
    let is = Condition::equals("a.b", "x").expect("a path");
    let null = Condition::IsNull("c".parse().expect("a path"));
    assert_eq!(told, Filter { must: vec![is], must_not: vec![null], ..Filter::default() });
    let inner = filter(r#"{"must": [{"filter": "a ="}]}"#).expect_err("unfinished");
    assert_eq!(inner.field(), Some("must[0]"));
    assert!(inner.message().starts_with("at character 4: "), "{inner}");
    let bare = or_everything(Some(FilterIn::Text("a".into()))).expect_err("no test");
    assert_eq!(bare.field(), Some("filter"));
}
