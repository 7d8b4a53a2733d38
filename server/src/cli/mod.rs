//! The command line: `serve`, `config`, `ingest`, `search`, `import`, `export`, `doctor`, `mcp`.
//!
//! People read text, laid out for their terminal; programs say `--json`. What was asked for goes to standard output,
//! everything said beside it to standard error. Exit codes: 0 done, 1 failed or found faulty, 2 not understood.

mod config;
mod doctor;
mod export;
mod import;
mod ingest;
mod limits;
mod mcp;
mod open;
mod present;
mod remote;
mod search;
mod serve;
mod terminal;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use config::Failure;
use kithdb::Result;
use tracing_subscriber::EnvFilter;

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
    Serve(serve::Serve),
    /// Print the configuration that `serve` would have, with where each value comes from
    Config(config::Config),
    /// Read a folder of text and Markdown files into a collection; later runs do only what changed
    Ingest(ingest::Ingest),
    /// Ask a collection of documents a question
    Search(search::Search),
    /// Read a file of points into a collection: Parquet, Arrow, JSON lines, NumPy, fvecs, HDF5
    Import(Box<import::Import>),
    /// Write a collection into a file: Parquet, Arrow, JSON lines
    Export(export::Export),
    /// Verify every checksum, and that storage, vectors, fields and keywords agree
    Doctor(doctor::Doctor),
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
    log(if matches!(cli.command, Command::Serve(_)) { "warn" } else { "error" });
    match cli.command {
        Command::Serve(command) => command.run(),
        Command::Config(config) => {
            let (name, given) = matches.subcommand().expect("it was parsed from one");
            config.run(command.find_subcommand(name).expect("it was found before"), given, file)
        }
        Command::Ingest(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Mcp(command) => command.run(),
    }
}

/// Logs to standard error: from this level on, unless `KITHDB_LOG` says otherwise.
fn log(level: &str) {
    let filter = EnvFilter::try_from_env("KITHDB_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }
}
