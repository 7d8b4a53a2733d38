//! Texts a second of the embedder in process, a round a line of standard input, so that another process can take turns
//! with it on the same machine (`benches/compare/embedding.py`).

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use kithdb::{Result, Value};

use crate::golden;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Texts: a JSON object with `text` a line.
    #[arg(long)]
    texts: PathBuf,
    /// Texts at most.
    #[arg(long, default_value_t = 400)]
    limit: usize,
    /// The model directory; the default place if absent.
    #[arg(long)]
    model: Option<PathBuf>,
}

/// # Errors
/// When the texts or the model cannot be read.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    let embedder = golden::open(arguments.model.as_deref())?;
    let lines = std::fs::read_to_string(&arguments.texts)?;
    let text = |line: &str| serde_json::from_str::<Value>(line).ok()?["text"].as_str().map(str::to_owned);
    let texts: Vec<String> = lines.lines().filter_map(text).take(arguments.limit).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for line in std::io::stdin().lock().lines() {
        line?;
        let began = Instant::now();
        let vectors = embedder.embed_documents(&texts, &|_| {})?;
        println!("{} {:.4}", vectors.len(), began.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    Ok(String::new())
}
