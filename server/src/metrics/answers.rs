//! What is counted of answers: how they came about, how they failed, and the tokens that they took.

use std::collections::BTreeMap;

use kithdb::{Error, Result};
use parking_lot::Mutex;
use rag::engine::Failure;
use rag::{Answer, Outcome};

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
        let outcome = match answer.outcome {
            Outcome::Generated => "generated",
            Outcome::Extractive => "extractive",
            Outcome::NothingFound => "nothing_found",
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        self.citations += answer.citations.len() as u64;
        self.unsupported += answer.unsupported.len() as u64;
        let usage = answer.usage.unwrap_or_default();
        for (sum, tokens) in self.tokens.iter_mut().zip([usage.prompt, usage.cached, usage.completion]) {
            *sum += tokens as u64;
        }
    }
}

/// Why there is no answer: the engine's failure, or the kind of the error.
fn reason(error: &Error) -> String {
    match Failure::of(error) {
        Some(failure) => format!("engine_{}", failure.kind.name()),
        None => error.kind().name().to_owned(),
    }
}

impl Answers {
    pub(super) fn expose(&self, text: &mut Exposition) {
        let counted = self.0.lock();
        text.family("kithdb_answers_total", "counter", "Answers, by how they came about.");
        for (outcome, count) in &counted.outcomes {
            text.sample("kithdb_answers_total", &[("outcome", outcome)], count);
        }
        text.family("kithdb_answer_failures_total", "counter", "Questions without an answer, by the reason.");
        for (reason, count) in &counted.failures {
            text.sample("kithdb_answer_failures_total", &[("reason", reason)], count);
        }
        text.family(
            "kithdb_answer_tokens_total",
            "counter",
            "Tokens of the serving engine; cached ones are also in prompt.",
        );
        for (kind, tokens) in ["prompt", "cached", "completion"].iter().zip(counted.tokens) {
            text.sample("kithdb_answer_tokens_total", &[("kind", kind)], tokens);
        }
        text.family("kithdb_answer_citations_total", "counter", "Citations in answers.");
        text.sample("kithdb_answer_citations_total", &[], counted.citations);
        text.family(
            "kithdb_answer_unsupported_total",
            "counter",
            "Sentences of answers that no document supports.",
        );
        text.sample("kithdb_answer_unsupported_total", &[], counted.unsupported);
    }
}
