//! The process that `it/documents` kills: goes on with the jobs of a directory, and says each step.
//!
//! Argument: the directory. Writes `step` before each group of documents, and `done` at the end of all jobs.

use std::io::Write as _;
use std::process::ExitCode;

use kithdb::{Database, Result};
use rag::jobs;

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).unwrap_or_default();
    match work(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn work(folder: &str) -> Result<()> {
    let db = Database::open(folder)?;
    let step = || {
        say("step");
        false
    };
    for job in jobs::unfinished(&db)? {
        jobs::run(&db, job.id, None, &step)?;
    }
    say("done");
    Ok(())
}

/// One write to the pipe a line: what was written is there although this process is not.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent has gone: nobody is left to tell.
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
