//! From a query in a body to the engine's request, and its answer back.
//!
//! Two things need more than translation: a text stands for its embedding (where the vectors were made by the server's
//! own model), and the id of a point may stand for a vector of another collection.
//! As in Qdrant, the filter of a level counts for the legs below it too.

use std::time::{Duration, Instant};

use kithdb::{
    Collection, DEFAULT_VECTOR, Database, Error, ErrorKind, Examples, Filter, Input, Order, OrderValue, Pair,
    Params, PayloadSelect, PointId, Query, Request, Result, Select, Terms, Vector, VectorSelect,
};
use rag::Embedder;

use crate::access::{Need, Rights};
use crate::strict::Strict;

use super::filter::FilterIn;
use super::highlight::HighlightIn;
use super::levels::{self, check_legs, cost};
use super::query::{
    ExplainIn, ExplainWord, FeedbackIn, IdfIn, LookupFrom, OrderIn, PairIn, ParamsIn, Prefetch, QueryBody,
    QueryIn, ScoredIn, VectorInput, expression,
};
use super::question::{Found, Question};
use super::shape::OneOrMany;
use crate::error::invalid;

/// What queries are translated with.
pub(crate) struct Translator<'a> {
    pub(crate) db: &'a Database,
    pub(crate) collection: &'a Collection,
    pub(crate) embedder: Option<&'a Embedder>,
    /// Of who asks: a query may name other collections.
    pub(crate) rights: &'a Rights,
    /// When the request must be answered.
    pub(crate) deadline: Option<Instant>,
    /// What the collection refuses.
    pub(crate) strict: Strict<'a>,
}

/// One level of a query: the body and its legs alike.
struct Level {
    prefetch: Option<OneOrMany<Prefetch>>,
    query: Option<QueryIn>,
    using: Option<String>,
    filter: Option<FilterIn>,
    params: Option<ParamsIn>,
    score_threshold: Option<f32>,
    limit: Option<usize>,
    offset: Option<usize>,
    lookup_from: Option<LookupFrom>,
}

/// Where the vectors that a level asks with come from.
struct Source<'a> {
    using: &'a str,
    lookup: Option<&'a LookupFrom>,
}

/// A deadline further away is none.
const DEADLINE_MS_MAX: u64 = 24 * 3600 * 1000;

/// What Qdrant chooses where a request does not.
const DIVERSITY: f32 = 0.5;

/// Hits of a level unless it says otherwise.
const LIMIT: usize = 10;

impl QueryBody {
    /// Answers the query.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field; `NotFound` for a query by the id of a point that does not exist.
    pub(crate) fn run(self, translator: &Translator<'_>) -> Result<Found> {
        self.into_question(translator)?.answer(None)
    }

    /// The query, ready to be answered.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub(crate) fn into_question(self, translator: &Translator<'_>) -> Result<Question> {
        let is_analyzed = self.explain == Some(ExplainIn::Word(ExplainWord::Analyze));
        let is_explained = is_analyzed || self.explain == Some(ExplainIn::Flag(true));
        let own = self.deadline_ms.map(|ms| Instant::now() + Duration::from_millis(ms.min(DEADLINE_MS_MAX)));
        let deadline = own.into_iter().chain(translator.deadline).min();
        super::above_zero("rows_max", self.rows_max)?;
        let rows_max = self.rows_max.map(|rows| rows as u64);
        let terms = Terms { deadline, rows_max, is_partial_welcome: self.partial == Some(true), is_analyzed };
        let reading = super::reading(translator.collection, self.as_of, None)?;
        let (request, select) = self.into_request(translator)?;
        Ok(Question { reading, request, select, terms, is_explained })
    }

    /// The request of the engine, and what comes with its hits.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub(super) fn into_request(self, translator: &Translator<'_>) -> Result<(Request, Select)> {
        let Self { prefetch, query, using, filter, params, score_threshold, limit, offset, .. } = self;
        let lookup_from = self.lookup_from;
        let level =
            Level { prefetch, query, using, filter, params, score_threshold, limit, offset, lookup_from };
        let mut select = super::select::select(self.with_payload, self.with_vector, PayloadSelect::None)?;
        select.highlight = self.highlight.map(HighlightIn::into_highlight).transpose()?.flatten();
        check_legs(level.prefetch.as_ref(), translator.db.limits())?;
        let request = translator.request(level, &Filter::default())?;
        translator.strict.take_read(cost(&request))?;
        Ok((request, select))
    }
}

#[cfg(test)]
impl<'a> Translator<'a> {
    /// One for who may do everything.
    pub(super) fn over(db: &'a Database, collection: &'a Collection) -> Self {
        let strict = Strict::none(collection);
        Self { db, collection, embedder: None, rights: &Rights::Manage, deadline: None, strict }
    }
}

impl Translator<'_> {
    /// `above` is the filter of the levels above, which counts here too.
    fn request(&self, level: Level, above: &Filter) -> Result<Request> {
        let Level { prefetch, query, using, filter, params, score_threshold, limit, offset, lookup_from } =
            level;
        let own = super::filter::or_everything(filter)?;
        self.strict.check_filter(&own)?;
        let filter = levels::joined(own, above, levels::legs(prefetch.as_ref()))?;
        let legs = self.legs(prefetch, &filter)?;
        check_level(query.as_ref(), !legs.is_empty(), using.as_deref(), score_threshold)?;
        super::above_zero("limit", limit)?;
        super::above_zero("params.hnsw_ef", params.as_ref().and_then(|params| params.hnsw_ef))?;
        if let Some(lookup) = &lookup_from {
            self.other(&lookup.collection)?;
        }
        let using = using.unwrap_or_else(|| DEFAULT_VECTOR.to_owned());
        let query = self.query(query, &Source { using: &using, lookup: lookup_from.as_ref() })?;
        if legs.is_empty() {
            self.strict.check_graph(&query, &filter)?;
        }
        // The legs have filtered already.
        let filter = if legs.is_empty() { filter } else { Filter::default() };
        let (params, limit) = (params.unwrap_or_default(), limit.unwrap_or(LIMIT));
        self.strict.check_limit(limit)?;
        self.strict.check_effort(params.effort())?;
        let corpus = params.idf.map(IdfIn::into_corpus).transpose()?;
        corpus.as_ref().map_or(Ok(()), |corpus| self.strict.check_filter(corpus))?;
        Ok(Request {
            prefetch: legs,
            query,
            filter,
            limit,
            offset: offset.unwrap_or(0),
            score_threshold,
            params: Params {
                is_exact: params.exact == Some(true),
                ef: params.hnsw_ef,
                recall: params.recall,
            },
            corpus,
        })
    }

    fn legs(&self, prefetch: Option<OneOrMany<Prefetch>>, filter: &Filter) -> Result<Vec<Request>> {
        let Some(prefetch) = prefetch else { return Ok(Vec::new()) };
        let leg = |(place, leg): (String, Prefetch)| {
            let Prefetch { prefetch, query, using, filter: own, params, score_threshold, limit, lookup_from } =
                leg;
            let level = Level {
                prefetch,
                query,
                using,
                filter: own,
                params,
                score_threshold,
                limit,
                offset: None,
                lookup_from,
            };
            self.request(level, filter).map_err(|error| match error.kind() {
                ErrorKind::NotFound => error,
                _ => error.within(&place),
            })
        };
        prefetch.places("prefetch").map(leg).collect()
    }

    fn query(&self, query: Option<QueryIn>, source: &Source<'_>) -> Result<Query> {
        let using = || source.using.to_owned();
        let input = |given, place: &str| self.input(given, source, place);
        let inputs = |given: Option<Vec<VectorInput>>, place: &str| -> Result<Vec<Input>> {
            let given = given.unwrap_or_default().into_iter().enumerate();
            given.map(|(at, one)| input(one, &format!("query.recommend.{place}[{at}]"))).collect()
        };
        Ok(match query {
            None => Query::ById,
            Some(QueryIn::Nearest(given, place)) => {
                Query::Nearest { vector: input(given, place)?, using: using() }
            }
            Some(QueryIn::Diverse(given, mmr)) => {
                let diversity = mmr.diversity.unwrap_or(DIVERSITY);
                if !(0.0..=1.0).contains(&diversity) {
                    let why = format!("value {diversity:?} invalid, must be from 0.0 to 1.0");
                    return Err(invalid("query.mmr.diversity", &why));
                }
                let (vector, candidates) = (input(given, "query.nearest")?, mmr.candidates_limit);
                Query::Diverse { vector, using: using(), diversity, candidates }
            }
            Some(QueryIn::Recommend(given)) => {
                let strategy = given.strategy();
                if given.is_empty() {
                    return Err(invalid("query.recommend", "give at least one of `positive` and `negative`"));
                }
                let positive = inputs(given.positive, "positive")?;
                let examples = Examples { positive, negative: inputs(given.negative, "negative")? };
                Query::Recommend { examples, strategy, using: using() }
            }
            Some(QueryIn::Discover(target, context)) => Query::Discover {
                target: input(target, "query.discover.target")?,
                context: self.pairs(context, source, "query.discover.context")?,
                using: using(),
            },
            Some(QueryIn::Context(pairs)) => {
                Query::Context { pairs: self.pairs(pairs, source, "query.context")?, using: using() }
            }
            Some(QueryIn::Feedback(given)) => self.feedback(given, source)?,
            Some(QueryIn::Keyword(words)) => Query::Keyword(words.into_query()?),
            Some(QueryIn::Fuse(fusion)) => Query::Fuse(fusion),
            Some(QueryIn::Order(order)) => {
                let order = order.into_order("query.order_by")?;
                self.strict.check_field(&order.path)?;
                Query::Order(order)
            }
            Some(QueryIn::Sample(seed)) => Query::Sample { seed },
            Some(QueryIn::Formula(formula, defaults)) => {
                let formula = expression(formula, defaults)?;
                self.strict.check_formula(&formula.expression)?;
                Query::Formula(formula)
            }
        })
    }

    fn feedback(&self, given: FeedbackIn, source: &Source<'_>) -> Result<Query> {
        let place = "query.relevance_feedback";
        let weights = given.weights();
        if weights.confidence < 0.0 {
            let why = format!("value {:?} invalid, must be 0.0 or larger", weights.confidence);
            return Err(invalid(&format!("{place}.strategy.naive.b"), &why));
        }
        let scored = given.feedback.into_iter().enumerate().map(|(at, ScoredIn { example, score })| {
            Ok((self.input(example, source, &format!("{place}.feedback[{at}].example"))?, score))
        });
        let scored = scored.collect::<Result<_>>()?;
        let target = self.input(given.target, source, &format!("{place}.target"))?;
        Ok(Query::Feedback { target, scored, weights, using: source.using.to_owned() })
    }

    fn pairs(&self, pairs: OneOrMany<PairIn>, source: &Source<'_>, field: &str) -> Result<Vec<Pair>> {
        let pair = |(place, pair): (String, PairIn)| {
            let positive = self.input(pair.positive, source, &format!("{place}.positive"))?;
            Ok(Pair { positive, negative: self.input(pair.negative, source, &format!("{place}.negative"))? })
        };
        pairs.places(field).map(pair).collect()
    }

    fn input(&self, given: VectorInput, source: &Source<'_>, place: &str) -> Result<Input> {
        self.check_time()?;
        match (given, source.lookup) {
            (VectorInput::Vector(vector), _) => Ok(Input::Vector(vector)),
            (VectorInput::Text(text), _) => {
                self.embed(&text, source.using, &format!("{place}.text")).map(Input::from)
            }
            (VectorInput::Id(id), None) => Ok(Input::Point(id)),
            (VectorInput::Id(id), Some(lookup)) => {
                self.looked_up(id, lookup, source.using, place).map(Input::Vector)
            }
        }
    }

    /// Embedding and looking up take time too, and a query may ask for much of both.
    ///
    /// # Errors
    /// `DeadlineExceeded`.
    fn check_time(&self) -> Result<()> {
        if self.deadline.is_none_or(|deadline| Instant::now() < deadline) {
            return Ok(());
        }
        let message = "passed before what is asked with was there; ask with fewer texts and points at once";
        Err(Error::new(ErrorKind::DeadlineExceeded, message).with_field("timeout"))
    }

    /// The vector of a point of another collection, or of another space.
    fn looked_up(&self, id: PointId, lookup: &LookupFrom, using: &str, place: &str) -> Result<Vector> {
        let collection = self.other(&lookup.collection)?;
        let space = lookup.vector.as_deref().unwrap_or(using);
        let get = |vectors: VectorSelect| {
            let select = Select { payload: PayloadSelect::None, vectors, ..Select::default() };
            let missing = || Error::no_point(id).with_field(place);
            collection.get(&[id], &select)?.pop().ok_or_else(missing)
        };
        if let Err(error) = collection.schema().check_name(space) {
            get(VectorSelect::None)?;
            return Err(error.with_field("lookup_from.vector"));
        }
        let point = get(VectorSelect::Named(vec![space.to_owned()]))?;
        point.vectors.into_iter().next().map(|(_, vector)| vector).ok_or_else(|| {
            Error::invalid(place, format!("point {id} has no vector `{space}` that could be searched with"))
        })
    }

    /// Another collection that a query names.
    ///
    /// # Errors
    /// Forbidden; `NotFound`, in the words of the dialect, which are others than for the collection that is asked.
    pub(super) fn other(&self, name: &str) -> Result<Collection> {
        self.rights.check_of(self.db, name, Need::Read)?;
        let missing = |_| Error::new(ErrorKind::NotFound, format!("Not found: Collection {name} not found"));
        self.db.collection(name).map_err(missing)
    }

    fn embed(&self, text: &str, using: &str, field: &str) -> Result<Vec<f32>> {
        let schema = self.collection.schema();
        let spec = schema.space(using)?;
        let embedder = self.embedder.ok_or_else(|| {
            Error::invalid(
                field,
                "this server was started without a model; send a vector, or a keyword query",
            )
        })?;
        rag::search::check_model(self.collection.name(), spec, embedder)
            .map_err(|error| error.with_field(field))?;
        let limit = self.collection.limits().query_chars_max;
        match text.chars().count() {
            chars if chars > limit => Err(Error::limit(field, "the number of characters", chars, limit)),
            _ => embedder.embed_query(text),
        }
    }
}

/// What cannot stand together, in the words of the dialect.
fn check_level(
    query: Option<&QueryIn>,
    has_legs: bool,
    using: Option<&str>,
    score_threshold: Option<f32>,
) -> Result<()> {
    let refuse = |field: &str, message: &str| Err(Error::invalid(field, format!("Bad request: {message}")));
    match query {
        None if has_legs => refuse(
            "query",
            "A query is needed to merge the prefetches. Can't have prefetches without defining a query.",
        ),
        None if score_threshold.is_some() => refuse(
            "query",
            "A query is needed to use the score_threshold. Can't have score_threshold without defining a query.",
        ),
        Some(QueryIn::Order(_)) if score_threshold.is_some() => {
            refuse("score_threshold", "Can't use score_threshold with an order_by query.")
        }
        Some(QueryIn::Fuse(_)) if using.is_some() => {
            refuse("using", "Fusion queries cannot be combined with the 'using' field.")
        }
        _ => Ok(()),
    }
}

impl OrderIn {
    /// The engine's order.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub(super) fn into_order(self, field: &str) -> Result<Order> {
        let path = self.key.parse().map_err(|error: Error| error.with_field(format!("{field}.key")))?;
        let from = self.start_from.map(|from| {
            let wrong = || Error::invalid(format!("{field}.start_from"), "must be a number or a date");
            OrderValue::of(&from).ok_or_else(wrong)
        });
        Ok(Order { path, is_descending: self.is_descending, from: from.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use kithdb::{Language, Metric, Point, Schema};
    use serde_json::{Value, json};

    use super::*;

    fn database() -> Database {
        let db = Database::in_memory().expect("a database");
        let keyword = ["text".parse().expect("a path")];
        let schema = Schema::new().vector(2, Metric::Cosine).keyword(keyword, Language::English);
        let collection = db.create_collection("c", schema).expect("a collection");
        let point = |id: u64, vector: [f32; 2], text: &str| Point::new(id).vector(vector).with("text", text);
        let bare = Point::new(9).with("text", "no vector");
        let points = vec![point(1, [1.0, 0.0], "red"), point(2, [0.9, 0.1], "green"), bare];
        collection.upsert(points).expect("written");
        db
    }

    fn ask(body: &Value) -> Result<Value> {
        let db = database();
        let collection = db.collection("c").expect("it is there");
        let body: QueryBody = super::super::parse(body.to_string().as_bytes())?;
        let found = body.run(&Translator::over(&db, &collection))?;
        Ok(serde_json::to_value(found).expect("JSON"))
    }

    fn ids(body: &Value) -> Vec<u64> {
        let found = ask(body).expect("an answer");
        let points = found["points"].as_array().expect("points").clone();
        points.iter().map(|point| point["id"].as_u64().expect("an id")).collect()
    }

    #[test]
    fn every_kind_of_query_is_understood() {
        assert_eq!(ids(&json!({"query": [0.0, 1.0]})), [2, 1]);
        assert_eq!(ids(&json!({"query": {"nearest": [0.0, 1.0]}, "limit": 1})), [2]);
        assert_eq!(ids(&json!({"query": 1})), [2], "the point itself is no hit");
        assert_eq!(ids(&json!({"query": {"nearest": 2}})), [1]);
        assert_eq!(ids(&json!({"query": {"keyword": "red"}})), [1]);
        assert_eq!(ids(&json!({})), [1, 2, 9]);
        assert_eq!(ids(&json!({"filter": {"must": {"has_id": [9]}}, "with_payload": true})), [9]);
    }

    #[test]
    fn legs_are_fused_with_the_constant_of_the_dialect() {
        let legs = json!([{"query": [1.0, 0.0]}, {"query": {"keyword": "green"}}]);
        let found = ask(&json!({"prefetch": legs, "query": {"fusion": "rrf"}})).expect("an answer");
        let score = |position: usize| found["points"][position]["score"].as_f64().expect("a score");
        assert_eq!(found["points"][0]["id"], 2);
        assert!((score(0) - (1.0 / 2.0 + 1.0 / 3.0)).abs() < 1e-6 && (score(1) - 0.5).abs() < 1e-6);
        let other = json!({"prefetch": legs, "query": {"rrf": {"k": 60}}, "limit": 1});
        let score = ask(&other).expect("an answer")["points"][0]["score"].as_f64().expect("a score");
        assert!((score - (1.0 / 60.0 + 1.0 / 61.0)).abs() < 1e-6);
    }

    #[test]
    fn a_filter_counts_for_the_legs_below_it() {
        let leg = json!({"query": [1.0, 0.0], "limit": 1});
        let body = json!({
            "prefetch": leg, "query": {"fusion": "rrf"}, "filter": {"must_not": [{"has_id": [1]}]},
        });
        assert_eq!(ids(&body), [2]);
    }

    #[test]
    fn the_plan_comes_when_it_is_asked_for() {
        let found = ask(&json!({"query": [1.0, 0.0], "explain": true})).expect("an answer");
        assert_eq!(found["plan"]["tree"]["step"], "vector");
        assert!(found["plan"]["text"].as_str().is_some_and(|text| text.contains("exact scan")));
        assert!(ask(&json!({"query": [1.0, 0.0]})).expect("an answer").get("plan").is_none());
    }

    #[test]
    fn what_cannot_be_asked_names_the_field() {
        let cases = [
            (json!({"query": [1.0]}), "query"),
            (json!({"query": []}), "query"),
            (json!({"query": [1.0, 0.0], "using": "other"}), "using"),
            (json!({"query": 77}), "query"),
            (json!({"query": {"nearest": 9}}), "query"),
            (json!({"query": {"nearest": {"text": "red"}}}), "query.nearest.text"),
            (json!({"prefetch": [{"query": [1.0, 0.0]}]}), "query"),
            (json!({"prefetch": {"query": [1.0]}, "query": {"fusion": "rrf"}}), "prefetch[0].query"),
            (json!({"query": {"fusion": "rrf"}}), "prefetch"),
            (json!({"query": {"rrf": {"k": 0}}, "prefetch": {}}), "query.rrf.k"),
            (json!({"query": {"rrf": {"weights": [1.0, 2.0]}}, "prefetch": {}}), "query.rrf.weights"),
            (json!({"query": {}}), "query"),
            (json!({"limit": 0}), "limit"),
            (json!({"rows_max": 0}), "rows_max"),
            (json!({"limit": -1}), "limit"),
            (json!({"params": {"hnsw_ef": 0}}), "params.hnsw_ef"),
            (json!({"filter": {"must": [{"key": "a"}]}}), "filter.must[0].key"),
        ];
        for (body, field) in cases {
            assert_eq!(ask(&body).expect_err("refused").field(), Some(field), "{body}");
        }
    }
}
