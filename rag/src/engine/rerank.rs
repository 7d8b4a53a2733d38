//! The reranker: a server whose model reads a question and a passage together, and says how well the one answers the
//! other.
//!
//! Two ways to ask are known: that of Cohere (`documents`), which Jina, vLLM and llama.cpp share, and that of
//! text-embeddings-inference (`texts`). Either way of answering is read, whichever was asked.
//!
//! Invariants: as for the engine, nothing is asked of another host, and the key is shown to that host alone. Every text
//! has one score from 0 to 1, or there is an error.
//! Cost: a request for each `batch_texts_max` texts, one after the other.

use std::str::FromStr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use types::{Error, Result};
use ureq::Agent;

use super::places::Places;
use super::{
    Cancel, Failure, FailureKind, PAUSE_MAX, Secret, check_place, config, of_ureq, pause, refused, wait,
    whole, with_key,
};

/// How a reranker is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RerankProtocol {
    /// `model`, `query`, `documents`.
    #[default]
    Cohere,
    /// `query`, `texts`.
    Tei,
}

/// Where the reranker is, and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankOptions {
    /// The address of its API: `/rerank` is put behind it.
    pub url: String,
    /// How it is asked.
    pub protocol: RerankProtocol,
    /// The model to ask; the server's own, if absent.
    pub model: Option<String>,
    /// The key that it is shown.
    pub key: Option<Secret>,
    /// Passages of a question that it ranks, unless the question asks for another number.
    pub candidates: usize,
    /// Texts of a request.
    pub batch_texts_max: usize,
    /// Questions at the same time.
    pub calls_max: usize,
    /// How long a question waits for its turn.
    pub turn_time_max: Duration,
    /// How long connecting may take.
    pub connect_time_max: Duration,
    /// How long a request may take.
    pub request_time_max: Duration,
    /// How often a request is tried.
    pub attempts_max: u32,
    /// Where it fails, passages stay as they were found, and the answer says so; otherwise there is no answer.
    pub is_optional: bool,
}

/// A reranker.
#[derive(Debug)]
pub struct Reranker {
    options: RerankOptions,
    url: String,
    agent: Agent,
    places: Places,
}

/// Passages of a question that a reranker may be asked to rank.
pub const CANDIDATES_MAX: usize = 200;

/// Who fails, in the words of an error, and the field that it names.
const WHO: (&str, &str) = ("the reranker", "rerank");

impl FromStr for RerankProtocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cohere" => Ok(Self::Cohere),
            "tei" => Ok(Self::Tei),
            _ => Err(Error::invalid("rerank_protocol", format!("`{text}` is neither `cohere` nor `tei`"))),
        }
    }
}

impl RerankOptions {
    /// The reranker at a URL.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            protocol: RerankProtocol::default(),
            model: None,
            key: None,
            candidates: 32,
            batch_texts_max: 32,
            calls_max: 8,
            turn_time_max: Duration::from_secs(30),
            connect_time_max: Duration::from_secs(5),
            request_time_max: Duration::from_secs(30),
            attempts_max: 3,
            is_optional: false,
        }
    }

    fn check(&self) -> Result<()> {
        check_place(&self.url, self.key.as_ref(), WHO.1)?;
        let zeros = [
            ("rerank_candidates", self.candidates),
            ("rerank_batch", self.batch_texts_max),
            ("rerank_calls_max", self.calls_max),
        ];
        if let Some((field, _)) = zeros.into_iter().find(|(_, number)| *number == 0) {
            return Err(Error::invalid(field, "is 0; it must be 1 at least"));
        }
        if self.candidates > CANDIDATES_MAX {
            let what = "the number of passages";
            return Err(Error::limit("rerank_candidates", what, self.candidates, CANDIDATES_MAX));
        }
        Ok(())
    }

    fn body(&self, question: &str, texts: &[String]) -> String {
        let mut body = match self.protocol {
            RerankProtocol::Cohere => json!({"query": question, "documents": texts, "top_n": texts.len()}),
            // What is longer than the model's window is cut, instead of refused with all others.
            RerankProtocol::Tei => json!({"query": question, "texts": texts, "truncate": true}),
        };
        if let Some(model) = &self.model {
            body["model"] = model.as_str().into();
        }
        body.to_string()
    }
}

impl Reranker {
    /// A client of the reranker. It is not asked anything yet, so it need not run.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the setting at fault.
    pub fn new(options: RerankOptions) -> Result<Self> {
        options.check()?;
        let agent = config(options.connect_time_max).build().new_agent();
        let places = Places::new(options.calls_max, "rerank_calls_max");
        let url = format!("{}/rerank", options.url);
        Ok(Self { options, url, agent, places })
    }

    /// What it was made with.
    pub fn options(&self) -> &RerankOptions {
        &self.options
    }

    /// How well each text answers a question, from 0 to 1.
    ///
    /// # Errors
    /// A [`Failure`] is the source of each: the reranker's, or `Cancelled`.
    pub fn rank(
        &self,
        question: &str,
        texts: &[String],
        deadline: Option<Instant>,
        cancel: &Cancel,
    ) -> Result<Vec<f32>> {
        let told = |failure: Failure| failure.into_error(WHO.0, WHO.1);
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let _place = self.places.take(self.options.turn_time_max, cancel).map_err(told)?;
        let mut scores = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.options.batch_texts_max) {
            scores.extend(self.batch(question, batch, deadline, cancel).map_err(told)?);
        }
        Ok(settled(scores))
    }

    fn batch(
        &self,
        question: &str,
        texts: &[String],
        deadline: Option<Instant>,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<f32>, Failure> {
        let body = self.options.body(question, texts);
        let mut attempt = 1;
        loop {
            if cancel.is_cancelled() {
                return Err(Failure::new(FailureKind::Cancelled, "nobody waits for it"));
            }
            let failure = match self.attempt(&body, texts.len(), deadline) {
                Ok(scores) => return Ok(scores),
                Err(failure) => failure,
            };
            let pause = pause(&failure, attempt);
            let is_late = deadline.is_some_and(|deadline| Instant::now() + pause >= deadline);
            let is_last = attempt >= self.options.attempts_max || pause > PAUSE_MAX || is_late;
            if is_last || !failure.is_passing() {
                tracing::warn!(kind = ?failure.kind, said = %failure, attempt, "the reranker failed");
                return Err(failure);
            }
            tracing::debug!(kind = ?failure.kind, attempt, ?pause, "the reranker is asked again");
            wait(pause, cancel)?;
            attempt += 1;
        }
    }

    fn attempt(
        &self,
        body: &str,
        count: usize,
        deadline: Option<Instant>,
    ) -> std::result::Result<Vec<f32>, Failure> {
        let key = self.options.key.as_ref();
        let most = self.options.request_time_max;
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let time_max = left.map_or(most, |left| left.min(most));
        if time_max.is_zero() {
            return Err(Failure::new(FailureKind::TimedOut, "the time of the request is up"));
        }
        let request = self.agent.post(&self.url).config().timeout_global(Some(time_max)).build();
        let request = with_key(request, key).header("content-type", "application/json");
        let response = request.send(body).map_err(of_ureq)?;
        if !response.status().is_success() {
            return Err(refused(response, key));
        }
        scores(&whole(response)?, count)
    }
}

/// The scores in an answer, in the order of the texts.
fn scores(answer: &str, count: usize) -> std::result::Result<Vec<f32>, Failure> {
    let garbled = |why: &str| Failure::new(FailureKind::Garbled, why);
    let answer: Value =
        serde_json::from_str(answer).map_err(|error| Failure::new(FailureKind::Garbled, error))?;
    let results = answer.as_array().or_else(|| answer["results"].as_array());
    let results = results.ok_or_else(|| garbled("it has no list of results"))?;
    let mut scores: Vec<Option<f32>> = vec![None; count];
    for result in results {
        let at = result["index"].as_u64().and_then(|at| usize::try_from(at).ok());
        let score = result["relevance_score"].as_f64().or_else(|| result["score"].as_f64());
        match (at.and_then(|at| scores.get_mut(at)), score.map(|score| score as f32)) {
            (Some(place), Some(score)) if place.is_none() && score.is_finite() => *place = Some(score),
            _ => return Err(garbled("a result has no text of its own, or no score")),
        }
    }
    scores.into_iter().collect::<Option<_>>().ok_or_else(|| garbled("it leaves out some of the texts"))
}

/// Scores from 0 to 1: those of models that have no such bounds are put between them.
fn settled(scores: Vec<f32>) -> Vec<f32> {
    if scores.iter().all(|score| (0.0..=1.0).contains(score)) {
        return scores;
    }
    scores.into_iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_shape_of_an_answer_is_read_and_no_other() {
        let cases = [
            (
                r#"{"model": "m", "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0}]}"#,
                Some([0.0, 0.9]),
            ),
            (r#"[{"index": 0, "score": 0.25, "text": "x"}, {"index": 1, "score": 1.5}]"#, Some([0.25, 1.5])),
            (r#"[{"index": 0, "score": 1}]"#, None),
            (r#"[{"index": 0, "score": 1}, {"index": 0, "score": 1}]"#, None),
            (r#"[{"index": 0, "score": 1}, {"index": 2, "score": 1}]"#, None),
            (r#"[{"index": 0, "score": 1}, {"index": 1, "score": "high"}]"#, None),
            (r#"[{"index": 0, "score": 1}, {"index": 1, "score": 1e300}]"#, None),
            (r#"{"data": []}"#, None),
            ("<html>", None),
        ];
        for (answer, expected) in cases {
            let read = scores(answer, 2);
            match expected {
                Some(expected) => assert_eq!(read.expect(answer), expected, "{answer}"),
                None => assert_eq!(read.expect_err(answer).kind, FailureKind::Garbled, "{answer}"),
            }
        }
    }

    #[test]
    fn scores_without_bounds_keep_their_order_between_0_and_1() {
        assert_eq!(settled(vec![0.0, 0.5, 1.0]), [0.0, 0.5, 1.0]);
        let squeezed = settled(vec![-8.5, 0.5, 11.0]);
        assert!(squeezed.windows(2).all(|pair| pair[0] < pair[1]), "{squeezed:?}");
        assert!(squeezed.iter().all(|score| (0.0..=1.0).contains(score)), "{squeezed:?}");
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let with = |change: &dyn Fn(&mut RerankOptions)| {
            let mut options = RerankOptions::new("http://127.0.0.1:1/v1");
            change(&mut options);
            Reranker::new(options).map(drop).map_err(|error| error.field().map(str::to_owned))
        };
        assert_eq!(with(&|_| ()), Ok(()));
        let refused = |field: &str| Err(Some(field.to_owned()));
        for url in ["", "file:///etc/passwd", "http://me:hush@127.0.0.1:1/v1"] {
            assert_eq!(with(&|options| url.clone_into(&mut options.url)), refused("rerank_url"), "{url}");
        }
        assert_eq!(with(&|options| options.key = Secret::new("a\nb")), refused("rerank_key"));
        assert_eq!(with(&|options| options.candidates = 0), refused("rerank_candidates"));
        assert_eq!(with(&|options| options.candidates = 201), refused("rerank_candidates"));
        assert_eq!("jina".parse::<RerankProtocol>().expect_err("unknown").field(), Some("rerank_protocol"));
    }
}
