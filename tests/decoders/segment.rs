//! The files of a segment: the first byte chooses a section, whose bytes are the rest, in a file that is sound
//! otherwise and has checksums that agree; or a kind of file, which is the rest. So more is reached than the check of a
//! checksum.
//!
//! Invariant: what opens may answer nonsense, and answers.
//! Cost: a file is written and mapped for each input; in memory, where the system has such a folder.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use index::fields::{self, Fields, Lookups, PartFields};
use index::file::{FileWriter, Kind, Sections};
use index::graph::{Bits, Effort, Nav, Options, Shows};
use index::segment::{Block, Draft, Segment, SpaceSpec, write};
use index::sparse::{self, PartSparse, Sparse};
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use tempfile::TempDir;
use types::{
    Datatype, FieldKind, FieldPath, Filter, Metric, Payload, PointId, Result, SparseVector, Vector, Vectors,
    Version,
};

use crate::{seed, taken};

/// A file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    /// Identities, vectors, graphs.
    Points,
    /// Columns of payload fields.
    Fields,
    /// Lists of sparse vectors.
    Sparse,
}

const FILES: [File; 3] = [File::Points, File::Fields, File::Sparse];

/// What may be replaced. A calibration has none in the sound file, which has too few rows for it.
const SECTIONS: [(File, &[u8; 8]); 34] = [
    (File::Points, b"meta    "),
    (File::Points, b"versions"),
    (File::Points, b"ids     "),
    (File::Points, b"fine 000"),
    (File::Points, b"codec000"),
    (File::Points, b"nav  000"),
    (File::Points, b"rest 000"),
    (File::Points, b"links000"),
    (File::Points, b"hubs 000"),
    (File::Points, b"calib000"),
    (File::Points, b"fine 001"),
    (File::Points, b"rows 001"),
    (File::Points, b"ranks001"),
    (File::Points, b"codec001"),
    (File::Points, b"nav  001"),
    (File::Points, b"rest 001"),
    (File::Points, b"links001"),
    (File::Points, b"hubs 001"),
    (File::Fields, b"fields  "),
    (File::Fields, b"col00000"),
    (File::Fields, b"col00001"),
    (File::Fields, b"col00002"),
    (File::Fields, b"col00003"),
    (File::Fields, b"col00004"),
    (File::Fields, b"col00005"),
    (File::Fields, b"col00006"),
    (File::Fields, b"col00007"),
    (File::Sparse, b"sparse  "),
    (File::Sparse, b"have 000"),
    (File::Sparse, b"dims 000"),
    (File::Sparse, b"ends 000"),
    (File::Sparse, b"rows 000"),
    (File::Sparse, b"vals 000"),
    (File::Sparse, b"tops 000"),
];

const ROWS: u32 = 70;
const DIM: usize = 3;

/// The segment that columns and lists are of.
const MARK: fields::Mark = fields::Mark { rows: ROWS, checksum: 7 };

thread_local! {
    static FOLDER: TempDir = {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        folder.expect("a folder")
    };
}

fn place() -> PathBuf {
    FOLDER.with(|folder| folder.path().join("file"))
}

/// Opens a file, and asks it everything; whether the doctor finds nothing in it.
pub fn run(bytes: &[u8]) -> bool {
    let Some((choice, body)) = bytes.split_first() else { return false };
    let (path, choice) = (place(), usize::from(*choice) % (SECTIONS.len() + FILES.len()));
    let file = match SECTIONS.get(choice) {
        Some((file, kind)) => {
            forge(&path, *file, Kind(**kind), body);
            *file
        }
        None => {
            std::fs::write(&path, body).expect("written");
            FILES[choice - SECTIONS.len()]
        }
    };
    taken(&match file {
        File::Points => ask_points(&path),
        File::Fields => ask_fields(&path),
        File::Sparse => ask_sparse(&path),
    })
}

/// The sections of the sound files.
fn sound() -> &'static [(File, Kind, Vec<u8>)] {
    static SOUND: OnceLock<Vec<(File, Kind, Vec<u8>)>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let path = place();
        let mut all = Vec::new();
        for file in FILES {
            make(&path, file);
            let sections = Sections::open(&path).expect("whole");
            for (_, kind) in SECTIONS.iter().filter(|(of, _)| *of == file) {
                let kind = Kind(**kind);
                if sections.has(kind) {
                    all.push((file, kind, sections.section(kind).expect("a section").to_vec()));
                }
            }
        }
        all
    })
}

fn make(path: &Path, file: File) {
    match file {
        File::Points => {
            let options = Options { threads: 1, ..Options::default() };
            write(path, &mut Rows, &options, &()).expect("written").expect("nobody cancels");
        }
        File::Fields => {
            let (kinds, payloads) = (kinds(), payloads());
            let mut head = Fields::over(Arc::new(kinds.clone()), vec![(0, PartFields::of_head())]);
            head.append(0, &payloads.iter().collect::<Vec<_>>());
            let part = head.parts().next().expect("one part");
            let source = fields::Source { kinds: &kinds, fields: part, moves: None };
            assert!(fields::store(path, &kinds, MARK, &[vec![source]], &()).expect("written"));
        }
        File::Sparse => {
            let vectors: Vec<Vectors> = (0..ROWS).map(sparse_vectors).collect();
            let mut part = PartSparse::of_head();
            part.append(&names(), 0, &vectors.iter().collect::<Vec<_>>());
            let source = sparse::Source { sparse: &part, moves: None };
            assert!(sparse::store(path, &names(), MARK, &[source], &()).expect("written"));
        }
    }
}

/// A sound file with other bytes in one section.
fn forge(path: &Path, file: File, forged: Kind, bytes: &[u8]) {
    // Made before the writer begins: both use the same place.
    let sound = sound();
    let mut writer = FileWriter::create(path).expect("a file");
    let mut put = |kind: Kind, bytes: &[u8]| {
        writer.section(kind).expect("a section").put(bytes).expect("written");
    };
    let of_file = sound.iter().filter(|(of, _, _)| *of == file);
    of_file.filter(|(_, kind, _)| *kind != forged).for_each(|(_, kind, bytes)| put(*kind, bytes));
    put(forged, bytes);
    writer.finish().expect("a file");
}

/// The points of the sound segment: all in one space, two of three in the other.
struct Rows;

impl Draft for Rows {
    fn spaces(&self) -> Vec<SpaceSpec> {
        let spec = |name: &str, metric, datatype, nav| {
            let name = name.to_owned();
            SpaceSpec { name, dim: DIM, metric, datatype, nav }
        };
        vec![
            spec("", Metric::Euclid, Datatype::Float32, Nav::Nibbles),
            spec("other", Metric::Dot, Datatype::Float16, Nav::Bits),
        ]
    }

    fn rows(&mut self) -> Box<dyn Iterator<Item = Result<(Version, PointId)>> + '_> {
        let row = |row: u32| Ok((Version(10 + u64::from(row)), PointId::Num(u64::from(row) * 7)));
        Box::new((0..ROWS).map(row))
    }

    fn vectors(&mut self, space: usize, versions: &[Version], block: &mut Block) -> Result<()> {
        for version in versions {
            let row = version.0 - 10;
            let vector = [row as f32, (row * row % 17) as f32, -1.0];
            let has_vector = space == 0 || !row.is_multiple_of(3);
            block.push(has_vector.then_some(&vector[..]));
        }
        Ok(())
    }
}

fn ask_points(path: &Path) -> Result<()> {
    let segment = Segment::open(path)?;
    let rows = segment.rows();
    for row in 0..rows.saturating_add(2).min(4 * ROWS) {
        black_box((segment.id(row), segment.version(row), segment.row_of(Version(u64::from(row)))));
    }
    let bits = Bits::from_words(vec![0x5555_5555_5555_5555; rows.div_ceil(64) as usize]);
    for space in segment.spaces().iter().filter(|space| space.count() > 0) {
        // As long as the vectors of the file, so it is not longer than that.
        let query = vec![1.0; space.dim()];
        for row in 0..rows.saturating_add(2).min(4 * ROWS) {
            assert!(space.vector(row)?.is_none_or(|vector| vector.len() == space.dim()));
        }
        for shows in [Shows::All, Shows::Only(&bits)] {
            assert!(space.search(&query, shows, 5, Effort::default())?.near.len() <= 5);
        }
        assert!(space.scan(&query, &mut (0..rows), 5)?.len() <= 5);
        assert!(space.scan_codes(&query, 0..rows, 5)?.len() <= 5);
    }
    segment.verify()
}

fn kinds() -> fields::Kinds {
    let named = |kind: FieldKind| (kind.name().parse::<FieldPath>().expect("a path"), kind);
    FieldKind::ALL.into_iter().map(named).collect()
}

/// A value of each kind, or none, or several.
fn payloads() -> Vec<Payload> {
    let value = |row: u32, kind: FieldKind| match kind {
        FieldKind::Keyword => json!(format!("k{}", row % 5)),
        FieldKind::Integer => json!(row),
        FieldKind::Float => json!(f64::from(row) / 2.0),
        FieldKind::Bool => json!(row.is_multiple_of(2)),
        FieldKind::Datetime => json!(format!("2024-01-{:02}", 1 + row % 28)),
        FieldKind::Uuid => json!(format!("f47ac10b-58cc-4372-a567-0e02b2c3d4{row:02}")),
        FieldKind::Geo => json!({"lon": f64::from(row), "lat": 52.5}),
        FieldKind::Text => json!(format!("a word w{row}")),
    };
    let values = |row: u32, kind: FieldKind| match row % 4 {
        0 => json!([value(row, kind), value(row + 1, kind)]),
        3 => Value::Null,
        _ => value(row, kind),
    };
    let payload = |row: u32| {
        let fields = FieldKind::ALL.into_iter().filter(|_| !row.is_multiple_of(11));
        fields.map(|kind| (kind.name().to_owned(), values(row, kind))).collect()
    };
    (0..ROWS).map(payload).collect()
}

fn ask_fields(path: &Path) -> Result<()> {
    let kinds = kinds();
    let stored = Arc::new(fields::Stored::open(path, &kinds, MARK)?);
    let part = vec![(0, PartFields::Stored(Arc::clone(&stored)))];
    let fields = Fields::over(Arc::new(kinds), part);
    let universe: RoaringBitmap = (0..ROWS).collect();
    let none = RoaringBitmap::new;
    let lookups = Lookups { ids: &|_| none(), vectors: &|_| none() };
    for text in [
        "keyword = 'k1' AND NOT keyword = 'k2' AND keyword LIKE 'k%' OR keyword EXCEPT ('k3')",
        "integer > 3 AND integer IN (4, 5, 6) OR float <= 2.5 OR COUNT(integer) > 1",
        "bool = true OR datetime < '2024-01-05' OR uuid = 'f47ac10b-58cc-4372-a567-0e02b2c3d401'",
        "geo WITHIN 500 km OF (13.4, 52.5) OR text CONTAINS 'word w7' OR text CONTAINS PHRASE 'a word'",
        "keyword IS EMPTY OR integer IS NULL OR text IS NOT EMPTY OR geo IS EMPTY",
    ] {
        let filter: Filter = text.parse().expect("a filter");
        black_box(fields.bounds(&filter, &universe, &lookups));
    }
    black_box(fields.bytes());
    stored.verify()
}

fn names() -> [String; 1] {
    ["s".to_owned()]
}

fn sparse_vectors(row: u32) -> Vectors {
    let weights = (0..row % 6).map(|n| (n * 7 + row % 3, 0.5 + n as f32));
    match row % 6 {
        0 => Vec::new(),
        _ => vec![("s".to_owned(), Vector::Sparse(SparseVector::of(weights)))],
    }
}

fn ask_sparse(path: &Path) -> Result<()> {
    let stored = Arc::new(sparse::Stored::open(path, &names(), MARK)?);
    let lists = Sparse::over(Arc::new(names()), vec![(0, PartSparse::Stored(Arc::clone(&stored)))]);
    black_box(lists.sizes(0, "s", &[0, 1, 7, 14]));
    let vector = SparseVector::of([(0, 0.5), (7, 1.5)]);
    for row in 0..ROWS + 2 {
        black_box(lists.holds(0, "s", row, Some(&vector)));
    }
    stored.verify()
}

/// Every section of the sound files, and the files.
pub fn seeds() -> Vec<Vec<u8>> {
    let number = |file: File, kind: Kind| {
        let found = SECTIONS.iter().position(|(of, name)| *of == file && Kind(**name) == kind);
        found.expect("it is one of these")
    };
    let mut seeds: Vec<Vec<u8>> =
        sound().iter().map(|(file, kind, bytes)| seed(number(*file, *kind), bytes)).collect();
    for (position, file) in FILES.into_iter().enumerate() {
        make(&place(), file);
        let bytes = std::fs::read(place()).expect("a file");
        seeds.push(seed(SECTIONS.len() + position, &bytes));
    }
    seeds
}
