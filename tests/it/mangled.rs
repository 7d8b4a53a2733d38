//! Every decoder of bytes from outside or from the disk takes its seeds, and refuses or takes what is made of them by
//! chance: the same bytes each time, so that a change alone can fail this. `KITHDB_MANGLED_RUNS` makes more of them,
//! other ones with `KITHDB_MANGLED_SEED`; the targets of `fuzz/` are these decoders, and run for longer.
//!
//! What a decoder fails at is kept in a file, which `kithdb-decoder run NAME FILE` gives it again.

use std::path::Path;

use decoders::{ALL, Decoder};

use crate::crash::Random;

/// Inputs of each decoder.
const RUNS: u64 = 1_000;

/// Bytes that stand at the edges of what numbers hold.
const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/// Keeps the bytes if the decoder panics.
struct Given<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("kithdb-mangled-{}", self.name));
            let kept = std::fs::write(&path, self.bytes);
            eprintln!("`{}` was given {} bytes, {}: {kept:?}", self.name, self.bytes.len(), path.display());
        }
    }
}

fn give(decoder: &Decoder, bytes: &[u8]) -> bool {
    let _given = Given { name: decoder.name, bytes };
    (decoder.run)(bytes)
}

/// A place in so many bytes, and how many from there on: few, mostly.
fn range(len: usize, random: &mut Random) -> std::ops::Range<usize> {
    let start = random.below(len as u64) as usize;
    let most = if random.below(4) == 0 { len as u64 } else { 8 };
    let count = 1 + random.below(most) as usize;
    start..len.min(start + count)
}

/// Changes bytes here and there; some are taken from another seed.
fn mangle(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = range(bytes.len(), random);
        match random.below(8) {
            0 => bytes[at.start] = random.next() as u8,
            1 => bytes[at.start] = EDGES[random.below(EDGES.len() as u64) as usize],
            2 => bytes[at.start] ^= 1 << random.below(8),
            3 => drop(bytes.drain(at)),
            4 => {
                let doubled = bytes[at.clone()].to_vec();
                drop(bytes.splice(at.start..at.start, doubled));
            }
            5 if !other.is_empty() => {
                let taken = other[range(other.len(), random)].to_vec();
                drop(bytes.splice(at, taken));
            }
            6 => bytes[at].fill(0xff),
            // Mostly whole: else nothing behind the beginning would be reached.
            _ if random.below(3) == 0 => bytes.truncate(at.start),
            _ => bytes[at].reverse(),
        }
    }
    bytes
}

fn takes_its_seeds_and_survives_others(name: &str) {
    let decoder = ALL.iter().find(|decoder| decoder.name == name).expect("a decoder");
    let seeds = (decoder.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        assert!(give(decoder, seed), "seed {number} of `{name}` is refused: {}", seed.escape_ascii());
    }
    let given = |name: &str| std::env::var(name).ok().map(|given| given.parse::<u64>().expect(name));
    let (runs, mut taken) = (given("KITHDB_MANGLED_RUNS").unwrap_or(RUNS), 0);
    let mut random = Random(given("KITHDB_MANGLED_SEED").unwrap_or(1));
    for _ in 0..runs {
        let [seed, other] = [(); 2].map(|()| random.below(seeds.len() as u64) as usize);
        taken += u64::from(give(decoder, &mangle(&seeds[seed], &seeds[other], &mut random)));
    }
    println!("`{name}` took {taken} of {runs}");
    assert!(runs > taken, "`{name}` refuses nothing");
}

#[test]
fn columns() {
    takes_its_seeds_and_survives_others("columns");
}

#[test]
fn documents() {
    takes_its_seeds_and_survives_others("documents");
}

#[test]
fn filter() {
    takes_its_seeds_and_survives_others("filter");
}

#[test]
fn request() {
    takes_its_seeds_and_survives_others("request");
}

#[test]
fn rows() {
    takes_its_seeds_and_survives_others("rows");
}

#[test]
fn segment() {
    takes_its_seeds_and_survives_others("segment");
}

#[test]
fn snapshot() {
    takes_its_seeds_and_survives_others("snapshot");
}

#[test]
fn every_decoder_has_its_fuzz_target_and_no_target_is_without() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let read = |path: &str| std::fs::read_to_string(fuzz.join(path)).unwrap_or_default();
    let manifest = read("Cargo.toml");
    for Decoder { name, .. } in ALL {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(read(&path).contains(&format!("decoders::{name}::run(bytes)")), "{path}");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{path}\"\n")), "{path}");
    }
    let targets = std::fs::read_dir(fuzz.join("fuzz_targets")).expect("the targets").count();
    assert_eq!((targets, manifest.matches("[[bin]]").count()), (ALL.len(), ALL.len()));
}
