//! The core of a vector space: what is built from its vectors, and how that is searched. It works on slices and knows
//! no file. Exact: every search is a scan.

use types::{Error, Metric, Result};

use crate::kernels;

/// How a graph is built.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// How much a search spends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {}

/// What is built from the vectors.
pub struct Parts {
    /// What a search needs to know of the codes.
    pub codec: Vec<u8>,
    /// What a walk reads.
    pub nav: Vec<u8>,
    /// What completes it.
    pub rest: Vec<u8>,
    /// Neighbours.
    pub links: Vec<u32>,
    /// Where walks begin.
    pub hubs: Vec<u32>,
}

/// Who watches a build.
pub trait Progress: Sync {
    /// So many rows are built.
    fn built(&self, rows: u32);
    /// Whether it should end now.
    fn is_cancelled(&self) -> bool;
}

impl Progress for () {
    fn built(&self, _rows: u32) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// The sections of a space.
#[derive(Clone, Copy)]
pub struct Tiers<'a> {
    /// As in [`Parts`].
    pub nav: &'a [u8],
    /// As in [`Parts`].
    pub rest: &'a [u8],
    /// As in [`Parts`].
    pub links: &'a [u32],
    /// As in [`Parts`].
    pub hubs: &'a [u32],
    /// The vectors.
    pub fine: &'a [f32],
}

/// A set of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    /// The set with these words.
    pub fn from_words(words: Vec<u64>) -> Self {
        let count = words.iter().map(|word| word.count_ones()).sum();
        Self { words, count }
    }

    /// Its words; bit `n % 64` of word `n / 64` is row `n`.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Rows in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether a row is in the set.
    pub fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

/// What a search may see.
#[derive(Clone, Copy)]
pub enum Shows<'a> {
    /// Every row.
    All,
    /// These.
    Only(&'a Bits),
}

/// A row and its exact distance.
pub type Near = (u32, f32);

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Sorted by (distance, row).
    pub near: Vec<Near>,
    /// Rows whose links were read.
    pub hops: u32,
    /// Distances computed.
    pub distances: u32,
}

/// Builds a graph; nothing if it was cancelled.
pub fn build(
    metric: Metric,
    dim: usize,
    vectors: &[f32],
    _options: &Options,
    progress: &dyn Progress,
) -> Option<Parts> {
    let rows = (vectors.len() / dim) as u32;
    progress.built(rows);
    let parts = Parts {
        codec: vec![metric as u8],
        nav: vec![0; rows as usize],
        rest: vec![0; rows as usize],
        links: (0..rows).collect(),
        hubs: vec![0],
    };
    (!progress.is_cancelled()).then_some(parts)
}

/// A graph.
pub struct Graph {
    metric: Metric,
    dim: usize,
}

impl Graph {
    /// Reads a codec.
    ///
    /// # Errors
    /// `Corrupted`.
    pub fn open(metric: Metric, dim: usize, codec: &[u8]) -> Result<Self> {
        if codec != [metric as u8] {
            return Err(Error::corrupted("the codec", "it is of another metric"));
        }
        Ok(Self { metric, dim })
    }

    /// Whether lengths agree and links are in range.
    ///
    /// # Errors
    /// `Corrupted`.
    pub fn check(&self, tiers: &Tiers<'_>) -> Result<()> {
        let rows = tiers.fine.len() / self.dim;
        let agree = [tiers.nav.len(), tiers.rest.len(), tiers.links.len()] == [rows; 3];
        if agree && tiers.links.iter().chain(tiers.hubs).all(|row| (*row as usize) < rows) {
            Ok(())
        } else {
            Err(Error::corrupted("the links", "a row is out of range"))
        }
    }

    /// The nearest rows that show.
    pub fn search(
        &self,
        tiers: &Tiers<'_>,
        query: &[f32],
        shows: &Shows<'_>,
        k: usize,
        _effort: Effort,
    ) -> Found {
        let rows = 0..(tiers.fine.len() / self.dim) as u32;
        let shows = |row: &u32| match shows {
            Shows::All => true,
            Shows::Only(bits) => bits.contains(*row),
        };
        Found { near: self.scan(tiers, query, &mut rows.filter(shows), k), hops: 0, distances: 0 }
    }

    /// Several searches.
    pub fn search_many(
        &self,
        tiers: &Tiers<'_>,
        queries: &[&[f32]],
        shows: &Shows<'_>,
        k: usize,
        effort: Effort,
    ) -> Vec<Found> {
        queries.iter().map(|query| self.search(tiers, query, shows, k, effort)).collect()
    }

    /// The nearest of some rows, exactly.
    pub fn scan(
        &self,
        tiers: &Tiers<'_>,
        query: &[f32],
        rows: &mut dyn Iterator<Item = u32>,
        k: usize,
    ) -> Vec<Near> {
        let vector = |row: u32| tiers.fine.get(row as usize * self.dim..)?.get(..self.dim);
        let distance = |row| Some((row, kernels::distance(self.metric, query, vector(row)?)));
        let mut near: Vec<Near> = rows.filter_map(distance).collect();
        near.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        near.truncate(k);
        near
    }
}
