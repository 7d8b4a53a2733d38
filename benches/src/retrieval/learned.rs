//! Weights of words that are learned from one half of a collection's questions, measured on the other half, and the
//! other way round.

use std::collections::HashMap;

use kithdb::{Database, HybridWeights, PointId, Result};
use rag::eval::{Expected, Learned, Lesson, Question, learn};

use super::{Arguments, Corpus, Embeddings, Method, embed, ingest, names, quality};
use crate::golden;
use crate::table::Table;

/// # Errors
/// When a collection or the model cannot be read, has too few questions, or the database fails.
pub(super) fn run(arguments: &Arguments) -> Result<String> {
    let embedder = golden::open(arguments.model.as_deref())?;
    let heads = [
        "collection",
        "learned from",
        "keyword",
        "vector",
        "rrf",
        "default",
        "learned",
        "gain",
        "words weigh",
        "own gain",
        "p",
        "adopted",
    ];
    let mut table = Table::new(heads);
    for name in names(&arguments.sets) {
        let corpus = Corpus::read(&arguments.data.join(&name), &name)?;
        let embeddings = embed(&embedder, arguments, &corpus)?;
        for half in 0..2 {
            table.row(row(&corpus, &embeddings, half)?);
        }
    }
    Ok(table.to_text())
}

/// Learns from every second question, and asks the others.
fn row(corpus: &Corpus, embeddings: &Embeddings, half: usize) -> Result<[String; 12]> {
    let database = Database::in_memory()?;
    let collection = ingest(&database, corpus, Some(embeddings))?;
    let learned = learn(&collection, None, &questions(corpus, embeddings, half), &Lesson::default())?;
    let ask = |method| quality(&collection, corpus, method, Some(embeddings), |at| at % 2 != half);
    let figure = |method| ask(method).map(|quality| quality.ndcg);
    let adaptive = |weights| figure(Method::Adaptive(Some(weights)));
    let (default, after) = (adaptive(HybridWeights::default())?, adaptive(learned.weights)?);
    let Learned { weights, p, is_adopted, .. } = learned;
    Ok([
        corpus.name.clone(),
        format!("{} questions", learned.questions),
        format!("{:.4}", figure(Method::Keyword)?),
        format!("{:.4}", figure(Method::Vector)?),
        format!("{:.4}", figure(Method::Hybrid)?),
        format!("{default:.4}"),
        format!("{after:.4}"),
        format!("{:+.4}", after - default),
        format!("{:.1} to {:.1}", weights.words_least, weights.words_most),
        format!("{:+.4}", learned.learned - learned.default),
        format!("{p:.4}"),
        if is_adopted { "yes" } else { "no" }.to_owned(),
    ])
}

/// Every second question, with the documents that were judged to answer it.
fn questions(corpus: &Corpus, embeddings: &Embeddings, half: usize) -> Vec<Question> {
    let places: HashMap<&str, u64> =
        (0..).zip(&corpus.documents).map(|(at, doc)| (doc.id.as_str(), at)).collect();
    let question = |(at, query): (usize, &super::corpus::Question)| {
        let judged = corpus.judged.get(&query.id)?.iter().filter(|(_, grade)| **grade > 0);
        let expected = judged.filter_map(|(document, grade)| {
            let id = PointId::Num(*places.get(document.as_str())?);
            Some(Expected { path: None, id: Some(id), range: None, grade: f64::from(*grade) })
        });
        Some(Question {
            id: (at as u64).into(),
            text: query.text.clone(),
            expected: expected.collect(),
            answer: None,
            vector: embeddings.queries.get(at).cloned(),
        })
    };
    corpus.queries.iter().enumerate().filter(|(at, _)| at % 2 == half).filter_map(question).collect()
}
