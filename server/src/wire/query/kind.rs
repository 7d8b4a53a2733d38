//! How candidates are ranked: the kinds of query, each by the name of its one field.

use std::collections::BTreeMap;
use std::fmt;

use kithdb::{Feedback, Fusion, HybridWeights, Recommend, Value};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;

use super::formula::Part;
use super::input::{InputVisitor, VectorInput};
use super::keyword::KeywordIn;
use crate::wire::bm25::{Given, ModelIn, ObjectIn, OptionsIn};
use crate::wire::hybrid::HybridWeightsJson;
use crate::wire::id::Id;
use crate::wire::schema::{any_of, declare, named, one_or_many, text};
use crate::wire::shape::{Ignored, OneOrMany};
use crate::wire::vector::{Dense, VectorIn, vector};

/// How candidates are ranked.
#[derive(Debug)]
pub(crate) enum QueryIn {
    /// A vector, or something that stands for one, and where it stands in the query.
    Nearest(VectorInput, &'static str),
    Diverse(VectorInput, MmrIn),
    Recommend(RecommendIn),
    Discover(VectorInput, OneOrMany<PairIn>),
    Context(OneOrMany<PairIn>),
    Feedback(FeedbackIn),
    Keyword(KeywordIn),
    Fuse(Fusion),
    Order(OrderIn),
    Sample(Option<u64>),
    Formula(Value, BTreeMap<String, Value>),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Mmr)]
#[serde(deny_unknown_fields)]
pub(crate) struct MmrIn {
    pub(in crate::wire) diversity: Option<f32>,
    pub(in crate::wire) candidates_limit: Option<usize>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Recommend)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecommendIn {
    pub(in crate::wire) positive: Option<Vec<VectorInput>>,
    pub(in crate::wire) negative: Option<Vec<VectorInput>>,
    strategy: Option<StrategyIn>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = RecommendStrategy)]
#[serde(rename_all = "snake_case")]
enum StrategyIn {
    AverageVector,
    BestScore,
    SumScores,
}

/// Hits that were found before, and how good each was.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RelevanceFeedback)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackIn {
    pub(in crate::wire) target: VectorInput,
    pub(in crate::wire) feedback: Vec<ScoredIn>,
    strategy: FeedbackStrategyIn,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ScoredExample)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScoredIn {
    pub(in crate::wire) example: VectorInput,
    pub(in crate::wire) score: f32,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = FeedbackStrategy)]
#[serde(deny_unknown_fields)]
struct FeedbackStrategyIn {
    naive: NaiveIn,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NaiveFeedback)]
#[serde(deny_unknown_fields)]
struct NaiveIn {
    a: f32,
    b: f32,
    c: f32,
}

impl FeedbackIn {
    pub(in crate::wire) fn weights(&self) -> Feedback {
        let NaiveIn { a, b, c } = self.strategy.naive;
        Feedback { target: a, confidence: b, pair: c }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ContextPair)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairIn {
    pub(in crate::wire) positive: VectorInput,
    pub(in crate::wire) negative: VectorInput,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Discover)]
#[serde(deny_unknown_fields)]
struct DiscoverIn {
    target: VectorInput,
    #[schema(schema_with = one_or_many::<PairIn>)]
    context: Option<OneOrMany<PairIn>>,
}

/// An order: the field alone, or with its direction and a beginning.
#[derive(Debug)]
pub(crate) struct OrderIn {
    pub(in crate::wire) key: String,
    pub(in crate::wire) is_descending: bool,
    pub(in crate::wire) start_from: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = OrderByObject)]
#[serde(deny_unknown_fields)]
struct OrderObject {
    key: String,
    direction: Option<DirectionIn>,
    start_from: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Direction)]
#[serde(rename_all = "lowercase")]
enum DirectionIn {
    Asc,
    Desc,
}

/// The `k` of reciprocal rank fusion where a query names none: Qdrant's, and not that of the paper (`kithdb::RRF_K`).
const RRF_K_QDRANT: f32 = 2.0;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QueryObject {
    /// Of a sparse vector that stands alone, as it is or as a model makes it.
    #[schema(ignore)]
    indices: Option<Vec<u32>>,
    #[schema(ignore)]
    values: Option<Dense>,
    #[schema(ignore)]
    text: Option<String>,
    #[schema(ignore)]
    model: Option<ModelIn>,
    #[schema(ignore)]
    options: Option<OptionsIn>,
    #[schema(ignore)]
    image: Ignored,
    #[schema(ignore)]
    object: Ignored,
    /// Of a point that stands alone.
    #[schema(ignore)]
    name: Option<String>,
    nearest: Option<VectorInput>,
    mmr: Option<MmrIn>,
    recommend: Option<RecommendIn>,
    discover: Option<DiscoverIn>,
    #[schema(schema_with = one_or_many::<PairIn>)]
    context: Option<OneOrMany<PairIn>>,
    relevance_feedback: Option<FeedbackIn>,
    keyword: Option<KeywordIn>,
    fusion: Option<FusionIn>,
    rrf: Option<RrfIn>,
    /// Ours: `fusion` `adaptive` with weights of its own, whatever those of the collection.
    adaptive: Option<HybridWeightsJson>,
    /// Ours.
    relative_score: Option<RelativeIn>,
    order_by: Option<OrderIn>,
    sample: Option<SampleIn>,
    /// Ours: equal seeds sample alike.
    seed: Option<u64>,
    #[schema(schema_with = super::formula::shown)]
    formula: Option<Value>,
    defaults: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Fusion)]
#[serde(rename_all = "lowercase")]
enum FusionIn {
    Rrf,
    Dbsf,
    /// Ours.
    Adaptive,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = RelativeScore)]
#[serde(deny_unknown_fields)]
struct RelativeIn {
    weights: Option<Vec<f32>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Sample)]
#[serde(rename_all = "lowercase")]
enum SampleIn {
    Random,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Rrf)]
#[serde(deny_unknown_fields)]
struct RrfIn {
    k: Option<f32>,
    weights: Option<Vec<f32>>,
}

declare!(QueryIn as "Query":
    any_of([vector(), named::<Id>(), named::<QueryObject>()]), QueryObject, VectorIn, Id, Part);
declare!(OrderIn as "OrderBy": any_of([text(), named::<OrderObject>()]), OrderObject);

impl RecommendIn {
    /// Whether it has no example at all.
    pub(in crate::wire) fn is_empty(&self) -> bool {
        let none = |examples: &Option<Vec<VectorInput>>| examples.as_ref().is_none_or(Vec::is_empty);
        none(&self.positive) && none(&self.negative)
    }

    pub(in crate::wire) fn strategy(&self) -> Recommend {
        match self.strategy {
            None | Some(StrategyIn::AverageVector) => Recommend::AverageVector,
            Some(StrategyIn::BestScore) => Recommend::BestScore,
            Some(StrategyIn::SumScores) => Recommend::SumScores,
        }
    }
}

impl QueryObject {
    /// The sparse vector that stands in it.
    fn alone<E: serde::de::Error>(&mut self) -> Result<Option<VectorInput>, E> {
        let object = ObjectIn {
            indices: self.indices.take(),
            values: self.values.take(),
            text: self.text.take(),
            model: self.model.take(),
            options: self.options.take(),
            image: self.image.take(),
            object: self.object.take(),
            name: self.name.take(),
        };
        if object.is_empty() {
            return Ok(None);
        }
        match object.read::<E>()? {
            Given::Text(_) => Err(E::custom("a `text` without `model` stands in `nearest`")),
            given => Ok(Some(given.into())),
        }
    }

    /// The kinds that it names.
    fn kinds(self) -> Result<Vec<QueryIn>, &'static str> {
        let mut kinds = Vec::new();
        match (self.nearest, self.mmr) {
            (Some(input), None) => kinds.push(QueryIn::Nearest(input, "query.nearest")),
            (Some(input), Some(mmr)) => kinds.push(QueryIn::Diverse(input, mmr)),
            (None, Some(_)) => return Err("`mmr` stands beside `nearest`"),
            (None, None) => {}
        }
        kinds.extend(self.recommend.map(QueryIn::Recommend));
        let none = || OneOrMany { items: Vec::new(), is_list: true };
        let discover =
            |discover: DiscoverIn| QueryIn::Discover(discover.target, discover.context.unwrap_or_else(none));
        kinds.extend(self.discover.map(discover));
        kinds.extend(self.context.map(QueryIn::Context));
        kinds.extend(self.relevance_feedback.map(QueryIn::Feedback));
        kinds.extend(self.keyword.map(QueryIn::Keyword));
        let fusion = |fusion| match fusion {
            FusionIn::Rrf => Fusion::rrf(RRF_K_QDRANT),
            FusionIn::Dbsf => Fusion::Dbsf,
            FusionIn::Adaptive => Fusion::adaptive(),
        };
        let rrf = |RrfIn { k, weights }| Fusion::Rrf {
            k: k.unwrap_or(RRF_K_QDRANT),
            weights: weights.unwrap_or_default(),
        };
        let relative =
            |relative: RelativeIn| Fusion::RelativeScore { weights: relative.weights.unwrap_or_default() };
        kinds.extend(self.fusion.map(fusion).map(QueryIn::Fuse));
        kinds.extend(self.rrf.map(rrf).map(QueryIn::Fuse));
        let weighed = |weights: HybridWeightsJson| Fusion::Adaptive {
            weights: Some(weights.over(HybridWeights::default())),
        };
        kinds.extend(self.adaptive.map(weighed).map(QueryIn::Fuse));
        kinds.extend(self.relative_score.map(relative).map(QueryIn::Fuse));
        kinds.extend(self.order_by.map(QueryIn::Order));
        match (self.sample, self.seed) {
            (Some(SampleIn::Random), seed) => kinds.push(QueryIn::Sample(seed)),
            (None, Some(_)) => return Err("`seed` stands beside `sample`"),
            (None, None) => {}
        }
        match (self.formula, self.defaults) {
            (Some(formula), defaults) => kinds.push(QueryIn::Formula(formula, defaults.unwrap_or_default())),
            (None, Some(_)) => return Err("`defaults` stands beside `formula`"),
            (None, None) => {}
        }
        Ok(kinds)
    }
}

impl<'de> Deserialize<'de> for QueryIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QueryVisitor)
    }
}

struct QueryVisitor;

const KINDS: &str = "nearest, recommend, discover, context, relevance_feedback, order_by, sample, fusion, rrf, \
                     adaptive, relative_score, formula, keyword";

impl<'de> Visitor<'de> for QueryVisitor {
    type Value = QueryIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a vector, the ID of a point, or an object with one of {KINDS}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<QueryIn, A::Error> {
        InputVisitor.visit_seq(seq).map(|input| QueryIn::Nearest(input, "query"))
    }

    fn visit_u64<E>(self, num: u64) -> Result<QueryIn, E> {
        Ok(QueryIn::Nearest(VectorInput::Id(num.into()), "query"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<QueryIn, E> {
        Id::of_text(text).map(|Id(id)| QueryIn::Nearest(VectorInput::Id(id), "query"))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<QueryIn, A::Error> {
        let mut object = QueryObject::deserialize(MapAccessDeserializer::new(map))?;
        let alone = object.alone::<A::Error>()?.map(|vector| QueryIn::Nearest(vector, "query"));
        let mut kinds = object.kinds().map_err(A::Error::custom)?;
        kinds.extend(alone);
        match (kinds.pop(), kinds.len()) {
            (Some(kind), 0) => Ok(kind),
            _ => Err(A::Error::custom(format!("give one of {KINDS}"))),
        }
    }
}

impl<'de> Deserialize<'de> for OrderIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderVisitor)
    }
}

struct OrderVisitor;

impl<'de> Visitor<'de> for OrderVisitor {
    type Value = OrderIn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field, or an object with `key`, `direction`, `start_from`")
    }

    fn visit_str<E>(self, key: &str) -> Result<OrderIn, E> {
        Ok(OrderIn { key: key.to_owned(), is_descending: false, start_from: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OrderIn, A::Error> {
        let OrderObject { key, direction, start_from } =
            OrderObject::deserialize(MapAccessDeserializer::new(map))?;
        Ok(OrderIn { key, is_descending: matches!(direction, Some(DirectionIn::Desc)), start_from })
    }
}
