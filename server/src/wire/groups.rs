//! `POST points/query/groups`: the best groups of hits by the values of a field, each with its best hits.

use kithdb::{Error, FieldPath, Group, Grouping, PayloadSelect, PointId, Result, Scalar, Select};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::facet::ScalarOut;
use super::filter::FilterIn;
use super::highlight::HighlightIn;
use super::point::{Record, ScoredPoint};
use super::query::{LookupFrom, ParamsIn, Prefetch, QueryBody, QueryIn};
use super::schema::one_or_many;
use super::select::{WithPayload, WithVector};
use super::shape::{Ignored, OneOrMany};
use super::translate::Translator;

/// The body: a query without an offset, and how its hits are grouped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryGroups {
    #[schema(schema_with = one_or_many::<Prefetch>)]
    prefetch: Option<OneOrMany<Prefetch>>,
    query: Option<QueryIn>,
    using: Option<String>,
    filter: Option<FilterIn>,
    params: Option<ParamsIn>,
    score_threshold: Option<f32>,
    limit: Option<usize>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    lookup_from: Option<LookupFrom>,
    /// Ours.
    highlight: Option<HighlightIn>,
    group_by: String,
    group_size: Option<usize>,
    with_lookup: Option<WithLookup>,
    /// Ours: the commit whose state is asked.
    as_of: Option<u64>,
    #[serde(rename = "shard_key")]
    #[schema(value_type = Option<Value>)]
    _shard_key: Ignored,
}

/// Points of another collection whose ids are the values of the groups.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "must be the name of a collection, or an object with its `collection`")]
enum WithLookup {
    Name(String),
    Some(LookupIn),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Lookup)]
#[serde(deny_unknown_fields)]
struct LookupIn {
    collection: String,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vector")]
    with_vectors: Option<WithVector>,
}

/// Groups.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupsResult)]
pub(crate) struct Groups {
    groups: Vec<GroupOut>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PointGroup)]
struct GroupOut {
    id: ScalarOut,
    hits: Vec<ScoredPoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lookup: Option<Record>,
}

/// Groups, and hits of each, unless the request says otherwise.
const GROUPS: usize = 10;
const GROUP_SIZE: usize = 3;

impl QueryGroups {
    /// Answers the query.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field; `NotFound` for points and collections that do not exist.
    pub(crate) fn run(self, translator: &Translator<'_>) -> Result<Groups> {
        let path: FieldPath = self.group_by.parse().map_err(|error: Error| error.with_field("group_by"))?;
        super::above_zero("limit", self.limit)?;
        super::above_zero("group_size", self.group_size)?;
        let grouping = Grouping {
            path,
            groups: self.limit.unwrap_or(GROUPS),
            size: self.group_size.unwrap_or(GROUP_SIZE),
        };
        translator.strict.check_limit(grouping.groups.saturating_mul(grouping.size))?;
        translator.strict.check_group(&grouping.path)?;
        let with_lookup = self.with_lookup;
        let body = QueryBody {
            prefetch: self.prefetch,
            query: self.query,
            using: self.using,
            filter: self.filter,
            params: self.params,
            score_threshold: self.score_threshold,
            with_payload: self.with_payload,
            with_vector: self.with_vector,
            lookup_from: self.lookup_from,
            highlight: self.highlight,
            ..QueryBody::default()
        };
        let (request, select) = body.into_request(translator)?;
        let reading = super::reading(translator.collection, self.as_of, translator.deadline)?;
        let groups = reading.groups(request, &grouping, &select)?;
        let lookups = with_lookup.map(|lookup| lookup.run(translator, &groups)).transpose()?;
        let lookups = lookups.unwrap_or_else(|| groups.iter().map(|_| None).collect());
        let group = |(group, lookup): (Group, Option<Record>)| GroupOut {
            id: group.value.into(),
            hits: group.hits.into_iter().map(|hit| ScoredPoint::new(hit, &select)).collect(),
            lookup,
        };
        Ok(Groups { groups: groups.into_iter().zip(lookups).map(group).collect() })
    }
}

impl WithLookup {
    /// The point of each group, if there is one.
    fn run(self, translator: &Translator<'_>, groups: &[Group]) -> Result<Vec<Option<Record>>> {
        let lookup = match self {
            Self::Name(collection) => LookupIn { collection, with_payload: None, with_vectors: None },
            Self::Some(lookup) => lookup,
        };
        let collection = translator.other(&lookup.collection)?;
        let select: Select =
            super::select::select(lookup.with_payload, lookup.with_vectors, PayloadSelect::All)
                .map_err(|error| error.within("with_lookup"))?;
        let record = |group: &Group| {
            let Some(id) = id(&group.value) else { return Ok(None) };
            let point = collection.get(&[id], &select)?.pop();
            Ok(point.map(|point| Record::new(point, &select)))
        };
        groups.iter().map(record).collect()
    }
}

/// The id that the value of a group is, if it is one.
fn id(value: &Scalar) -> Option<PointId> {
    match value {
        Scalar::Int(number) => u64::try_from(*number).ok().map(PointId::Num),
        Scalar::Str(text) => Uuid::parse_str(text).map(PointId::Uuid).ok(),
        Scalar::Bool(_) => None,
    }
}
