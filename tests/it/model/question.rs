//! Questions, and what makes an answer right.
//!
//! Equal scores may come in any order: an answer is right if every rank has the score that the model has there, and
//! every hit has the score that the model gives its point.

use std::collections::BTreeMap;

use kithdb::{
    Collection, Filter, Fusion, Hit, Input, Metric, Params, Point, PointId, Query, Request, Select, Vector,
    VectorSpec,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::draft::{Weights, filter, id, ids, rows, sentence, weights};
use super::drive::assert_same;
use super::plain::{MULTI, Plain, SPARSE, rows_of};

/// One question to one collection. `lane` and `space` are taken as far as the collection has them.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Count(Filter),
    Scroll {
        filter: Filter,
        from: Option<PointId>,
        page: usize,
    },
    Get(Vec<PointId>),
    Ranked {
        by: By,
        filter: Filter,
        limit: usize,
        offset: usize,
        threshold: Option<f32>,
    },
    /// Both legs, fused with this `k`.
    Hybrid {
        near: By,
        words: By,
        filter: Filter,
        limit: usize,
        k: f32,
    },
    /// The hits of a keyword leg, ranked by nearness.
    Rescore {
        near: By,
        words: By,
        leg: usize,
        limit: usize,
    },
}

/// What hits are ranked by.
#[derive(Clone, Debug)]
pub(crate) enum By {
    Near { space: usize, lane: [i8; 4] },
    Sparse(Weights),
    Multi(Vec<[i8; 2]>),
    Words(String),
    Id,
}

pub(crate) fn question() -> impl Strategy<Value = Question> {
    let threshold = prop::option::weighted(0.3, select(vec![-3.3_f32, -0.27, 0.21, 0.47, 1.37, 2.6]));
    let limit = || prop_oneof![1..6_usize, Just(1_000)];
    prop_oneof![
        2 => filter().prop_map(Question::Count),
        2 => (filter(), prop::option::of(id()), 1..6_usize)
            .prop_map(|(filter, from, page)| Question::Scroll { filter, from, page }),
        1 => ids().prop_map(Question::Get),
        6 => (by(), filter(), limit(), 0..4_usize, threshold)
            .prop_map(|(by, filter, limit, offset, threshold)| {
                Question::Ranked { by, filter, limit, offset, threshold }
            }),
        1 => (near(), prop_oneof![words(), sparse()], filter(), limit(), select(vec![2.0_f32, 60.0]))
            .prop_map(|(near, words, filter, limit, k)| Question::Hybrid { near, words, filter, limit, k }),
        1 => (prop_oneof![near(), sparse(), multi()], words(), 1..8_usize, limit())
            .prop_map(|(near, words, leg, limit)| Question::Rescore { near, words, leg, limit }),
    ]
}

fn near() -> impl Strategy<Value = By> {
    (0..2_usize, prop::array::uniform4(-2..3_i8)).prop_map(|(space, lane)| By::Near { space, lane })
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![3 => near(), 3 => sparse(), 2 => multi(), 3 => words(), 1 => Just(By::Id)]
}

fn multi() -> impl Strategy<Value = By> {
    rows(1).prop_map(By::Multi)
}

fn sparse() -> impl Strategy<Value = By> {
    weights().prop_map(By::Sparse)
}

fn words() -> impl Strategy<Value = By> {
    sentence().prop_map(By::Words)
}

impl By {
    /// The query; for cosine a direction that exists.
    fn query(&self, plain: &Plain) -> Query {
        match self {
            Self::Id => Query::ById,
            Self::Words(text) => Query::Keyword(text.as_str().into()),
            Self::Multi(rows) => {
                Query::Nearest { vector: Vector::Multi(rows_of(rows)).into(), using: MULTI.to_owned() }
            }
            Self::Sparse(weights) => {
                Query::Nearest { vector: plain.sparse(weights).into(), using: SPARSE.to_owned() }
            }
            Self::Near { space, lane } => {
                let (using, VectorSpec { dim, metric, .. }) = &plain.spaces[space % plain.spaces.len()];
                let mut vector: Vec<f32> = lane[..*dim].iter().map(|e| f32::from(*e)).collect();
                if *metric == Metric::Cosine && vector.iter().all(|e| *e == 0.0) {
                    vector[0] = 1.0;
                }
                Query::Nearest { vector: vector.into(), using: (*using).to_owned() }
            }
        }
    }

    fn metric(&self, plain: &Plain) -> Metric {
        match self {
            Self::Near { space, .. } => plain.spaces[space % plain.spaces.len()].1.metric,
            Self::Multi(_) => plain.multi_metric(),
            Self::Words(_) | Self::Sparse(_) | Self::Id => Metric::Dot,
        }
    }

    fn request(&self, plain: &Plain, filter: &Filter, limit: usize) -> Request {
        let params = Params { is_exact: true, ..Params::default() };
        Request { query: self.query(plain), filter: filter.clone(), limit, params, ..Request::default() }
    }

    /// Every point that answers, with its score, best first.
    fn expected(&self, plain: &Plain, filter: &Filter) -> Vec<(PointId, f64)> {
        match (self, self.query(plain)) {
            (
                Self::Near { space, .. },
                Query::Nearest { vector: Input::Vector(Vector::Dense(vector)), .. },
            ) => plain.nearest(space % plain.spaces.len(), &vector, filter),
            (Self::Multi(rows), _) => plain.nearest_multi(rows, filter),
            (Self::Sparse(weights), _) => plain.nearest_sparse(&plain.sparse(weights), filter),
            (Self::Words(text), _) => {
                let mut scored: Vec<_> = plain.keyword(text, filter).into_iter().collect();
                scored.sort_by(|a, b| b.1.total_cmp(&a.1));
                scored
            }
            _ => plain.matching(filter).into_iter().map(|id| (id, 1.0)).collect(),
        }
    }
}

impl Question {
    pub(crate) fn ask(&self, collection: &Collection, plain: &Plain) {
        match self {
            Self::Count(filter) => {
                let expected = plain.matching(filter).len();
                assert_eq!(collection.count(filter).expect("a count"), expected, "{filter:?}");
            }
            Self::Scroll { filter, from, page } => scroll(collection, plain, filter, *from, *page),
            Self::Get(ids) => {
                let found = collection.get(ids, &Select::all()).expect("points");
                let expected: Vec<&Point> = ids.iter().filter_map(|id| plain.points.get(id)).collect();
                assert_eq!(found.len(), expected.len());
                found.iter().zip(expected).for_each(|(found, expected)| assert_same(found, expected, plain));
            }
            Self::Ranked { by, filter, limit, offset, threshold } => {
                let mut request = by.request(plain, filter, *limit);
                (request.offset, request.score_threshold) = (*offset, *threshold);
                ranked(collection, plain, by, &request);
            }
            Self::Hybrid { near, words, filter, limit, k } => {
                let legs = vec![near.request(plain, filter, 100), words.request(plain, filter, 100)];
                hybrid(collection, &legs, *limit, *k);
            }
            Self::Rescore { near, words, leg, limit } => {
                rescore(collection, plain, near, &words.request(plain, &Filter::default(), *leg), *limit);
            }
        }
    }
}

const PLANS_MAX: usize = 10;

/// The answer to a request; every hit must carry the payload of its point.
fn search(collection: &Collection, request: &Request) -> Vec<Hit> {
    // Between the two a head may become a segment, and the plan another one; not again and again.
    for _ in 0..PLANS_MAX {
        let (hits, plan) = collection.search(request.clone(), &Select::default()).expect("an answer");
        if collection.explain(request.clone()).expect("a plan") == plan {
            return hits;
        }
    }
    panic!("the plan of an answer is never the plan that is explained: {request:?}")
}

fn scroll(collection: &Collection, plain: &Plain, filter: &Filter, from: Option<PointId>, page: usize) {
    let mut expected = plain.matching(filter);
    expected.retain(|id| from.is_none_or(|from| *id >= from));
    let (mut next, mut found) = (from, Vec::new());
    loop {
        let page = collection.scroll(filter, next, page, &Select::none()).expect("a page");
        found.extend(page.points.iter().map(|point| point.id));
        next = page.next;
        if next.is_none() || found.len() > expected.len() {
            break;
        }
    }
    assert_eq!(found, expected, "{filter:?}");
}

fn ranked(collection: &Collection, plain: &Plain, by: &By, request: &Request) {
    let hits = search(collection, request);
    let all = by.expected(plain, &request.filter);
    let metric = by.metric(plain);
    // A threshold is about scores, and an order by id has none.
    let threshold = request.score_threshold.filter(|_| !matches!(by, By::Id));
    let passes = |score: f64| threshold.is_none_or(|threshold| metric.passes(score as f32, threshold));
    let end = request.limit + request.offset;
    let expected: Vec<(PointId, f64)> = all.iter().copied().filter(|(_, score)| passes(*score)).collect();
    let expected = &expected[request.offset.min(expected.len())..end.min(expected.len())];
    assert_eq!(hits.len(), expected.len(), "{hits:?}\nexpected {expected:?}");
    assert_ranks(&hits, expected, &all.into_iter().collect());
    for hit in &hits {
        assert_eq!(hit.payload, plain.points[&hit.id].payload, "{}", hit.id);
    }
    if matches!(by, By::Id) {
        assert!(hits.iter().map(|hit| hit.id).eq(expected.iter().map(|(id, _)| *id)));
    }
}

fn assert_ranks(hits: &[Hit], expected: &[(PointId, f64)], all: &BTreeMap<PointId, f64>) {
    let mut seen = std::collections::BTreeSet::new();
    for (hit, (_, score)) in hits.iter().zip(expected) {
        assert!(seen.insert(hit.id), "{} came twice", hit.id);
        let own = all.get(&hit.id).unwrap_or_else(|| panic!("{} does not answer this", hit.id));
        assert!(is_near(hit.score, *score), "{} has {}, its rank {score}", hit.id, hit.score);
        assert!(is_near(hit.score, *own), "{} has {}, should have {own}", hit.id, hit.score);
    }
}

/// The legs are asked one by one and fused by hand.
fn hybrid(collection: &Collection, legs: &[Request], limit: usize, k: f32) {
    let mut expected: BTreeMap<PointId, f64> = BTreeMap::new();
    for leg in legs {
        for (position, hit) in search(collection, leg).iter().enumerate() {
            *expected.entry(hit.id).or_default() += 1.0 / (f64::from(k) + position as f64);
        }
    }
    let request =
        Request { prefetch: legs.to_vec(), query: Query::Fuse(Fusion::rrf(k)), limit, ..Request::default() };
    let hits = search(collection, &request);
    let mut sorted: Vec<(PointId, f64)> = expected.iter().map(|(id, score)| (*id, *score)).collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    sorted.truncate(limit);
    assert_eq!(hits.len(), sorted.len());
    assert_ranks(&hits, &sorted, &expected);
}

fn rescore(collection: &Collection, plain: &Plain, near: &By, leg: &Request, limit: usize) {
    let candidates = search(collection, leg).iter().map(|hit| hit.id).collect();
    let among = Filter::must(kithdb::Condition::HasId(candidates));
    let expected = near.expected(plain, &among);
    let request = Request { prefetch: vec![leg.clone()], ..near.request(plain, &Filter::default(), limit) };
    let hits = search(collection, &request);
    assert_eq!(hits.len(), expected.len().min(limit));
    assert_ranks(&hits, &expected, &expected.iter().copied().collect());
}

fn is_near(found: f32, expected: f64) -> bool {
    (f64::from(found) - expected).abs() <= 1e-5 * expected.abs().max(1.0)
}
