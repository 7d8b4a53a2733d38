//! A sealed segment: written from the vectors, then opened in another process and searched over its graph.

use std::path::Path;
use std::time::Instant;

use index::graph::{Effort, Found, Nav, Options, Shows};
use index::segment::{self, Block, Draft, SpaceSpec};
use index::segment::{Segment, Space};
use kithdb::{DEFAULT_VECTOR, Datatype, Error, Memory, PointId, Result, Version};
use serde_json::{Value, json};

use super::cores::Cores;
use super::dataset::{Dataset, HITS};
use super::filters;
use super::job::Job;
use super::measure::{self, Searcher};
use crate::machine;

/// Why a search cannot fail.
pub(super) const READABLE: &str = "the segment was written for this run and is read by nobody else";

/// A segment of one space and all rows, and what its walks read.
struct Rows<'a>(&'a Dataset, Nav);

struct Sealed<'a>(&'a Space);

/// Writes the segment; how long that took and how large it is.
///
/// # Errors
/// What writing returns.
pub(super) fn build(path: &Path, set: &Dataset, options: &Options) -> Result<Value> {
    let began = Instant::now();
    segment::write(path, &mut Rows(set, options.nav), options, &())?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(path)?.len();
    eprintln!("built in {seconds:.1} s");
    Ok(
        json!({ "build_s": seconds, "rows_per_s": set.rows() as f64 / seconds, "disk_mb": bytes as f64 / 1e6 }),
    )
}

/// Opens a segment and measures it.
///
/// # Errors
/// What opening returns.
pub(super) fn measure(path: &Path, memory: Memory, job: &Job, cores: &Cores) -> Result<Value> {
    let before = machine::memory();
    let began = Instant::now();
    let segment = Segment::open(path)?;
    segment.place(|_| memory);
    let space = segment.space(DEFAULT_VECTOR);
    let space = space.ok_or_else(|| Error::corrupted(path.display(), "it lacks the space of the draft"))?;
    let open_seconds = began.elapsed().as_secs_f64();
    let mut figures = measure::all(&Sealed(space), job, cores, before);
    figures["open_s"] = json!(open_seconds);
    if !job.filters.is_empty() {
        cores.take_one();
        figures["filtered"] = json!(filters::measure(space, job));
        cores.take_all();
    }
    Ok(figures)
}

impl Draft for Rows<'_> {
    fn spaces(&self) -> Vec<SpaceSpec> {
        vec![SpaceSpec {
            name: DEFAULT_VECTOR.to_owned(),
            dim: self.0.dim,
            metric: self.0.metric,
            datatype: Datatype::Float32,
            nav: self.1,
        }]
    }

    fn rows(&mut self) -> Box<dyn Iterator<Item = Result<(Version, PointId)>> + '_> {
        Box::new((0..self.0.rows() as u64).map(|row| Ok((Version(row), PointId::Num(row)))))
    }

    fn vectors(&mut self, _space: usize, versions: &[Version], block: &mut Block) -> Result<()> {
        versions.iter().for_each(|version| block.push(Some(self.0.vector(version.0 as usize))));
        Ok(())
    }
}

impl Searcher for Sealed<'_> {
    fn one(&self, query: &[f32], window: usize) -> Found {
        self.0.search(query, Shows::All, HITS, Effort { window }).expect(READABLE)
    }

    fn many(&self, queries: &[&[f32]], window: usize) -> Vec<Found> {
        self.0.search_many(queries, Shows::All, HITS, Effort { window }).expect(READABLE)
    }
}

/// What walks read, by its name.
pub(super) fn parse_nav(name: &str) -> std::result::Result<Nav, String> {
    let names = [Nav::Nibbles, Nav::Bits, Nav::Vectors];
    let found = names.into_iter().find(|nav| nav_name(*nav) == name);
    found.ok_or_else(|| "expected nibbles, bits or vectors".to_owned())
}

/// The name of what walks read.
pub(super) fn nav_name(nav: Nav) -> &'static str {
    match nav {
        Nav::Nibbles => "nibbles",
        Nav::Bits => "bits",
        Nav::Vectors => "vectors",
    }
}
