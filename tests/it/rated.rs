//! Ratings by examples that ask for the nearest of a few vectors find what rating everything finds.

use kithdb::{
    Collection, Database, Examples, FieldKind, Filter, Input, Metric, Pair, Params, Point, PointId, Query,
    Recommend, Request, Schema, Select, Step, Why,
};

const POINTS: u64 = 20_000;
const DIM: usize = 16;
const WIDTH: usize = 96;

/// Numbers that look random and are always the same.
fn vector(seed: u64) -> Vec<f32> {
    let number = |element: u64| {
        let mixed = (seed * DIM as u64 + element + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..DIM as u64).map(number).collect()
}

fn collection(db: &Database, metric: Metric) -> Collection {
    let schema = Schema::new().vector(DIM, metric).field("n".parse().expect("a path"), FieldKind::Integer);
    let collection = db.create_collection(metric.name(), schema).expect("a collection");
    let points = (0..POINTS).map(|id| Point::new(id).vector(vector(id)).with("n", id % 3)).collect();
    collection.upsert(points).expect("points");
    collection.optimize(true).expect("a segment");
    collection
}

fn queries() -> Vec<Query> {
    let input = |seed: u64| Input::from(vector(POINTS + seed));
    let examples = || Examples { positive: vec![input(1), input(2), input(3)], negative: vec![input(4)] };
    let only = || Examples { positive: vec![input(5), Input::Point(PointId::Num(7))], negative: Vec::new() };
    let using = String::new;
    let pair = |seed| Pair { positive: input(seed), negative: input(seed + 1) };
    vec![
        Query::Recommend { examples: examples(), strategy: Recommend::BestScore, using: using() },
        Query::Recommend { examples: only(), strategy: Recommend::BestScore, using: using() },
        Query::Recommend { examples: examples(), strategy: Recommend::SumScores, using: using() },
        Query::Recommend { examples: only(), strategy: Recommend::SumScores, using: using() },
        Query::Discover { target: input(6), context: vec![pair(10), pair(12)], using: using() },
        Query::Context { pairs: vec![pair(20)], using: using() },
    ]
}

#[test]
fn what_is_near_to_the_examples_is_enough() {
    let db = Database::in_memory().expect("a database");
    let mut probed = 0;
    for metric in Metric::ALL {
        let collection = collection(&db, metric);
        for query in queries() {
            for filter in [Filter::default(), "n >= 1".parse().expect("a filter")] {
                let ask = |is_exact: bool| {
                    // A width that the caller names costs what constants say: how fast the machine was while it
                    // built does not choose the way.
                    let params = Params { is_exact, ef: Some(WIDTH), ..Params::default() };
                    let filter = filter.clone();
                    let request =
                        Request { query: query.clone(), filter, params, limit: 10, ..Request::default() };
                    let (hits, plan) = collection.search(request, &Select::none()).expect("hits");
                    let scores: Vec<(PointId, f32)> = hits.iter().map(|hit| (hit.id, hit.score)).collect();
                    let Step::Rate { probes, .. } = plan.step else { panic!("{plan:?}") };
                    (scores, probes)
                };
                let ((found, probes), (truth, none)) = (ask(false), ask(true));
                assert_eq!((none, found.len()), (0, 10));
                probed += usize::from(probes > 0);
                let is_found = |(id, score): &&(PointId, f32)| {
                    found.iter().any(|(other, same)| {
                        other == id && (score - same).abs() <= 1e-5 * score.abs().max(1.0)
                    })
                };
                for (id, _) in truth.iter().filter(|(id, _)| found.iter().all(|(other, _)| other != id)) {
                    let params = Params { ef: Some(WIDTH), ..Params::default() };
                    let (query, filter) = (query.clone(), filter.clone());
                    let request = Request { query, filter, params, limit: 10, ..Request::default() };
                    let why = collection.why_not(request, *id).expect("a reason").why;
                    assert!(!matches!(why, Why::Outranked(rank) if rank.rank <= 10), "{why:?}");
                }
                let shared = truth.iter().filter(is_found).count();
                assert!(shared >= 9, "{metric} {query:?}: {shared} of 10\n{found:?}\n{truth:?}");
            }
        }
    }
    assert!(probed >= 20, "{probed} of 48 were answered by the nearest of the examples");
}
