//! Whether a calibration keeps its word: on queries that it has not seen, beside every window; and what always holds.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use types::Metric;

use super::super::tests::{Built, clustered, options};
use super::super::{Bits, Fine, Graph, Nav, Options, Progress, Shows, Tiers, build};
use super::*;

fn measure(
    graph: &Graph,
    tiers: &Tiers<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Option<Calibration> {
    Calibration::measure(graph, tiers, tiers.fine, options, progress).expect("vectors are in memory")
}

fn measured(built: &Built, threads: usize) -> Calibration {
    let options = Options { threads, ..options(Nav::Nibbles) };
    measure(&built.graph, &built.tiers(), &options, &()).expect("not cancelled")
}

#[test]
fn what_is_promised_is_kept_on_fresh_queries_and_is_no_waste() {
    for metric in [Metric::Cosine, Metric::Euclid] {
        let built = Built::new(metric, 96, 8_000, &options(Nav::Nibbles));
        let calibration = measured(&built, 2);
        assert!(calibration.is_measured() && calibration.queries() == 128);
        let choice = calibration.effort(10, 1.0, 0.95);
        assert!(choice.reaches && choice.expected_recall >= 0.95 && choice.expected_ns > 0.0, "{choice:?}");
        let recall = |window: usize| built.recall(Shows::All, window) as f32;
        let kept = recall(choice.window);
        assert!(kept >= 0.93, "{metric}: {choice:?}, but {kept}");
        let smallest = (2..=choice.window).find(|window| recall(*window) >= 0.95);
        assert!(smallest.is_none_or(|smallest| choice.window <= smallest * 4), "{choice:?}, {smallest:?}");
        let bits = Bits::of(8_000, (0..8_000).step_by(2));
        let choice = calibration.effort(10, 0.5, 0.95);
        let kept = built.recall(Shows::Only(&bits), choice.window);
        assert!(choice.reaches && kept >= 0.93, "{metric}, every second row: {choice:?}, but {kept}");
        for window in [8, 16, 32, 64] {
            let (expected, found) = (calibration.expected(10, 1.0, window), recall(window));
            assert!(
                (expected - found).abs() < 0.04,
                "{metric}, {window}: {expected} expected, {found} found"
            );
        }
    }
}

#[test]
fn figures_do_not_depend_on_threads() {
    let built = Built::new(Metric::Euclid, 24, 2_000, &options(Nav::Nibbles));
    let timeless = |mut calibration: Calibration| {
        (calibration.scan_codes_ns, calibration.scan_ns) = (0.0, 0.0);
        let points = calibration.columns.iter_mut().flat_map(|column| &mut column.points);
        points.for_each(|point| point.elapsed_ns = 0.0);
        calibration
    };
    let one = measured(&built, 1);
    assert!(one.scan_codes_ns > 0.0 && one.scan_ns > 0.0);
    assert!(one.columns.iter().all(|column| column.points.iter().all(|point| point.elapsed_ns > 0.0)));
    assert_eq!(timeless(one), timeless(measured(&built, 3)));
}

#[test]
fn rows_that_are_all_equal_are_all_found() {
    let row = clustered(Metric::Euclid, 16, 1, 1);
    let rows: Vec<f32> = row.iter().copied().cycle().take(16 * 1_100).collect();
    let options = options(Nav::Nibbles);
    let parts = build(Metric::Euclid, Fine::floats(16, &rows), &options, None, &()).expect("not cancelled");
    let graph = Graph::open(Metric::Euclid, 16, &parts.codec).expect("a codec");
    let tiers = Tiers {
        nav: &parts.nav,
        rest: &parts.rest,
        links: &parts.links,
        hubs: &parts.hubs,
        fine: Fine::floats(16, &rows),
    };
    let calibration = measure(&graph, &tiers, &options, &()).expect("not cancelled");
    let choice = calibration.effort(1, 1.0, 0.99);
    assert!(choice.reaches && choice.expected_recall >= 0.99, "{choice:?}");
}

#[test]
fn few_rows_are_guessed() {
    let built = Built::new(Metric::Cosine, 24, 1_000, &options(Nav::Nibbles));
    let guess = measured(&built, 1);
    assert_eq!(guess, Calibration::default_for(24));
    assert!(!guess.is_measured());
    let window = |recall: f32| guess.effort(10, 1.0, recall).window;
    assert!((64..=128).contains(&window(0.95)) && (256..=512).contains(&window(0.99)));
    assert!(!guess.effort(10, 1.0, 1.0).reaches);
}

/// Stops what it watches after so many questions.
struct Impatient(AtomicU32);

impl Progress for Impatient {
    fn built(&self, _rows: u32) {}

    fn is_cancelled(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |patience| patience.checked_sub(1)).is_err()
    }
}

#[test]
fn measuring_can_be_stopped_at_any_time() {
    let built = Built::new(Metric::Cosine, 16, 1_100, &options(Nav::Nibbles));
    for patience in [0, 10, 30, 50, 500] {
        let progress = Impatient(AtomicU32::new(patience));
        let options = options(Nav::Nibbles);
        let stopped = measure(&built.graph, &built.tiers(), &options, &progress);
        assert_eq!(stopped, None, "after {patience}");
    }
}

/// Two columns with straight figures, so that what lies between can be computed by hand.
fn straight() -> Calibration {
    let point = |(window, recall): (u32, f32)| Point {
        window,
        recall,
        recall_error: 0.02,
        distances: 1.0,
        elapsed_ns: window as f32 * 10.0,
    };
    let column = |hits, share, points: &[(u32, f32)]| {
        Column::new(hits, share, points.iter().copied().map(point).collect())
    };
    let columns = vec![
        column(10, 1.0, &[(8, 0.5), (16, 0.92), (32, 0.97), (64, 0.95), (128, 1.0)]),
        column(10, 0.1, &[(8, 0.4), (16, 0.8)]),
        column(100, 1.0, &[(8, 0.2), (64, 0.8), (512, 1.0)]),
    ];
    Calibration { queries: 5, scan_codes_ns: 1.0, scan_ns: 2.0, columns }
}

#[test]
fn what_lies_between_errs_to_more_work() {
    let calibration = straight();
    let window = |k, share, recall| {
        let choice = calibration.effort(k, share, recall);
        choice.reaches.then_some(choice.window)
    };
    // Half of the way from 8 to 16, less the error; never below what was measured.
    assert_eq!((window(10, 1.0, 0.69), window(10, 1.0, 0.1)), (Some(12), Some(8)));
    // What a larger window does not reach, the smaller has reached by chance: from 0.90 at 16 to 0.93 at 32 and 64.
    assert_eq!((window(10, 1.0, 0.92), window(10, 1.0, 0.93)), (Some(27), Some(32)));
    assert_eq!((window(10, 1.0, 0.955), window(10, 1.0, 0.99)), (Some(96), None));
    // Between two shares the smaller, below all none.
    assert_eq!((window(10, 0.5, 0.69), window(10, 0.5, 0.6)), (Some(15), Some(13)));
    assert_eq!((window(10, 0.5, 0.8), window(10, 0.05, 0.1)), (None, None));
    // For more hits: 0.78 is reached at 64. With 10 at 14; half of the way, by factors, is 30.
    assert_eq!((window(100, 1.0, 0.78), window(200, 1.0, 0.78)), (Some(64), Some(128)));
    assert_eq!((window(10, 1.0, 0.78), window(32, 1.0, 0.78)), (Some(14), Some(30)));
    assert_eq!((window(1, 1.0, 0.78), window(100, 0.5, 0.1)), (Some(14), None));
    let scan = calibration.effort(10, 0.05, 0.9);
    assert_eq!((scan.window, scan.reaches, scan.expected_recall), (512, false, 0.0));
    assert_eq!(calibration.effort(10, 1.0, f32::NAN), calibration.effort(10, 1.0, 1.0));
}

#[test]
fn what_is_expected_is_what_was_measured() {
    let calibration = straight();
    for (hits, share, window, recall) in
        [(10, 1.0, 8, 0.5), (10, 1.0, 4, 0.25), (10, 1.0, 128, 1.0), (10, 0.5, 8, 0.4), (200, 1.0, 128, 0.8)]
    {
        let expected = calibration.expected(hits, share, window);
        assert!((expected - recall).abs() < 1e-4, "{hits} {share} {window}: {expected}");
    }
    let ns = |window| calibration.elapsed_ns(10, 1.0, window);
    assert_eq!([ns(2), ns(8), ns(12), ns(256)], [80.0, 80.0, 120.0, 2560.0]);
    let empty = Calibration { columns: Vec::new(), ..straight() };
    assert!(!empty.effort(10, 1.0, 0.5).reaches);
}

/// Any figures, also ones that fall where they should rise.
fn calibration() -> impl Strategy<Value = Calibration> {
    let point = (0.0_f32..=1.0, 0.0_f32..0.1);
    let column = prop::collection::vec(point, 1..WINDOWS.len());
    prop::collection::vec(prop::option::weighted(0.9, column), HITS.len() * SHARES.len()).prop_map(|drawn| {
        let classes = HITS.into_iter().flat_map(|hits| SHARES.map(|share| (hits, share)));
        let column = |((hits, share), drawn): (_, Option<Vec<_>>)| {
            let point = |(window, (recall, recall_error)): (u32, (f32, f32))| Point {
                window,
                recall: recall.powf(0.2),
                recall_error,
                distances: 0.0,
                elapsed_ns: 1.0,
            };
            Some(Column::new(hits, share, WINDOWS.into_iter().zip(drawn?).map(point).collect()))
        };
        let columns = classes.zip(drawn).filter_map(column).collect();
        Calibration { queries: 1, scan_codes_ns: 1.0, scan_ns: 1.0, columns }
    })
}

proptest! {
    #[test]
    fn more_is_never_had_for_less(
        calibration in prop_oneof![9 => calibration(), 1 => Just(Calibration::default_for(96))],
        k in 1_usize..300,
        shares in (0.0_f32..=1.0, 0.0_f32..=1.0),
        recalls in (0.0_f32..=1.0, 0.0_f32..=1.0),
        windows in (1_usize..2000, 1_usize..2000),
    ) {
        let (share, more_share) = (shares.0.min(shares.1), shares.0.max(shares.1));
        let (recall, more_recall) = (recalls.0.min(recalls.1), recalls.0.max(recalls.1));
        let (window, more_window) = (windows.0.min(windows.1), windows.0.max(windows.1));
        let choice = calibration.effort(k, share, recall);
        let higher = calibration.effort(k, share, more_recall);
        prop_assert!(higher.window >= choice.window && higher.reaches <= choice.reaches);
        let wider = calibration.effort(k, more_share, recall);
        prop_assert!(wider.window <= choice.window && wider.reaches >= choice.reaches);
        prop_assert!(!choice.reaches || choice.expected_recall >= recall - 1e-4, "{choice:?}");
        let expected = calibration.expected(k, share, window);
        prop_assert!((0.0..=1.0).contains(&expected));
        prop_assert!(calibration.expected(k, share, more_window) >= expected);
        prop_assert!(calibration.expected(k, more_share, window) >= expected);
    }
}
