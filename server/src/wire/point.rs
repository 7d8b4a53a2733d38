//! Points in and out: upsert, retrieve, delete, scroll, count.

use std::time::Instant;

use kithdb::{
    Collection, Error, Hit, Op, OrderValue, Page, Payload, PayloadSelect, Point, PointId, Receipt, Result,
    Select,
};
use kithdb::{Query, Request, Selection, UpsertMode, VectorSelect, Vectors};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::strict::Strict;

use super::filter::FilterIn;
use super::highlight::fragments;
use super::id::Id;
use super::query::OrderIn;
use super::select::{WithPayload, WithVector};
use super::shape::Ignored;
use super::update::Writes;
use super::vector::{Columns, VectorIn, VectorsIn, VectorsOut};
use super::weighed;

/// `PUT points`: a list of points, or a batch of columns.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpsertPoints)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over, or refused while it was read")]
pub(crate) struct Upsert {
    #[serde(default, deserialize_with = "weighed::points")]
    points: Option<Vec<PointIn>>,
    batch: Option<Batch>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
    update_filter: Option<FilterIn>,
    update_mode: Option<UpdateMode>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Point)]
#[serde(deny_unknown_fields)]
struct PointIn {
    id: Id,
    #[serde(alias = "vectors")]
    vector: Option<VectorsIn>,
    #[schema(value_type = Option<Object>)]
    payload: Option<Payload>,
    /// Ours: the write is refused unless the point has this version.
    if_version: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PointBatch)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(deserialize_with = "weighed::batch_ids")]
    ids: Vec<Id>,
    vectors: Columns,
    #[schema(value_type = Option<Vec<Option<Object>>>)]
    payloads: Option<Vec<Option<Payload>>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UpdateMode {
    Upsert,
    InsertOnly,
    UpdateOnly,
}

/// `POST points`: points by id.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RetrievePoints)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct Retrieve {
    #[serde(deserialize_with = "weighed::ids")]
    ids: Vec<Id>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
    /// Ours: the commit whose state is read.
    as_of: Option<u64>,
}

/// `POST points/delete`: by id or by filter.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PointSelector)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct Delete {
    #[serde(default, deserialize_with = "weighed::points")]
    points: Option<Vec<Id>>,
    filter: Option<FilterIn>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
}

/// `POST points/scroll`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ScrollRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct Scroll {
    offset: Option<Id>,
    limit: Option<usize>,
    filter: Option<FilterIn>,
    with_payload: Option<WithPayload>,
    #[serde(alias = "with_vectors")]
    with_vector: Option<WithVector>,
    order_by: Option<OrderIn>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
    /// Ours: the commit whose state is read.
    as_of: Option<u64>,
}

/// `POST points/count`. Every count is exact.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CountRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "accepted and passed over")]
pub(crate) struct Count {
    filter: Option<FilterIn>,
    exact: Option<bool>,
    #[schema(value_type = Option<Value>)]
    shard_key: Ignored,
    /// Ours: the commit whose state is counted.
    as_of: Option<u64>,
}

/// A point that was read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Record {
    id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_value: Option<OrderOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<VectorsOut>,
}

/// A point that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoredPoint {
    pub(super) id: Id,
    pub(super) version: u64,
    pub(super) score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order_value: Option<OrderOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(super) payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vector: Option<VectorsOut>,
    /// Ours: only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = fragments)]
    pub(super) highlight: Option<Payload>,
}

/// A page of a scroll.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScrollResult)]
pub(crate) struct Scrolled {
    points: Vec<Record>,
    next_page_offset: Option<Id>,
}

/// What became of a write.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdateResult)]
pub(crate) struct Updated {
    operation_id: u64,
    status: &'static str,
}

/// How many points match.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CountResult)]
pub(crate) struct Counted {
    pub(crate) count: usize,
}

/// Points of a page unless the request says otherwise.
const SCROLL_LIMIT: usize = 10;

impl Upsert {
    /// The operations that write the points: each by itself, or all in one under a condition. The versions that are
    /// asked for stand before that.
    ///
    /// # Errors
    /// `InvalidArgument` when there is neither a list nor a batch, or the columns of a batch differ in length.
    pub(crate) fn into_writes(mut self) -> Result<Writes> {
        let points = match (self.points.take(), self.batch.take()) {
            (Some(points), None) => points.into_iter().map(PointIn::into_point).collect(),
            (None, Some(batch)) => batch.into_points()?.into_iter().map(|point| (point, None)).collect(),
            (None, None) => return Err(Error::invalid("points", "is missing; give `points` or `batch`")),
            (Some(_), Some(_)) => return Err(Error::invalid("batch", "give either `points` or `batch`")),
        };
        self.writes(points)
    }

    /// As [`into_writes`](Self::into_writes), of points that are not in the body.
    ///
    /// # Errors
    /// `InvalidArgument` when there are points in the body as well.
    pub(crate) fn into_writes_of(self, points: Vec<Point>) -> Result<Writes> {
        if self.batch.is_some() || self.points.as_ref().is_some_and(|points| !points.is_empty()) {
            return Err(Error::invalid("points", "must be empty: they are given apart"));
        }
        self.writes(points.into_iter().map(|point| (point, None)).collect())
    }

    fn writes(self, points: Vec<(Point, Option<u64>)>) -> Result<Writes> {
        let update_filter = self.update_filter.map(FilterIn::into_filter).transpose();
        let update_filter = update_filter.map_err(|error| error.within("update_filter"))?;
        let mode = match self.update_mode {
            None | Some(UpdateMode::Upsert) => UpsertMode::Upsert,
            Some(UpdateMode::InsertOnly) => UpsertMode::InsertOnly,
            Some(UpdateMode::UpdateOnly) => UpsertMode::UpdateOnly,
        };
        let is_plain = update_filter.is_none() && mode == UpsertMode::Upsert;
        let (mut writes, mut conditional) = (Writes::default(), Vec::new());
        for (position, (point, if_version)) in points.into_iter().enumerate() {
            if let Some(if_version) = if_version {
                writes.push(Op::Require { id: point.id, if_version }, Some(position));
            }
            if is_plain {
                writes.push(Op::Upsert(point), Some(position));
            } else {
                conditional.push(point);
            }
        }
        if !is_plain {
            let update_filter = update_filter.unwrap_or_default();
            writes.push(Op::UpsertWhere { points: conditional, mode, update_filter }, None);
        }
        Ok(writes)
    }
}

impl PointIn {
    fn into_point(self) -> (Point, Option<u64>) {
        let VectorsIn(vectors) = self.vector.unwrap_or_default();
        let point = Point { id: self.id.0, vectors, payload: self.payload.unwrap_or_default() };
        (point, self.if_version)
    }
}

impl Batch {
    fn into_points(self) -> Result<Vec<Point>> {
        let count = self.ids.len();
        let mut points: Vec<Point> = self.ids.into_iter().map(|Id(id)| Point::new(id)).collect();
        match self.vectors {
            Columns::Rows(rows) => {
                check_length("batch.vectors", rows.len(), count)?;
                points.iter_mut().zip(rows).for_each(|(point, VectorsIn(vectors))| point.vectors = vectors);
            }
            Columns::Named(columns) => {
                for (name, column) in columns {
                    check_length(&format!("batch.vectors.{name}"), column.len(), count)?;
                    for (point, VectorIn(vector)) in points.iter_mut().zip(column) {
                        point.vectors.push((name.clone(), vector));
                    }
                }
            }
        }
        if let Some(payloads) = self.payloads {
            check_length("batch.payloads", payloads.len(), count)?;
            for (point, payload) in points.iter_mut().zip(payloads) {
                point.payload = payload.unwrap_or_default();
            }
        }
        Ok(points)
    }
}

fn check_length(field: &str, actual: usize, ids: usize) -> Result<()> {
    let what = if field == "batch.payloads" { "payloads" } else { "vectors" };
    let why = || format!("number of ids and {what} must be equal ({ids} != {actual})");
    if actual == ids { Ok(()) } else { Err(crate::error::invalid(field, &why())) }
}

impl Retrieve {
    /// Reads the points that exist.
    pub(crate) fn run(self, collection: &Collection, strict: &Strict<'_>) -> Result<Vec<Record>> {
        strict.take_read(self.ids.len())?;
        let select = super::select::select(self.with_payload, self.with_vector, PayloadSelect::All)?;
        let points = super::reading(collection, self.as_of, None)?.get(&Id::distinct(self.ids), &select)?;
        Ok(points.into_iter().map(|point| Record::new(point, &select)).collect())
    }
}

impl Delete {
    /// The operation.
    ///
    /// # Errors
    /// `InvalidArgument` when it says neither or both of `points` and `filter`.
    pub(crate) fn into_op(self) -> Result<Op> {
        Ok(match self.into_selection()? {
            Selection::Ids(ids) => Op::Delete(ids),
            Selection::Where(filter) => Op::DeleteWhere(filter),
        })
    }

    /// The points that it names.
    ///
    /// # Errors
    /// As for [`into_op`](Self::into_op).
    pub(crate) fn into_selection(self) -> Result<Selection> {
        selection(self.points, self.filter)
    }
}

/// Points by id or by filter.
///
/// # Errors
/// `InvalidArgument` when neither or both are given.
pub(crate) fn selection(points: Option<Vec<Id>>, filter: Option<FilterIn>) -> Result<Selection> {
    match (points, filter) {
        (Some(ids), None) => Ok(Selection::Ids(Id::unwrap_all(ids))),
        (None, Some(filter)) => super::filter::or_everything(Some(filter)).map(Selection::Where),
        (None, None) => Err(Error::invalid("points", "is missing; give `points` or `filter`")),
        (Some(_), Some(_)) => Err(Error::invalid("filter", "give either `points` or `filter`")),
    }
}

impl Scroll {
    /// Reads the page.
    pub(crate) fn run(
        self,
        collection: &Collection,
        strict: &Strict<'_>,
        deadline: Instant,
    ) -> Result<Scrolled> {
        let select = super::select::select(self.with_payload, self.with_vector, PayloadSelect::All)?;
        let filter = super::filter::or_everything(self.filter)?;
        super::above_zero("limit", self.limit)?;
        let (from, limit) = (self.offset.map(|Id(id)| id), self.limit.unwrap_or(SCROLL_LIMIT));
        strict.check_limit(limit)?;
        strict.check_read(&filter)?;
        let reading = super::reading(collection, self.as_of, Some(deadline))?;
        if let Some(order) = self.order_by {
            if from.is_some() {
                return Err(Error::invalid(
                    "offset",
                    "goes by id; with `order_by` give `start_from` instead",
                ));
            }
            let order = order.into_order("order_by")?;
            strict.check_field(&order.path)?;
            let query = Query::Order(order);
            let (hits, _) =
                reading.search(Request { query, filter, limit, ..Request::default() }, &select)?;
            let points = hits.into_iter().map(|hit| Record::ordered(hit, &select)).collect();
            return Ok(Scrolled { points, next_page_offset: None });
        }
        let Page { points, next } = reading.scroll(&filter, from, limit, &select)?;
        let points = points.into_iter().map(|point| Record::new(point, &select)).collect();
        Ok(Scrolled { points, next_page_offset: next.map(Id) })
    }
}

impl Count {
    /// Counts.
    pub(crate) fn run(
        self,
        collection: &Collection,
        strict: &Strict<'_>,
        deadline: Instant,
    ) -> Result<Counted> {
        let filter = super::filter::or_everything(self.filter)?;
        strict.check_read(&filter)?;
        let count = super::reading(collection, self.as_of, Some(deadline))?.count(&filter)?;
        Ok(Counted { count })
    }
}

impl Record {
    /// A point, of which `select` was read.
    pub(crate) fn new(point: Point, select: &Select) -> Self {
        let (payload, vector) = parts(point.payload, point.vectors, select);
        Self { id: Id(point.id), order_value: None, payload, vector }
    }

    /// A hit of an order by a field.
    fn ordered(hit: Hit, select: &Select) -> Self {
        let (payload, vector) = parts(hit.payload, hit.vectors, select);
        Self { id: Id(hit.id), order_value: hit.order.map(OrderOut::from), payload, vector }
    }
}

/// A value that points were ordered by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderValue)]
#[serde(untagged)]
pub(super) enum OrderOut {
    Integer(i64),
    Float(f64),
}

impl From<OrderValue> for OrderOut {
    fn from(value: OrderValue) -> Self {
        match value {
            OrderValue::Integer(number) => Self::Integer(number),
            OrderValue::Float(number) => Self::Float(number),
        }
    }
}

impl ScoredPoint {
    /// A hit, of which `select` was read.
    pub(crate) fn new(hit: Hit, select: &Select) -> Self {
        let (payload, vector) = parts(hit.payload, hit.vectors, select);
        let order_value = hit.order.map(OrderOut::from);
        let highlight = select.highlight.as_ref().map(|_| super::highlight::told(hit.highlights));
        let (id, version, score) = (Id(hit.id), hit.version, hit.score);
        Self { id, version, score, order_value, payload, vector, highlight }
    }
}

/// What was not asked for is absent, what was asked for and is not there is empty.
fn parts(payload: Payload, vectors: Vectors, select: &Select) -> (Option<Payload>, Option<VectorsOut>) {
    let payload = (select.payload != PayloadSelect::None).then_some(payload);
    (payload, (select.vectors != VectorSelect::None).then_some(VectorsOut(vectors)))
}

impl Updated {
    /// It is durable and found either way; the dialect has another word for who does not wait, which clients look for.
    pub(crate) fn new(receipt: Receipt, waits: bool) -> Self {
        Self { operation_id: receipt.seqno.0, status: if waits { "completed" } else { "acknowledged" } }
    }
}

/// The point that was asked for by its address does not exist.
pub(crate) fn no_point(id: PointId) -> Error {
    let message = format!("Not found: Point with id {id} does not exists!");
    Error::new(kithdb::ErrorKind::NotFound, message).with_field("id")
}

#[cfg(test)]
mod tests;
