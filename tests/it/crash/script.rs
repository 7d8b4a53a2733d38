//! What the writers of the crash test do: for each thread an endless script, the same for the same seed.
//!
//! A thread touches only ids of its own, and waits for each operation, so what is stored of them is the script's
//! prefix: up to the last acknowledged operation, or one further. The child runs the script, the parent knows it.
//!
//! Every version of a point is marked by its step: in its vector, its text and its payload, so that a mixture of two
//! versions shows.

use kithdb::{Point, SparseVector, Vector};

/// Ids of one thread.
const IDS: u64 = 40;

/// The collections; both of the same schema.
pub(crate) const COLLECTIONS: [&str; 2] = ["left", "right"];

/// Steps whose numbers fit a vector's elements exactly.
const STEPS_MAX: u64 = 1 << 40;

/// One operation of a script.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Puts these ids into one collection.
    Put(usize, Vec<u64>),
    /// Makes these ids in one collection what a put would, in parts: what is not there is inserted bare, then each gets
    /// its payload and its vectors.
    Patch(usize, Vec<u64>),
    /// Deletes these ids of one collection.
    Delete(usize, Vec<u64>),
    /// Deletes the thread's points of one group in one collection.
    DeleteGroup(usize, u64),
    /// Puts the first ids into both collections, deletes the second from both.
    Both(Vec<u64>, Vec<u64>),
}

/// The step `number` (from 1) of a thread's script.
pub(crate) fn step(seed: u64, thread: u64, number: u64) -> Step {
    let mut random = Random(seed ^ (thread << 56) ^ number.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let ids = |most: u64, random: &mut Random| {
        let count = 1 + random.below(most);
        (0..count).map(|_| thread * IDS + random.below(IDS)).collect::<Vec<u64>>()
    };
    let side = random.below(2) as usize;
    match random.below(20) {
        0..7 => Step::Put(side, ids(12, &mut random)),
        7..10 => Step::Patch(side, ids(6, &mut random)),
        10..13 => Step::Delete(side, ids(4, &mut random)),
        13 => Step::DeleteGroup(side, random.below(GROUPS)),
        _ => Step::Both(ids(5, &mut random), ids(2, &mut random)),
    }
}

/// Points are in the group that is the rest of their id by this.
pub(crate) const GROUPS: u64 = 5;

/// The point that a step writes under an id.
pub(crate) fn point(id: u64, number: u64) -> Point {
    assert!(number < STEPS_MAX, "a step number that a vector cannot hold");
    let (high, low) = (number >> 20, number & 0xF_FFFF);
    let vector = [id, high, low, id * 7 % 13, number % 11].map(|element| element as f32);
    // Each of these types holds what it is given here.
    let bytes = [id, number % 256, number >> 8 & 0xFF].map(|element| element as f32);
    let halves = [id, number % 2048, number >> 11 & 0x7FF].map(|element| element as f32);
    Point::new(id)
        .vector(vector)
        .named_vector("bytes", bytes)
        .named_vector("halves", halves)
        .named_vector("weights", weights(id, number))
        .named_vector("rows", Vector::Multi(vec![vec![id as f32, low as f32], vec![high as f32, 1.0]]))
        .with("text", format!("point {id} {}", mark(id, number)))
        .with("mark", mark(id, number))
        .with("group", id % GROUPS)
        .with("thread", owner(id))
        .with("number", number)
}

/// The thread that an id belongs to.
pub(crate) fn owner(id: u64) -> u64 {
    id / IDS
}

/// Weights of which one is of an index that no other point has.
fn weights(id: u64, number: u64) -> SparseVector {
    SparseVector::of([(id as u32, 1.0 + (number % 2048) as f32), (10_000 + (number % 9) as u32, 1.0)])
}

/// A word that no other version of any point has.
pub(crate) fn mark(id: u64, number: u64) -> String {
    format!("m{id}x{number}")
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
