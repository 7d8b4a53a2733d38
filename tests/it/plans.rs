//! Any plan finds what the naive one finds: exactly where nothing may be missed; within the recall that is asked for
//! where a graph or codes may miss.
//!
//! The naive plan is a sort of all points, made here. Plans are those of filters of any width, on a field with an index
//! and on one without, over a segment with gone rows and a head. A recall is a mean over many questions; every hit is
//! looked at by itself, whatever the plan is: it matches, has its exact score, and comes once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kithdb::{
    Collection, Database, FieldKind, Filter, Hit, Metric, Params, Point, PointId, Query, Request, Schema,
    Select, Step, Strategy as Way,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const POINTS: u64 = 12_000;
/// Those below are in the segment.
const SEALED: u64 = 10_000;
const DIM: usize = 16;
const CASES: u32 = 120;

/// What a mean of the questions here may lack beside what was measured when the segment was built.
const SLACK: f32 = 0.05;

#[derive(Clone, Debug)]
struct Question {
    seed: u64,
    field: &'static str,
    below: u64,
    is_negated: bool,
    limit: usize,
    offset: usize,
    asked: Asked,
}

/// What is asked of the search beside its hits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Nothing,
    Exact,
    Recall(f32),
    Beam(usize),
}

/// Numbers that look random and are always the same.
fn vector(seed: u64) -> Vec<f32> {
    let number = |element: u64| {
        let mixed = (seed * DIM as u64 + element + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..DIM as u64).map(number).collect()
}

fn is_gone(id: u64) -> bool {
    id < SEALED && id % 7 == 3
}

/// `n` has an index, `u` has none.
fn collection(db: &Database, metric: Metric) -> Collection {
    let schema = Schema::new().vector(DIM, metric).field("n".parse().expect("a path"), FieldKind::Integer);
    let collection = db.create_collection(metric.name(), schema).expect("a collection");
    let point = |id: u64| Point::new(id).vector(vector(id)).with("n", id % 1_000).with("u", id % 1_000);
    collection.upsert((0..SEALED).map(point).collect()).expect("points");
    collection.optimize(true).expect("a segment");
    collection.upsert((SEALED..POINTS).map(point).collect()).expect("points");
    let gone = (0..SEALED).filter(|id| is_gone(*id)).map(PointId::Num).collect();
    collection.delete(gone).expect("deleted");
    collection
}

fn question() -> impl Strategy<Value = Question> {
    let asked = prop::sample::select(vec![
        Asked::Nothing,
        Asked::Exact,
        Asked::Recall(0.9),
        Asked::Recall(0.99),
        Asked::Beam(24),
    ]);
    let below = prop::sample::select(vec![0_u64, 1, 5, 60, 400, 999, 1_000]);
    let width = (prop::sample::select(vec!["n", "u"]), below, any::<bool>());
    (POINTS..2 * POINTS, width, 1..50_usize, prop_oneof![3 => Just(0_usize), 1 => 1..30_usize], asked)
        .prop_map(|(seed, (field, below, is_negated), limit, offset, asked)| Question {
            seed,
            field,
            below,
            is_negated,
            limit,
            offset,
            asked,
        })
}

impl Question {
    fn request(&self) -> Request {
        let Self { field, below, limit, offset, .. } = self;
        let text = match self.is_negated {
            true => format!("NOT {field} >= {below}"),
            false => format!("{field} < {below}"),
        };
        let params = match self.asked {
            Asked::Nothing => Params::default(),
            Asked::Exact => Params { is_exact: true, ..Params::default() },
            Asked::Recall(recall) => Params { recall: Some(recall), ..Params::default() },
            Asked::Beam(ef) => Params { ef: Some(ef), ..Params::default() },
        };
        let filter: Filter = text.parse().expect("a filter");
        let query = Query::Nearest { vector: vector(self.seed).into(), using: String::new() };
        Request { query, filter, limit: *limit, offset: *offset, params, ..Request::default() }
    }

    fn matches(&self, id: u64) -> bool {
        !is_gone(id) && id % 1_000 < self.below
    }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    let pairs = a.iter().zip(b);
    match metric {
        Metric::Dot => pairs.map(|(a, b)| a * b).sum(),
        _ => pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt(),
    }
}

fn is_same(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * a.abs().max(1.0)
}

/// Checks an answer, and says which share of the hits that are due it has.
fn checked(
    question: &Question,
    metric: Metric,
    vectors: &[Vec<f32>],
    hits: &[Hit],
) -> Result<f32, TestCaseError> {
    let asked = vector(question.seed);
    let of = |id: u64| score(metric, &asked, &vectors[id as usize]);
    let mut naive: Vec<f32> = (0..POINTS).filter(|id| question.matches(*id)).map(of).collect();
    naive.sort_by(|a, b| if metric == Metric::Dot { b.total_cmp(a) } else { a.total_cmp(b) });
    let due: Vec<f32> = naive.into_iter().skip(question.offset).take(question.limit).collect();
    prop_assert_eq!(hits.len(), due.len(), "as many as match");
    let mut seen = BTreeSet::new();
    for hit in hits {
        let PointId::Num(id) = hit.id else { return Err(TestCaseError::fail("an id of another kind")) };
        prop_assert!(question.matches(id) && seen.insert(id), "{:?}", hit);
        prop_assert!(is_same(hit.score, of(id)), "{:?}, and it is {}", hit, of(id));
    }
    let is_ordered = |pair: &[Hit]| metric.passes(pair[0].score, pair[1].score);
    prop_assert!(hits.windows(2).all(is_ordered), "{:?}", hits);
    if question.asked == Asked::Exact {
        let is_due = |(hit, due): (&Hit, &f32)| is_same(hit.score, *due);
        prop_assert!(hits.iter().zip(&due).all(is_due), "{:?} {:?}", hits, due);
    }
    let Some(last) = due.last() else { return Ok(1.0) };
    let found =
        hits.iter().filter(|hit| metric.passes(hit.score, *last) || is_same(hit.score, *last)).count();
    Ok(found as f32 / due.len() as f32)
}

#[test]
fn any_plan_finds_what_the_naive_one_finds() {
    let db = Database::in_memory().expect("a database");
    let vectors: Vec<Vec<f32>> = (0..POINTS).map(vector).collect();
    let ways = RefCell::new(BTreeSet::new());
    for metric in [Metric::Dot, Metric::Euclid] {
        let collection = collection(&db, metric);
        let recalls = RefCell::new(BTreeMap::<String, Vec<f32>>::new());
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let outcome = TestRunner::new_with_rng(config, rng).run(&question(), |question| {
            let (hits, plan) = collection.search(question.request(), &Select::none()).expect("hits");
            let Step::Vector { parts, .. } = &plan.step else { panic!("{plan:?}") };
            ways.borrow_mut().extend(parts.iter().map(|part| match part.strategy {
                Way::Scan => "scan",
                Way::Codes => "codes",
                Way::Graph { .. } => "graph",
            }));
            let recall = checked(&question, metric, &vectors, &hits)?;
            recalls.borrow_mut().entry(format!("{:?}", question.asked)).or_default().push(recall);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{metric}: {error}"));
        let recalls = recalls.into_inner();
        // A beam that the caller names promises nothing.
        for (asked, promised) in [("Nothing", 0.97), ("Recall(0.9)", 0.9), ("Recall(0.99)", 0.99)] {
            let found = &recalls[asked];
            let mean = found.iter().sum::<f32>() / found.len() as f32;
            assert!(
                found.len() > 10 && mean >= promised - SLACK,
                "{metric} {asked}: {mean} of {}",
                found.len()
            );
        }
    }
    let ways = ways.into_inner();
    assert!(ways.contains("scan") && ways.len() > 1, "some plans may miss something: {ways:?}");
}
