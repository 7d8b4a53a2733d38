//! The process that `it/crash` kills: runs the scripts in a directory until it is dead.
//!
//! Arguments: directory, durability, seed, then for each writer, and for the keeper behind them, the step it begins
//! after. `at=<waypoint>:<count>:<ms>` has it end itself where it comes to a waypoint for the so manieth time, that
//! long after it got there, while the other threads go on. `opens` has it close again what it opened. `endures=<ms>`
//! has it go on where a write fails, ask some more when all have ended, and close: for disks that fail.
//! `restore`, a directory and snapshots has it recover these in turn instead.
//! Writes a line to standard output for each thing the parent must know: `open`, and `<thread> <number>` once a step
//! was acknowledged, `failed <thread> <kind>` where one was not, `closed` at the end, if it has one.

#[path = "../it/crash/chores.rs"]
mod chores;
mod death;
mod keeper;
mod reader;
mod restore;
#[path = "../it/crash/script.rs"]
mod script;
mod writers;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kithdb::{Database, Durability, Error, Limits, Options, Result, Segments};
use script::COLLECTIONS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn run(arguments: &[String]) -> Result<()> {
    if let [word, folder, files @ ..] = arguments
        && word == "restore"
    {
        return restore::run(folder, files);
    }
    let (steps, told): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| !argument.contains('=') && *argument != "opens");
    let [folder, durability, seed, begun @ ..] = &steps[..] else {
        return Err(Error::invalid("arguments", "are directory, durability, seed, steps done"));
    };
    if let Some(plan) = told.iter().find_map(|told| told.strip_prefix("at=")) {
        death::plan(plan)?;
    }
    let durability: Durability = durability.parse()?;
    let number = |text: &&String| text.parse::<u64>().map_err(|_| Error::invalid("arguments", "a number"));
    let seed = number(seed)?;
    let begun: Vec<u64> = begun.iter().map(number).collect::<Result<_>>()?;
    // Small, so that it dies among seals and merges too, and between the blocks of an import.
    let segments = Segments { seal_rows: 64, ..Segments::default() };
    let limits = Limits { batch_points_max: chores::IMPORT_BLOCK_ROWS as usize, ..Limits::default() };
    let db = Database::open_with(folder, Options { durability, segments, limits, ..Options::default() })?;
    if told.iter().any(|told| *told == "opens") {
        return Ok(());
    }
    for name in COLLECTIONS {
        if db.collection(name).is_err() {
            db.create_collection(name, writers::schema())?;
        }
    }
    say("open");
    match told.iter().find_map(|told| told.strip_prefix("endures=")) {
        Some(ms) => {
            let most = ms.parse().map_err(|_| Error::invalid("endures", "is no number"))?;
            endure(&db, seed, &begun, Instant::now() + Duration::from_millis(most))?;
            drop(db);
            say("closed");
        }
        None => live(&db, seed, &begun),
    }
    Ok(())
}

/// Questions after the last write.
const QUESTIONS: usize = 50;

/// Does everything at once until then, whatever fails, and asks for what is there.
fn endure(db: &Database, seed: u64, begun: &[u64], end: Instant) -> Result<()> {
    let Some((chores_done, begun)) = begun.split_last() else { return Ok(()) };
    std::thread::scope(|scope| {
        for (thread, after) in (0..).zip(begun) {
            scope.spawn(move || writers::write_until(db, seed, thread, *after, end));
        }
        scope.spawn(|| keeper::keep_until(db, begun.len() as u64, *chores_done, end));
    });
    reader::read_times(db, seed, QUESTIONS)
}

/// Does everything at once, until it fails or is killed.
fn live(db: &Database, seed: u64, begun: &[u64]) {
    let Some((chores_done, begun)) = begun.split_last() else { return };
    let keeper = begun.len() as u64;
    let end = |result: Result<()>| {
        if let Err(error) = result {
            let _ = failed(&error);
            std::process::exit(1);
        }
    };
    std::thread::scope(|scope| {
        for (thread, after) in (0..).zip(begun) {
            scope.spawn(move || end(writers::write(db, seed, thread, *after)));
        }
        scope.spawn(|| end(keeper::keep(db, keeper, *chores_done)));
        scope.spawn(|| end(reader::read(db, seed)));
    });
}

fn failed(error: &Error) -> ExitCode {
    say(&format!("error {error}"));
    ExitCode::FAILURE
}

/// Says what a thread met, on one line.
fn say_failed(thread: u64, error: &Error) {
    let why = format!("{error:?}").replace('\n', " ");
    say(&format!("failed {thread} {} {why}", error.kind().name()));
}

/// One write to the pipe a line: what was written is there although this process is not.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent has gone: nobody is left to tell, and nothing left to prove.
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
