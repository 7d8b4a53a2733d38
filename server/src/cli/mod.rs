//! The command line: `serve`, `config`, `ingest`, `search`, `ask`, `reembed`, `eval`, `import`, `export`, `snapshot`,
//! `status`, `doctor`, `bench`, `mcp`, `completions`.
//!
//! People read text, laid out for their terminal; programs say `--json`. What was asked for goes to standard output,
//! everything said beside it to standard error. Exit codes: 0 done, 1 failed or found faulty, 2 not understood (the
//! command line, a file that it names, what a server or a file was given), 130 interrupted.

mod ask;
mod bench;
mod completions;
mod config;
mod doctor;
mod engine;
mod eval;
mod examples;
mod export;
mod import;
mod ingest;
mod interrupt;
mod judge;
mod limits;
mod mcp;
mod observe;
mod open;
mod place;
mod present;
mod provider;
mod reembed;
mod remote;
mod rerank;
mod search;
mod serve;
mod snapshot;
mod status;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use config::Failure;
use kithdb::{ErrorKind, Result};

use crate::{Logging, log};

/// KithDB: a vector database in one directory.
#[derive(Parser)]
#[command(name = "kithdb", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = examples::ALL)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a database over HTTP, in the dialect of Qdrant's REST API
    #[command(after_help = examples::SERVE)]
    Serve(Box<serve::Serve>),
    /// Print the configuration that `serve` would have, with where each value comes from
    #[command(after_help = examples::CONFIG)]
    Config(Box<config::Config>),
    /// Read a folder of documents into a collection; later runs do only what changed
    #[command(after_help = examples::INGEST)]
    Ingest(Box<ingest::Ingest>),
    /// Ask a collection of documents a question
    #[command(after_help = examples::SEARCH)]
    Search(Box<search::Search>),
    /// Ask a question, and get an answer from the documents of a collection, with its citations
    #[command(after_help = examples::ASK)]
    Ask(Box<ask::Ask>),
    /// Move a collection of documents to another model: a new one beside it, behind a gate
    #[command(after_help = examples::REEMBED)]
    Reembed(Box<reembed::Reembed>),
    /// Measure how well questions with known answers find them, in one or two configurations
    #[command(after_help = examples::EVAL)]
    Eval(Box<eval::Eval>),
    /// Read a file of points into a collection: Parquet, Arrow, JSON lines, NumPy, fvecs, HDF5
    #[command(after_help = examples::IMPORT)]
    Import(Box<import::Import>),
    /// Write a collection into a file: Parquet, Arrow, JSON lines
    #[command(after_help = examples::EXPORT)]
    Export(export::Export),
    /// Make, list, restore and delete snapshots
    #[command(after_help = examples::SNAPSHOT)]
    Snapshot(snapshot::Snapshot),
    /// Tell where collections stand: what they hold, what searches find, whether vectors drift
    #[command(after_help = examples::STATUS)]
    Status(status::Status),
    /// Verify every checksum, and that storage, vectors, fields and keywords agree
    #[command(after_help = examples::DOCTOR)]
    Doctor(doctor::Doctor),
    /// Measure recall and speed of searches, on a collection or on generated vectors
    #[command(after_help = examples::BENCH)]
    Bench(bench::Bench),
    /// Print completions for a shell: bash, zsh, fish, elvish, powershell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Completions),
    /// Offer the database to programs that speak the Model Context Protocol, on standard input and output
    #[command(after_help = examples::MCP)]
    Mcp(mcp::McpArgs),
}

/// As clap ends what it does not understand.
const NOT_UNDERSTOOD: u8 = 2;

/// Runs a command. The first argument is the name that it was called by. What is not understood ends the process.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (command, arguments) = (Cli::command(), arguments.into_iter().collect::<Vec<_>>());
    let outcome = match config::matches(&command, &arguments) {
        Ok((matches, file)) => start(&command, &matches, file.as_ref()),
        Err(Failure::Clap(error)) => error.exit(),
        Err(Failure::File(error)) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        terminal::say(&format!("error: {error}"));
        match error.kind() {
            ErrorKind::InvalidArgument => ExitCode::from(NOT_UNDERSTOOD),
            _ => ExitCode::FAILURE,
        }
    })
}

fn start(command: &clap::Command, matches: &ArgMatches, file: Option<&config::File>) -> Result<ExitCode> {
    let cli = Cli::from_arg_matches(matches).unwrap_or_else(|error| error.exit());
    let logging = match &cli.command {
        Command::Serve(command) => command.logging(),
        _ => Logging {
            filter: std::env::var("KITHDB_LOG").unwrap_or_else(|_| "error".to_owned()),
            ..Logging::default()
        },
    };
    // What is left of traces is sent when the command has ended.
    let _tracing = log(&logging)?;
    match cli.command {
        Command::Serve(command) => command.run(),
        Command::Config(config) => {
            let (name, given) = matches.subcommand().expect("it was parsed from one");
            config.run(command.find_subcommand(name).expect("it was found before"), given, file)
        }
        Command::Ingest(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Ask(command) => command.run(),
        Command::Reembed(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Snapshot(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Completions(completions) => completions.run(command.clone()),
        Command::Mcp(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }
}
