//! A labelled collection in the layout of BEIR (Thakur et al. 2021): documents, queries, and which answer which.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use kithdb::{Error, Result, Value};

/// A labelled collection.
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) documents: Vec<Document>,
    pub(super) queries: Vec<Question>,
    /// By query: the relevance of each judged document. Queries without a relevant one are left out.
    pub(super) judged: HashMap<String, HashMap<String, u32>>,
}

/// A document.
pub(crate) struct Document {
    pub(super) id: String,
    pub(crate) title: String,
    pub(crate) text: String,
    /// Title and text, as it is embedded.
    pub(super) whole: String,
}

/// A query of the collection.
pub(super) struct Question {
    pub(super) id: String,
    pub(super) text: String,
}

impl Corpus {
    /// Reads `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv` of a folder.
    ///
    /// # Errors
    /// `InvalidArgument` on `data`, naming the file that is missing or damaged.
    pub(crate) fn read(folder: &Path, name: &str) -> Result<Self> {
        let judged = read_judged(&folder.join("qrels/test.tsv"))?;
        let mut queries = read_lines(&folder.join("queries.jsonl"), &question)?;
        queries.retain(|query| judged.contains_key(&query.id));
        let documents = read_lines(&folder.join("corpus.jsonl"), &document)?;
        Ok(Self { name: name.to_owned(), documents, queries, judged })
    }

    /// The id of the document at a position; empty for one that does not exist.
    pub(super) fn id_of(&self, position: usize) -> &str {
        self.documents.get(position).map_or("", |document| document.id.as_str())
    }
}

fn document(value: &Value) -> Option<Document> {
    let title = value["title"].as_str().unwrap_or_default().to_owned();
    let text = value["text"].as_str()?.to_owned();
    let whole = format!("{title} {text}").trim().to_owned();
    Some(Document { id: value["_id"].as_str()?.to_owned(), title, text, whole })
}

fn question(value: &Value) -> Option<Question> {
    Some(Question { id: value["_id"].as_str()?.to_owned(), text: value["text"].as_str()?.to_owned() })
}

fn read_lines<T>(path: &Path, parse: &dyn Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let text = read(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let value = serde_json::from_str(line).ok();
            value.as_ref().and_then(parse).ok_or_else(|| damaged(path, at))
        })
        .collect()
}

/// Lines of query, document and relevance, split by tabs, after a head.
fn read_judged(path: &Path) -> Result<HashMap<String, HashMap<String, u32>>> {
    let mut judged: HashMap<String, HashMap<String, u32>> = HashMap::new();
    for (at, line) in read(path)?.lines().enumerate().skip(1) {
        let mut cells = line.split('\t');
        let (Some(query), Some(document), Some(relevance)) = (cells.next(), cells.next(), cells.next())
        else {
            return Err(damaged(path, at));
        };
        let relevance: i64 = relevance.trim().parse().map_err(|_| damaged(path, at))?;
        let relevance = u32::try_from(relevance).unwrap_or(0);
        judged.entry(query.to_owned()).or_default().insert(document.to_owned(), relevance);
    }
    judged.retain(|_, documents| documents.values().any(|relevance| *relevance > 0));
    Ok(judged)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| {
        Error::invalid("data", format!("`{}` cannot be read: {error}", path.display())).with_source(error)
    })
}

fn damaged(path: &Path, at: usize) -> Error {
    Error::invalid("data", format!("line {} of `{}` is not as BEIR has it", at + 1, path.display()))
}

/// Three documents and a query that the second answers.
#[cfg(test)]
pub(super) fn sample() -> Corpus {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    fs::create_dir(folder.path().join("qrels")).expect("a folder");
    let corpus = [
        r#"{"_id": "a", "title": "Bread", "text": "Flour and water."}"#,
        r#"{"_id": "b", "title": "Lighthouses", "text": "Lamps for ships."}"#,
        r#"{"_id": "c", "text": "Nothing of use."}"#,
    ];
    write("corpus.jsonl", &corpus.join("\n"));
    write(
        "queries.jsonl",
        "{\"_id\": \"1\", \"text\": \"lighthouse\"}\n{\"_id\": \"2\", \"text\": \"unjudged\"}\n",
    );
    write("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\tb\t1\n1\ta\t0\n2\ta\t0\n");
    Corpus::read(folder.path(), "sample").expect("reads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_without_a_relevant_document_is_left_out() {
        let corpus = sample();
        assert_eq!(corpus.queries.len(), 1);
        assert_eq!(corpus.judged["1"]["b"], 1);
        assert_eq!((corpus.documents[0].whole.as_str(), corpus.id_of(2)), ("Bread Flour and water.", "c"));
        assert_eq!(corpus.documents[2].whole, "Nothing of use.");
    }
}
