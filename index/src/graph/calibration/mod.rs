//! What searches of one graph find and take: measured once, when the segment is written; asked by the planner.
//!
//! For each number of hits, share of rows shown and window of a grid: recall, its standard error, distances and time.
//! From these [`Calibration::effort`] says which window reaches a recall, or that a scan should be taken instead.
//!
//! Held out, not moved: queries are rows of the segment that are taken out of the graph first, with every link to
//! them, so that neither truth nor walk knows them. A row that stays would have its own links, chosen to lead to just
//! the rows that are wanted; the mean of two neighbours has two rows far nearer than any other, which lead there too.
//! Both flatter: of 80,000 rows in 20 clusters fresh queries find 0.72 of their ten nearest with a window of 32, rows
//! themselves, not counted as hits, 0.84, means of two 0.84, held-out rows 0.73. `measure.rs` has more figures.
//!
//! Not known here: queries unlike the rows (questions among answers), and filters that go with the vectors: shares are
//! random. Both are for the check of real queries.
//!
//! Invariants: a higher recall never gives a smaller window, nor does a smaller share; between two windows or shares,
//! whatever is said errs to the side of more work. Recall and distances are the same for the same rows, options and
//! seed; times are not.
//! Cost: 0.1 µs to 3 µs a question. Measuring: see [`Calibration::measure`].

mod bytes;
mod measure;

/// What was measured of one graph, or guessed.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Queries that were asked, half of them under filters; none if nothing was measured.
    queries: u32,
    scan_codes_ns: f32,
    scan_ns: f32,
    /// By hits, ascending; then by share, descending.
    columns: Vec<Column>,
}

/// What was measured for one number of hits and one share of rows shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    hits: u32,
    share: f32,
    /// By window, ascending; at least one.
    points: Vec<Point>,
    /// For each point, what it and all points after it reach at least: the recall, and the recall without its error.
    reached: Vec<f32>,
    reached_surely: Vec<f32>,
}

/// What was measured at one window, on average over the queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Rows that a walk kept in sight.
    pub window: u32,
    /// The part of the true hits that was found.
    pub recall: f32,
    /// The standard error of the recall.
    pub recall_error: f32,
    /// Distances that a query estimated on its walk.
    pub distances: f32,
    /// What half of the queries took at most, in nanoseconds: a mean would measure what else the machine does.
    pub elapsed_ns: f32,
}

/// What to search with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The window; the largest that is known if none reaches the recall.
    pub window: usize,
    /// What it finds, on average.
    pub expected_recall: f32,
    /// What a query takes, on average.
    pub expected_ns: f32,
    /// Whether the recall is reached. If not: scan.
    pub reaches: bool,
}

/// Numbers of hits that are measured.
const HITS: [u32; 3] = [1, 10, 100];

/// Shares of rows shown that are measured.
const SHARES: [f32; 4] = [1.0, 0.5, 0.1, 0.02];

/// Windows that are measured.
const WINDOWS: [u32; 15] = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];

/// Halvings that find a recall to a thousandth of a percent.
const HALVINGS: usize = 17;

/// Which figure of a point must reach a recall.
#[derive(Clone, Copy)]
enum Reach {
    /// The recall itself.
    Likely,
    /// The recall less its standard error, and no window smaller than those measured.
    Surely,
}

impl Calibration {
    /// A guess for a graph that nothing was measured of: windows that are rather too large, on a machine of 2020.
    pub fn default_for(dim: usize) -> Self {
        // A recall of w / (w + half) at window w: half of the hits at `half`.
        let half_of_hits = [3.0, 5.0, 16.0];
        let times_of_share = [1.0, 1.2, 2.0, 4.0];
        let distance_ns = 20.0 + dim as f32 * 0.1;
        let mut columns = Vec::new();
        for (hits, half) in HITS.into_iter().zip(half_of_hits) {
            for (share, times) in SHARES.into_iter().zip(times_of_share) {
                let point = |window: u32| {
                    let distances = 200.0 + window as f32 * 20.0;
                    Point {
                        window,
                        recall: window as f32 / (window as f32 + half * times),
                        recall_error: 0.0,
                        distances,
                        elapsed_ns: distances * distance_ns,
                    }
                };
                columns.push(Column::new(hits, share, WINDOWS.map(point).to_vec()));
            }
        }
        let (scan_codes_ns, scan_ns) = (10.0 + dim as f32 * 0.05, 20.0 + dim as f32 * 0.15);
        Self { queries: 0, scan_codes_ns, scan_ns, columns }
    }

    /// Whether this was measured of its graph, and not guessed.
    pub fn is_measured(&self) -> bool {
        self.queries > 0
    }

    /// How many queries were asked.
    pub fn queries(&self) -> u32 {
        self.queries
    }

    /// What [`scan_codes`](super::Graph::scan_codes) takes for a row, in nanoseconds, of one in ten rows in their
    /// order. A scan of all rows takes less for each.
    pub fn scan_codes_ns(&self) -> f32 {
        self.scan_codes_ns
    }

    /// What [`scan`](super::Graph::scan) takes for a row, as above.
    pub fn scan_ns(&self) -> f32 {
        self.scan_ns
    }

    /// Everything that was measured: by hits, ascending; then by share, descending.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The smallest window that finds this part of the `k` nearest where this share of the rows is shown: by the recall
    /// measured, less one standard error, there and at every larger window.
    ///
    /// Between two shares the smaller counts, and none needs less than a larger one. Between two numbers of hits the
    /// window of the larger is scaled down as the two of them show; above all it is scaled up in proportion. A share
    /// below all that were measured is reached by no window.
    pub fn effort(&self, k: usize, share: f32, recall: f32) -> Choice {
        // Of a NaN and 1, the smaller is 1.
        let needed = self.needed(k, share, recall.min(1.0), Reach::Surely);
        let largest = self.columns.iter().map(Column::last).fold(1.0, f64::max) * self.times(k);
        let reaches = needed.is_finite();
        let window = if reaches { needed } else { largest };
        // What is a whole number but for rounding stays one.
        let window = (window - 1e-6).ceil().max(1.0) as usize;
        let expected_recall = self.expected(k, share, window);
        Choice { window, expected_recall, expected_ns: self.elapsed_ns(k, share, window), reaches }
    }

    /// The part of the `k` nearest that a window finds, on average; 0 for a share below all that were measured.
    pub fn expected(&self, k: usize, share: f32, window: usize) -> f32 {
        let is_enough = |recall: f32| self.needed(k, share, recall, Reach::Likely) <= window as f64 + 1e-6;
        let (mut enough, mut too_much) = (0.0, 1.0);
        if is_enough(too_much) {
            return too_much;
        }
        for _ in 0..HALVINGS {
            let middle = (enough + too_much) / 2.0;
            *(if is_enough(middle) { &mut enough } else { &mut too_much }) = middle;
        }
        enough
    }

    /// The window for `k` hits; infinite if none reaches the recall.
    fn needed(&self, k: usize, share: f32, recall: f32, reach: Reach) -> f64 {
        let (smaller, larger) = self.classes(k);
        let of_larger = self.needed_for(larger, share, recall, reach);
        let k = k.max(1) as f64;
        match smaller {
            _ if k >= f64::from(larger) => of_larger * self.times(k as usize),
            None => of_larger,
            Some(_) if of_larger.is_infinite() => of_larger,
            Some(smaller) => {
                let of_smaller = self.needed_for(smaller, share, recall, reach);
                let way = (k / f64::from(smaller)).ln() / (f64::from(larger) / f64::from(smaller)).ln();
                of_smaller * (of_larger / of_smaller).powf(way)
            }
        }
    }

    /// The window for a number of hits that was measured. It is no larger than that for more hits: the recall of one
    /// hit is the least sure, and where it seems to need more that is chance.
    fn needed_for(&self, hits: u32, share: f32, recall: f32, reach: Reach) -> f64 {
        let classes = self.columns.chunk_by(|a, b| a.hits == b.hits);
        let classes = classes.filter(|class| class[0].hits >= hits);
        classes.map(|class| needed_of(class, share, recall, reach)).fold(f64::INFINITY, f64::min)
    }

    /// The numbers of hits below and above `k` that were measured: the former if there is one, the latter the largest
    /// if there is none.
    fn classes(&self, k: usize) -> (Option<u32>, u32) {
        let mut smaller = None;
        for column in &self.columns {
            if column.hits as usize >= k {
                return (smaller, column.hits);
            }
            smaller = Some(column.hits);
        }
        (None, smaller.unwrap_or(1))
    }

    /// How often the largest number of hits goes into `k`, if it does.
    fn times(&self, k: usize) -> f64 {
        let most = self.columns.last().map_or(1, |column| column.hits);
        (k as f64 / f64::from(most)).max(1.0)
    }

    /// What a query takes.
    fn elapsed_ns(&self, k: usize, share: f32, window: usize) -> f32 {
        let (_, hits) = self.classes(k);
        let mut of_hits = self.columns.iter().filter(|column| column.hits == hits).peekable();
        while let Some(column) = of_hits.next() {
            if column.share <= share || of_hits.peek().is_none() {
                return column.elapsed_ns(window as f32);
            }
        }
        0.0
    }
}

/// The window that is needed at this share and at all larger ones; the columns are those of one number of hits.
fn needed_of(columns: &[Column], share: f32, recall: f32, reach: Reach) -> f64 {
    let mut needed = 0.0_f64;
    for column in columns {
        needed = needed.max(column.needed(recall, reach));
        if column.share <= share {
            return needed;
        }
    }
    f64::INFINITY
}

impl Column {
    /// Of points by window, ascending; at least one.
    fn new(hits: u32, share: f32, points: Vec<Point>) -> Self {
        let from_the_end = |figure: &dyn Fn(&Point) -> f32| {
            let mut least = 1.0_f32;
            let mut reached: Vec<f32> = points
                .iter()
                .rev()
                .map(|point| {
                    least = least.min(figure(point)).max(0.0);
                    least
                })
                .collect();
            reached.reverse();
            reached
        };
        let reached = from_the_end(&|point| point.recall);
        let reached_surely = from_the_end(&|point| point.recall - point.recall_error);
        Self { hits, share, points, reached, reached_surely }
    }

    /// How many hits were wanted.
    pub fn hits(&self) -> u32 {
        self.hits
    }

    /// Which share of the rows was shown.
    pub fn share(&self) -> f32 {
        self.share
    }

    /// What was measured, by window, ascending. It ends where nearly everything is found, or where a scan of the rows
    /// shown takes no longer.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The window that reaches a recall above 0; infinite if none does. Between two points along the chord, below which
    /// recall does not run: more effort gains less and less.
    fn needed(&self, recall: f32, reach: Reach) -> f64 {
        let reached = match reach {
            Reach::Likely => &self.reached,
            Reach::Surely => &self.reached_surely,
        };
        let at = reached.partition_point(|reached| *reached < recall);
        let Some(to) = self.points.get(at) else { return f64::INFINITY };
        let from = match (at.checked_sub(1), reach) {
            (Some(before), _) => (f64::from(self.points[before].window), f64::from(reached[before])),
            (None, Reach::Likely) => (0.0, 0.0),
            (None, Reach::Surely) => return f64::from(to.window),
        };
        let way = (f64::from(recall) - from.1) / (f64::from(reached[at]) - from.1);
        from.0 + (f64::from(to.window) - from.0) * way
    }

    /// The largest window.
    fn last(&self) -> f64 {
        self.points.last().map_or(1.0, |point| f64::from(point.window))
    }

    /// Along the chord; before the first point as there, behind the last in proportion.
    fn elapsed_ns(&self, window: f32) -> f32 {
        let at = self.points.partition_point(|point| (point.window as f32) < window);
        match (at.checked_sub(1).map(|before| self.points[before]), self.points.get(at)) {
            (Some(from), Some(to)) => {
                let way = (window - from.window as f32) / (to.window - from.window) as f32;
                from.elapsed_ns + (to.elapsed_ns - from.elapsed_ns) * way
            }
            (None, Some(to)) => to.elapsed_ns,
            (Some(last), None) => last.elapsed_ns * window / last.window as f32,
            (None, None) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
