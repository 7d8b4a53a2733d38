//! The embedder against embeddings that sentence-transformers made of the same texts with the same weights.

use std::path::{Path, PathBuf};

use kithdb::{Error, Result, Value};
use rag::Embedder;

use crate::table::Table;

/// The least cosine that counts as agreement.
const COSINE_MIN: f64 = 0.999_99;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The reference: JSON with `rows` of `text`, `token_ids`, `embedding`.
    #[arg(long)]
    golden: PathBuf,
    /// The model directory; the default place if absent.
    #[arg(long)]
    model: Option<PathBuf>,
}

/// A text with what the reference makes of it.
struct Row {
    text: String,
    token_ids: Vec<u32>,
    embedding: Vec<f32>,
}

/// How far the embedder is from the reference over all texts.
#[derive(Debug, PartialEq)]
struct Agreement {
    texts: usize,
    texts_with_equal_ids: usize,
    cosine_min: f64,
    difference_max: f64,
}

/// The report, and whether all ids are equal and every cosine is at least [`COSINE_MIN`].
///
/// # Errors
/// When the reference or the model cannot be read.
pub(crate) fn run(arguments: &Arguments) -> Result<(String, bool)> {
    let rows = read(&arguments.golden)?;
    let embedder = open(arguments.model.as_deref())?;
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let embeddings = embedder.embed_documents(&texts, &|_| {})?;
    let token_ids: Vec<Vec<u32>> =
        texts.iter().map(|text| embedder.token_ids(text)).collect::<Result<_>>()?;
    let agreement = compare(&rows, &token_ids, &embeddings);
    Ok((agreement.to_text(), agreement.is_passed()))
}

/// The model of a directory, or of the default place.
///
/// # Errors
/// `InvalidArgument` on `model` when there is none.
pub(crate) fn open(named: Option<&Path>) -> Result<Embedder> {
    let missing = || Error::invalid("model", "there is no model; name its directory by --model");
    Embedder::open(&rag::model::find(named)?.ok_or_else(missing)?)
}

impl Agreement {
    fn is_passed(&self) -> bool {
        self.texts > 0 && self.texts_with_equal_ids == self.texts && self.cosine_min >= COSINE_MIN
    }

    fn to_text(&self) -> String {
        let mut table =
            Table::new(["texts", "equal token ids", "least cosine", "largest difference", "verdict"]);
        table.row([
            self.texts.to_string(),
            self.texts_with_equal_ids.to_string(),
            format!("{:.7}", self.cosine_min),
            format!("{:.1e}", self.difference_max),
            if self.is_passed() { "agrees" } else { "**disagrees**" }.to_owned(),
        ]);
        table.to_text()
    }
}

fn compare(rows: &[Row], token_ids: &[Vec<u32>], embeddings: &[Vec<f32>]) -> Agreement {
    let equal = rows.iter().zip(token_ids).filter(|(row, ids)| row.token_ids == **ids).count();
    let pairs = || rows.iter().zip(embeddings).map(|(row, ours)| (&row.embedding, ours));
    Agreement {
        texts: rows.len(),
        texts_with_equal_ids: equal,
        cosine_min: pairs().map(|(a, b)| cosine(a, b)).fold(1.0, f64::min),
        difference_max: pairs().map(|(a, b)| difference(a, b)).fold(0.0, f64::max),
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    // Vectors of different length have no angle: the worst there is.
    if a.len() == b.len() { dot(a, b) / (dot(a, a) * dot(b, b)).sqrt() } else { -1.0 }
}

fn difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

fn read(path: &Path) -> Result<Vec<Row>> {
    let damaged = |why: &str| Error::invalid("golden", format!("`{}` {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| damaged("cannot be read").with_source(error))?;
    let golden: Value =
        serde_json::from_slice(&bytes).map_err(|error| damaged("is not JSON").with_source(error))?;
    let rows = golden["rows"].as_array().ok_or_else(|| damaged("has no `rows`"))?;
    rows.iter().map(|row| parse(row).ok_or_else(|| damaged("has a row that lacks a part"))).collect()
}

fn parse(row: &Value) -> Option<Row> {
    let ids = row["token_ids"].as_array()?.iter().map(|id| u32::try_from(id.as_u64()?).ok());
    let elements = row["embedding"].as_array()?.iter().map(|element| Some(element.as_f64()? as f32));
    Some(Row {
        text: row["text"].as_str()?.to_owned(),
        token_ids: ids.collect::<Option<_>>()?,
        embedding: elements.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row { text: "a".to_owned(), token_ids: vec![1, 2], embedding: vec![0.6, 0.8] }
    }

    #[test]
    fn one_wrong_id_or_one_turned_vector_fails() {
        let same = compare(&[row()], &[vec![1, 2]], &[vec![0.6, 0.8]]);
        assert!(same.is_passed(), "{same:?}");
        assert!(!compare(&[row()], &[vec![1, 3]], &[vec![0.6, 0.8]]).is_passed());
        let turned = compare(&[row(), row()], &[vec![1, 2], vec![1, 2]], &[vec![0.6, 0.8], vec![0.8, 0.6]]);
        assert!(!turned.is_passed() && (turned.cosine_min - 0.96).abs() < 1e-6, "{turned:?}");
        assert!(!compare(&[row()], &[vec![1, 2]], &[vec![0.6]]).is_passed());
        assert!(!compare(&[], &[], &[]).is_passed());
    }
}
