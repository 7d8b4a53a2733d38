//! Every RocksDB option that is not the default, with its reason.
//!
//! RocksDB as it comes has hurt others in this place: latency spikes from unbounded compaction, too many open files,
//! memory that grows with the number of families. Hence the caps. Search never reads RocksDB in its loop, so the cache
//! is sized for payloads of hits, not for vectors.

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, WriteBufferManager,
};

use super::Table;

/// Read-ahead of a full scan: opening a collection reads every row once.
pub(super) const SCAN_READAHEAD_BYTES: usize = 2 << 20;

/// One block cache for all families, memtables charged to it: one number bounds the memory of storage.
pub const CACHE_BYTES: usize = 128 << 20;

/// Memtables of all families together. Larger ones flush less often but make recovery replay a longer log.
const WRITE_BUFFERS_BYTES: usize = 64 << 20;

/// Half of the usual soft limit of 1,024 files a process: the server needs sockets, tantivy files.
const OPEN_FILES_MAX: i32 = 512;

/// Compaction and flush together may write so much: about half of a plain SSD, so that reads keep their latency. It
/// bounds what writers can write as well, for they stop where buffers wait to be flushed: at 100 MiB RocksDB alone took
/// 66,000 rows of 384 `f32` a second, and 146,000 at 256.
const BACKGROUND_BYTES_PER_S: i64 = 256 << 20;

/// A flush begins before the last one has ended where writers are fast. With two buffers a family they stop then: a
/// batch took up to 190 ms, and takes 100 ms with three, at 164,000 rows a second. Cost: for that moment half of
/// [`WRITE_BUFFERS_BYTES`] more.
const WRITE_BUFFERS_MAX: i32 = 3;

/// Above this the oldest family is flushed so that its log can go; bounds the time of recovery.
const WAL_BYTES_MAX: u64 = 256 << 20;

/// A vector of 128 f32 and more lives in a blob file: compaction then moves its key, not its elements.
const BLOB_BYTES_MIN: u64 = 512;

pub(super) struct Tuning {
    cache: Cache,
    write_buffers: WriteBufferManager,
}

impl Tuning {
    pub(super) fn new() -> Self {
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            WRITE_BUFFERS_BYTES,
            false,
            cache.clone(),
        );
        Self { cache, write_buffers }
    }

    pub(super) fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        // The three durabilities are one path (see `rocks.rs`).
        options.set_manual_wal_flush(true);
        // The disk begins to write a log of megabytes while its rows go into the buffers, so that a sync finds most of
        // it done: 12.6 MB and 12 ms of other work took 27 ms as one, and 20 to 24 ms so (ext4). It promises nothing.
        options.set_wal_bytes_per_sync(1 << 20);
        // After a crash: the longest prefix of the log that is whole.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        // A log that is missing or cut short although it was synced is damage, not the end of the log.
        options.set_track_and_verify_wals_in_manifest(true);
        // Families become tables together, or none of them does. On a disk that was full RocksDB goes on by itself as
        // soon as there seems to be room: it makes tables of all families, and does not ask the log. One by one, a
        // small family would keep a batch that failed and a large one not, where the room ends in between. Cost: a
        // flush writes a table for each family with rows; the budget of the buffers had them flushed one after the
        // other.
        options.set_atomic_flush(true);
        // One flush and one compaction: two cores must also serve queries.
        options.set_max_background_jobs(2);
        options.set_ratelimiter(BACKGROUND_BYTES_PER_S, 100_000, 10);
        // Writes dirty pages out steadily instead of in one burst at the end of a file.
        options.set_bytes_per_sync(1 << 20);
        // RocksDB's own chatter: warnings, in few and small files.
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(4 << 20);
        options
    }

    pub(super) fn family(&self, table: Table) -> Options {
        let mut options = Options::default();
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        // Index and filter blocks count against the cache: memory does not grow with the data.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        blocks.set_format_version(6);
        if matches!(table, Table::Points) {
            // Most lookups of an upsert ask for ids that are not there yet.
            blocks.set_bloom_filter(10.0, false);
        }
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_max_write_buffer_number(WRITE_BUFFERS_MAX);
        match table {
            Table::Payloads => {
                // JSON shrinks to about a third; LZ4 decodes faster than the disk reads.
                options.set_compression_type(DBCompressionType::Lz4);
                blocks.set_block_size(16 << 10);
            }
            Table::Vectors => {
                // Floats do not compress.
                options.set_compression_type(DBCompressionType::None);
                options.set_enable_blob_files(true);
                options.set_min_blob_size(BLOB_BYTES_MIN);
                options.set_blob_compression_type(DBCompressionType::None);
                options.set_enable_blob_gc(true);
            }
            _ => options.set_compression_type(DBCompressionType::Lz4),
        }
        options.set_block_based_table_factory(&blocks);
        options
    }
}
