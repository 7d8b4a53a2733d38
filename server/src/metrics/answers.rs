//! What is counted of answers: how they came about, how they failed, how long they took, and the tokens of them.
//!
//! Invariant: what can be counted is told from the start, as 0: the first failure is an increase.

use std::collections::BTreeMap;
use std::time::Duration;

use kithdb::{Error, Result, Times};
use parking_lot::Mutex;
use rag::engine::{Failure, FailureKind};
use rag::{Answer, Outcome};

use super::{Exposition, Metrics};

pub(super) struct Answers(Mutex<Counted>);

/// How answers come about.
const OUTCOMES: [Outcome; 3] = [Outcome::Generated, Outcome::Extractive, Outcome::NothingFound];

/// How long an answer took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// To its first words, if there were any.
    pub(crate) first: Option<Duration>,
    /// To its end.
    pub(crate) whole: Duration,
}

#[derive(Default)]
struct Counted {
    /// By outcome, in the order of [`OUTCOMES`].
    times: [Times; OUTCOMES.len()],
    /// To the first words of answers that a model wrote.
    first: Times,
    failures: BTreeMap<String, u64>,
    /// Of prompts, of these those that the engine still had, of answers.
    tokens: [u64; 3],
    citations: u64,
    unsupported: u64,
}

impl Metrics {
    /// Counts an answer, or what came of the attempt to make one.
    pub(crate) fn answered(&self, made: &Result<Answer>, took: Took) {
        let mut counted = self.answers.0.lock();
        match made {
            Ok(answer) => counted.add(answer, took),
            Err(error) => *counted.failures.entry(reason(error)).or_default() += 1,
        }
    }
}

impl Counted {
    fn add(&mut self, answer: &Answer, took: Took) {
        for (outcome, times) in OUTCOMES.iter().zip(&mut self.times) {
            if *outcome == answer.outcome {
                times.add(took.whole);
            }
        }
        if let Some(first) = took.first.filter(|_| answer.outcome == Outcome::Generated) {
            self.first.add(first);
        }
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
    // What the embedding server failed in is told by its kind.
    match Failure::of(error).filter(|_| error.field() != Some("model")) {
        Some(failure) if error.field() == Some("rerank") => format!("rerank_{}", failure.kind.name()),
        Some(failure) => format!("engine_{}", failure.kind.name()),
        None => error.kind().name().to_owned(),
    }
}

impl Default for Answers {
    fn default() -> Self {
        let failures = ["engine", "rerank"]
            .iter()
            .flat_map(|who| FailureKind::NAMES.map(|kind| (format!("{who}_{kind}"), 0)))
            .collect();
        Self(Mutex::new(Counted { failures, ..Counted::default() }))
    }
}

impl Answers {
    pub(super) fn expose(&self, out: &mut Exposition) {
        let counted = self.0.lock();
        out.counter("kithdb_answers_total", "Answers, by how they came about.", |family| {
            for (outcome, times) in OUTCOMES.iter().zip(&counted.times) {
                family.put(&[("outcome", outcome.name())], times.count());
            }
        });
        let help = "Time from a question to the end of its answer, by how that came about.";
        out.histogram("kithdb_answer_seconds", help, |family| {
            for (outcome, times) in OUTCOMES.iter().zip(&counted.times) {
                family.put_times(&[("outcome", outcome.name())], times);
            }
        });
        let help = "Time from a question to the first words of an answer that a model writes.";
        out.histogram("kithdb_answer_first_seconds", help, |family| family.put_times(&[], &counted.first));
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
