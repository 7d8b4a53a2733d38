//! Measuring: rows held out of the graph ask for their neighbours, at every window that is worth it.
//!
//! Windows grow over all columns at once. A column ends when it has found nearly everything twice, when a walk takes
//! as long as a scan of the rows shown, which misses nothing, or when its budget is spent. All are decided by counts,
//! not by times.
//!
//! The truth is a scan: exact where rows are few, else by codes, for twice the hits wanted. A hit counts by its
//! distance: of equally near rows any will do.
//!
//! A lost link: where a link led to a held-out row, one of that row's own links may take its place, if building might
//! have chosen it. Left away they would leave a gap just where the query looks; the nearest in every case would
//! bridge it too well. Recall of 10 at windows of 8, 32 and 128, beside that of 3000 fresh queries:
//!
//! ```text
//!                                     left away          as here            the nearest        fresh
//!  80000 rows, 20 clusters of 96      .406 .702 .960     .435 .732 .967     .479 .767 .970     .436 .722 .964
//!  80000 rows, 24 factors in 128      .633 .918 .998     .680 .939 .999     .719 .947 .999     .713 .953 .999
//!  20000 rows, 20 clusters of 96      .623 .876 .992     .644 .885 .994     .693 .897 .994     .678 .899 .996
//!  20000 rows, 24 factors in 128      .709 .949 .999     .753 .970 .999     .787 .971 .999     .796 .981 .999
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use types::{Metric, Result};

use super::super::search::THROUGH_ROWS;
use super::super::{Bits, Effort, Fine, Graph, LINK_NONE, Options, Progress, Room, Shows, Tiers, shuffled};
use super::{Calibration, Column, HITS, Point, SHARES, WINDOWS};
use crate::kernels;

/// Fewer rows are not measured: a scan of them is quick, and the sample would be too small.
const ROWS_MIN: u32 = 1024;

/// At most one of so many rows is held out, so that the graph is hardly another.
const ROWS_PER_QUERY: u32 = 50;
const QUERIES_MAX: u64 = 128;
/// With many rows fewer queries are asked, but no fewer than these ...
const QUERIES_MIN: u64 = 32;
/// ... such that the scans for all rows together look at about so many.
const TRUTH_ROWS: u64 = 64 << 20;

/// Under a filter half of the queries are asked, where there are more than these: such walks take longer.
const QUERIES_FILTERED: usize = 32;

/// What the walks of one column may cost, in distances, and what they may for each row: a build takes some thousand for
/// each.
const COST_MAX: u64 = 4 << 20;
const COST_MAX_PER_ROW: u64 = 60;

/// Under a filter that passes little a hop looks at the links of hidden neighbours. Of the square of a degree this part
/// is what that costs in distances: 5 µs and 128 of 45 ns at a degree of 32.
const HIDDEN_OF_DEGREE: usize = 8;

/// Distances of a scan, which lie in order, that take as long as one of a walk.
const SCANNED_PER_WALKED: f32 = 2.0;

/// Rows up to which the truth is exact.
const EXACT_ROWS_MAX: u32 = 4096;

/// A column ends when this was reached so many times.
const ENOUGH_RECALL: f32 = 0.999;
const ENOUGH_TIMES: usize = 2;

/// Scans that are timed, of so many rows.
const TIMED_SCANS: usize = 16;
const TIMED_ROWS: usize = 4096;
const TIMED_HITS: usize = 10;
/// The share of rows that is scanned for it.
const TIMED_SHARE: usize = 2;

/// So that rows are not held out in the order in which they were linked.
const SEED: u64 = 0x6361_6c69_6272_6174;

impl Calibration {
    /// Measures a graph; nothing if it was cancelled. With few rows it is not measured but guessed. The vectors are
    /// given twice: in `tiers` as searches will find them, since that takes its time, and in memory.
    ///
    /// Cost: on all threads, 6 to 8 % of what building took at 150,000 rows and less beyond, but a quarter at 10,000;
    /// and a copy of the links while it runs.
    ///
    /// # Errors
    /// `Io` where vectors are read from a file.
    pub fn measure(
        graph: &Graph,
        tiers: &Tiers<'_>,
        vectors: Fine<'_>,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Option<Self>> {
        let rows = vectors.rows() as u32;
        if rows < ROWS_MIN {
            return Ok(Some(Self::default_for(vectors.dim())));
        }
        let sample = Sample::draw(tiers, rows, options.seed);
        let vector = |row: &u32| vectors.held(*row, &mut Room::default()).to_vec();
        let queries: Vec<Vec<f32>> = sample.queries.iter().map(vector).collect();
        let degree = tiers.links.len() / rows as usize;
        let distance = |a: u32, b: u32| {
            let (mut left, mut right) = (Room::default(), Room::default());
            kernels::distance(Metric::Euclid, vectors.held(a, &mut left), vectors.held(b, &mut right))
        };
        let links = without(tiers.links, degree, &sample.held, &distance);
        let tiers = Tiers { links: &links, ..*tiers };
        let threads = options.threads;
        let trial = Trial { graph, tiers, degree, sample: &sample, queries: &queries, threads, progress };
        let Some((scan_codes_ns, scan_ns)) = trial.time_scans()? else { return Ok(None) };
        let Some(truths) = trial.truths()? else { return Ok(None) };
        let Some(columns) = trial.columns(&truths)? else { return Ok(None) };
        Ok(Some(Self { queries: queries.len() as u32, scan_codes_ns, scan_ns, columns }))
    }
}

/// What is asked, and of which rows.
struct Sample {
    /// Rows that are held out, in no order; none is a hub.
    queries: Vec<u32>,
    held: Bits,
    /// Of the other rows, for each share: each is part of the one before.
    shown: [Bits; SHARES.len()],
}

impl Sample {
    fn draw(tiers: &Tiers<'_>, rows: u32, seed: u64) -> Self {
        let count = (TRUTH_ROWS / u64::from(rows)).clamp(QUERIES_MIN, QUERIES_MAX);
        let count = count.min(u64::from(rows / ROWS_PER_QUERY)) as usize;
        let hubs = tiers
            .hubs
            .split_first()
            .map_or(&[][..], |(count, rest)| &rest[..rest.len().min(*count as usize)]);
        let hubs = Bits::of(rows, hubs.iter().copied());
        let order = shuffled(rows, seed ^ SEED);
        let queries: Vec<u32> =
            order.iter().copied().filter(|row| !hubs.contains(*row)).take(count).collect();
        let held = Bits::of(rows, queries.iter().copied());
        let others: Vec<u32> = order.into_iter().filter(|row| !held.contains(*row)).collect();
        let shown = SHARES.map(|share| {
            let count = (others.len() as f64 * f64::from(share)).round() as usize;
            Bits::of(rows, others[..count].iter().copied())
        });
        Self { queries, held, shown }
    }
}

/// The links with none to these rows. For each that is lost, the nearest takes its place of the links of the row that
/// is gone, unless another link is nearer to it: so builds choose.
fn without(links: &[u32], degree: usize, held: &Bits, distance: &dyn Fn(u32, u32) -> f32) -> Vec<u32> {
    let mut left = links.to_vec();
    for (row, own) in (0_u32..).zip(left.chunks_exact_mut(degree.max(1))) {
        if !own.iter().any(|link| held.contains(*link)) {
            continue;
        }
        let (lost, mut kept): (Vec<u32>, Vec<u32>) =
            own.iter().filter(|link| **link != LINK_NONE).partition(|link| held.contains(**link));
        for gone in lost {
            let further = &links[gone as usize * degree..][..degree];
            let is_new = |link: &u32| {
                *link != LINK_NONE && *link != row && !held.contains(*link) && !kept.contains(link)
            };
            let further = further.iter().copied().filter(is_new).map(|link| (distance(row, link), link));
            let is_free = |near: &(f32, u32)| !kept.iter().any(|other| distance(*other, near.1) < near.0);
            if let Some((_, link)) = further.filter(is_free).min_by(|a, b| a.0.total_cmp(&b.0)) {
                kept.push(link);
            }
        }
        own.fill(LINK_NONE);
        own[..kept.len()].copy_from_slice(&kept);
    }
    left
}

/// For each share and each number of hits, the distance of the last hit; nothing if fewer rows are shown.
type Truth = [[Option<f32>; HITS.len()]; SHARES.len()];

struct Trial<'a> {
    graph: &'a Graph,
    /// With the links that are left.
    tiers: Tiers<'a>,
    degree: usize,
    sample: &'a Sample,
    /// The vectors of the queries.
    queries: &'a [Vec<f32>],
    threads: usize,
    progress: &'a dyn Progress,
}

/// A column under way.
struct Open {
    hits: usize,
    share: usize,
    points: Vec<Point>,
    /// What its walks have cost, in distances.
    spent: u64,
    /// What a walk costs at the last window.
    cost: f32,
}

/// What one search has found and took.
struct Outcome {
    recall: f64,
    distances: u32,
    /// In distances.
    cost: u64,
    elapsed_ns: f32,
}

impl Trial<'_> {
    /// How many queries are asked where this share is shown.
    fn queries(&self, share: usize) -> usize {
        let all = self.sample.queries.len();
        if share == 0 { all } else { (all / 2).max(all.min(QUERIES_FILTERED)) }
    }

    fn query(&self, number: usize) -> &[f32] {
        &self.queries[number]
    }

    /// What scans take for a row, by codes and exactly.
    fn time_scans(&self) -> Result<Option<(f32, f32)>> {
        let rows: Vec<u32> = self.sample.shown[TIMED_SHARE].iter().collect();
        let count = rows.len().min(TIMED_ROWS) as f32;
        let times = self.spread(TIMED_SCANS.min(self.sample.queries.len()), &|number| {
            // Each scan begins elsewhere, so that it does not find in the cache what the one before has read.
            let from = number * TIMED_ROWS % rows.len();
            let rows = rows[from..].iter().chain(&rows[..from]).copied().take(TIMED_ROWS);
            let query = self.query(number);
            let codes = Instant::now();
            self.graph.scan_codes(&self.tiers, query, rows.clone(), TIMED_HITS)?;
            let (codes, exact) = (codes.elapsed(), Instant::now());
            self.graph.scan(&self.tiers, query, &mut rows.clone(), TIMED_HITS)?;
            Ok((codes.as_nanos() as f32 / count, exact.elapsed().as_nanos() as f32 / count))
        })?;
        Ok(times.map(|times| {
            let (codes, exact): (Vec<f32>, Vec<f32>) = times.into_iter().unzip();
            (median(codes), median(exact))
        }))
    }

    fn truths(&self) -> Result<Option<Vec<Truth>>> {
        let most = HITS[HITS.len() - 1] as usize;
        self.spread(self.sample.queries.len(), &|number| {
            let query = self.query(number);
            let mut truth = Truth::default();
            for (share, lasts) in truth.iter_mut().enumerate() {
                if number >= self.queries(share) {
                    continue;
                }
                let shown = &self.sample.shown[share];
                let near = if shown.len() <= EXACT_ROWS_MAX {
                    self.graph.scan(&self.tiers, query, &mut shown.iter(), most)?
                } else {
                    self.graph.scan_codes(&self.tiers, query, shown.iter(), most * 2)?
                };
                *lasts = HITS.map(|hits| near.get(hits as usize - 1).map(|near| near.1));
            }
            Ok(truth)
        })
    }

    /// Measures all columns.
    fn columns(&self, truths: &[Truth]) -> Result<Option<Vec<Column>>> {
        let classes = (0..HITS.len()).flat_map(|hits| (0..SHARES.len()).map(move |share| (hits, share)));
        let is_asked = |(hits, share): &(usize, usize)| HITS[*hits] <= self.sample.shown[*share].len();
        let mut columns: Vec<Open> = classes
            .filter(is_asked)
            .map(|(hits, share)| Open { hits, share, points: Vec::new(), spent: 0, cost: 0.0 })
            .collect();
        for window in WINDOWS {
            let mut open: Vec<&mut Open> =
                columns.iter_mut().filter(|column| !column.ends(self.sample)).collect();
            let searches = open.iter().enumerate();
            let searches: Vec<(usize, usize)> = searches
                .flat_map(|(column, open)| (0..self.queries(open.share)).map(move |query| (column, query)))
                .collect();
            let outcomes = self.spread(searches.len(), &|number| {
                let (column, query) = searches[number];
                self.search(open[column], query, window, &truths[query])
            })?;
            let Some(outcomes) = outcomes else { return Ok(None) };
            let mut rest = outcomes.as_slice();
            for column in &mut open {
                let (own, others) = rest.split_at(self.queries(column.share));
                column.push(window, own);
                rest = others;
            }
        }
        let column = |open: Open| Column::new(HITS[open.hits], SHARES[open.share], open.points);
        Ok(Some(columns.into_iter().map(column).collect()))
    }

    fn search(&self, column: &Open, number: usize, window: u32, truth: &Truth) -> Result<Outcome> {
        let (k, query) = (HITS[column.hits] as usize, self.query(number));
        let shows =
            if column.share == 0 { Shows::All } else { Shows::Only(&self.sample.shown[column.share]) };
        let effort = Effort { window: window as usize };
        let begun = Instant::now();
        let found = self.graph.search(&self.tiers, query, shows, k, effort)?;
        let elapsed_ns = begun.elapsed().as_nanos() as f32;
        let is_hit = |distance: f32| truth[column.share][column.hits].is_some_and(|last| distance <= last);
        let hits = found.near.iter().filter(|near| is_hit(near.1)).count();
        let is_two_hop = SHARES[column.share] * (THROUGH_ROWS as f32) < 1.0;
        let of_hop = if is_two_hop { self.degree * self.degree / HIDDEN_OF_DEGREE } else { 0 };
        let cost = u64::from(found.distances) + u64::from(found.hops) * of_hop as u64;
        Ok(Outcome { recall: hits as f64 / k as f64, distances: found.distances, cost, elapsed_ns })
    }

    /// Does a task for each number, on all threads; the results in order of numbers. Nothing if it was cancelled.
    fn spread<T: Send>(
        &self,
        count: usize,
        task: &(impl Fn(usize) -> Result<T> + Sync),
    ) -> Result<Option<Vec<T>>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while !self.progress.is_cancelled() {
                match next.fetch_add(1, Ordering::Relaxed) {
                    number if number < count => done.push((number, task(number))),
                    _ => break,
                }
            }
            done
        };
        let mut done: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
            let started: Vec<_> = (1..self.threads.min(count)).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for thread in started {
                // A panic of a thread is this thread's panic.
                done.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|(number, _)| *number);
        let is_whole = done.len() == count;
        let done: Vec<T> = done.into_iter().map(|(_, result)| result).collect::<Result<_>>()?;
        Ok(is_whole.then_some(done))
    }
}

impl Open {
    fn push(&mut self, window: u32, outcomes: &[Outcome]) {
        let cost = outcomes.iter().map(|outcome| outcome.cost).sum::<u64>();
        self.spent += cost;
        self.cost = cost as f32 / outcomes.len() as f32;
        self.points.push(point(window, outcomes));
    }

    /// Whether larger windows are not worth measuring.
    fn ends(&self, sample: &Sample) -> bool {
        let enough = self.points.iter().filter(|point| point.recall >= ENOUGH_RECALL).count();
        let shown = sample.shown[self.share].len() as f32;
        let budget = COST_MAX + COST_MAX_PER_ROW * u64::from(sample.shown[0].len());
        enough >= ENOUGH_TIMES || self.cost * SCANNED_PER_WALKED >= shown || self.spent > budget
    }
}

fn point(window: u32, outcomes: &[Outcome]) -> Point {
    let count = outcomes.len() as f64;
    let mean = |figure: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(figure).sum::<f64>() / count;
    let recall = mean(&|outcome| outcome.recall);
    let variance = mean(&|outcome| (outcome.recall - recall).powi(2)) * count / (count - 1.0).max(1.0);
    Point {
        window,
        recall: recall.min(1.0) as f32,
        recall_error: (variance / count).sqrt() as f32,
        distances: mean(&|outcome| f64::from(outcome.distances)) as f32,
        elapsed_ns: median(outcomes.iter().map(|outcome| outcome.elapsed_ns).collect()),
    }
}

fn median(mut figures: Vec<f32>) -> f32 {
    figures.sort_unstable_by(f32::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_held_out_and_links_lead_on_past_them() {
        let none = LINK_NONE;
        let links = [1, 4, none, 2, 3, 4, 1, 3, none, 2, none, none, 0, 1, none];
        // Rows on a line. Without 1, row 0 is led on to 2, row 2 to 4; from 4 on, all but 0 lies behind 0.
        let places = [0.0_f32, 1.0, 2.0, 2.5, -4.0];
        let distance = |a: u32, b: u32| (places[a as usize] - places[b as usize]).abs();
        let left = without(&links, 3, &Bits::of(5, [1]), &distance);
        assert_eq!(left, [4, 2, none, 2, 3, 4, 3, 4, none, 2, none, none, 0, none, none]);
        let left = without(&links, 3, &Bits::of(5, [1, 2]), &distance);
        assert_eq!(left[..3], [4, 3, none]);
        assert!(without(&[], 0, &Bits::new(0), &distance).is_empty());
    }

    #[test]
    fn a_point_is_mean_error_and_median() {
        let outcome =
            |(recall, elapsed_ns): (f64, f32)| Outcome { recall, distances: 10, cost: 0, elapsed_ns };
        let outcomes = [(0.5, 9.0), (1.0, 5.0), (0.5, 7.0), (1.0, 1000.0)].map(outcome);
        let found = point(8, &outcomes);
        assert_eq!((found.window, found.recall, found.distances, found.elapsed_ns), (8, 0.75, 10.0, 9.0));
        // Each is 1/4 off the mean: the variance is 4/16 / 3, the error the root of a quarter of it.
        assert!((found.recall_error - (1.0_f32 / 48.0).sqrt()).abs() < 1e-6, "{}", found.recall_error);
    }

    #[test]
    fn a_sample_holds_out_few_rows_and_no_hub() {
        let hubs = [3, 10, 20, 30];
        let tiers = Tiers { nav: &[], rest: &[], links: &[], hubs: &hubs, fine: Fine::floats(1, &[]) };
        for (rows, queries) in [(1024, 20), (10_000, 128), (1 << 20, 64), (3 << 20, 32)] {
            let sample = Sample::draw(&tiers, rows, 7);
            assert_eq!((sample.queries.len(), sample.held.len()), (queries, queries as u32), "{rows}");
            assert!(hubs[1..].iter().all(|hub| !sample.held.contains(*hub)));
            assert!(sample.shown[0].iter().all(|row| !sample.held.contains(row)));
            assert_eq!(sample.shown[0].len() + sample.held.len(), rows);
            assert!(sample.shown.windows(2).all(|pair| pair[1].iter().all(|row| pair[0].contains(row))));
        }
    }
}
