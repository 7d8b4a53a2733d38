//! Searches in this process, one after the other: what `compare/over_http.py` holds the same searches over HTTP
//! against.
//!
//! Not for latencies under load: there is one thread.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use kithdb::{Collection, Database, Error, Result};
use serde_json::{Value, json};

use crate::figures::Timings;
use crate::machine;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The directory of a database that nobody else has open
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    #[arg(long)]
    collection: String,
    /// A file with bodies of `points/query`, one a line; of each, `query` and `limit` are read
    #[arg(long, value_name = "FILE")]
    bodies: PathBuf,
    /// How long to ask
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

struct Question {
    vector: Vec<f32>,
    limit: usize,
}

/// A JSON object in one line.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let db = Database::open(&arguments.data)?;
    let collection = db.collection(&arguments.collection)?;
    let text = fs::read_to_string(&arguments.bodies)?;
    let questions = text.lines().map(question).collect::<Result<Vec<_>>>()?;
    // Once through, so that nothing is read from the disk later.
    ask(&collection, &questions, Duration::ZERO)?;
    let before = machine::cpu().unwrap_or_default();
    let timings = ask(&collection, &questions, Duration::from_secs(arguments.seconds))?;
    let cpu = machine::cpu().unwrap_or_default().saturating_sub(before);
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    Ok(json!({
        "searches": timings.count(),
        "cpu_us": micros(cpu) / timings.count() as f64,
        "p50_us": micros(timings.percentile(0.5)),
        "p99_us": micros(timings.percentile(0.99)),
    })
    .to_string())
}

fn question(line: &str) -> Result<Question> {
    let wrong = |error: serde_json::Error| Error::invalid("bodies", error.to_string());
    let mut body: Value = serde_json::from_str(line).map_err(wrong)?;
    let vector = serde_json::from_value(body["query"].take()).map_err(wrong)?;
    let limit = serde_json::from_value(body["limit"].take()).map_err(wrong)?;
    Ok(Question { vector, limit })
}

/// Asks every question at least once, and all of them again until the time is over.
fn ask(collection: &Collection, questions: &[Question], time: Duration) -> Result<Timings> {
    let (began, mut timings) = (Instant::now(), Timings::default());
    loop {
        for question in questions {
            timings.time(|| collection.query().nearest(&question.vector[..]).limit(question.limit).run())?;
        }
        if began.elapsed() >= time {
            return Ok(timings);
        }
    }
}
