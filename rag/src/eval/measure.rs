//! What a ranking is worth, beside what was expected of it.
//!
//! | measure | of the first `k` passages |
//! |---|---|
//! | recall | the part of what was expected that they hold |
//! | ndcg | the grades found, less the deeper they stand, beside the best order (Järvelin and Kekäläinen 2002) |
//! | mrr | one over the rank of the first expected one |
//! | context precision | the mean of the precision at each expected one, so that noise above it counts |
//! | context recall | the part of the expected bytes that they hold; of what has no span, as recall |
//! | span precision | the part of their bytes that was expected |
//! | span iou | the expected bytes found over all bytes found or expected |
//!
//! Invariants: each is from 0 to 1; what is expected counts once, at its first passage.

use std::ops::Range;

use kithdb::PointId;

use super::Expected;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// The point.
    pub id: PointId,
    /// The document, if it is of one.
    pub path: Option<String>,
    /// Its bytes there.
    pub range: Option<Range<usize>>,
}

/// What a ranking is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    /// See the table above, as for all.
    pub recall: f64,
    /// Normalised discounted cumulative gain.
    pub ndcg: f64,
    /// Reciprocal rank.
    pub mrr: f64,
    /// Precision, weighted by rank.
    pub context_precision: f64,
    /// Recall by bytes.
    pub context_recall: f64,
    /// Precision by bytes; nothing where no span was expected.
    pub span_precision: Option<f64>,
    /// Intersection over union, by bytes; nothing where no span was expected.
    pub span_iou: Option<f64>,
}

/// The name of a measure, and how it is read; nothing where a question has none.
pub type Measure = (&'static str, fn(&Measures) -> Option<f64>);

/// All of them.
pub const MEASURES: [Measure; 7] = [
    ("recall", |measures| Some(measures.recall)),
    ("ndcg", |measures| Some(measures.ndcg)),
    ("mrr", |measures| Some(measures.mrr)),
    ("context_precision", |measures| Some(measures.context_precision)),
    ("context_recall", |measures| Some(measures.context_recall)),
    ("span_precision", |measures| measures.span_precision),
    ("span_iou", |measures| measures.span_iou),
];

impl Measures {
    /// The mean of each, over the questions that have it.
    pub(super) fn mean<'m>(all: impl Iterator<Item = &'m Self>) -> Self {
        let all: Vec<&Self> = all.collect();
        let mean = |read: fn(&Self) -> Option<f64>| {
            let values: Vec<f64> = all.iter().filter_map(|measures| read(measures)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let [recall, ndcg, mrr, context_precision, context_recall, span_precision, span_iou] =
            MEASURES.map(|(_, read)| mean(read));
        Self {
            recall: recall.unwrap_or(0.0),
            ndcg: ndcg.unwrap_or(0.0),
            mrr: mrr.unwrap_or(0.0),
            context_precision: context_precision.unwrap_or(0.0),
            context_recall: context_recall.unwrap_or(0.0),
            span_precision,
            span_iou,
        }
    }
}

/// Measures a ranking, and says which of its passages were expected.
pub fn measure(passages: &[Passage], expected: &[Expected]) -> (Measures, Vec<bool>) {
    let mut is_found = vec![false; expected.len()];
    let (mut hits, mut precision, mut first) = (0, 0.0, None);
    let matching: Vec<Vec<usize>> = passages.iter().map(|passage| matching(passage, expected)).collect();
    for (rank, matching) in (1..).zip(&matching) {
        matching.iter().for_each(|at| is_found[*at] = true);
        if !matching.is_empty() {
            hits += 1;
            precision += f64::from(hits) / f64::from(rank);
            first = first.or(Some(rank));
        }
    }
    let found = is_found.iter().filter(|is_found| **is_found).count();
    let recall = found as f64 / expected.len().max(1) as f64;
    let spans = spans(passages, expected);
    let measures = Measures {
        recall,
        ndcg: ndcg(matching.iter().map(Vec::as_slice), expected, passages.len()),
        mrr: first.map_or(0.0, |rank| 1.0 / f64::from(rank)),
        context_precision: if hits == 0 { 0.0 } else { precision / f64::from(hits) },
        context_recall: spans.as_ref().map_or(recall, |spans| spans.shared / spans.expected),
        span_precision: spans.as_ref().map(|spans| spans.shared / spans.found.max(1.0)),
        span_iou: spans.as_ref().map(|spans| spans.shared / (spans.found + spans.expected - spans.shared)),
    };
    (measures, matching.iter().map(|matching| !matching.is_empty()).collect())
}

/// The places of what is expected that a passage answers to.
pub(super) fn matching(passage: &Passage, expected: &[Expected]) -> Vec<usize> {
    (0..expected.len()).filter(|at| matches(passage, &expected[*at])).collect()
}

/// The gain of the first so many of a ranking beside that of the best order. For each hit it is given which of what is
/// expected it [is](matching).
pub(super) fn ndcg<'a>(
    ranking: impl Iterator<Item = &'a [usize]>,
    expected: &[Expected],
    limit: usize,
) -> f64 {
    let mut is_found = vec![false; expected.len()];
    let mut gain = 0.0;
    for (rank, matching) in (1..).zip(ranking.take(limit)) {
        let new = matching.iter().filter(|at| !is_found[**at]).map(|at| expected[*at].grade).sum::<f64>();
        gain += new / discount(rank);
        matching.iter().for_each(|at| is_found[*at] = true);
    }
    // Expected spans that share a passage may beat the best order.
    (gain / ideal(expected, limit)).min(1.0)
}

fn matches(passage: &Passage, expected: &Expected) -> bool {
    let overlap = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    let has_place = match (&expected.range, &passage.range) {
        (Some(wanted), Some(range)) => overlap(wanted, range),
        (None, _) => true,
        (Some(_), None) => false,
    };
    expected.id.is_none_or(|id| id == passage.id)
        && expected.path.as_ref().is_none_or(|path| Some(path) == passage.path.as_ref())
        && has_place
}

fn discount(rank: i32) -> f64 {
    f64::from(rank + 1).log2()
}

/// The gain of the best order.
fn ideal(expected: &[Expected], limit: usize) -> f64 {
    let mut grades: Vec<f64> = expected.iter().map(|expected| expected.grade).collect();
    grades.sort_by(|a, b| b.total_cmp(a));
    let gain = (1..).zip(grades.into_iter().take(limit.max(1))).map(|(rank, grade)| grade / discount(rank));
    gain.sum::<f64>().max(f64::MIN_POSITIVE)
}

/// Bytes, each counted once in a document.
struct Spans {
    shared: f64,
    found: f64,
    expected: f64,
}

/// Nothing unless everything that is expected has a span.
fn spans(passages: &[Passage], expected: &[Expected]) -> Option<Spans> {
    let wanted: Option<Vec<(&str, Range<usize>)>> =
        expected.iter().map(|expected| Some((expected.path.as_deref()?, expected.range.clone()?))).collect();
    let wanted = joined(wanted.filter(|wanted| !wanted.is_empty())?);
    let found =
        passages.iter().filter_map(|passage| Some((passage.path.as_deref()?, passage.range.clone()?)));
    let found = joined(found.collect());
    let total = |spans: &[(&str, Range<usize>)]| spans.iter().map(|(_, range)| range.len()).sum::<usize>();
    let shared = wanted.iter().map(|(path, range)| {
        let shared = found
            .iter()
            .filter(|(other, _)| other == path)
            .map(|(_, other)| range.end.min(other.end).saturating_sub(range.start.max(other.start)));
        shared.sum::<usize>()
    });
    let shared = shared.sum::<usize>() as f64;
    Some(Spans { shared, found: total(&found) as f64, expected: total(&wanted) as f64 })
}

/// Ranges that overlap or touch, as one.
fn joined(mut spans: Vec<(&str, Range<usize>)>) -> Vec<(&str, Range<usize>)> {
    spans.sort_by(|a, b| (a.0, a.1.start).cmp(&(b.0, b.1.start)));
    let mut joined: Vec<(&str, Range<usize>)> = Vec::new();
    for (path, range) in spans {
        match joined.last_mut() {
            Some((last, before)) if *last == path && range.start <= before.end => {
                before.end = before.end.max(range.end);
            }
            _ => joined.push((path, range)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(path: &str, range: Range<usize>) -> Passage {
        Passage { id: 1.into(), path: Some(path.into()), range: Some(range) }
    }

    fn expected(path: &str, range: Option<Range<usize>>, grade: f64) -> Expected {
        Expected { path: Some(path.into()), id: None, range, grade }
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn documents_count_once_at_their_first_passage() {
        let found = [passage("x", 0..9), passage("a", 0..9), passage("a", 9..20), passage("b", 0..5)];
        let wanted = [expected("a", None, 1.0), expected("b", None, 3.0), expected("c", None, 1.0)];
        let (measures, is_expected) = measure(&found, &wanted);
        assert_eq!(is_expected, [false, true, true, true]);
        near(measures.recall, 2.0 / 3.0);
        near(measures.mrr, 0.5);
        near(measures.context_precision, (0.5 + 2.0 / 3.0 + 0.75) / 3.0);
        let ideal = 3.0 + 1.0 / 3_f64.log2() + 0.5;
        near(measures.ndcg, (1.0 / 3_f64.log2() + 3.0 / 5_f64.log2()) / ideal);
        near(measures.context_recall, measures.recall);
        assert_eq!((measures.span_precision, measures.span_iou), (None, None));
    }

    #[test]
    fn spans_are_measured_by_their_bytes() {
        let found = [passage("a", 0..100), passage("a", 80..150), passage("b", 0..50)];
        let wanted = [expected("a", Some(90..110), 1.0), expected("a", Some(140..170), 1.0)];
        let (measures, is_expected) = measure(&found, &wanted);
        assert_eq!(is_expected, [true, true, false]);
        near(measures.recall, 1.0);
        near(measures.context_recall, 30.0 / 50.0);
        near(measures.span_precision.expect("spans"), 30.0 / 200.0);
        near(measures.span_iou.expect("spans"), 30.0 / 220.0);
    }

    #[test]
    fn nothing_found_is_nothing_and_all_is_one() {
        let wanted = [expected("a", Some(0..5), 1.0), expected("a", Some(5..9), 2.0)];
        let (none, _) = measure(&[], &wanted);
        assert_eq!((none.recall, none.ndcg, none.mrr, none.context_precision), (0.0, 0.0, 0.0, 0.0));
        let (all, _) = measure(&[passage("a", 0..9)], &wanted);
        assert_eq!((all.recall, all.ndcg, all.span_iou), (1.0, 1.0, Some(1.0)));
        let by_id = Expected { path: None, id: Some(1.into()), range: None, grade: 1.0 };
        assert_eq!(measure(&[passage("x", 0..1)], &[by_id]).0.recall, 1.0);
    }
}
