//! From a filter to text.

use super::is_reserved;
use super::lexer::is_one_word;
use crate::filter::{
    Condition, CountRange, Filter, MinShould, Predicate, Range, Scalar, TimeRange, WholeRange, normal,
};
use crate::geo::{GeoArea, GeoPoint};
use crate::{FieldPath, PointId, datetime};

pub(super) fn filter(filter: &Filter) -> String {
    let mut parts: Vec<String> = filter.must.iter().map(condition).collect();
    parts.extend(filter.must_not.iter().map(|held| format!("NOT {}", condition(held))));
    if let Some(MinShould { conditions, count }) = &filter.min_should {
        let conditions: Vec<String> = conditions.iter().map(condition).collect();
        parts.push(format!("AT LEAST {count} OF ({})", conditions.join(", ")));
    }
    if !filter.should.is_empty() {
        let either = filter.should.iter().map(condition).collect::<Vec<_>>().join(" OR ");
        let is_alone = parts.is_empty() || filter.should.len() == 1;
        parts.push(if is_alone { either } else { format!("({either})") });
    }
    if parts.is_empty() { "TRUE".to_owned() } else { parts.join(" AND ") }
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Field(path, predicate) => test(&field(path), predicate),
        Condition::IsEmpty(path) => format!("{} IS EMPTY", field(path)),
        Condition::IsNull(path) => format!("{} IS NULL", field(path)),
        Condition::Count(path, range) => counted(path, range),
        Condition::HasId(ids) if ids.is_empty() => "FALSE".to_owned(),
        Condition::HasId(ids) => format!("ID IN ({})", joined(ids, id)),
        Condition::Slice { index, total } => format!("ID IN SLICE {index} OF {total}"),
        Condition::HasVector(name) => format!("HAS VECTOR {}", quoted(name)),
        Condition::Nested(path, inner) => format!("NESTED {} ({})", field(path), filter(inner)),
        Condition::Filter(inner) if inner.is_empty() => "TRUE".to_owned(),
        Condition::Filter(inner) => format!("({})", filter(inner)),
    }
}

fn joined<T>(items: &[T], print: impl Fn(&T) -> String) -> String {
    items.iter().map(print).collect::<Vec<_>>().join(", ")
}

fn id(id: &PointId) -> String {
    match id {
        PointId::Num(number) => number.to_string(),
        PointId::Uuid(uuid) => quoted(&uuid.to_string()),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn field(path: &FieldPath) -> String {
    let text = path.to_string();
    if is_one_word(&text) && !is_reserved(&text) { text } else { format!("`{}`", text.replace('`', "``")) }
}

fn test(field: &str, predicate: &Predicate) -> String {
    match &normal::with_bounds(predicate) {
        Predicate::Any(list) if list.len() == 1 => format!("{field} = {}", joined(list, scalar)),
        Predicate::Any(list) => format!("{field} IN ({})", joined(list, scalar)),
        Predicate::Except(list) => format!("{field} EXCEPT ({})", joined(list, scalar)),
        Predicate::Range(Range { lt, lte, gt, gte }) => {
            let print = |bound: Option<f64>| bound.map(number);
            match compared(field, [*gt, *gte, *lt, *lte].map(print)) {
                Some(text) if ![lt, lte, gt, gte].into_iter().flatten().any(|bound| bound.is_nan()) => text,
                Some(_) => "FALSE".to_owned(),
                None => format!("{field} IS NUMBER"),
            }
        }
        Predicate::Whole(WholeRange { lt, lte, gt, gte }) => {
            let print = |bound: Option<i64>| bound.map(|number| number.to_string());
            let text = compared(field, [*gt, *gte, *lt, *lte].map(print));
            text.unwrap_or_else(|| format!("{field} IS NUMBER"))
        }
        Predicate::Times(TimeRange { lt, lte, gt, gte }) => {
            let print = |bound: Option<i64>| bound.map(|time| quoted(&datetime::format(time)));
            let text = compared(field, [*gt, *gte, *lt, *lte].map(print));
            text.unwrap_or_else(|| format!("{field} IS TIME"))
        }
        Predicate::Analysed(words) => test(field, &words.usual),
        Predicate::Geo(area) => format!("{field} WITHIN {}", place_of(area)),
        Predicate::Text(text) => format!("{field} CONTAINS {}", quoted(text)),
        Predicate::TextAny(text) => format!("{field} CONTAINS ANY {}", quoted(text)),
        Predicate::Phrase(text) => format!("{field} CONTAINS PHRASE {}", quoted(text)),
        Predicate::PartUnlessIndexed(words) => match &**words {
            Predicate::Text(text) => format!("{field} CONTAINS PART {}", quoted(text)),
            Predicate::TextAny(text) => format!("{field} CONTAINS PART ANY {}", quoted(text)),
            Predicate::Phrase(text) => format!("{field} CONTAINS PART PHRASE {}", quoted(text)),
            other => test(field, other),
        },
        Predicate::Prefix(prefix) => {
            let escaped: String = prefix
                .chars()
                .flat_map(|c| matches!(c, '\\' | '%' | '_').then_some('\\').into_iter().chain([c]))
                .collect();
            format!("{field} LIKE {}", quoted(&format!("{escaped}%")))
        }
    }
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Str(text) => quoted(text),
        Scalar::Int(number) => number.to_string(),
        Scalar::Bool(flag) => flag.to_string(),
    }
}

/// The fewest digits that are read back as this number.
fn number(number: f64) -> String {
    // Read back as infinite.
    if number.is_infinite() {
        return (if number > 0.0 { "1e999" } else { "-1e999" }).to_owned();
    }
    let plain = number.to_string();
    // The digits of a large one alone are an integer.
    if plain.len() > 20 || number.abs() >= 9_007_199_254_740_992.0 { format!("{number:e}") } else { plain }
}

/// A comparison with the bounds that there are, of one sort on each side: above or at least, below or at most.
fn compared(field: &str, bounds: [Option<String>; 4]) -> Option<String> {
    let [gt, gte, lt, lte] = bounds;
    let lower = gt.map(|bound| ("<", ">", bound)).or(gte.map(|bound| ("<=", ">=", bound)));
    let upper = lt.map(|bound| ("<", bound)).or(lte.map(|bound| ("<=", bound)));
    match (lower, upper) {
        (Some((sign, _, lower)), Some((other, upper))) => {
            Some(format!("{lower} {sign} {field} {other} {upper}"))
        }
        (Some((_, sign, lower)), None) => Some(format!("{field} {sign} {lower}")),
        (None, Some((sign, upper))) => Some(format!("{field} {sign} {upper}")),
        (None, None) => None,
    }
}

fn counted(path: &FieldPath, range: &CountRange) -> String {
    let field = format!("COUNT({})", field(path));
    let has_both = (range.gt.is_some() && range.gte.is_some()) || (range.lt.is_some() && range.lte.is_some());
    let range = if has_both { normal::of_count(range) } else { *range };
    match range {
        CountRange { lt: None, gt: None, lte: Some(most), gte: Some(least) } if most == least => {
            format!("{field} = {most}")
        }
        CountRange { lt, lte, gt, gte } => {
            let bounds = [gt, gte, lt, lte].map(|bound| bound.map(|bound| bound.to_string()));
            compared(&field, bounds).unwrap_or_else(|| "TRUE".to_owned())
        }
    }
}

fn place_of(area: &GeoArea) -> String {
    let place = |place: &GeoPoint| format!("({}, {})", number(place.lon), number(place.lat));
    match area {
        GeoArea::Box { top_left, bottom_right } => {
            format!("BOX ({}, {})", place(top_left), place(bottom_right))
        }
        GeoArea::Circle { center, radius_m } => format!("{} m OF {}", number(*radius_m), place(center)),
        GeoArea::Polygon { exterior, interiors } => {
            let ring = |ring: &Vec<GeoPoint>| format!("({})", joined(ring, place));
            let holes = match interiors.is_empty() {
                true => String::new(),
                false => format!(" WITHOUT ({})", joined(interiors, ring)),
            };
            format!("POLYGON {}{holes}", ring(exterior))
        }
    }
}
