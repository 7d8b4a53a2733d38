//! The member `rag`: of a request, how it is answered from documents; of an answer, what it rests on.
//!
//! Read strictly, unlike the rest of the dialect: who misspells `labels` must not be shown more than was meant.

use kithdb::{Error, Fusion, Result};
use rag::Mode;
use rag::answer::{Answer, Manner, PROMPT_TOKENS_MAX, Reranked, Retrieval};
use rag::engine::CANDIDATES_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cited::Places;
use crate::wire::filter::{self, FilterIn};

/// How to answer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RagIn {
    /// The collection, where the model does not name one.
    pub(crate) collection: Option<String>,
    /// Chunks to find.
    top_k: Option<usize>,
    /// Only among these: as in the dialect of Qdrant, or as text.
    filter: Option<FilterIn>,
    /// What who asks may see.
    labels: Option<Vec<String>>,
    mode: Option<ModeIn>,
    /// From 0, the best alone, to 1, the most different.
    diversity: Option<f32>,
    score_threshold: Option<f32>,
    fusion: Option<FusionIn>,
    /// Chunks that touch become one passage.
    merge: Option<bool>,
    /// A question that follows others is rewritten before it is searched with.
    rewrite: Option<bool>,
    /// Quotes only.
    extractive: Option<bool>,
    /// Mark in the text what no document supports.
    mark_unsupported: Option<bool>,
    /// Put a list of what is cited behind the text.
    pub(crate) list_sources: Option<bool>,
    /// Whole sections in place of chunks.
    parents: Option<bool>,
    /// Whether a reranker ranks what is found, and how many chunks.
    rerank: Option<bool>,
    rerank_candidates: Option<usize>,
    /// Tokens of the prompt, documents included.
    prompt_tokens: Option<usize>,
    /// What must speak for an answer being there.
    min_similarity: Option<f32>,
    min_coverage: Option<f32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeIn {
    Hybrid,
    Vector,
    Keyword,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FusionIn {
    Adaptive,
    Rrf,
    Dbsf,
}

/// Chunks of a question, at most.
const TOP_K_MAX: usize = 100;

impl RagIn {
    /// How passages are looked for where no answer is made of them: `plain` where it says nothing.
    ///
    /// # Errors
    /// As for [`into_manner`](Self::into_manner); `InvalidArgument` naming a field that is about answers.
    pub(crate) fn into_retrieval(self, plain: Retrieval) -> Result<Retrieval> {
        let about_answers = [
            ("collection", self.collection.is_some()),
            ("rewrite", self.rewrite.is_some()),
            ("extractive", self.extractive.is_some()),
            ("mark_unsupported", self.mark_unsupported.is_some()),
            ("list_sources", self.list_sources.is_some()),
            ("prompt_tokens", self.prompt_tokens.is_some()),
            ("min_similarity", self.min_similarity.is_some()),
            ("min_coverage", self.min_coverage.is_some()),
        ];
        if let Some((field, _)) = about_answers.iter().find(|(_, is_given)| *is_given) {
            let message = "says nothing of a search: it is about answers";
            return Err(Error::invalid(format!("rag.{field}"), message));
        }
        self.into_manner(plain).map(|manner| manner.retrieval)
    }

    /// How it is answered; passages are looked for as in `plain` where it says nothing.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded` naming the field.
    pub(crate) fn into_manner(self, plain: Retrieval) -> Result<Manner> {
        let top_k = self.top_k.unwrap_or(plain.limit);
        if top_k == 0 {
            return Err(Error::invalid("rag.top_k", "is 0; ask for at least 1 chunk"));
        }
        if top_k > TOP_K_MAX {
            return Err(Error::limit("rag.top_k", "the number of chunks", top_k, TOP_K_MAX));
        }
        if let Some(candidates) = self.rerank_candidates
            && !(1..=CANDIDATES_MAX).contains(&candidates)
        {
            let message = format!("is {candidates}; it must be from 1 to {CANDIDATES_MAX}");
            return Err(Error::invalid("rag.rerank_candidates", message));
        }
        if self.diversity.is_some_and(|diversity| !(0.0..=1.0).contains(&diversity)) {
            return Err(Error::invalid("rag.diversity", "must be between 0 and 1"));
        }
        if self.prompt_tokens == Some(0) {
            return Err(Error::invalid("rag.prompt_tokens", "is 0, so that no document would fit"));
        }
        let filter = filter::or_everything(self.filter).map_err(|error| error.within("rag"))?;
        let mode = match self.mode {
            Some(ModeIn::Vector) => Mode::Vector,
            Some(ModeIn::Keyword) => Mode::Keyword,
            Some(ModeIn::Hybrid) | None => Mode::Hybrid,
        };
        let fusion = match self.fusion {
            Some(FusionIn::Rrf) => Fusion::rrf(kithdb::RRF_K),
            Some(FusionIn::Dbsf) => Fusion::Dbsf,
            Some(FusionIn::Adaptive) | None => plain.fusion,
        };
        let room = self.prompt_tokens.unwrap_or(PROMPT_TOKENS_MAX);
        let sections = self.parents.unwrap_or(false).then_some(room);
        let mut manner = Manner {
            retrieval: Retrieval {
                mode,
                limit: top_k,
                filter,
                labels: self.labels,
                diversity: self.diversity,
                fusion,
                score_min: self.score_threshold,
                is_merged: self.merge.unwrap_or(plain.is_merged),
                sections_tokens_max: sections,
                is_reranked: self.rerank.or(plain.is_reranked),
                candidates: self.rerank_candidates,
                ..plain
            },
            prompt_tokens_max: self.prompt_tokens,
            is_extractive: self.extractive.unwrap_or(false),
            is_rewritten: self.rewrite.unwrap_or(false),
            marks_unsupported: self.mark_unsupported.unwrap_or(true),
            ..Manner::default()
        };
        manner.relevance.similarity_min = self.min_similarity.unwrap_or(manner.relevance.similarity_min);
        manner.relevance.coverage_min = self.min_coverage.unwrap_or(manner.relevance.coverage_min);
        Ok(manner)
    }
}

/// What came of ranking passages.
pub(crate) fn reranked(reranked: &Reranked) -> Value {
    json!({"model": reranked.model, "candidates": reranked.candidates, "error": reranked.error})
}

/// What an answer rests on.
pub(crate) fn told(answer: &Answer, places: &Places<'_>) -> Value {
    let document = |(number, passage): (usize, &rag::Passage)| {
        json!({
            "number": number, "source": passage.source.to_string(), "path": passage.about.path,
            "title": passage.title(), "heading": passage.about.heading, "hash": passage.hash,
            "start": passage.span.start, "end": passage.span.end, "score": passage.score,
            "similarity": passage.similarity, "url": places.url(passage, &passage.span),
        })
    };
    let documents: Vec<Value> = (1..).zip(&answer.documents).map(document).collect();
    let unsupported: Vec<Value> = answer
        .unsupported
        .iter()
        .map(|range| json!({"start_index": range.start, "end_index": range.end}))
        .collect();
    json!({
        "outcome": answer.outcome.name(),
        "mode": answer.mode.name(),
        "rewritten": answer.rewritten,
        "rerank": answer.reranked.as_ref().map(reranked),
        "evidence": {"similarity": answer.evidence.similarity, "coverage": answer.evidence.coverage},
        "documents": documents,
        "citations": answer.citations.iter().map(|citation| places.proof(&answer.documents, citation)).collect::<Vec<_>>(),
        "unsupported": unsupported,
    })
}
