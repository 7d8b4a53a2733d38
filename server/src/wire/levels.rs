//! The levels of a query before anything is made of them: how many legs there are, what a level's filter weighs in
//! those below it, and what all of it costs where reads are counted.
//!
//! Invariant: the filter of a level is copied into each leg below it, so both are bounded before the first copy is
//! made: a small body never takes much memory.
//! Cost: a look at each leg for each level above it, and at each condition.

use kithdb::{
    Condition, Error, ErrorKind, Examples, FieldPath, Filter, GeoArea, GeoPoint, Input, Limits, PointId,
    Predicate, Query, Recommend, Request, Result, Scalar, Vector,
};

use super::query::Prefetch;
use super::shape::OneOrMany;
use crate::strict::conditions;

/// Bytes that the copies of one filter may have in all legs below it.
const COPIES_BYTES_MAX: usize = 64 << 20;

/// Legs at all depths.
pub(super) fn legs(prefetch: Option<&OneOrMany<Prefetch>>) -> usize {
    let one = |leg: &Prefetch| 1 + legs(leg.prefetch.as_ref());
    prefetch.map_or(0, |prefetch| prefetch.items.iter().map(one).sum())
}

/// Refuses more legs than a query may have, before any of them is looked at.
///
/// # Errors
/// `LimitExceeded` on `prefetch`.
pub(super) fn check_legs(prefetch: Option<&OneOrMany<Prefetch>>, limits: &Limits) -> Result<()> {
    match legs(prefetch) {
        count if count <= limits.legs_max => Ok(()),
        count => Err(Error::limit("prefetch", "the number of legs", count, limits.legs_max)),
    }
}

/// Both filters at once: that of a level, and that of the levels above, which counts here too. The former is for so
/// many legs below as well.
///
/// # Errors
/// `LimitExceeded` on `filter` when it is too large to be copied into each of them.
pub(super) fn joined(own: Filter, above: &Filter, legs_below: usize) -> Result<Filter> {
    let copied = if legs_below == 0 { 0 } else { bytes(&own).saturating_mul(legs_below) };
    if copied > COPIES_BYTES_MAX {
        let message = format!(
            "counts for the {legs_below} legs below it too, and is too large for so many: together its copies may have \
             {COPIES_BYTES_MAX} bytes; ask for fewer values, or with fewer legs"
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message).with_field("filter"));
    }
    Ok(match (own.is_empty(), above.is_empty()) {
        (_, true) => own,
        (true, false) => above.clone(),
        (false, false) => own.and(Condition::Filter(Box::new(above.clone()))),
    })
}

/// Bytes of a filter in memory, about.
fn bytes(filter: &Filter) -> usize {
    let named = |path: &FieldPath| path.depth() * size_of::<String>() + path.to_string().len();
    let held = |condition: &Condition| match condition {
        Condition::Field(path, predicate) => named(path) + bytes_of(predicate),
        Condition::IsEmpty(path) | Condition::IsNull(path) | Condition::Count(path, _) => named(path),
        Condition::HasId(ids) => ids.len() * size_of::<PointId>(),
        Condition::HasVector(name) => name.len(),
        Condition::Nested(path, inner) => named(path) + bytes(inner),
        Condition::Filter(inner) => bytes(inner),
        Condition::Slice { .. } => 0,
    };
    filter.conditions().map(|condition| size_of::<Condition>() + held(condition)).sum()
}

fn bytes_of(predicate: &Predicate) -> usize {
    let scalar =
        |value: &Scalar| size_of::<Scalar>() + if let Scalar::Str(text) = value { text.len() } else { 0 };
    match predicate {
        Predicate::Any(values) | Predicate::Except(values) => values.iter().map(scalar).sum(),
        Predicate::Geo(GeoArea::Polygon { exterior, interiors }) => {
            (exterior.len() + interiors.iter().map(Vec::len).sum::<usize>()) * size_of::<GeoPoint>()
        }
        Predicate::Text(text)
        | Predicate::TextAny(text)
        | Predicate::Phrase(text)
        | Predicate::Prefix(text) => text.len(),
        Predicate::PartUnlessIndexed(words) => bytes_of(words),
        Predicate::Range(_)
        | Predicate::Whole(_)
        | Predicate::Times(_)
        | Predicate::Geo(_)
        | Predicate::Analysed(_) => 0,
    }
}

/// What a query costs where reads are counted: what its vectors cost, 1 a condition, and its legs.
pub(super) fn cost(request: &Request) -> usize {
    let asked = match &request.query {
        Query::Nearest { vector, .. } | Query::Diverse { vector, .. } => vector_cost(vector),
        Query::Recommend { strategy: Recommend::AverageVector, .. } => 1,
        Query::Recommend { examples: Examples { positive, negative }, .. } => {
            positive.iter().chain(negative).map(vector_cost).sum()
        }
        Query::Discover { target, context, .. } => vector_cost(target) + context.len(),
        Query::Context { pairs, .. } => pairs.len(),
        _ => 1,
    };
    asked + conditions(&request.filter) + request.prefetch.iter().map(cost).sum::<usize>()
}

/// 1 a row; a point is read, and shut out of the hits, besides.
fn vector_cost(vector: &Input) -> usize {
    match vector {
        Input::Vector(Vector::Multi(rows)) => rows.len(),
        Input::Vector(_) => 1,
        Input::Point(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, Schema, Value};
    use serde_json::json;

    use super::super::query::QueryBody;
    use super::super::translate::Translator;
    use super::*;

    fn ask(body: &Value) -> Result<()> {
        let db = Database::in_memory().expect("a database");
        let collection = db.create_collection("c", Schema::new()).expect("a collection");
        let body: QueryBody = super::super::parse(body.to_string().as_bytes())?;
        body.run(&Translator::over(&db, &collection)).map(drop)
    }

    /// Each of them would have had a copy of the filter before anybody counted them.
    #[test]
    fn more_legs_than_there_may_be_are_refused_before_a_filter_is_copied_into_them() {
        let ids: Vec<u64> = (0..10_000).collect();
        let filter = json!({"must": {"has_id": ids}});
        let fused = |legs: Value| json!({"filter": filter, "prefetch": legs, "query": {"fusion": "rrf"}});
        ask(&fused(json!([{}, {"prefetch": [{}, {}], "query": {"fusion": "rrf"}}]))).expect("four legs");
        let error = ask(&fused(json!(vec![json!({}); 100_000]))).expect_err("100 000 legs");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("prefetch")), "{error}");
    }

    #[test]
    fn a_filter_is_not_copied_into_many_legs_when_it_is_large() {
        let ids: Vec<u64> = (0..300_000).collect();
        let body = |legs: usize| {
            let legs = vec![json!({}); legs];
            json!({"filter": {"must": {"has_id": ids}}, "prefetch": legs, "query": {"fusion": "rrf"}})
        };
        ask(&body(1)).expect("one copy");
        let error = ask(&body(60)).expect_err("60 copies of 300 000 ids");
        assert_eq!((error.kind(), error.field()), (ErrorKind::LimitExceeded, Some("filter")), "{error}");
        assert!(error.message().contains("60 legs"), "{error}");
    }

    #[test]
    fn what_a_filter_holds_is_weighed() {
        let weigh = |text: &str| bytes(&text.parse::<Filter>().expect(text));
        let (few, many) = (weigh("a IN ('x')"), weigh("a IN ('x', 'yyyyyyyyyy')"));
        assert_eq!(many - few, size_of::<Scalar>() + 10);
        assert!(weigh("NOT (a IN ('x', 'y'))") > few);
        assert_eq!(bytes(&Filter::default()), 0);
    }
}
