//! Which plan is made of which statistics.

use super::*;
use crate::{Order, Params};

fn nearest(params: Params) -> Request {
    let query = Query::Nearest { vector: vec![0.0; 384].into(), using: String::new() };
    Request { query, limit: 10, params, ..Request::default() }
}

fn part(rows: usize, linked: usize, shown: usize) -> PartStatistics<'static> {
    PartStatistics { rows, shown, linked, calibration: None }
}

fn statistics(parts: Vec<PartStatistics<'_>>) -> Statistics<'_> {
    let shown = parts.iter().map(|part| part.shown).sum();
    let space = SpaceStatistics { dim: 384, metric: Metric::Dot, parts, misses: 1.0 };
    Statistics { space: Some(space), matching: (shown, shown), ..Statistics::default() }
}

fn strategies(request: &Request, parts: Vec<PartStatistics<'_>>) -> Vec<Strategy> {
    match plan(request, &statistics(parts)).step {
        Step::Vector { parts, .. } => parts.iter().map(|part| part.strategy).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_head_is_scanned_or_walked_by_cost() {
    let free = nearest(Params::default());
    let exact = nearest(Params { is_exact: true, ..Params::default() });
    let graph = Strategy::Graph { ef: cost::EF_DEFAULT };
    assert_eq!(strategies(&free, vec![part(1_000, 0, 1_000)]), [Strategy::Scan]);
    assert_eq!(strategies(&free, vec![part(9_000, 0, 9_000)]), [Strategy::Codes]);
    assert_eq!(strategies(&exact, vec![part(9_000, 0, 9_000)]), [Strategy::Scan]);
    assert_eq!(strategies(&free, vec![part(200_000, 200_000, 200_000)]), [graph]);
    assert_eq!(strategies(&free, vec![part(200_000, 200_000, 500)]), [Strategy::Scan]);
    assert_eq!(strategies(&exact, vec![part(200_000, 200_000, 200_000)]), [Strategy::Scan]);
}

#[test]
fn a_head_has_no_codes_where_distances_do_not_follow_from_inner_products() {
    let ask = |linked: usize| {
        let mut known = statistics(vec![part(40_000, linked, 40_000)]);
        known.space.as_mut().expect("a space").metric = Metric::Manhattan;
        match plan(&nearest(Params::default()), &known).step {
            Step::Vector { parts, .. } => (parts[0].strategy, parts[0].recall),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(0), (Strategy::Scan, Some(1.0)));
    assert_eq!(ask(39_000), (Strategy::Graph { ef: cost::EF_DEFAULT }, None));
}

/// A graph of few rows seemed the cheaper the more others were shown.
#[test]
fn a_graph_that_is_just_begun_is_no_way_through_a_large_head() {
    let free = nearest(Params::default());
    assert_eq!(strategies(&free, vec![part(200_000, 1_000, 200_000)]), [Strategy::Codes]);
    assert_eq!(
        strategies(&free, vec![part(200_000, 190_000, 200_000)]),
        [Strategy::Graph { ef: cost::EF_DEFAULT }]
    );
}

#[test]
fn each_segment_goes_its_own_way() {
    let calibration = Calibration::default_for(384);
    let segment = |shown| PartStatistics { calibration: Some(&calibration), ..part(200_000, 0, shown) };
    let parts = || vec![segment(200_000), segment(100_000), segment(1_000), segment(3), part(500, 0, 500)];
    let free = strategies(&nearest(Params::default()), parts());
    assert!(matches!(free[0], Strategy::Graph { .. }) && matches!(free[1], Strategy::Graph { .. }));
    assert_eq!(free[2..], [Strategy::Codes, Strategy::Scan, Strategy::Scan]);
    let exact = nearest(Params { recall: Some(1.0), ..Params::default() });
    assert_eq!(strategies(&exact, parts()), [Strategy::Scan; 5]);
}

#[test]
fn a_higher_recall_takes_a_wider_beam_and_one_out_of_reach_a_scan() {
    let calibration = Calibration::default_for(384);
    let ways = |recall: f32| {
        let part = PartStatistics { calibration: Some(&calibration), ..part(1_000_000, 0, 1_000_000) };
        strategies(&nearest(Params { recall: Some(recall), ..Params::default() }), vec![part])[0]
    };
    let (Strategy::Graph { ef: low }, Strategy::Graph { ef: high }) = (ways(0.9), ways(0.97)) else {
        panic!("no graph");
    };
    assert!(low < high, "{low} {high}");
    assert_eq!(ways(0.99999), Strategy::Codes);
}

#[test]
fn the_beam_is_never_narrower_than_what_is_wanted() {
    let request = Request { limit: 500, ..nearest(Params { ef: Some(10), ..Params::default() }) };
    let graph = Strategy::Graph { ef: 500 };
    assert_eq!(strategies(&request, vec![part(9_000_000, 9_000_000, 9_000_000)]), [graph]);
}

#[test]
fn legs_are_planned_on_their_own_and_bound_the_candidates() {
    let rescored = Request { prefetch: vec![nearest(Params::default())], ..nearest(Params::default()) };
    let big = statistics(vec![part(200_000, 200_000, 200_000)]);
    let plan = plan(&rescored, &Statistics { legs: vec![big.clone()], ..big });
    let strategy = |plan: &Plan| match &plan.step {
        Step::Vector { parts, .. } => parts[0].strategy,
        other => panic!("{other:?}"),
    };
    assert_eq!(strategy(&plan), Strategy::Scan);
    assert!(matches!(strategy(&plan.legs[0]), Strategy::Graph { .. }));
}

#[test]
fn ratings_tell_what_the_other_way_would_cost() {
    let ask = |rows: usize, is_exact: bool| {
        let examples = crate::Examples { positive: vec![vec![0.5_f32; 384].into()], negative: Vec::new() };
        let strategy = crate::Recommend::BestScore;
        let query = Query::Recommend { examples, strategy, using: String::new() };
        let params = Params { is_exact, ..Params::default() };
        let request = Request { query, limit: 10, params, ..Request::default() };
        let plan = plan(&request, &statistics(vec![part(rows, rows, rows)]));
        match &plan.step {
            Step::Rate { probes, .. } => (*probes, plan.rejected_ns(), plan.cost_ns),
            other => panic!("{other:?}"),
        }
    };
    let (probes, rejected, cost) = ask(900_000, false);
    assert!(probes == 1 && rejected.is_some_and(|rejected| rejected > 4.0 * cost), "{rejected:?} {cost}");
    let (probes, rejected, cost) = ask(100, false);
    assert!(probes == 0 && rejected.is_some_and(|rejected| 4.0 * rejected >= cost), "{rejected:?} {cost}");
    assert_eq!((ask(900_000, true).0, ask(900_000, true).1), (0, None));
}

#[test]
fn the_cheapest_leg_is_run_first() {
    let leg = |rows: usize| statistics(vec![part(rows, 0, rows)]);
    let legs = vec![leg(90_000), leg(10), Statistics::default(), leg(5_000)];
    let asked = |at: usize| match at {
        2 => Request { query: Query::Keyword("word".into()), limit: 10, ..Request::default() },
        _ => nearest(Params::default()),
    };
    let request = Request {
        prefetch: (0..4).map(asked).collect(),
        query: Query::Fuse(crate::Fusion::adaptive()),
        limit: 10,
        ..Request::default()
    };
    let plan = plan(&request, &Statistics { legs, ..Statistics::default() });
    assert_eq!(plan.leg_order(), [2, 1, 3, 0]);
    assert!(plan.legs[0].leg_order().is_empty());
}

#[test]
fn an_order_comes_from_an_index_where_that_is_cheaper() {
    let ask = |order, shown| {
        let by = Order { path: "n".parse().expect("a path"), is_descending: false, from: None };
        let request = Request { query: Query::Order(by), limit: 10, ..Request::default() };
        let statistics = Statistics { matching: (shown, shown), order, ..Statistics::default() };
        match plan(&request, &statistics).step {
            Step::Order { is_by_index, rejected_ns, .. } => (is_by_index, rejected_ns.is_some()),
            other => panic!("{other:?}"),
        }
    };
    let index = |unknown| Some(OrderStatistics { keys: 100_000, unknown });
    assert_eq!(ask(index(0), 100_000), (true, true));
    assert_eq!(ask(index(0), 3), (false, true), "few points are read faster than many values are passed");
    assert_eq!(ask(index(100_000), 100_000), (false, true), "it knows no point whole");
    assert_eq!(ask(None, 100_000), (false, false));
}
