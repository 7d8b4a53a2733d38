//! The command `kithdb`, for tests of what a whole process does: its log, its traces.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::run(std::env::args_os())
}
