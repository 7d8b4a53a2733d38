//! Every limit, in one struct, each with its default. The error that a limit causes names it.

/// Limits of one database. Defaults are meant for servers; an embedded user may widen them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements of a vector.
    pub dim_max: usize,
    /// Named vectors of a collection.
    pub vectors_max: usize,
    /// Rows of a multivector.
    pub multi_rows_max: usize,
    /// Points or ids in one request.
    pub batch_points_max: usize,
    /// Points that one commit deletes by filter. About half a kibibyte is held for each while it is written.
    pub delete_points_max: usize,
    /// Bytes of one point's payload as JSON text.
    pub payload_bytes_max: usize,
    /// Nesting of payload JSON.
    pub payload_depth_max: usize,
    /// Nesting of filters.
    pub filter_depth_max: usize,
    /// Conditions in one filter, all levels together.
    pub filter_conditions_max: usize,
    /// Hits of one query, offset included.
    pub hits_max: usize,
    /// Bytes of memory that the payloads and vectors of one answer take, about.
    pub answer_bytes_max: usize,
    /// Characters of a keyword query, and of a text whose words a filter asks for.
    pub query_chars_max: usize,
    /// Bytes of one request body (enforced by `server`).
    pub body_bytes_max: usize,
    /// Bytes of a snapshot that comes from elsewhere (enforced by `server`).
    pub snapshot_bytes_max: u64,
    /// Columns of an import.
    pub columns_max: usize,
    /// Bytes of one batch of an Arrow stream that is imported, decompressed.
    pub record_batch_bytes_max: usize,
    /// Bytes of a file that is put aside to be imported (enforced by `server`).
    pub import_bytes_max: u64,
    /// Characters of the name of a collection, or of a vector.
    pub name_chars_max: usize,
    /// Legs of one query, at all depths.
    pub legs_max: usize,
    /// Bytes of the disk that stay free: below, only what makes room is done. By default twice what the write buffers
    /// of storage hold, so that what was accepted can still become tables, and deletes be written.
    pub disk_free_bytes_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dim_max: 65_536,
            vectors_max: 64,
            multi_rows_max: 8_192,
            batch_points_max: 100_000,
            delete_points_max: 10_000_000,
            payload_bytes_max: 16 << 20,
            payload_depth_max: 64,
            filter_depth_max: 32,
            filter_conditions_max: 4_096,
            hits_max: 1_000_000,
            answer_bytes_max: 1 << 30,
            query_chars_max: 32_768,
            body_bytes_max: 32 << 20,
            snapshot_bytes_max: 1 << 40,
            columns_max: 4_096,
            record_batch_bytes_max: 512 << 20,
            import_bytes_max: 64 << 30,
            name_chars_max: 255,
            legs_max: 64,
            disk_free_bytes_min: 128 << 20,
        }
    }
}
