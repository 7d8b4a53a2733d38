//! The passages that a question is answered from: found, held against their sources, merged where they touch.
//!
//! Invariants: the filter and the access labels count before the search, so nobody's passage takes another's place,
//! and none comes through that they exclude. A passage is text of its source as it is stored (see
//! [`passage`](super::passage)); what changed between the search and the reading is left out.
//!
//! Cost: a search, and the sources of its hits, whole; where there is a reranker, its time.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use kithdb::{
    Collection, Condition, DEFAULT_VECTOR, Database, Error, ErrorKind, Filter, Fusion, Hit, Input, Params,
    PointId, Query, Request, Result, Select, Terms, Value, VectorSelect,
};

use super::Library;
use super::passage::{About, Passage, Stored, stored};
use super::sections::sections;
use super::words::words;
use crate::engine::{Cancel, Reranker};
use crate::ingest::SOURCES_SUFFIX;
use crate::search::check_model;
use crate::{Embedder, Mode, traced};

/// How passages are looked for.
#[derive(Clone, Debug)]
pub struct Retrieval {
    /// By words, by meaning, or both.
    pub mode: Mode,
    /// Chunks to find.
    pub limit: usize,
    /// Only among these.
    pub filter: Filter,
    /// Who asks may see: documents without the payload field `labels`, and those with one of these labels in it.
    /// Without labels here, that field does not count.
    pub labels: Option<Vec<String>>,
    /// From 0, the best alone, to 1, the most different: maximal marginal relevance.
    pub diversity: Option<f32>,
    /// How the legs are fused.
    pub fusion: Fusion,
    /// Chunks with a worse score are left out: that of the reranker, where one ranks them.
    pub score_min: Option<f32>,
    /// Whether chunks that touch become one passage.
    pub is_merged: bool,
    /// Whole sections in place of chunks, in no more than so many tokens together.
    pub sections_tokens_max: Option<usize>,
    /// How hard to search.
    pub params: Params,
    /// Whether a reranker ranks what was found; if absent, where there is one.
    pub is_reranked: Option<bool>,
    /// Chunks that it ranks, of which the best `limit` stay; its setting, if absent.
    pub candidates: Option<usize>,
    /// What is not found by then is not looked for any longer.
    pub deadline: Option<Instant>,
}

/// What was found for a question.
#[derive(Clone, Debug, Default)]
pub struct Retrieved {
    /// Best first.
    pub passages: Vec<Passage>,
    /// What speaks for an answer being among them.
    pub evidence: Evidence,
    /// How they were looked for: by words alone where there is no model.
    pub mode: Mode,
    /// What came of ranking them; nothing where no reranker was asked.
    pub reranked: Option<Reranked>,
}

/// What came of ranking passages by a reranker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reranked {
    /// The model that was asked for.
    pub model: Option<String>,
    /// Chunks that it was asked to rank.
    pub candidates: usize,
    /// Why they are as they were found all the same, where that is allowed.
    pub error: Option<String>,
}

/// What speaks for passages having an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The cosine of the question and the nearest chunk; where there is a model.
    pub similarity: Option<f32>,
    /// The share of the question's words that the best passage for it has.
    pub coverage: f32,
}

/// The payload field with the labels of who may see a document: where an ingestion puts them.
pub const ACCESS_FIELD: &str = "labels";

/// White space between two chunks that are merged, in bytes.
const GAP_BYTES_MAX: usize = 16;

impl Default for Retrieval {
    fn default() -> Self {
        Self {
            mode: Mode::Hybrid,
            limit: 8,
            filter: Filter::default(),
            labels: None,
            diversity: None,
            fusion: Fusion::adaptive(),
            score_min: None,
            is_merged: true,
            sections_tokens_max: None,
            params: Params::default(),
            is_reranked: None,
            candidates: None,
            deadline: None,
        }
    }
}

/// The collection of the sources of a collection of chunks.
///
/// # Errors
/// `NotFound` when the collection is none of documents, so that nothing of it could be cited.
pub fn sources_of(db: &Database, chunks: &Collection) -> Result<Collection> {
    let name = chunks.name();
    db.collection(&format!("{name}{SOURCES_SUFFIX}")).map_err(|error| {
        let message = format!(
            "Not found: collection `{name}` has no documents to cite; ingest some into it, or add files to it as a \
             vector store"
        );
        Error::new(ErrorKind::NotFound, message).with_field("model").with_source(error)
    })
}

/// Finds the passages for a question.
///
/// # Errors
/// `NotFound` when the collection is none of documents; `InvalidArgument` on `model` when the question needs another
/// model, on `rag.rerank` when it needs a reranker; `LimitExceeded` on [`QUESTION`]; `DeadlineExceeded`; what the
/// database returns, and the reranker.
pub fn retrieve(
    library: &Library<'_>,
    question: &str,
    how: &Retrieval,
    cancel: &Cancel,
) -> Result<Retrieved> {
    let span = traced::retrieval(library.chunks.name(), how.limit);
    let outcome = span.in_scope(|| found(library, question, how, cancel));
    traced::failed(&span, &outcome);
    if let Ok(retrieved) = &outcome {
        traced::retrieved(&span, &retrieved.passages);
    }
    outcome
}

/// What errors of the question itself name as their field: no part of the search that is made of it.
pub const QUESTION: &str = "question";

fn check_length(db: &Database, question: &str) -> Result<()> {
    let (chars, most) = (question.chars().count(), db.limits().query_chars_max);
    if chars > most {
        return Err(Error::limit(QUESTION, "the number of characters of the question", chars, most));
    }
    Ok(())
}

fn found(library: &Library<'_>, question: &str, how: &Retrieval, cancel: &Cancel) -> Result<Retrieved> {
    let Library { db, chunks, embedder, .. } = *library;
    check_length(db, question)?;
    let reranker = reranker(library, how)?;
    let sources = sources_of(db, chunks)?;
    let (mode, vector) = question_vector(chunks, embedder, question, how.mode)?;
    let request = match reranker {
        // Scores of the search bind nothing that is ranked anew.
        Some(reranker) => {
            let limit = how.candidates.unwrap_or(reranker.options().candidates).max(how.limit);
            let wide = Retrieval { limit, score_min: None, ..how.clone() };
            request(question, vector.as_deref(), mode, &wide)
        }
        None => request(question, vector.as_deref(), mode, how),
    };
    let vectors = if vector.is_some() {
        VectorSelect::Named(vec![DEFAULT_VECTOR.to_owned()])
    } else {
        VectorSelect::None
    };
    let select = Select { vectors, ..Select::default() };
    let terms = Terms { deadline: how.deadline, ..Terms::default() };
    let hits = chunks.search_on(request, &select, terms)?.hits;
    let ids: Vec<PointId> = hits.iter().filter_map(source_id).collect();
    let stored = stored(&sources, &ids)?;
    let found = hits.iter().filter_map(|hit| passage(hit, &stored, vector.as_deref()));
    let mut passages: Vec<Passage> = found.collect();
    let reranked = match reranker {
        Some(reranker) => Some(rerank(reranker, question, &mut passages, how, cancel)?),
        None => None,
    };
    if let Some(tokens_max) = how.sections_tokens_max {
        passages = sections(chunks, passages, &stored, &allowed(how), (tokens_max, how.deadline))?;
    }
    if how.is_merged {
        passages = merged(passages, &stored);
    }
    passages.sort_by(|a, b| b.score.total_cmp(&a.score));
    let evidence = evidence(question, &passages);
    Ok(Retrieved { passages, evidence, mode, reranked })
}

/// The reranker that a question is to have, if any.
fn reranker<'a>(library: &Library<'a>, how: &Retrieval) -> Result<Option<&'a Reranker>> {
    match (how.is_reranked, library.reranker) {
        (Some(true), None) => {
            Err(Error::invalid("rag.rerank", "needs a reranker, and there is none; set rerank_url"))
        }
        (Some(false), _) => Ok(None),
        (_, reranker) => Ok(reranker),
    }
}

/// Ranks passages, of which the best stay.
fn rerank(
    reranker: &Reranker,
    question: &str,
    passages: &mut Vec<Passage>,
    how: &Retrieval,
    cancel: &Cancel,
) -> Result<Reranked> {
    let (candidates, options) = (passages.len(), reranker.options());
    let span = traced::rerank(&options.url, options.model.as_deref(), how.limit, candidates);
    let texts: Vec<String> = passages.iter().map(text_to_rank).collect();
    let ranked = span.in_scope(|| reranker.rank(question, &texts, how.deadline, cancel));
    traced::failed(&span, &ranked);
    let error = match ranked {
        Ok(scores) => {
            passages.iter_mut().zip(scores).for_each(|(passage, score)| passage.score = score);
            passages.sort_by(|a, b| b.score.total_cmp(&a.score));
            None
        }
        Err(error) if options.is_optional && !cancel.is_cancelled() => Some(error.message().to_owned()),
        Err(error) => return Err(error),
    };
    passages.retain(|passage| how.score_min.is_none_or(|least| passage.score >= least));
    passages.truncate(how.limit);
    if error.is_none() {
        traced::ranked(&span, passages);
    }
    Ok(Reranked { model: options.model.clone(), candidates, error })
}

/// What a reranker reads of a passage: as the model of its vector did, with the headings above it.
fn text_to_rank(passage: &Passage) -> String {
    let (heading, text) = (&passage.about.heading, &passage.text);
    if heading.is_empty() { text.clone() } else { format!("{heading}\n{text}") }
}

/// The mode that there is a model for, and the question's vector.
fn question_vector(
    chunks: &Collection,
    embedder: Option<&Embedder>,
    question: &str,
    mode: Mode,
) -> Result<(Mode, Option<Vec<f32>>)> {
    let schema = chunks.schema();
    match (mode, schema.vectors.get(DEFAULT_VECTOR), embedder) {
        (Mode::Keyword, ..) => Ok((Mode::Keyword, None)),
        (_, Some(spec), Some(embedder)) => {
            check_model(chunks.name(), spec, embedder)?;
            Ok((mode, Some(embedder.embed_query(question)?)))
        }
        (Mode::Hybrid, ..) => Ok((Mode::Keyword, None)),
        (Mode::Vector, ..) => {
            let message =
                "a search by meaning needs the collection's model, and there is none; ask by keyword";
            Err(Error::invalid("model", message))
        }
    }
}

fn request(question: &str, vector: Option<&[f32]>, mode: Mode, how: &Retrieval) -> Request {
    let filter = allowed(how);
    let leg_hits = kithdb::leg_hits(how.limit);
    let nearest = |vector: &[f32]| Query::Nearest { vector: vector.into(), using: DEFAULT_VECTOR.to_owned() };
    let ask = |query: Query, limit: usize| Request {
        query,
        limit,
        filter: filter.clone(),
        params: how.params,
        ..Request::default()
    };
    let words = || Query::Keyword(question.into());
    // By words alone scores have no upper end: those of the best are made 1.
    let relative = Query::Fuse(Fusion::RelativeScore { weights: Vec::new() });
    let fused = |legs: Vec<Request>, query: Query| {
        let score_threshold = how.score_min;
        Request { prefetch: legs, query, limit: how.limit, score_threshold, ..Request::default() }
    };
    let Some(vector) = vector else { return fused(vec![ask(words(), leg_hits)], relative) };
    let mut legs = vec![ask(nearest(vector), leg_hits)];
    if mode == Mode::Hybrid {
        legs.push(ask(words(), leg_hits));
    }
    let query = match how.diversity {
        Some(diversity) => Query::Diverse {
            vector: Input::from(vector),
            using: DEFAULT_VECTOR.to_owned(),
            diversity,
            candidates: Some(leg_hits),
        },
        None if mode == Mode::Vector => {
            return Request { score_threshold: how.score_min, ..ask(nearest(vector), how.limit) };
        }
        None => Query::Fuse(how.fusion.clone()),
    };
    fused(legs, query)
}

/// The filter, and what who asks may see.
fn allowed(how: &Retrieval) -> Filter {
    let Some(labels) = &how.labels else { return how.filter.clone() };
    let path: kithdb::FieldPath = ACCESS_FIELD.parse().expect("a single word is a path");
    let any = kithdb::Predicate::Any(labels.iter().map(|label| label.as_str().into()).collect());
    let open = Condition::IsEmpty(path.clone());
    let should = vec![open, Condition::Field(path, any)];
    let labelled = Condition::Filter(Box::new(Filter { should, ..Filter::default() }));
    Filter::must(labelled).and(Condition::Filter(Box::new(how.filter.clone())))
}

fn source_id(hit: &Hit) -> Option<PointId> {
    hit.text("source")?.parse().ok()
}

/// The passage of a hit, if its source is stored as the chunk says.
fn passage(hit: &Hit, stored: &HashMap<PointId, Stored>, vector: Option<&[f32]>) -> Option<Passage> {
    let source = source_id(hit)?;
    let number = |key: &str| hit.payload.get(key).and_then(Value::as_u64).map(|number| number as usize);
    let span = number("start")?..number("end")?;
    let of = stored.get(&source).filter(|of| hit.text("hash") == Some(&of.hash))?;
    let text = of.text.get(span.clone())?.to_owned();
    let own = hit.vectors.iter().find(|(name, _)| name == DEFAULT_VECTOR);
    let own = own.and_then(|(_, vector)| vector.dense());
    let similarity = vector.zip(own).map(|(a, b)| cosine(a, b));
    let (about, hash) = (About::of(&hit.payload), of.hash.clone());
    Some(Passage { source, about, hash, span, text, score: hit.score, similarity })
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}

/// Passages of one source that overlap, or have only white space between them, as one.
fn merged(mut passages: Vec<Passage>, stored: &HashMap<PointId, Stored>) -> Vec<Passage> {
    passages.sort_by_key(|passage| (passage.source, passage.span.start, passage.span.end));
    let mut all: Vec<Passage> = Vec::new();
    for passage in passages {
        let Some(last) = all.last_mut().filter(|last| {
            let text = stored.get(&passage.source).map(|of| of.text.as_str());
            last.source == passage.source && touch(text, &last.span, &passage.span)
        }) else {
            all.push(passage);
            continue;
        };
        last.span.end = last.span.end.max(passage.span.end);
        if let Some(of) = stored.get(&last.source) {
            of.text[last.span.clone()].clone_into(&mut last.text);
        }
        last.score = last.score.max(passage.score);
        last.similarity = last.similarity.into_iter().chain(passage.similarity).reduce(f32::max);
    }
    all
}

fn touch(text: Option<&str>, first: &Range<usize>, second: &Range<usize>) -> bool {
    let gap = text.and_then(|text| text.get(first.end..second.start.max(first.end)));
    gap.is_some_and(|gap| gap.len() <= GAP_BYTES_MAX && gap.trim().is_empty())
}

fn evidence(question: &str, passages: &[Passage]) -> Evidence {
    let asked = words(question);
    let share = |passage: &Passage| {
        let own = words(&format!("{} {} {}", passage.about.title, passage.about.heading, passage.text));
        asked.intersection(&own).count() as f32 / asked.len().max(1) as f32
    };
    Evidence {
        similarity: passages.iter().filter_map(|passage| passage.similarity).reduce(f32::max),
        coverage: passages.iter().map(share).fold(0.0, f32::max),
    }
}
