//! Vector stores, their files and batches, and searches of them.

use kithdb::{Condition, Error, Fusion, Payload, Result};
use rag::answer::{Passage, Retrieval};
use rag::shelf::{Batch, Chunking, Holdings, Member, State, Store, Wanted};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Texts;
use super::attributes::{self, FilterIn};
use super::rag::RagIn;

/// A store to be made, or changed.
#[derive(Debug, Deserialize)]
pub(crate) struct StoreIn {
    name: Option<String>,
    pub(crate) file_ids: Option<Vec<String>>,
    pub(crate) chunking_strategy: Option<ChunkingIn>,
    metadata: Option<Payload>,
    #[serde(default, deserialize_with = "given")]
    expires_after: Option<Option<ExpiresIn>>,
}

/// Tells what is absent from what is null.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

#[derive(Clone, Debug, Deserialize)]
struct ExpiresIn {
    anchor: Option<String>,
    days: u64,
}

/// How files are to be cut.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ChunkingIn {
    r#type: String,
    r#static: Option<StaticIn>,
}

#[derive(Clone, Debug, Deserialize)]
struct StaticIn {
    max_chunk_size_tokens: usize,
    chunk_overlap_tokens: usize,
}

/// Hits of a search unless it says otherwise.
const RESULTS: usize = 10;

/// Questions of a search.
const QUERIES_MAX: usize = 32;

/// Files of a store at once.
pub(crate) const FILES_MAX: usize = 2_000;

impl StoreIn {
    /// What is to be made or changed.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn wanted(&self) -> Result<Wanted> {
        if let Some(metadata) = &self.metadata {
            attributes::check_metadata(metadata)?;
        }
        let days = |expires: &ExpiresIn| {
            if expires.anchor.as_deref().is_some_and(|anchor| anchor != "last_active_at") {
                return Err(Error::invalid("expires_after.anchor", "must be last_active_at"));
            }
            match expires.days {
                1..=365 => Ok(expires.days),
                _ => Err(Error::invalid("expires_after.days", "must be between 1 and 365")),
            }
        };
        let expires_days = match &self.expires_after {
            None => None,
            Some(expires) => Some(expires.as_ref().map(days).transpose()?),
        };
        Ok(Wanted { name: self.name.clone(), metadata: self.metadata.clone(), expires_days })
    }
}

impl ChunkingIn {
    /// How files are cut.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn chunking(given: Option<&Self>) -> Result<Chunking> {
        let Some(given) = given else { return Ok(Chunking::Auto) };
        let field = |name: &str| format!("chunking_strategy.{name}");
        match (given.r#type.as_str(), &given.r#static) {
            ("auto", _) => Ok(Chunking::Auto),
            ("static", None) => Err(Error::invalid(field("static"), "is missing")),
            ("static", Some(sizes)) => {
                let (tokens_max, overlap) = (sizes.max_chunk_size_tokens, sizes.chunk_overlap_tokens);
                if !(100..=4_096).contains(&tokens_max) {
                    return Err(Error::invalid(
                        field("static.max_chunk_size_tokens"),
                        "must be between 100 and 4096",
                    ));
                }
                if overlap > tokens_max / 2 {
                    let message = "must be at most half of max_chunk_size_tokens";
                    return Err(Error::invalid(field("static.chunk_overlap_tokens"), message));
                }
                Ok(Chunking::Static { tokens_max, overlap })
            }
            (other, _) => Err(Error::invalid(field("type"), format!("`{other}` is neither auto nor static"))),
        }
    }
}

/// A file that is put into a store.
#[derive(Debug, Deserialize)]
pub(crate) struct MemberIn {
    pub(crate) file_id: String,
    attributes: Option<Payload>,
    chunking_strategy: Option<ChunkingIn>,
}

impl MemberIn {
    /// What the file is given, and how it is cut.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn read(self) -> Result<(String, Payload, Chunking)> {
        let given = self.attributes.unwrap_or_default();
        attributes::check(&given, "attributes")?;
        Ok((self.file_id, given, ChunkingIn::chunking(self.chunking_strategy.as_ref())?))
    }
}

/// Other attributes of a file.
#[derive(Debug, Deserialize)]
pub(crate) struct AttributesIn {
    attributes: Option<Payload>,
}

impl AttributesIn {
    /// Them.
    ///
    /// # Errors
    /// `InvalidArgument` naming the attribute.
    pub(crate) fn read(self) -> Result<Payload> {
        let given = self.attributes.unwrap_or_default();
        attributes::check(&given, "attributes").map(|()| given)
    }
}

/// Files that are put into a store together.
#[derive(Debug, Deserialize)]
pub(crate) struct BatchIn {
    file_ids: Option<Vec<String>>,
    files: Option<Vec<MemberIn>>,
    attributes: Option<Payload>,
    chunking_strategy: Option<ChunkingIn>,
}

impl BatchIn {
    /// Each file with what it is given.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded` naming the field.
    pub(crate) fn read(self) -> Result<Vec<(String, Payload, Chunking)>> {
        let files = match (self.file_ids, self.files) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid("files", "stands beside file_ids; give one of them"));
            }
            (None, None) => return Err(Error::invalid("file_ids", "is missing; give ids, or files")),
            (None, Some(files)) => {
                let read = files.into_iter().enumerate();
                let read =
                    read.map(|(at, file)| file.read().map_err(|error| error.within(&format!("files[{at}]"))));
                read.collect::<Result<Vec<_>>>()?
            }
            (Some(ids), None) => {
                let given = self.attributes.unwrap_or_default();
                attributes::check(&given, "attributes")?;
                let chunking = ChunkingIn::chunking(self.chunking_strategy.as_ref())?;
                ids.into_iter().map(|id| (id, given.clone(), chunking)).collect()
            }
        };
        match files.len() {
            0 => Err(Error::invalid("file_ids", "is empty")),
            count if count > FILES_MAX => {
                Err(Error::limit("file_ids", "the number of files", count, FILES_MAX))
            }
            _ => Ok(distinct(files)),
        }
    }
}

/// Each file once, as it is said last: who pages through a list by ids comes to its end.
fn distinct(files: Vec<(String, Payload, Chunking)>) -> Vec<(String, Payload, Chunking)> {
    let mut distinct: Vec<(String, Payload, Chunking)> = Vec::with_capacity(files.len());
    for file in files {
        match distinct.iter_mut().find(|own| own.0 == file.0) {
            Some(own) => *own = file,
            None => distinct.push(file),
        }
    }
    distinct
}

/// A search of a store.
#[derive(Debug, Deserialize)]
pub(crate) struct SearchIn {
    query: Texts,
    max_num_results: Option<usize>,
    filters: Option<FilterIn>,
    ranking_options: Option<RankingIn>,
    rewrite_query: Option<bool>,
    rag: Option<RagIn>,
}

/// How hits are ranked.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RankingIn {
    /// `none` ranks nothing anew; any other is what there is.
    ranker: Option<String>,
    score_threshold: Option<f32>,
    hybrid_search: Option<WeightsIn>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct WeightsIn {
    embedding_weight: f32,
    text_weight: f32,
}

impl SearchIn {
    /// The questions, and how their chunks are looked for.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(crate) fn read(self) -> Result<(Vec<String>, Retrieval)> {
        let queries = self.query.into_vec();
        if queries.is_empty() || queries.iter().any(|query| query.trim().is_empty()) {
            return Err(Error::invalid("query", "is empty; ask for something"));
        }
        if queries.len() > QUERIES_MAX {
            return Err(Error::limit("query", "the number of questions", queries.len(), QUERIES_MAX));
        }
        if self.rewrite_query == Some(true) {
            return Err(Error::invalid("rewrite_query", "questions are searched as they are; leave it out"));
        }
        let plain = Retrieval { limit: RESULTS, is_merged: false, ..Retrieval::default() };
        let plain = self.rag.unwrap_or_default().into_retrieval(plain)?;
        let retrieval = retrieval(self.max_num_results, self.filters, self.ranking_options, plain)?;
        Ok((queries, retrieval))
    }
}

/// How chunks are looked for: as the member `rag` says, within what the dialect says.
///
/// # Errors
/// `InvalidArgument` naming the field.
pub(crate) fn retrieval(
    results: Option<usize>,
    filters: Option<FilterIn>,
    ranking: Option<RankingIn>,
    plain: Retrieval,
) -> Result<Retrieval> {
    if results.is_some_and(|results| !(1..=50).contains(&results)) {
        return Err(Error::invalid("max_num_results", "must be between 1 and 50"));
    }
    let filter = match filters.map(|filter| filter.into_filter("filters")).transpose()? {
        Some(filter) => plain.filter.and(Condition::Filter(Box::new(filter))),
        None => plain.filter,
    };
    let score_min = ranking.as_ref().and_then(|ranking| ranking.score_threshold);
    if score_min.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        return Err(Error::invalid("ranking_options.score_threshold", "must be between 0 and 1"));
    }
    let is_plain = ranking.as_ref().is_some_and(|ranking| ranking.ranker.as_deref() == Some("none"));
    let fusion = match ranking.and_then(|ranking| ranking.hybrid_search) {
        None => plain.fusion,
        Some(WeightsIn { embedding_weight, text_weight }) => {
            let sum = embedding_weight + text_weight;
            let is_fine = embedding_weight >= 0.0 && text_weight >= 0.0 && sum > 0.0 && sum.is_finite();
            if !is_fine {
                let message = "weights must be numbers of 0 or more, and one of them more than 0";
                return Err(Error::invalid("ranking_options.hybrid_search", message));
            }
            Fusion::RelativeScore { weights: vec![embedding_weight / sum, text_weight / sum] }
        }
    };
    Ok(Retrieval {
        limit: results.unwrap_or(plain.limit),
        filter,
        score_min: score_min.map_or(plain.score_min, |score| Some(score).filter(|score| *score > 0.0)),
        fusion,
        is_reranked: if is_plain { Some(false) } else { plain.is_reranked },
        ..plain
    })
}

/// A hit, as clients know it.
pub(crate) fn hit(passage: &Passage) -> Value {
    json!({
        "file_id": file_id(passage), "filename": passage.about.path, "score": passage.score.clamp(0.0, 1.0),
        "attributes": attributes::told(&passage.about.attributes), "content": [{"type": "text", "text": passage.text}],
    })
}

/// The id of the file of a passage; of what was ingested, that of the document.
pub(crate) fn file_id(passage: &Passage) -> String {
    passage.about.file.clone().unwrap_or_else(|| passage.source.to_string())
}

/// A store.
pub(crate) fn told(store: &Store, holdings: Holdings, now_s: u64) -> Value {
    let expires_s = store.expires_s();
    let status = if expires_s.is_some_and(|expires_s| now_s > expires_s) { "expired" } else { "completed" };
    json!({
        "id": store.id, "object": "vector_store", "created_at": store.created_s, "name": store.name,
        "usage_bytes": holdings.bytes,
        "file_counts": counts(holdings.files.saturating_sub(holdings.failed), holdings.failed, 0),
        "status": status,
        "expires_after": store.expires_days.map(|days| json!({"anchor": "last_active_at", "days": days})),
        "expires_at": expires_s, "last_active_at": store.active_s, "metadata": store.metadata,
    })
}

/// How many files there are of each status.
fn counts(completed: usize, failed: usize, cancelled: usize) -> Value {
    json!({
        "in_progress": 0, "completed": completed, "failed": failed, "cancelled": cancelled,
        "total": completed + failed + cancelled,
    })
}

/// The word for a file's state.
pub(crate) fn status(member: &Member) -> &'static str {
    match member.state {
        State::Completed => "completed",
        State::Failed { .. } => "failed",
    }
}

/// Files of a store have one of these.
const STATUSES: [&str; 4] = ["in_progress", "completed", "failed", "cancelled"];

/// Checks the status that files are listed by.
///
/// # Errors
/// `InvalidArgument` on `filter`.
pub(crate) fn check_status(wanted: Option<&str>) -> Result<()> {
    match wanted.filter(|wanted| !STATUSES.contains(wanted)) {
        None => Ok(()),
        Some(other) => Err(Error::invalid("filter", format!("`{other}` is none of {}", STATUSES.join(", ")))),
    }
}

/// A file of a store.
pub(crate) fn member(store: &str, member: &Member) -> Value {
    let error = match &member.state {
        State::Completed => Value::Null,
        State::Failed { is_unsupported, message } => {
            let code = if *is_unsupported { "unsupported_file" } else { "invalid_file" };
            json!({"code": code, "message": message})
        }
    };
    let chunking = match member.chunking {
        Chunking::Auto => json!({"type": "other"}),
        Chunking::Static { tokens_max, overlap } => json!({
            "type": "static",
            "static": {"max_chunk_size_tokens": tokens_max, "chunk_overlap_tokens": overlap},
        }),
    };
    json!({
        "id": member.id, "object": "vector_store.file", "created_at": member.created_s, "usage_bytes": member.bytes,
        "vector_store_id": store, "status": status(member), "last_error": error,
        "attributes": attributes::told(&member.attributes), "chunking_strategy": chunking,
    })
}

/// A batch of files, of which those that are still there are given; one that is gone was cancelled.
pub(crate) fn batch(batch: &Batch, members: &[Option<Member>]) -> Value {
    let (mut completed, mut failed, mut cancelled) = (0, 0, 0);
    for member in members {
        match member.as_ref().map(|member| &member.state) {
            Some(State::Completed) => completed += 1,
            Some(State::Failed { .. }) => failed += 1,
            None => cancelled += 1,
        }
    }
    json!({
        "id": batch.id, "object": "vector_store.files_batch", "created_at": batch.created_s,
        "vector_store_id": batch.store, "status": "completed", "file_counts": counts(completed, failed, cancelled),
    })
}
