//! The `kithdb` command, and what it allocates memory with.
//!
//! C's own allocator keeps what its threads freed: a server with 512 MiB had 575 MiB after a snapshot was recovered, of
//! which it used half. RocksDB allocates here too. The Python package takes the allocator of its process.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    kithdb_server::cli::run(std::env::args_os())
}
