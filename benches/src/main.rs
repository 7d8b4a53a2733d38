//! `kithdb-bench`: the program that the figures of `RESULTS.md` come from, but for those of HTTP, of Python and of
//! peers, whose scripts lie in `compare/` and `answers/`.
//!
//! Results are Markdown tables on standard output, progress goes to standard error. Inputs are either made from a
//! fixed seed or named on the command line, so a second run on the same machine differs by noise only.
//! Not for comparing machines or other engines: it measures one process on an otherwise idle machine.

mod ann;
mod clusters;
mod documents;
mod embedded;
mod embedding;
mod engine;
mod figures;
mod golden;
mod machine;
mod mixed;
mod retrieval;
mod sparse;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kithdb::Result;

#[derive(Parser)]
#[command(name = "kithdb-bench", about = "Measures KithDB and prints Markdown tables.")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Speed, memory and disk of the database, on synthetic points.
    Engine(engine::Arguments),
    /// Latency of each kind of query as a collection grows, and what EXPLAIN costs.
    Growth(engine::GrowthArguments),
    /// Documents a second from files to searchable chunks, embedding included.
    Documents(documents::Arguments),
    /// Texts a second of the embedder, a round a line of standard input.
    Embedding(embedding::Arguments),
    /// nDCG@10 and recall@100 on labelled collections in the layout of BEIR.
    Retrieval(retrieval::Arguments),
    /// Approximate nearest neighbours without the database: a segment's graph, and that of the head.
    Ann(ann::Arguments),
    /// What `ann` starts for each engine, so that its memory is its own.
    #[command(hide = true)]
    AnnEngine(ann::EngineArguments),
    /// Reads while points are upserted and deleted, or recall after all were replaced.
    Mixed(mixed::Arguments),
    /// CPU time and latency of searches in process; started by `compare/over_http.py`.
    Embedded(embedded::Arguments),
    /// Queries a second by sparse vectors like those of BM25, beside adding up every row.
    Sparse(sparse::Arguments),
    /// Agreement of the embedder with reference embeddings; fails when they disagree.
    Golden(golden::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().bench) {
        Ok((report, is_passed)) => {
            println!("{report}");
            if is_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("kithdb-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The report, and whether what it shows is as it must be.
fn run(bench: &Bench) -> Result<(String, bool)> {
    let (report, is_passed) = match bench {
        Bench::Engine(arguments) => (engine::run(arguments)?, true),
        Bench::Growth(arguments) => (engine::run_growth(arguments)?, true),
        Bench::Documents(arguments) => (documents::run(arguments)?, true),
        Bench::Embedding(arguments) => return Ok((embedding::run(arguments)?, true)),
        Bench::Retrieval(arguments) => (retrieval::run(arguments)?, true),
        Bench::Ann(arguments) => (ann::run(arguments)?, true),
        Bench::AnnEngine(arguments) => return Ok((ann::run_engine(arguments)?, true)),
        Bench::Mixed(arguments) => (mixed::run(arguments)?, true),
        Bench::Embedded(arguments) => return Ok((embedded::run(arguments)?, true)),
        Bench::Sparse(arguments) => sparse::run(arguments)?,
        Bench::Golden(arguments) => golden::run(arguments)?,
    };
    Ok((format!("{}\n\n{report}", machine::line()), is_passed))
}
