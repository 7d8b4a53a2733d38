//! Building the graph of a segment: in batches, on all threads, the same for the same rows, options and seed.
//!
//! Rows join in a random order that the seed decides, or those that are not linked yet join a graph that is there
//! ([`Start`]). The rows of one batch search the graph as it was before the
//! batch, side by side, and choose their links; then the links back are added, each target's by one thread. So no
//! lock is taken, and nothing depends on the order in which threads run. Batches grow with the graph.
//!
//! Invariant: every row can be reached from a hub. Every link is below the number of rows; a row's unused links are
//! [`LINK_NONE`] and stand last.
//! Cost: see `docs/decisions/0006`; memory: the codes, 4 bytes a link and half as much again while it builds.
//! Source: batch insertion as in ParlayANN (Manohar et al. 2024); the choice of links as in DiskANN (Subramanya et
//! al. 2019).

use std::sync::atomic::{AtomicUsize, Ordering};

use types::Metric;

use super::prune::{Near, Pairs, Pruner};
use super::search::TURNS;
use super::start::Start;
use super::walk::{Net, Walk, in_turn};
use super::{Bits, Codes, Fine, LINK_NONE, Options, Progress, Room, shuffled};
use crate::codes::{Nav, Nibbles, Reader, Vectors};
use crate::kernels::{Isa, Kernel, Task, run};

/// A batch is at most this part of the rows that are linked already ...
const BATCH_OF_LINKED: usize = 4;
/// ... and this part of all rows.
const BATCH_OF_ALL: usize = 50;

/// Beyond its degree a row takes this part of it in further links before it is pruned.
const SLACK_OF_DEGREE: usize = 2;

/// Rows that a thread takes at once.
const TURN_ROWS: usize = 16;

/// A graph under way.
pub(super) struct Builder<'a> {
    codes: &'a Codes,
    vectors: Fine<'a>,
    pub(super) options: &'a Options,
    plan: &'a Order,
    pub(super) isa: Isa,
    pub(super) room: usize,
    links: Vec<u32>,
}

/// In which order rows join, and which of them are hubs.
pub(super) struct Order {
    /// First those that are linked already, then hubs, then the others; each drawn by the seed.
    rows: Vec<u32>,
    /// How many are linked already.
    known: usize,
    /// Those that are linked already first, then in the order in which they join.
    pub(super) hubs: Vec<u32>,
    known_hubs: usize,
}

impl Order {
    pub(super) fn new(rows: u32, hub_count: usize, seed: u64, start: Option<&Start<'_>>) -> Self {
        let drawn = shuffled(rows, seed);
        let known = start.map_or_else(|| Bits::new(rows), |start| start.known(rows));
        let is_known = |row: &u32| known.contains(*row);
        let (mut hubs, new_hubs): (Vec<u32>, Vec<u32>) =
            drawn[..hub_count].iter().partition(|row| is_known(row));
        let known_hubs = hubs.len();
        hubs.extend(&new_hubs);
        let (mut rows, others): (Vec<u32>, Vec<u32>) = drawn.iter().partition(|row| is_known(row));
        let known = rows.len();
        rows.extend(&new_hubs);
        rows.extend(others.iter().filter(|row| !new_hubs.contains(row)));
        Self { rows, known, hubs, known_hubs }
    }

    /// The hubs among the first `linked` rows.
    #[inline(always)]
    fn linked_hubs(&self, linked: usize) -> &[u32] {
        &self.hubs[..self.hubs.len().min(self.known_hubs + linked.saturating_sub(self.known))]
    }
}

/// The links that a row has chosen.
struct Choice {
    row: u32,
    links: Vec<u32>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        codes: &'a Codes,
        vectors: Fine<'a>,
        options: &'a Options,
        plan: &'a Order,
        isa: Isa,
    ) -> Self {
        let room = options.degree + options.degree / SLACK_OF_DEGREE;
        let links = vec![LINK_NONE; plan.rows.len() * room];
        Self { codes, vectors, options, plan, isa, room, links }
    }

    /// Links every row; the links of each, `degree` long. Nothing if it was cancelled.
    pub(super) fn build(mut self, start: Option<&Start<'_>>, progress: &dyn Progress) -> Option<Vec<u32>> {
        if let Some(start) = start {
            let mut links = std::mem::take(&mut self.links);
            start.carry(&self, &mut links);
            self.links = links;
        }
        let rows = self.plan.rows.len();
        let mut linked = self.plan.known.max(1).min(rows);
        while linked < rows {
            if progress.is_cancelled() {
                return None;
            }
            let batch = (linked / BATCH_OF_LINKED).min(rows / BATCH_OF_ALL).max(1);
            let end = rows.min(linked + batch);
            let choices = self.choices(linked, end);
            self.link_back(&choices);
            linked = end;
            progress.built(linked as u32);
        }
        Some(self.finish())
    }

    /// The links of the rows of a batch, by what is linked before it.
    fn choices(&self, linked: usize, end: usize) -> Vec<Choice> {
        let next = AtomicUsize::new(linked);
        let mut all = self
            .on_threads(end - linked, |_| run(self.isa, Choose { builder: self, linked, end, next: &next }));
        let mut choices: Vec<Choice> = all.drain(..).flatten().collect();
        choices.sort_unstable_by_key(|choice| choice.row);
        choices
    }

    /// Runs work on as many threads as there are, and no more than there is work for.
    fn on_threads<T: Send>(&self, work: usize, task: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let threads = self.options.threads.min(work.div_ceil(TURN_ROWS)).max(1);
        if threads == 1 {
            return vec![task(0)];
        }
        std::thread::scope(|scope| {
            let task = &task;
            let started: Vec<_> = (0..threads).map(|thread| scope.spawn(move || task(thread))).collect();
            let ended = started.into_iter().map(|thread| {
                // A panic of a thread is this thread's panic.
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            ended.collect()
        })
    }

    /// Writes the links of a batch, and links back from each of their targets.
    fn link_back(&mut self, choices: &[Choice]) {
        for choice in choices {
            let at = choice.row as usize * self.room;
            self.links[at..at + choice.links.len()].copy_from_slice(&choice.links);
        }
        let mut edges: Vec<(u32, u32)> = choices
            .iter()
            .flat_map(|choice| choice.links.iter().map(|target| (*target, choice.row)))
            .collect();
        edges.sort_unstable();
        let parts = self.options.threads.max(1);
        let mut links = std::mem::take(&mut self.links);
        let mut rest = links.as_mut_slice();
        let (mut from, mut first) = (0, 0);
        std::thread::scope(|scope| {
            for part in 0..parts {
                let mut to = edges.len() * (part + 1) / parts;
                while to < edges.len() && to > from && edges[to].0 == edges[to - 1].0 {
                    to += 1;
                }
                let to = to.max(from);
                let past = if to < edges.len() { edges[to].0 as usize } else { self.plan.rows.len() };
                let (own, others) = std::mem::take(&mut rest).split_at_mut((past - first) * self.room);
                let task = LinkBack { builder: self, links: own, first, edges: &edges[from..to] };
                rest = others;
                (from, first) = (to, past);
                if part + 1 == parts {
                    run(self.isa, task);
                } else {
                    let isa = self.isa;
                    scope.spawn(move || run(isa, task));
                }
            }
        });
        self.links = links;
    }

    /// Prunes every row to its degree.
    fn finish(mut self) -> Vec<u32> {
        let rows_of_part = self.plan.rows.len().div_ceil(self.options.threads.max(1)).max(1);
        let mut links = std::mem::take(&mut self.links);
        let builder = &self;
        std::thread::scope(|scope| {
            for (part, links) in links.chunks_mut(rows_of_part * builder.room).enumerate() {
                let first = part * rows_of_part;
                scope.spawn(move || run(builder.isa, Finish { builder, links, first }));
            }
        });
        let degree = self.options.degree;
        links.chunks_exact(self.room).flat_map(|links| links[..degree].iter().copied()).collect()
    }

    /// Whether rows are looked for by their squared distance, which for rows of one length ranks as the metric does.
    fn is_unit(&self) -> bool {
        self.codes.codec.nav != Nav::Vectors && self.codes.codec.is_unit()
    }

    /// Whether the estimates of a walk are squared distances between rows. Under the inner product rows of different
    /// lengths are looked for as queries look for them: on clustered rows of 100 elements the recall of a window of 40
    /// was 1.00 so, and 0.95 where they were looked for by distance.
    fn is_squared(&self) -> bool {
        let codec = &self.codes.codec;
        self.is_unit() || (codec.nav != Nav::Vectors && codec.metric == Metric::Euclid)
    }

    fn net(&self) -> Net<'_> {
        Net { links: &self.links, degree: self.room, rows: self.plan.rows.len() as u32 }
    }

    pub(super) fn pairs(&self) -> Pairs<'a> {
        Pairs::new(self.codes, self.vectors)
    }
}

/// Rows of a batch choose their links.
struct Choose<'b, 'a> {
    builder: &'b Builder<'a>,
    linked: usize,
    end: usize,
    next: &'b AtomicUsize,
}

impl Task for Choose<'_, '_> {
    type Output = Vec<Choice>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Vec<Choice> {
        let Builder { codes, vectors, .. } = *self.builder;
        match codes.codec.nav {
            Nav::Nibbles | Nav::Bits => self.choose(kernel, Nibbles(codes.tier())),
            Nav::Vectors => self.choose(kernel, Vectors { metric: codes.codec.metric, rows: vectors }),
        }
    }
}

impl Choose<'_, '_> {
    #[inline(always)]
    fn choose<K: Kernel, R: Reader>(self, kernel: K, reader: R) -> Vec<Choice> {
        let builder = self.builder;
        let (mut walks, mut pruner, mut pairs) = (<[Walk; TURNS]>::default(), Pruner::new(), builder.pairs());
        let (mut candidates, mut choices, mut vector) = (Vec::new(), Vec::new(), Room::default());
        loop {
            let from = self.next.fetch_add(TURN_ROWS, Ordering::Relaxed);
            if from >= self.end {
                return choices;
            }
            for rows in builder.plan.rows[from..self.end.min(from + TURN_ROWS)].chunks(TURNS) {
                let walks = &mut walks[..rows.len()];
                for (walk, row) in walks.iter_mut().zip(rows) {
                    self.begin(kernel, reader, walk, builder.vectors.held(*row, &mut vector));
                }
                in_turn(kernel, reader, walks, builder.net(), builder.options.window);
                for (walk, row) in walks.iter().zip(rows) {
                    candidates.clear();
                    let found = walk.beam.rows().filter(|(other, _)| other != row);
                    candidates.extend(found.map(|(row, distance)| Near { distance, row }));
                    if !builder.is_squared() {
                        pairs.set(*row);
                        for near in &mut candidates {
                            near.distance = pairs.to(kernel, near.row);
                        }
                    }
                    let mut links = Vec::with_capacity(builder.options.degree);
                    pruner.choose(kernel, &mut pairs, &mut candidates, builder.options.degree, &mut links);
                    choices.push(Choice { row: *row, links });
                }
            }
        }
    }

    /// Prepares a walk that looks for what is near to a vector.
    #[inline(always)]
    fn begin<K: Kernel, R: Reader>(&self, kernel: K, reader: R, walk: &mut Walk, vector: &[f32]) {
        let builder = self.builder;
        if builder.is_unit() {
            walk.query.set_row(kernel, &builder.codes.codec, vector);
        } else {
            walk.query.set(kernel, &builder.codes.codec, vector);
        }
        let window = builder.options.window;
        walk.begin(window, window);
        // The nearest of the hubs that are linked.
        let mut entry = (f32::INFINITY, builder.plan.rows[0]);
        for hub in builder.plan.linked_hubs(self.linked) {
            let estimate = reader.one(kernel, &walk.query, *hub);
            if estimate < entry.0 {
                entry = (estimate, *hub);
            }
        }
        walk.enter(entry.1, entry.0);
    }
}

/// Links back from the rows of one range.
struct LinkBack<'b, 'a> {
    builder: &'b Builder<'a>,
    /// Of rows from `first` on.
    links: &'b mut [u32],
    first: usize,
    /// Target and source, sorted.
    edges: &'b [(u32, u32)],
}

impl Task for LinkBack<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let (room, degree) = (self.builder.room, self.builder.options.degree);
        let (mut pruner, mut pairs) = (Pruner::new(), self.builder.pairs());
        let (mut candidates, mut chosen) = (Vec::new(), Vec::new());
        for edges in self.edges.chunk_by(|a, b| a.0 == b.0) {
            let target = edges[0].0;
            let at = (target as usize - self.first) * room;
            let links = &mut self.links[at..at + room];
            let count = links.iter().position(|link| *link == LINK_NONE).unwrap_or(room);
            let known = |source: &u32| links[..count].contains(source);
            let sources: Vec<u32> = edges.iter().map(|edge| edge.1).filter(|source| !known(source)).collect();
            if count + sources.len() <= room {
                links[count..count + sources.len()].copy_from_slice(&sources);
                continue;
            }
            let all = links[..count].iter().chain(&sources);
            measure(kernel, &mut pairs, target, all, &mut candidates);
            pruner.choose(kernel, &mut pairs, &mut candidates, degree, &mut chosen);
            write(links, &chosen);
        }
    }
}

/// Prunes the rows of one range.
struct Finish<'b, 'a> {
    builder: &'b Builder<'a>,
    links: &'b mut [u32],
    first: usize,
}

impl Task for Finish<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let (room, degree) = (self.builder.room, self.builder.options.degree);
        let (mut pruner, mut pairs) = (Pruner::new(), self.builder.pairs());
        let (mut candidates, mut chosen) = (Vec::new(), Vec::new());
        for (at, links) in self.links.chunks_exact_mut(room).enumerate() {
            let count = links.iter().position(|link| *link == LINK_NONE).unwrap_or(room);
            if count > degree {
                let row = (self.first + at) as u32;
                measure(kernel, &mut pairs, row, links[..count].iter(), &mut candidates);
                pruner.choose(kernel, &mut pairs, &mut candidates, degree, &mut chosen);
                write(links, &chosen);
            }
        }
    }
}

/// The distances of rows from one.
#[inline(always)]
pub(super) fn measure<'l, K: Kernel>(
    kernel: K,
    pairs: &mut Pairs<'_>,
    row: u32,
    others: impl Iterator<Item = &'l u32>,
    measured: &mut Vec<Near>,
) {
    pairs.set(row);
    measured.clear();
    // A loop: kernels in a closure that is not inlined would be called one instruction at a time.
    for other in others {
        measured.push(Near { distance: pairs.to(kernel, *other), row: *other });
    }
}

pub(super) fn write(links: &mut [u32], chosen: &[u32]) {
    links[..chosen.len()].copy_from_slice(chosen);
    links[chosen.len()..].fill(LINK_NONE);
}
