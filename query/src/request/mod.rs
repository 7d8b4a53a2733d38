//! What is asked, in the engine's own nouns. The doors translate their dialects into this.
//!
//! Invariant: a request that [`Request::check`] passed can be answered by a collection of that schema, but for points
//! that it asks with and fields that a formula reads. What it left open of the collection's choices is filled in.
//! Fields in errors are those of Qdrant's body, which is the one that most of the doors have.

mod query;
mod resolve;

use types::{Error, Filter, KeywordQuery, Limits, Metric, Result, Schema, SparseSpec, Vector};

use crate::fuse::Fusion;

pub use query::{Examples, Feedback, Input, Order, OrderValue, Pair, Query, Recommend};

/// One question to one collection; a tree, since its candidates may come from other questions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The legs. Empty: all points are candidates. Otherwise only what the legs return is.
    pub prefetch: Vec<Request>,
    /// How candidates are ranked.
    pub query: Query,
    /// Which points count.
    pub filter: Filter,
    /// Hits wanted.
    pub limit: usize,
    /// Best hits to pass over.
    pub offset: usize,
    /// Hits with a worse score are left out.
    pub score_threshold: Option<f32>,
    /// How hard to search.
    pub params: Params,
    /// Of a sparse vector whose space weights by rarity: the points that rarity is counted over. All if it is absent;
    /// the filter does not change it.
    pub corpus: Option<Filter>,
}

/// How hard to search.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Params {
    /// Scan instead of using the graph.
    pub is_exact: bool,
    /// The window of the walk over a graph: how many rows it keeps in sight. Larger is slower and finds more. Chosen
    /// by the planner when absent.
    pub ef: Option<usize>,
    /// The share of the true hits to find, above 0, at most 1: the planner chooses the effort, by what was measured
    /// of each segment. 1 is exact. Not together with `ef`. The collection's when both are absent.
    pub recall: Option<f32>,
}

/// The `k` of reciprocal rank fusion in the paper (Cormack, Clarke and Buettcher 2009), which counts ranks from 1;
/// [`Fusion::Rrf`] counts them from 0.
pub const RRF_K: f32 = 60.0;

/// Vectors that one request asks with, at all depths. Each example that is a point is read from storage.
const ASKED_MAX: usize = 2_048;

/// Examples of feedback: for each point every two of them are weighed against each other.
const SCORED_MAX: usize = 128;

impl Request {
    /// Checks the request against schema and limits, normalises its vectors, and fills in the collection's recall and
    /// what words weigh.
    /// `points` is how many there are.
    ///
    /// # Errors
    /// `InvalidArgument` or `LimitExceeded`, naming the field.
    pub fn check(&mut self, schema: &Schema, limits: &Limits, points: usize) -> Result<()> {
        let legs = self.count_legs();
        if legs > limits.legs_max {
            return Err(Error::limit("prefetch", "the number of legs", legs, limits.legs_max));
        }
        let asked = self.count_asked();
        if asked > ASKED_MAX {
            return Err(Error::limit("query", "the number of vectors that are asked with", asked, ASKED_MAX));
        }
        self.check_level(schema, limits, points)
    }

    fn count_asked(&self) -> usize {
        self.query.asked() + self.prefetch.iter().map(Self::count_asked).sum::<usize>()
    }

    fn count_legs(&self) -> usize {
        self.prefetch.iter().map(|leg| 1 + leg.count_legs()).sum()
    }

    fn check_level(&mut self, schema: &Schema, limits: &Limits, points: usize) -> Result<()> {
        for (position, leg) in self.prefetch.iter_mut().enumerate() {
            leg.check_level(schema, limits, points)
                .map_err(|error| error.within(&format!("prefetch[{position}]")))?;
        }
        self.filter.check(limits)?;
        self.check_corpus(schema, limits)?;
        self.bound(limits, points);
        // As in the dialect: passing over some of a choice at random would only make it smaller.
        if matches!(self.query, Query::Sample { .. }) && self.prefetch.is_empty() {
            self.offset = 0;
        }
        let wanted = self.limit.saturating_add(self.offset);
        if self.limit == 0 {
            return Err(Error::invalid("limit", "is 0; ask for at least 1 hit"));
        }
        if wanted > limits.hits_max {
            return Err(Error::limit("limit", "limit + offset", wanted, limits.hits_max));
        }
        if self.params.ef == Some(0) {
            return Err(Error::invalid("params.hnsw_ef", "is 0; it must be at least 1"));
        }
        if self.params.recall.is_some_and(|recall| !(recall > 0.0 && recall <= 1.0)) {
            return Err(Error::invalid("params.recall", "must be above 0 and at most 1"));
        }
        if self.params.recall.is_some() && self.params.ef.is_some() {
            return Err(Error::invalid(
                "params.recall",
                "cannot be given together with hnsw_ef: name one of them",
            ));
        }
        if self.params.ef.is_none() {
            self.params.recall = self.params.recall.or(schema.recall);
        }
        if self.score_threshold.is_some_and(|threshold| !threshold.is_finite()) {
            return Err(Error::invalid("score_threshold", "must be a finite number"));
        }
        if let Query::Fuse(Fusion::Adaptive { weights }) = &mut self.query {
            *weights = weights.or(schema.hybrid);
        }
        self.check_query(schema, limits)
    }

    /// Whoever asks for more than there can be asks for all. In an order a point may come more than once.
    fn bound(&mut self, limits: &Limits, points: usize) {
        let is_above = self.limit.saturating_add(self.offset) > limits.hits_max;
        if is_above && points <= limits.hits_max && !matches!(self.query, Query::Order(_)) {
            self.limit = self.limit.min(points.max(1));
        }
    }

    fn check_corpus(&self, schema: &Schema, limits: &Limits) -> Result<()> {
        let Some(corpus) = &self.corpus else { return Ok(()) };
        let using = match &self.query {
            Query::Nearest { using, .. } | Query::Diverse { using, .. } => Some(using),
            Query::Recommend { using, strategy: Recommend::AverageVector, .. } => Some(using),
            _ => None,
        };
        if !using.is_some_and(|using| schema.sparse.get(using).is_some_and(SparseSpec::is_idf)) {
            let message = "counts for a sparse vector with the modifier `idf` only; leave it out";
            return Err(Error::invalid("params.idf", message));
        }
        corpus.check(limits).map_err(|error| error.within("params.idf.corpus"))
    }

    fn check_query(&mut self, schema: &Schema, limits: &Limits) -> Result<()> {
        if let Some(using) = self.query.space() {
            schema.check_name(using)?;
            let using = using.to_owned();
            let is_averaged =
                matches!(self.query, Query::Recommend { strategy: Recommend::AverageVector, .. });
            for (place, input) in self.query.inputs() {
                if let Input::Vector(vector) = input {
                    check_vector(vector, &using, schema, limits, is_averaged).map_err(|error| match error
                        .field()
                    {
                        Some("using") => error,
                        _ => error.within(&place),
                    })?;
                }
            }
        }
        let refuse = |field: &str, message: &str| Err(Error::invalid(field, message));
        match &self.query {
            Query::Keyword(query) => check_keyword(query, schema, limits),
            Query::Fuse(_) if self.prefetch.is_empty() => {
                refuse("prefetch", "is empty; a fusion needs at least one leg")
            }
            Query::Fuse(fusion) => fusion.check(self.prefetch.len()),
            Query::Formula(_) if self.prefetch.is_empty() => {
                refuse("prefetch", "is empty; a formula needs at least one leg whose scores it takes")
            }
            Query::Formula(formula) => formula.check(limits),
            Query::Diverse { diversity, .. } if !(0.0..=1.0).contains(diversity) => {
                refuse("query.mmr.diversity", "must be between 0 and 1")
            }
            Query::Diverse { candidates: Some(candidates), .. } if *candidates > limits.hits_max => {
                let field = "query.mmr.candidates_limit";
                Err(Error::limit(field, "the number of candidates", *candidates, limits.hits_max))
            }
            Query::Recommend { examples, strategy, .. } => match strategy {
                Recommend::AverageVector if examples.positive.is_empty() => refuse(
                    "query.recommend.positive",
                    "is empty; the mean needs one. Strategies best_score and sum_scores do with negative ones",
                ),
                _ if examples.positive.is_empty() && examples.negative.is_empty() => {
                    refuse("query.recommend", "has no example; give positive or negative ones")
                }
                _ => Ok(()),
            },
            Query::Feedback { scored, weights, .. } => check_feedback(scored, *weights),
            _ => Ok(()),
        }
    }
}

fn check_feedback(scored: &[(Input, f32)], weights: Feedback) -> Result<()> {
    let refuse = |place: &str, message: &str| {
        Err(Error::invalid(format!("query.relevance_feedback.{place}"), message))
    };
    if scored.is_empty() {
        return refuse("feedback", "feedback elements must be non-empty");
    }
    if scored.len() > SCORED_MAX {
        let (field, what) = ("query.relevance_feedback.feedback", "the number of examples");
        return Err(Error::limit(field, what, scored.len(), SCORED_MAX));
    }
    if let Some(at) = scored.iter().position(|(_, score)| !score.is_finite()) {
        return refuse(&format!("feedback[{at}].score"), "must be a finite number");
    }
    let Feedback { target, confidence, pair } = weights;
    match [("a", target), ("b", confidence), ("c", pair)].iter().find(|(_, weight)| !weight.is_finite()) {
        Some((name, _)) => refuse(&format!("strategy.naive.{name}"), "must be a finite number"),
        None if confidence < 0.0 => {
            refuse("strategy.naive.b", &format!("value {confidence:?} invalid, must be 0.0 or larger"))
        }
        None if !largest_weight(scored, weights).is_finite() => {
            refuse("strategy.naive", "weighs the scores beyond what a number holds; take smaller ones")
        }
        None => Ok(()),
    }
}

/// What the two examples weigh whose scores differ most.
fn largest_weight(scored: &[(Input, f32)], weights: Feedback) -> f32 {
    let scores = || scored.iter().map(|(_, score)| *score);
    let (most, least) = (scores().fold(f32::MIN, f32::max), scores().fold(f32::MAX, f32::min));
    (most - least).powf(weights.confidence) * weights.pair
}

/// Checks a vector that is asked with, and makes it what is compared. One of which a mean is made stays as it is: its
/// length is its weight, as in Qdrant.
fn check_vector(
    vector: &mut Vector,
    using: &str,
    schema: &Schema,
    limits: &Limits,
    is_averaged: bool,
) -> Result<()> {
    if let Some(spec) = schema.multi.get(using) {
        return spec.check_rows(vector, limits);
    }
    match vector {
        Vector::Multi(_) => {
            let message = format!("`{using}` is asked with one vector; only multivectors are with several");
            Err(Error::invalid("using", message))
        }
        Vector::Dense(elements) => {
            let spec = schema.space(using)?;
            let metric = if is_averaged { Metric::Dot } else { spec.metric };
            types::vector::check(elements, spec.dim, metric)
        }
        Vector::Sparse(vector) => {
            schema.sparse_space(using)?;
            vector.check(limits)
        }
    }
}

fn check_keyword(query: &KeywordQuery, schema: &Schema, limits: &Limits) -> Result<()> {
    match &schema.keyword {
        Some(index) => query.check(index, limits),
        None => {
            let message =
                "the collection has no keyword index; create it with one, such as {\"paths\": [\"text\"]}";
            Err(Error::invalid("query.keyword", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use types::HybridWeights;

    use super::*;

    #[test]
    fn a_fusion_that_says_nothing_of_weights_takes_those_of_the_collection() {
        let weights = |words_least, words_most| HybridWeights { words_least, words_most };
        let fusion_of = |fusion, schema: &Schema| {
            let prefetch = vec![Request { limit: 1, ..Request::default() }];
            let mut request =
                Request { prefetch, query: Query::Fuse(fusion), limit: 1, ..Request::default() };
            request.check(schema, &Limits::default(), 9).map(|()| request.query)
        };
        let fuse = |weights| Query::Fuse(Fusion::Adaptive { weights });
        let (plain, learned) = (Schema::new(), Schema::new().hybrid(weights(0.1, 0.4)));
        assert_eq!(fusion_of(Fusion::adaptive(), &plain).expect("a request"), fuse(None));
        assert_eq!(
            fusion_of(Fusion::adaptive(), &learned).expect("a request"),
            fuse(Some(weights(0.1, 0.4)))
        );
        let own = Fusion::Adaptive { weights: Some(HybridWeights::default()) };
        for fusion in [own, Fusion::Dbsf, Fusion::rrf(2.0), Fusion::RelativeScore { weights: vec![1.0] }] {
            assert_eq!(fusion_of(fusion.clone(), &learned).expect("a request"), Query::Fuse(fusion));
        }
        let wrong = Fusion::Adaptive { weights: Some(weights(0.5, 0.4)) };
        let error = fusion_of(wrong, &plain).expect_err("the least is above the most");
        assert_eq!(error.field(), Some("query.adaptive.words_least"));
    }

    #[test]
    fn a_level_that_asks_for_no_effort_takes_the_recall_of_the_collection() {
        let schema = Schema::new().vector(1, Metric::Dot).recall(0.8);
        let ask = |params| {
            let query = Query::Nearest { vector: [1.0].into(), using: String::new() };
            Request { query, params, limit: 1, ..Request::default() }
        };
        let own = Params { recall: Some(0.5), ..Params::default() };
        let windowed = Params { ef: Some(9), ..Params::default() };
        let prefetch = vec![ask(Params::default()), ask(own), ask(windowed)];
        let mut request = Request { prefetch, ..ask(Params::default()) };
        for _ in 0..2 {
            request.check(&schema, &Limits::default(), 9).expect("a request");
            let recalls: Vec<Option<f32>> = request.prefetch.iter().map(|leg| leg.params.recall).collect();
            assert_eq!((request.params.recall, &recalls[..]), (Some(0.8), &[Some(0.8), Some(0.5), None][..]));
        }
        let free = Schema { recall: None, ..schema };
        let mut request = ask(Params::default());
        request.check(&free, &Limits::default(), 9).expect("a request");
        assert_eq!(request.params, Params::default());
    }

    #[test]
    fn feedback_weighs_within_what_a_number_holds_and_few_examples() {
        let schema = Schema::new().vector(1, Metric::Dot);
        let ask = |confidence: f32, zeros: usize| {
            let example = |score: f32| (Input::from([1.0_f32]), score);
            let weights = Feedback { target: 1.0, confidence, pair: 1.0 };
            let mut scored = vec![example(1e30)];
            scored.resize(1 + zeros, example(0.0));
            let target = Input::from([1.0_f32]);
            let query = Query::Feedback { target, scored, weights, using: String::new() };
            Request { query, limit: 1, ..Request::default() }.check(&schema, &Limits::default(), 9)
        };
        ask(1.0, 1).expect("weights of 1e30");
        let error = ask(2.0, 1).expect_err("beyond what a number holds");
        assert_eq!(error.field(), Some("query.relevance_feedback.strategy.naive"));
        ask(1.0, SCORED_MAX - 1).expect("as many as may be");
        let error = ask(1.0, SCORED_MAX).expect_err("one more");
        assert_eq!(error.field(), Some("query.relevance_feedback.feedback"));
    }

    #[test]
    fn more_examples_than_there_may_be_are_refused_before_any_is_looked_up() {
        let schema = Schema::new().vector(1, Metric::Dot);
        let points = |count: u64| (0..count).map(|id| Input::Point(id.into())).collect::<Vec<Input>>();
        let using = String::new;
        let recommend = |count: u64| Query::Recommend {
            examples: Examples { positive: points(count), negative: points(8) },
            strategy: Recommend::SumScores,
            using: using(),
        };
        let pairs = |count: u64| -> Vec<Pair> {
            let pair = |(positive, negative)| Pair { positive, negative };
            points(count).into_iter().zip(points(count)).map(pair).collect()
        };
        let feedback = |count: u64| Query::Feedback {
            target: [1.0].into(),
            scored: points(count).into_iter().zip((0_u16..).map(f32::from)).collect(),
            weights: Feedback { target: 1.0, confidence: 1.0, pair: 1.0 },
            using: using(),
        };
        let check = |query, legs: usize| {
            let ask = |query| Request { query, limit: 1, ..Request::default() };
            let prefetch = vec![ask(recommend(992)); legs];
            let mut request = Request { prefetch, ..ask(query) };
            request.check(&schema, &Limits::default(), 9)
        };
        check(recommend(2_040), 0).expect("2 048");
        for (query, legs) in [
            (recommend(2_041), 0),
            (Query::Context { pairs: pairs(1_025), using: using() }, 0),
            (Query::Discover { target: [1.0].into(), context: pairs(1_024), using: using() }, 0),
            (feedback(2_048), 0),
            (recommend(100), 2),
        ] {
            let error = check(query, legs).expect_err("too many");
            assert_eq!((error.kind(), error.field()), (types::ErrorKind::LimitExceeded, Some("query")));
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused_by_name() {
        let schema = Schema::new().vector(2, Metric::Cosine);
        let nearest =
            |vector: &[f32], using: &str| Query::Nearest { vector: vector.into(), using: using.into() };
        let ask = |query| Request { query, limit: 1, ..Request::default() };
        let with = |params| Request { params, ..ask(Query::ById) };
        let leg = Request { prefetch: vec![ask(nearest(&[0.0], ""))], ..ask(Query::Fuse(Fusion::rrf(2.0))) };
        let cases = [
            (ask(nearest(&[1.0], "")), "query"),
            (ask(nearest(&[1.0, f32::NAN], "")), "query[1]"),
            (ask(nearest(&[1.0, 0.0], "nope")), "using"),
            (ask(Query::Keyword("a".into())), "query.keyword"),
            (ask(Query::Fuse(Fusion::rrf(2.0))), "prefetch"),
            (Request { limit: 0, ..ask(Query::ById) }, "limit"),
            (with(Params { recall: Some(1.5), ..Params::default() }), "params.recall"),
            (with(Params { recall: Some(f32::NAN), ..Params::default() }), "params.recall"),
            (with(Params { recall: Some(0.9), ef: Some(9), ..Params::default() }), "params.recall"),
            (Request { limit: 2, offset: usize::MAX, ..ask(Query::ById) }, "limit"),
            (leg, "prefetch[0].query"),
            (Request { corpus: Some(Filter::default()), ..ask(nearest(&[1.0, 0.0], "")) }, "params.idf"),
        ];
        for (mut request, field) in cases {
            let error = request.check(&schema, &Limits::default(), 9).expect_err(field);
            assert_eq!(error.field(), Some(field), "{error}");
        }
    }
}
