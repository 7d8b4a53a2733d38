//! What is counted of answers: how they came about, how they failed, and the tokens that they took.

use std::collections::BTreeMap;

use kithdb::{Error, Result};
use parking_lot::Mutex;
use rag::Answer;
use rag::engine::Failure;

use super::{Exposition, Metrics};

#[derive(Default)]
pub(super) struct Answers(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    outcomes: BTreeMap<&'static str, u64>,
    failures: BTreeMap<String, u64>,
    /// Of prompts, of these those that the engine still had, of answers.
    tokens: [u64; 3],
    citations: u64,
    unsupported: u64,
}

impl Metrics {
    /// Counts an answer, or what came of the attempt to make one.
    pub(crate) fn answered(&self, made: &Result<Answer>) {
        let mut counted = self.answers.0.lock();
        match made {
            Ok(answer) => counted.add(answer),
            Err(error) => *counted.failures.entry(reason(error)).or_default() += 1,
        }
    }
}

impl Counted {
    fn add(&mut self, answer: &Answer) {
        *self.outcomes.entry(answer.outcome.name()).or_default() += 1;
        self.citations += answer.citations.len() as u64;
        self.unsupported += answer.unsupported.len() as u64;
        let usage = answer.usage.unwrap_or_default();
        for (sum, tokens) in self.tokens.iter_mut().zip([usage.prompt, usage.cached, usage.completion]) {
            *sum += tokens as u64;
        }
    }
}

/// Why there is no answer: the failure of the engine or of the reranker, or the kind of the error.
fn reason(error: &Error) -> String {
    match Failure::of(error) {
        Some(failure) if error.field() == Some("rerank") => format!("rerank_{}", failure.kind.name()),
        Some(failure) => format!("engine_{}", failure.kind.name()),
        None => error.kind().name().to_owned(),
    }
}

impl Answers {
    pub(super) fn expose(&self, out: &mut Exposition) {
        let counted = self.0.lock();
        out.counter("kithdb_answers_total", "Answers, by how they came about.", |family| {
            counted.outcomes.iter().for_each(|(outcome, count)| family.put(&[("outcome", outcome)], count));
        });
        let help = "Questions without an answer, by the reason.";
        out.counter("kithdb_answer_failures_total", help, |family| {
            counted.failures.iter().for_each(|(reason, count)| family.put(&[("reason", reason)], count));
        });
        let help = "Tokens of the serving engine; cached ones are also in prompt.";
        out.counter("kithdb_answer_tokens_total", help, |family| {
            for (kind, tokens) in ["prompt", "cached", "completion"].iter().zip(counted.tokens) {
                family.put(&[("kind", kind)], tokens);
            }
        });
        let help = "Citations in answers.";
        out.counter("kithdb_answer_citations_total", help, |family| family.put(&[], counted.citations));
        let help = "Sentences of answers that no document supports.";
        out.counter("kithdb_answer_unsupported_total", help, |family| family.put(&[], counted.unsupported));
    }
}
