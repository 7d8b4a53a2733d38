//! Query latency by kind, with the way the planner took and the recall against the exact answer.

use std::collections::HashSet;
use std::iter;

use kithdb::{Collection, Condition, Hit, PointId, QueryBuilder, Range, Result, Step, strategy_name};

use super::life::Life;
use super::synthetic::{FIELD, Synthetic};
use crate::figures::{Timings, milliseconds};
use crate::table::Table;

/// Hits of a query.
const HITS: usize = 10;

/// Queries of each kind that are asked before time is taken.
const WARMING: usize = 20;

/// What the queries are made from.
struct Question {
    vector: Vec<f32>,
    words: String,
}

/// A kind of query.
#[derive(Default)]
struct Kind {
    name: &'static str,
    has_vector: bool,
    has_words: bool,
    is_exact: bool,
    filter: Option<Condition>,
}

/// A table with a row a kind.
///
/// # Errors
/// What the database returns.
pub(super) fn measure(life: &Life) -> Result<String> {
    let mut source = Synthetic::new(life.sizes.dim);
    // Goes past what the rows were made of, so that no query is a row.
    (0..life.sizes.rows as u64).for_each(|id| drop(source.point(id)));
    let questions: Vec<Question> = (0..life.sizes.queries)
        .map(|_| Question { vector: source.vector(), words: source.words() })
        .collect();
    let mut table = Table::new(["query, 10 hits", "way", "p50", "p99", "recall@10"]);
    for kind in kinds()? {
        eprintln!("queries: {}", kind.name);
        table.row(kind.measure(&life.collection, &questions)?);
    }
    Ok(table.to_text())
}

fn kinds() -> Result<[Kind; 6]> {
    let half = Condition::range(FIELD, Range { lt: Some(50.0), ..Range::default() })?;
    let hundredth = Condition::equals(FIELD, 7)?;
    let nearest = |name| Kind { name, has_vector: true, ..Kind::default() };
    Ok([
        Kind { is_exact: true, ..nearest("vector, exact") },
        nearest("vector"),
        Kind { name: "keyword", has_words: true, ..Kind::default() },
        Kind { has_words: true, ..nearest("hybrid") },
        Kind { filter: Some(half), ..nearest("vector, filter passes 50 %") },
        Kind { filter: Some(hundredth), ..nearest("vector, filter passes 1 %") },
    ])
}

impl Kind {
    fn measure(&self, collection: &Collection, questions: &[Question]) -> Result<[String; 5]> {
        for question in questions.iter().take(WARMING) {
            self.query(collection, question).run()?;
        }
        let mut timings = Timings::default();
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let query = self.query(collection, question);
            answers.push(ids(&timings.time(|| query.run())?));
        }
        Ok([
            self.name.to_owned(),
            self.way(collection, questions)?,
            milliseconds(timings.percentile(0.5)),
            milliseconds(timings.percentile(0.99)),
            self.recall(collection, questions, &answers)?,
        ])
    }

    fn query<'a>(&self, collection: &'a Collection, question: &Question) -> QueryBuilder<'a> {
        let mut query = collection.query().limit(HITS);
        if self.has_vector {
            query = query.nearest(question.vector.clone());
        }
        if self.has_words {
            query = query.keyword(&question.words);
        }
        if self.is_exact {
            query = query.exact();
        }
        match &self.filter {
            Some(condition) => query.filter(condition.clone()),
            None => query,
        }
    }

    /// The share of the exact answers that was found; shown for queries by vector alone.
    fn recall(
        &self,
        collection: &Collection,
        questions: &[Question],
        answers: &[HashSet<PointId>],
    ) -> Result<String> {
        if self.has_words {
            return Ok(String::new());
        }
        let (mut found, mut wanted) = (0, 0);
        for (question, answer) in questions.iter().zip(answers) {
            let best = ids(&self.query(collection, question).exact().run()?);
            found += best.intersection(answer).count();
            wanted += best.len();
        }
        Ok(format!("{:.3}", found as f64 / wanted.max(1) as f64))
    }

    /// What the planner does with it.
    fn way(&self, collection: &Collection, questions: &[Question]) -> Result<String> {
        let Some(question) = questions.first() else { return Ok(String::new()) };
        let plan = self.query(collection, question).explain()?;
        let ways = iter::once(&plan).chain(&plan.legs).filter_map(|plan| match &plan.step {
            Step::Vector { parts, .. } => {
                let mut names: Vec<String> = parts.iter().map(|part| strategy_name(part.strategy)).collect();
                names.dedup();
                Some(names.join(", "))
            }
            Step::Keyword => Some("BM25".to_owned()),
            _ => None,
        });
        Ok(ways.collect::<Vec<_>>().join(" + "))
    }
}

fn ids(hits: &[Hit]) -> HashSet<PointId> {
    hits.iter().map(|hit| hit.id).collect()
}
