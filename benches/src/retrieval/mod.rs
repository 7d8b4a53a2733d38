//! Retrieval quality on labelled collections: keyword, vector and hybrid, beside reference figures.
//!
//! The method is the reference's, so that a difference is the engine's: a document is one point, not chunked; words and
//! vectors are of title and text together; the vector search is exact; each leg ranks 1,000 documents.
//!
//! Cost: embedding, minutes for a thousand documents; embeddings are kept on disk and made once.

mod cache;
mod corpus;
mod learned;
mod measure;
mod reference;

use std::path::PathBuf;

use kithdb::{
    Collection, DEFAULT_VECTOR, Database, Durability, Fusion, Hit, HybridWeights, Language, Metric, Op,
    Params, Point, PointId, Query, Request, Result, Schema, Select,
};
use rag::Embedder;

use crate::golden;
use crate::table::Table;
pub(crate) use corpus::Corpus;
use measure::Quality;

/// Documents that each leg ranks.
const LEG_HITS: usize = 1_000;

/// Documents of a leg whose scores are fused, as the query builder asks for: how far the last one lies from the first
/// is part of the outcome.
const FUSED_HITS: usize = 100;

/// The `k` of reciprocal rank fusion as the reference has it: 60 with ranks from 1, where ours count from 0.
const RRF_K_FROM_ZERO: f32 = kithdb::RRF_K + 1.0;

/// Points of one commit.
const BATCH_POINTS: usize = 1_000;

/// A figure this far below the reference is a failing.
const SHORTFALL_MAX: f64 = 0.005;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The directory that holds a folder a collection, each with corpus.jsonl, queries.jsonl, qrels/test.tsv.
    #[arg(long)]
    data: PathBuf,
    /// The model directory; the default place if absent.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The collections; those with reference figures if absent.
    #[arg(long, value_delimiter = ',')]
    sets: Vec<String>,
    /// Where embeddings are kept between runs.
    #[arg(long, default_value = "target/embeddings")]
    cache: PathBuf,
    /// Measures the keyword leg only, without a model.
    #[arg(long)]
    keyword_only: bool,
    /// Learns what words weigh from one half of the questions, and measures the other half.
    #[arg(long, conflicts_with = "keyword_only")]
    learn: bool,
}

/// The ways of searching that are measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Keyword,
    Vector,
    Hybrid,
    Dbsf,
    RelativeScore,
    Adaptive(Option<HybridWeights>),
}

/// Embeddings of documents and queries, in their order.
struct Embeddings {
    documents: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
}

/// # Errors
/// When a collection or the model cannot be read, or the database fails.
pub(crate) fn run(arguments: &Arguments) -> Result<String> {
    if arguments.learn {
        return learned::run(arguments);
    }
    let embedder =
        if arguments.keyword_only { None } else { Some(golden::open(arguments.model.as_deref())?) };
    let mut table = Table::new([
        "collection",
        "method",
        "nDCG@10",
        "reference",
        "difference",
        "recall@100",
        "reference",
        "difference",
        "",
    ]);
    for name in names(&arguments.sets) {
        let corpus = Corpus::read(&arguments.data.join(&name), &name)?;
        let embeddings = match &embedder {
            Some(embedder) => Some(embed(embedder, arguments, &corpus)?),
            None => None,
        };
        for (method, quality) in measure_all(&corpus, embeddings.as_ref())? {
            table.row(cells(&name, method, quality));
        }
    }
    Ok(table.to_text())
}

fn names(sets: &[String]) -> Vec<String> {
    if sets.is_empty() { reference::names().map(str::to_owned).collect() } else { sets.to_vec() }
}

fn embed(embedder: &Embedder, arguments: &Arguments, corpus: &Corpus) -> Result<Embeddings> {
    let revision = &embedder.identity().revision;
    let dim = embedder.identity().dim;
    let documents: Vec<&str> = corpus.documents.iter().map(|document| document.whole.as_str()).collect();
    let texts: Vec<&str> = corpus.queries.iter().map(|query| query.text.as_str()).collect();
    let many = |texts: &[&str]| embedder.embed_documents(texts, &|_| {});
    let each = |texts: &[&str]| texts.iter().map(|text| embedder.embed_query(text)).collect();
    let place =
        |kind: &str, texts: &[&str]| cache::place(&arguments.cache, &corpus.name, kind, revision, texts);
    Ok(Embeddings {
        documents: cache::embeddings(&place("documents", &documents), dim, &documents, &many)?,
        queries: cache::embeddings(&place("queries", &texts), dim, &texts, &each)?,
    })
}

fn measure_all(corpus: &Corpus, embeddings: Option<&Embeddings>) -> Result<Vec<(Method, Quality)>> {
    let database = Database::in_memory()?;
    let collection = ingest(&database, corpus, embeddings)?;
    let methods: &[Method] = match embeddings {
        Some(_) => &[
            Method::Keyword,
            Method::Vector,
            Method::Hybrid,
            Method::Dbsf,
            Method::RelativeScore,
            Method::Adaptive(None),
        ],
        None => &[Method::Keyword],
    };
    methods
        .iter()
        .map(|method| Ok((*method, quality(&collection, corpus, *method, embeddings, |_| true)?)))
        .collect()
}

fn ingest(database: &Database, corpus: &Corpus, embeddings: Option<&Embeddings>) -> Result<Collection> {
    let mut schema = Schema::new().keyword(["title".parse()?, "text".parse()?], Language::English);
    if let Some(dim) = embeddings.and_then(|embeddings| embeddings.documents.first()).map(Vec::len) {
        schema = schema.vector(dim, Metric::Cosine);
    }
    let collection = database.create_collection("corpus", schema)?;
    let points = corpus.documents.iter().enumerate().map(|(at, document)| {
        let point =
            Point::new(at as u64).with("title", document.title.as_str()).with("text", document.text.as_str());
        match embeddings {
            Some(embeddings) => point.vector(embeddings.documents[at].clone()),
            None => point,
        }
    });
    let mut ops = points.map(Op::Upsert).peekable();
    while ops.peek().is_some() {
        collection.apply_with(ops.by_ref().take(BATCH_POINTS).collect(), Durability::None)?;
    }
    Ok(collection)
}

/// The mean over the queries at some positions that have judged documents.
fn quality(
    collection: &Collection,
    corpus: &Corpus,
    method: Method,
    embeddings: Option<&Embeddings>,
    is_asked: impl Fn(usize) -> bool,
) -> Result<Quality> {
    let mut sum = Quality::default();
    let mut count = 0;
    for (at, query) in corpus.queries.iter().enumerate().filter(|(at, _)| is_asked(*at)) {
        let Some(judged) = corpus.judged.get(&query.id) else { continue };
        let vector = embeddings.map(|embeddings| embeddings.queries[at].as_slice());
        let (hits, _) = collection.search(request(method, &query.text, vector), &Select::none())?;
        let mut ranked: Vec<(f32, &str)> =
            hits.iter().map(|hit| (hit.score, corpus.id_of(number(hit)))).collect();
        sum += Quality::of(&mut ranked, judged);
        count += 1;
    }
    Ok(sum / count)
}

fn request(method: Method, text: &str, vector: Option<&[f32]>) -> Request {
    let leg = |query| Request {
        query,
        limit: LEG_HITS,
        params: Params { is_exact: true, ..Params::default() },
        ..Request::default()
    };
    let words = || leg(Query::Keyword(text.into()));
    let nearest = || {
        let vector = vector.unwrap_or_default().to_vec();
        leg(Query::Nearest { vector: vector.into(), using: DEFAULT_VECTOR.to_owned() })
    };
    let fused = |fusion, hits| Request {
        prefetch: [nearest(), words()].map(|leg| Request { limit: hits, ..leg }).into(),
        ..leg(Query::Fuse(fusion))
    };
    match method {
        Method::Keyword => words(),
        Method::Vector => nearest(),
        Method::Hybrid => fused(Fusion::rrf(RRF_K_FROM_ZERO), LEG_HITS),
        Method::Dbsf => fused(Fusion::Dbsf, FUSED_HITS),
        Method::RelativeScore => fused(Fusion::RelativeScore { weights: Vec::new() }, FUSED_HITS),
        Method::Adaptive(weights) => fused(Fusion::Adaptive { weights }, FUSED_HITS),
    }
}

/// The position of the document that a hit is.
fn number(hit: &Hit) -> usize {
    match hit.id {
        PointId::Num(number) => number as usize,
        PointId::Uuid(_) => usize::MAX,
    }
}

fn cells(name: &str, method: Method, ours: Quality) -> [String; 9] {
    let reference = reference::of(name, method);
    let shown = |figure: Option<f64>, digits: usize| {
        figure.map_or_else(|| "none".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    let signed = |difference: Option<f64>, digits: usize| {
        difference.map_or_else(String::new, |difference| format!("{difference:+.digits$}"))
    };
    let ndcg_gain = reference.map(|reference| ours.ndcg - reference.ndcg);
    let recall_gain = reference.map(|reference| ours.recall - reference.recall);
    let is_short = ndcg_gain.is_some_and(|gain| gain < -SHORTFALL_MAX);
    [
        name.to_owned(),
        method.name().to_owned(),
        format!("{:.4}", ours.ndcg),
        shown(reference.map(|reference| reference.ndcg), 4),
        signed(ndcg_gain, 4),
        format!("{:.3}", ours.recall),
        shown(reference.map(|reference| reference.recall), 3),
        signed(recall_gain, 3),
        if is_short { "**below**" } else { "" }.to_owned(),
    ]
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Vector => "vector",
            Self::Hybrid => "hybrid",
            Self::Dbsf => "hybrid, DBSF",
            Self::RelativeScore => "hybrid, relative",
            Self::Adaptive(_) => "hybrid, adaptive",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_figure_well_below_the_reference_is_marked() {
        let mark = |ndcg: f64| cells("scifact", Method::Keyword, Quality { ndcg, recall: 0.9 })[8].clone();
        assert_eq!((mark(0.675).as_str(), mark(0.673).as_str()), ("", "**below**"));
        assert_eq!(cells("unknown", Method::Keyword, Quality::default())[3], "none");
    }

    #[test]
    fn every_method_finds_the_document_that_answers() {
        let corpus = corpus::sample();
        let unit = |at: usize| (0..4).map(|element| f32::from(u8::from(element == at))).collect();
        let documents = (0..corpus.documents.len()).map(unit).collect();
        let queries = corpus.queries.iter().map(|_| unit(1)).collect();
        let measured = measure_all(&corpus, Some(&Embeddings { documents, queries })).expect("measures");
        assert_eq!(measured.len(), 6);
        for (method, quality) in measured {
            assert_eq!((quality.ndcg, quality.recall), (1.0, 1.0), "{method:?}");
        }
    }
}
