//! What is searched and what is asked: vectors, queries, the true nearest, and labels for filters.
//!
//! Either a folder as the peers' `make_datasets.py` leaves it, or made from a seed; then, if so asked, cut or grown to
//! another number of rows. Rows that are added repeat the others with noise: denser than a real collection of that
//! size, for each query has several near copies of each of its neighbours.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use index::kernels;
use kithdb::{Error, Metric, Result, vector};
use serde_json::Value;

use super::arrays::{self, Array};
use super::truth::Exact;
use crate::clusters::{Clusters, Random};

/// Hits of a query.
pub(crate) const HITS: usize = 10;

/// Stands for a hit where fewer rows match.
pub(super) const NONE: u32 = u32::MAX;

/// Queries of a synthetic set; fewer if it is small.
const QUERIES_MAX: usize = 1_000;

/// What rows are labelled with where the set has no labels: numbers below this.
pub(crate) const LABELS: usize = 1_000;

/// Length of the noise of added rows, as a part of the mean distance between nearest neighbours.
pub(super) const NOISE: f32 = 0.1;

/// Rows whose nearest neighbours are looked for to learn that distance.
const NOISE_SAMPLE: usize = 200;

/// Rows and elements, as `ROWSxDIM`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    rows: usize,
    dim: usize,
}

/// A set of vectors and queries.
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    /// Row after row.
    pub(super) base: Vec<f32>,
    pub(crate) queries: Vec<f32>,
    /// [`HITS`] rows a query, nearest first.
    pub(super) truth: Vec<u32>,
    pub(crate) labels: Labels,
    /// Where the true hits of filters are kept.
    filters: Option<PathBuf>,
}

/// What filters go by.
#[derive(Default)]
pub(crate) struct Labels {
    /// A number from 0 to 999 a row, evenly, whatever its vector is.
    pub(crate) numbers: Vec<u32>,
    /// The cluster of each row; empty if not known.
    pub(super) clusters: Vec<u32>,
    /// For each query its own cluster, and the one farthest from it.
    pub(super) nearest: Vec<u32>,
    pub(super) farthest: Vec<u32>,
}

impl Dataset {
    /// The set of a folder, or one of this shape.
    ///
    /// # Errors
    /// As [`Self::read`]; `InvalidArgument` when there is neither.
    pub(crate) fn of(folder: Option<&Path>, shape: Option<Shape>, threads: usize) -> Result<Self> {
        match (folder, shape) {
            (Some(folder), _) => Self::read(folder),
            (None, Some(shape)) => Ok(Self::synthetic(shape, threads)),
            (None, None) => Err(Error::invalid("data", "is missing, and so is --synthetic")),
        }
    }

    /// A set of a folder: `base.fbin`, `query.fbin`, `gt.u32` and `meta.json`; labels where there are some.
    ///
    /// # Errors
    /// `Io`, `Corrupted`, `UnsupportedFormat`; `InvalidArgument` for vectors that have no distance.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let metric = read_metric(&folder.join("meta.json"))?;
        let mut base = arrays::read_fbin(&folder.join("base.fbin"))?;
        let mut queries = arrays::read_fbin(&folder.join("query.fbin"))?;
        for array in [&mut base, &mut queries] {
            check_all(&mut array.values, array.columns, metric)?;
        }
        if base.columns != queries.columns {
            return Err(Error::corrupted(folder.display(), "its queries have another dimension"));
        }
        let rows = base.values.len() / base.columns;
        let query_count = queries.values.len() / queries.columns;
        let filters = folder.join("filters");
        Ok(Self {
            name: folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned(),
            metric,
            dim: base.columns,
            truth: first_hits(&arrays::read_words(&folder.join("gt.u32"))?, query_count),
            base: base.values,
            queries: queries.values,
            labels: Labels::read(folder, rows)?,
            filters: filters.is_dir().then_some(filters),
        })
    }

    /// Clustered vectors from a seed, with their true nearest.
    pub(super) fn synthetic(shape: Shape, threads: usize) -> Self {
        let mut random = Random::new(0x616e_6e62);
        let clusters = Clusters::new(shape.dim, &mut random);
        let mut draw = |count: usize| -> (Vec<u32>, Vec<f32>) {
            let drawn: Vec<(usize, Vec<f32>)> = (0..count).map(|_| clusters.vector(&mut random)).collect();
            let numbers = drawn.iter().map(|(cluster, _)| *cluster as u32).collect();
            (numbers, drawn.into_iter().flat_map(|(_, vector)| vector).collect())
        };
        let (of_rows, base) = draw(shape.rows);
        let (nearest, queries) = draw(QUERIES_MAX.min(shape.rows / 10).max(1));
        let farthest = nearest.iter().map(|cluster| clusters.opposite(*cluster as usize) as u32).collect();
        let labels = Labels { numbers: numbers(0..shape.rows), clusters: of_rows, nearest, farthest };
        let mut set = Self {
            name: "synthetic".to_owned(),
            metric: Metric::Cosine,
            dim: shape.dim,
            base,
            queries,
            truth: Vec::new(),
            labels,
            filters: None,
        };
        set.truth = set.exact().nearest(&|_, _| true, threads);
        set
    }

    /// Cuts it, or repeats its rows with noise, and finds the true nearest anew.
    ///
    /// # Errors
    /// `InvalidArgument` for a row that noise has made a zero vector.
    pub(super) fn resize(&mut self, rows: usize, threads: usize) -> Result<()> {
        self.resize_without_truth(rows, threads)?;
        self.truth = self.exact().nearest(&|_, _| true, threads);
        Ok(())
    }

    /// Cuts it, or repeats its rows with noise. Its true hits are those of the rows that it had.
    ///
    /// # Errors
    /// As [`Self::resize`].
    pub(crate) fn resize_without_truth(&mut self, rows: usize, threads: usize) -> Result<()> {
        let before = self.rows();
        self.filters = None;
        self.base.truncate(rows * self.dim);
        self.labels.resize(before, rows);
        if rows > before {
            let spread = self.noise_spread(threads);
            self.base.reserve_exact((rows - before) * self.dim);
            let mut random = Random::new(0x6772_6f77);
            for row in before..rows {
                let copied = row % before * self.dim;
                self.base.extend_from_within(copied..copied + self.dim);
                let added = &mut self.base[row * self.dim..];
                add_noise(added, spread, &mut random);
                vector::check(added, self.dim, self.metric)?;
            }
        }
        Ok(())
    }

    /// The spread of each element of the noise that makes a new row of another.
    pub(crate) fn noise_spread(&self, threads: usize) -> f32 {
        NOISE * self.neighbour_distance(threads) / (self.dim as f32).sqrt()
    }

    /// The mean distance, by length of the difference, of some rows from their nearest neighbours.
    fn neighbour_distance(&self, threads: usize) -> f32 {
        let step = (self.rows() / NOISE_SAMPLE).max(1);
        let sample: Vec<usize> = (0..self.rows()).step_by(step).collect();
        let queries: Vec<f32> = sample.iter().flat_map(|row| self.vector(*row)).copied().collect();
        let exact = Exact { metric: Metric::Euclid, queries: &queries, ..self.exact() };
        let nearest = exact.nearest(&|query, row| sample[query] != row, threads);
        let distances = nearest.chunks(HITS).zip(&sample).map(|(hits, row)| match hits[0] {
            NONE => 0.0,
            hit => kernels::distance(Metric::Euclid, self.vector(hit as usize), self.vector(*row)).sqrt(),
        });
        distances.sum::<f32>() / sample.len().max(1) as f32
    }

    /// What finds its true hits.
    pub(super) fn exact(&self) -> Exact<'_> {
        Exact { metric: self.metric, dim: self.dim, base: &self.base, queries: &self.queries }
    }

    pub(crate) fn rows(&self) -> usize {
        self.base.len() / self.dim
    }

    pub(crate) fn query_count(&self) -> usize {
        self.queries.len() / self.dim
    }

    pub(crate) fn vector(&self, row: usize) -> &[f32] {
        &self.base[row * self.dim..][..self.dim]
    }

    /// The true hits under a filter, if the folder has them.
    ///
    /// # Errors
    /// As [`arrays::read_npy`].
    pub(super) fn filter_truth(&self, name: &str) -> Result<Option<Vec<u32>>> {
        let path = self.filters.as_ref().map(|folder| folder.join(format!("{name}.npy")));
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(None) };
        let hits: Vec<u32> = arrays::read_npy(&path)?.values.into_iter().map(i32::cast_unsigned).collect();
        Ok(Some(first_hits(&hits, self.query_count())))
    }
}

impl Labels {
    fn read(folder: &Path, rows: usize) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            path.exists().then(|| arrays::read_npy(&path)).transpose()
        };
        let unsigned =
            |array: Array<i32>| array.values.into_iter().map(i32::cast_unsigned).collect::<Vec<u32>>();
        let numbers = read("attr.npy")?.map_or_else(|| numbers(0..rows), unsigned);
        let (Some(clusters), Some(by_nearness)) = (read("clu.npy")?, read("qclu.npy")?) else {
            return Ok(Self { numbers, ..Self::default() });
        };
        let columns = by_nearness.columns.max(1);
        let by_nearness = unsigned(by_nearness);
        let column = |at: usize| by_nearness.chunks_exact(columns).map(|row| row[at]).collect();
        Ok(Self { numbers, clusters: unsigned(clusters), nearest: column(0), farthest: column(columns - 1) })
    }

    /// Added rows have the clusters of those they repeat, and numbers of their own.
    fn resize(&mut self, before: usize, rows: usize) {
        self.numbers.truncate(rows);
        self.numbers.extend(numbers(before..rows.max(before)));
        if !self.clusters.is_empty() {
            self.clusters.truncate(rows);
            let repeated: Vec<u32> = (before..rows).map(|row| self.clusters[row % before]).collect();
            self.clusters.extend(repeated);
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text.split_once('x').and_then(|(rows, dim)| {
            let shape = Self { rows: rows.parse().ok()?, dim: dim.parse().ok()? };
            (shape.rows > 0 && shape.dim > 0).then_some(shape)
        });
        parsed.ok_or_else(|| "expected rows and elements, as in 100000x384".to_owned())
    }
}

pub(crate) fn add_noise(elements: &mut [f32], spread: f32, random: &mut Random) {
    elements.iter_mut().for_each(|element| *element += spread * random.normal());
}

/// Numbers that rows have by their place alone.
fn numbers(rows: std::ops::Range<usize>) -> Vec<u32> {
    rows.map(|row| Random::new(row as u64).below(LABELS) as u32).collect()
}

fn read_metric(path: &Path) -> Result<Metric> {
    let text = fs::read_to_string(path).map_err(|source| {
        Error::invalid("data", format!("{}: {source}; --synthetic needs no folder", path.display()))
    })?;
    let meta: Value = serde_json::from_str(&text).map_err(|error| Error::corrupted(path.display(), error))?;
    match (meta["metric"].as_str(), meta["cosine"].as_bool()) {
        (Some("l2"), _) => Ok(Metric::Euclid),
        (Some("ip"), Some(true)) => Ok(Metric::Cosine),
        (Some("ip"), _) => Ok(Metric::Dot),
        _ => Err(Error::corrupted(path.display(), "its metric is neither l2 nor ip")),
    }
}

/// Checks each vector as the database does before it takes one.
fn check_all(vectors: &mut [f32], dim: usize, metric: Metric) -> Result<()> {
    vectors.chunks_exact_mut(dim).try_for_each(|elements| vector::check(elements, dim, metric))
}

/// The first [`HITS`] of each query.
fn first_hits(hits: &[u32], queries: usize) -> Vec<u32> {
    let columns = hits.len() / queries.max(1);
    let row = |hits: &[u32]| (0..HITS).map(|at| hits.get(at).copied().unwrap_or(NONE)).collect::<Vec<_>>();
    hits.chunks_exact(columns.max(1)).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Dataset {
        Dataset::synthetic(Shape { rows: 300, dim: 16 }, 2)
    }

    #[test]
    fn a_shape_is_two_numbers() {
        assert_eq!("20x3".parse(), Ok(Shape { rows: 20, dim: 3 }));
        for wrong in ["20", "x3", "20x0", "0x3", "20x3x"] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn added_rows_lie_beside_those_they_repeat() {
        let (before, mut set) = (small(), small());
        set.resize(1_000, 2).expect("no zero vector");
        assert_eq!((set.rows(), set.labels.numbers.len(), set.labels.clusters.len()), (1_000, 1_000, 1_000));
        assert_eq!(set.base[..before.base.len()], before.base);
        let distance = |a, b| kernels::distance(Metric::Euclid, set.vector(a), set.vector(b)).sqrt();
        let typical = before.neighbour_distance(1);
        let noise: f32 = (300..600).map(|row| distance(row, row - 300)).sum::<f32>() / 300.0;
        assert!((0.08..0.12).contains(&(noise / typical)), "{noise} {typical}");
        assert_eq!(set.labels.clusters[700], set.labels.clusters[100]);
        assert_eq!(set.truth.len(), set.query_count() * HITS);
    }

    #[test]
    fn a_smaller_set_has_the_truth_of_its_rows() {
        let mut set = small();
        set.resize(5, 1).expect("no zero vector");
        assert!(set.truth.chunks(HITS).all(|hits| hits.iter().filter(|hit| **hit < 5).count() == 5));
        assert!(set.truth.chunks(HITS).all(|hits| hits[5..] == [NONE; 5]));
    }

    #[test]
    fn a_folder_of_the_peers_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("meta.json"), r#"{"metric": "ip", "cosine": true}"#).expect("a file");
        let vectors = |elements: &[f32]| {
            let head = [elements.len() as u32 / 2, 2];
            let head = head.iter().flat_map(|word| word.to_le_bytes());
            head.chain(elements.iter().flat_map(|element| element.to_le_bytes())).collect::<Vec<u8>>()
        };
        fs::write(path("base.fbin"), vectors(&[3.0, 4.0, 1.0, 0.0])).expect("a file");
        fs::write(path("query.fbin"), vectors(&[0.0, 2.0])).expect("a file");
        arrays::write_words(&path("gt.u32"), &[0, 1]).expect("a file");
        let set = Dataset::read(folder.path()).expect("reads");
        assert_eq!((set.metric, set.dim, set.rows()), (Metric::Cosine, 2, 2));
        assert_eq!((set.vector(0), &*set.queries), (&[0.6, 0.8][..], &[0.0, 1.0][..]));
        assert_eq!(set.truth[..3], [0, 1, NONE]);
        assert_eq!(set.labels.numbers.len(), 2);
    }
}
