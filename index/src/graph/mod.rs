//! The graph of a segment: how it is built from vectors, and how it is searched. Works on slices, knows no file.
//!
//! A search walks over the codes of the nav tier, estimates the best rows anew by both tiers of codes together, and
//! computes the exact distances of the last few from the fine tier, the vectors themselves. What a filter hides is
//! passed over on the way.
//!
//! Invariants: every row returned is shown and has its exact distance; the slices may hold anything of the right
//! length, and nothing is read outside of them. Not for less than some thousand rows: a scan is as fast, and exact.

mod beam;
mod bits;
mod build;
mod calibration;
mod prune;
mod reach;
mod scan;
mod search;
mod start;
mod visited;
mod walk;

use types::{Error, Metric, Result};

pub use crate::codes::Nav;
use crate::codes::{Codec, Tier};
pub use crate::fine::{Fine, Room, Stored};
use crate::kernels::{Isa, Kernel, Task, run};
pub use bits::Bits;
use build::{Builder, Order};
pub use calibration::{Calibration, Choice, Column, Point};
pub use search::{Found, Near};
pub use start::Start;

/// A link that is not there.
pub const LINK_NONE: u32 = u32::MAX;

/// The most links of a row.
pub const LINKS_MAX: usize = 256;

/// Rows of one graph; their numbers and a mark share 32 bits.
pub const ROWS_MAX: usize = 1 << 31;

/// How a graph is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What walks read.
    pub nav: Nav,
    /// Links of a row.
    pub degree: usize,
    /// Rows that the search for a row's candidates keeps in sight.
    pub window: usize,
    /// Decides rotation and order.
    pub seed: u64,
    /// Threads; they do not change what is built.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { nav: Nav::default(), degree: 32, window: 128, seed: 0x6b69_7468, threads }
    }
}

/// Who watches a build.
pub trait Progress: Sync {
    /// So many rows are linked.
    fn built(&self, rows: u32);

    /// Whether to stop; asked every few milliseconds.
    fn is_cancelled(&self) -> bool;
}

impl Progress for () {
    fn built(&self, _rows: u32) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A graph as it is written to a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What [`Graph::open`] needs.
    pub codec: Vec<u8>,
    /// Codes that walks read.
    pub nav: Vec<u8>,
    /// Codes that complete them; may be empty.
    pub rest: Vec<u8>,
    /// `degree` for each row.
    pub links: Vec<u32>,
    /// Their number, the rows where walks begin, then those rows' nav codes again, together.
    pub hubs: Vec<u32>,
}

/// The large parts of a graph, where they lie.
#[derive(Clone, Copy)]
pub struct Tiers<'a> {
    /// See [`Parts::nav`].
    pub nav: &'a [u8],
    /// See [`Parts::rest`].
    pub rest: &'a [u8],
    /// See [`Parts::links`].
    pub links: &'a [u32],
    /// See [`Parts::hubs`].
    pub hubs: &'a [u32],
    /// The vectors.
    pub fine: Fine<'a>,
}

/// Which rows count.
#[derive(Clone, Copy, Debug)]
pub enum Shows<'a> {
    /// All.
    All,
    /// These.
    Only(&'a Bits),
}

/// How hard to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Rows that a walk keeps in sight: more find more and take longer.
    pub window: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { window: 64 }
    }
}

/// A graph that can be searched: what is small and decoded of it.
pub struct Graph {
    codec: Codec,
    isa: Isa,
}

/// A hub for so many rows ...
const ROWS_PER_HUB: usize = 256;
/// ... but no more than this: they are scanned before each walk.
const HUBS_MAX: usize = 128;

/// Builds the graph of vectors in memory, each checked by `types::vector::check`, from nothing or on a graph of some of
/// them. Nothing if it was cancelled.
///
/// # Panics
/// When there are more than [`ROWS_MAX`] rows or [`LINKS_MAX`] links, which callers' limits exclude; when vectors are
/// not in memory.
pub fn build(
    metric: Metric,
    vectors: Fine<'_>,
    options: &Options,
    start: Option<&Start<'_>>,
    progress: &dyn Progress,
) -> Option<Parts> {
    let rows = vectors.rows();
    assert!(rows < ROWS_MAX && options.degree <= LINKS_MAX, "the graph is too large");
    let isa = Isa::detect();
    // Signs say too little of which rows are near: their graph is that of nibbles.
    let nav = if options.nav == Nav::Bits { Nav::Nibbles } else { options.nav };
    let codes = Codes::of(Codec::learn(metric, vectors, nav, options.seed), vectors, options.threads, isa);
    let hub_count = (rows / ROWS_PER_HUB).clamp(1.min(rows), HUBS_MAX);
    let order = Order::new(rows as u32, hub_count, options.seed, start);
    let mut links = Builder::new(&codes, vectors, options, &order, isa).build(start, progress)?;
    let mut hubs = order.hubs;
    hubs.extend(reach::repair(&mut links, options.degree, rows as u32, &hubs));
    let codes = match options.nav {
        Nav::Bits => {
            let codec = Codec::learn(metric, vectors, Nav::Bits, options.seed);
            Codes::of(codec, vectors, options.threads, isa)
        }
        Nav::Nibbles | Nav::Vectors => codes,
    };
    let hubs = with_codes(&hubs, codes.tier());
    Some(Parts { codec: codes.codec.to_bytes(), nav: codes.nav, rest: codes.rest, links, hubs })
}

/// The codes of all rows.
struct Codes {
    codec: Codec,
    nav: Vec<u8>,
    rest: Vec<u8>,
    /// Of each row, centred: its squared length.
    squares: Vec<f32>,
}

impl Codes {
    fn of(codec: Codec, vectors: Fine<'_>, threads: usize, isa: Isa) -> Self {
        let (layout, rows) = (codec.layout(), vectors.rows());
        let mut nav = vec![0; rows * layout.nav_bytes];
        let mut rest = vec![0; rows * layout.rest_bytes];
        let mut squares = vec![0.0; rows];
        let part = rows.div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let (mut nav, mut rest) = (nav.as_mut_slice(), rest.as_mut_slice());
            for (number, squares) in squares.chunks_mut(part).enumerate() {
                let (own_nav, other_nav) =
                    std::mem::take(&mut nav).split_at_mut(squares.len() * layout.nav_bytes);
                let (own_rest, other_rest) =
                    std::mem::take(&mut rest).split_at_mut(squares.len() * layout.rest_bytes);
                (nav, rest) = (other_nav, other_rest);
                let first = (number * part) as u32;
                let codec = &codec;
                scope.spawn(move || {
                    run(isa, Encode { codec, vectors, first, nav: own_nav, rest: own_rest, squares });
                });
            }
        });
        Self { codec, nav, rest, squares }
    }

    fn tier(&self) -> Tier<'_> {
        Tier { layout: self.codec.layout(), nav: &self.nav, rest: &self.rest }
    }
}

/// Encodes the rows of one thread.
struct Encode<'e> {
    codec: &'e Codec,
    vectors: Fine<'e>,
    first: u32,
    nav: &'e mut [u8],
    rest: &'e mut [u8],
    squares: &'e mut [f32],
}

impl Task for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) {
        let (layout, mut scaled, mut room) = (self.codec.layout(), Vec::new(), Room::default());
        for (row, square) in self.squares.iter_mut().enumerate() {
            let vector = self.vectors.held(self.first + row as u32, &mut room);
            let nav = &mut self.nav[row * layout.nav_bytes..][..layout.nav_bytes];
            let rest = &mut self.rest[row * layout.rest_bytes..][..layout.rest_bytes];
            *square = self.codec.encode(kernel, vector, (nav, rest), &mut scaled);
        }
    }
}

/// All rows in an order that the seed decides.
fn shuffled(rows: u32, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).collect();
    let mut random = types::random::Random(seed);
    for at in (1..order.len()).rev() {
        order.swap(at, (random.draw() % (at as u64 + 1)) as usize);
    }
    order
}

/// The number of hubs, the hubs, their codes.
fn with_codes(hubs: &[u32], tier: Tier<'_>) -> Vec<u32> {
    let mut words = vec![hubs.len() as u32];
    words.extend_from_slice(hubs);
    for hub in hubs {
        let codes = tier.nav(*hub).as_chunks::<4>().0;
        words.extend(codes.iter().map(|word| u32::from_le_bytes(*word)));
    }
    words
}

impl Graph {
    /// A graph by its codec.
    ///
    /// # Errors
    /// `Corrupted` when the codec is not one of this metric and dimension.
    pub fn open(metric: Metric, dim: usize, codec: &[u8]) -> Result<Self> {
        Ok(Self { codec: Codec::from_bytes(metric, dim, codec)?, isa: Isa::detect() })
    }

    /// Whether walks read the vectors themselves, which must be in memory then.
    pub fn reads_vectors(&self) -> bool {
        self.codec.nav == Nav::Vectors
    }

    /// The same graph on another instruction set, for tests.
    #[must_use]
    pub fn on(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// The name of a tier whose length is not that of as many rows as there are vectors, if there is one: `nav`,
    /// `rest`, `links` or `hubs`.
    pub fn misfit(&self, tiers: &Tiers<'_>) -> Option<&'static str> {
        let (layout, rows) = (self.codec.layout(), tiers.fine.rows());
        let hubs = tiers.hubs.first().map_or(0, |count| *count as usize);
        let degree = tiers.links.len().checked_div(rows).unwrap_or(0);
        let has_hubs = tiers.hubs.len() == 1 + hubs + hubs * layout.nav_bytes / 4 && (hubs > 0 || rows == 0);
        let fits = [
            ("nav", tiers.nav.len() == rows * layout.nav_bytes),
            ("rest", tiers.rest.len() == rows * layout.rest_bytes),
            ("links", tiers.links.len() == rows * degree && degree <= LINKS_MAX),
            ("hubs", has_hubs),
        ];
        fits.into_iter().find(|(_, fits)| !fits).map(|(name, _)| name)
    }

    /// Checks the lengths, and that every link and hub is a row and every row can be reached. O(links).
    ///
    /// # Errors
    /// `Corrupted`.
    pub fn check(&self, tiers: &Tiers<'_>) -> Result<()> {
        let rows = tiers.fine.rows() as u32;
        let wrong = |why: &str| Err(Error::corrupted("a graph", why));
        if let Some(tier) = self.misfit(tiers) {
            return wrong(&format!("its {tier} have a wrong length"));
        }
        if tiers.links.iter().any(|link| *link >= rows && *link != LINK_NONE) {
            return wrong("a link leads past the last row");
        }
        let hubs = tiers.hubs.split_first().map_or(&[][..], |(count, rest)| &rest[..*count as usize]);
        if hubs.iter().any(|hub| *hub >= rows) {
            return wrong("a hub is past the last row");
        }
        let degree = tiers.links.len().checked_div(rows as usize).unwrap_or(0);
        match reach::unreachable(tiers.links, degree, rows, hubs).len() {
            0 => Ok(()),
            lost => wrong(&format!("{lost} rows cannot be reached")),
        }
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
