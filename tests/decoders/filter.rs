//! Filters as text: refused by their place, or printed as something that is read as the same filter.

use serde_json::json;
use types::{Filter, Limits, Point};

use crate::taken;

/// Reads a filter.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let filter = match text.parse::<Filter>() {
        Ok(filter) => filter,
        Err(error) => {
            assert_eq!(error.field(), Some("filter"), "{text}: {error}");
            return false;
        }
    };
    let point = Point::new(7)
        .vector([1.0, 0.0])
        .with("a", 1)
        .with("b", json!(["x", 2.5, null]))
        .with("c", json!([{"d": "2024-01-01", "e": {"lon": 13.4, "lat": 52.5}}]));
    // As every door does before a filter is used.
    if taken(&filter.check(&Limits::default())) {
        assert_eq!(filter.matches_point(&point), filter.normalised().matches_point(&point), "{text}");
    }
    let printed = filter.to_string();
    match printed.parse::<Filter>() {
        Ok(again) => assert_eq!(again, filter, "{text} is printed as {printed}"),
        // Parentheses are printed that need not be written, and how deep they go has a limit.
        Err(error) => assert!(error.message().contains("levels deep"), "{printed}: {error}"),
    }
    true
}

/// One of every condition.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "a = 1 AND year >= 2020 AND tags IN ('a','b') OR NOT (author IS NULL OR b IS NOT EMPTY)",
        "COUNT(tags) > 2 OR 0 < COUNT(tags) <= 1 AND c EXCEPT (1, 2) AND flag = true",
        "geo WITHIN 5km OF (13.4, 52.5) AND geo NOT WITHIN BOX ((13, 53), (14, 52))",
        "geo WITHIN POLYGON ((0, 0), (2, 0), (2, 2), (0, 0)) WITHOUT (((1, 1), (1.5, 1), (1, 1.5), (1, 1)))",
        "title CONTAINS PHRASE 'it''s' AND title CONTAINS PART ANY 'b' AND path LIKE 'docs\\_/%'",
        "'2024-06-01' <= day < '2024-06-01T12:00:00' AND n BETWEEN -1.5e3 AND 2 AND x is number",
        "ID IN (1, 'f47ac10b-58cc-4372-a567-0e02b2c3d479') AND ID IN SLICE 0 OF 4 AND HAS VECTOR ''",
        "NESTED c (d is time AND `e f` = 4) AND AT LEAST 2 OF (a = 1, TRUE, FALSE)",
        "parts[0].kind = 'wheel' AND \"a.b\".c != 3",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
