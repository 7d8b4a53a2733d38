//! The graph beside an exact scan: recall for every metric and every nav, filters, determinism, damage.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::kernels;

/// A small generator of numbers (xorshift), so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// About normal, with variance 1.
    fn normal(&mut self) -> f32 {
        let uniform = |roll: u64| (roll >> 40) as f32 / (1 << 24) as f32;
        (0..12).map(|_| uniform(self.roll())).sum::<f32>() - 6.0
    }
}

/// Rows around 20 centres, of lengths that differ, as the metric takes them.
pub(super) fn clustered(metric: Metric, dim: usize, count: usize, seed: u64) -> Vec<f32> {
    let mut centres = Dice(77);
    let centres: Vec<Vec<f32>> = (0..20).map(|_| (0..dim).map(|_| centres.normal()).collect()).collect();
    let mut dice = Dice(0x9e37_79b9 ^ seed);
    let mut rows = Vec::with_capacity(count * dim);
    for _ in 0..count {
        let centre = &centres[dice.roll() as usize % centres.len()];
        let length = 0.5 + (dice.roll() % 1000) as f32 / 500.0;
        let mut row: Vec<f32> = centre.iter().map(|x| length * (x + 0.7 * dice.normal())).collect();
        types::vector::check(&mut row, dim, metric).expect("a valid vector");
        rows.extend(row);
    }
    rows
}

pub(super) fn options(nav: Nav) -> Options {
    Options { nav, degree: 24, window: 64, seed: 1, threads: 2 }
}

/// A built graph with its vectors.
pub(super) struct Built {
    pub(super) metric: Metric,
    pub(super) dim: usize,
    rows: Vec<f32>,
    parts: Parts,
    pub(super) graph: Graph,
}

impl Built {
    pub(super) fn new(metric: Metric, dim: usize, count: usize, options: &Options) -> Self {
        Self::of(metric, dim, clustered(metric, dim, count, 1), options)
    }

    fn of(metric: Metric, dim: usize, rows: Vec<f32>, options: &Options) -> Self {
        let parts = build(metric, Fine::floats(dim, &rows), options, None, &()).expect("not cancelled");
        let graph = Graph::open(metric, dim, &parts.codec).expect("a codec");
        let built = Self { metric, dim, rows, parts, graph };
        built.graph.check(&built.tiers()).expect("a sound graph");
        built
    }

    pub(super) fn count(&self) -> u32 {
        (self.rows.len() / self.dim) as u32
    }

    pub(super) fn tiers(&self) -> Tiers<'_> {
        let Parts { nav, rest, links, hubs, .. } = &self.parts;
        Tiers { nav, rest, links, hubs, fine: Fine::floats(self.dim, &self.rows) }
    }

    fn row(&self, row: u32) -> &[f32] {
        &self.rows[row as usize * self.dim..][..self.dim]
    }

    fn truth(&self, query: &[f32], shows: Shows<'_>, k: usize) -> Vec<(u32, f32)> {
        let rows = (0..self.count()).filter(|row| match shows {
            Shows::All => true,
            Shows::Only(bits) => bits.contains(*row),
        });
        self.graph.scan(&self.tiers(), query, &mut { rows }, k).expect("in memory")
    }

    /// The share of the true ten nearest that searches find; every hit is checked.
    pub(super) fn recall(&self, shows: Shows<'_>, window: usize) -> f64 {
        let queries = clustered(self.metric, self.dim, 100, 2);
        let (mut found, mut wanted) = (0, 0);
        for query in queries.chunks_exact(self.dim) {
            let truth = self.truth(query, shows, 10);
            let answer = self.graph.search(&self.tiers(), query, shows, 10, Effort { window });
            let near = answer.expect("in memory").near;
            assert!(near.is_sorted_by(|a, b| (a.1, a.0) < (b.1, b.0)), "{near:?}");
            for (row, distance) in &near {
                assert_eq!(*distance, kernels::distance(self.metric, query, self.row(*row)));
                assert!(match shows {
                    Shows::All => true,
                    Shows::Only(bits) => bits.contains(*row),
                });
            }
            found += truth.iter().filter(|wanted| near.contains(wanted)).count();
            wanted += truth.len();
        }
        found as f64 / wanted as f64
    }
}

#[test]
fn a_search_finds_what_a_scan_finds() {
    for metric in Metric::ALL {
        for nav in [Nav::Nibbles, Nav::Bits, Nav::Vectors] {
            for dim in [24, 100, 130] {
                let built = Built::new(metric, dim, 3_000, &options(nav));
                let (window, least) = if nav == Nav::Bits { (160, 0.9) } else { (80, 0.97) };
                let recall = built.recall(Shows::All, window);
                assert!(recall >= least, "{metric} {nav:?} {dim}: {recall}");
            }
        }
    }
}

#[test]
fn rows_of_one_length_need_no_step_of_their_own_under_the_inner_product() {
    let rows = clustered(Metric::Cosine, 128, 2_000, 1);
    let parts = build(Metric::Dot, Fine::floats(128, &rows), &options(Nav::Nibbles), None, &())
        .expect("not cancelled");
    assert_eq!(parts.nav.len(), 2_000 * kernels::BLOCK);
    let free = Built::new(Metric::Dot, 128, 2_000, &options(Nav::Nibbles));
    assert_eq!(free.parts.nav.len(), 2_000 * 2 * kernels::BLOCK);
}

#[test]
fn a_filter_costs_little_recall_and_shows_nothing_else() {
    for metric in [Metric::Cosine, Metric::Euclid, Metric::Dot] {
        let built = Built::new(metric, 48, 6_000, &options(Nav::Nibbles));
        let unfiltered = built.recall(Shows::All, 60);
        for step in [2, 5, 10] {
            let bits = Bits::of(6_000, (0..6_000).step_by(step));
            let recall = built.recall(Shows::Only(&bits), 60);
            assert!(recall >= unfiltered - 0.03, "{metric}, one of {step}: {recall}, all: {unfiltered}");
        }
    }
}

/// The half of the rows that is farther from the query: a walk meets the others first.
#[test]
fn a_filter_that_hides_everything_near_hides_no_hit() {
    let built = Built::new(Metric::Cosine, 48, 6_000, &options(Nav::Nibbles));
    for query in clustered(Metric::Cosine, 48, 20, 2).chunks_exact(48) {
        let all = built.truth(query, Shows::All, 6_000);
        let far = Bits::of(6_000, all[3_000..].iter().map(|near| near.0));
        let found = built.graph.search(&built.tiers(), query, Shows::Only(&far), 10, Effort { window: 40 });
        let (found, truth) = (found.expect("in memory").near, built.truth(query, Shows::Only(&far), 10));
        // Far rows are nearly equally far: codes may take one for another, but no other.
        let last = truth[9].1 + 0.005;
        assert!(found.len() == 10 && found.iter().all(|near| near.1 <= last), "{found:?} {truth:?}");
    }
}

#[test]
fn a_scan_by_codes_is_nearly_exact() {
    for nav in [Nav::Nibbles, Nav::Bits, Nav::Vectors] {
        let built = Built::new(Metric::Cosine, 64, 2_000, &options(nav));
        let mut missed = 0;
        for query in clustered(Metric::Cosine, 64, 50, 3).chunks_exact(64) {
            let found = built.graph.scan_codes(&built.tiers(), query, 0..2_000, 10);
            let found = found.expect("in memory");
            let truth = built.truth(query, Shows::All, 10);
            missed += truth.iter().filter(|near| !found.contains(near)).count();
            assert_eq!(found.len(), 10);
        }
        assert!(missed <= 1, "{nav:?}: {missed} of 500");
    }
}

/// The farther half: its nearest rows are about equally far, so that upper nibbles tell few of them apart.
#[test]
fn a_scan_by_codes_is_nearly_exact_among_rows_that_are_equally_far() {
    for metric in [Metric::Cosine, Metric::Euclid, Metric::Dot] {
        let built = Built::new(metric, 64, 2_000, &options(Nav::Nibbles));
        let (mut near, mut missed) = (0, 0);
        for query in clustered(metric, 64, 20, 3).chunks_exact(64) {
            let all = built.truth(query, Shows::All, 2_000);
            let mut far: Vec<u32> = all[1_000..].iter().map(|near| near.0).collect();
            far.sort_unstable();
            let found = built.graph.scan_codes(&built.tiers(), query, far.into_iter(), 10);
            let found = found.expect("in memory");
            let truth = &all[1_000..1_010];
            missed += truth.iter().filter(|near| !found.contains(near)).count();
            near += found.len();
        }
        assert!(near == 200 && missed <= 10, "{metric}: {missed} of {near}");
    }
}

/// A hundred rows about each centre, whose codes are the same.
#[test]
fn a_scan_by_codes_tells_rows_apart_that_their_codes_do_not() {
    let (dim, mut dice) = (24, Dice(7));
    let centres: Vec<f32> = (0..20 * dim).map(|_| dice.normal()).collect();
    let mut beside = |at: usize| centres[at % centres.len()] + 0.001 * dice.normal();
    let queries: Vec<f32> = (0..5 * dim).map(&mut beside).collect();
    let rows = (0..2_000 * dim).map(&mut beside).collect();
    let built = Built::of(Metric::Euclid, dim, rows, &options(Nav::Nibbles));
    for query in queries.chunks_exact(dim) {
        let found = built.graph.scan_codes(&built.tiers(), query, 0..2_000, 10);
        assert_eq!(found.expect("in memory"), built.truth(query, Shows::All, 10));
    }
}

/// Long rows across the query: the luckiest of them seem nearer than any short row is, and are not.
#[test]
fn the_errors_of_long_rows_hide_no_short_ones() {
    let (dim, mut dice) = (24, Dice(11));
    let mut rows: Vec<f32> = (0..4_000 * dim).map(|_| dice.normal()).collect();
    for row in rows.chunks_exact_mut(dim).step_by(2) {
        row.iter_mut().for_each(|x| *x *= 20.0);
        row[0] = 0.0;
    }
    let built = Built::of(Metric::Dot, dim, rows, &options(Nav::Nibbles));
    for sign in [1.0, -1.0] {
        let mut query = vec![0.0_f32; dim];
        query[0] = sign;
        let found = built.graph.scan_codes(&built.tiers(), &query, 0..4_000, 50).expect("in memory");
        let truth = built.truth(&query, Shows::All, 50);
        let missed = truth.iter().filter(|near| !found.contains(near)).count();
        assert!(truth.len() == 50 && missed <= 1, "{missed} of 50");
    }
}

#[test]
fn threads_and_instructions_do_not_change_what_is_built_or_found() {
    let rows = clustered(Metric::Euclid, 40, 2_000, 1);
    let one = Options { threads: 1, ..options(Nav::Nibbles) };
    let parts = build(Metric::Euclid, Fine::floats(40, &rows), &one, None, &()).expect("not cancelled");
    let three = Options { threads: 3, ..one };
    assert_eq!(
        build(Metric::Euclid, Fine::floats(40, &rows), &three, None, &()).expect("not cancelled"),
        parts
    );
    let tiers = Tiers {
        nav: &parts.nav,
        rest: &parts.rest,
        links: &parts.links,
        hubs: &parts.hubs,
        fine: Fine::floats(40, &rows),
    };
    let queries = clustered(Metric::Euclid, 40, 21, 2);
    let queries: Vec<&[f32]> = queries.chunks_exact(40).collect();
    let mut answers = Vec::new();
    for isa in kernels::Isa::available() {
        let graph = Graph::open(Metric::Euclid, 40, &parts.codec).expect("a codec").on(isa);
        let many = graph.search_many(&tiers, &queries, Shows::All, 10, Effort { window: 30 });
        let many = many.expect("in memory");
        for (query, found) in queries.iter().zip(&many) {
            let alone = graph.search(&tiers, query, Shows::All, 10, Effort { window: 30 });
            assert_eq!(&alone.expect("in memory"), found);
        }
        answers.push(many);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

/// Of 4,000 rows every third goes and 2,000 others come: twice, on the graph of the time before.
#[test]
fn a_graph_that_is_built_on_is_as_good_as_a_new_one() {
    let dim = 48;
    for (metric, nav) in
        [(Metric::Cosine, Nav::Nibbles), (Metric::Dot, Nav::Nibbles), (Metric::Manhattan, Nav::Vectors)]
    {
        let mut built = Built::new(metric, dim, 4_000, &options(nav));
        for round in 0..2_u64 {
            let others = clustered(metric, dim, 2_000, 5 + round);
            let stays = |row: usize| row % 3 != round as usize;
            let mut rows = others[..1_000 * dim].to_vec();
            let mut becomes = Vec::new();
            for (row, vector) in built.rows.chunks_exact(dim).enumerate() {
                becomes.push(if stays(row) { (rows.len() / dim) as u32 } else { LINK_NONE });
                rows.extend_from_slice(if stays(row) { vector } else { &[] });
            }
            rows.extend_from_slice(&others[1_000 * dim..]);
            let start = Start { links: &built.parts.links, degree: 24, becomes };
            let on = |options: &Options| {
                let fine = Fine::floats(dim, &rows);
                build(metric, fine, options, Some(&start), &()).expect("not cancelled")
            };
            let parts = on(&options(nav));
            assert!(parts == on(&Options { threads: 1, ..options(nav) }), "threads do not matter");
            let graph = Graph::open(metric, dim, &parts.codec).expect("a codec");
            built = Built { metric, dim, rows, parts, graph };
            built.graph.check(&built.tiers()).expect("a sound graph");
        }
        let new =
            build(metric, Fine::floats(dim, &built.rows), &options(nav), None, &()).expect("not cancelled");
        let recall = |built: &Built| built.recall(Shows::All, 24);
        let old = recall(&built);
        built.parts = new;
        let new = recall(&built);
        assert!(old >= new - 0.01, "{metric}: {old}, built anew {new}");
    }
}

#[test]
fn few_rows_equal_rows_and_none_are_graphs_too() {
    for count in [0, 1, 2, 3, 40] {
        let built = Built::new(Metric::Cosine, 7, count, &options(Nav::Nibbles));
        let query = clustered(Metric::Cosine, 7, 1, 9);
        let found = built.graph.search(&built.tiers(), &query, Shows::All, 5, Effort { window: 40 });
        assert_eq!(found.expect("in memory").near, built.truth(&query, Shows::All, 5), "{count} rows");
    }
    let row = clustered(Metric::Euclid, 16, 1, 1);
    let rows: Vec<f32> = row.iter().copied().cycle().take(16 * 1_000).collect();
    let parts = build(Metric::Euclid, Fine::floats(16, &rows), &options(Nav::Nibbles), None, &())
        .expect("not cancelled");
    let graph = Graph::open(Metric::Euclid, 16, &parts.codec).expect("a codec");
    let tiers = Tiers {
        nav: &parts.nav,
        rest: &parts.rest,
        links: &parts.links,
        hubs: &parts.hubs,
        fine: Fine::floats(16, &rows),
    };
    graph.check(&tiers).expect("a sound graph");
    let found = graph.search(&tiers, &row, Shows::All, 10, Effort { window: 20 });
    let found = found.expect("in memory").near;
    assert!(found.len() == 10 && found.iter().all(|near| near.1 == 0.0), "{found:?}");
}

/// Stops a build after a number of rows.
struct Until(u32, AtomicU32);

impl Progress for Until {
    fn built(&self, rows: u32) {
        self.1.store(rows, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn a_build_reports_and_can_be_stopped() {
    let rows = clustered(Metric::Cosine, 16, 2_000, 1);
    let until = Until(500, AtomicU32::new(0));
    assert_eq!(build(Metric::Cosine, Fine::floats(16, &rows), &options(Nav::Nibbles), None, &until), None);
    let reached = until.1.load(Ordering::Relaxed);
    assert!((500..1_000).contains(&reached), "{reached}");
}

#[test]
fn damage_is_found_by_a_check_and_never_read_out_of_bounds() {
    let built = Built::new(Metric::Cosine, 32, 1_000, &options(Nav::Nibbles));
    let query = clustered(Metric::Cosine, 32, 1, 9);
    let mut links = built.parts.links.clone();
    links.iter_mut().step_by(3).for_each(|link| *link = 0x0fff_ffff);
    let mut hubs = built.parts.hubs.clone();
    hubs[1] = 1_000_000;
    for tiers in [Tiers { links: &links, ..built.tiers() }, Tiers { hubs: &hubs, ..built.tiers() }] {
        assert!(built.graph.check(&tiers).is_err());
        let found = built.graph.search(&tiers, &query, Shows::All, 10, Effort { window: 50 });
        assert!(found.is_ok());
    }
    let short = Tiers { nav: &built.parts.nav[64..], ..built.tiers() };
    assert_eq!(built.graph.misfit(&short), Some("nav"));
    assert_eq!(built.graph.check(&short).expect_err("too short").kind(), types::ErrorKind::Corrupted);
    assert!(Graph::open(Metric::Cosine, 33, &built.parts.codec).is_err());
    assert!(Graph::open(Metric::Cosine, 32, &built.parts.codec[1..]).is_err());
}
