//! Filters as they are written, printed, and refused.

use proptest::prelude::*;
use serde_json::json;

use crate::filter::drafts;
use crate::{Filter, PointId, Subject};

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_printed_is_read_back(filter in drafts::filter()) {
        let text = filter.to_string();
        let read: Filter = text.parse().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(read.normalised(), filter.normalised(), "{}", text);
        let again = read.to_string();
        prop_assert_eq!(again.parse::<Filter>().expect("it was printed"), read, "{}", again);
    }

    #[test]
    fn any_text_is_read_or_refused_by_its_place(
        text in "[ab12 ().,<>=!'`\"-]{0,12}|([a-c]|AND|OR|NOT|IN|=|1|'x'|\\(|\\)|,| ){0,12}",
    ) {
        match text.parse::<Filter>() {
            Ok(filter) => prop_assert_eq!(filter.to_string().parse::<Filter>().expect("printed"), filter),
            Err(error) => {
                prop_assert_eq!(error.field(), Some("filter"));
                let place = error.message().strip_prefix("at character ").and_then(|rest| rest.split_once(':'));
                let at: usize = place.and_then(|(at, _)| at.parse().ok()).expect("a place");
                prop_assert!((1..=text.chars().count() + 1).contains(&at), "{} in {:?}", error, text);
            }
        }
    }
}

/// A text of 32 MB took 2 GB before its conditions were counted.
#[test]
fn a_text_of_very_many_tokens_is_refused_before_the_others_are_read() {
    let error = "a = 1 OR ".repeat(300_000).parse::<Filter>().expect_err("1,200,000 tokens");
    assert!(error.field() == Some("filter") && error.message().contains("make it shorter"), "{error}");
    let ids = vec!["7"; 200_000].join(", ");
    assert!(!parse(&format!("ID IN ({ids})")).is_empty());
}

#[test]
fn filters_mean_what_they_say() {
    let payload = json!({
        "lang": "en", "year": 2021, "tags": ["a", "c"], "author": null, "geo": {"lon": 13.41, "lat": 52.51},
        "title": "The red, quick fox", "day": "2024-06-01T12:00:00Z", "none": [], "pages": 7.5, "id": "x",
        "parts": [{"kind": "wheel", "count": 4}, {"kind": "seat", "count": 2}],
    });
    let payload = payload.as_object().expect("an object");
    let subject = Subject { id: PointId::Num(7), payload, has_vector: &|name| name == "image" };
    let cases = [
        ("", true),
        ("lang = 'en' AND year >= 2020 AND tags IN ('a','b')", true),
        ("lang = 'de' OR year < 2020", false),
        ("lang='en' and not (year<2020 or author is not null)", true),
        ("lang != 'de' AND missing != 1", true),
        ("tags NOT IN ('a', 'x')", false),
        ("tags EXCEPT ('a', 'x')", true),
        ("tags = 'a' AND tags = 'c' AND COUNT(tags) = 2", true),
        ("COUNT(tags) > 2 OR 0 < COUNT(tags) <= 1", false),
        ("author IS NULL AND none IS EMPTY AND missing IS EMPTY AND year IS NOT EMPTY", true),
        ("NOT (author IS NULL OR geo WITHIN 5 km OF (13.4, 52.5))", false),
        ("geo WITHIN 5km OF (13.4, 52.5) AND geo NOT WITHIN 50 m OF (13.4, 52.5)", true),
        ("geo WITHIN BOX ((13, 53), (14, 52))", true),
        ("geo WITHIN POLYGON ((13, 52), (14, 52), (14, 53), (13, 53), (13, 52))", true),
        ("title CONTAINS 'fox RED' AND title CONTAINS ANY 'blue fox'", true),
        ("title CONTAINS PHRASE 'red quick' AND NOT title CONTAINS PHRASE 'quick red'", true),
        ("title LIKE 'The r%'", true),
        ("title NOT LIKE '%'", false),
        ("day >= '2024-06-01' AND day < '2024-06-02'", true),
        ("'2024-06-01' <= day < '2024-06-01T12:00:00'", false),
        ("day BETWEEN '2024-05-01' AND '2024-07-01'", true),
        ("year BETWEEN 2020 AND 2021 AND pages = 7.5", true),
        ("2020 < year <= 2021 and pages is number and day is time", true),
        ("ID = 7 AND ID IN (1, 7) AND ID != 8 AND `id` = 'x'", true),
        ("HAS VECTOR image AND NOT HAS VECTOR 'text'", true),
        ("NESTED parts (kind = 'wheel' AND `count` = 4)", true),
        ("NESTED parts (kind = 'wheel' AND `count` = 2)", false),
        ("parts[].kind = 'seat' AND parts[0].kind = 'wheel'", true),
        ("AT LEAST 2 OF (lang = 'de', year = 2021, tags = 'c')", true),
        ("lang = 'de' OR lang = 'en' AND year = 1", false),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).matches(&subject), expected, "{text}");
    }
}

#[test]
fn text_is_printed_as_people_write_it() {
    let cases = [
        ("lang='en'  and year>=2020", "lang = 'en' AND year >= 2020"),
        ("a=1 and b=2 or not c=3", "(a = 1 AND b = 2) OR (NOT c = 3)"),
        ("(a = 1)", "a = 1"),
        ("a != 1", "NOT a = 1"),
        ("a between 1 and 2.50", "1 <= a <= 2.5"),
        ("ID = 3", "ID IN (3)"),
        ("x within 5 km of (1, 2)", "x WITHIN 5000 m OF (1, 2)"),
        ("d < '2024-01-01'", "d < '2024-01-01T00:00:00Z'"),
        ("`a b` = 'it''s'", "`a b` = 'it''s'"),
        ("", "TRUE"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_is_no_filter_is_refused_at_its_place() {
    let deep = format!("{}a = 1{}", "(".repeat(100), ")".repeat(100));
    let cases = [
        ("lang = ", 8, "expected a value"),
        ("lang == 'en'", 7, "expected a value"),
        ("lang", 5, "expected a test"),
        ("lang = 'en' year = 3", 13, "expected AND, OR or the end, found `year`"),
        ("lang = 'en", 8, "never closed"),
        ("a = 1 AND", 10, "expected a condition"),
        ("(a = 1", 7, "expected `)`"),
        ("a IN (1, 2", 11, "expected `,` or `)`"),
        ("a < 'soon'", 5, "expected a number, or a time"),
        ("1 < a < '2024-01-01'", 21, "one bound is a number"),
        ("a LIKE '%x'", 8, "a pattern is a prefix"),
        ("ä = 1 AND ß IS BLUE", 16, "expected NULL"),
        ("a WITHIN 5 miles OF (1, 2)", 12, "expected km or m"),
        ("ID = 'x'", 6, "expected an id"),
        ("a[ = 1", 1, "no field path"),
        ("a = 1 ; b", 7, "begins nothing"),
        ("NESTED parts (count = 4)", 15, "in backticks"),
        ("tags IN (99999999999999999999)", 10, "expected a value"),
        (deep.as_str(), 66, "levels deep"),
    ];
    for (text, at, says) in cases {
        let error = text.parse::<Filter>().expect_err(text);
        let place = format!("at character {at}: ");
        assert!(error.message().starts_with(&place) && error.message().contains(says), "{text}: {error}");
        assert_eq!(error.field(), Some("filter"));
    }
}
