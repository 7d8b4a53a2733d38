//! Segments beside a plain model; and damaged, cancelled and impossible ones.

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tempfile::TempDir;
use types::{Datatype, Error, ErrorKind, Metric};
use uuid::Uuid;

use super::*;
use crate::file::{FileWriter, Kind};
use crate::graph::{Bits, Effort, Nav, Options, Progress, Shows};
use crate::kernels;

const DIM: usize = 3;
const NAMES: [&str; 2] = ["", "other"];

/// A row as it is drafted: its identity, and a vector or none in each space.
#[derive(Clone, Debug)]
struct Row {
    version: Version,
    id: PointId,
    vectors: [Option<Vec<f32>>; 2],
}

#[derive(Clone, Debug)]
struct Plain {
    metrics: [Metric; 2],
    datatypes: [Datatype; 2],
    navs: [Nav; 2],
    rows: Vec<Row>,
}

impl Draft for Plain {
    fn spaces(&self) -> Vec<SpaceSpec> {
        let spec = |space: usize| SpaceSpec {
            name: NAMES[space].to_owned(),
            dim: DIM,
            metric: self.metrics[space],
            datatype: self.datatypes[space],
            nav: self.navs[space],
        };
        vec![spec(0), spec(1)]
    }

    fn rows(&mut self) -> Box<dyn Iterator<Item = Result<(Version, PointId)>> + '_> {
        Box::new(self.rows.iter().map(|row| Ok((row.version, row.id))))
    }

    fn vectors(&mut self, space: usize, versions: &[Version], block: &mut Block) -> Result<()> {
        for version in versions {
            let found =
                self.rows.binary_search_by_key(version, |row| row.version).expect("a row of this draft");
            block.push(self.rows[found].vectors[space].as_deref());
        }
        Ok(())
    }
}

/// About so many rows: versions mostly dense, `missing` of 100 vectors missing.
fn plain(rows: usize, missing: u32) -> impl Strategy<Value = Plain> {
    let metric = || prop::sample::select(Metric::ALL.to_vec());
    let vector =
        prop::collection::vec(-3_i8..4, DIM).prop_filter("no direction", |v| v.iter().any(|x| *x != 0));
    let vector = move || {
        (0_u32..100, vector.clone()).prop_map(move |(roll, vector)| (roll >= missing).then_some(vector))
    };
    let row =
        (prop_oneof![9 => Just(1_u64), 1 => 2_u64..50], any::<bool>(), any::<u64>(), vector(), vector());
    let datatype = || prop::sample::select(Datatype::ALL.to_vec());
    let nav = || prop::sample::select(vec![Nav::Nibbles, Nav::Bits, Nav::Vectors]);
    let space = move || {
        (metric(), datatype(), nav()).prop_map(|(metric, datatype, nav)| match datatype.check(metric) {
            Ok(()) => (metric, datatype, nav),
            Err(_) => (metric, Datatype::Float16, nav),
        })
    };
    ((space(), space()), prop::collection::vec(row, 1..rows)).prop_map(|((first, second), drawn)| {
        let mut version = 0;
        let row = |(gap, is_num, number, a, b): (u64, bool, u64, Option<Vec<i8>>, Option<Vec<i8>>)| {
            version += gap;
            let uuid = || PointId::Uuid(Uuid::from_u64_pair(number, version));
            let checked = |vector: Option<Vec<i8>>, (metric, datatype, _): (Metric, Datatype, Nav)| {
                let is_whole = datatype == Datatype::Uint8;
                let element = |element: i8| f32::from(if is_whole { element.abs() } else { element });
                let mut vector: Vec<f32> = vector?.into_iter().map(element).collect();
                let spec = types::VectorSpec::new(DIM, metric).stored_as(datatype);
                spec.admit(&mut vector).expect("no direction was filtered out");
                Some(vector)
            };
            Row {
                version: Version(version),
                id: if is_num { PointId::Num(number) } else { uuid() },
                vectors: [checked(a, first), checked(b, second)],
            }
        };
        Plain {
            metrics: [first.0, second.0],
            datatypes: [first.1, second.1],
            navs: [first.2, second.2],
            rows: drawn.into_iter().map(row).collect(),
        }
    })
}

/// A fixed draft whose second space lacks every third vector.
fn fixed(rows: u64) -> Plain {
    // Whole numbers below 2048 are values of every type of floats.
    let vector = |row: u64| vec![(row % 2048) as f32, (row * row % 17) as f32, -1.0];
    let row = |row: u64| Row {
        version: Version(10 + row),
        id: PointId::Num(row * 7),
        vectors: [Some(vector(row)), (!row.is_multiple_of(3)).then(|| vector(row + 1))],
    };
    Plain {
        metrics: [Metric::Euclid, Metric::Dot],
        datatypes: [Datatype::Float32, Datatype::Float16],
        navs: [Nav::Nibbles, Nav::Bits],
        rows: (0..rows).map(row).collect(),
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("1.seg");
    (folder, path)
}

fn written(draft: &mut Plain, path: &Path) -> Written {
    write(path, draft, &Options::default(), &()).expect("a draft").expect("nobody cancels")
}

/// The nearest of the rows that are accepted, by definition.
fn nearest(
    plain: &Plain,
    space: usize,
    query: &[f32],
    accept: &dyn Fn(u32) -> bool,
    k: usize,
) -> Vec<(u32, f32)> {
    let rows = (0_u32..).zip(&plain.rows).filter(|(row, _)| accept(*row));
    let distance = |(row, drafted): (u32, &Row)| {
        let vector = drafted.vectors[space].as_deref()?;
        Some((row, kernels::distance(plain.metrics[space], query, vector)))
    };
    let mut near: Vec<(u32, f32)> = rows.filter_map(distance).collect();
    near.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    near.truncate(k);
    near
}

fn check_identities(plain: &Plain, segment: &Segment) -> TestCaseResult {
    prop_assert_eq!(segment.rows() as usize, plain.rows.len());
    for (row, drafted) in (0..).zip(&plain.rows) {
        prop_assert_eq!(segment.version(row), Some(drafted.version));
        prop_assert_eq!(segment.id(row), Some(drafted.id));
        prop_assert_eq!(segment.row_of(drafted.version), Some(row));
    }
    let (first, last) = segment.versions();
    prop_assert_eq!((first, last), (plain.rows[0].version, plain.rows[plain.rows.len() - 1].version));
    let known = |version: u64| plain.rows.iter().any(|row| row.version.0 == version);
    for version in (0..last.0 + 3).filter(|version| !known(*version)) {
        prop_assert_eq!(segment.row_of(Version(version)), None);
    }
    prop_assert_eq!((segment.version(segment.rows()), segment.id(u32::MAX)), (None, None));
    Ok(())
}

/// Whether these are some of all that there are, in order: a search may miss, never lie.
fn check_found(found: &[(u32, f32)], all: &[(u32, f32)]) -> TestCaseResult {
    let mut all = all.iter();
    prop_assert!(found.iter().all(|near| all.any(|known| known == near)), "{:?}", found);
    Ok(())
}

/// Everything that a space answers.
fn check_space(
    plain: &Plain,
    segment: &Segment,
    number: usize,
    accept: &dyn Fn(u32) -> bool,
) -> TestCaseResult {
    let space = segment.space(NAMES[number]).expect("a space");
    prop_assert_eq!((space.dim(), space.metric()), (DIM, plain.metrics[number]));
    let vectors = || plain.rows.iter().map(|row| row.vectors[number].as_deref());
    prop_assert_eq!(space.count() as usize, vectors().flatten().count());
    for (row, vector) in (0..).zip(vectors()) {
        let read = space.vector(row).expect("reads");
        prop_assert_eq!(read.as_deref(), vector);
    }
    for row in [segment.rows(), u32::MAX] {
        prop_assert_eq!(space.vector(row).expect("reads nothing"), None);
    }
    let mut words = vec![0; plain.rows.len().div_ceil(64) + 1];
    (0..segment.rows() + 9)
        .filter(|row| accept(*row))
        .for_each(|row| words[row as usize / 64] |= 1 << (row % 64));
    let bits = Bits::from_words(words);
    let query = [0.6, 0.0, -0.8];
    let all = nearest(plain, number, &query, &|_| true, 10);
    let some = nearest(plain, number, &query, accept, 10);
    let scan = |accept: &dyn Fn(u32) -> bool| {
        space.scan(&query, &mut (0..segment.rows() + 9).filter(|row| accept(*row)), 10).expect("reads")
    };
    prop_assert_eq!((&scan(&|_| true), &scan(accept)), (&all, &some));
    let search = |shows: Shows<'_>| space.search(&query, shows, 10, Effort::default()).expect("reads").near;
    let (found_all, found_some) = (search(Shows::All), search(Shows::Only(&bits)));
    prop_assert_eq!((found_all.len(), found_some.is_empty()), (all.len(), some.is_empty()));
    prop_assert!(found_some.len() <= 10);
    check_found(&found_all, &nearest(plain, number, &query, &|_| true, usize::MAX))?;
    check_found(&found_some, &nearest(plain, number, &query, accept, usize::MAX))?;
    let many = space.search_many(&[&query, &query], Shows::Only(&bits), 10, Effort::default());
    let many = many.expect("reads");
    prop_assert!(many.len() == 2 && many.iter().all(|found| found.near == found_some));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_segment_is_what_was_drafted(
        mut plain in prop_oneof![plain(200, 0), plain(200, 30), plain(40, 95)],
        salt in 1_u32..1000,
    ) {
        let (folder, path) = folder();
        let written = written(&mut plain, &path);
        let segment = Segment::open(&path).expect("whole");
        segment.verify().expect("whole");
        prop_assert_eq!(written, Written { rows: segment.rows(), checksum: segment.checksum() });
        prop_assert_eq!(segment.bytes(), fs::metadata(&path).expect("a file").len());
        check_identities(&plain, &segment)?;
        let accept = |row: u32| !(row * salt % 7).is_multiple_of(3);
        check_space(&plain, &segment, 0, &accept)?;
        check_space(&plain, &segment, 1, &accept)?;
        prop_assert!(segment.space("third").is_none() && segment.spaces().len() == 2);
        prop_assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn numbers_are_found_and_no_others(
        gaps in prop::collection::vec(prop_oneof![Just(1_u64), 1_u64..5, Just(1 << 54)], 0..300),
        wanted in prop::collection::vec(0_u64..400, 20),
    ) {
        let numbers: Vec<u64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
        for number in numbers.iter().chain(&wanted) {
            prop_assert_eq!(find(&numbers, *number), numbers.binary_search(number).ok());
        }
    }
}

#[test]
fn blocks_join_without_a_seam() {
    let (_folder, path) = folder();
    let mut plain = fixed(2500);
    written(&mut plain, &path);
    let segment = Segment::open(&path).expect("whole");
    segment.verify().expect("whole");
    check_identities(&plain, &segment).expect("as drafted");
    for number in [0, 1] {
        check_vectors(&plain, &segment, number);
    }
}

fn check_vectors(plain: &Plain, segment: &Segment, number: usize) {
    let space = segment.space(NAMES[number]).expect("a space");
    for (row, drafted) in (0..).zip(&plain.rows) {
        assert_eq!(space.vector(row).expect("reads"), drafted.vectors[number], "row {row}");
    }
}

#[test]
fn one_draft_gives_one_file() {
    let (folder, path) = folder();
    let other = folder.path().join("2.seg");
    assert_eq!(written(&mut fixed(100), &path), written(&mut fixed(100), &other));
    assert_eq!(fs::read(path).expect("a file"), fs::read(other).expect("a file"));
}

#[test]
fn a_calibration_is_measured_and_done_without_when_it_is_damaged() {
    let (_folder, path) = folder();
    let calib = Kinds::of(0).calib;
    written(&mut fixed(1100), &path);
    let segment = Segment::open(&path).expect("whole");
    segment.verify().expect("whole");
    // The second space has too few vectors.
    let measured =
        |segment: &Segment| [0, 1].map(|space| segment.spaces()[space].calibration().is_measured());
    assert_eq!(measured(&segment), [true, false]);
    let sections = Sections::open(&path).expect("whole");
    assert!(sections.has(calib) && !sections.has(Kinds::of(1).calib));
    let bytes = sections.section(calib).expect("a section").to_vec();
    let longer = [&bytes[..], &[0; 4]].concat();
    let mut flipped = fs::read(&path).expect("a file");
    let at = flipped.windows(bytes.len()).position(|window| window == bytes).expect("a section");
    flipped[at + bytes.len() / 2] ^= 1;
    fs::write(&path, &flipped).expect("written");
    let check = |why: &str| {
        let segment = Segment::open(&path).expect("it opens all the same");
        assert_eq!(measured(&segment), [false, false], "{why}");
        assert_eq!(segment.spaces()[0].calibration(), segment.spaces()[1].calibration());
        let error = segment.verify().expect_err(why);
        assert!(error.message().contains(&format!("{calib} of ")), "{error}");
    };
    check("a bit");
    forge(&path, calib, &longer);
    check("four bytes more");
}

/// What is measured in nanoseconds is never the same twice, and lies in sections of its own.
#[test]
fn one_draft_gives_one_file_but_for_the_times() {
    let (folder, path) = folder();
    let other = folder.path().join("2.seg");
    written(&mut fixed(1700), &path);
    written(&mut fixed(1700), &other);
    let both = [&path, &other].map(|path| Sections::open(path).expect("whole"));
    for space in [0, 1].map(Kinds::of) {
        let of = |sections: &Sections, kind| sections.section(kind).expect("a section").to_vec();
        for kind in [space.fine, space.codec, space.nav, space.rest, space.links, space.hubs] {
            assert_eq!(of(&both[0], kind), of(&both[1], kind), "{kind}");
        }
        assert_eq!(of(&both[0], space.calib).len(), of(&both[1], space.calib).len());
    }
}

/// Flips bits of every section, one at a time: whatever opens may answer nonsense, but answers; and `verify` names
/// the section.
#[test]
fn damage_is_found_and_never_a_panic() {
    let (_folder, path) = folder();
    let mut plain = fixed(70);
    written(&mut plain, &path);
    let bytes = fs::read(&path).expect("a file");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    for at in (4096..bytes.len()).filter(|at| at % 4096 < 1200 && (bytes[*at] != 0 || at % 64 == 0)) {
        file.write_all_at(&[bytes[at] ^ 1 << (at % 8)], at as u64).expect("written");
        match Segment::open(&path) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupted, "byte {at}: {error}"),
            Ok(segment) => {
                ask_everything(&segment);
                let error = segment.verify().expect_err("damage");
                assert_eq!(error.kind(), ErrorKind::Corrupted, "byte {at}: {error}");
                assert!(error.message().contains("1.seg"), "{error}");
            }
        }
        file.write_all_at(&bytes[at..=at], at as u64).expect("written");
    }
    Segment::open(&path).expect("whole again").verify().expect("whole again");
}

fn ask_everything(segment: &Segment) {
    let query = [1.0, 2.0, 3.0];
    let bits = Bits::from_words(vec![u64::MAX; 2]);
    for row in 0..80 {
        black_box((segment.id(row), segment.version(row), segment.row_of(Version(u64::from(row)))));
    }
    for space in segment.spaces() {
        let vectors = (0..80).filter_map(|row| space.vector(row).expect("reads"));
        assert!(vectors.map(|vector| vector.len()).all(|len| len == DIM));
        for shows in [Shows::All, Shows::Only(&bits)] {
            assert!(space.search(&query, shows, 5, Effort::default()).expect("reads").near.len() <= 5);
        }
        assert!(space.scan(&query, &mut (0..99), 5).expect("reads").len() <= 5);
    }
}

/// Writes a segment again with other bytes in one section, and checksums that agree with them.
fn forge(path: &Path, forged: Kind, bytes: &[u8]) {
    let sections = Sections::open(path).expect("whole");
    let of_spaces = [0, 1].map(Kinds::of).map(|kinds| {
        let graph = [kinds.codec, kinds.nav, kinds.rest, kinds.links, kinds.hubs, kinds.calib];
        [[kinds.fine, kinds.rows, kinds.ranks].as_slice(), &graph].concat()
    });
    let mut file = FileWriter::create(path).expect("a file");
    for kind in [[layout::META, layout::VERSIONS, layout::IDS].as_slice(), &of_spaces.concat()].concat() {
        if sections.has(kind) {
            let old = sections.section(kind).expect("a section");
            let bytes = if kind == forged { bytes } else { old };
            file.section(kind).expect("a section").put(bytes).expect("written");
        }
    }
    file.finish().expect("a file");
}

/// Checksums only say that bytes are those that were written; these are not what a segment has.
#[test]
fn a_forged_section_is_found_and_named() {
    let (first, second) = (Kinds::of(0), Kinds::of(1));
    let long = vec![0; 70 * 8 - 1];
    let cases: [(Kind, &[u8], bool); 12] = [
        (layout::META, &[2, 0, 0, 0], false),
        (layout::VERSIONS, &[0; 70 * 8], true),
        (layout::VERSIONS, &long, false),
        (layout::IDS, &[9; 70 * 17], true),
        (layout::IDS, &[0; 69 * 17], false),
        (first.fine, &[0; 69 * 12], false),
        (first.nav, &long, false),
        (first.links, &[255; 70 * 4], true),
        (second.rows, &[0; 46 * 4], true),
        (second.rows, &[0; 47 * 4], false),
        (second.codec, b"no codec", false),
        (second.links, &[255; 46 * 4], true),
    ];
    for (kind, bytes, opens) in cases {
        let (_folder, path) = folder();
        written(&mut fixed(70), &path);
        forge(&path, kind, bytes);
        let opened = Segment::open(&path);
        assert_eq!(opened.is_ok(), opens, "{kind}");
        let error = opened.and_then(|segment| segment.verify()).expect_err("forged");
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert!(error.message().contains(&format!("{kind} of ")), "{kind}: {error}");
    }
}

/// Says no after it was asked so many times.
struct Impatient(AtomicU32);

impl Progress for Impatient {
    fn built(&self, _rows: u32) {}

    fn is_cancelled(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |patience| patience.checked_sub(1)).is_err()
    }
}

#[test]
fn a_cancelled_segment_leaves_nothing_behind() {
    for patience in [0, 1, 2, 3] {
        let (folder, path) = folder();
        let progress = Impatient(AtomicU32::new(patience));
        let written = write(&path, &mut fixed(100), &Options::default(), &progress).expect("no error");
        assert_eq!(written, None, "after {patience}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}

/// Breaks what a draft promises, in one way.
struct Broken(Plain, &'static str);

impl Draft for Broken {
    fn spaces(&self) -> Vec<SpaceSpec> {
        let mut specs = self.0.spaces();
        specs[1].dim = if self.1 == "without elements" { 0 } else { DIM };
        specs
    }

    fn rows(&mut self) -> Box<dyn Iterator<Item = Result<(Version, PointId)>> + '_> {
        match self.1 {
            "no rows" => Box::new(std::iter::empty()),
            "do not ascend" => Box::new(self.0.rows().chain([Ok((Version(1), PointId::Num(1)))])),
            "the disk" => Box::new(self.0.rows().chain([Err(Error::new(ErrorKind::Io, "the disk"))])),
            _ => self.0.rows(),
        }
    }

    fn vectors(&mut self, space: usize, versions: &[Version], block: &mut Block) -> Result<()> {
        match self.1 {
            "other vectors" => block.push(Some(&[1.0])),
            "a block" => {
                // As many elements as there should be, but not in each vector.
                versions[2..].iter().for_each(|_| block.push(Some(&[1.0; DIM])));
                block.push(Some(&[1.0; 2 * DIM]));
                block.push(Some(&[]));
            }
            "a storm" => return Err(Error::new(ErrorKind::Io, "a storm")),
            _ => self.0.vectors(space, versions, block)?,
        }
        Ok(())
    }
}

#[test]
fn a_draft_that_fails_leaves_nothing_behind() {
    for why in
        ["without elements", "no rows", "do not ascend", "the disk", "other vectors", "a block", "a storm"]
    {
        let (folder, path) = folder();
        let error = write(&path, &mut Broken(fixed(100), why), &Options::default(), &()).expect_err(why);
        assert!(error.message().contains(why), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}

#[test]
fn another_file_is_no_segment() {
    let (_folder, path) = folder();
    FileWriter::create(&path).expect("a file").finish().expect("a file");
    let error = Segment::open(&path).err().expect("no segment");
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.message().contains("`meta`"), "{error}");
}
