//! A space of the head beside an exact scan: recall, visibility, and readers beside the one that links.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use super::*;

const DIM: usize = 24;
const ROWS: u32 = 6_000;

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
        let sum: f32 = (0..12).map(|_| uniform(self.roll())).sum();
        sum - 6.0
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIM).map(|_| self.normal()).collect()
    }
}

/// Vectors around `clusters` centres, of lengths that differ, as the metric takes them.
fn clustered(metric: Metric, clusters: usize, count: u32, seed: u64) -> Vec<Vec<f32>> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
    let mut centres_dice = Dice(77);
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| centres_dice.vector()).collect();
    (0..count)
        .map(|_| {
            let centre = &centres[dice.roll() as usize % clusters];
            let length = 0.5 + (dice.roll() % 1000) as f32 / 500.0;
            let mut vector: Vec<f32> = centre.iter().map(|x| length * (x + 0.3 * dice.normal())).collect();
            types::vector::check(&mut vector, DIM, metric).expect("a valid vector");
            vector
        })
        .collect()
}

fn filled(metric: Metric, vectors: &[Vec<f32>]) -> (Space, Alive) {
    let (space, mut alive) = (Space::new(DIM, metric), Alive::new());
    for (slot, vector) in vectors.iter().enumerate() {
        space.append(Some(vector.clone()));
        alive.insert(Slot(slot as u32));
    }
    (space, alive)
}

fn slots(near: &[Near]) -> HashSet<u32> {
    near.iter().map(|near| near.slot.0).collect()
}

fn asks_graph(space: &Space, view: SpaceView<'_>, k: usize, ef: usize) -> bool {
    let graph_rows = space.graph.get().map_or(0, Graph::rows);
    view.beam_rows(space.linked().min(view.slots_end), graph_rows, k, ef).is_some()
}

/// The share of the true nearest that a search finds.
fn recall(space: &Space, view: SpaceView<'_>, queries: &[Vec<f32>], k: usize, ef: usize) -> f64 {
    let mut found = 0;
    let mut wanted = 0;
    for query in queries {
        let visible = (0..view.slots_end).map(Slot).filter(|&slot| view.shows(slot));
        let truth = space.scan(query, visible, k);
        let near = space.search(query, view, k, ef);
        assert!(near.is_sorted_by(|a, b| (a.distance, a.slot) < (b.distance, b.slot)), "{near:?}");
        assert!(near.iter().all(|near| view.shows(near.slot)));
        assert!(near.iter().all(|near| space.distance(query, near.slot.0) == Some(near.distance)));
        found += slots(&truth).intersection(&slots(&near)).count();
        wanted += truth.len();
    }
    found as f64 / wanted as f64
}

#[test]
fn the_graph_finds_what_a_scan_finds() {
    for metric in Metric::ALL {
        for clusters in [1, 20, 300] {
            let (space, alive) = filled(metric, &clustered(metric, clusters, ROWS, 1));
            assert!(!space.link(&alive, ROWS) && space.linked() == ROWS);
            let queries = clustered(metric, clusters, 100, 2);
            let view = SpaceView { alive: &alive, accept: None, slots_end: ROWS };
            let recall = recall(&space, view, &queries, 10, 90);
            assert!(recall >= 0.95 && asks_graph(&space, view, 10, 90), "{metric} {clusters}: {recall}");
        }
    }
}

#[test]
fn a_scan_by_codes_is_nearly_exact() {
    for metric in Metric::ALL {
        let (space, _) = filled(metric, &clustered(metric, 20, ROWS, 1));
        let (mut missed, mut wanted) = (0, 0);
        for query in clustered(metric, 20, 100, 2) {
            let slots = || (0..ROWS).map(Slot);
            let (truth, found) = (space.scan(&query, slots(), 10), space.scan_codes(&query, slots(), 10));
            missed += truth.iter().filter(|near| !found.contains(near)).count();
            wanted += truth.len();
        }
        assert!(wanted == 1_000 && missed <= 2, "{metric}: {missed} of {wanted}");
    }
}

/// Codes that are not centred tell such rows apart no more.
#[test]
fn a_scan_by_codes_finds_what_is_near_where_all_rows_are_far_from_zero() {
    let shifted = |vector: &Vec<f32>| -> Vec<f32> { vector.iter().map(|x| x + 1_000.0).collect() };
    for metric in [Metric::Dot, Metric::Euclid] {
        let vectors: Vec<Vec<f32>> = clustered(Metric::Euclid, 20, 3_000, 1).iter().map(shifted).collect();
        let (space, _) = filled(metric, &vectors);
        for query in clustered(Metric::Euclid, 20, 10, 2).iter().map(shifted) {
            let slots = || (0..3_000).map(Slot);
            assert_eq!(space.scan_codes(&query, slots(), 10), space.scan(&query, slots(), 10), "{metric}");
        }
    }
}

/// Long rows across the query: the luckiest of them seem nearer than any short row is, and are not.
#[test]
fn the_errors_of_long_rows_hide_no_short_ones() {
    let mut dice = Dice(11);
    let mut vectors: Vec<Vec<f32>> = (0..4_000).map(|_| dice.vector()).collect();
    for vector in vectors.iter_mut().step_by(2) {
        vector.iter_mut().for_each(|x| *x *= 20.0);
        vector[0] = 0.0;
    }
    let (space, _) = filled(Metric::Dot, &vectors);
    for sign in [1.0, -1.0] {
        let mut query = vec![0.0_f32; DIM];
        query[0] = sign;
        let slots = || (0..4_000).map(Slot);
        let (truth, found) = (space.scan(&query, slots(), 50), space.scan_codes(&query, slots(), 50));
        let missed = truth.iter().filter(|near| !found.contains(near)).count();
        assert!(truth.len() == 50 && missed <= 1, "{missed} of 50");
    }
}

#[test]
fn dead_and_unaccepted_rows_are_never_found_and_cost_no_recall() {
    for metric in Metric::ALL {
        let (space, mut alive) = filled(metric, &clustered(metric, 20, ROWS, 1));
        space.link(&alive, ROWS);
        let everything = alive.clone();
        for slot in (0..ROWS).filter(|slot| slot % 3 == 0) {
            alive.remove(Slot(slot));
        }
        let accept: RoaringBitmap = (0..ROWS).filter(|slot| slot % 4 != 0).collect();
        let queries = clustered(metric, 20, 50, 2);
        let everything = SpaceView { alive: &everything, accept: None, slots_end: ROWS };
        let unfiltered = recall(&space, everything, &queries, 5, 36);
        for accept in [None, Some(&accept)] {
            let view = SpaceView { alive: &alive, accept, slots_end: ROWS - 500 };
            let filtered = recall(&space, view, &queries, 5, 36);
            assert!(asks_graph(&space, view, 5, 36), "{metric}");
            assert!(filtered >= unfiltered - 0.03, "{metric}: {filtered} {unfiltered}");
        }
    }
}

#[test]
fn a_narrow_filter_is_answered_exactly() {
    let (space, mut alive) = filled(Metric::Euclid, &clustered(Metric::Euclid, 20, ROWS, 1));
    space.link(&alive, ROWS);
    let accept: RoaringBitmap = (0..ROWS).step_by(50).collect();
    for query in &clustered(Metric::Euclid, 20, 20, 2) {
        let view = SpaceView { alive: &alive, accept: Some(&accept), slots_end: ROWS };
        assert_eq!(space.search(query, view, 10, 32), space.scan(query, accept.iter().map(Slot), 10));
    }
    for slot in &accept {
        alive.remove(Slot(slot));
    }
    let view = SpaceView { alive: &alive, accept: Some(&accept), slots_end: ROWS };
    assert_eq!(space.search(space.row(Slot(0)).expect("a row"), view, 10, 32), []);
}

#[test]
fn where_a_filter_hides_the_surroundings_of_a_query_less_is_found_but_nothing_wrong() {
    // Two clusters; visible is the one far from the query, and unlinked rows beyond it.
    let cluster = |place: f32, dice: &mut Dice| -> Vec<f32> {
        dice.vector().iter().enumerate().map(|(at, x)| if at == 0 { place } else { x * 0.1 }).collect()
    };
    let mut dice = Dice(5);
    let mut vectors: Vec<Vec<f32>> = (0..5_000).map(|_| cluster(0.0, &mut dice)).collect();
    vectors.extend((0..7_000).map(|_| cluster(50.0, &mut dice)));
    vectors.extend((0..100).map(|_| cluster(90.0, &mut dice)));
    let (space, alive) = filled(Metric::Euclid, &vectors);
    space.link(&alive, 12_000);
    let accept: RoaringBitmap = (5_000..12_100).collect();
    let view = SpaceView { alive: &alive, accept: Some(&accept), slots_end: 12_100 };
    let mut is_cut = false;
    for _ in 0..10 {
        let query = cluster(0.0, &mut dice);
        let truth = space.scan(&query, accept.iter().map(Slot), 10);
        assert!(asks_graph(&space, view, 10, 32));
        let near = space.search(&query, view, 10, 32);
        assert!(
            near.iter().all(|near| near.distance < 60.0_f32.powi(2)),
            "an unlinked row before nearer ones"
        );
        is_cut |= near.len() < truth.len();
    }
    assert!(is_cut, "the beam was to end within the hidden cluster");
}

#[test]
fn a_small_head_is_exact_and_rows_may_lack_the_vector() {
    let metric = Metric::Cosine;
    let vectors = clustered(metric, 5, 500, 1);
    let (space, mut alive) = (Space::new(DIM, metric), Alive::new());
    for (slot, vector) in vectors.iter().enumerate() {
        space.append((slot % 5 != 0).then(|| vector.clone()));
        alive.insert(Slot(slot as u32));
    }
    assert!(!space.link(&alive, 500) && space.linked() == 0, "too small to be linked");
    assert_eq!(
        (space.len(), space.count(), space.row(Slot(5)), space.row(Slot(500))),
        (500, 400, None, None)
    );
    assert_eq!(space.row(Slot(6)), Some(vectors[6].as_slice()));
    assert!(space.bytes() >= 400 * DIM * 4);
    let view = SpaceView { alive: &alive, accept: None, slots_end: 400 };
    for query in &clustered(metric, 5, 20, 2) {
        let mut all: Vec<(f32, u32)> = (0..400)
            .filter(|slot| slot % 5 != 0)
            .map(|slot| (kernels::distance(metric, query, &vectors[slot as usize]), slot))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for k in [0, 1, 7, 320, 1_000_000] {
            let near = space.search(query, view, k, 10);
            let expected: Vec<(f32, u32)> = all.iter().take(k).copied().collect();
            assert_eq!(near.iter().map(|near| (near.distance, near.slot.0)).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn linking_goes_on_where_it_stopped_and_passes_over_the_dead() {
    let metric = Metric::Euclid;
    let vectors = clustered(metric, 20, ROWS, 1);
    let (space, mut alive) = filled(metric, &vectors[..5_000]);
    for slot in 0..1_000 {
        alive.remove(Slot(slot));
    }
    assert!(space.link(&alive, 900) && space.linked() == 900);
    assert!(space.link(&alive, 1_100) && space.linked() == 2_000);
    assert!(!space.link(&alive, 100_000) && space.linked() == 5_000);
    for (slot, vector) in vectors.iter().enumerate().skip(5_000) {
        space.append(Some(vector.clone()));
        alive.insert(Slot(slot as u32));
    }
    // Rows that nobody has linked yet are found all the same.
    let view = SpaceView { alive: &alive, accept: None, slots_end: ROWS };
    for slot in [1_000, 3_000, 5_000, ROWS - 1] {
        assert!(asks_graph(&space, view, 1, 40));
        let near = space.search(&vectors[slot as usize], view, 1, 40);
        assert_eq!(near, [Near { slot: Slot(slot), distance: 0.0 }]);
    }
    assert!(!space.link(&alive, 1_000) && space.linked() == ROWS);
}

#[test]
fn equal_vectors_do_not_hide_each_other() {
    let (space, mut alive) = (Space::new(DIM, Metric::Cosine), Alive::new());
    let vectors = clustered(Metric::Cosine, 1, 1, 1);
    for slot in 0..5_000 {
        space.append(Some(vectors[0].clone()));
        alive.insert(Slot(slot));
    }
    space.link(&alive, 5_000);
    let view = SpaceView { alive: &alive, accept: None, slots_end: 5_000 };
    assert!(asks_graph(&space, view, 10, 64));
    let near = space.search(&vectors[0], view, 10, 64);
    assert_eq!(slots(&near).len(), 10);
    assert!(near.iter().all(|near| near.distance.abs() < 1e-6));
}

#[test]
fn searches_run_beside_the_writer_and_the_linker() {
    for metric in [Metric::Euclid, Metric::Cosine] {
        let vectors = clustered(metric, 20, 10_000, 1);
        let (space, alive) = filled(metric, &vectors[..ROWS as usize]);
        space.link(&alive, ROWS);
        let queries = clustered(metric, 20, 40, 2);
        let view = SpaceView { alive: &alive, accept: None, slots_end: ROWS };
        assert!(asks_graph(&space, view, 10, 40));
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut alive = alive.clone();
                for (slot, vector) in vectors.iter().enumerate().skip(ROWS as usize) {
                    space.append(Some(vector.clone()));
                    alive.insert(Slot(slot as u32));
                    if slot % 1_000 == 999 {
                        while space.link(&alive, 300) {}
                    }
                }
                is_done.store(true, Ordering::Release);
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Acquire) {
                        // Checks every hit as well: visible, sorted, with its exact distance.
                        let recall = recall(&space, view, &queries, 10, 40);
                        assert!(recall >= 0.95, "{metric}: {recall}");
                    }
                });
            }
        });
        assert_eq!((space.len(), space.linked()), (10_000, 10_000));
    }
}
