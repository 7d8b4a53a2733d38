//! The command line: `serve`, `config`, `ingest`, `search`, `ask`, `reembed`, `eval`, `import`, `export`, `snapshot`,
//! `status`, `doctor`, `bench`, `mcp`, `completions`.
//!
//! People read text, laid out for their terminal; programs say `--json`. What was asked for goes to standard output,
//! everything said beside it to standard error. Exit codes: 0 done, 1 failed or found faulty, 2 not understood.

mod ask;
mod bench;
mod completions;
mod config;
mod doctor;
mod engine;
mod eval;
mod export;
mod import;
mod ingest;
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
use kithdb::Result;

use crate::{Logging, log};

/// KithDB: a vector database in one directory.
#[derive(Parser)]
#[command(name = "kithdb", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a database over HTTP, in the dialect of Qdrant's REST API
    Serve(Box<serve::Serve>),
    /// Print the configuration that `serve` would have, with where each value comes from
    Config(Box<config::Config>),
    /// Read a folder of documents into a collection; later runs do only what changed
    Ingest(Box<ingest::Ingest>),
    /// Ask a collection of documents a question
    Search(Box<search::Search>),
    /// Ask a question, and get an answer from the documents of a collection, with its citations
    Ask(Box<ask::Ask>),
    /// Move a collection of documents to another model: a new one beside it, behind a gate
    Reembed(Box<reembed::Reembed>),
    /// Measure how well questions with known answers find them, in one or two configurations
    Eval(Box<eval::Eval>),
    /// Read a file of points into a collection: Parquet, Arrow, JSON lines, NumPy, fvecs, HDF5
    Import(Box<import::Import>),
    /// Write a collection into a file: Parquet, Arrow, JSON lines
    Export(export::Export),
    /// Make, list, restore and delete snapshots
    Snapshot(snapshot::Snapshot),
    /// Tell where collections stand: what they hold, what searches find, whether vectors drift
    Status(status::Status),
    /// Verify every checksum, and that storage, vectors, fields and keywords agree
    Doctor(doctor::Doctor),
    /// Measure recall and speed of searches, on a collection or on generated vectors
    Bench(bench::Bench),
    /// Print completions for a shell: bash, zsh, fish, elvish, powershell
    Completions(completions::Completions),
    /// Offer the database to programs that speak the Model Context Protocol, on standard input and output
    Mcp(mcp::McpArgs),
}

/// Runs a command. The first argument is the name that it was called by. What is not understood ends the process.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (command, arguments) = (Cli::command(), arguments.into_iter().collect::<Vec<_>>());
    let outcome = match config::matches(&command, &arguments) {
        Ok((matches, file)) => start(&command, &matches, file.as_ref()),
        Err(Failure::Clap(error)) => error.exit(),
        Err(Failure::File(error)) => {
            terminal::say(&format!("error: {error}"));
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        terminal::say(&format!("error: {error}"));
        ExitCode::FAILURE
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
