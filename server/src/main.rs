//! The `kithdb` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    kithdb_server::cli::run(std::env::args_os())
}
