//! The normal form beside the meaning, and beside rewritings that must not matter.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::Subject;
use crate::filter::drafts;
use crate::payload::Payload;

fn boxed(filter: Filter) -> Condition {
    Condition::Filter(Box::new(filter))
}

fn not(condition: Condition) -> Condition {
    boxed(Filter { must_not: vec![condition], ..Filter::default() })
}

/// Another spelling of a condition, chosen by `dice`.
fn respelled(condition: Condition, dice: u8) -> Condition {
    let should = |conditions| boxed(Filter { should: conditions, ..Filter::default() });
    let never = Condition::HasId(Vec::new());
    match dice % 8 {
        0 => boxed(Filter::must(condition)),
        1 => not(not(condition)),
        2 => should(vec![condition]),
        3 => should(vec![condition.clone(), never, condition]),
        4 => boxed(Filter::must(condition.clone()).and(boxed(Filter::default())).and(condition)),
        5 => {
            let least = MinShould { conditions: vec![condition, never], count: 1 };
            boxed(Filter { min_should: Some(least), ..Filter::default() })
        }
        6 => split(condition),
        _ => condition,
    }
}

/// A list of values as alternatives of one value, or the condition as it is.
fn split(condition: Condition) -> Condition {
    let should: Vec<Condition> = match condition {
        Condition::Field(path, Predicate::Any(list)) => {
            let one = |value| Condition::Field(path.clone(), Predicate::Any(vec![value]));
            list.into_iter().rev().map(one).collect()
        }
        Condition::HasId(list) => list.into_iter().map(|id| Condition::HasId(vec![id])).collect(),
        other => return other,
    };
    let never = Condition::HasId(Vec::new());
    if should.is_empty() { never } else { boxed(Filter { should, ..Filter::default() }) }
}

fn respell(filter: Filter, dice: &mut impl Iterator<Item = u8>) -> Filter {
    let mut all = |conditions: Vec<Condition>| -> Vec<Condition> {
        let inner = |condition, dice: &mut dyn Iterator<Item = u8>| match condition {
            Condition::Filter(inner) => boxed(respell(*inner, &mut &mut *dice)),
            Condition::Nested(path, inner) => {
                Condition::Nested(path, Box::new(respell(*inner, &mut &mut *dice)))
            }
            other => other,
        };
        let mut list: Vec<Condition> = Vec::new();
        for condition in conditions {
            let condition = inner(condition, dice);
            list.push(respelled(condition, dice.next().unwrap_or(7)));
        }
        list.reverse();
        list
    };
    let must_not = all(filter.must_not);
    let must = all(filter.must);
    let should = all(filter.should);
    let min_should =
        filter.min_should.map(|least| MinShould { conditions: all(least.conditions), count: least.count });
    // None of them is not either of them.
    let mut told = Filter { must, should, must_not: Vec::new(), min_should };
    if dice.next().unwrap_or(0).is_multiple_of(2) {
        told.must_not = must_not;
    } else if !must_not.is_empty() {
        told.must_not = vec![boxed(Filter { should: must_not, ..Filter::default() })];
    }
    told
}

fn matches(filter: &Filter, id: u64, payload: &Payload) -> bool {
    filter.matches(&subject(id, payload))
}

fn subject(id: u64, payload: &Payload) -> Subject<'_> {
    Subject { id: PointId::Num(id), payload, has_vector: &|name| name == "v" }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn spellings_have_one_normal_form_and_one_meaning(
        filter in drafts::filter(),
        dice in prop::collection::vec(any::<u8>(), 0..40),
        payload in drafts::payload(),
        id in 0_u64..6,
    ) {
        let normal = filter.normalised();
        let other = respell(filter.clone(), &mut dice.into_iter());
        prop_assert_eq!(&normal, &other.normalised(), "{:?}", other);
        prop_assert_eq!(&normal, &normal.normalised());
        let expected = matches(&filter, id, &payload);
        prop_assert_eq!(matches(&normal, id, &payload), expected);
        prop_assert_eq!(normal.matches_normal(&subject(id, &payload)), expected);
        prop_assert_eq!(matches(&other, id, &payload), expected);
    }
}

/// A filter of a write looked through all of a list for every point, and nothing else was written meanwhile.
#[test]
fn long_lists_are_searched_not_looked_through() {
    let ids = Condition::HasId((0..300_000).rev().map(PointId::Num).collect());
    let values = Predicate::Any((0..300_000).rev().map(Scalar::Int).collect());
    let path: FieldPath = "n".parse().expect("a path");
    let normal = Filter::must(ids).and(Condition::Field(path, values)).normalised();
    let payload = |n: i64| Payload::from_iter([("n".to_owned(), n.into())]);
    let (within, beyond) = (payload(299_999), payload(300_000));
    let began = Instant::now();
    for id in 0..100_000 {
        assert!(
            normal.matches_normal(&subject(id, &within)) && !normal.matches_normal(&subject(id, &beyond))
        );
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn spellings_that_people_write_become_one() {
    let same = [
        ["a = 1 AND b = 2", "b = 2 AND (a = 1 AND (b = 2))"],
        ["a IN (2, 1)", "a = 1 OR a = 2 OR a = 1"],
        ["a NOT IN (1, 2)", "NOT (a = 1 OR a = 2)"],
        ["a != 1 AND a != 2", "a NOT IN (1, 2)"],
        ["NOT (a = 1 AND b = 2)", "b != 2 OR a != 1"],
        ["ID IN (1, 2) AND ID IN (2, 3)", "ID = 2"],
        ["ID != 1 AND ID != 2", "ID NOT IN (2, 1)"],
        ["a IN ()", "FALSE"],
        ["a = 1 AND NOT (a = 1)", "FALSE"],
        ["a = 1 OR TRUE", ""],
        ["AT LEAST 2 OF (a = 1, b = 2)", "b = 2 AND a = 1"],
        ["AT LEAST 1 OF (a = 1, b = 2)", "b = 2 OR a = 1"],
        ["NOT AT LEAST 2 OF (a = 1, b = 2, a = 3)", "AT LEAST 2 OF (a != 3, a != 1, b != 2)"],
        ["COUNT(a) > 1", "COUNT(a) >= 2"],
        ["COUNT(a) >= 0", "TRUE"],
        ["NESTED a (FALSE)", "FALSE"],
        ["b = 1 AND NESTED a (x = 1 AND y = 2)", "NESTED a (y = 2 AND x = 1) AND b = 1"],
    ];
    for [one, other] in same {
        let normal = |text: &str| text.parse::<Filter>().expect(text).normalised();
        assert_eq!(normal(one), normal(other), "{one} | {other}");
    }
    let differ = [
        ["a = 1 AND a = 2", "a IN (1, 2)"],
        ["a != 1", "a EXCEPT (1)"],
        ["a >= 1 AND a < 2", "1 <= a < 2"],
        ["NESTED a (TRUE)", "TRUE"],
        ["AT LEAST 2 OF (a = 1, a = 1, b = 1)", "AT LEAST 2 OF (a = 1, b = 1)"],
    ];
    for [one, other] in differ {
        let normal = |text: &str| text.parse::<Filter>().expect(text).normalised();
        assert_ne!(normal(one), normal(other), "{one} | {other}");
    }
}
