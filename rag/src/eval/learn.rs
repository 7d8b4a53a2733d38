//! What words weigh in the hybrid queries of a collection, learned from questions whose answers are known.
//!
//! Each question is asked once, by words and by vector; then every pair of weights on a grid is tried on what both legs
//! found, and the one with the best mean nDCG@10 is taken, of equals the nearest to the default. Whether it is better
//! than the default is judged by questions that it was not chosen by: each fifth of them is ranked by the weights that
//! the other four choose. Only if the gain over the default is more than chance, by randomisation, are the weights kept
//! with the collection.
//!
//! Invariants: the same data give the same outcome, in whatever order the questions come; a question counts once. What
//! is told of the learned weights never comes from questions that chose them.
//! Cost: a question's embedding, one hybrid search and the payloads of its hits; 66 rankings of some hundred hits.
//! When not to use: with few questions, or such as nobody asks; the default was chosen by several collections.

use std::collections::BTreeMap;
use std::time::Instant;

use kithdb::{
    Collection, Error, ErrorKind, Filter, Fusion, HybridWeights, PointId, Query, Reading, Result, Select,
    Terms,
};

use super::compare::{bootstrap, mean, randomised};
use super::measure::{matching, ndcg};
use super::{Expected, Question, passage, places};
use crate::search::{Asking, request};
use crate::{Embedder, Mode};

/// Questions that expect something, at least: with fewer, chance decides.
pub const QUESTIONS_MIN: usize = 30;

/// Parts of the questions, each ranked by weights that the others chose.
const FOLDS: usize = 5;

/// Hits that count.
const HITS: usize = 10;

/// Weights from 0 to 1 that are tried.
const STEPS: u8 = 10;

/// A gain that comes by chance as often as this is none.
const P_MAX: f64 = 0.05;

/// Weights that tell from an answer how well words cover its question, and give both legs a share.
const PROBE: HybridWeights = HybridWeights { words_least: 0.25, words_most: 0.75 };

/// How questions are asked to learn from them.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// The vectors that they are compared with.
    pub using: String,
    /// Only among these.
    pub filter: Filter,
    /// No further question is asked then, and nothing is learned.
    pub deadline: Option<Instant>,
}

/// What was learned. Figures are mean nDCG@10.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// Questions that expect something.
    pub questions: usize,
    /// Parts of them that were held out, one after the other.
    pub folds: usize,
    /// By words alone.
    pub keyword: f64,
    /// By vector alone.
    pub vector: f64,
    /// By both, with the default weights.
    pub default: f64,
    /// By both, each question with weights that others chose.
    pub learned: f64,
    /// In 95 of 100 draws of questions the gain over the default lies between these.
    pub interval: (f64, f64),
    /// The probability of a gain or loss as large if the weights made no difference.
    pub p: f64,
    /// What all questions choose.
    pub weights: HybridWeights,
    /// Whether the collection has these weights now; if not, it has those that it had.
    pub is_adopted: bool,
}

/// Learns from questions what words weigh, and keeps it with the collection if that is better than the default.
///
/// # Errors
/// `InvalidArgument` on `questions` when fewer than [`QUESTIONS_MIN`] expect something, or one cannot be asked; on
/// `keyword` and `using` when there is no such leg, on `model` when one is needed; `DeadlineExceeded`; what the
/// database returns.
pub fn learn(
    collection: &Collection,
    embedder: Option<&Embedder>,
    questions: &[Question],
    lesson: &Lesson,
) -> Result<Learned> {
    let answerable = questions.iter().filter(|question| !question.expected.is_empty());
    let questions: BTreeMap<PointId, &Question> =
        answerable.map(|question| (question.id, question)).collect();
    check(collection, embedder, &questions, lesson)?;
    let (reading, select, grid) = (collection.reading()?, places()?, grid());
    let asker = Asker { collection, embedder, lesson, reading, select };
    let mut marks = Vec::with_capacity(questions.len());
    for question in questions.values() {
        if lesson.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let message = format!("{} of {} questions were asked in time", marks.len(), questions.len());
            return Err(Error::new(ErrorKind::DeadlineExceeded, message));
        }
        marks.push(Marks::of(&asker.ask(question)?, &question.expected, &grid));
    }
    let learned = choose(&marks, &grid);
    if learned.is_adopted {
        collection.configure(move |schema| {
            schema.hybrid = Some(learned.weights);
            Ok(())
        })?;
    }
    Ok(learned)
}

/// Checks that there are two legs, and enough questions that can be asked of both.
fn check(
    collection: &Collection,
    embedder: Option<&Embedder>,
    questions: &BTreeMap<PointId, &Question>,
    lesson: &Lesson,
) -> Result<()> {
    let schema = collection.schema();
    if schema.keyword.is_none() {
        let message =
            format!("collection `{}` ranks nothing by words: there is nothing to weigh", collection.name());
        return Err(Error::invalid("keyword", message));
    }
    schema.space(&lesson.using)?;
    if questions.len() < QUESTIONS_MIN {
        let message = format!(
            "has {} questions that expect something; weights are learned from {QUESTIONS_MIN} at least",
            questions.len()
        );
        return Err(Error::invalid("questions", message));
    }
    match questions.values().find(|question| question.vector.is_none()) {
        Some(question) if embedder.is_none() => {
            let message = format!(
                "is needed for questions without a `vector`, such as `{}`, and there is none",
                question.text
            );
            Err(Error::invalid("model", message))
        }
        _ => Ok(()),
    }
}

/// Asks questions of both legs.
struct Asker<'a> {
    collection: &'a Collection,
    embedder: Option<&'a Embedder>,
    lesson: &'a Lesson,
    reading: Reading,
    select: Select,
}

/// What both legs found for a question.
struct Found {
    /// How well words cover it, from 0 to 1.
    coverage: f32,
    candidates: Vec<Candidate>,
}

/// A hit of either leg.
struct Candidate {
    /// From 0, the worst of the leg, to 1, the best; if it is among them.
    words: Option<f32>,
    /// The same of the other leg.
    vector: Option<f32>,
    /// The places of what is expected that it answers to.
    expected: Vec<usize>,
}

impl Asker<'_> {
    fn ask(&self, question: &Question) -> Result<Found> {
        let asking = Asking {
            question: &question.text,
            vector: question.vector.as_deref(),
            using: &self.lesson.using,
            mode: Mode::Hybrid,
            filter: self.lesson.filter.clone(),
            limit: HITS,
        };
        let (_, mut asked) = request(self.collection, self.embedder, asking)?;
        asked.query = Query::Fuse(Fusion::Adaptive { weights: Some(PROBE) });
        asked.limit = asked.prefetch.iter().map(|leg| leg.limit).sum();
        let terms = Terms { is_analyzed: true, ..Terms::default() };
        let found = self.reading.search_on(asked, &self.select, terms).map_err(|error| {
            let message = format!("`{}` cannot be asked: {error}", question.text);
            Error::new(error.kind(), message).with_field("questions").with_source(error)
        })?;
        let actual = found.actual.unwrap_or_default();
        let [vector, words] = actual.weights[..] else {
            return Err(Error::new(ErrorKind::Internal, "a hybrid query had other legs than two"));
        };
        let coverage = (words - PROBE.words_least) / (PROBE.words_most - PROBE.words_least);
        let candidates = found.hits.iter().zip(&actual.shares).map(|(hit, shares)| {
            let share =
                |leg: usize, weight: f32| shares.get(leg).copied().flatten().map(|share| share / weight);
            let expected = matching(&passage(hit.id, &hit.payload), &question.expected);
            Candidate { vector: share(0, vector), words: share(1, words), expected }
        });
        Ok(Found { coverage: coverage.clamp(0.0, 1.0), candidates: candidates.collect() })
    }
}

/// The nDCG of one question, by one leg, the other, and both by each pair of weights.
struct Marks {
    keyword: f64,
    vector: f64,
    by_weights: Vec<f64>,
}

impl Marks {
    fn of(found: &Found, expected: &[Expected], grid: &[HybridWeights]) -> Self {
        let mark = |score: &dyn Fn(&Candidate) -> Option<f32>| {
            let scored = found.candidates.iter().filter_map(|candidate| Some((score(candidate)?, candidate)));
            let mut ranked: Vec<(f32, &Candidate)> = scored.collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            ndcg(ranked.iter().map(|(_, candidate)| candidate.expected.as_slice()), expected, HITS)
        };
        let both = |weights: &HybridWeights| {
            let of_words = weights.of_words(found.coverage);
            mark(&|candidate| {
                let share = |share: Option<f32>| share.unwrap_or(0.0);
                Some(of_words * share(candidate.words) + (1.0 - of_words) * share(candidate.vector))
            })
        };
        Self {
            keyword: mark(&|candidate| candidate.words),
            vector: mark(&|candidate| candidate.vector),
            by_weights: grid.iter().map(both).collect(),
        }
    }
}

/// All weights that are tried; the default is one of them.
fn grid() -> Vec<HybridWeights> {
    let weight = |step: u8| f32::from(step) / f32::from(STEPS);
    let pair = |least: u8| {
        (least..=STEPS)
            .map(move |most| HybridWeights { words_least: weight(least), words_most: weight(most) })
    };
    (0..=STEPS).flat_map(pair).collect()
}

/// Chooses weights, and judges the choice by questions that are held out.
fn choose(marks: &[Marks], grid: &[HybridWeights]) -> Learned {
    let of = |read: &dyn Fn(&Marks) -> f64| mean(&marks.iter().map(read).collect::<Vec<_>>());
    let default = grid.iter().position(|weights| distance(*weights) < 1e-6).unwrap_or_default();
    let chosen: Vec<usize> = (0..FOLDS)
        .map(|fold| {
            best(marks.iter().enumerate().filter(|(at, _)| at % FOLDS != fold).map(|(_, marks)| marks), grid)
        })
        .collect();
    let held_out: Vec<f64> =
        marks.iter().enumerate().map(|(at, marks)| marks.by_weights[chosen[at % FOLDS]]).collect();
    let gains: Vec<f64> =
        held_out.iter().zip(marks).map(|(learned, marks)| learned - marks.by_weights[default]).collect();
    let p = randomised(&gains);
    Learned {
        questions: marks.len(),
        folds: FOLDS,
        keyword: of(&|marks| marks.keyword),
        vector: of(&|marks| marks.vector),
        default: of(&|marks| marks.by_weights[default]),
        learned: mean(&held_out),
        interval: bootstrap(&gains),
        p,
        weights: grid[best(marks.iter(), grid)],
        is_adopted: mean(&gains) > 0.0 && p < P_MAX,
    }
}

/// The place of the weights with the best mean, of equals the nearest to the default.
fn best<'a>(marks: impl Iterator<Item = &'a Marks>, grid: &[HybridWeights]) -> usize {
    let mut sums = vec![0.0; grid.len()];
    for marks in marks {
        sums.iter_mut().zip(&marks.by_weights).for_each(|(sum, mark)| *sum += mark);
    }
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let equals = (0..grid.len()).filter(|at| sums[*at] >= most - 1e-9);
    equals.min_by(|a, b| distance(grid[*a]).total_cmp(&distance(grid[*b]))).unwrap_or_default()
}

/// How far weights are from the default.
fn distance(weights: HybridWeights) -> f32 {
    let default = HybridWeights::default();
    (weights.words_least - default.words_least).abs() + (weights.words_most - default.words_most).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred hits, one of which is the answer: it is the best of the leg that is right, and anywhere in one that
    /// is noise.
    fn found(question: usize, words_are_right: bool, vector_is_right: bool) -> (Found, Vec<Expected>) {
        let answer = (question * 7) % 100;
        let share = |at: usize, is_right: bool, salt: usize| match is_right {
            true if at == answer => 1.0,
            true => 0.5 * ((at * 31 + salt) % 97) as f32 / 97.0,
            false => ((at * 53 + question * 29 + salt) % 101) as f32 / 101.0,
        };
        let candidate = |at: usize| Candidate {
            words: Some(share(at, words_are_right, 3)),
            vector: Some(share(at, vector_is_right, 11)),
            expected: if at == answer { vec![0] } else { Vec::new() },
        };
        let coverage = (question % 10) as f32 / 10.0;
        let expected = Expected { path: None, id: Some(1.into()), range: None, grade: 1.0 };
        (Found { coverage, candidates: (0..100).map(candidate).collect() }, vec![expected])
    }

    fn learned(questions: usize, words_are_right: bool, vector_is_right: bool) -> Learned {
        let marks = |question| {
            let (found, expected) = found(question, words_are_right, vector_is_right);
            Marks::of(&found, &expected, &grid())
        };
        choose(&(0..questions).map(marks).collect::<Vec<_>>(), &grid())
    }

    #[test]
    fn a_leg_that_is_noise_loses_its_weight() {
        let noise = learned(60, false, true);
        assert!(noise.weights.words_most < 0.6 && noise.weights.words_least <= 0.3, "{noise:?}");
        assert!(
            noise.learned > noise.default + 0.1 && noise.interval.0 > 0.0 && noise.is_adopted,
            "{noise:?}"
        );
        assert!(noise.vector > noise.keyword + 0.5, "{noise:?}");
        let vectors = learned(60, true, false);
        assert!(vectors.weights.words_least > 0.4 && vectors.weights.words_most >= 0.9, "{vectors:?}");
        assert!(vectors.is_adopted && vectors.learned > vectors.default, "{vectors:?}");
    }

    #[test]
    fn where_weights_make_no_difference_the_default_stays() {
        for (words, vector) in [(true, true), (false, false)] {
            let learned = learned(60, words, vector);
            assert!(!learned.is_adopted, "{learned:?}");
        }
        assert_eq!(learned(60, true, true).weights, HybridWeights::default());
        assert_eq!(learned(60, true, true).p, 1.0);
    }

    #[test]
    fn the_same_marks_teach_the_same() {
        assert_eq!(learned(45, false, true), learned(45, false, true));
        let grid = grid();
        assert_eq!((grid.len(), grid.contains(&HybridWeights::default())), (66, true));
        assert!(grid.iter().all(|weights| weights.check().is_ok()));
    }
}
