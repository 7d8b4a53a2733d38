//! The limits of `kithdb serve`, as flags.

use std::time::Duration;

use crate::ServeLimits;
use clap::Args;
use kithdb::{Limits, Options};

/// Of memory that has a limit, bodies together get one in so many parts, and at least so much.
const BODIES_SHARE: usize = 16;
const BODIES_BYTES_MIN: usize = 16 << 20;

/// What a server takes that has nothing to do: less is a mistake, as of bytes for MiB.
const MEMORY_BYTES_MIN: usize = 64 << 20;

/// What clients may take. What is refused says which of these it was.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Bytes of memory for what is written and asked, 64 MiB at least; limits that allow more are lowered
    #[arg(long, value_name = "BYTES", env = "KITHDB_MEMORY_LIMIT", value_parser = memory_limit)]
    memory_limit: Option<usize>,
    /// Connections at the same time
    #[arg(long, value_name = "COUNT", env = "KITHDB_CONNECTIONS_MAX", default_value_t = ServeLimits::default().connections_max)]
    connections_max: usize,
    /// Requests in progress at the same time
    #[arg(long, value_name = "COUNT", env = "KITHDB_REQUESTS_MAX", default_value_t = ServeLimits::default().requests_max)]
    requests_max: usize,
    /// Bytes of the bodies of all requests in progress, beyond the first MiB of each; and of answers on their way
    #[arg(long, value_name = "BYTES", env = "KITHDB_BODIES_BYTES_MAX", default_value_t = ServeLimits::default().bodies_bytes_max)]
    bodies_bytes_max: usize,
    /// Bytes of the head of a request: address and header
    #[arg(long, value_name = "BYTES", env = "KITHDB_HEAD_BYTES_MAX", default_value_t = ServeLimits::default().head_bytes_max)]
    head_bytes_max: usize,
    /// Seconds until a head is there; so long may a connection be idle
    #[arg(long, value_name = "SECONDS", env = "KITHDB_HEAD_MAX_S", default_value_t = ServeLimits::default().head_time_max.as_secs())]
    head_max_s: u64,
    /// Seconds until a body is there
    #[arg(long, value_name = "SECONDS", env = "KITHDB_BODY_MAX_S", default_value_t = ServeLimits::default().body_time_max.as_secs())]
    body_max_s: u64,
    /// Seconds from the body to the answer
    #[arg(long, value_name = "SECONDS", env = "KITHDB_REQUEST_MAX_S", default_value_t = ServeLimits::default().request_time_max.as_secs())]
    request_max_s: u64,
    /// Seconds for which a client may take nothing of an answer
    #[arg(long, value_name = "SECONDS", env = "KITHDB_SEND_MAX_S", default_value_t = ServeLimits::default().send_time_max.as_secs())]
    send_max_s: u64,
    /// Seconds that requests have to end when the server stops
    #[arg(long, value_name = "SECONDS", env = "KITHDB_STOP_MAX_S", default_value_t = ServeLimits::default().stop_time_max.as_secs())]
    stop_max_s: u64,
    /// Bytes of a body
    #[arg(long, value_name = "BYTES", env = "KITHDB_BODY_BYTES_MAX", default_value_t = Limits::default().body_bytes_max)]
    body_bytes_max: usize,
    /// Bytes of a snapshot that comes from elsewhere
    #[arg(long, value_name = "BYTES", env = "KITHDB_SNAPSHOT_BYTES_MAX", default_value_t = Limits::default().snapshot_bytes_max)]
    snapshot_bytes_max: u64,
    /// Points or ids in one request
    #[arg(long, value_name = "COUNT", env = "KITHDB_BATCH_POINTS_MAX", default_value_t = Limits::default().batch_points_max)]
    batch_points_max: usize,
    /// Points that one request deletes by filter
    #[arg(long, value_name = "COUNT", env = "KITHDB_DELETE_POINTS_MAX", default_value_t = Limits::default().delete_points_max)]
    delete_points_max: usize,
    /// Hits of one query, its offset included
    #[arg(long, value_name = "COUNT", env = "KITHDB_HITS_MAX", default_value_t = Limits::default().hits_max)]
    hits_max: usize,
    /// Bytes of memory that the payloads and vectors of one answer take, of all searches in a batch together
    #[arg(long, value_name = "BYTES", env = "KITHDB_ANSWER_BYTES_MAX", default_value_t = Limits::default().answer_bytes_max)]
    answer_bytes_max: usize,
    /// Conditions of one filter
    #[arg(long, value_name = "COUNT", env = "KITHDB_FILTER_CONDITIONS_MAX", default_value_t = Limits::default().filter_conditions_max)]
    filter_conditions_max: usize,
    /// Nesting of filters
    #[arg(long, value_name = "LEVELS", env = "KITHDB_FILTER_DEPTH_MAX", default_value_t = Limits::default().filter_depth_max)]
    filter_depth_max: usize,
    /// Bytes of the payload of one point
    #[arg(long, value_name = "BYTES", env = "KITHDB_PAYLOAD_BYTES_MAX", default_value_t = Limits::default().payload_bytes_max)]
    payload_bytes_max: usize,
    /// Bytes of the disk that stay free; below, only deletes are written
    #[arg(long, value_name = "BYTES", env = "KITHDB_DISK_FREE_BYTES_MIN", default_value_t = Limits::default().disk_free_bytes_min)]
    disk_free_bytes_min: u64,
}

impl LimitArgs {
    /// Those of the server.
    pub(super) fn serve(&self) -> ServeLimits {
        ServeLimits {
            connections_max: self.connections_max,
            requests_max: self.requests_max,
            bodies_bytes_max: self.of_bodies(self.bodies_bytes_max),
            head_bytes_max: self.head_bytes_max,
            head_time_max: Duration::from_secs(self.head_max_s),
            body_time_max: Duration::from_secs(self.body_max_s),
            request_time_max: Duration::from_secs(self.request_max_s),
            send_time_max: Duration::from_secs(self.send_max_s),
            stop_time_max: Duration::from_secs(self.stop_max_s),
        }
    }

    /// So many bytes of bodies, or what the memory has for them.
    fn of_bodies(&self, bytes: usize) -> usize {
        let share = |memory: usize| (memory / BODIES_SHARE).max(BODIES_BYTES_MIN);
        self.memory_limit.map_or(bytes, |memory| bytes.min(share(memory)))
    }

    /// Options that fit into the memory, if that has a limit.
    pub(super) fn within(&self, options: Options) -> Options {
        match self.memory_limit {
            Some(bytes) => options.within(bytes),
            None => options,
        }
    }

    /// Those of the database.
    pub(super) fn database(&self) -> Limits {
        Limits {
            // One that has no place among all of them would be told to come back for ever.
            body_bytes_max: self.of_bodies(self.body_bytes_max),
            snapshot_bytes_max: self.snapshot_bytes_max,
            batch_points_max: self.batch_points_max,
            delete_points_max: self.delete_points_max,
            hits_max: self.hits_max,
            answer_bytes_max: self.answer_bytes_max,
            filter_conditions_max: self.filter_conditions_max,
            filter_depth_max: self.filter_depth_max,
            payload_bytes_max: self.payload_bytes_max,
            disk_free_bytes_min: self.disk_free_bytes_min,
            ..Limits::default()
        }
    }
}

fn memory_limit(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(bytes) if bytes >= MEMORY_BYTES_MIN => Ok(bytes),
        _ => Err(format!("it is in bytes, and must be {MEMORY_BYTES_MIN} at least")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn limits(flags: &[&str]) -> LimitArgs {
        Flags::try_parse_from(std::iter::once("kithdb").chain(flags.iter().copied())).expect("flags").limits
    }

    #[test]
    fn one_body_has_no_more_memory_than_all_of_them() {
        for (memory, one) in [("134217728", 16 << 20), ("402653184", 24 << 20), ("536870912", 32 << 20)] {
            let limits = limits(&["--memory-limit", memory]);
            assert_eq!(limits.database().body_bytes_max, one, "{memory}");
            assert!(limits.database().body_bytes_max <= limits.serve().bodies_bytes_max);
        }
        let small = limits(&["--memory-limit", "134217728", "--body-bytes-max", "4096"]);
        assert_eq!(small.database().body_bytes_max, 4_096);
        assert_eq!(limits(&[]).database(), Limits::default());
    }
}
