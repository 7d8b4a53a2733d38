//! What making segments may take: rows, memory, cores.
//!
//! The threads that make them, and those that they start, stand back behind queries and writes: far back those that
//! merge, a little those that seal, link and commit keywords, since heads that wait are scanned row by row. A writer
//! that is faster than they are waits in the end for memory, and then they have the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use storage::CatalogEntry;
use types::{Codes, VectorSpec};

use crate::building::Role;

/// How rows become segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Rows of a head; when it has them it becomes a segment. 1 to 16,777,216; other values are taken as the nearest.
    pub seal_rows: u32,
    /// Bytes of heads, of all collections together, that wait to become segments. When there are more, writers wait. As
    /// much again may be in the heads that take rows: when there is more, the largest of them waits before it is full.
    /// And as much, about, in keywords that wait to be committed: when there is more, writers wait.
    pub waiting_bytes_max: usize,
    /// Bytes that a build may take for codes and links, about. Segments that together need more are not merged: a
    /// collection that is larger keeps several. One head is built whatever it needs.
    pub build_bytes_max: usize,
    /// Threads of a build. At least 1.
    pub threads: usize,
}

impl Default for Segments {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { seal_rows: 32_768, waiting_bytes_max: 1 << 30, build_bytes_max: 4 << 30, threads }
    }
}

impl Segments {
    /// The rows of a head, within what is possible.
    pub(crate) fn rows(&self) -> u32 {
        self.seal_rows.clamp(1, 1 << 24)
    }

    /// Rows of a collection that may be built at once.
    pub(crate) fn rows_max(&self, entry: &CatalogEntry) -> usize {
        let bytes = ROW_BYTES
            + entry.schema.vectors.values().map(space_bytes).max().unwrap_or(0)
            + if entry.schema.sparse.is_empty() { 0 } else { SPARSE_BYTES };
        self.build_bytes_max / bytes
    }
}

/// Bytes of the newest rows of all collections: of heads that take rows, of those that wait to become segments, and of
/// keywords that wait to be committed.
#[derive(Default)]
pub(crate) struct HeadBytes {
    open: AtomicUsize,
    waiting: AtomicUsize,
    texts: AtomicUsize,
    /// Texts of writes that have not had their turn.
    prepared: AtomicUsize,
}

/// A part of what keywords may take, until it is dropped.
pub(crate) struct TextRoom {
    all: Arc<HeadBytes>,
    bytes: usize,
}

impl Drop for TextRoom {
    fn drop(&mut self) {
        self.all.prepared.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Those of one collection among them, as of its last view; they do not count any more when it is gone.
pub(crate) struct OwnHeads {
    all: Arc<HeadBytes>,
    own: HeadBytes,
}

impl HeadBytes {
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn texts(&self) -> usize {
        self.texts.load(Ordering::Relaxed)
    }

    /// Room for texts of a write before its turn; nothing if they and all other keywords would take more than `most`.
    pub(crate) fn room_for_texts(self: &Arc<Self>, bytes: usize, most: usize) -> Option<TextRoom> {
        let before = self.prepared.fetch_add(bytes, Ordering::Relaxed);
        let room = TextRoom { all: Arc::clone(self), bytes };
        (self.texts().saturating_add(before).saturating_add(bytes) <= most).then_some(room)
    }

    fn each(&self) -> [&AtomicUsize; 3] {
        [&self.open, &self.waiting, &self.texts]
    }
}

impl OwnHeads {
    pub(crate) fn new(all: &Arc<HeadBytes>) -> Self {
        Self { all: Arc::clone(all), own: HeadBytes::default() }
    }

    pub(crate) fn open(&self) -> usize {
        self.own.open()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.own.waiting()
    }

    /// For who holds the lock of the collection.
    pub(crate) fn set(&self, bytes: [usize; 3]) {
        for ((own, all), bytes) in self.own.each().into_iter().zip(self.all.each()).zip(bytes) {
            // First what comes, so that the sum never falls below 0.
            all.fetch_add(bytes, Ordering::Relaxed);
            all.fetch_sub(own.swap(bytes, Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

impl Drop for OwnHeads {
    fn drop(&mut self) {
        self.set([0; 3]);
    }
}

/// Of a row that is built, whatever its vectors are: its identity, where it comes from and goes to, fields aside.
const ROW_BYTES: usize = 64;

/// Of a row's sparse vectors while lists are joined: three copies of about 128 weights.
const SPARSE_BYTES: usize = 3 * 128 * 8;

/// Links of a row under way, in each of which 4 bytes, and as many again in the copy that calibration works on.
const LINKS_BYTES: usize = 4 * (48 + 32);

/// What a build takes for a vector of a space. Spaces are built one after the other.
fn space_bytes(spec: &VectorSpec) -> usize {
    let codes = match spec.codes {
        Codes::Bits8 => spec.dim.next_multiple_of(128),
        // Built by eight bits.
        Codes::Bits1 => spec.dim.next_multiple_of(128) + spec.dim.div_ceil(8).next_multiple_of(64),
        Codes::Off => 0,
    };
    codes + LINKS_BYTES
}

/// Gives the calling thread, and those that it starts, the priority of a role. Elsewhere than on Linux they keep
/// theirs.
pub(crate) fn step_back(role: Role) {
    // A nice value: 5 has a third of the weight of 0, 19 a seventieth.
    let niceness = if role == Role::Seal { 5 } else { 19 };
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, niceness) {
        tracing::debug!(%error, "segments are made at the priority of everything else");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collection, Database, Options};
    use types::{CollectionId, Filter, Language, Metric, Point, Schema};

    /// Each has too few rows for a segment of its own.
    #[test]
    fn heads_of_many_collections_share_one_budget() {
        const MAX: usize = 100_000;
        let segments = Segments { waiting_bytes_max: MAX, ..Segments::default() };
        let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
        let make = |number: u64| {
            let schema = Schema::new().vector(64, Metric::Euclid);
            db.create_collection(&format!("c{number}"), schema).expect("a collection")
        };
        let all: Vec<Collection> = (0..20).map(make).collect();
        for collection in &all {
            let points = (0..50_u64).map(|id| Point::new(id).vector(vec![id as f32; 64]));
            collection.upsert(points.collect()).expect("points");
            let held: usize = all.iter().map(|collection| collection.status().head_bytes).sum();
            // Beside the two limits a commit, and the head that it made wait.
            assert!(held <= 2 * MAX + 50_000, "{held}");
        }
        assert!(all.iter().any(|collection| !collection.status().segments.is_empty()), "nothing was sealed");
        for collection in &all {
            assert_eq!(collection.count(&Filter::default()).expect("a count"), 50);
            assert!(db.drop_collection(collection.name()).expect("dropped"));
        }
        assert_eq!(db.engine.heads.each().map(|bytes| bytes.load(Ordering::Relaxed)), [0; 3]);
    }

    #[test]
    fn writers_wait_for_keywords_that_no_commit_covers() {
        const MAX: usize = 1 << 20;
        let segments = Segments { waiting_bytes_max: MAX, ..Segments::default() };
        let db = Database::in_memory_with(Options { segments, ..Options::default() }).expect("a database");
        let schema = Schema::new().keyword(["text".parse().expect("a path")], Language::None);
        let notes = db.create_collection("notes", schema).expect("a collection");
        let text = "word ".repeat(2_000);
        for id in 0..100_u64 {
            notes.upsert(vec![Point::new(id).with("text", text.as_str())]).expect("a point");
            // Beside the limit the last commit.
            assert!(db.engine.heads.texts() <= MAX + 100_000, "{id}: {}", db.engine.heads.texts());
        }
        assert_eq!(notes.query().keyword("word").limit(100).run().expect("hits").len(), 100);
    }

    #[test]
    fn memory_bounds_the_rows_of_a_build() {
        let segments = Segments { build_bytes_max: 1 << 30, ..Segments::default() };
        let rows = |schema: Schema| segments.rows_max(&CatalogEntry::new(CollectionId(1), "c", schema));
        let small = rows(Schema::new().vector(384, Metric::Cosine));
        assert!((1_000_000..2_000_000).contains(&small), "{small}");
        let large = VectorSpec::new(4096, Metric::Cosine);
        assert!(rows(Schema::new().vector(384, Metric::Cosine).named_vector("large", large)) < small / 4);
        assert!(rows(Schema::new()) > small);
    }
}
