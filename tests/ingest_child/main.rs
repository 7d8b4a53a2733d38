//! The process that `it/documents` kills: goes on with the jobs of a directory, and says each step; or moves a library
//! to another model.
//!
//! Argument: the directory. Writes `step` before each group of documents, and `done` at the end of all jobs.
//! With `move`, the address of an embedding server and the new library behind it: moves `docs` there, and an alias if
//! that is named next; `at=<waypoint>:<count>:<ms>` has it end itself there. Writes `done` at the end.

#[path = "../crash_child/death.rs"]
mod death;

use std::io::Write as _;
use std::ops::ControlFlow;
use std::process::ExitCode;

use kithdb::{Database, Error, Result};
use rag::reembed::{Move, reembed};
use rag::{Embedder, Provider, jobs};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let worked = match &arguments[..] {
        [folder] => work(folder),
        [folder, word, url, to, rest @ ..] if word == "move" => relocate(folder, url, to, rest),
        _ => {
            Err(Error::invalid("arguments", "are a directory, or a directory, `move`, an address and a name"))
        }
    };
    match worked {
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

/// Moves the library to the model of the server that is called `new`.
fn relocate(folder: &str, url: &str, to: &str, rest: &[String]) -> Result<()> {
    let (plans, aliases): (Vec<&String>, Vec<&String>) =
        rest.iter().partition(|told| told.starts_with("at="));
    if let Some(plan) = plans.first().and_then(|plan| plan.strip_prefix("at=")) {
        death::plan(plan)?;
    }
    let new = Embedder::connect(&Provider { url: url.into(), model: "new".into(), ..Provider::default() })?;
    let db = Database::open(folder)?;
    let order = Move {
        from: "docs".into(),
        to: to.into(),
        alias: aliases.first().map(|alias| (*alias).clone()),
        loss_max: None,
    };
    reembed(&db, &order, None, &new, &|_| ControlFlow::Continue(()))?;
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
