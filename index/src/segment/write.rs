//! Writing a segment: identities, then the vectors of one space after the other, then the graphs, each with its
//! calibration.
//!
//! Vectors go to the file as they come. Each graph is built over the mapped part of the unfinished file, so what is
//! held at any time is 17 bytes a row, or what one graph is built to; the pages of the vectors are the system's.

use std::path::Path;

use types::{Datatype, Error, ErrorKind, Metric, PointId, Result, Version};

use super::layout::{self, Kinds, Meta, SpaceMeta};
use super::{Space, present};
use crate::file::{Array, FileWriter};
use crate::graph::{self, Bits, Calibration, Fine, Graph, Nav, Options, Parts, Progress, Start, Tiers};

/// Rows whose vectors are asked for at once.
const BLOCK_ROWS: usize = 1024;

/// Where the rows of a segment come from.
pub trait Draft {
    /// The vector spaces.
    fn spaces(&self) -> Vec<SpaceSpec>;

    /// Every row, ascending by version; asked for once.
    fn rows(&mut self) -> Box<dyn Iterator<Item = Result<(Version, PointId)>> + '_>;

    /// Pushes onto the block, for each of these versions and in their order, its vector in the space with this
    /// position, or none. About a thousand versions at once, ascending over all calls; one space after the other.
    /// Vectors are as `types::vector::check` passes them, their elements values of the space's type.
    ///
    /// # Errors
    /// Whatever keeps the segment from being written.
    fn vectors(&mut self, space: usize, versions: &[Version], block: &mut Block) -> Result<()>;

    /// A segment to build the graph of this space on, if there is one of its rows. It must have been verified.
    fn base(&self, space: usize) -> Option<Base<'_>> {
        let _ = space;
        None
    }
}

/// A segment whose rows are among those of a draft.
pub struct Base<'a> {
    /// The segment's space.
    pub space: &'a Space,
    /// For each of its rows, which row of the draft it becomes, ascending; `u32::MAX` for one that goes.
    pub becomes: &'a [u32],
}

/// A vector space of a draft.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceSpec {
    /// Its name.
    pub name: String,
    /// Elements of a vector.
    pub dim: usize,
    /// How distances are measured.
    pub metric: Metric,
    /// What vectors are stored as.
    pub datatype: Datatype,
    /// What walks read.
    pub nav: Nav,
}

/// The vectors of some rows.
pub struct Block {
    dim: usize,
    elements: Vec<f32>,
    has_vector: Vec<bool>,
    /// Whether every vector had the dimension of the space.
    is_fit: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many rows.
    pub rows: u32,
    /// The checksum of the file.
    pub checksum: u32,
}

impl Block {
    fn new(dim: usize) -> Self {
        Self { dim, elements: Vec::new(), has_vector: Vec::new(), is_fit: true }
    }

    /// The vector of the next row, if it has one.
    pub fn push(&mut self, vector: Option<&[f32]>) {
        self.elements.extend_from_slice(vector.unwrap_or_default());
        self.has_vector.push(vector.is_some());
        self.is_fit &= vector.is_none_or(|vector| vector.len() == self.dim);
    }

    fn clear(&mut self) {
        self.elements.clear();
        self.has_vector.clear();
    }
}

/// Writes a segment to `path`, durably; nothing if it was cancelled. Unless it succeeds there is no file.
///
/// # Errors
/// What the draft returns; `Io`; `LimitExceeded`; `Internal` for a draft that breaks its promises.
pub fn write(
    path: &Path,
    draft: &mut dyn Draft,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Option<Written>> {
    let specs = draft.spaces();
    check_specs(&specs)?;
    let mut file = FileWriter::create(path)?;
    let versions = write_rows(&mut file, draft)?;
    let rows = u32::try_from(versions.len()).expect("`write_rows` has counted");
    let (mut spaces, mut presents) = (Vec::new(), Vec::new());
    for (number, spec) in specs.iter().enumerate() {
        let source = Source { draft, number, versions: &versions, progress };
        let Some(present) = write_vectors(&mut file, source, spec)? else { return Ok(None) };
        let count = present.iter().map(|word| word.count_ones()).sum();
        presents.push(Bits::from_words(present.clone()));
        if count > 0 && count < rows {
            write_present(&mut file, &Kinds::of(number), &present)?;
        }
        let SpaceSpec { name, dim, metric, datatype, .. } = spec.clone();
        spaces.push(SpaceMeta { name, dim: dim as u32, metric, datatype, count });
    }
    for (number, spec) in specs.iter().enumerate().filter(|(number, _)| spaces[*number].count > 0) {
        let options = Options { nav: spec.nav, ..options.clone() };
        let start = draft.base(number).map(|base| base.space.start(base.becomes, &presents[number]));
        if !write_graph(&mut file, &Kinds::of(number), spec, (&options, start), progress)? {
            return Ok(None);
        }
    }
    file.section(layout::META)?.put(&layout::encode_meta(&Meta { rows, spaces }))?;
    Ok(Some(Written { rows, checksum: file.finish()? }))
}

/// Builds, measures and writes the graph of a space whose vectors are written; whether it was not cancelled.
fn write_graph(
    file: &mut FileWriter,
    kinds: &Kinds,
    spec: &SpaceSpec,
    (options, start): (&Options, Option<Start<'_>>),
    progress: &dyn Progress,
) -> Result<bool> {
    let (bytes, reader) = (file.array::<u8>(kinds.fine)?, file.reader(kinds.fine)?);
    let vectors = Fine::mapped(spec.datatype, spec.dim, &bytes)?;
    let parts = graph::build(spec.metric, vectors, options, start.as_ref(), progress);
    let Some(parts) = parts else { return Ok(false) };
    let graph = Graph::open(spec.metric, spec.dim, &parts.codec)?;
    let Parts { nav, rest, links, hubs, .. } = &parts;
    let fine = if graph.reads_vectors() {
        vectors
    } else {
        Fine::stored(spec.datatype, spec.dim, vectors.rows(), &reader)
    };
    let tiers = Tiers { nav, rest, links, hubs, fine };
    let calibration = Calibration::measure(&graph, &tiers, vectors, options, progress)?;
    let Some(calibration) = calibration else { return Ok(false) };
    write_parts(file, kinds, &parts)?;
    if calibration.is_measured() {
        file.section(kinds.calib)?.put(&calibration.to_bytes())?;
    }
    Ok(true)
}

fn check_specs(specs: &[SpaceSpec]) -> Result<()> {
    if specs.len() > layout::SPACES_MAX {
        return Err(Error::limit("vectors", "the number of spaces", specs.len(), layout::SPACES_MAX));
    }
    let name_bytes_max = usize::from(u16::MAX);
    if let Some(spec) = specs.iter().find(|spec| spec.name.len() > name_bytes_max) {
        return Err(Error::limit("vectors", "the length of a name", spec.name.len(), name_bytes_max));
    }
    let is_fit = |spec: &SpaceSpec| spec.dim > 0 && u32::try_from(spec.dim).is_ok();
    if specs.iter().all(is_fit) { Ok(()) } else { Err(broken("a space has vectors without elements")) }
}

/// Writes versions and ids, and returns the former from the file.
fn write_rows(file: &mut FileWriter, draft: &mut dyn Draft) -> Result<Array<u64>> {
    let mut ids = Vec::new();
    let mut last = None;
    let mut section = file.section(layout::VERSIONS)?;
    for row in draft.rows() {
        let (version, id) = row?;
        if last.is_some_and(|last| last >= version) {
            return Err(broken("versions do not ascend"));
        }
        last = Some(version);
        section.put(&version.0.to_le_bytes())?;
        ids.extend_from_slice(&layout::encode_id(id));
    }
    let rows = ids.len() / layout::ID_BYTES;
    if rows == 0 {
        return Err(broken("it has no rows"));
    }
    if u32::try_from(rows).is_err() {
        return Err(Error::limit("rows", "the number of rows", rows, u32::MAX as usize));
    }
    file.section(layout::IDS)?.put(&ids)?;
    file.array(layout::VERSIONS)
}

/// The vectors of one space.
struct Source<'a> {
    draft: &'a mut dyn Draft,
    number: usize,
    versions: &'a [u64],
    progress: &'a dyn Progress,
}

/// Writes the vectors of one space, and returns a bit for each row that has one; nothing if it was cancelled.
fn write_vectors(file: &mut FileWriter, source: Source<'_>, spec: &SpaceSpec) -> Result<Option<Vec<u64>>> {
    let Source { draft, number, versions, progress } = source;
    let mut section = file.section(Kinds::of(number).fine)?;
    let mut present = vec![0; versions.len().div_ceil(64)];
    let (mut block, mut bytes) = (Block::new(spec.dim), Vec::new());
    let mut row = 0;
    for versions in versions.chunks(BLOCK_ROWS) {
        if progress.is_cancelled() {
            return Ok(None);
        }
        block.clear();
        let versions: Vec<Version> = versions.iter().copied().map(Version).collect();
        draft.vectors(number, &versions, &mut block)?;
        if !block.is_fit || block.has_vector.len() != versions.len() {
            return Err(broken("a block has other vectors than those asked for"));
        }
        bytes.clear();
        spec.datatype.encode(&block.elements, &mut bytes);
        section.put(&bytes)?;
        for &has_vector in &block.has_vector {
            present[row / 64] |= u64::from(has_vector) << (row % 64);
            row += 1;
        }
    }
    Ok(Some(present))
}

fn write_present(file: &mut FileWriter, kinds: &Kinds, bits: &[u64]) -> Result<()> {
    let (rows, ranks) = present::encode(bits);
    file.section(kinds.rows)?.put(bytemuck::cast_slice(&rows))?;
    file.section(kinds.ranks)?.put(bytemuck::cast_slice(&ranks))
}

fn write_parts(file: &mut FileWriter, kinds: &Kinds, parts: &Parts) -> Result<()> {
    file.section(kinds.codec)?.put(&parts.codec)?;
    file.section(kinds.nav)?.put(&parts.nav)?;
    file.section(kinds.rest)?.put(&parts.rest)?;
    file.section(kinds.links)?.put(bytemuck::cast_slice(&parts.links))?;
    file.section(kinds.hubs)?.put(bytemuck::cast_slice(&parts.hubs))
}

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the draft of a segment is no draft: {why}"))
}
