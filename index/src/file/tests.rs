//! A small file, byte by byte; and what happens when any of them is another.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use types::{ErrorKind, Result};

use super::*;

const LETTERS: Kind = Kind(*b"letters ");
const EMPTY: Kind = Kind(*b"empty   ");
const NUMBERS: Kind = Kind(*b"numbers ");
const MORE: Kind = Kind(*b"more    ");

/// Where the directory of [`whole`] begins: after the header, the letters, the numbers.
const DIRECTORY: usize = 3 * 4096;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("1.seg");
    (folder, path)
}

/// Writes a file of three sections, one of them empty.
fn whole(path: &Path) -> u32 {
    let mut writer = FileWriter::create(path).expect("a file");
    writer.section(LETTERS).expect("a section").write_all(b"abc").expect("written");
    writer.section(EMPTY).expect("a section");
    let mut section = writer.section(NUMBERS).expect("a section");
    for number in [1.0_f32, -2.5] {
        section.write_all(&number.to_le_bytes()).expect("written");
    }
    writer.finish().expect("a file")
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    fs::read_dir(folder).expect("a folder").map(|entry| name(entry).to_string_lossy().into_owned()).collect()
}

fn open_and_verify(path: &Path) -> Result<()> {
    Sections::open(path)?.verify()
}

#[test]
fn a_file_has_its_golden_bytes() {
    let (_folder, path) = folder();
    let checksum = whole(&path);
    let bytes = fs::read(&path).expect("a file");
    let mut golden = vec![0; DIRECTORY];
    golden[..16].copy_from_slice(b"KITHFILE\x01\0\0\0\x02\xb2\xfb;");
    golden[4096..4099].copy_from_slice(b"abc");
    golden[8192..8200].copy_from_slice(&[0, 0, 128, 63, 0, 0, 32, 192]);
    golden.extend_from_slice(b"letters \0\x10\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\xb7?K6\0\0\0\0");
    golden.extend_from_slice(b"empty   \0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    golden.extend_from_slice(b"numbers \0 \0\0\0\0\0\0\x08\0\0\0\0\0\0\0\xcb\x11\xbd\xd5\0\0\0\0");
    golden.extend_from_slice(b"\0\x30\0\0\0\0\0\0\x03\0\0\0'\xfb\0\x16\xad4\xbe\xc3");
    let different = (0..golden.len()).find(|at| bytes.get(*at) != golden.get(*at));
    assert_eq!((different, bytes.len()), (None, golden.len()), "the first byte that differs, and the length");
    assert_eq!(bytes[DIRECTORY + 108..DIRECTORY + 112], checksum.to_le_bytes());
}

#[test]
fn sections_come_back_as_what_they_are() {
    let (folder, path) = folder();
    let checksum = whole(&path);
    assert_eq!(names(folder.path()), ["1.seg"]);
    let sections = Sections::open(&path).expect("whole");
    sections.verify().expect("whole");
    assert_eq!((sections.checksum(), sections.bytes()), (checksum, DIRECTORY as u64 + 116));
    assert_eq!(sections.section(LETTERS).expect("letters"), b"abc");
    assert_eq!(sections.floats(NUMBERS).expect("numbers"), [1.0, -2.5]);
    assert_eq!(sections.words(NUMBERS).expect("numbers"), [1.0_f32.to_bits(), (-2.5_f32).to_bits()]);
    assert_eq!(sections.numbers(EMPTY).expect("nothing"), [0_u64; 0]);
    assert!(sections.has(EMPTY) && !sections.has(MORE));
    for (error, part) in [(sections.words(LETTERS), "letters"), (sections.words(MORE), "more")] {
        let error = error.expect_err(part);
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.message().contains(part) && error.message().contains("1.seg"), "{error}");
    }
    sections.advise(NUMBERS, Advice::Random);
    sections.advise(EMPTY, Advice::WillNeed);
    let array = sections.array::<f32>(NUMBERS).expect("numbers");
    drop((sections, folder));
    assert_eq!(*array, [1.0, -2.5], "an array keeps the file mapped, even if it is removed");
}

#[test]
fn every_flipped_bit_is_found_and_its_place_is_named() {
    let (_folder, path) = folder();
    whole(&path);
    let len = fs::metadata(&path).expect("a file").len() as usize;
    let file = fs::File::options().read(true).write(true).open(&path).expect("a file");
    for at in 0..len {
        let is_zeros =
            (16..4096).contains(&at) || (4099..8192).contains(&at) || (8200..DIRECTORY).contains(&at);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at as u64).expect("a byte");
        for bit in (0..8).filter(|bit| !is_zeros || at % 8 == *bit) {
            file.write_all_at(&[byte[0] ^ 1 << bit], at as u64).expect("written");
            let opened = Sections::open(&path);
            let is_open = opened.is_ok();
            let error = opened.and_then(|sections| sections.verify()).expect_err("damage");
            let part = match at {
                0..16 => "the header",
                4096..4099 => "`letters`",
                8192..8200 => "`numbers`",
                _ if is_zeros => "the gap before",
                _ if at < len - 20 => "the directory",
                _ => "the footer",
            };
            let is_inside = (16..DIRECTORY).contains(&at);
            assert_eq!((error.kind(), is_open), (ErrorKind::Corrupted, is_inside), "byte {at}, bit {bit}");
            assert!(error.message().contains(part), "byte {at}, bit {bit}: {error}");
            assert!(error.message().contains("1.seg"), "{error}");
        }
        file.write_all_at(&byte, at as u64).expect("written");
    }
    open_and_verify(&path).expect("whole again");
}

#[test]
fn a_file_that_is_cut_short_does_not_open() {
    let (_folder, path) = folder();
    whole(&path);
    let bytes = fs::read(&path).expect("a file");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    for len in (0..bytes.len()).rev() {
        file.set_len(len as u64).expect("cut");
        let error = Sections::open(&path).err().expect("damage");
        assert_eq!(error.kind(), ErrorKind::Corrupted, "cut to {len}");
    }
    fs::write(&path, [&bytes[..], &[0]].concat()).expect("written");
    assert!(Sections::open(&path).is_err(), "a byte too many");
}

#[test]
fn a_newer_version_is_refused() {
    let (_folder, path) = folder();
    whole(&path);
    let mut bytes = fs::read(&path).expect("a file");
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).expect("written");
    assert_eq!(Sections::open(&path).err().expect("newer").kind(), ErrorKind::UnsupportedFormat);
}

#[test]
fn a_file_that_is_not_there_is_no_damage() {
    let (_folder, path) = folder();
    assert_eq!(Sections::open(&path).err().expect("nothing").kind(), ErrorKind::Io);
    assert_eq!(FileWriter::create(&path.join("x")).err().expect("no folder").kind(), ErrorKind::Io);
}

#[test]
fn an_unfinished_file_leaves_nothing_behind() {
    let (folder, path) = folder();
    fs::write(folder.path().join("1.seg.part"), "what a crash left").expect("written");
    let mut writer = FileWriter::create(&path).expect("a file");
    writer.section(LETTERS).expect("a section").write_all(b"abc").expect("written");
    assert_eq!(names(folder.path()), ["1.seg.part"]);
    assert_eq!(writer.section(LETTERS).err().expect("twice").kind(), ErrorKind::Internal);
    drop(writer);
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn what_is_written_can_be_read_before_the_file_ends() {
    let (_folder, path) = folder();
    let mut writer = FileWriter::create(&path).expect("a file");
    writer.section(NUMBERS).expect("a section").write_all(&[1; 16]).expect("written");
    let early = writer.array::<u64>(NUMBERS).expect("numbers");
    assert!(writer.array::<u64>(MORE).is_err());
    writer.section(MORE).expect("a section").write_all(&vec![2; 3 << 20]).expect("written");
    let late = writer.array::<u8>(MORE).expect("more");
    writer.finish().expect("a file");
    assert_eq!(*early, [0x0101_0101_0101_0101; 2]);
    assert!(late.len() == 3 << 20 && late.iter().all(|byte| *byte == 2));
    open_and_verify(&path).expect("whole");
}
