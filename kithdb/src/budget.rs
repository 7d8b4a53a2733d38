//! What making segments may take: rows, memory, cores.
//!
//! The threads that make them, and those that they start, stand back behind queries and writes: far back those that
//! merge, a little those that seal, since heads that wait are scanned row by row. A writer that is faster than they are
//! waits in the end for memory, and then they have the cores.

use storage::CatalogEntry;
use types::{Codes, VectorSpec};

use crate::building::Role;

/// How rows become segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Rows of a head; when it has them it becomes a segment. 1 to 16,777,216; other values are taken as the nearest.
    pub seal_rows: u32,
    /// Bytes of heads, in one collection, that wait to become segments. When there are more, writers wait.
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
    use types::{CollectionId, Metric, Schema};

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
