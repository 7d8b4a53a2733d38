//! A question to a library of chunks: by keyword, by vector, or both fused.
//!
//! Invariant: a question is embedded only by the model that embedded the chunks.

use kithdb::{
    Collection, DEFAULT_VECTOR, Error, Filter, Hit, ModelIdentity, Plan, Request, Result, Select, VectorSpec,
};

use crate::Embedder;

/// How a question is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Keyword and vector, fused; keyword alone where there is no model.
    #[default]
    Hybrid,
    /// Nearness of meaning alone.
    Vector,
    /// BM25 alone.
    Keyword,
}

impl Mode {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Vector => "vector",
            Self::Keyword => "keyword",
        }
    }
}

/// What a question found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How they were found.
    pub plan: Plan,
    /// The mode that was used: not the one asked for where there was no model.
    pub mode: Mode,
}

/// Asks a question.
///
/// # Errors
/// `InvalidArgument` on `model` when the mode needs one and there is none, or when it is not the collection's; what
/// the database returns.
pub fn search(
    collection: &Collection,
    embedder: Option<&Embedder>,
    question: &str,
    mode: Mode,
    filter: Filter,
    limit: usize,
) -> Result<Found> {
    let asking = Asking { question, vector: None, using: DEFAULT_VECTOR, mode, filter, limit };
    let (mode, request) = request(collection, embedder, asking)?;
    let (hits, plan) = collection.search(request, &Select::default())?;
    Ok(Found { hits, plan, mode })
}

/// What is asked, and how.
pub(crate) struct Asking<'a> {
    pub(crate) question: &'a str,
    /// The question's vector, if no model need make it.
    pub(crate) vector: Option<&'a [f32]>,
    /// The vectors that it is compared with.
    pub(crate) using: &'a str,
    pub(crate) mode: Mode,
    pub(crate) filter: Filter,
    pub(crate) limit: usize,
}

/// What a question asks of a collection, and the mode that it comes to.
pub(crate) fn request(
    collection: &Collection,
    embedder: Option<&Embedder>,
    asking: Asking<'_>,
) -> Result<(Mode, Request)> {
    let Asking { question, vector, using, mode, filter, limit } = asking;
    let schema = collection.schema();
    let vector = || match (vector, schema.vectors.get(using), embedder) {
        (Some(vector), ..) => schema.space(using).map(|_| Some(vector.to_vec())),
        (None, Some(spec), Some(embedder)) => {
            check_model(collection.name(), spec, embedder)?;
            embedder.embed_query(question).map(Some)
        }
        _ => Ok(None),
    };
    let query = collection.query().filter_by(filter).limit(limit);
    let vector = if mode == Mode::Keyword { None } else { vector()? };
    let (mode, query) = match (mode, vector) {
        (Mode::Hybrid, Some(vector)) => (mode, query.keyword(question).nearest_in(using, vector)),
        (Mode::Vector, Some(vector)) => (mode, query.nearest_in(using, vector)),
        (Mode::Vector, None) => {
            let message = "a vector search needs the collection's model, and there is none; ask by keyword";
            return Err(Error::invalid("model", message));
        }
        (Mode::Keyword | Mode::Hybrid, _) => (Mode::Keyword, query.keyword(question)),
    };
    Ok((mode, query.request()))
}

/// Checks that vectors of a space may be compared with those of a model.
///
/// # Errors
/// `InvalidArgument` on `model`, naming both.
pub fn check_model(collection: &str, spec: &VectorSpec, embedder: &Embedder) -> Result<()> {
    let offered = embedder.identity();
    // The weights alone do not make vectors comparable: a prefix moves them too.
    let parts = |model: &ModelIdentity| {
        let ModelIdentity { revision, dim, query_prefix, document_prefix, is_normalised, .. } = model.clone();
        (revision, dim, query_prefix, document_prefix, is_normalised)
    };
    match &spec.model {
        Some(model) if parts(model) == parts(offered) => Ok(()),
        Some(model) if model.revision == offered.revision => Err(Error::invalid(
            "model",
            format!(
                "collection `{collection}` has other prefixes or lengths of vectors than model `{}` now; their \
                 vectors cannot be compared",
                model.name
            ),
        )),
        Some(model) => Err(Error::invalid(
            "model",
            format!(
                "collection `{collection}` belongs to model `{}` ({}), not to `{}` ({}); their vectors cannot be compared",
                model.name,
                short(&model.revision),
                offered.name,
                short(&offered.revision)
            ),
        )),
        None => Err(Error::invalid(
            "model",
            format!(
                "the vectors of collection `{collection}` belong to no model, so no text is compared with them; ask \
                 with a vector, or by keyword"
            ),
        )),
    }
}

fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}
